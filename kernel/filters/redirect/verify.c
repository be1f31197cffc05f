// SPDX-License-Identifier: GPL-2.0-only
/*
 * Both sides are compared, range by range, while the application goes on.
 *
 * The range is held as a copy's is, so in mode write-blocking nothing writes to it
 * meanwhile: what differs then, differs.  In background mode, and while the target is
 * left alone, writes go on; but they make dirty what they touch before they reach the
 * source, so a range that is still clean after the second read was not written to.
 */
#include <linux/completion.h>
#include <linux/sched/signal.h>
#include "rd.h"

/* What is compared, and with what. */
struct rd_pair {
	struct rd_copy *source;		/* holds the range */
	struct rd_copy *target;
};

/* Under the lock: is there something to compare, and time for it? */
static int rd_comparable(const struct rd_job *job)
{
	if (!rd_copies(job) || job->mode != RD_MIRROR)
		return -EINVAL;
	if (job->pending || job->paused)
		return -EBUSY;
	return job->quiet ? -EAGAIN : 0;
}

static bool rd_dirty_at(const struct rd_job *job, sector_t sector)
{
	return rd_dirty_all(job, sector, sector) ||
	       rd_range_first((struct rb_root_cached *)&job->copies, sector,
			      sector);
}

/* Sectors from @first on that are, or are not, to be copied; under the lock. */
static sector_t rd_run(const struct rd_job *job, sector_t first, sector_t end,
		       bool dirty)
{
	sector_t sector = first;

	end = min(end, first + RD_COPY_SECTORS);
	do
		sector = (sector | (BIT_ULL(job->shift) - 1)) + 1;
	while (sector < end && rd_dirty_at(job, sector) == dirty);
	return min(sector, end) - first;
}

/* The range is ours, as if it were copied; under the lock.  False: wait for writes. */
static bool rd_pair_begin(struct rd_job *job, struct rd_copy *copy,
			  sector_t first, sector_t sectors)
{
	copy->range.first = first;
	copy->range.last = first + sectors - 1;
	copy->state = RD_COPY_WAITING;
	rd_range_insert(&copy->range, &job->copies);
	job->busy++;
	if (rd_copy_may_read(job, copy)) {
		INIT_LIST_HEAD(&copy->link);
		return true;
	}
	list_add_tail(&copy->link, &job->waiting);
	return false;
}

/* Under the lock. */
static void rd_pair_end(struct rd_job *job, struct rd_copy *copy)
{
	rd_range_remove(&copy->range, &job->copies);
	rd_copy_let_waiters_go(copy);
	job->busy--;
	if (rd_leaves_alone(job) || job->pending)
		wake_up_all(&job->wait);
}

static void rd_read_done(struct bio *bio)
{
	complete(bio->bi_private);
}

/* Reads the range from both; waits for it. */
static int rd_pair_read(struct rd_job *job, struct rd_pair *pair)
{
	DECLARE_COMPLETION_ONSTACK(source_done);
	DECLARE_COMPLETION_ONSTACK(target_done);
	struct rd_copy *source = pair->source, *target = pair->target;
	int ret;

	target->range = source->range;
	rd_copy_bio(source, job->target.source->part0, REQ_OP_READ,
		    job->start + source->range.first);
	rd_copy_bio(target, job->target.bdev, REQ_OP_READ,
		    job->target.first + source->range.first);
	source->bio.bi_end_io = rd_read_done;
	source->bio.bi_private = &source_done;
	target->bio.bi_end_io = rd_read_done;
	target->bio.bi_private = &target_done;
	/* The watch looks after it from here on. */
	source->since = jiffies;
	/* Pairs with rd_flush_in_doubt(). */
	smp_store_release(&source->state, RD_COPY_WRITING);
	blkfilter_submit_below(job->flt, &source->bio);
	blkfilter_submit_uncounted(job->flt, &target->bio);
	wait_for_completion_io(&source_done);
	wait_for_completion_io(&target_done);
	ret = source->bio.bi_status || target->bio.bi_status ? -EIO : 0;
	bio_uninit(&source->bio);
	bio_uninit(&target->bio);
	return ret;
}

/* The first sector of the range that differs, counted from its beginning; -1: none. */
static s64 rd_pair_differs(const struct rd_pair *pair)
{
	u32 bytes = rd_copy_bytes(pair->source), at = 0;

	/* The pages of the two may be of different sizes: page by page. */
	for (; at < bytes; at += SECTOR_SIZE) {
		const struct bio_vec *s = pair->source->vec;
		const struct bio_vec *t = pair->target->vec;
		u32 n = s->bv_len, m = t->bv_len;

		if (memcmp(page_address(s[at / n].bv_page) + at % n,
			   page_address(t[at / m].bv_page) + at % m,
			   SECTOR_SIZE))
			return at >> SECTOR_SHIFT;
	}
	return -1;
}

/* One range; it is ours. */
static int rd_pair_compare(struct rd_job *job, struct rd_pair *pair,
			   struct blkfilter_redirect_verify *verify)
{
	const struct rd_range *range = &pair->source->range;
	sector_t sector = range->first, sectors = range->last + 1 - range->first;
	int ret = rd_pair_read(job, pair);
	bool clean = true;
	s64 at = -1;

	if (!ret)
		at = rd_pair_differs(pair);
	spin_lock_irq(&job->lock);
	if (pair->target->bio.bi_status)
		rd_target_failed(job, pair->target->bio.bi_status);
	for (; sector <= range->last && clean;
	     sector = (sector | (BIT_ULL(job->shift) - 1)) + 1)
		clean = !rd_dirty_all(job, sector, sector);
	/* What was at work at the beginning makes it dirty when it completes. */
	if (rd_range_first(&job->writes, range->first, range->last))
		clean = false;
	rd_pair_end(job, pair->source);
	spin_unlock_irq(&job->lock);
	if (ret)
		return ret;
	if (at >= 0 && clean) {
		verify->different = range->first + at;
		/* Asked again, it goes on with the next region. */
		sectors = round_up(at + 1, BIT_ULL(job->shift));
		sectors = min_t(sector_t, sectors, range->last + 1 - range->first);
	}
	if (clean)
		verify->compared += sectors << SECTOR_SHIFT;
	else
		verify->skipped += sectors << SECTOR_SHIFT;
	verify->sector += sectors;
	return 0;
}

/* One range: left out, or compared. */
static int rd_verify_some(struct rd_job *job, struct rd_pair *pair, sector_t end,
			  struct blkfilter_redirect_verify *verify)
{
	DECLARE_COMPLETION_ONSTACK(may_read);
	sector_t sectors;
	bool skip, ready;
	int ret;

	pair->source->may_read = &may_read;
	spin_lock_irq(&job->lock);
	ret = rd_comparable(job);
	if (ret) {
		spin_unlock_irq(&job->lock);
		return ret;
	}
	skip = rd_dirty_at(job, verify->sector);
	sectors = rd_run(job, verify->sector, end, skip);
	ready = skip || rd_pair_begin(job, pair->source, verify->sector, sectors);
	spin_unlock_irq(&job->lock);
	if (skip) {
		verify->skipped += sectors << SECTOR_SHIFT;
		verify->sector += sectors;
		return 0;
	}
	if (!ready)
		wait_for_completion_io(&may_read);
	return rd_pair_compare(job, pair, verify);
}

static int rd_verify_all(struct rd_job *job, struct rd_pair *pair,
			 struct blkfilter_redirect_verify *verify)
{
	sector_t end = job->sectors, region = BIT_ULL(job->shift);
	int ret = 0;

	if (verify->sector == end)
		return 0;
	/* Whole regions: part of one would get in the way of its being copied. */
	if (verify->sectors && verify->sectors < end - verify->sector)
		end = min(end, round_up(verify->sector + verify->sectors, region));
	verify->sector = round_down(verify->sector, region);
	while (!ret && verify->sector < end && verify->different == U64_MAX) {
		/* Not while somebody takes a point. */
		if (signal_pending(current) ||
		    wait_event_killable(job->wait, !READ_ONCE(job->quiet)))
			return -EINTR;
		ret = rd_verify_some(job, pair, end, verify);
		if (ret == -EAGAIN)
			ret = 0;
		cond_resched();
	}
	return ret;
}

/*
 * rd_verify() - see BLKFILTER_REDIRECT_VERIFY
 * @verify: its @sector lies in the range; the answer is filled in, also on errors.
 *
 * In a command.
 */
int rd_verify(struct rd_job *job, struct blkfilter_redirect_verify *verify)
{
	struct rd_pair pair = {
		.source = rd_copy_new(job, GFP_KERNEL),
		.target = rd_copy_new(job, GFP_KERNEL),
	};
	int ret = -ENOMEM;

	if (pair.source && pair.target)
		ret = rd_verify_all(job, &pair, verify);
	if (pair.source)
		rd_copy_free(pair.source);
	if (pair.target)
		rd_copy_free(pair.target);
	return ret;
}
