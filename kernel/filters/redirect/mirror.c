// SPDX-License-Identifier: GPL-2.0-only
/*
 * The application's writes while its data is being copied.
 *
 * In mode write-blocking a write goes to source and target with pages of ours, and the
 * application waits for both, and before for a copy that is made there.  In all other
 * cases it goes to the source alone, at once, and what it touches is dirty: in mode
 * background; while the target is left alone; where all of it is to be copied anyway; where
 * another write to the same sectors is on its way, so that nobody knows which of them comes
 * last on either side; for operations other than writes, as what the device makes of them
 * is its own affair; for data that is encrypted on its way down; without memory; for
 * more than the memory that all may use; where it would have to wait while a point is
 * coming.  Before it goes anywhere, the record says that it may.
 */
#include <linux/blk-crypto.h>
#include <linux/part_stat.h>
#include "rd.h"

/* Bytes in pages of ours; beyond that writes wait. */
#define RD_MEMORY_MOST	(16U << 20)

static u32 rd_io_bytes(const struct rd_io *io)
{
	return io->bio->bi_iter.bi_size;
}

/* --- bytes in pages of ours; under the lock --- */

static bool rd_memory_take(struct rd_job *job, struct rd_io *io)
{
	u32 bytes = rd_io_bytes(io);

	if (job->memory + bytes > RD_MEMORY_MOST)
		return false;
	io->memory = bytes;
	job->memory += bytes;
	return true;
}

/* Those that have waited longest, as many as there is memory for. */
static void rd_memory_give(struct rd_job *job, struct rd_io *io)
{
	struct rd_io *next;

	job->memory -= io->memory;
	io->memory = 0;
	while ((next = list_first_entry_or_null(&job->starved, struct rd_io,
						link))) {
		if (!rd_memory_take(job, next))
			return;
		list_move_tail(&next->link, &job->again);
		rd_kick(job);
	}
}

/* They wait no longer; without memory they go on in another way. */
void rd_starved_go(struct rd_job *job)
{
	if (list_empty(&job->starved))
		return;
	list_splice_tail_init(&job->starved, &job->again);
	rd_kick(job);
}

/* --- on its way and back; under the lock --- */

static void rd_write_in(struct rd_job *job, struct rd_io *io, bool both)
{
	io->flags &= ~(RD_IO_BOTH | RD_IO_AGAIN);
	if (both) {
		io->flags |= RD_IO_BOTH;
		io->since = jiffies;
		io->losses = job->flush.losses;
		io->source_done = false;
		list_add_tail(&io->link, &job->both);
	} else {
		rd_memory_give(job, io);
		rd_dirty_set(job, io->range.first, io->range.last);
	}
	rd_range_insert(&io->range, &job->writes);
	job->busy++;
}

static void rd_write_out(struct rd_job *job, struct rd_io *io)
{
	rd_range_remove(&io->range, &job->writes);
	if (io->flags & RD_IO_BOTH) {
		list_del(&io->link);
		rd_memory_give(job, io);
	}
	rd_copies_waiting(job, &io->range);
}

/* After all else.  Somebody may wait for the last one that the target has had. */
static void rd_write_over(struct rd_job *job)
{
	job->busy--;
	if (rd_leaves_alone(job) || job->pending)
		wake_up_all(&job->wait);
}

/* --- completion --- */

/* Are source and target the same there, and stay so?  Under the lock. */
static bool rd_mirror_succeeded(const struct rd_io *io)
{
	if (io->status || io->target_status || io->flags & RD_IO_AGAIN)
		return false;
	return !(io->flags & RD_IO_BOTH) ||
	       io->losses == io->job->flush.losses ||
	       rd_fault(RD_FORGET_ON_ITS_WAY);
}

static void rd_mirror_done(struct rd_io *io)
{
	struct rd_job *job = io->job;
	blk_status_t status = io->status;
	unsigned long flags;
	bool succeeded, late;

	if (io->nr_vec)
		rd_io_pages_free(io);
	spin_lock_irqsave(&job->lock, flags);
	succeeded = rd_mirror_succeeded(io);
	if (!succeeded && !rd_fault(RD_FORGET_DIRTY))
		rd_dirty_set(job, io->range.first, io->range.last);
	rd_write_out(job, io);
	if (io->target_status)
		rd_target_failed(job, io->target_status);
	else if (io->flags & RD_IO_BOTH)
		rd_loosen(job, &io->range);
	if (io->flags & RD_IO_BOTH && succeeded)
		job->count.mirrored += (io->range.last + 1 - io->range.first)
				       << SECTOR_SHIFT;
	/* Without a bio nothing keeps the job but its being busy. */
	late = !io->bio;
	if (late) {
		job->late--;
		rd_io_free(io);
	}
	if (job->nr_dirty && job->resting)
		rd_copy_kick_soon(job);
	rd_write_over(job);
	spin_unlock_irqrestore(&job->lock, flags);
	if (!late)
		rd_io_end(io, status);
}

static void rd_leg_end(struct rd_io *io, struct bio *bio)
{
	bio_uninit(bio);
	if (atomic_dec_and_test(&io->legs))
		rd_mirror_done(io);
}

static void rd_source_end(struct bio *bio)
{
	struct rd_io *io = bio->bi_private;

	struct rd_job *job = io->job;

	io->status = bio->bi_status;
	/* Pairs with rd_late_next(). */
	smp_store_release(&io->source_done, true);
	/* Nobody waits for the target: the watch is to see that at once. */
	smp_mb();
	if (io->flags & RD_IO_BOTH &&
	    (READ_ONCE(job->end) || READ_ONCE(job->paused)))
		rd_watch_now(job);
	rd_leg_end(io, bio);
}

static void rd_target_end(struct bio *bio)
{
	struct rd_io *io = bio->bi_private;

	io->target_status = bio->bi_status;
	rd_leg_end(io, bio);
}

/* --- sending --- */

/*
 * All that goes to the target: it may make its sender sleep, for as long as it does not
 * answer, and neither the application nor what goes to the source may wait for that.
 */
void rd_target_work(struct work_struct *work)
{
	struct rd_job *job = container_of(work, struct rd_job, sending);
	struct blk_plug plug;
	struct rd_io *io;
	struct bio *bio;
	bool alone;

	blk_start_plug(&plug);
	for (;;) {
		spin_lock_irq(&job->lock);
		bio = bio_list_pop(&job->legs);
		alone = rd_leaves_alone(job);
		io = bio ? bio->bi_private : NULL;
		if (io && alone)
			io->flags |= RD_IO_AGAIN;
		spin_unlock_irq(&job->lock);
		if (!bio)
			break;
		if (alone)
			bio_endio(bio);
		else
			blkfilter_submit_uncounted(job->flt, bio);
	}
	blk_finish_plug(&plug);
}

/*
 * A bio of ours is the whole disk's, and the block layer counts it there only.  Whoever
 * asks the partition (iostat; CONTINUE, for what was written without it) is to see it, too.
 */
static void rd_account(struct rd_job *job, const struct bio *bio)
{
	int group = op_stat_group(bio_op(bio));
	struct block_device *bdev;

	rcu_read_lock();
	bdev = READ_ONCE(job->flt->bdev);
	if (bdev_is_partition(bdev)) {
		part_stat_lock();
		__part_stat_add(bdev, ios[group], 1);
		__part_stat_add(bdev, sectors[group], bio_sectors(bio));
		part_stat_unlock();
	}
	rcu_read_unlock();
}

/* False: no memory. */
static bool rd_mirror_both(struct rd_io *io)
{
	struct rd_job *job = io->job;
	struct bio *bio = io->bio, *source = &io->source, *target = &io->target;
	blk_opf_t opf = bio->bi_opf & ~(REQ_POLLED | REQ_NOWAIT |
					REQ_ALLOC_CACHE);
	gfp_t memory = rd_in_worker(job) ?
		GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN :
		GFP_NOWAIT | __GFP_NOWARN;

	if (!rd_io_pages(io, rd_io_bytes(io), memory))
		return false;
	bio_init(source, job->target.source->part0, io->vec, io->nr_vec, opf);
	source->bi_vcnt = io->nr_vec;
	source->bi_ioprio = bio->bi_ioprio;
	bf_bio_copy_hint(source, bio);
	bio_clone_blkg_association(source, bio);
	source->bi_iter.bi_size = rd_io_bytes(io);
	bio_copy_data(source, bio);
	/* The target is flushed before anybody counts on it. */
	bio_init(target, job->target.bdev, io->vec, io->nr_vec,
		 bf_opf_plain(opf) & ~(REQ_PREFLUSH | REQ_FUA));
	target->bi_vcnt = io->nr_vec;
	target->bi_ioprio = bio->bi_ioprio;
	bf_bio_copy_hint(target, bio);
	bio_clone_blkg_association(target, bio);
	target->bi_iter = source->bi_iter;
	source->bi_iter.bi_sector = bio->bi_iter.bi_sector;
	target->bi_iter.bi_sector = job->target.first + io->range.first;
	source->bi_private = io;
	source->bi_end_io = rd_source_end;
	target->bi_private = io;
	target->bi_end_io = rd_target_end;
	atomic_set(&io->legs, 2);
	rd_account(job, source);
	blkfilter_submit_below(job->flt, source);
	spin_lock_irq(&job->lock);
	bio_list_add(&job->legs, target);
	queue_work(job->target_wq, &job->sending);
	spin_unlock_irq(&job->lock);
	return true;
}

/* False: no memory. */
static bool rd_mirror_plain(struct rd_io *io)
{
	struct rd_job *job = io->job;
	struct bio *source = &io->source;

	if (bio_init_clone(job->target.source->part0, source, io->bio,
			   rd_memory(job)))
		return false;
	source->bi_opf &= ~(REQ_POLLED | REQ_NOWAIT | REQ_ALLOC_CACHE);
	source->bi_private = io;
	source->bi_end_io = rd_source_end;
	atomic_set(&io->legs, 1);
	rd_account(job, source);
	blkfilter_submit_below(job->flt, source);
	return true;
}

/* It comes by again in the worker, with @flags. */
static void rd_mirror_again(struct rd_io *io, u32 flags)
{
	struct rd_job *job = io->job;

	spin_lock_irq(&job->lock);
	rd_write_out(job, io);
	io->flags |= flags;
	list_add_tail(&io->link, &job->again);
	rd_kick(job);
	rd_write_over(job);
	spin_unlock_irq(&job->lock);
}

/* --- the decision --- */

static bool rd_goes_to_both(struct rd_job *job, const struct rd_io *io)
{
	const struct rd_range *range = &io->range;

	return bio_op(io->bio) == REQ_OP_WRITE && !bio_has_crypt_ctx(io->bio) &&
	       !(io->flags & RD_IO_PLAIN) && rd_io_bytes(io) <= RD_MEMORY_MOST &&
	       !rd_dirty_all(job, range->first, range->last) &&
	       (!rd_range_first(&job->writes, range->first, range->last) ||
		rd_fault(RD_OVERLAP_TO_BOTH));
}

/*
 * The list of those that wait for what is in its way; NULL: nothing is, and it has its
 * memory.  Under the lock.
 */
static struct list_head *rd_mirror_obstacle(struct rd_job *job,
					    struct rd_io *io)
{
	struct rd_range *range = rd_range_first(&job->copies, io->range.first,
						io->range.last);

	if (range && !rd_fault(RD_NO_REGION_LOCK))
		return &container_of(range, struct rd_copy, range)->waiters;
	/* In the order in which they came. */
	if (io->memory ||
	    (list_empty(&job->starved) && rd_memory_take(job, io)))
		return NULL;
	return &job->starved;
}

/*
 * Under the lock.  False: it waits, or the mode is another one now; else it is on its
 * way, maybe to both.
 */
static bool rd_mirror_admit(struct rd_job *job, struct rd_io *io)
{
	struct list_head *waiters = NULL;
	bool both;

	if (job->mode != RD_MIRROR) {
		list_add_tail(&io->link, &job->again);
		rd_kick(job);
		return false;
	}
	if (!rd_record_admits(job, io))
		return false;
	both = rd_is_blocking(job) && rd_goes_to_both(job, io);
	if (both)
		waiters = rd_mirror_obstacle(job, io);
	if (waiters && !job->hasty) {
		job->count.waited += waiters != &job->starved;
		list_add_tail(&io->link, waiters);
		return false;
	}
	rd_write_in(job, io, both && !waiters);
	return true;
}

/*
 * rd_mirror() - a write while its data is being copied
 *
 * In submit_bio() or in the worker.
 */
void rd_mirror(struct rd_io *io)
{
	struct rd_job *job = io->job;
	sector_t first = io->bio->bi_iter.bi_sector - job->start;
	bool admitted;

	if (unlikely(first + bio_sectors(io->bio) > job->sectors)) {
		/* It has grown: the job is about to end. */
		rd_io_pass(io);
		return;
	}
	io->range.first = first;
	io->range.last = first + bio_sectors(io->bio) - 1;
	spin_lock_irq(&job->lock);
	admitted = rd_mirror_admit(job, io);
	spin_unlock_irq(&job->lock);
	if (!admitted)
		return;
	if (io->flags & RD_IO_BOTH) {
		/* Where it cannot be had even with waiting: without. */
		if (!rd_mirror_both(io))
			rd_mirror_again(io, rd_in_worker(job) ? RD_IO_PLAIN : 0);
	} else if (!rd_mirror_plain(io)) {
		rd_mirror_again(io, 0);
	}
}
