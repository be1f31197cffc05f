// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the record has to say: which regions are marked, and which no longer.  See
 * record.h.
 */
#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/mm.h>
#include "rd.h"

/* What the target was sent before a flush is done soon after it, or is not worth waiting for. */
#define RD_CERTAIN_TRIES	100
#define RD_CERTAIN_MS		20

/* Regions: from 512 KiB on, as many as fit. */
#define RD_RECORD_SHIFT_MIN	(19 - SECTOR_SHIFT)
/* Regions that are looked at with interrupts off. */
#define RD_RECORD_LOOK		64

/* --- memory --- */

static unsigned long *rd_record_map(const struct rd_record *record)
{
	return kvcalloc(BITS_TO_LONGS(record->regions), sizeof(long), GFP_KERNEL);
}

/*
 * rd_record_init() - memory for a record, by the size of the source
 *
 * Return: 0 or -ENOMEM.  Undone by rd_record_free().
 */
int rd_record_init(struct rd_job *job)
{
	struct rd_record *record = &job->record;
	u64 bits;

	record->shift = RD_RECORD_SHIFT_MIN;
	while ((job->sectors - 1) >> record->shift >= BLKFILTER_REDIRECT_REGIONS)
		record->shift++;
	record->regions = ((job->sectors - 1) >> record->shift) + 1;
	bits = round_up(record->regions, BITS_PER_BYTE * 4096);
	record->bytes = BLKFILTER_REDIRECT_MAP + bits / BITS_PER_BYTE;
	record->page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO,
				   get_order(BLKFILTER_REDIRECT_SLOT));
	record->marked = rd_record_map(record);
	record->wanted = rd_record_map(record);
	record->touched = rd_record_map(record);
	record->image = rd_record_map(record);
	record->cold = rd_record_map(record);
	record->wq = alloc_workqueue("redirect-record/%s",
				     WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
				     job->target.source->disk_name);
	return record->page && record->marked && record->wanted &&
	       record->touched && record->image && record->cold && record->wq ?
	       0 : -ENOMEM;
}

/* Nothing is on its way there any more. */
void rd_record_free(struct rd_job *job)
{
	struct rd_record *record = &job->record;

	if (record->wq) {
		cancel_delayed_work_sync(&record->sweeping);
		cancel_delayed_work_sync(&record->writing);
		destroy_workqueue(record->wq);
	}
	if (record->page)
		__free_pages(record->page, get_order(BLKFILTER_REDIRECT_SLOT));
	kvfree(record->marked);
	kvfree(record->wanted);
	kvfree(record->touched);
	kvfree(record->image);
	kvfree(record->cold);
	rd_target_close(&record->place);
}

/* --- marks; under the lock --- */

static u64 rd_record_region(const struct rd_record *record, sector_t sector)
{
	return sector >> record->shift;
}

static bool rd_record_is_marked(const struct rd_record *record, sector_t first,
				sector_t last)
{
	u64 end = rd_record_region(record, last) + 1;

	return find_next_zero_bit(record->marked, end,
				  rd_record_region(record, first)) >= end;
}

static void rd_record_set(const struct rd_record *record, unsigned long *map,
			  sector_t first, sector_t last)
{
	u64 region = rd_record_region(record, first);

	bitmap_set(map, region, rd_record_region(record, last) + 1 - region);
}

/* A mark there does not go yet. */
void rd_record_touch(struct rd_job *job, sector_t first, sector_t last)
{
	struct rd_record *record = &job->record;

	if (record->open)
		rd_record_set(record, record->touched, first, last);
}

/* The range is to be marked as soon as can be. */
void rd_record_want(struct rd_job *job, sector_t first, sector_t last)
{
	struct rd_record *record = &job->record;

	if (!record->open)
		return;
	rd_record_touch(job, first, last);
	if (rd_record_is_marked(record, first, last))
		return;
	rd_record_set(record, record->wanted, first, last);
	queue_delayed_work(record->wq, &record->writing, 0);
}

/*
 * rd_record_admits() - may a write go on to the source?
 *
 * Under the lock.  Return: false: it waits for a mark.  Where none can be had, it goes on
 * all the same, and the record is behind.
 */
bool rd_record_admits(struct rd_job *job, struct rd_io *io)
{
	sector_t first = io->range.first, last = io->range.last;
	struct rd_record *record = &job->record;

	if (!record->open)
		return true;
	if (likely(rd_record_is_marked(record, first, last))) {
		rd_record_touch(job, first, last);
		return true;
	}
	rd_record_want(job, first, last);
	if (rd_fault(RD_NO_WRITE_AHEAD))
		return true;
	if (record->failures >= RD_RECORD_TRIES) {
		rd_record_is_behind(job);
		return true;
	}
	list_add_tail(&io->link, &record->waiting);
	return false;
}

/*
 * The source changes without a mark, as none can be had: the migration pauses until
 * somebody has seen that.
 */
void rd_record_is_behind(struct rd_job *job)
{
	if (!job->record.behind)
		rd_job_tell(job, job->state, job->record.error);
	job->record.behind = true;
	rd_record_let_go(job);
	if (job->end || job->paused)
		return;
	WRITE_ONCE(job->paused, true);
	job->error = job->record.error;
	rd_release_waiters(job);
	rd_watch_now(job);
	wake_up_all(&job->wait);
}

/* They come by again. */
void rd_record_let_go(struct rd_job *job)
{
	if (list_empty(&job->record.waiting))
		return;
	list_splice_tail_init(&job->record.waiting, &job->again);
	rd_kick(job);
}

static bool rd_record_has_all(struct rd_job *job)
{
	struct rd_record *record = &job->record;
	bool all;

	spin_lock_irq(&job->lock);
	all = !record->open || bitmap_empty(record->wanted, record->regions);
	if (!all && record->failures >= RD_RECORD_TRIES) {
		rd_record_is_behind(job);
		all = true;
	}
	spin_unlock_irq(&job->lock);
	return all;
}

/*
 * rd_record_wait() - what is wanted is marked, or cannot be
 *
 * For what changes the source without being a bio that we hold.
 */
void rd_record_wait(struct rd_job *job)
{
	if (job->record.kept)
		wait_event(job->wait, rd_record_has_all(job));
}

/* --- at the beginning --- */

/*
 * rd_record_begin() - the record is written for the first time
 *
 * What is marked is dirty: everything, unless one is continued.  Before the first bio.
 * Return: 0 or a negative errno.
 */
int rd_record_begin(struct rd_job *job)
{
	struct rd_record *record = &job->record;
	unsigned long region;

	if (!record->found)
		bitmap_fill(record->marked, record->regions);
	if (rd_record_redirected(record))
		return rd_record_write(job, record->found, rd_target_timeout());
	for_each_clear_bit(region, record->marked, record->regions)
		rd_dirty_clear(job, region << record->shift,
			       min((region + 1) << record->shift, job->sectors) - 1);
	return rd_record_write(job, 0, rd_target_timeout());
}

/*
 * rd_record_distrust() - the source was written to without the record
 *
 * Nobody knows where: all of it is marked, so that whoever continues later, when the
 * kernel has forgotten, copies everything.  Which device is the current one remains.
 *
 * Return: false: it may still be written when this has returned.
 */
bool rd_record_distrust(struct rd_job *job)
{
	struct rd_record *record = &job->record;
	int ret;

	if (rd_record_redirected(record) || rd_fault(RD_KEEP_TRUST))
		return true;
	bitmap_fill(record->marked, record->regions);
	ret = rd_record_write(job, 0, rd_target_timeout());
	if (ret)
		pr_warn("%s: the record lacks what was written without it: it must not be continued\n",
			job->target.source->disk_name);
	return ret != -ETIMEDOUT;
}

/* --- marks that may go --- */

void rd_record_sweep_soon(struct rd_job *job)
{
	if (job->record.kept)
		queue_delayed_work(rd_wq, &job->record.sweeping,
				   rd_record_interval());
}

/* May source and target differ there, or are they about to?  Under the lock. */
static bool rd_record_in_use(struct rd_job *job, u64 region)
{
	sector_t first = region << job->record.shift;
	sector_t last = min((region + 1) << job->record.shift, job->sectors) - 1;
	u64 end = (last >> job->shift) + 1;

	return find_next_bit(job->dirty, end, first >> job->shift) < end ||
	       rd_range_first(&job->copies, first, last) ||
	       rd_range_first(&job->writes, first, last);
}

/* Under the lock: not while the target fails, or somebody takes a point. */
static bool rd_record_may_sweep(const struct rd_job *job)
{
	return rd_copies(job) && job->mode == RD_MIRROR && job->record.open &&
	       !job->record.failures && !job->quiet && !job->paused &&
	       !job->down && !job->flush.lost && !job->flush.merging;
}

/*
 * Looks at the regions that are cold, a few at a time: those in use are not, or, with
 * @clear, their marks go.  Return: whether there are any; false also when it is not the
 * time.
 */
static bool rd_record_look(struct rd_job *job, bool clear, u64 errors)
{
	struct rd_record *record = &job->record;
	u64 region = 0, n;
	bool any = false, may = true;

	while (may && region < record->regions) {
		spin_lock_irq(&job->lock);
		may = rd_record_may_sweep(job) &&
		      job->count.target_errors == errors;
		for (n = 0; may && n < RD_RECORD_LOOK; n++, region++) {
			region = find_next_bit(record->cold, record->regions,
					       region);
			if (region >= record->regions)
				break;
			if (rd_record_in_use(job, region) ||
			    test_bit(region, record->touched))
				__clear_bit(region, record->cold);
			else if (clear)
				__clear_bit(region, record->marked);
			any = any || test_bit(region, record->cold);
		}
		spin_unlock_irq(&job->lock);
		cond_resched();
	}
	return any && may;
}

static void rd_source_io_end(struct bio *bio)
{
	complete(bio->bi_private);
}

/* A bio of our own to the source; waits for it.  Return: 0 or a negative errno. */
int rd_source_io(struct rd_job *job, struct bio *bio)
{
	DECLARE_COMPLETION_ONSTACK(done);
	int ret;

	bio->bi_private = &done;
	bio->bi_end_io = rd_source_io_end;
	blkfilter_submit_below(job->flt, bio);
	wait_for_completion_io(&done);
	ret = blk_status_to_errno(bio->bi_status);
	bio_uninit(bio);
	return ret;
}

static int rd_flush_source(struct rd_job *job)
{
	struct block_device *source = job->target.source->part0;
	struct bio bio;

	if (!bdev_write_cache(source))
		return 0;
	bio_init(&bio, source, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC);
	return rd_source_io(job, &bio);
}

/* Waits a little until it is known.  Nobody wakes us: it is soon, or the next sweep's. */
static bool rd_flush_becomes_certain(struct rd_job *job)
{
	int tries = RD_CERTAIN_TRIES;
	bool good, may;

	do {
		spin_lock_irq(&job->lock);
		good = rd_flush_was_good(job);
		may = rd_record_may_sweep(job);
		spin_unlock_irq(&job->lock);
		if (good)
			return true;
		msleep(RD_CERTAIN_MS);
	} while (may && --tries);
	return false;
}

/*
 * Marks go where nothing has been written since the sweep before, nothing is dirty, and
 * both sides were flushed since.  A write that comes there from then on waits for a new
 * mark: that the record still has the old one until it is written again does no harm.
 */
static void rd_record_sweep_once(struct rd_job *job)
{
	struct rd_record *record = &job->record;
	u64 errors;

	spin_lock_irq(&job->lock);
	errors = job->count.target_errors;
	bitmap_andnot(record->cold, record->marked, record->touched,
		      record->regions);
	bitmap_zero(record->touched, record->regions);
	spin_unlock_irq(&job->lock);
	if (!rd_record_look(job, false, errors))
		return;
	if (!rd_fault(RD_CLEAN_UNFLUSHED) &&
	    (READ_ONCE(job->quiet) || rd_flush_source(job) ||
	     rd_flush_target(job, jiffies_to_msecs(rd_target_timeout())) ||
	     !rd_flush_becomes_certain(job)))
		return;
	if (rd_record_look(job, true, errors))
		rd_record_ask(job);
}

void rd_record_sweep(struct work_struct *work)
{
	struct rd_job *job = container_of(to_delayed_work(work), struct rd_job,
					  record.sweeping);
	bool over, may;

	spin_lock_irq(&job->lock);
	over = job->end || job->mode == RD_REDIRECT;
	may = rd_record_may_sweep(job);
	spin_unlock_irq(&job->lock);
	if (over)
		return;
	if (may)
		rd_record_sweep_once(job);
	rd_record_sweep_soon(job);
}
