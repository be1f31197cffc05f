// SPDX-License-Identifier: GPL-2.0-only
/*
 * One device's old data while a snapshot is held: its making, its worker, its
 * failure and its end.
 */
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include "snap.h"

#define SNAP_WRITES_MIN		64
/*
 * What is copied is stored in one go with what follows it within this time, unless
 * there is much of it or somebody waits.
 */
#define SNAP_STORE_DELAY	max(HZ / 100, 1)

/* --- the worker --- */

/* Writes go on, and the copies begin that they need. */
static void snap_area_pass(struct snap_area *area)
{
	struct blk_plug plug;

	blk_start_plug(&plug);
	snap_writes_go_on(area);
	snap_writes_work(area);
	blk_finish_plug(&plug);
}

/*
 * All that the application waits for.  It sends bios to the device only, and waits
 * for nothing: what cannot be done now is done when something has completed, which
 * kicks it.  Kicks that come while it is at work are counted, and wake nobody.
 */
static void snap_area_work(struct work_struct *work)
{
	struct snap_area *area = container_of(work, struct snap_area, work);
	int kicks = atomic_read(&area->kicks);

	do {
		snap_area_pass(area);
		cond_resched();
		kicks = atomic_sub_return(kicks, &area->kicks);
	} while (kicks);
}

/*
 * All that is sent to the storage, which may be slow, or stuck: whoever sends to it
 * may sleep in there.
 */
static void snap_area_store(struct work_struct *work)
{
	struct snap_area *area = container_of(to_delayed_work(work),
					      struct snap_area, store);
	struct blk_plug plug;

	blk_start_plug(&plug);
	snap_copies_store(area);
	snap_images_work(area);
	blk_finish_plug(&plug);
}

/*
 * Something is to be done for the application's writes.  Any context; the caller
 * keeps the area.
 */
void snap_area_kick(struct snap_area *area)
{
	if (atomic_inc_return(&area->kicks) == 1)
		queue_work(area->wq, &area->work);
}

/* The same for the storage and the image: now, or in a moment. */
void snap_store_kick(struct snap_area *area, bool now)
{
	if (now)
		mod_delayed_work(area->store_wq, &area->store, 0);
	else
		queue_delayed_work(area->store_wq, &area->store,
				   SNAP_STORE_DELAY);
}

/*
 * The storage may never answer, or be made of what waits for it (a loop device on a
 * file of the device itself).  The application's writes do not wait for that.
 */
static void snap_area_stuck(struct work_struct *work)
{
	struct snap_area *area = container_of(to_delayed_work(work),
					      struct snap_area, stuck);
	unsigned long timeout = snap_store_timeout();
	bool waiting, late;

	spin_lock_irq(&area->lock);
	/* Not yet sent counts: the worker may sleep in there. */
	waiting = area->storing || !list_empty(&area->to_store);
	late = waiting && !area->quiet &&
	       time_after(jiffies, area->stored_at + timeout);
	spin_unlock_irq(&area->lock);
	if (late)
		snap_area_fail(area, -ETIMEDOUT);
	else if (waiting && !snap_area_error(area))
		queue_delayed_work(area->wq, &area->stuck, timeout / 4);
}

/* A point is coming, or over.  Any context. */
void snap_area_quiet(struct snap_area *area, bool quiet)
{
	unsigned long flags;

	spin_lock_irqsave(&area->lock, flags);
	area->quiet = quiet;
	area->stored_at = jiffies;
	spin_unlock_irqrestore(&area->lock, flags);
	if (!quiet)
		snap_store_kick(area, true);
}

/* --- failure --- */

/*
 * snap_area_fail() - the image is not to be used any more
 * @error: why, a negative errno; the first one counts.
 *
 * The application's writes go on as if there were no snapshot.  Any context; the
 * caller keeps the area.
 */
void snap_area_fail(struct snap_area *area, int error)
{
	struct snap_event *event;

	/* Before any write goes on that has not been copied. */
	if (cmpxchg(&area->error, 0, error))
		return;
	event = xchg(&area->event, NULL);
	if (event) {
		event->code = blksnap_event_code_corrupted;
		event->corrupted = (struct blksnap_event_corrupted){
			.dev_id_mj = MAJOR(area->dev),
			.dev_id_mn = MINOR(area->dev),
			.err_code = -error,
		};
		pr_warn("the snapshot of %u:%u is corrupted: error %d\n",
			MAJOR(area->dev), MINOR(area->dev), error);
		snap_events_add(&area->snapshot->events, event);
	}
	snap_area_kick(area);
	snap_store_kick(area, true);
}

/* --- life --- */

static atomic_t snap_areas;	/* that exist; images keep them when they are open */

/* The module goes: the last closer of an image may still be at it. */
void snap_areas_wait(void)
{
	wait_var_event(&snap_areas, !atomic_read(&snap_areas));
}

static void snap_area_io_gone(struct percpu_ref *ref)
{
	complete_all(&container_of(ref, struct snap_area, io)->idle);
}

static void snap_area_free(struct snap_area *area)
{
	if (area->store_wq)
		destroy_workqueue(area->store_wq);
	if (area->wq)
		destroy_workqueue(area->wq);
	snap_copies_free(area);
	snap_index_free(&area->index);
	kvfree(rcu_dereference_protected(area->holes, 1));
	percpu_ref_exit(&area->io);
	mempool_exit(&area->write_pool);
	bioset_exit(&area->clones);
	bioset_exit(&area->splits);
	kfree(area->event);
	kfree(area);
	if (atomic_dec_and_test(&snap_areas))
		wake_up_var(&snap_areas);
}

static void snap_area_release(struct kref *ref)
{
	snap_area_free(container_of(ref, struct snap_area, ref));
}

void snap_area_put(struct snap_area *area)
{
	kref_put(&area->ref, snap_area_release);
}

static int snap_area_init(struct snap_area *area)
{
	int ret;

	area->event = kzalloc(sizeof(*area->event), GFP_KERNEL);
	/*
	 * Of its own, so that one never waits for another's; and two, as without
	 * memory one thread does all of a queue, and the storage may keep it.
	 */
	area->wq = alloc_workqueue("blksnap/%u:%u", WQ_MEM_RECLAIM | WQ_UNBOUND,
				   0, MAJOR(area->dev), MINOR(area->dev));
	area->store_wq = alloc_workqueue("blksnap-st/%u:%u",
					 WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
					 MAJOR(area->dev), MINOR(area->dev));
	if (!area->event || !area->wq || !area->store_wq)
		return -ENOMEM;
	ret = percpu_ref_init(&area->io, snap_area_io_gone, 0, GFP_KERNEL) ?:
	      mempool_init_slab_pool(&area->write_pool, SNAP_WRITES_MIN,
				     snap_write_cache) ?:
	      snap_image_pools(area) ?:
	      snap_index_init(&area->index, &area->snapshot->storage.entries) ?:
	      snap_copies_init(area);
	return ret;
}

/*
 * snap_area_new() - what is needed of a device from the instant on
 * @shift: a chunk is 2^@shift sectors.
 *
 * Under snap_mutex.  Return: it, referenced, or ERR_PTR(-ENOMEM).
 */
struct snap_area *snap_area_new(struct snap_snapshot *snapshot,
				struct snap_tracker *tracker, u32 shift,
				const struct snap_parameters *parameters)
{
	struct snap_area *area = kzalloc(sizeof(*area), GFP_KERNEL);
	int ret;

	if (!area)
		return ERR_PTR(-ENOMEM);
	atomic_inc(&snap_areas);
	kref_init(&area->ref);
	spin_lock_init(&area->lock);
	init_completion(&area->idle);
	INIT_WORK(&area->work, snap_area_work);
	INIT_DELAYED_WORK(&area->store, snap_area_store);
	INIT_DELAYED_WORK(&area->stuck, snap_area_stuck);
	mutex_init(&area->begin);
	INIT_LIST_HEAD(&area->pool);
	INIT_LIST_HEAD(&area->writes);
	INIT_LIST_HEAD(&area->ready);
	INIT_LIST_HEAD(&area->to_store);
	area->copies = RB_ROOT;
	area->snapshot = snapshot;
	area->tracker = tracker;
	area->flt = &tracker->flt;
	area->start = tracker->start;
	area->sectors = tracker->sectors;
	area->dev = tracker->dev;
	area->disk = tracker->disk;
	area->block_size = queue_logical_block_size(tracker->disk->queue);
	area->physical_block_size =
		queue_physical_block_size(tracker->disk->queue);
	area->shift = shift;
	area->chunks = ((area->sectors - 1) >> shift) + 1;
	area->in_flight_max = parameters->in_flight_max;
	area->pool_max = parameters->pool;
	ret = snap_area_init(area);
	if (ret) {
		snap_area_free(area);
		return ERR_PTR(ret);
	}
	return area;
}

/*
 * snap_area_stop() - no I/O any more
 *
 * No bio is shown for it any more (a grace period ago).  When this returns, all
 * writes have gone on, and neither filter nor storage is used.
 */
void snap_area_stop(struct snap_area *area)
{
	/* Without an event: nobody asks any more, or he has been told. */
	cmpxchg(&area->error, 0, -ESHUTDOWN);
	if (!test_and_set_bit(0, &area->stopped))
		percpu_ref_kill(&area->io);
	snap_area_kick(area);
	snap_store_kick(area, true);
	wait_for_completion(&area->idle);
	cancel_delayed_work_sync(&area->stuck);
	cancel_delayed_work_sync(&area->store);
	/* Whatever the last completions and writes left: all who could kick have. */
	queue_work(area->wq, &area->work);
	flush_work(&area->work);
}
