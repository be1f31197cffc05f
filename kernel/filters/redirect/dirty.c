// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which regions are to be copied, and who is at work where.  All of it under
 * rd_job.lock; sectors are counted from the beginning of the range.
 */
#include <linux/bitmap.h>
#include <linux/interval_tree_generic.h>
#include <linux/mm.h>
#include "rd.h"

/* Regions: from 64 KiB on, as many as fit into 2 MiB of memory, up to 512 KiB. */
#define RD_SHIFT_MIN	(16 - SECTOR_SHIFT)
#define RD_SHIFT_MAX	(19 - SECTOR_SHIFT)
#define RD_REGIONS	BIT_ULL(24)

/* Everything is to be copied once more.  Under the lock. */
void rd_dirty_set_all(struct rd_job *job)
{
	rd_dirty_set(job, 0, job->sectors - 1);
	job->pass = false;
	job->cursor = 0;
	job->barren = 0;
}

/* Everything is dirty.  Return: 0 or -ENOMEM. */
int rd_dirty_init(struct rd_job *job)
{
	job->shift = RD_SHIFT_MIN;
	while (job->shift < RD_SHIFT_MAX &&
	       job->sectors >> job->shift > RD_REGIONS)
		job->shift++;
	job->regions = ((job->sectors - 1) >> job->shift) + 1;
	job->dirty = kvcalloc(BITS_TO_LONGS(job->regions), sizeof(long),
			      GFP_KERNEL);
	if (!job->dirty)
		return -ENOMEM;
	rd_dirty_set_all(job);
	job->count.dirtied = 0;
	return 0;
}

/* The bits of one word from region @region to @last; goes on to the next word. */
static unsigned long rd_mask(u64 *region, u64 last)
{
	u32 from = *region % BITS_PER_LONG;
	u64 end = *region - from + BITS_PER_LONG - 1;
	unsigned long mask = GENMASK(min(end, last) % BITS_PER_LONG, from);

	*region = end + 1;
	return mask;
}

/* Sets all regions of a map that a range touches.  Return: how many were not. */
u64 rd_regions_set(const struct rd_job *job, unsigned long *map, sector_t first,
		   sector_t last)
{
	u64 region = first >> job->shift, more = 0;

	while (region <= last >> job->shift) {
		unsigned long *word = &map[BIT_WORD(region)];
		unsigned long mask = rd_mask(&region, last >> job->shift);

		more += hweight_long(mask & ~*word);
		*word |= mask;
	}
	return more;
}

void rd_dirty_set(struct rd_job *job, sector_t first, sector_t last)
{
	u64 more = rd_regions_set(job, job->dirty, first, last);

	rd_record_touch(job, first, last);
	job->nr_dirty += more;
	job->count.dirtied += more << (job->shift + SECTOR_SHIFT);
}

void rd_dirty_clear(struct rd_job *job, sector_t first, sector_t last)
{
	u64 region = first >> job->shift;

	while (region <= last >> job->shift) {
		unsigned long *word = &job->dirty[BIT_WORD(region)];
		unsigned long mask = rd_mask(&region, last >> job->shift);

		job->nr_dirty -= hweight_long(mask & *word);
		*word &= ~mask;
	}
}

/* All regions that a range touches are dirty. */
bool rd_dirty_all(const struct rd_job *job, sector_t first, sector_t last)
{
	u64 region = first >> job->shift;

	while (region <= last >> job->shift) {
		const unsigned long *word = &job->dirty[BIT_WORD(region)];
		unsigned long mask = rd_mask(&region, last >> job->shift);

		if (mask & ~*word)
			return false;
	}
	return true;
}

/* Bytes that are not on the target as they are on the source. */
u64 rd_remaining(const struct rd_job *job)
{
	u64 sectors = (job->nr_dirty << job->shift) + job->copying_sectors;

	return min(sectors, job->sectors) << SECTOR_SHIFT;
}

/* --- ranges --- */

#define RD_FIRST(range)	((range)->first)
#define RD_LAST(range)	((range)->last)

INTERVAL_TREE_DEFINE(struct rd_range, node, sector_t, subtree_last, RD_FIRST,
		     RD_LAST, static __maybe_unused, rd_tree)

void rd_range_insert(struct rd_range *range, struct rb_root_cached *tree)
{
	rd_tree_insert(range, tree);
}

void rd_range_remove(struct rd_range *range, struct rb_root_cached *tree)
{
	rd_tree_remove(range, tree);
}

/* The first range of @tree that meets another one, or NULL. */
struct rd_range *rd_range_first(struct rb_root_cached *tree, sector_t first,
				sector_t last)
{
	return rd_tree_iter_first(tree, first, last);
}

struct rd_range *rd_range_next(struct rd_range *range, sector_t first,
			       sector_t last)
{
	return rd_tree_iter_next(range, first, last);
}
