// SPDX-License-Identifier: GPL-2.0-only
/*
 * acme-clone: each write goes to the device and to the target; what was there before
 * is copied (copy.c).
 *
 * What is before the cursor is the same on both.  Whatever may have made it differ (two
 * writes to the same place at a time, a discard, no memory) puts the cursor back, and it
 * is copied again.  Only an error of the target ends it.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include "hand-over.h"

#define ACME_BOTH_MOST	2048	/* sectors of a write to both */

bool acme_overlaps(const struct acme_io *io, sector_t first, sector_t end)
{
	return io->first < end && first < io->end;
}

/* What is being copied counts for nothing then.  Under the lock. */
void acme_back_to(struct acme_clone *clone, sector_t sector)
{
	clone->cursor = min(clone->cursor, sector);
	clone->flushed = false;
	clone->busy = false;
}

/* It cannot be done any more.  Any context. */
static void acme_fail(struct acme_clone *clone, int error)
{
	unsigned long flags;

	spin_lock_irqsave(&clone->worker.lock, flags);
	clone->error = error;
	spin_unlock_irqrestore(&clone->worker.lock, flags);
}

/* --- a write comes back --- */

static void acme_clone_leg(struct acme_io *io)
{
	struct acme_clone *clone = acme_clone_of(io->worker->flt);
	unsigned long flags;

	if (!atomic_dec_and_test(&io->legs))
		return;
	spin_lock_irqsave(&clone->worker.lock, flags);
	list_del(&io->link);
	if (io->target_status)
		clone->error = blk_status_to_errno(io->target_status);
	/* One that has failed may have been written all the same, on one of them. */
	if (io->again || io->status || (!io->both && io->first < clone->cursor))
		acme_back_to(clone, io->first);
	acme_copy_kick(clone);
	wake_up(&clone->wait);
	spin_unlock_irqrestore(&clone->worker.lock, flags);
	acme_end(io);
}

static void acme_source_done(struct bio *bio)
{
	struct acme_io *io = bio->bi_private;

	io->status = bio->bi_status;
	if (io->both && bio->bi_vcnt)
		bio_free_pages(bio);
	bio_put(bio);
	acme_clone_leg(io);
}

static void acme_target_done(struct bio *bio)
{
	struct acme_io *io = bio->bi_private;

	io->target_status = bio->bi_status;
	if (bio->bi_vcnt)
		bio_free_pages(bio);
	bio_put(bio);
	acme_clone_leg(io);
}

/* --- a write is sent --- */

/* One of the same data as @from, in pages of our own.  NULL: no memory. */
static struct bio *acme_own_copy(struct acme_io *io, struct bio *from,
				 struct block_device *bdev,
				 bio_end_io_t *end_io)
{
	u32 left = from->bi_iter.bi_size;
	struct bio *bio = bio_alloc_bioset(bdev, DIV_ROUND_UP(left, PAGE_SIZE),
					   io->bio->bi_opf, GFP_NOIO,
					   &io->worker->bios);

	bio->bi_private = io;
	bio->bi_end_io = end_io;
	for (; left; left -= min_t(u32, left, PAGE_SIZE)) {
		struct page *page = alloc_page(GFP_NOIO | __GFP_NORETRY |
					       __GFP_NOWARN);

		if (!page) {
			bio_free_pages(bio);
			bio_put(bio);
			return NULL;
		}
		__bio_add_page(bio, page, min_t(u32, left, PAGE_SIZE), 0);
	}
	if (bio->bi_vcnt)
		bio_copy_data(bio, from);
	return bio;
}

/*
 * Both get it, if there is memory for that.  The second copy is made of the first: the
 * application's pages may change meanwhile, and the two devices would get different data.
 */
static bool acme_send_both(struct acme_clone *clone, struct acme_io *io)
{
	struct bio *bio = acme_own_copy(io, io->bio, clone->flt.bdev,
					acme_source_done);
	struct bio *other;

	if (!bio)
		return false;
	other = acme_own_copy(io, bio, acme_bdev(clone->target),
			      acme_target_done);
	if (!other) {
		bio_free_pages(bio);
		bio_put(bio);
		return false;
	}
	bio->bi_iter.bi_sector = io->bio->bi_iter.bi_sector;
	other->bi_iter.bi_sector = io->first;
	atomic_set(&io->legs, 2);
	blkfilter_submit_below(&clone->flt, bio);
	blkfilter_submit_other(&clone->flt, other);
	return true;
}

static void acme_send_plain(struct acme_clone *clone, struct acme_io *io)
{
	io->both = false;
	atomic_set(&io->legs, 1);
	blkfilter_submit_below(&clone->flt,
			       acme_clone_bio(io, clone->flt.bdev,
					      acme_source_done));
}

/*
 * What it becomes.  Under the lock.  A flush goes to both, whatever is copied yet; of two
 * writes to the same place at a time nobody knows which comes last on either side.
 */
static void acme_decide(struct acme_clone *clone, struct acme_io *io)
{
	struct acme_io *other;

	io->both = !clone->error && bio_op(io->bio) == REQ_OP_WRITE &&
		   io->end <= clone->cursor &&
		   io->end - io->first <= ACME_BOTH_MOST;
	list_for_each_entry(other, &clone->flying, link)
		if (acme_overlaps(other, io->first, io->end))
			io->again = true;
	list_add_tail(&io->link, &clone->flying);
}

static bool acme_clone_send(struct acme_io *io)
{
	struct acme_clone *clone = acme_clone_of(io->worker->flt);

	spin_lock_irq(&clone->worker.lock);
	if (acme_overlaps(io, clone->cursor, acme_copy_end(clone))) {
		spin_unlock_irq(&clone->worker.lock);
		return false;
	}
	acme_decide(clone, io);
	spin_unlock_irq(&clone->worker.lock);
	if (!io->both || !acme_send_both(clone, io))
		acme_send_plain(clone, io);
	return true;
}

static bool acme_clone_submit_bio(struct blkfilter *flt, struct bio *bio,
				  struct blkfilter_pos pos)
{
	struct acme_clone *clone = acme_clone_of(flt);

	if (!op_is_write(bio_op(bio)) || READ_ONCE(clone->error))
		return false;
	if (acme_take(&clone->worker, bio, pos))
		return true;
	acme_fail(clone, -ENOMEM);	/* the application's write goes on */
	return false;
}

/* --- the hand-over --- */

/* Asked twice: the second time nothing is on its way, so it stays as it says. */
static int acme_clone_query_detach(struct blkfilter *flt,
				   enum blkfilter_reason reason)
{
	struct acme_clone *clone = acme_clone_of(flt);
	bool same;

	spin_lock_irq(&clone->worker.lock);
	same = clone->flushed && !clone->error;
	spin_unlock_irq(&clone->worker.lock);
	return reason == BLKFILTER_REASON_REPLACED && !same ? -EBUSY : 0;
}

static void acme_clone_deactivate(struct blkfilter *flt,
				  enum blkfilter_reason reason,
				  struct blkfilter *successor)
{
	struct acme_clone *clone = acme_clone_of(flt);

	if (successor && acme_redirect_takes_over(successor, clone->target))
		clone->target = NULL;
}

/* --- what it hears --- */

static void acme_clone_unseen(struct blkfilter *flt)
{
	acme_fail(acme_clone_of(flt), -ESTALE);
}

static void acme_clone_resized(struct blkfilter *flt, sector_t sectors)
{
	if (sectors != acme_clone_of(flt)->sectors)
		acme_fail(acme_clone_of(flt), -ESTALE);
}

static void acme_clone_changed(struct blkfilter *flt, sector_t sector,
			       sector_t sectors)
{
	struct acme_clone *clone = acme_clone_of(flt);

	spin_lock_irq(&clone->worker.lock);
	acme_back_to(clone, sector);
	acme_copy_kick(clone);
	spin_unlock_irq(&clone->worker.lock);
}

static void acme_clone_settled(struct blkfilter *flt)
{
	struct acme_clone *clone = acme_clone_of(flt);

	spin_lock_irq(&clone->worker.lock);
	clone->settled = true;
	acme_copy_kick(clone);
	spin_unlock_irq(&clone->worker.lock);
}

static void acme_clone_point(struct blkfilter *flt, enum blkfilter_phase phase,
			     const u8 *id)
{
	struct acme_clone *clone = acme_clone_of(flt);

	spin_lock_irq(&clone->worker.lock);
	clone->quiet = phase != BLKFILTER_POINT_DONE;
	acme_copy_kick(clone);
	spin_unlock_irq(&clone->worker.lock);
}

static void acme_clone_state(struct blkfilter *flt, char *buf, size_t size)
{
	struct acme_clone *clone = acme_clone_of(flt);

	spin_lock_irq(&clone->worker.lock);
	strscpy(buf, clone->error ? "failed" :
		     clone->flushed ? "same" : "copying", size);
	spin_unlock_irq(&clone->worker.lock);
}

/* --- attach and detach --- */

static void acme_clone_detach(struct blkfilter *flt)
{
	struct acme_clone *clone = acme_clone_of(flt);

	acme_copy_exit(clone);
	acme_worker_exit(&clone->worker);
	if (!IS_ERR_OR_NULL(clone->target))
		filp_close(clone->target, NULL);
	kfree(clone);
}

/* Its option is the path of the target. */
static struct blkfilter *acme_clone_attach(struct block_device *bdev,
					   const struct blkfilter_attach *how)
{
	struct acme_clone *clone;
	int ret;

	if (how->appearing)
		return ERR_PTR(-EOPNOTSUPP);
	clone = kzalloc(sizeof(*clone), GFP_KERNEL);
	if (!clone)
		return ERR_PTR(-ENOMEM);
	clone->sectors = bdev_nr_sectors(bdev);
	INIT_LIST_HEAD(&clone->flying);
	ret = acme_worker_init(&clone->worker, &clone->flt, acme_clone_send,
			       "acme-clone");
	ret = acme_copy_init(clone) ?: ret;
	if (!ret) {
		clone->target = acme_open(how->options, how->options_size,
					  bdev);
		ret = PTR_ERR_OR_ZERO(clone->target);
	}
	if (ret) {
		acme_clone_detach(&clone->flt);
		return ERR_PTR(ret);
	}
	return &clone->flt;
}

struct blkfilter_operations acme_clone_operations = {
	.owner = THIS_MODULE,
	.name = "acme-clone",
	.altitude = 260000 * BLKFILTER_ALTITUDE_UNIT,
	.flags = BLKFILTER_NEEDS_POINTS,
	.attach = acme_clone_attach,
	.deactivate = acme_clone_deactivate,
	.query_detach = acme_clone_query_detach,
	.detach = acme_clone_detach,
	.submit_bio = acme_clone_submit_bio,
	.point = acme_clone_point,
	.settled = acme_clone_settled,
	.unseen = acme_clone_unseen,
	.resized = acme_clone_resized,
	.changed = acme_clone_changed,
	.state = acme_clone_state,
};
