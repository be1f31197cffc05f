// SPDX-License-Identifier: GPL-2.0-only
/*
 * The image: a block device that shows what a device was at the instant.
 *
 * A bio is cut where what it needs changes (struct snap_piece): chunks that were not
 * copied are read from the device, and looked at again afterwards; chunks in the
 * storage are read and written there; chunks in memory are read from there.  What
 * has to wait for a copy, and everything that needs one, is the area's worker's.
 *
 * Each bio holds snap_area.io.  In one call of submit_bio() no pool is asked twice,
 * so that none is waited for that what was asked for before would have to come back
 * to.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include "snap.h"

#define SNAP_BIOS_MIN	64

enum snap_where {
	SNAP_ON_DEVICE,		/* not copied */
	SNAP_IN_STORAGE,
	SNAP_IN_MEMORY,
	SNAP_ON_ITS_WAY,	/* wait until it is stored */
};

/* The first part of a bio for which one thing is to be done. */
struct snap_piece {
	enum snap_where where;
	u32 sectors;
	u32 slot;
	struct snap_copy *copy;		/* in memory: referenced */
};

/* A clone, and what it is of. */
struct snap_clone {
	struct snap_area *area;
	struct bio *whole;
	sector_t sector;		/* of the image */
	u32 bytes;
	struct bio bio;
};

static struct snap_clone *snap_clone_of(struct bio *bio)
{
	return container_of(bio, struct snap_clone, bio);
}

int snap_image_pools(struct snap_area *area)
{
	return bioset_init(&area->clones, SNAP_BIOS_MIN,
			   offsetof(struct snap_clone, bio), 0) ?:
	       bioset_init(&area->splits, SNAP_BIOS_MIN, 0, 0);
}

/* --- the end of a bio --- */

static void snap_image_end(struct snap_area *area, struct bio *bio,
			   blk_status_t status)
{
	if (snap_area_error(area))
		status = BLK_STS_IOERR;
	if (status)
		bio->bi_status = status;
	bio_endio(bio);
	percpu_ref_put(&area->io);
}

static void snap_image_list(struct snap_area *area, struct bio_list *list,
			    struct bio *bio, bool now)
{
	unsigned long flags;

	spin_lock_irqsave(&area->lock, flags);
	bio_list_add(list, bio);
	/* Inside the lock: the bio keeps the area, until it is looked at. */
	snap_store_kick(area, now);
	spin_unlock_irqrestore(&area->lock, flags);
}

/* The worker looks at it again. */
static void snap_image_again(struct snap_area *area, struct bio *bio)
{
	snap_image_list(area, &area->retry, bio, true);
}

/* The worker had no memory for it, and must not wait for what it has to free itself. */
static void snap_image_later(struct snap_area *area, struct bio *bio)
{
	snap_image_list(area, &area->retry, bio, false);
}

/* It waits for a copy, or needs one. */
static void snap_image_wants(struct snap_area *area, struct bio *bio)
{
	snap_image_list(area, &area->wanted, bio, true);
}

static gfp_t snap_image_memory(const struct snap_area *area)
{
	return current_work() == &area->store.work ? GFP_NOWAIT | __GFP_NOWARN :
						     GFP_NOIO;
}

/* The first @sectors; the rest ends when both have; NULL: no memory. */
static struct bio *snap_image_split(struct snap_area *area, struct bio *bio,
				    u32 sectors)
{
	struct bio *first = bio_split(bio, sectors, snap_image_memory(area),
				      &area->splits);

	/* 6.12 may tell errors, which are about bios that we do not get. */
	if (IS_ERR_OR_NULL(first))
		return NULL;
	bio_chain(first, bio);
	return first;
}

/* --- what a bio needs --- */

static u32 snap_chunk_of(const struct snap_area *area, sector_t sector)
{
	return sector >> area->shift;
}

/* Sectors from @sector to the end of the chunk. */
static u32 snap_chunk_rest(const struct snap_area *area, sector_t sector)
{
	return snap_chunk_sectors(area) -
	       (sector & (snap_chunk_sectors(area) - 1));
}

/*
 * Where is one chunk?  Whoever finds it in the index and on no way has it in the
 * storage: copies leave after they were stored.
 */
static enum snap_where snap_where_is(struct snap_area *area, u32 chunk,
				     struct snap_piece *piece, bool reference)
{
	enum snap_where where = SNAP_IN_STORAGE;
	struct snap_copy *copy;
	unsigned long flags;

	piece->slot = snap_index_find(&area->index, chunk);
	if (piece->slot == SNAP_NO_SLOT)
		return SNAP_ON_DEVICE;
	spin_lock_irqsave(&area->lock, flags);
	copy = snap_copy_at(area, chunk);
	if (copy && copy->state == SNAP_DIRECT) {
		where = SNAP_ON_ITS_WAY;
	} else if (copy) {
		where = SNAP_IN_MEMORY;
		if (reference) {
			refcount_inc(&copy->refs);
			piece->copy = copy;
		}
	}
	spin_unlock_irqrestore(&area->lock, flags);
	return where;
}

/* Does the next chunk belong to the same piece? */
static bool snap_piece_goes_on(struct snap_area *area, u32 chunk, u32 slot,
			       enum snap_where where)
{
	struct snap_piece next;

	return snap_where_is(area, chunk, &next, false) == where &&
	       (where != SNAP_IN_STORAGE || next.slot == slot);
}

/* Looks at the chunks of a range until one is elsewhere than the first. */
static void snap_piece_find(struct snap_area *area, sector_t sector, u32 sectors,
			    struct snap_piece *piece)
{
	u32 chunk = snap_chunk_of(area, sector), most = U32_MAX, n;
	struct snap_place place;

	*piece = (struct snap_piece){};
	piece->where = snap_where_is(area, chunk, piece, true);
	piece->sectors = min(sectors, snap_chunk_rest(area, sector));
	if (piece->where == SNAP_IN_STORAGE) {
		snap_storage_find(&area->snapshot->storage, piece->slot, &place);
		most = place.slots;
	} else if (piece->where != SNAP_ON_DEVICE) {
		return;
	}
	for (n = 1; piece->sectors < sectors && n < most; n++) {
		if (!snap_piece_goes_on(area, chunk + n, piece->slot + n,
					piece->where))
			break;
		piece->sectors = min_t(u32, sectors, piece->sectors +
						     snap_chunk_sectors(area));
	}
}

/* --- reading from the device --- */

/* Was any chunk of it copied meanwhile, and may have been overwritten? */
static bool snap_was_copied(const struct snap_area *area, sector_t sector,
			    u32 bytes)
{
	u32 chunk = snap_chunk_of(area, sector);
	u32 last = snap_chunk_of(area, sector + (bytes >> SECTOR_SHIFT) - 1);

	for (; chunk <= last; chunk++)
		if (snap_index_find(&area->index, chunk) != SNAP_NO_SLOT)
			return true;
	return false;
}

static void snap_device_read_end(struct bio *bio)
{
	struct snap_clone *clone = snap_clone_of(bio);
	struct snap_area *area = clone->area;
	struct bio *whole = clone->whole;
	blk_status_t status = bio->bi_status;
	sector_t sector = clone->sector;
	u32 bytes = clone->bytes;

	bio_put(bio);
	if (!status && !snap_fault(SNAP_NO_SECOND_LOOK) &&
	    snap_was_copied(area, sector, bytes)) {
		snap_image_again(area, whole);
		return;
	}
	if (!status && unlikely(rcu_access_pointer(area->holes)))
		snap_holes_zero(area, sector, whole, whole->bi_iter);
	snap_image_end(area, whole, status);
}

/* NULL: no memory; @whole is looked at again later. */
static struct snap_clone *snap_clone_new(struct snap_area *area,
					 struct bio *whole, bio_end_io_t *end)
{
	struct bio *bio = bio_alloc_clone(whole->bi_bdev, whole,
					  snap_image_memory(area),
					  &area->clones);
	struct snap_clone *clone;

	if (!bio) {
		snap_image_later(area, whole);
		return NULL;
	}
	clone = snap_clone_of(bio);
	clone->area = area;
	clone->whole = whole;
	clone->sector = whole->bi_iter.bi_sector;
	clone->bytes = whole->bi_iter.bi_size;
	bio->bi_end_io = end;
	return clone;
}

static void snap_read_device(struct snap_area *area, struct bio *whole)
{
	struct snap_clone *clone = snap_clone_new(area, whole,
						  snap_device_read_end);

	if (!clone)
		return;
	clone->bio.bi_iter.bi_sector += area->start;
	blkfilter_submit_below(area->flt, &clone->bio);
}

/* --- the storage --- */

static void snap_storage_end(struct bio *bio)
{
	struct snap_clone *clone = snap_clone_of(bio);
	struct snap_area *area = clone->area;
	struct bio *whole = clone->whole;
	blk_status_t status = bio->bi_status;

	bio_put(bio);
	/* A write that failed leaves its own sectors undefined, as on any disk. */
	snap_image_end(area, whole, status);
}

/* Reads from slots, or writes to them. */
static void snap_use_storage(struct snap_area *area, struct bio *whole, u32 slot)
{
	struct snap_clone *clone = snap_clone_new(area, whole, snap_storage_end);
	struct snap_place place;

	if (!clone)
		return;
	snap_storage_find(&area->snapshot->storage, slot, &place);
	place.sector += clone->sector & (snap_chunk_sectors(area) - 1);
	snap_submit_to(area, &place, &clone->bio);
}

/* --- memory --- */

static void snap_read_memory(struct snap_area *area, struct bio *whole,
			     struct snap_copy *copy)
{
	sector_t first = (sector_t)copy->chunk << area->shift;
	struct bvec_iter from = {
		.bi_size = copy->nr_vec * (PAGE_SIZE << copy->order),
	}, to = whole->bi_iter;
	/* The pages; what bio a copy is in just now does not matter. */
	struct bio pages;

	bio_init(&pages, NULL, copy->vec, copy->nr_vec, REQ_OP_READ);
	bio_advance_iter(&pages, &from, (to.bi_sector - first) << SECTOR_SHIFT);
	bio_copy_data_iter(whole, &to, &pages, &from);
	snap_copy_put(copy);
	snap_image_end(area, whole, BLK_STS_OK);
}

/* --- bios --- */

static void snap_image_read(struct snap_area *area, struct bio *bio,
			    struct snap_piece *piece)
{
	switch (piece->where) {
	case SNAP_ON_DEVICE:
		snap_read_device(area, bio);
		break;
	case SNAP_IN_STORAGE:
		snap_use_storage(area, bio, piece->slot);
		break;
	case SNAP_IN_MEMORY:
		snap_read_memory(area, bio, piece->copy);
		break;
	case SNAP_ON_ITS_WAY:
		snap_image_wants(area, bio);
		break;
	}
}

static void snap_image_write(struct snap_area *area, struct bio *bio,
			     struct snap_piece *piece)
{
	if (piece->copy)
		snap_copy_put(piece->copy);
	if (piece->where == SNAP_IN_STORAGE)
		snap_use_storage(area, bio, piece->slot);
	else
		snap_image_wants(area, bio);
}

/* A bio with data that holds snap_area.io.  From a task. */
static void snap_image_bio(struct snap_area *area, struct bio *bio)
{
	struct snap_piece piece;
	struct bio *first;

	if (snap_area_error(area)) {
		snap_image_end(area, bio, BLK_STS_IOERR);
		return;
	}
	snap_piece_find(area, bio->bi_iter.bi_sector, bio_sectors(bio), &piece);
	if (piece.sectors < bio_sectors(bio)) {
		first = snap_image_split(area, bio, piece.sectors);
		if (!first) {
			if (piece.copy)
				snap_copy_put(piece.copy);
			snap_image_later(area, bio);
			return;
		}
		/* It comes back to us with a reference of its own. */
		submit_bio_noacct(bio);
		bio = first;
	}
	if (op_is_write(bio_op(bio)))
		snap_image_write(area, bio, &piece);
	else
		snap_image_read(area, bio, &piece);
}

static void snap_image_submit_bio(struct bio *bio)
{
	struct snap_area *area = bio->bi_bdev->bd_disk->private_data;

	if (!percpu_ref_tryget_live(&area->io)) {
		bio_io_error(bio);
		return;
	}
	bio = bio_split_to_limits(bio);
	if (!bio) {
		percpu_ref_put(&area->io);
		return;
	}
	/* There is no cache to be flushed: an image does not outlive its machine. */
	if (!bio_sectors(bio)) {
		snap_image_end(area, bio, BLK_STS_OK);
		return;
	}
	if (op_is_write(bio_op(bio)))
		snap_mark_by_hand(area->tracker, bio->bi_iter.bi_sector,
				  bio_sectors(bio), true);
	snap_image_bio(area, bio);
}

/* --- the worker's part --- */

/* Chunks that a bio covers wholly, from its first sector on; the last may be short. */
static u32 snap_whole_chunks(const struct snap_area *area, const struct bio *bio)
{
	sector_t sector = bio->bi_iter.bi_sector, end = bio_end_sector(bio);

	if (sector & (snap_chunk_sectors(area) - 1))
		return 0;
	if (end == area->sectors)
		end = round_up(end, snap_chunk_sectors(area));
	return (end - sector) >> area->shift;
}

static void snap_direct_end(struct bio *bio)
{
	struct snap_copy *copy = bio->bi_private;
	struct snap_area *area = copy->area;
	struct bio *whole = copy->whole;
	blk_status_t status = bio->bi_status;

	snap_copy_done(copy, blk_status_to_errno(status));
	snap_image_end(area, whole, status);
}

/*
 * The copy's bio writes the bio's first part; the rest is looked at again, and the
 * bio ends when both have.  Nothing is allocated: the copy cannot be taken back.
 */
static void snap_direct_write(struct snap_copy *copy, struct bio *bio)
{
	struct snap_area *area = copy->area;
	u32 bytes = min_t(u64, (u64)copy->n << area->shift << SECTOR_SHIFT,
			  bio->bi_iter.bi_size);
	struct snap_place place;
	int ret;

	/* Allocates for bios with inline encryption or integrity only: not ours. */
	ret = bio_init_clone(bio->bi_bdev, &copy->bio, bio, GFP_NOWAIT);
	copy->bio.bi_iter.bi_size = bytes;
	copy->bio.bi_private = copy;
	copy->bio.bi_end_io = snap_direct_end;
	copy->whole = bio;
	if (bytes < bio->bi_iter.bi_size) {
		bio_inc_remaining(bio);
		bio_advance(bio, bytes);
		percpu_ref_get(&area->io);
		snap_image_again(area, bio);
	}
	if (ret) {
		copy->bio.bi_status = BLK_STS_RESOURCE;
		snap_direct_end(&copy->bio);
		return;
	}
	snap_storage_find(&area->snapshot->storage, copy->slot, &place);
	snap_submit_to(area, &place, &copy->bio);
}

/* Writes whole chunks without reading the device.  False: it cannot. */
static bool snap_write_whole(struct snap_area *area, struct bio *bio)
{
	u32 chunk = snap_chunk_of(area, bio->bi_iter.bi_sector);
	u32 n = snap_whole_chunks(area, bio);
	struct snap_copy *copy = NULL;

	if (n)
		copy = snap_copy_direct(area, chunk, n);
	if (copy)
		snap_direct_write(copy, bio);
	return copy;
}

/*
 * A bio that waits for a copy, or needs one.  Return: false when there is no memory
 * for it now.
 */
static bool snap_wanted(struct snap_area *area, struct bio *bio)
{
	u32 chunk = snap_chunk_of(area, bio->bi_iter.bi_sector);
	struct snap_copy *copy;
	int ret = 0;

	if (!snap_area_error(area)) {
		spin_lock_irq(&area->lock);
		copy = snap_copy_at(area, chunk);
		if (copy)
			bio_list_add(&copy->images, bio);
		spin_unlock_irq(&area->lock);
		if (copy)
			return true;
		if (op_is_write(bio_op(bio)) &&
		    snap_index_find(&area->index, chunk) == SNAP_NO_SLOT) {
			if (snap_write_whole(area, bio))
				return true;
			ret = snap_copy_start(area, chunk, 1);
			if (ret > 0)
				return snap_wanted(area, bio);
		}
	}
	if (ret == -EAGAIN)
		return false;
	/* It does not cost the snapshot. */
	if (ret)
		snap_image_end(area, bio, errno_to_blk_status(ret));
	else
		snap_image_bio(area, bio);
	return true;
}

/*
 * snap_images_work() - all bios of the image that are to be looked at again
 *
 * In the storage's worker.
 */
void snap_images_work(struct snap_area *area)
{
	struct bio_list retry, wanted;
	struct bio *bio;

	spin_lock_irq(&area->lock);
	retry = area->retry;
	bio_list_init(&area->retry);
	wanted = area->wanted;
	bio_list_init(&area->wanted);
	/* From before they are tried: what comes back meanwhile kicks us. */
	area->starved = !bio_list_empty(&wanted);
	spin_unlock_irq(&area->lock);
	while ((bio = bio_list_pop(&retry)))
		snap_image_bio(area, bio);
	while ((bio = bio_list_pop(&wanted))) {
		if (snap_wanted(area, bio))
			continue;
		/* Once something else is stored; that kicks the worker. */
		spin_lock_irq(&area->lock);
		bio_list_merge_head(&area->wanted, &wanted);
		bio_list_add_head(&area->wanted, bio);
		spin_unlock_irq(&area->lock);
		return;
	}
}

/* --- the disk --- */

static void snap_image_free_disk(struct gendisk *disk)
{
	snap_area_put(disk->private_data);
}

static const struct block_device_operations snap_image_operations = {
	.owner = THIS_MODULE,
	.submit_bio = snap_image_submit_bio,
	.free_disk = snap_image_free_disk,
};

/* Is it an image of ours? */
bool snap_is_image(const struct block_device *bdev)
{
	return bdev->bd_disk->fops == &snap_image_operations;
}

/*
 * By the number of the device, as their names are: a device that has gone, and whose
 * snapshot is still held, may have left its number to another one.
 */
static DEFINE_XARRAY(snap_images);

/* Return: 0, -ENOMEM, -EBUSY, or what add_disk() returned: no disk then. */
int snap_image_add(struct snap_area *area)
{
	struct gendisk *disk = bf_alloc_image(area->block_size,
					      area->physical_block_size);
	int ret;

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	ret = xa_insert(&snap_images, area->dev, area, GFP_KERNEL);
	if (ret) {
		put_disk(disk);
		return ret;
	}
	disk->flags |= GENHD_FL_NO_PART;
	disk->fops = &snap_image_operations;
	disk->private_data = area;
	kref_get(&area->ref);
	snprintf(disk->disk_name, sizeof(disk->disk_name), "%s_%u:%u",
		 BLKSNAP_IMAGE_NAME, MAJOR(area->dev), MINOR(area->dev));
	set_capacity(disk, area->sectors);
	ret = add_disk(disk);
	if (ret) {
		put_disk(disk);
		/* free_disk() is only for those that were added. */
		snap_area_put(area);
		xa_erase(&snap_images, area->dev);
	} else {
		area->image = disk;
	}
	return ret;
}

/* Whoever has it open reads nothing from now on: it has no sectors any more. */
void snap_image_remove(struct snap_area *area)
{
	if (!area->image)
		return;
	del_gendisk(area->image);
	put_disk(area->image);
	area->image = NULL;
	xa_erase(&snap_images, area->dev);
}
