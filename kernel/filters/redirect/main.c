// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter "redirect" on one device.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include "rd.h"

/* Tasks in rd_take(). */
DEFINE_STATIC_SRCU(rd_senders);

#define RD_ALTITUDE	(250000ULL * BLKFILTER_ALTITUDE_UNIT)

static unsigned int target_timeout = 30;
module_param(target_timeout, uint, 0644);
MODULE_PARM_DESC(target_timeout,
		 "seconds without an answer of the target after which writes no longer wait for it (30)");

static unsigned int target_retries = 8;
module_param(target_retries, uint, 0644);
MODULE_PARM_DESC(target_retries,
		 "failures of the target in a row after which a migration is paused (8)");

static unsigned int target_flush = 5;
module_param(target_flush, uint, 0644);
MODULE_PARM_DESC(target_flush,
		 "seconds after which a target with a volatile cache that was written to is flushed (5)");

static unsigned int record_clean = 5;
module_param(record_clean, uint, 0644);
MODULE_PARM_DESC(record_clean,
		 "seconds after the last write somewhere until the record no longer marks it (5)");

/* In jiffies. */
unsigned long rd_target_timeout(void)
{
	return clamp(READ_ONCE(target_timeout), 1U, 3600U) * HZ;
}

unsigned long rd_flush_interval(void)
{
	return clamp(READ_ONCE(target_flush), 1U, 3600U) * HZ;
}

unsigned long rd_record_interval(void)
{
	return clamp(READ_ONCE(record_clean), 1U, 3600U) * HZ;
}

u32 rd_target_retries(void)
{
	return READ_ONCE(target_retries);
}

static bool rd_concerns(const struct rd_job *job, const struct bio *bio,
			enum rd_mode mode)
{
	switch (mode) {
	case RD_PASS:
		return false;
	case RD_MIRROR:
		/* A flush is the source's alone: the target is flushed at the end. */
		return op_is_write(bio_op(bio)) && bio_sectors(bio);
	case RD_HOLD:
	case RD_DECIDE:
		return op_is_write(bio_op(bio));
	case RD_REDIRECT:
		return rd_redirect_concerns(job, bio);
	}
	return false;
}

/*
 * Is it a write that the target cannot do as a whole?  See BLKFILTER_REDIRECT_NO_ATOMIC.  The
 * logical block is the same on both; the target may be gone already.
 */
static bool rd_refuses(const struct rd_job *job, const struct bio *bio)
{
	return job->no_atomic && bf_bio_atomic(bio) &&
	       bio->bi_iter.bi_size > bdev_logical_block_size(bio->bi_bdev);
}

static bool rd_submit_bio(struct blkfilter *flt, struct bio *bio,
			  struct blkfilter_pos pos)
{
	struct rd_job *job = rd_of(flt)->job;
	bool taken;
	int sender;

	if (!job)
		return false;
	/* Not written again: the line stays shared between CPUs. */
	if (time_after(jiffies, READ_ONCE(job->app_at)))
		WRITE_ONCE(job->app_at, jiffies);
	if (!rd_concerns(job, bio, READ_ONCE(job->mode)))
		return false;
	if (unlikely(rd_refuses(job, bio))) {
		blkfilter_take(flt, bio, pos);
		blkfilter_end(pos, bio, BLK_STS_NOTSUPP);
		return true;
	}
	/*
	 * What is sent from here may be done, and the filter be gone, while the sender still
	 * sleeps in a driver: the module waits for him.
	 */
	sender = srcu_read_lock(&rd_senders);
	taken = rd_take(job, bio, pos);
	srcu_read_unlock(&rd_senders, sender);
	return taken;
}

/* --- points --- */

/*
 * rd_point() - a point of our own
 * @instant: what happens then: no bio is in the filter, and all writes that it has
 *           seen have completed on the source.  Must not sleep.
 * @freeze:  the file systems on the source and its partitions are frozen meanwhile.
 *
 * Under rd_filter.control, in a command.  Return: see blkfilter_points(); -ENODEV: the
 * instant was not heard; what @instant has returned.
 */
int rd_point(struct rd_filter *rd, int (*instant)(struct rd_filter *rd),
	     u32 limit_ms, bool freeze)
{
	struct bf_dev *dev = blkfilter_device_get(&rd->flt);
	struct blkfilter_points points = {
		.flt = &rd->flt, .dev = &dev, .n = 1,
		.freeze = freeze, .limit_ms = limit_ms,
	};
	int ret;

	rd->arm.instant = instant;
	rd->arm.ret = -ENODEV;
	WRITE_ONCE(rd->arm.task, current);
	ret = blkfilter_points(&points);
	WRITE_ONCE(rd->arm.task, NULL);
	blkfilter_device_put(dev);
	return ret ?: rd->arm.ret;
}

/*
 * A point is coming: nothing new is begun.  Somebody else's does not wait for the target:
 * neither do bios that are taken, which it waits for.
 */
static void rd_quiet_begins(struct rd_job *job, bool ours)
{
	job->quiet = true;
	if (ours || !rd_copies(job))
		return;
	job->hasty = true;
	rd_release_waiters(job);
	rd_watch_now(job);
}

static void rd_quiet_ends(struct rd_job *job)
{
	job->quiet = false;
	job->hasty = false;
	wake_up_all(&job->wait);
	if (rd_copies(job))
		rd_copy_kick(job);
}

static void rd_quiet(struct rd_filter *rd, bool quiet)
{
	struct rd_job *job = rd_job_get(rd);

	if (!job)
		return;
	spin_lock_irq(&job->lock);
	if (quiet)
		rd_quiet_begins(job, READ_ONCE(rd->arm.task) == current);
	else
		rd_quiet_ends(job);
	spin_unlock_irq(&job->lock);
	rd_job_put(job);
}

static void rd_point_phase(struct blkfilter *flt, enum blkfilter_phase phase,
			   const u8 *id)
{
	struct rd_filter *rd = rd_of(flt);

	if (phase != BLKFILTER_POINT_INSTANT)
		rd_quiet(rd, phase == BLKFILTER_POINT_PREPARE);
	else if (READ_ONCE(rd->arm.task) == current)
		rd->arm.ret = rd->arm.instant(rd);
}

/* --- what else is heard --- */

static void rd_settled(struct blkfilter *flt)
{
	WRITE_ONCE(rd_of(flt)->settled, true);
}

/*
 * The source may have changed anywhere.  Once redirected nothing can be done: the status
 * says so, and an event without a change of the state.
 */
static void rd_unseen(struct blkfilter *flt)
{
	struct rd_job *job = rd_job_get(rd_of(flt));

	if (!job)
		return;
	spin_lock_irq(&job->lock);
	if (job->mode == RD_REDIRECT || job->mode == RD_DECIDE) {
		job->unseen = true;
		rd_job_tell(job, job->state, EIO);
		pr_err("%s: I/O may have reached it though it is redirected\n",
		       job->target.source->disk_name);
	}
	/* In RD_DECIDE it counts when the cut-over is taken back. */
	if (rd_copies(job)) {
		rd_record_want(job, 0, job->sectors - 1);
		rd_dirty_set_all(job);
		rd_copy_kick(job);
	}
	spin_unlock_irq(&job->lock);
	rd_job_put(job);
}

static void rd_changed(struct blkfilter *flt, sector_t sector, sector_t sectors)
{
	struct rd_job *job = rd_job_get(rd_of(flt));

	if (!job)
		return;
	spin_lock_irq(&job->lock);
	if (rd_copies(job) && sector < job->sectors && sectors) {
		sector_t last = min(sector + sectors, job->sectors) - 1;

		rd_record_want(job, sector, last);
		rd_dirty_set(job, sector, last);
		rd_copy_kick(job);
	}
	spin_unlock_irq(&job->lock);
	rd_record_wait(job);
	rd_job_put(job);
}

/* A migration is of a device of one size. */
static void rd_resized(struct blkfilter *flt, sector_t sectors)
{
	struct rd_job *job = rd_job_get(rd_of(flt));

	rd_below_resized(rd_of(flt));
	if (!job)
		return;
	if (job->copies_data && sectors != job->sectors)
		rd_job_end(job, BLKFILTER_REDIRECT_FAILED, -ESTALE);
	rd_job_put(job);
}

static void rd_state(struct blkfilter *flt, char *buf, size_t size)
{
	static const char * const words[] = {
		[BLKFILTER_REDIRECT_CREATED] = "created",
		[BLKFILTER_REDIRECT_RUNNING] = "running",
		[BLKFILTER_REDIRECT_PAUSED] = "paused",
		[BLKFILTER_REDIRECT_READY] = "ready",
		[BLKFILTER_REDIRECT_STANDBY] = "standby",
		[BLKFILTER_REDIRECT_PENDING] = "pending",
		[BLKFILTER_REDIRECT_REDIRECTED] = "redirected",
		[BLKFILTER_REDIRECT_ABORTING] = "aborting",
		[BLKFILTER_REDIRECT_FAILED] = "failed",
		[BLKFILTER_REDIRECT_CONCLUDED] = "concluded",
	};
	struct rd_job *job = rd_job_get(rd_of(flt));
	u32 state = BLKFILTER_REDIRECT_CREATED;

	if (job) {
		state = READ_ONCE(job->state);
		rd_job_put(job);
	}
	strscpy(buf, words[state], size);
}

/* --- attach and detach --- */

/* What is under way is ended first, and what is used closed, by who began it. */
static int rd_query_detach(struct blkfilter *flt, enum blkfilter_reason reason)
{
	struct rd_filter *rd = rd_of(flt);
	struct rd_job *job;
	bool busy;

	spin_lock_irq(&rd->lock);
	busy = rd->next;
	spin_unlock_irq(&rd->lock);
	busy = busy || rd_below_is_open(rd);
	job = rd_job_get(rd);
	if (job) {
		busy = busy || !rd_job_detachable(job);
		rd_job_put(job);
	}
	return busy ? -EBUSY : 0;
}

/* Whatever a command waits for, it waits no longer. */
static void rd_leave(struct blkfilter *flt)
{
	struct rd_filter *rd = rd_of(flt);
	struct rd_job *job;

	WRITE_ONCE(rd->leaving, true);
	rd_below_leave(rd);
	job = rd_job_get(rd);
	if (!job)
		return;
	rd_job_end(job, BLKFILTER_REDIRECT_FAILED, -ENODEV);
	rd_job_put(job);
}

static void rd_gone(struct blkfilter *flt)
{
	WRITE_ONCE(rd_of(flt)->gone, true);
	rd_leave(flt);
}

static void rd_deactivate(struct blkfilter *flt, enum blkfilter_reason reason,
			  struct blkfilter *successor)
{
	rd_leave(flt);
}

/* No bio is in the filter any more, nor a command. */
static void rd_detach(struct blkfilter *flt)
{
	struct rd_filter *rd = rd_of(flt);
	struct rd_job *job = rd->job;

	if (job) {
		rd_job_wait(job);
		rd->job = NULL;
		rd_job_put(job);
	}
	rd_below_remove(rd);
	kfree(rd);
}

static struct blkfilter *rd_attach(struct block_device *bdev,
				   const struct blkfilter_attach *how)
{
	struct rd_filter *rd;

	if (how->options_size)
		return ERR_PTR(-EINVAL);
	rd = kzalloc(sizeof(*rd), GFP_KERNEL);
	if (!rd)
		return ERR_PTR(-ENOMEM);
	mutex_init(&rd->control);
	spin_lock_init(&rd->lock);
	return &rd->flt;
}

static struct blkfilter_operations rd_operations = {
	.owner = THIS_MODULE,
	.name = BLKFILTER_REDIRECT,
	.altitude = RD_ALTITUDE,
	.flags = BLKFILTER_NEEDS_POINTS,
	.attach = rd_attach,
	.deactivate = rd_deactivate,
	.detach = rd_detach,
	.query_detach = rd_query_detach,
	.gone = rd_gone,
	.submit_bio = rd_submit_bio,
	.ctl = rd_ctl,
	.point = rd_point_phase,
	.settled = rd_settled,
	.unseen = rd_unseen,
	.resized = rd_resized,
	.changed = rd_changed,
	.state = rd_state,
};

static int __init rd_init(void)
{
	int ret = rd_ios_init();

	rd_steps_init();
	if (ret)
		return ret;
	ret = rd_jobs_init();
	if (ret)
		goto out_ios;
	ret = blkfilter_register(&rd_operations);
	if (ret)
		goto out_jobs;
	return 0;

out_jobs:
	rd_jobs_exit();
out_ios:
	rd_ios_exit();
	return ret;
}

/* Attached nowhere: so there is no job, and nothing on its way. */
static void __exit rd_exit(void)
{
	blkfilter_unregister(&rd_operations);
	rd_belows_wait();
	rd_jobs_exit();
	synchronize_srcu(&rd_senders);
	/*
	 * The last senders and completions may still be on their way out, preempted in some
	 * last instruction of ours: synchronize_rcu() would not wait for that.
	 */
	synchronize_rcu_tasks();
	rd_ios_exit();
}

module_init(rd_init);
module_exit(rd_exit);

MODULE_DESCRIPTION("Puts another block device under a live one, with or without copying it");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
