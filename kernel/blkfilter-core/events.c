// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: read() and poll() of /dev/blkfilter.
 *
 * Each reader has a ring of its own; one that is too slow loses the oldest ones
 * and is told so.  Raising an event needs no memory and does not wait.
 */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include "core.h"

#define BF_RING 1024

struct bf_reader {
	struct list_head link;
	wait_queue_head_t wait;
	struct mutex lock;	/* one read() at a time */
	u32 head;		/* counts up; index is modulo BF_RING */
	u32 tail;
	u64 lost;		/* since the last one that was read */
	struct blkfilter_event ring[BF_RING];
};

static LIST_HEAD(bf_readers);
static DEFINE_SPINLOCK(bf_readers_lock);
static u64 bf_event_seq;

static void bf_reader_add(struct bf_reader *reader,
			  const struct blkfilter_event *event)
{
	if (reader->head - reader->tail == BF_RING) {
		reader->tail++;
		reader->lost++;
	}
	reader->ring[reader->head++ % BF_RING] = *event;
	wake_up_interruptible(&reader->wait);
}

/**
 * bf_event() - raise an event
 * @type:   what happened.
 * @dev:    to which device, or NULL.
 * @name:   see &enum blkfilter_event_type.
 * @value:  likewise.
 * @reason: &enum blkfilter_reason or 0.
 * @data:   likewise, or NULL.
 * @size:   bytes at @data, at most 64.
 *
 * Any context but hard interrupts.
 */
void bf_event(enum blkfilter_event_type type, const struct bf_dev *dev,
	      const char *name, u64 value, u32 reason, const void *data,
	      size_t size)
{
	struct blkfilter_event event = {
		.size = sizeof(event),
		.type = type,
		.time_ns = ktime_get_boottime_ns(),
		.value = value,
		.reason = reason,
	};
	struct bf_reader *reader;
	unsigned long flags;

	if (dev) {
		event.device.major = MAJOR(dev->devt);
		event.device.minor = MINOR(dev->devt);
		event.device.diskseq = dev->diskseq;
	}
	/*
	 * In an interrupt current is somebody else.  Its name without its lock, which is
	 * not safe in interrupts: whoever tells this may hold a lock that is.
	 */
	if (in_task() && !(current->flags & PF_KTHREAD)) {
		event.pid = task_tgid_nr(current);
		strscpy_pad(event.comm, current->comm, sizeof(event.comm));
	}
	strscpy(event.name, name, sizeof(event.name));
	if (data)
		memcpy(event.data, data, min(size, sizeof(event.data)));

	spin_lock_irqsave(&bf_readers_lock, flags);
	event.seq = ++bf_event_seq;
	list_for_each_entry(reader, &bf_readers, link)
		bf_reader_add(reader, &event);
	spin_unlock_irqrestore(&bf_readers_lock, flags);
}

/**
 * blkfilter_event() - raise an event of a filter's own
 * @flt:   the filter.
 * @value: its meaning is the filter's.
 * @data:  likewise; may be NULL.
 * @size:  bytes at @data, at most 64.
 *
 * Any context but hard interrupts.
 */
void blkfilter_event(struct blkfilter *flt, u64 value, const void *data,
		     size_t size)
{
	bf_event(BLKFILTER_EVENT_FILTER, flt->core->dev, flt->ops->name, value,
		 0, data, size);
}
EXPORT_SYMBOL_GPL(blkfilter_event);

int bf_events_open(struct file *file)
{
	struct bf_reader *reader;

	file->private_data = NULL;
	if (!(file->f_mode & FMODE_READ))
		return 0;
	reader = kvzalloc(sizeof(*reader), GFP_KERNEL);
	if (!reader)
		return -ENOMEM;
	init_waitqueue_head(&reader->wait);
	mutex_init(&reader->lock);
	file->private_data = reader;
	spin_lock_irq(&bf_readers_lock);
	list_add(&reader->link, &bf_readers);
	spin_unlock_irq(&bf_readers_lock);
	return 0;
}

void bf_events_release(struct file *file)
{
	struct bf_reader *reader = file->private_data;

	if (!reader)
		return;
	spin_lock_irq(&bf_readers_lock);
	list_del(&reader->link);
	spin_unlock_irq(&bf_readers_lock);
	kvfree(reader);
}

static bool bf_reader_ready(struct bf_reader *reader)
{
	return READ_ONCE(reader->head) != READ_ONCE(reader->tail);
}

/* Waits for an event, with the lock held whenever it returns 0. */
static int bf_reader_begin(struct bf_reader *reader, bool nonblock)
{
	if (nonblock) {
		if (!mutex_trylock(&reader->lock))
			return -EAGAIN;
	} else if (mutex_lock_interruptible(&reader->lock)) {
		return -ERESTARTSYS;
	}
	while (!bf_reader_ready(reader)) {
		int ret = nonblock ? -EAGAIN :
			  wait_event_interruptible(reader->wait,
						   bf_reader_ready(reader));

		if (ret) {
			mutex_unlock(&reader->lock);
			return ret;
		}
	}
	return 0;
}

/* The next event; first of all how many were lost.  False: none. */
static bool bf_reader_next(struct bf_reader *reader,
			   struct blkfilter_event *event)
{
	bool some;

	spin_lock_irq(&bf_readers_lock);
	some = reader->head != reader->tail;
	if (some && reader->lost) {
		*event = (struct blkfilter_event){
			.size = sizeof(*event),
			.type = BLKFILTER_EVENT_LOST,
			.seq = reader->ring[reader->tail % BF_RING].seq - 1,
			.time_ns = reader->ring[reader->tail % BF_RING].time_ns,
			.value = reader->lost,
		};
		reader->lost = 0;
	} else if (some) {
		*event = reader->ring[reader->tail++ % BF_RING];
	}
	spin_unlock_irq(&bf_readers_lock);
	return some;
}

ssize_t bf_events_read(struct file *file, char __user *buf, size_t size)
{
	struct bf_reader *reader = file->private_data;
	struct blkfilter_event event;
	size_t done = 0;
	int ret;

	if (size < sizeof(event))
		return -EINVAL;
	ret = bf_reader_begin(reader, file->f_flags & O_NONBLOCK);
	if (ret)
		return ret;
	while (!ret && size - done >= sizeof(event) &&
	       bf_reader_next(reader, &event)) {
		if (copy_to_user(buf + done, &event, sizeof(event)))
			ret = -EFAULT;
		else
			done += sizeof(event);
	}
	mutex_unlock(&reader->lock);
	return done ?: ret;
}

__poll_t bf_events_poll(struct file *file, struct poll_table_struct *wait)
{
	struct bf_reader *reader = file->private_data;

	if (!reader)
		return EPOLLERR;
	poll_wait(file, &reader->wait, wait);
	return bf_reader_ready(reader) ? EPOLLIN | EPOLLRDNORM : 0;
}
