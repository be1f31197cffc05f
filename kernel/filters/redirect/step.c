// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios that go to the target instead of the source.
 *
 * Nearly all are one clone to the target, which shares the pages.  Others take several
 * steps, one after the other: where only a range is redirected and a bio crosses its
 * edge, or asks for a flush of what is now two devices; zeroes that the target cannot
 * write by itself; what needs pages of ours; the flush after what cannot carry FUA.
 */
#include <linux/blk-crypto.h>
#include "rd.h"

/* Zeroes that are written by one bio. */
#define RD_ZERO_PAGES	64

static struct bio_vec rd_zero_vec[RD_ZERO_PAGES] __ro_after_init;

void __init rd_steps_init(void)
{
	u32 i;

	for (i = 0; i < RD_ZERO_PAGES; i++)
		rd_zero_vec[i] = (struct bio_vec){
			.bv_page = ZERO_PAGE(0), .bv_len = PAGE_SIZE,
		};
}

/*
 * rd_redirect_concerns() - does a bio go to the target, or a part of it?
 *
 * In submit_bio().  What lies behind the end of a device that was redirected as a whole
 * concerns us too: it must not reach the source.
 */
bool rd_redirect_concerns(const struct rd_job *job, const struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector;

	if (likely(job->whole))
		return true;
	/* Whatever else it is: a flush is of both devices. */
	if (bio->bi_opf & REQ_PREFLUSH &&
	    (!bio_sectors(bio) || !rd_fault(RD_FLUSH_ONE)))
		return true;
	return bio_sectors(bio) &&
	       sector < job->start + job->sectors &&
	       sector + bio_sectors(bio) > job->start;
}

/* --- what has to be done --- */

static void rd_steps_begin(struct rd_io *io)
{
	struct rd_job *job = io->job;
	struct bio *bio = io->bio;

	io->flags |= RD_IO_BEGUN;
	io->sectors = bio_sectors(bio);
	io->done = 0;
	io->piece = 0;
	if (!job->whole && bio->bi_opf & REQ_PREFLUSH)
		io->flags |= RD_IO_FLUSH_FIRST;
	if (io->sectors || job->whole)
		io->flags |= RD_IO_DATA;
	if (bio_op(bio) == REQ_OP_WRITE_ZEROES && rd_needs_fua(&job->target))
		io->flags |= RD_IO_FLUSH_AFTER;
}

/*
 * What follows of the bio goes to the target (true) or stays on the source; @sectors of
 * it, of those that are left.
 */
static bool rd_next_piece(const struct rd_io *io, u32 *sectors)
{
	const struct rd_job *job = io->job;
	sector_t sector = io->bio->bi_iter.bi_sector + io->done;
	sector_t end = job->start + job->sectors;

	*sectors = io->sectors - io->done;
	if (job->whole)
		return true;
	if (sector < job->start) {
		*sectors = min_t(sector_t, *sectors, job->start - sector);
		return false;
	}
	if (sector >= end)
		return false;
	*sectors = min_t(sector_t, *sectors, end - sector);
	return true;
}

/* Must the data be in pages of ours? */
static bool rd_needs_pages(const struct rd_io *io)
{
	const struct rd_target *target = &io->job->target;
	struct bvec_iter iter;
	struct bio_vec bv;

	if (likely(!target->copy_writes && !target->alignment))
		return false;
	if (!bio_has_data(io->bio) || bio_op(io->bio) == REQ_OP_WRITE_ZEROES)
		return false;
	if (target->copy_writes && op_is_write(bio_op(io->bio)))
		return true;
	bio_for_each_segment(bv, io->bio, iter)
		if ((bv.bv_offset | bv.bv_len) & target->alignment)
			return true;
	return false;
}

/* --- completion --- */

/* Into the application's pages. */
static void rd_copy_back(struct rd_io *io)
{
	struct bvec_iter from = { .bi_size = io->piece << SECTOR_SHIFT };
	struct bvec_iter to = io->bio->bi_iter;

	bio_advance_iter(io->bio, &to, io->done << SECTOR_SHIFT);
	to.bi_size = from.bi_size;
	bio_copy_data_iter(io->bio, &to, &io->target, &from);
}

/* An error that only says that the target cannot do it this way? */
static bool rd_forgive(struct rd_io *io)
{
	struct block_device *target = io->job->target.bdev;

	switch (bio_op(io->bio)) {
	case REQ_OP_DISCARD:
		/* Nobody may count on what a discard does. */
		return io->status == BLK_STS_NOTSUPP;
	case REQ_OP_WRITE_ZEROES:
		/* Some find out when they are asked. */
		if (io->flags & RD_IO_ZEROES || bdev_write_zeroes_sectors(target))
			return false;
		io->flags |= RD_IO_ZEROES;
		io->piece = 0;
		return true;
	default:
		return false;
	}
}

/* The last own bio of a step has completed. */
static void rd_step_done(struct rd_io *io)
{
	if (io->nr_vec) {
		if (!io->status && bio_op(io->bio) == REQ_OP_READ)
			rd_copy_back(io);
		rd_io_pages_free(io);
	}
	if (unlikely(io->status) && rd_forgive(io))
		io->status = BLK_STS_OK;
	io->done += io->piece;
	io->piece = 0;
	if (io->done == io->sectors)
		io->flags &= ~RD_IO_DATA;
	if (likely(io->status || !(io->flags & RD_IO_STEPS)))
		rd_io_end(io, io->status);
	else
		rd_io_later(io);
}

static void rd_step_end(struct bio *bio)
{
	struct rd_io *io = bio->bi_private;

	if (bio->bi_status)
		io->status = bio->bi_status;
	bio_uninit(bio);
	if (atomic_dec_and_test(&io->legs))
		rd_step_done(io);
}

/* --- steps --- */

static void rd_send(struct rd_io *io, struct bio *bio, bool to_target)
{
	bio->bi_private = io;
	bio->bi_end_io = rd_step_end;
	if (to_target)
		blkfilter_submit_uncounted(io->job->flt, bio);
	else
		blkfilter_submit_below(io->job->flt, bio);
}

static void rd_step_flush(struct rd_io *io, bool both)
{
	struct rd_job *job = io->job;
	blk_opf_t opf = REQ_OP_WRITE | REQ_PREFLUSH | REQ_SYNC;

	atomic_set(&io->legs, both ? 2 : 1);
	bio_init(&io->target, job->target.bdev, NULL, 0, opf);
	if (both) {
		bio_init(&io->source, job->target.source->part0, NULL, 0, opf);
		rd_send(io, &io->source, false);
	}
	rd_send(io, &io->target, true);
}

static sector_t rd_target_sector(const struct rd_io *io)
{
	const struct rd_job *job = io->job;

	/* That of a bio without data means nothing. */
	if (!io->sectors)
		return 0;
	return job->target.first + io->bio->bi_iter.bi_sector + io->done -
	       job->start;
}

static void rd_step_zeroes(struct rd_io *io, u32 sectors)
{
	struct rd_job *job = io->job;
	blk_opf_t opf = REQ_OP_WRITE | REQ_SYNC;

	io->piece = min_t(u32, sectors,
			  RD_ZERO_PAGES << (PAGE_SHIFT - SECTOR_SHIFT));
	bio_init(&io->target, job->target.bdev, rd_zero_vec, RD_ZERO_PAGES, opf);
	io->target.bi_vcnt = DIV_ROUND_UP(io->piece << SECTOR_SHIFT, PAGE_SIZE);
	io->target.bi_iter.bi_size = io->piece << SECTOR_SHIFT;
	io->target.bi_iter.bi_sector = rd_target_sector(io);
	atomic_set(&io->legs, 1);
	rd_send(io, &io->target, true);
}

/* What a write carries besides its operation. */
static blk_opf_t rd_step_flags(const struct rd_io *io, bool to_target)
{
	blk_opf_t opf = io->bio->bi_opf & ~(REQ_POLLED | REQ_NOWAIT |
					    REQ_ALLOC_CACHE);

	if (io->done || !io->job->whole)
		opf &= ~REQ_PREFLUSH;
	/* See bf_atomic_suits(): the target may not say that it does what any disk does. */
	if (to_target && io->sectors << SECTOR_SHIFT <=
			 bdev_logical_block_size(io->job->target.bdev))
		opf = bf_opf_plain(opf);
	if (to_target && bio_op(io->bio) == REQ_OP_WRITE && io->sectors &&
	    rd_needs_fua(&io->job->target) && !rd_fault(RD_DROP_FUA))
		opf |= REQ_FUA;
	return opf;
}

/* In pages of ours, as much as there are pages for.  False: none now. */
static bool rd_step_pages(struct rd_io *io, u32 sectors)
{
	struct bio *bio = &io->target;
	struct bvec_iter from = io->bio->bi_iter, to = {};
	u32 bytes = sectors << SECTOR_SHIFT;

	if (!bf_bio_atomic(io->bio))
		bytes = rd_io_some_pages(io, bytes);
	else if (!rd_io_pages(io, bytes, rd_memory(io->job)))
		return false;
	if (!bytes)
		return false;
	io->piece = bytes >> SECTOR_SHIFT;
	bio_init(bio, io->job->target.bdev, io->vec, io->nr_vec,
		 rd_step_flags(io, true));
	bio->bi_vcnt = io->nr_vec;
	bio->bi_iter.bi_size = bytes;
	bio->bi_ioprio = io->bio->bi_ioprio;
	bf_bio_copy_hint(bio, io->bio);
	if (op_is_write(bio_op(bio))) {
		to.bi_size = bytes;
		bio_advance_iter(io->bio, &from, io->done << SECTOR_SHIFT);
		from.bi_size = bytes;
		bio_copy_data_iter(bio, &to, io->bio, &from);
	}
	bio->bi_iter.bi_sector = rd_target_sector(io);
	atomic_set(&io->legs, 1);
	rd_send(io, bio, true);
	return true;
}

/* False: no memory now, which only bios with an encryption context need. */
static bool rd_step_clone(struct rd_io *io, u32 sectors, bool to_target)
{
	struct rd_job *job = io->job;
	struct bio *bio = &io->target;

	if (bio_init_clone(to_target ? job->target.bdev :
				       job->target.source->part0,
			   bio, io->bio, rd_memory(job)))
		return false;
	bio->bi_opf = rd_step_flags(io, to_target);
	if (io->done)
		bio_advance(bio, io->done << SECTOR_SHIFT);
	bio->bi_iter.bi_size = sectors << SECTOR_SHIFT;
	if (to_target)
		bio->bi_iter.bi_sector = rd_target_sector(io);
	io->piece = sectors;
	atomic_set(&io->legs, 1);
	rd_send(io, bio, to_target);
	return true;
}

/* The next piece of the bio.  False: no memory now. */
static bool rd_step_data(struct rd_io *io)
{
	struct block_device *target = io->job->target.bdev;
	bool to_target;
	u32 sectors;

	to_target = rd_next_piece(io, &sectors);
	if (unlikely(sectors != io->sectors && bf_bio_atomic(io->bio))) {
		rd_io_end(io, BLK_STS_NOTSUPP);
		return true;
	}
	if (!to_target)
		return rd_step_clone(io, sectors, false);
	if (bio_op(io->bio) == REQ_OP_WRITE_ZEROES &&
	    !bdev_write_zeroes_sectors(target))
		io->flags |= RD_IO_ZEROES;
	if (io->flags & RD_IO_ZEROES) {
		rd_step_zeroes(io, sectors);
		return true;
	}
	if (unlikely(rd_needs_pages(io)))
		return rd_step_pages(io, sectors);
	return rd_step_clone(io, sectors, true);
}

/*
 * rd_step() - the next step of a bio that is redirected
 *
 * In submit_bio() or in the worker.  Without memory it is the worker's, which waits.
 */
void rd_step(struct rd_io *io)
{
	struct rd_job *job = io->job;

	if (!(io->flags & RD_IO_BEGUN))
		rd_steps_begin(io);
	if (unlikely(job->whole && io->sectors &&
		     bio_end_sector(io->bio) > job->start + job->sectors)) {
		rd_io_end(io, BLK_STS_IOERR);
	} else if (unlikely(io->flags & RD_IO_FLUSH_FIRST)) {
		io->flags &= ~RD_IO_FLUSH_FIRST;
		rd_step_flush(io, true);
	} else if (likely(io->flags & RD_IO_DATA)) {
		if (!rd_step_data(io))
			rd_io_later(io);
	} else {
		io->flags &= ~RD_IO_FLUSH_AFTER;
		rd_step_flush(io, false);
	}
}
