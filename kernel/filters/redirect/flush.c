// SPDX-License-Identifier: GPL-2.0-only
/*
 * Flushes of the target, and what its cache may lose.
 *
 * What a target with a volatile cache has acknowledged it may lose all the same, until it
 * has been flushed.  So regions that were written to are loose until a flush has covered
 * them; one is sent from time to time.  Whenever the target fails, its flush included,
 * what is loose is dirty, and is copied once more; and what the last flush has covered: the
 * target may have lost its cache before it, had nothing to flush, and said so only later,
 * by what was sent before the flush had ended.  One that loses its cache without any failure
 * being seen loses the data of a file system as well.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include "rd.h"

/* Words of the maps that are looked at with interrupts off. */
#define RD_MERGE_WORDS	1024

/* The maps, where they are needed.  Return: 0 or -ENOMEM. */
int rd_flush_init(struct rd_job *job)
{
	struct rd_flush *flush = &job->flush;
	size_t words = BITS_TO_LONGS(job->regions);

	if (!bdev_write_cache(job->target.bdev))
		return 0;
	flush->loose = kvcalloc(words, sizeof(long), GFP_KERNEL);
	flush->covered = kvcalloc(words, sizeof(long), GFP_KERNEL);
	return flush->loose && flush->covered ? 0 : -ENOMEM;
}

/* Nothing is copied any more, nor flushed. */
void rd_flush_free(struct rd_job *job)
{
	struct rd_flush *flush = &job->flush;
	unsigned long *loose, *covered;

	spin_lock_irq(&job->lock);
	loose = flush->loose;
	covered = flush->covered;
	flush->loose = NULL;
	flush->covered = NULL;
	spin_unlock_irq(&job->lock);
	kvfree(loose);
	kvfree(covered);
}

/* The target has acknowledged it.  Under the lock. */
void rd_loosen(struct rd_job *job, const struct rd_range *range)
{
	if (!job->flush.loose)
		return;
	rd_regions_set(job, job->flush.loose, range->first, range->last);
	job->flush.some = true;
}

/* --- a flush --- */

/*
 * rd_flush_begin() - sends one
 *
 * Under the lock.  Return: false: one is under way, the target is left alone, or what it
 * may have lost is not dirty yet.
 */
bool rd_flush_begin(struct rd_job *job)
{
	struct rd_flush *flush = &job->flush;

	if (rd_flushes(job) || rd_leaves_alone(job) || flush->lost ||
	    flush->merging)
		return false;
	flush->begun++;
	flush->since = jiffies;
	flush->wanted = false;
	job->busy++;
	queue_work(job->target_wq, &flush->work);
	return true;
}

static void rd_flush_end(struct bio *bio)
{
	struct rd_job *job = bio->bi_private;
	blk_status_t status = bio->bi_status;
	unsigned long flags;

	bio_uninit(bio);
	spin_lock_irqsave(&job->lock, flags);
	job->flush.ended++;
	job->flush.ended_at = jiffies;
	job->flush.doubt = true;
	job->flush.error = blk_status_to_errno(status);
	if (status)
		rd_target_failed(job, status);
	else
		rd_target_answered(job);
	if (job->flush.wanted)
		rd_flush_begin(job);
	job->busy--;
	wake_up_all(&job->wait);
	spin_unlock_irqrestore(&job->lock, flags);
}

/* Is something on its way to the target that was sent before the last flush had ended? */
static bool rd_flush_in_doubt(struct rd_job *job)
{
	struct rd_io *io = list_first_entry_or_null(&job->both, struct rd_io, link);
	struct rd_range *range = rd_range_first(&job->copies, 0, job->sectors);
	unsigned long ended_at = job->flush.ended_at;
	struct rd_copy *copy;

	if (job->flush.lost || job->flush.merging ||
	    (io && time_before_eq(io->since, ended_at)))
		return true;
	if (job->record.busy && rd_record_is_on_target(job) &&
	    time_before_eq(job->record.since, ended_at))
		return true;
	for (; range; range = rd_range_next(range, 0, job->sectors)) {
		copy = container_of(range, struct rd_copy, range);
		/* Pairs with rd_copy_send_write(). */
		if (smp_load_acquire(&copy->state) == RD_COPY_WRITING &&
		    time_before_eq(copy->since, ended_at))
			return true;
	}
	return false;
}

/*
 * rd_flush_was_good() - is the last flush known to have been good?
 *
 * What was on its way meanwhile has said so.  Looked at from time to time; under the lock.
 */
bool rd_flush_was_good(struct rd_job *job)
{
	if (job->flush.doubt && !rd_flush_in_doubt(job))
		job->flush.doubt = false;
	return !job->flush.doubt;
}

/*
 * The next flush covers what is loose.  What becomes loose meanwhile may be covered, too; it
 * was acknowledged before the flush is sent.
 */
static void rd_flush_cover(struct rd_job *job)
{
	size_t words = BITS_TO_LONGS(job->regions), at = 0, end;
	struct rd_flush *flush = &job->flush;
	bool keep;

	spin_lock_irq(&job->lock);
	flush->some = false;
	keep = !rd_flush_was_good(job);
	while (flush->loose && at < words) {
		for (end = min(at + RD_MERGE_WORDS, words); at < end; at++) {
			if (!keep)
				flush->covered[at] = 0;
			flush->covered[at] |= flush->loose[at];
			flush->loose[at] = 0;
		}
		spin_unlock_irq(&job->lock);
		cond_resched();
		spin_lock_irq(&job->lock);
	}
	spin_unlock_irq(&job->lock);
}

/* The target may make its sender sleep: not the one who counts the time. */
void rd_flush_work(struct work_struct *work)
{
	struct rd_flush *flush = container_of(work, struct rd_flush, work);
	struct rd_job *job = container_of(flush, struct rd_job, flush);

	rd_flush_cover(job);
	bio_init(&flush->bio, job->target.bdev, NULL, 0,
		 REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	flush->bio.bi_private = job;
	flush->bio.bi_end_io = rd_flush_end;
	blkfilter_submit_uncounted(job->flt, &flush->bio);
}

/* Does the target owe its end for too long?  Under the lock. */
bool rd_flush_is_late(const struct rd_job *job)
{
	return rd_flushes(job) &&
	       time_after(jiffies, job->flush.since + rd_target_timeout());
}

/* --- waiting for one --- */

static bool rd_flush_has_ended(const struct rd_job *job, u32 which)
{
	return (s32)(job->flush.ended - which) >= 0;
}

static bool rd_flush_wait_is_over(struct rd_job *job, u32 which)
{
	bool over;

	spin_lock_irq(&job->lock);
	over = rd_flush_has_ended(job, which) || !rd_flushes(job) ||
	       rd_leaves_alone(job);
	spin_unlock_irq(&job->lock);
	return over;
}

/*
 * rd_flush_target() - what the target has acknowledged until now is on stable storage
 *
 * At a cut-over.  Return: 0; the target's error; -ETIMEDOUT; -EINTR; -ECANCELED when the
 * job ends or pauses; -EAGAIN: it has failed meanwhile.
 */
int rd_flush_target(struct rd_job *job, u32 limit_ms)
{
	unsigned long limit = msecs_to_jiffies(limit_ms);
	struct rd_flush *flush = &job->flush;
	bool begins;
	u32 which;
	long ret;

	spin_lock_irq(&job->lock);
	/* One that is under way may not cover everything. */
	which = flush->begun + 1;
	begins = rd_flush_begin(job);
	if (!begins && rd_flushes(job)) {
		flush->wanted = true;
		begins = true;
	}
	spin_unlock_irq(&job->lock);
	if (!begins)
		return -EAGAIN;
	ret = wait_event_interruptible_timeout(job->wait,
					       rd_flush_wait_is_over(job, which),
					       limit);
	if (ret <= 0)
		return ret ? -EINTR : -ETIMEDOUT;
	spin_lock_irq(&job->lock);
	if (rd_flush_has_ended(job, which))
		ret = flush->error;
	else
		ret = rd_leaves_alone(job) ? -ECANCELED : -EAGAIN;
	spin_unlock_irq(&job->lock);
	return ret;
}

/* --- the target has failed --- */

/* Under the lock. */
static void rd_merge_words(struct rd_job *job, size_t at, size_t end)
{
	unsigned long *loose = job->flush.loose, *covered = job->flush.covered;
	bool doubt = job->flush.doubt && !rd_fault(RD_FORGET_COVERED);
	bool all = doubt || rd_flushes(job) || job->flush.error;
	u64 more = 0;

	for (; at < end; at++) {
		unsigned long mask = loose[at] | (all ? covered[at] : 0);

		mask &= ~job->dirty[at];
		more += hweight_long(mask);
		job->dirty[at] |= mask;
		loose[at] = 0;
		covered[at] = 0;
	}
	job->nr_dirty += more;
	job->count.dirtied += more << (job->shift + SECTOR_SHIFT);
}

/* rd_flush_merge() - what the target may have lost is dirty; in the copies' worker */
void rd_flush_merge(struct rd_job *job)
{
	size_t words = BITS_TO_LONGS(job->regions), at = 0;
	struct rd_flush *flush = &job->flush;

	spin_lock_irq(&job->lock);
	while (flush->lost && rd_copies(job)) {
		flush->lost = false;
		flush->merging = true;
		for (at = 0; at < words; at += RD_MERGE_WORDS) {
			rd_merge_words(job, at, min(at + RD_MERGE_WORDS, words));
			spin_unlock_irq(&job->lock);
			cond_resched();
			spin_lock_irq(&job->lock);
		}
		flush->merging = false;
		wake_up_all(&job->wait);
	}
	spin_unlock_irq(&job->lock);
}
