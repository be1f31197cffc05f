// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pace of copying: what is copied next, how many regions at a time, how fast.  One
 * worker begins copies, and goes on with those that were read; another one watches.
 */
#include "rd.h"

/* How long ago an application's bio may be for the application to be at work. */
#define RD_APP_BUSY		max(HZ / 20, 1)
/* What is copied late for the sake of a rate is made up for, for so long. */
#define RD_RATE_BURST_NS	(100 * NSEC_PER_MSEC)
#define RD_WATCH		HZ
/* The same while somebody waits for a point. */
#define RD_WATCH_HASTY		max(HZ / 10, 1)
/* Regions that are looked at with interrupts off. */
#define RD_LOOK_REGIONS		((u64)1 << 16)

/* --- the worker is called --- */

/* Any context; the job is kept. */
void rd_copy_kick(struct rd_job *job)
{
	mod_delayed_work(job->target_wq, &job->copying, 0);
}

/* Something new is dirty: what else gets dirty now is copied with it.  Under the lock. */
void rd_copy_kick_soon(struct rd_job *job)
{
	job->resting = false;
	mod_delayed_work(job->target_wq, &job->copying, RD_APP_BUSY);
}

/* --- beginning copies --- */

static bool rd_app_is_busy(const struct rd_job *job)
{
	return time_before(jiffies, READ_ONCE(job->app_at) + RD_APP_BUSY);
}

/* How many copies there may be now. */
static u32 rd_copies_allowed(const struct rd_job *job)
{
	/* None while it is cut over: what has become dirty then is for the roll-back. */
	if (!rd_copies(job) ||
	    (job->mode != RD_MIRROR && !rd_fault(RD_COPY_WHILE_DECIDING)))
		return 0;
	if (job->failure || job->quiet || job->paused ||
	    job->flush.lost || job->flush.merging)
		return 0;
	if (rd_fault(RD_CUT_OVER_DIRTY) && job->pending)
		return 0;
	/* Asked carefully whether it is there again. */
	if (job->down)
		return time_after_eq(jiffies, job->retry_at);
	if (rd_app_is_busy(job) && !job->pending)
		return max(job->in_flight / 4, 1U);
	return job->in_flight;
}

static u32 rd_copy_sectors_most(const struct rd_job *job)
{
	u64 most = RD_COPY_SECTORS;

	/* So that a low rate is not a copy in several seconds. */
	if (job->rate)
		most = min(most, job->rate >> SECTOR_SHIFT >> 3);
	return max_t(u64, round_down(most, BIT_ULL(job->shift)),
		     BIT_ULL(job->shift));
}

/* The first dirty region from the cursor on, where no copy is; @end: none before it. */
static u64 rd_find_dirty(struct rd_job *job, u64 end)
{
	u64 region = job->cursor;
	struct rd_range *range;

	for (;;) {
		region = find_next_bit(job->dirty, end, region);
		if (region >= end)
			return end;
		/* Dirty again while it is copied: later. */
		range = rd_range_first(&job->copies, region << job->shift,
				       ((region + 1) << job->shift) - 1);
		if (!range)
			return region;
		region = (range->last >> job->shift) + 1;
	}
}

/* The cursor begins anew. */
static void rd_pass_over(struct rd_job *job)
{
	job->cursor = 0;
	if (!job->pass_failed)
		job->pass = true;
	job->pass_failed = false;
}

enum rd_search {
	RD_FOUND,
	RD_GO_ON,	/* not yet: the lock is to be let go in between */
	RD_NONE,
};

/* A dirty region, or not, among the next that are looked at; under the lock. */
static enum rd_search rd_search_dirty(struct rd_job *job, u64 *region)
{
	u64 end = min(job->cursor + RD_LOOK_REGIONS, job->regions);

	if (!job->nr_dirty) {
		job->pass_failed = false;
		rd_pass_over(job);
		job->barren = 0;
		return RD_NONE;
	}
	*region = rd_find_dirty(job, end);
	if (*region < end) {
		job->barren = 0;
		return RD_FOUND;
	}
	job->barren += end - job->cursor;
	job->cursor = end;
	if (end == job->regions)
		rd_pass_over(job);
	if (job->barren < job->regions + RD_LOOK_REGIONS)
		return RD_GO_ON;
	/* All of them; what is dirty is being copied. */
	job->barren = 0;
	return RD_NONE;
}

/* The range that is to be copied next; under the lock. */
static enum rd_search rd_next_range(struct rd_job *job, struct rd_range *next)
{
	sector_t most = rd_copy_sectors_most(job);
	struct rd_range *range;
	enum rd_search search;
	u64 region, end;

	search = rd_search_dirty(job, &region);
	if (search != RD_FOUND)
		return search;
	end = min(region + (most >> job->shift), job->regions);
	end = find_next_zero_bit(job->dirty, end, region);
	next->first = region << job->shift;
	next->last = min(end << job->shift, job->sectors) - 1;
	range = rd_range_first(&job->copies, next->first, next->last);
	if (range)
		next->last = range->first - 1;
	job->cursor = (next->last >> job->shift) + 1;
	return RD_FOUND;
}

/* Jiffies until the rate allows another copy. */
static unsigned long rd_rate_delay(const struct rd_job *job)
{
	u64 now = ktime_get_ns();

	if (!job->rate || job->pending || now >= job->next_ns)
		return 0;
	return nsecs_to_jiffies(job->next_ns - now) + 1;
}

static void rd_rate_use(struct rd_job *job, sector_t sectors)
{
	u64 now = ktime_get_ns();

	if (!job->rate)
		return;
	job->next_ns = max(job->next_ns, now - RD_RATE_BURST_NS) +
		       mul_u64_u64_div_u64(sectors << SECTOR_SHIFT, NSEC_PER_SEC,
					   job->rate);
}

/* Under the lock.  RD_NONE: nothing to be copied now. */
static enum rd_search rd_copy_begin(struct rd_job *job, struct rd_copy *copy)
{
	enum rd_search search;
	sector_t sectors;

	if (job->nr_active >= rd_copies_allowed(job) || rd_rate_delay(job))
		return RD_NONE;
	search = rd_next_range(job, &copy->range);
	if (search != RD_FOUND)
		return search;
	sectors = copy->range.last + 1 - copy->range.first;
	rd_dirty_clear(job, copy->range.first, copy->range.last);
	rd_range_insert(&copy->range, &job->copies);
	rd_rate_use(job, sectors);
	job->copying_sectors += sectors;
	job->nr_active++;
	job->busy++;
	copy->first_pass = !job->pass;
	job->pass_copies += copy->first_pass;
	copy->state = RD_COPY_WAITING;
	list_add_tail(&copy->link, rd_copy_may_read(job, copy) ? &job->ready :
								 &job->waiting);
	return RD_FOUND;
}

static void rd_copies_begin(struct rd_job *job)
{
	enum rd_search search = RD_FOUND;
	struct rd_copy *copy;

	while (search != RD_NONE) {
		copy = rd_copy_get(job);
		if (!copy)
			return;
		spin_lock_irq(&job->lock);
		search = rd_copy_begin(job, copy);
		spin_unlock_irq(&job->lock);
		if (search != RD_FOUND)
			rd_copy_put(copy);
		rd_copies_go_on(job);
		cond_resched();
	}
}

/* --- the watch --- */

/* Does the target owe an answer for too long? */
static bool rd_copy_is_late(struct rd_job *job)
{
	struct rd_range *range = rd_range_first(&job->copies, 0, job->sectors);
	struct rd_copy *copy;

	for (; range; range = rd_range_next(range, 0, job->sectors)) {
		copy = container_of(range, struct rd_copy, range);
		if (READ_ONCE(copy->state) == RD_COPY_WRITING &&
		    time_after(jiffies, copy->since + rd_target_timeout()))
			return true;
	}
	return false;
}

/* When to look again, at the latest; under the lock. */
static unsigned long rd_next_look(struct rd_job *job)
{
	unsigned long delay = RD_WATCH;

	job->resting = !job->nr_active && !job->nr_dirty;
	/* What else is in the way calls us when it no longer is. */
	if (job->nr_dirty && rd_rate_delay(job))
		delay = min(delay, rd_rate_delay(job));
	if (job->down && time_before(jiffies, job->retry_at))
		delay = min(delay, job->retry_at - jiffies);
	return delay;
}

/*
 * What has happened to the target; under the lock.  Return: 0, or a negative errno: the
 * job is to end.
 */
static int rd_health(struct rd_job *job)
{
	if (rd_target_dead(&job->target))
		return -ENODEV;
	if (rd_copy_is_late(job) || rd_flush_is_late(job))
		rd_target_failed(job, BLK_STS_TIMEOUT);
	rd_flush_was_good(job);
	rd_record_watch(job);
	if (job->down && job->attempts > rd_target_retries())
		job->paused = true;
	return 0;
}

/*
 * Looks after the job from time to time, beside its own workers: they may sleep where
 * they send to a target that does not answer.  Until nothing is on its way any more.
 */
void rd_watch_work(struct work_struct *work)
{
	struct rd_job *job = container_of(to_delayed_work(work), struct rd_job,
					  watch);
	unsigned long delay;
	int failure = 0;
	bool over, ends;

	rd_mirror_late(job);
	spin_lock_irq(&job->lock);
	ends = job->end;
	over = job->mode == RD_REDIRECT || (ends && !job->busy);
	if (!over && !ends)
		failure = rd_health(job);
	delay = job->hasty ? RD_WATCH_HASTY : RD_WATCH;
	spin_unlock_irq(&job->lock);
	if (over)
		return;
	if (failure)
		rd_job_end(job, BLKFILTER_REDIRECT_FAILED, failure);
	rd_job_update(job);
	queue_delayed_work(rd_watch_wq, &job->watch, delay);
}

void rd_watch_begin(struct rd_job *job)
{
	queue_delayed_work(rd_watch_wq, &job->watch, RD_WATCH);
}

/* Nobody has the patience to wait for its next time.  Any context; the job is kept. */
void rd_watch_now(struct rd_job *job)
{
	mod_delayed_work(rd_watch_wq, &job->watch, 0);
}

/* --- the worker --- */

/* Is the target to be flushed now?  Under the lock. */
static bool rd_wants_flush(const struct rd_job *job)
{
	const struct rd_flush *flush = &job->flush;

	if (job->quiet)
		return false;
	/* Nothing is there to be copied: so it is asked whether it is there again. */
	if (job->down)
		return !job->nr_dirty && !job->nr_active &&
		       time_after_eq(jiffies, job->retry_at);
	return flush->some &&
	       time_after_eq(jiffies, flush->since + rd_flush_interval());
}

/* What follows from what the copies have come to. */
static void rd_look_after(struct rd_job *job)
{
	unsigned long delay;
	int failure;

	spin_lock_irq(&job->lock);
	if (job->end || job->mode != RD_MIRROR) {
		spin_unlock_irq(&job->lock);
		return;
	}
	failure = job->failure;
	if (rd_wants_flush(job))
		rd_flush_begin(job);
	delay = rd_next_look(job);
	spin_unlock_irq(&job->lock);
	if (failure) {
		rd_job_end(job, BLKFILTER_REDIRECT_FAILED, failure);
		return;
	}
	rd_job_update(job);
	queue_delayed_work(job->target_wq, &job->copying, delay);
}

/* Everything that is to be done for the copies. */
void rd_copy_work(struct work_struct *work)
{
	struct rd_job *job = container_of(to_delayed_work(work), struct rd_job,
					  copying);
	struct blk_plug plug;

	if (!READ_ONCE(job->dirty) || READ_ONCE(job->mode) == RD_REDIRECT)
		return;
	rd_flush_merge(job);
	blk_start_plug(&plug);
	rd_copies_go_on(job);
	rd_copies_begin(job);
	blk_finish_plug(&plug);
	rd_look_after(job);
}
