// SPDX-License-Identifier: GPL-2.0-only
/*
 * The beginning of a migration or a redirect.
 */
#include <linux/slab.h>
#include "rd.h"

#define RD_IN_FLIGHT		8

/* Under rcu_read_lock(): a rescan may exchange the block device. */
static int rd_job_range(struct rd_job *job,
			const struct blkfilter_redirect_start *start)
{
	struct block_device *bdev = READ_ONCE(job->flt->bdev);
	u32 mask = (bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1;
	sector_t all = bdev_nr_sectors(bdev);

	job->target.source = bdev->bd_disk;
	job->whole = !start->sectors;
	job->first = start->first_sector;
	job->sectors = start->sectors ?: all;
	if (job->whole ? start->first_sector : job->copies_data)
		return -EINVAL;
	if (!job->sectors || job->first > all ||
	    job->sectors > all - job->first ||
	    ((job->first | job->sectors) & mask))
		return -EINVAL;
	job->start = blkfilter_start(job->flt) + job->first;
	return 0;
}

static int rd_job_init(struct rd_job *job, struct blkfilter_redirect_start *start)
{
	int ret;

	rcu_read_lock();
	ret = rd_job_range(job, start);
	rcu_read_unlock();
	if (ret)
		return ret;
	job->wq = alloc_workqueue("redirect/%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
				  job->target.source->disk_name);
	job->target_wq = alloc_workqueue("redirect-to/%s",
					 WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
					 job->target.source->disk_name);
	if (!job->wq || !job->target_wq)
		return -ENOMEM;
	ret = rd_target_open(job, start) ?: rd_record_open(job, start) ?:
	      rd_job_ios_init(job);
	if (!ret && job->copies_data && !rd_record_redirected(&job->record))
		ret = rd_dirty_init(job) ?: rd_flush_init(job) ?:
		      rd_copies_init(job);
	if (ret || !job->record.kept)
		return ret;
	ret = rd_record_begin(job);
	return ret ? rd_refuse(&start->refused, BLKFILTER_REDIRECT_RECORD_IO,
			       ret) : 0;
}

/*
 * rd_job_new() - what a command asks for, before it begins
 * @start: checked as far as it does not depend on devices; @refused is filled in.
 *
 * Return: it, referenced, or an ERR_PTR, see BLKFILTER_REDIRECT_START.
 */
struct rd_job *rd_job_new(struct rd_filter *rd,
			  struct blkfilter_redirect_start *start)
{
	struct rd_job *job = kzalloc(sizeof(*job), GFP_KERNEL);
	int ret;

	if (!job)
		return ERR_PTR(-ENOMEM);
	kref_init(&job->ref);
	spin_lock_init(&job->lock);
	init_waitqueue_head(&job->wait);
	INIT_DELAYED_WORK(&job->work, rd_io_work);
	INIT_DELAYED_WORK(&job->copying, rd_copy_work);
	INIT_WORK(&job->sending, rd_target_work);
	INIT_DELAYED_WORK(&job->watch, rd_watch_work);
	INIT_WORK(&job->ending, rd_job_end_work);
	INIT_WORK(&job->freeing, rd_job_free_work);
	INIT_WORK(&job->flush.work, rd_flush_work);
	INIT_DELAYED_WORK(&job->record.writing, rd_record_work);
	INIT_DELAYED_WORK(&job->record.sweeping, rd_record_sweep);
	init_completion(&job->record.done);
	INIT_LIST_HEAD(&job->record.waiting);
	INIT_LIST_HEAD(&job->record.place.link);
	INIT_LIST_HEAD(&job->record.place.seen);
	INIT_LIST_HEAD(&job->again);
	INIT_LIST_HEAD(&job->held);
	INIT_LIST_HEAD(&job->starved);
	INIT_LIST_HEAD(&job->both);
	INIT_LIST_HEAD(&job->idle);
	INIT_LIST_HEAD(&job->waiting);
	INIT_LIST_HEAD(&job->ready);
	INIT_LIST_HEAD(&job->copied);
	INIT_LIST_HEAD(&job->target.link);
	INIT_LIST_HEAD(&job->target.seen);
	job->writes = RB_ROOT_CACHED;
	job->copies = RB_ROOT_CACHED;
	job->flt = &rd->flt;
	memcpy(job->id, start->id, sizeof(job->id));
	job->copies_data = start->mode != BLKFILTER_REDIRECT_ONLY;
	job->blocking = start->mode == BLKFILTER_REDIRECT_WRITE_BLOCKING;
	job->no_atomic = start->flags & BLKFILTER_REDIRECT_NO_ATOMIC;
	job->rate = start->rate;
	job->in_flight = start->in_flight ?: RD_IN_FLIGHT;
	ret = rd_job_init(job, start);
	if (ret) {
		rd_job_free(job);
		return ERR_PTR(ret);
	}
	return job;
}

/* Has the device another size than when the job was made?  It may not have been told. */
bool rd_is_stale(const struct rd_job *job)
{
	bool stale;

	rcu_read_lock();
	stale = job->whole &&
		bdev_nr_sectors(READ_ONCE(job->flt->bdev)) != job->sectors;
	rcu_read_unlock();
	return stale;
}

static int rd_instant_start(struct rd_filter *rd)
{
	struct rd_job *job = rd->next;
	bool copies = job->dirty;

	if (rd_is_stale(job))
		return -ESTALE;
	if (job->record.found && rd_source_was_written(job))
		return -EUCLEAN;
	spin_lock_irq(&rd->lock);
	swap(rd->job, rd->next);
	spin_lock(&job->lock);
	job->started_ns = ktime_get_boottime_ns();
	job->flush.since = jiffies;
	job->record.open = job->record.kept && copies;
	WRITE_ONCE(job->mode, copies ? RD_MIRROR : RD_REDIRECT);
	WRITE_ONCE(rd->interposed, job->target.interposed);
	spin_unlock(&job->lock);
	spin_unlock_irq(&rd->lock);
	return 0;
}

/*
 * rd_job_start() - a job begins
 *
 * Under rd_filter.control, in a command; there is no job, or one that is over.  Takes
 * over the reference.  Return: see rd_point(), or -ESTALE; the job is gone then.
 */
int rd_job_start(struct rd_filter *rd, struct rd_job *job, u32 limit_ms)
{
	struct rd_job *left;
	int ret;

	spin_lock_irq(&rd->lock);
	rd->next = job;
	spin_unlock_irq(&rd->lock);
	ret = rd_point(rd, rd_instant_start, limit_ms, job->target.interposed);
	spin_lock_irq(&rd->lock);
	left = rd->next;	/* the one before; or this one, where it failed */
	rd->next = NULL;
	spin_unlock_irq(&rd->lock);
	/* The record may still be written: its device is closed with the job then. */
	if (ret == -EUCLEAN && job->record.found && !rd_record_distrust(job)) {
		rd_target_unlist(&job->target);
		rd_target_unlist(&job->record.place);
	} else if (left == job) {
		rd_target_close(&job->target);
		rd_target_close(&job->record.place);
	}
	if (left)
		rd_job_put(left);
	if (ret)
		return ret;
	rd_job_update(job);
	/* It went while nobody could have told the job. */
	if (READ_ONCE(rd->leaving))
		rd_job_end(job, BLKFILTER_REDIRECT_FAILED, -ENODEV);
	if (job->copies_data) {
		rd_copy_kick(job);
		rd_watch_begin(job);
		rd_record_sweep_soon(job);
	}
	return 0;
}
