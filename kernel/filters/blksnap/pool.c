// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for chunks on their way: bounded, and a few that are kept, so that there is
 * always one that goes on.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "snap.h"

static void snap_copy_free(struct snap_copy *copy)
{
	u32 i;

	for (i = 0; i < copy->nr_vec; i++)
		__free_pages(copy->vec[i].bv_page, copy->order);
	kvfree(copy);
}

/* With pages of 2^@order, for @n chunks. */
static struct snap_copy *snap_copy_new(struct snap_area *area, u32 n, u32 order,
				       gfp_t memory)
{
	u32 count = n * (snap_chunk_bytes(area) >> PAGE_SHIFT >> order);
	struct snap_copy *copy = kvzalloc(struct_size(copy, vec, count), memory);

	if (!copy)
		return NULL;
	copy->area = area;
	copy->order = order;
	for (copy->nr_vec = 0; copy->nr_vec < count; copy->nr_vec++) {
		struct page *page = alloc_pages(memory | (order ? __GFP_COMP : 0),
						order);

		if (!page) {
			snap_copy_free(copy);
			return NULL;
		}
		copy->vec[copy->nr_vec] = (struct bio_vec){
			.bv_page = page, .bv_len = PAGE_SIZE << order,
		};
	}
	return copy;
}

/* In pieces as large as can be had. */
static struct snap_copy *snap_copy_try(struct snap_area *area, u32 n,
				       gfp_t memory)
{
	u32 order = min(area->shift + SECTOR_SHIFT - PAGE_SHIFT, 4U);
	struct snap_copy *copy = NULL;

	if (order)
		copy = snap_copy_new(area, n, order,
				     memory | __GFP_NORETRY | __GFP_NOWARN);
	return copy ?: snap_copy_new(area, n, 0, memory);
}

/*
 * An empty one for one chunk.  The last one of the pool only when nothing is in
 * flight, so that there is always one that goes on; under the lock.
 */
static struct snap_copy *snap_pool_get(struct snap_area *area, u32 in_flight)
{
	struct snap_copy *copy;

	if (area->pool_size < (in_flight ? 2 : 1))
		return NULL;
	copy = list_first_entry(&area->pool, struct snap_copy, link);
	list_del(&copy->link);
	area->pool_size--;
	return copy;
}

static bool snap_pool_put(struct snap_area *area, struct snap_copy *copy)
{
	if (copy->nr_vec << copy->order != snap_chunk_bytes(area) >> PAGE_SHIFT ||
	    area->pool_size >= max(area->pool_max, 1U))
		return false;
	list_add(&copy->link, &area->pool);
	area->pool_size++;
	return true;
}

/*
 * snap_copy_get() - memory for at most *@n chunks, which are counted as in flight
 *
 * In one of the workers.  Return: it, and their number; NULL: wait until something
 * else is stored.
 */
struct snap_copy *snap_copy_get(struct snap_area *area, u32 *n)
{
	struct snap_copy *copy = NULL;
	u32 others;

	spin_lock_irq(&area->lock);
	others = area->in_flight;
	*n = min(*n, area->in_flight_max - min(others, area->in_flight_max));
	/* One that the pool has is better than two for which memory is sought. */
	if (*n == 1)
		copy = snap_pool_get(area, max(others, 1U));
	area->in_flight += *n;
	spin_unlock_irq(&area->lock);
	if (!*n || copy)
		return copy;
	copy = snap_copy_try(area, *n, SNAP_COPY_MEMORY);
	if (copy)
		return copy;
	spin_lock_irq(&area->lock);
	area->in_flight -= *n - 1;
	*n = 1;
	copy = snap_pool_get(area, area->in_flight - 1);
	if (!copy)
		area->in_flight--;
	spin_unlock_irq(&area->lock);
	return copy;
}

/* Kicks who waits for memory, or for what was just done.  Under the lock. */
void snap_kick_waiting(struct snap_area *area)
{
	if (!list_empty(&area->writes) || snap_write_chained(area) ||
	    snap_area_error(area))
		snap_area_kick(area);
	if (area->starved || !bio_list_empty(&area->retry) ||
	    !bio_list_empty(&area->wanted) || snap_area_error(area))
		snap_store_kick(area, true);
}

/* A reader has done with the pages, or it is stored. */
void snap_copy_put(struct snap_copy *copy)
{
	struct snap_area *area = copy->area;
	unsigned long flags;
	bool kept;

	if (!refcount_dec_and_test(&copy->refs))
		return;
	spin_lock_irqsave(&area->lock, flags);
	if (copy->nr_vec)
		area->in_flight -= copy->n;
	kept = copy->nr_vec && snap_pool_put(area, copy);
	snap_kick_waiting(area);
	spin_unlock_irqrestore(&area->lock, flags);
	if (!kept)
		snap_copy_free(copy);
}

int snap_copies_init(struct snap_area *area)
{
	struct snap_copy *copy = snap_copy_try(area, 1, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	list_add(&copy->link, &area->pool);
	area->pool_size = 1;
	return 0;
}

void snap_copies_free(struct snap_area *area)
{
	struct snap_copy *copy, *next;

	list_for_each_entry_safe(copy, next, &area->pool, link)
		snap_copy_free(copy);
}
