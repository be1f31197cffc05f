// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes that wait until the old data of their chunks is in memory.
 *
 * A write waits for one copy at a time: copies of all its chunks are begun at once,
 * as far as there is memory for them, and it is put on the first one that is not
 * read yet.  When that is read, the write goes on, or to the next one.
 */
#include <linux/slab.h>
#include "snap.h"

/* Chunks that are looked at in submit_bio(); a larger bio is the worker's. */
#define SNAP_LOOK_MAX	64

struct kmem_cache *snap_write_cache;

int snap_writes_init(void)
{
	snap_write_cache = KMEM_CACHE(snap_write, 0);
	return snap_write_cache ? 0 : -ENOMEM;
}

void snap_writes_exit(void)
{
	kmem_cache_destroy(snap_write_cache);
}

static bool snap_is_copied(const struct snap_area *area, u32 chunk)
{
	return snap_index_find(&area->index, chunk) != SNAP_NO_SLOT;
}

/* The first chunk from @chunk to @last that is not copied; @last + 1: none. */
static u32 snap_not_copied(const struct snap_area *area, u32 chunk, u32 last)
{
	while (chunk <= last && snap_is_copied(area, chunk))
		chunk++;
	return chunk;
}

/*
 * snap_write_concerns() - must a write wait?
 * @whole: look at all of it, however large it is.
 *
 * From submit_bio(), with preemption disabled.
 */
bool snap_write_concerns(struct snap_area *area, sector_t sector,
			 sector_t sectors, bool whole)
{
	u64 first = sector >> area->shift;
	u64 last = (sector + sectors - 1) >> area->shift;

	if (unlikely(first >= area->chunks || snap_area_error(area)))
		return false;
	last = min_t(u64, last, area->chunks - 1);
	if (snap_fault(SNAP_SKIP_CHUNK) && !(first % 97))
		return false;
	if (likely(first == last))
		return !snap_is_copied(area, first);
	return (!whole && last - first >= SNAP_LOOK_MAX) ||
	       snap_not_copied(area, first, last) <= last;
}

/* --- taking --- */

static void snap_write_set(struct snap_area *area, struct snap_write *write,
			   struct bio *bio, struct blkfilter_pos pos)
{
	sector_t sector = bio->bi_iter.bi_sector - area->start;
	u64 last = (sector + bio_sectors(bio) - 1) >> area->shift;

	write->bio = bio;
	write->pos = pos;
	write->next = sector >> area->shift;
	write->last = min_t(u64, last, area->chunks - 1);
}

/*
 * Without memory: bios that were taken at the same place are chained to each other.
 * There are as many places as there are filtered partitions, and versions of the
 * stack in use; hardly ever more than one.  NULL: more than expected.
 */
static struct bio_list *snap_write_chain(struct snap_area *area,
					 struct blkfilter_pos pos)
{
	u32 i;

	for (i = 0; i < SNAP_TAKEN_MAX; i++) {
		struct snap_taken *taken = &area->taken[i];

		if (!bio_list_empty(&taken->bios) &&
		    (taken->pos.path != pos.path ||
		     taken->pos.index != pos.index))
			continue;
		taken->pos = pos;
		return &taken->bios;
	}
	return NULL;
}

/*
 * snap_write_take() - a write waits
 *
 * In submit_bio(), with preemption disabled, which keeps the area.
 *
 * Return: false when it goes on at once: there was nowhere to wait.
 */
bool snap_write_take(struct snap_area *area, struct blkfilter *flt,
		     struct bio *bio, struct blkfilter_pos pos)
{
	struct snap_write *write = NULL;
	struct bio_list *chain = NULL;
	unsigned long flags;

	if (bio->bi_opf & REQ_NOWAIT) {
		blkfilter_take(flt, bio, pos);
		blkfilter_end(pos, bio, BLK_STS_AGAIN);
		return true;
	}
	write = mempool_alloc(&area->write_pool, GFP_NOWAIT | __GFP_NOWARN);
	spin_lock_irqsave(&area->lock, flags);
	if (!write)
		chain = snap_write_chain(area, pos);
	if (write || chain)
		blkfilter_take(flt, bio, pos);
	if (write) {
		snap_write_set(area, write, bio, pos);
		list_add_tail(&write->link, &area->writes);
	} else if (chain) {
		bio_list_add(chain, bio);
	}
	spin_unlock_irqrestore(&area->lock, flags);
	if (!write && !chain) {
		/* The snapshot goes, not the write. */
		snap_area_fail(area, -ENOMEM);
		return false;
	}
	atomic64_inc(&area->waited);
	snap_area_kick(area);
	return true;
}

/* --- going on --- */

/* Are there some for which there was no memory?  Under the lock. */
bool snap_write_chained(const struct snap_area *area)
{
	bool chained = false;
	u32 i;

	for (i = 0; i < SNAP_TAKEN_MAX; i++)
		chained = chained || !bio_list_empty(&area->taken[i].bios);
	return chained;
}

/* Those whose chunks are in memory. */
void snap_writes_go_on(struct snap_area *area)
{
	struct snap_write *write, *next;
	bool chained;
	LIST_HEAD(ready);

	spin_lock_irq(&area->lock);
	list_splice_init(&area->ready, &ready);
	chained = !list_empty(&ready) && snap_write_chained(area);
	spin_unlock_irq(&area->lock);
	list_for_each_entry_safe(write, next, &ready, link) {
		struct blkfilter_pos pos = write->pos;
		struct bio *bio = write->bio;

		mempool_free(write, &area->write_pool);
		blkfilter_resume(pos, bio);
	}
	/* There is memory for others now. */
	if (chained)
		snap_area_kick(area);
}

/* Gives those for which there was no memory what they need, if there is some. */
static void snap_writes_unchain(struct snap_area *area)
{
	struct snap_write *write;
	u32 i;

	for (i = 0; i < SNAP_TAKEN_MAX; i++) {
		struct snap_taken *taken = &area->taken[i];

		while (READ_ONCE(taken->bios.head)) {
			write = mempool_alloc(&area->write_pool,
					      GFP_NOWAIT | __GFP_NOWARN);
			/* One comes back with the next write that goes on. */
			if (!write)
				return;
			spin_lock_irq(&area->lock);
			snap_write_set(area, write, bio_list_pop(&taken->bios),
				       taken->pos);
			list_add_tail(&write->link, &area->writes);
			spin_unlock_irq(&area->lock);
		}
	}
}

/*
 * Begins the copies that a write needs.  Return: false when there is no memory for
 * all of them now.
 */
static bool snap_write_copies(struct snap_area *area, struct snap_write *write)
{
	u32 chunk;
	int ret;

	chunk = snap_not_copied(area, write->next, write->last);
	write->next = chunk;
	while (chunk <= write->last && !snap_area_error(area)) {
		ret = snap_copy_start(area, chunk, write->last - chunk + 1);
		if (ret == -EAGAIN)
			return false;
		if (ret < 0)
			snap_area_fail(area, ret);
		else
			chunk = snap_not_copied(area, chunk + ret, write->last);
	}
	return true;
}

/*
 * Puts a write where it belongs next; under the lock.  Return: false when it has to
 * wait for memory, or is to be looked at again.
 */
static bool snap_write_place(struct snap_area *area, struct snap_write *write)
{
	u32 most = write->next +
		   min(write->last - write->next, SNAP_LOOK_MAX - 1U);
	struct snap_copy *copy;

	write->next = snap_not_copied(area, write->next, most);
	if (write->next > write->last || snap_area_error(area)) {
		list_move_tail(&write->link, &area->ready);
		return true;
	}
	/* Not a long look with interrupts disabled: it comes by again. */
	copy = write->next > most ? NULL : snap_copy_at(area, write->next);
	if (!copy)
		return false;
	list_move_tail(&write->link, &copy->writes);
	return true;
}

/*
 * snap_writes_work() - all writes that wait for nothing yet
 *
 * In the worker.  One that needs more memory than there is goes behind the others,
 * and all wait for a copy to be stored, which kicks the worker.
 */
void snap_writes_work(struct snap_area *area)
{
	struct snap_write *write;
	bool memory = true, placed;

	snap_writes_unchain(area);
	while (memory) {
		cond_resched();
		spin_lock_irq(&area->lock);
		write = list_first_entry_or_null(&area->writes,
						 struct snap_write, link);
		spin_unlock_irq(&area->lock);
		if (!write)
			break;
		memory = snap_write_copies(area, write);
		spin_lock_irq(&area->lock);
		placed = snap_write_place(area, write);
		if (!placed)
			list_move_tail(&write->link, &area->writes);
		spin_unlock_irq(&area->lock);
	}
	snap_writes_go_on(area);
	if (!memory)
		snap_store_kick(area, true);
}
