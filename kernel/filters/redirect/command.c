// SPDX-License-Identifier: GPL-2.0-only
/*
 * What userspace asks for: <linux/blkfilter-redirect.h>.  The core has seen to
 * CAP_SYS_ADMIN.
 */
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include "rd.h"

/* Bytes of the smallest argument that was ever published. */
#define RD_START_OLDEST		80

/* --- start --- */

static int rd_start_check(const struct blkfilter_redirect_start *start)
{
	u32 place = start->flags & (BLKFILTER_REDIRECT_NO_RECORD |
				    BLKFILTER_REDIRECT_RECORD);

	if (start->flags & ~(BLKFILTER_REDIRECT_NO_RECORD |
			     BLKFILTER_REDIRECT_RECORD |
			     BLKFILTER_REDIRECT_CONTINUE |
			     BLKFILTER_REDIRECT_INTERPOSE |
			     BLKFILTER_REDIRECT_NO_ATOMIC) ||
	    start->reserved || start->reserved2 ||
	    hweight32(place) > 1 ||
	    (start->flags & BLKFILTER_REDIRECT_CONTINUE &&
	     start->flags & BLKFILTER_REDIRECT_NO_RECORD) ||
	    (start->mode == BLKFILTER_REDIRECT_ONLY &&
	     start->flags & (BLKFILTER_REDIRECT_RECORD |
			     BLKFILTER_REDIRECT_CONTINUE)) ||
	    (start->flags & BLKFILTER_REDIRECT_INTERPOSE &&
	     (start->mode != BLKFILTER_REDIRECT_ONLY || start->sectors)) ||
	    start->mode > BLKFILTER_REDIRECT_BACKGROUND ||
	    start->in_flight > RD_IN_FLIGHT_MOST ||
	    !memchr_inv(start->id, 0, sizeof(start->id)))
		return -EINVAL;
	return 0;
}

/* Under rd_filter.control. */
static int rd_start(struct rd_filter *rd, struct blkfilter_redirect_start *start)
{
	struct rd_job *job = rd_job_get(rd);
	bool busy;
	int ret;

	if (job) {
		busy = !rd_job_is_over(job);
		rd_job_put(job);
		if (busy)
			return -EBUSY;
	}
	/* It would not see what is written there. */
	if (rd->below && start->mode != BLKFILTER_REDIRECT_ONLY)
		return -EBUSY;
	if (!READ_ONCE(rd->settled))
		return -EAGAIN;
	job = rd_job_new(rd, start);
	if (IS_ERR(job))
		return PTR_ERR(job);
	ret = rd_job_start(rd, job, start->limit_ms);
	return ret == -EUCLEAN ?
	       rd_refuse(&start->refused, BLKFILTER_REDIRECT_RECORD_WRITTEN, ret) :
	       ret;
}

static int rd_ctl_start(struct rd_filter *rd, u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_start start;
	int ret = blkfilter_copy_in_grown(&start, RD_START_OLDEST, sizeof(start),
					  buf, *plen);

	if (ret)
		return ret;
	start.refused = BLKFILTER_REDIRECT_NOT_REFUSED;
	ret = rd_start_check(&start);
	if (ret)
		return ret;
	if (mutex_lock_killable(&rd->control))
		return -EINTR;
	ret = rd_start(rd, &start);
	mutex_unlock(&rd->control);
	return blkfilter_copy_out(buf, plen, &start,
				  min_t(size_t, start.size, sizeof(start))) ?: ret;
}

/* --- what is done to a migration that copies --- */

static int rd_set(struct rd_job *job, const struct blkfilter_redirect_set *set)
{
	if (!rd_copies(job))
		return -ENOENT;
	if (set->flags & BLKFILTER_REDIRECT_SET_RATE) {
		job->rate = set->rate;
		job->next_ns = 0;
	}
	if (set->flags & BLKFILTER_REDIRECT_SET_IN_FLIGHT)
		job->in_flight = set->in_flight;
	if (set->flags & BLKFILTER_REDIRECT_SET_MODE)
		job->blocking = set->mode == BLKFILTER_REDIRECT_WRITE_BLOCKING;
	return 0;
}

static int rd_ctl_set(struct rd_job *job, u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_set set;
	int ret = blkfilter_copy_in(&set, sizeof(set), buf, *plen);

	if (ret)
		return ret;
	if (set.flags & ~(BLKFILTER_REDIRECT_SET_RATE |
			  BLKFILTER_REDIRECT_SET_IN_FLIGHT |
			  BLKFILTER_REDIRECT_SET_MODE))
		return -EINVAL;
	if (set.flags & BLKFILTER_REDIRECT_SET_IN_FLIGHT &&
	    (!set.in_flight || set.in_flight > RD_IN_FLIGHT_MOST))
		return -EINVAL;
	if (set.flags & BLKFILTER_REDIRECT_SET_MODE &&
	    set.mode != BLKFILTER_REDIRECT_WRITE_BLOCKING &&
	    set.mode != BLKFILTER_REDIRECT_BACKGROUND)
		return -EINVAL;
	spin_lock_irq(&job->lock);
	ret = rd_set(job, &set);
	spin_unlock_irq(&job->lock);
	if (!ret)
		rd_copy_kick(job);
	*plen = 0;
	return ret;
}

/* Nothing is on its way to the target, or soon not of the filter's concern. */
static bool rd_target_has_peace(struct rd_job *job)
{
	bool peace;

	spin_lock_irq(&job->lock);
	peace = !job->paused || job->end ||
		(RB_EMPTY_ROOT(&job->copies.rb_root) && list_empty(&job->both) &&
		 !rd_flushes(job));
	spin_unlock_irq(&job->lock);
	return peace;
}

/* It is paused already; returns when the target has peace, if that comes in time. */
static int rd_wait_for_peace(struct rd_job *job)
{
	long ret = wait_event_killable_timeout(job->wait,
					       rd_target_has_peace(job),
					       rd_target_timeout());

	if (ret < 0)
		return -EINTR;
	return ret ? 0 : -ETIMEDOUT;
}

static int rd_pause(struct rd_job *job, bool pause)
{
	int ret = 0;

	spin_lock_irq(&job->lock);
	if (pause && job->mode == RD_DECIDE) {
		ret = -EBUSY;
	} else if (!rd_copies(job) || job->paused == pause) {
		ret = -EINVAL;
	} else if (pause) {
		WRITE_ONCE(job->paused, true);
		rd_release_waiters(job);
		/* Pairs with rd_source_end(). */
		smp_mb();
		rd_watch_now(job);
		wake_up_all(&job->wait);
	} else {
		WRITE_ONCE(job->paused, false);
		job->down = false;
		job->attempts = 0;
		job->error = 0;
	}
	spin_unlock_irq(&job->lock);
	if (ret)
		return ret;
	rd_job_update(job);
	rd_copy_kick(job);
	return pause ? rd_wait_for_peace(job) : 0;
}

/* Returns when it is over, however it ended. */
static int rd_wait_over(struct rd_job *job)
{
	return wait_event_killable(job->wait, rd_job_is_over(job)) ? -EINTR : 0;
}

static int rd_cancel(struct rd_job *job)
{
	if (!rd_job_end(job, BLKFILTER_REDIRECT_CONCLUDED, 0))
		return -EBUSY;
	return rd_wait_over(job);
}

/* --- the end of a redirect --- */

/*
 * No bio is on its way; what comes now goes to the source.  Whoever has opened it until
 * now may have seen the target's data, and would go on with the source's; but for what
 * was interposed, whose data the source has.
 */
static int rd_instant_finish(struct rd_filter *rd)
{
	struct rd_job *job = rd->job;
	int ret = 0;

	spin_lock_irq(&job->lock);
	if (!rd->interposed && rd_source_is_open(job))
		ret = -EBUSY;
	else if (!job->end)
		rd_job_ends(job, BLKFILTER_REDIRECT_CONCLUDED, 0);
	if (!ret)
		WRITE_ONCE(rd->interposed, false);
	spin_unlock_irq(&job->lock);
	return ret;
}

static int rd_finish(struct rd_filter *rd, struct rd_job *job, u32 flags)
{
	bool interposed = job->target.interposed;
	bool freeze = interposed && !(flags & BLKFILTER_REDIRECT_NO_FREEZE);
	int ret;

	if (READ_ONCE(job->mode) != RD_REDIRECT || (flags && !interposed))
		return -EINVAL;
	if (!interposed && !rd_job_detachable(job))
		return -EBUSY;
	ret = rd_point(rd, rd_instant_finish, 0, freeze);
	return ret ?: rd_wait_over(job);
}

/* --- those without anything to say --- */

static int rd_plain(struct rd_filter *rd, struct rd_job *job, unsigned int cmd,
		    u32 flags)
{
	int ret;

	switch (cmd) {
	case BLKFILTER_REDIRECT_PAUSE:
		return rd_pause(job, true);
	case BLKFILTER_REDIRECT_RESUME:
		return rd_pause(job, false);
	case BLKFILTER_REDIRECT_CANCEL:
		return rd_cancel(job);
	default:
		if (mutex_lock_killable(&rd->control))
			return -EINTR;
		ret = rd_finish(rd, job, flags);
		mutex_unlock(&rd->control);
		return ret;
	}
}

static int rd_ctl_plain(struct rd_filter *rd, struct rd_job *job,
			unsigned int cmd, u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_plain plain;
	int ret = blkfilter_copy_in(&plain, sizeof(plain), buf, *plen);

	if (ret)
		return ret;
	if (plain.flags & ~(cmd == BLKFILTER_REDIRECT_FINISH ?
			    BLKFILTER_REDIRECT_NO_FREEZE : 0U))
		return -EINVAL;
	*plen = 0;
	return rd_plain(rd, job, cmd, plain.flags);
}

static int rd_ctl_cutover(struct rd_filter *rd, struct rd_job *job,
			  u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_cutover cutover;
	int ret = blkfilter_copy_in(&cutover, sizeof(cutover), buf, *plen);

	if (ret)
		return ret;
	if (cutover.flags)
		return -EINVAL;
	if (mutex_lock_killable(&rd->control))
		return -EINTR;
	ret = rd_cutover(rd, job, cutover.limit_ms, cutover.wait_ms);
	mutex_unlock(&rd->control);
	cutover.held_ns = READ_ONCE(job->held_ns);
	return ret ?: blkfilter_copy_out(buf, plen, &cutover, sizeof(cutover));
}

static int rd_ctl_verify(struct rd_job *job, u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_verify verify;
	int ret = blkfilter_copy_in(&verify, sizeof(verify), buf, *plen);

	if (ret)
		return ret;
	if (verify.flags || verify.sector > job->sectors)
		return -EINVAL;
	verify.different = U64_MAX;
	verify.compared = 0;
	verify.skipped = 0;
	ret = rd_verify(job, &verify);
	return blkfilter_copy_out(buf, plen, &verify, sizeof(verify)) ?: ret;
}

static int rd_ctl_job(struct rd_filter *rd, struct rd_job *job, unsigned int cmd,
		      u8 __user *buf, u32 *plen)
{
	switch (cmd) {
	case BLKFILTER_REDIRECT_SET:
		return rd_ctl_set(job, buf, plen);
	case BLKFILTER_REDIRECT_PAUSE:
	case BLKFILTER_REDIRECT_RESUME:
	case BLKFILTER_REDIRECT_CANCEL:
	case BLKFILTER_REDIRECT_FINISH:
		return rd_ctl_plain(rd, job, cmd, buf, plen);
	case BLKFILTER_REDIRECT_CUTOVER:
		return rd_ctl_cutover(rd, job, buf, plen);
	case BLKFILTER_REDIRECT_VERIFY:
		return rd_ctl_verify(job, buf, plen);
	default:
		return -ENOTTY;
	}
}

int rd_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf, u32 *plen)
{
	struct rd_filter *rd = rd_of(flt);
	struct rd_job *job;
	int ret;

	switch (cmd) {
	case BLKFILTER_REDIRECT_START:
		return rd_ctl_start(rd, buf, plen);
	case BLKFILTER_REDIRECT_STATUS:
		return rd_ctl_status(rd, buf, plen);
	case BLKFILTER_REDIRECT_BELOW:
		return rd_ctl_below(rd, buf, plen);
	default:
		job = rd_job_get(rd);
		if (!job)
			return -ENOENT;
		ret = rd_ctl_job(rd, job, cmd, buf, plen);
		rd_job_put(job);
		return ret;
	}
}
