// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a snapshot, for whoever waits for it.  Each event is told once.
 */
#include <linux/slab.h>
#include "snap.h"

void snap_events_init(struct snap_events *events)
{
	spin_lock_init(&events->lock);
	init_waitqueue_head(&events->wait);
	INIT_LIST_HEAD(&events->list);
}

void snap_events_free(struct snap_events *events)
{
	struct snap_event *event, *next;

	list_for_each_entry_safe(event, next, &events->list, link)
		kfree(event);
}

/* Adds an event, which is freed when it was told.  Any context. */
void snap_events_add(struct snap_events *events, struct snap_event *event)
{
	unsigned long flags;

	event->time = ktime_get();
	spin_lock_irqsave(&events->lock, flags);
	list_add_tail(&event->link, &events->list);
	spin_unlock_irqrestore(&events->lock, flags);
	wake_up(&events->wait);
}

/* There will be no more: whoever waits is told so. */
void snap_events_end(struct snap_events *events)
{
	spin_lock_irq(&events->lock);
	events->ended = true;
	spin_unlock_irq(&events->lock);
	wake_up_all(&events->wait);
}

/* True when the wait is over: with an event, or without one at the end. */
static bool snap_events_next(struct snap_events *events,
			     struct snap_event **event)
{
	bool ended;

	spin_lock_irq(&events->lock);
	*event = list_first_entry_or_null(&events->list, struct snap_event,
					  link);
	ended = events->ended;
	if (*event && !ended)
		list_del(&(*event)->link);
	else
		*event = NULL;
	spin_unlock_irq(&events->lock);
	return *event || ended;
}

/*
 * snap_events_wait() - the next event
 * @timeout_ms: milliseconds to wait at most.
 * @answer:     filled in.
 *
 * Return: 0; -ENOENT when there is none in that time, -ESRCH at the end, -EINTR on
 * a signal.
 */
int snap_events_wait(struct snap_events *events, u32 timeout_ms,
		     struct blksnap_snapshot_event *answer)
{
	struct snap_event *event = NULL;
	long ret;

	ret = wait_event_interruptible_timeout(events->wait,
					       snap_events_next(events, &event),
					       msecs_to_jiffies(timeout_ms));
	if (ret < 0)
		return -EINTR;
	if (!ret)
		return -ENOENT;
	if (!event)
		return -ESRCH;
	answer->code = event->code;
	answer->time_label = ktime_to_ns(event->time);
	if (event->code == blksnap_event_code_corrupted)
		memcpy(answer->data, &event->corrupted,
		       sizeof(event->corrupted));
	else
		memcpy(answer->data, &event->low, sizeof(event->low));
	kfree(event);
	return 0;
}
