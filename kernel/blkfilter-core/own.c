// SPDX-License-Identifier: GPL-2.0-only
/*
 * What filters call while bios are on their way: take, resume, end, and send
 * bios of their own.
 */
#include "bio.h"

/**
 * blkfilter_take() - take a bio
 * @flt: the filter that was shown it.
 * @bio: the bio.
 * @pos: as given to submit_bio().
 *
 * To be called in submit_bio() before the bio is handed to anybody; submit_bio()
 * then returns true.  The bio is no longer polled nor NOWAIT: it is completed
 * from another context.  Any context.
 */
void blkfilter_take(struct blkfilter *flt, struct bio *bio,
		    struct blkfilter_pos pos)
{
	bf_make_async(bio);
	this_cpu_inc(flt->core->stats->taken);
	trace_blkfilter_take(flt, bio);
}
EXPORT_SYMBOL_GPL(blkfilter_take);

/**
 * blkfilter_resume() - let a taken bio go on below the filter
 * @pos: where it was taken.
 * @bio: the bio.
 *
 * From a task that may sleep, or from an interrupt.  Called in an interrupt, or
 * inside another submission (current->bio_list), the disk's worker does it.
 */
void blkfilter_resume(struct blkfilter_pos pos, struct bio *bio)
{
	struct blkfilter_path *path = pos.path;
	struct blkfilter *flt = path->step[pos.index & BF_INDEX_MASK].flt;
	u32 next = pos.index + 1;

	if (bf_fault(RESUME_AT_TOP))
		next = pos.index & BF_INDEX_EXTRA;
	this_cpu_inc(flt->core->stats->resumed);
	trace_blkfilter_resume(flt, bio);
	if (!in_task() || irqs_disabled() || current->bio_list)
		bf_resume_later(path, next, bio);
	else
		bf_walk(path, next, bio);
}
EXPORT_SYMBOL_GPL(blkfilter_resume);

/**
 * blkfilter_end() - end a taken bio
 * @pos:    where it was taken.
 * @bio:    the bio.
 * @status: its result.
 *
 * Any context that may complete a bio.
 */
void blkfilter_end(struct blkfilter_pos pos, struct bio *bio,
		   blk_status_t status)
{
	struct bf_hold hold = bf_hold_of(pos.path, pos.index);
	struct bf_step *step = &pos.path->step[pos.index & BF_INDEX_MASK];

	this_cpu_inc(step->inst->stats->ended);
	bio->bi_flags &= ~(BF_PASSED | BF_OWN);
	bio->bi_status = status;
	bio_endio(bio);
	bf_drop(hold);
}
EXPORT_SYMBOL_GPL(blkfilter_end);

static void bf_prepare_own(struct blkfilter *flt, struct bio *bio)
{
	bio->bi_opf &= ~(REQ_POLLED | REQ_NOWAIT | REQ_ALLOC_CACHE);
	this_cpu_inc(flt->core->stats->own);
}

/**
 * blkfilter_submit_below() - send a bio of the filter's own to its device
 * @flt: the filter.
 * @bio: the bio; bi_bdev is set here to the whole disk, so bi_sector counts
 *       from the disk's first sector: add blkfilter_start().
 *
 * It enters below the filter and passes closed gates, and the gate waits for
 * it.  From a task that may sleep.  The filter waits in detach() for its own
 * bios that are on their way.
 */
void blkfilter_submit_below(struct blkfilter *flt, struct bio *bio)
{
	bf_prepare_own(flt, bio);
	bio_set_dev(bio, flt->core->disk->gd->part0);
	bf_mark_own(bio, flt->core->tag);
	submit_bio_noacct(bio);
}
EXPORT_SYMBOL_GPL(blkfilter_submit_below);

/* Counts a bio to another device for @disk until it completes, and sends it. */
void bf_submit_elsewhere(struct bf_disk *disk, struct bio *bio)
{
	enum bf_admission admission;
	struct bf_version *version;
	struct bf_hold hold;

	bf_mark_own(bio, 0);
	do {
		rcu_read_lock();
		admission = bf_admit(disk, bio, true, &version);
		rcu_read_unlock();
	} while (admission == BF_RETRY);
	if (admission == BF_PARKED)
		return;
	if (admission != BF_GONE) {
		hold = bf_hold_from(admission, disk, version);
		if (!bf_count(disk, bio, hold)) {
			bf_queue(disk, &disk->deferred, bio);
			bf_drop(hold);
			return;
		}
	}
	submit_bio_noacct(bio);
}

/**
 * blkfilter_submit_other() - send a bio of the filter's own to another device
 * @flt: the filter.
 * @bio: the bio, complete with bi_bdev; another partition of the filter's disk
 *       may be one, the filter's own device is not.
 *
 * It enters that device's chain at the top and passes closed gates; until it
 * completes, the gates of both disks wait for it.  From a task that may sleep.
 */
void blkfilter_submit_other(struct blkfilter *flt, struct bio *bio)
{
	struct bf_disk *disk = flt->core->disk;

	if (bio->bi_bdev->bd_disk == disk->gd) {
		/* It is counted once, when it enters. */
		blkfilter_submit_uncounted(flt, bio);
		return;
	}
	bf_prepare_own(flt, bio);
	bf_submit_elsewhere(disk, bio);
}
EXPORT_SYMBOL_GPL(blkfilter_submit_other);

/**
 * blkfilter_submit_uncounted() - the same, and the filter's own disk does not wait
 * @flt: the filter.
 * @bio: as for blkfilter_submit_other().
 *
 * For a device that may be slow, or not answer at all: points and transactions of the
 * filter's own disk go on meanwhile.  What must be complete at an instant, the filter
 * sees to itself; and it waits in detach() for its bios.  A partition of the filter's
 * own disk is counted as any bio is that enters there.  From a task that may sleep.
 */
void blkfilter_submit_uncounted(struct blkfilter *flt, struct bio *bio)
{
	bf_prepare_own(flt, bio);
	bf_mark_own(bio, 0);
	submit_bio_noacct(bio);
}
EXPORT_SYMBOL_GPL(blkfilter_submit_uncounted);

sector_t blkfilter_start(const struct blkfilter *flt)
{
	return flt->core->dev->start;
}
EXPORT_SYMBOL_GPL(blkfilter_start);
