// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks on their way: read from the device, entered in the index, stored.
 *
 * Copies are begun by the area's two workers, under snap_area.begin.
 */
#include <linux/slab.h>
#include "snap.h"

/* Chunks that are copied and stored as one have at most so many bytes. */
#define SNAP_RUN_BYTES		((u32)BIT(20))
/* So many chunks are not left waiting for more that could be stored with them. */
#define SNAP_STORE_CHUNKS	16

/* --- which are on their way --- */

/* The one that a chunk is in, or NULL; under the lock. */
struct snap_copy *snap_copy_at(struct snap_area *area, u32 chunk)
{
	struct rb_node *node = area->copies.rb_node;

	while (node) {
		struct snap_copy *copy = rb_entry(node, struct snap_copy, node);

		if (chunk < copy->chunk)
			node = node->rb_left;
		else if (chunk - copy->chunk >= copy->n)
			node = node->rb_right;
		else
			return copy;
	}
	return NULL;
}

static void snap_copy_insert(struct snap_area *area, struct snap_copy *copy)
{
	struct rb_node **place = &area->copies.rb_node, *parent = NULL;

	while (*place) {
		parent = *place;
		if (copy->chunk <
		    rb_entry(parent, struct snap_copy, node)->chunk)
			place = &parent->rb_left;
		else
			place = &parent->rb_right;
	}
	rb_link_node(&copy->node, parent, place);
	rb_insert_color(&copy->node, &area->copies);
}

/* Chunks from @chunk on that are copied, or on their way, at least; under the lock. */
static u32 snap_copy_there(struct snap_area *area, u32 chunk)
{
	struct snap_copy *copy;

	if (snap_index_find(&area->index, chunk) != SNAP_NO_SLOT)
		return 1;
	copy = snap_copy_at(area, chunk);
	return copy ? copy->chunk + copy->n - chunk : 0;
}

/*
 * How many chunks from @chunk on, at most @n, are nowhere yet; @there: none, and so
 * many need nothing any more.  Under begin.
 */
static u32 snap_copy_run(struct snap_area *area, u32 chunk, u32 n, u32 *there)
{
	u32 i;

	spin_lock_irq(&area->lock);
	*there = snap_copy_there(area, chunk);
	for (i = *there ? 0 : 1; i && i < n; i++)
		if (snap_copy_there(area, chunk + i))
			break;
	spin_unlock_irq(&area->lock);
	return i;
}

static void snap_index_add(struct snap_area *area, struct snap_copy *copy)
{
	u32 i;

	for (i = 0; i < copy->n; i++)
		snap_index_insert(&area->index, copy->chunk + i, copy->slot + i);
	atomic64_add(copy->n, &area->copied);
}

/*
 * snap_copy_done() - a copy is stored, or is given up
 * @error: of its I/O, or 0.
 *
 * Any context.
 */
void snap_copy_done(struct snap_copy *copy, int error)
{
	struct snap_area *area = copy->area;
	unsigned long flags;

	bio_uninit(&copy->bio);
	if (error)
		snap_area_fail(area, error);
	spin_lock_irqsave(&area->lock, flags);
	if (copy->state == SNAP_STORING)
		area->storing--;
	rb_erase(&copy->node, &area->copies);
	list_splice_tail_init(&copy->writes, &area->writes);
	bio_list_merge(&area->retry, &copy->images);
	bio_list_init(&copy->images);
	area->stored_at = jiffies;
	snap_kick_waiting(area);
	spin_unlock_irqrestore(&area->lock, flags);
	/* The memory comes back later when somebody still reads it. */
	snap_copy_put(copy);
	percpu_ref_put(&area->io);
}

/* --- the way --- */

/* Bytes of the chunks, which the device's end may cut. */
static u32 snap_copy_bytes(const struct snap_area *area,
			   const struct snap_copy *copy)
{
	sector_t first = (sector_t)copy->chunk << area->shift;
	sector_t n = (sector_t)copy->n << area->shift;

	return min(n, area->sectors - first) << SECTOR_SHIFT;
}

static void snap_copy_bio(struct snap_copy *copy, sector_t sector)
{
	u32 bytes = snap_copy_bytes(copy->area, copy);

	copy->bio.bi_vcnt = DIV_ROUND_UP(bytes, PAGE_SIZE << copy->order);
	copy->bio.bi_iter.bi_size = bytes;
	copy->bio.bi_iter.bi_sector = sector;
	copy->bio.bi_private = copy;
}

/* Where it belongs to next: those who wait for it may go on. */
static void snap_copy_in_memory(struct snap_copy *copy)
{
	struct snap_area *area = copy->area;
	struct snap_write *write, *next;
	unsigned long flags;
	bool much;

	spin_lock_irqsave(&area->lock, flags);
	snap_index_add(area, copy);
	copy->state = SNAP_MEMORY;
	/* While there is something to do the watch goes on by itself. */
	if (!area->storing && list_empty(&area->to_store)) {
		area->stored_at = jiffies;
		queue_delayed_work(area->wq, &area->stuck,
				   snap_store_timeout() / 4);
	}
	list_add_tail(&copy->link, &area->to_store);
	area->in_memory += copy->n;
	list_for_each_entry_safe(write, next, &copy->writes, link) {
		write->next = max(write->next, copy->chunk + copy->n);
		list_move_tail(&write->link, write->next > write->last ?
						     &area->ready :
						     &area->writes);
	}
	/* Inside the lock, which keeps the copy, and that the area. */
	snap_area_kick(area);
	much = area->in_memory >= SNAP_STORE_CHUNKS;
	snap_store_kick(area, much && area->in_memory - copy->n <
				       SNAP_STORE_CHUNKS);
	spin_unlock_irqrestore(&area->lock, flags);
}

static void snap_copy_read_end(struct bio *bio)
{
	struct snap_copy *copy = bio->bi_private;
	struct snap_area *area = copy->area;
	struct bvec_iter iter = {
		.bi_size = snap_copy_bytes(area, copy),
	};

	if (bio->bi_status || snap_area_error(area)) {
		snap_copy_done(copy, blk_status_to_errno(bio->bi_status));
		return;
	}
	snap_holes_zero(area, (sector_t)copy->chunk << area->shift, bio, iter);
	snap_copy_in_memory(copy);
}

static void snap_copy_read(struct snap_copy *copy)
{
	struct snap_area *area = copy->area;

	bio_init(&copy->bio, NULL, copy->vec, copy->nr_vec, REQ_OP_READ);
	snap_copy_bio(copy, area->start + ((sector_t)copy->chunk << area->shift));
	copy->bio.bi_end_io = snap_copy_read_end;
	blkfilter_submit_below(area->flt, &copy->bio);
}

static void snap_copy_set(struct snap_area *area, struct snap_copy *copy,
			  u32 chunk, u32 n, u32 slot)
{
	copy->chunk = chunk;
	copy->n = n;
	copy->slot = slot;
	INIT_LIST_HEAD(&copy->writes);
	bio_list_init(&copy->images);
	refcount_set(&copy->refs, 1);
}

/*
 * Slots for at most *@n chunks, and room in the index.  Return: 0, or why it cannot
 * be had.
 */
static int snap_copy_slots(struct snap_area *area, u32 chunk, u32 *n, u32 *slot)
{
	*n = snap_storage_alloc(area->snapshot, *n, slot);
	if (!*n)
		return -ENOSPC;
	if (snap_index_provide(&area->index, chunk, *slot, *n))
		return -ENOMEM;
	return percpu_ref_tryget_live(&area->io) ? 0 : -ESHUTDOWN;
}

/*
 * Makes a copy that is on its way, and not yet read; NULL: it is begun already, and
 * so are, in all, @there chunks.
 */
static struct snap_copy *snap_copy_begin(struct snap_area *area, u32 chunk, u32 n,
					 u32 *there)
{
	struct snap_copy *copy;
	u32 slot = 0, got;
	int ret;

	n = min(n, max(SNAP_RUN_BYTES / snap_chunk_bytes(area), 1U));
	n = snap_copy_run(area, chunk, n, there);
	if (!n)
		return NULL;
	copy = snap_copy_get(area, &n);
	if (!copy)
		return ERR_PTR(-EAGAIN);
	got = n;
	ret = snap_copy_slots(area, chunk, &got, &slot);
	if (ret) {
		snap_copy_set(area, copy, chunk, n, slot);
		snap_copy_put(copy);
		return ERR_PTR(ret);
	}
	snap_copy_set(area, copy, chunk, got, slot);
	copy->state = SNAP_READING;
	spin_lock_irq(&area->lock);
	area->in_flight -= n - got;
	snap_copy_insert(area, copy);
	spin_unlock_irq(&area->lock);
	*there = got;
	return copy;
}

/*
 * snap_copy_start() - begin to copy chunks
 * @chunk: the first one.
 * @n:     chunks from there on that somebody waits for.
 *
 * In one of the workers.  Return: how many from @chunk on are on their way or copied
 * now, at least one; -EAGAIN when there is no memory before something else is stored;
 * -ENOSPC when the storage is full; -ENOMEM: none for the index; -ESHUTDOWN: all is
 * over.
 */
int snap_copy_start(struct snap_area *area, u32 chunk, u32 n)
{
	struct snap_copy *copy;
	u32 there;

	mutex_lock(&area->begin);
	copy = snap_copy_begin(area, chunk, n, &there);
	mutex_unlock(&area->begin);
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	if (copy)
		snap_copy_read(copy);
	return there;
}

/*
 * snap_copy_direct() - chunks that the image is about to be written wholly
 *
 * In one of the workers.  The caller writes to their slots, with the copy's bio, and
 * then calls snap_copy_done().
 *
 * Return: the copy, of at most @n chunks; NULL when that cannot be done now, or is
 * no use.
 */
struct snap_copy *snap_copy_direct(struct snap_area *area, u32 chunk, u32 n)
{
	struct snap_copy *copy = kvzalloc(sizeof(*copy), SNAP_COPY_MEMORY);
	u32 slot, there;

	if (!copy)
		return NULL;
	copy->area = area;
	mutex_lock(&area->begin);
	n = snap_copy_run(area, chunk, n, &there);
	if (!n || snap_copy_slots(area, chunk, &n, &slot)) {
		mutex_unlock(&area->begin);
		kvfree(copy);
		return NULL;
	}
	snap_copy_set(area, copy, chunk, n, slot);
	copy->state = SNAP_DIRECT;
	spin_lock_irq(&area->lock);
	snap_copy_insert(area, copy);
	/* The device's old data is nobody's any more: it may be overwritten. */
	snap_index_add(area, copy);
	spin_unlock_irq(&area->lock);
	mutex_unlock(&area->begin);
	return copy;
}

/* --- storing --- */

static void snap_copy_store_end(struct bio *bio)
{
	struct snap_copy *copy = bio->bi_private;

	snap_copy_done(copy, blk_status_to_errno(bio->bi_status));
}

/* A bio of the area's own to difference storage, wherever that is.  From a task. */
void snap_submit_to(struct snap_area *area, const struct snap_place *place,
		    struct bio *bio)
{
	sector_t sector;

	bio->bi_iter.bi_sector = place->sector;
	if (place->file) {
		snap_file_submit(place->file, bio);
		return;
	}
	sector = get_start_sect(place->bdev) + place->sector;
	if (place->bdev->bd_disk == area->disk &&
	    sector >= area->start &&
	    sector + bio_sectors(bio) <= area->start + area->sectors) {
		bio->bi_iter.bi_sector = sector;
		blkfilter_submit_below(area->flt, bio);
		return;
	}
	bio_set_dev(bio, place->bdev);
	blkfilter_submit_other(area->flt, bio);
}

static void snap_copy_store(struct snap_copy *copy)
{
	struct snap_area *area = copy->area;
	struct snap_place place;

	snap_storage_find(&area->snapshot->storage, copy->slot, &place);
	bio_reset(&copy->bio, NULL, REQ_OP_WRITE);
	snap_copy_bio(copy, 0);
	copy->bio.bi_end_io = snap_copy_store_end;
	snap_submit_to(area, &place, &copy->bio);
}

/* The next one to be stored; NULL: none, or not now. */
static struct snap_copy *snap_copy_to_store(struct snap_area *area)
{
	struct snap_copy *copy = NULL;

	spin_lock_irq(&area->lock);
	if (!area->quiet || !list_empty(&area->writes) ||
	    !bio_list_empty(&area->wanted) || snap_area_error(area))
		copy = list_first_entry_or_null(&area->to_store,
						struct snap_copy, link);
	if (copy) {
		list_del(&copy->link);
		area->in_memory -= copy->n;
		copy->state = SNAP_STORING;
		area->storing++;
	}
	spin_unlock_irq(&area->lock);
	return copy;
}

/*
 * snap_copies_store() - store what is in memory
 *
 * In the storage's worker.  While a point is coming only what somebody waits for.  Slots are
 * given out in order, so these lie side by side; the plug makes requests of them.
 */
void snap_copies_store(struct snap_area *area)
{
	struct snap_copy *copy;

	while ((copy = snap_copy_to_store(area))) {
		if (snap_area_error(area))
			snap_copy_done(copy, 0);
		else
			snap_copy_store(copy);
	}
}
