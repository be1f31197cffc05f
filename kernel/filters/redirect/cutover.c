// SPDX-License-Identifier: GPL-2.0-only
/*
 * From copying to redirecting.
 *
 * What is dirty is copied first, with writes going to both, until nothing is left.  Then a
 * point: at its instant nothing is on its way, and source and target are the same.
 * From there on writes are held in the filter, while the target is flushed; reads
 * go to the source, which nobody changes.  The record is written once more, so that one that
 * cannot be written is found while it is certain what it says, and then says that the target
 * is the current one.  If all went well the writes that were held go to the target, and
 * so does everything else; if not, they go on as before.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include "rd.h"

#define RD_LIMIT_MS	1000
#define RD_WAIT_MS	60000
#define RD_LIMIT_MOST	(24 * 60 * 60 * 1000U)
/* Between two tries: the gate was closed in vain. */
#define RD_TRY_AGAIN_MS	50

/* --- until nothing is dirty --- */

/*
 * Under the lock: source and target are the same, as soon as no write is on its way;
 * none is that waits for the target alone.
 */
bool rd_is_clean(const struct rd_job *job)
{
	return (!job->nr_dirty || rd_fault(RD_CUT_OVER_DIRTY)) &&
	       RB_EMPTY_ROOT(&job->copies.rb_root) &&
	       !job->flush.lost && !job->flush.merging && !job->late &&
	       !job->down && !job->failure;
}

static bool rd_wait_is_over(struct rd_filter *rd, struct rd_job *job)
{
	bool over;

	spin_lock_irq(&job->lock);
	over = rd_is_clean(job) || job->end || job->paused || !job->pending ||
	       READ_ONCE(rd->leaving);
	spin_unlock_irq(&job->lock);
	return over;
}

/* Return: 0, or why there is no use in waiting. */
static int rd_wait_clean(struct rd_filter *rd, struct rd_job *job, ktime_t until)
{
	s64 left = ktime_ms_delta(until, ktime_get());
	long ret;

	if (left <= 0)
		return -ETIMEDOUT;
	if (signal_pending(current))
		return -EINTR;
	rd_copy_kick(job);
	ret = wait_event_interruptible_timeout(job->wait,
					       rd_wait_is_over(rd, job),
					       msecs_to_jiffies(left) + 1);
	if (ret < 0)
		return -EINTR;
	if (!ret)
		return -ETIMEDOUT;
	spin_lock_irq(&job->lock);
	ret = job->end || job->paused || !job->pending ? -ECANCELED : 0;
	spin_unlock_irq(&job->lock);
	return READ_ONCE(rd->leaving) ? -ENODEV : ret;
}

/* --- the instant --- */

static int rd_instant_hold(struct rd_filter *rd)
{
	struct rd_job *job = rd->job;
	int ret = 0;

	spin_lock_irq(&job->lock);
	if (job->mode != RD_MIRROR || rd_leaves_alone(job))
		ret = -ECANCELED;
	else if (!rd_is_clean(job) || !RB_EMPTY_ROOT(&job->writes.rb_root))
		ret = -EAGAIN;
	else
		WRITE_ONCE(job->mode, RD_HOLD);
	spin_unlock_irq(&job->lock);
	return ret;
}

/* From here on nobody but us decides where it goes. */
static int rd_decide_begin(struct rd_job *job)
{
	int ret = 0;

	spin_lock_irq(&job->lock);
	if (job->mode != RD_HOLD || job->paused) {
		ret = -ECANCELED;
	} else if (!rd_is_clean(job)) {
		ret = -EAGAIN;
	} else {
		job->record.open = false;
		WRITE_ONCE(job->mode, RD_DECIDE);
	}
	spin_unlock_irq(&job->lock);
	return ret;
}

/* What is on the target is all there, and the record can be written, and says so. */
static int rd_settle(struct rd_job *job, u32 limit_ms)
{
	bool recorded = job->record.kept;
	int ret = rd_flush_target(job, limit_ms);

	if (!ret && recorded)
		ret = rd_record_write(job, 0, msecs_to_jiffies(limit_ms));
	ret = ret ?: rd_decide_begin(job);
	if (!ret && recorded)
		ret = rd_record_redirect(job);
	return ret;
}

/* What was held goes to the target, for good; or on as before. */
static int rd_decide(struct rd_job *job, int ret, ktime_t since)
{
	switch (rd_let_go(job, ret ? RD_MIRROR : RD_REDIRECT)) {
	case RD_REDIRECT:
		WRITE_ONCE(job->held_ns,
			   ktime_to_ns(ktime_sub(ktime_get(), since)));
		return 0;
	case RD_MIRROR:
		if (READ_ONCE(job->paused))
			return -ECANCELED;
		return ret ?: -EAGAIN;
	default:
		return -ECANCELED;
	}
}

static bool rd_is_clean_now(struct rd_job *job)
{
	bool clean;

	spin_lock_irq(&job->lock);
	clean = rd_is_clean(job);
	spin_unlock_irq(&job->lock);
	return clean;
}

/* Return: -EAGAIN: something was written in between. */
static int rd_cutover_try(struct rd_filter *rd, struct rd_job *job, u32 limit_ms)
{
	ktime_t since;
	int ret;

	/* What the target has to do for it, it does now, with all gates open. */
	ret = rd_flush_target(job, limit_ms);
	if (!ret && !rd_is_clean_now(job))
		return -EAGAIN;
	ret = ret ?: rd_point(rd, rd_instant_hold, limit_ms, false);
	if (ret)
		return ret;
	since = ktime_get();
	return rd_decide(job, rd_settle(job, limit_ms), since);
}

/* --- the command --- */

static int rd_cutover_begin(struct rd_job *job)
{
	int ret = -EINVAL;

	spin_lock_irq(&job->lock);
	if (job->state == BLKFILTER_REDIRECT_READY && !job->end) {
		job->pending = true;
		ret = 0;
	}
	spin_unlock_irq(&job->lock);
	rd_job_update(job);
	return ret;
}

/* It copies no more: what it needed for that goes. */
static void rd_copying_over(struct rd_job *job)
{
	unsigned long *dirty;

	cancel_delayed_work_sync(&job->copying);
	cancel_delayed_work_sync(&job->watch);
	cancel_delayed_work_sync(&job->record.sweeping);
	flush_work(&job->flush.work);
	rd_copies_free(job);
	rd_flush_free(job);
	spin_lock_irq(&job->lock);
	dirty = job->dirty;
	WRITE_ONCE(job->dirty, NULL);
	spin_unlock_irq(&job->lock);
	kvfree(dirty);
}

/*
 * rd_cutover() - see BLKFILTER_REDIRECT_CUTOVER
 *
 * Under rd_filter.control, in a command.
 */
int rd_cutover(struct rd_filter *rd, struct rd_job *job, u32 limit_ms,
	       u32 wait_ms)
{
	ktime_t until = ktime_add_ms(ktime_get(), wait_ms ?: RD_WAIT_MS);
	int ret = rd_cutover_begin(job);

	if (ret)
		return ret;
	limit_ms = min(limit_ms ?: RD_LIMIT_MS, RD_LIMIT_MOST);
	for (;;) {
		ret = rd_wait_clean(rd, job, until);
		ret = ret ?: rd_cutover_try(rd, job, limit_ms);
		if (ret != -EAGAIN)
			break;
		schedule_timeout_killable(msecs_to_jiffies(RD_TRY_AGAIN_MS));
	}
	spin_lock_irq(&job->lock);
	job->pending = false;
	spin_unlock_irq(&job->lock);
	rd_job_update(job);
	if (ret)
		rd_copy_kick(job);
	else
		rd_copying_over(job);
	return ret;
}
