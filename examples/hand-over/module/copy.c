// SPDX-License-Identifier: GPL-2.0-only
/*
 * acme-clone: what was on the device before is copied, a chunk at a time, from the
 * cursor on.  Writes to the chunk wait meanwhile, in the filter.
 */
#include <linux/slab.h>
#include "hand-over.h"

/* The end of what is being copied; the cursor itself: nothing is.  Under the lock. */
sector_t acme_copy_end(const struct acme_clone *clone)
{
	return clone->busy ? min(clone->cursor + ACME_CHUNK, clone->sectors) :
			     clone->cursor;
}

static void acme_copy_done(struct bio *bio)
{
	complete(bio->bi_private);
}

static int acme_copy_wait(struct acme_clone *clone, struct bio *bio, bool target)
{
	DECLARE_COMPLETION_ONSTACK(done);

	bio->bi_private = &done;
	bio->bi_end_io = acme_copy_done;
	if (target)
		blkfilter_submit_other(&clone->flt, bio);
	else
		blkfilter_submit_below(&clone->flt, bio);
	wait_for_completion_io(&done);
	return blk_status_to_errno(bio->bi_status);
}

/* Reads or writes @sectors in our pages, or flushes. */
static int acme_copy_io(struct acme_clone *clone, bool target, blk_opf_t opf,
			sector_t sector, sector_t sectors)
{
	struct bio_vec vec[ACME_CHUNK >> PAGE_SECTORS_SHIFT];
	struct bio bio;
	int ret, i;

	bio_init(&bio, target ? acme_bdev(clone->target) : clone->flt.bdev, vec,
		 ARRAY_SIZE(vec), opf);
	bio.bi_iter.bi_sector = sector;
	for (i = 0; sectors; i++) {
		sector_t part = min_t(sector_t, sectors, PAGE_SECTORS);

		__bio_add_page(&bio, clone->page[i], part << SECTOR_SHIFT, 0);
		sectors -= part;
	}
	ret = acme_copy_wait(clone, &bio, target);
	bio_uninit(&bio);
	return ret;
}

/* No write to the chunk is on its way. */
static bool acme_is_free(struct acme_clone *clone)
{
	struct acme_io *io;
	bool free = true;

	spin_lock_irq(&clone->worker.lock);
	list_for_each_entry(io, &clone->flying, link)
		if (acme_overlaps(io, clone->cursor, acme_copy_end(clone)))
			free = false;
	spin_unlock_irq(&clone->worker.lock);
	return free;
}

/* Under the lock. */
static bool acme_may_copy(const struct acme_clone *clone)
{
	return clone->settled && !clone->quiet && !clone->stop && !clone->error &&
	       !clone->flushed;
}

/* The chunk at @first, or a flush of the target behind the last one. */
static int acme_copy_chunk(struct acme_clone *clone, sector_t first, sector_t n)
{
	if (!n)
		return acme_copy_io(clone, true, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0);
	wait_event(clone->wait, acme_is_free(clone));
	return acme_copy_io(clone, false, REQ_OP_READ,
			    blkfilter_start(&clone->flt) + first, n) ?:
	       acme_copy_io(clone, true, REQ_OP_WRITE, first, n);
}

static void acme_copy_work(struct work_struct *work)
{
	struct acme_clone *clone = container_of(work, struct acme_clone,
						copying);
	sector_t first, n;
	int ret;

	spin_lock_irq(&clone->worker.lock);
	while (acme_may_copy(clone)) {
		clone->busy = true;
		first = clone->cursor;
		n = acme_copy_end(clone) - first;
		spin_unlock_irq(&clone->worker.lock);
		ret = acme_copy_chunk(clone, first, n);
		spin_lock_irq(&clone->worker.lock);
		if (ret)
			clone->error = ret;
		else if (clone->busy && n)
			clone->cursor += n;
		else if (clone->busy)
			clone->flushed = true;
		clone->busy = false;
		acme_kick(&clone->worker);
	}
	spin_unlock_irq(&clone->worker.lock);
}

/* Under the lock. */
void acme_copy_kick(struct acme_clone *clone)
{
	if (acme_may_copy(clone))
		queue_work(system_unbound_wq, &clone->copying);
}

int acme_copy_init(struct acme_clone *clone)
{
	int i;

	INIT_WORK(&clone->copying, acme_copy_work);
	init_waitqueue_head(&clone->wait);
	for (i = 0; i < ARRAY_SIZE(clone->page); i++) {
		clone->page[i] = alloc_page(GFP_KERNEL);
		if (!clone->page[i])
			return -ENOMEM;
	}
	return 0;
}

/* No write is taken any more.  Also of one that acme_copy_init() failed for. */
void acme_copy_exit(struct acme_clone *clone)
{
	int i;

	spin_lock_irq(&clone->worker.lock);
	clone->stop = true;
	spin_unlock_irq(&clone->worker.lock);
	cancel_work_sync(&clone->copying);
	for (i = 0; i < ARRAY_SIZE(clone->page); i++)
		if (clone->page[i])
			__free_page(clone->page[i]);
}
