// SPDX-License-Identifier: GPL-2.0-only
/*
 * Difference storage on filtered devices.
 *
 * What is written there is neither copied nor tracked (snap_tracker.storage: as
 * long as it is storage), and images read zeroes there, so that nobody sees old
 * data of another device through an image (snap_area.holes: from then on until the
 * image goes, since the storage may go earlier).
 *
 * A chunk may lie in part in such a range.  What its copy has there is zeroed when
 * it is read, so that what is in the storage is always right, also when the image
 * was written to afterwards; only where the device itself is read the ranges have
 * to be looked at.
 */
#include <linux/slab.h>
#include <linux/sort.h>
#include "snap.h"

/* The first range that ends behind @sector. */
static u32 snap_ranges_from(const struct snap_ranges *ranges, sector_t sector)
{
	u32 low = 0, high = ranges->n;

	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (ranges->range[middle].end <= sector)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Is all of it within one of the ranges? */
bool snap_ranges_cover(const struct snap_ranges *ranges, sector_t sector,
		       sector_t sectors)
{
	u32 i = snap_ranges_from(ranges, sector);

	return i < ranges->n && ranges->range[i].first <= sector &&
	       sector + sectors <= ranges->range[i].end;
}

static int snap_range_order(const void *left, const void *right)
{
	const struct snap_range *l = left, *r = right;

	return l->first < r->first ? -1 : l->first > r->first;
}

/* Sorts them, and makes one of those that touch or overlap. */
static void snap_ranges_tidy(struct snap_ranges *ranges)
{
	u32 i, n = 0;

	sort(ranges->range, ranges->n, sizeof(ranges->range[0]),
	     snap_range_order, NULL);
	for (i = 0; i < ranges->n; i++) {
		struct snap_range *last = n ? &ranges->range[n - 1] : NULL;

		if (last && ranges->range[i].first <= last->end)
			last->end = max(last->end, ranges->range[i].end);
		else
			ranges->range[n++] = ranges->range[i];
	}
	ranges->n = n;
}

/* Collects what of the storage on a disk lies on a tracker's device. */
struct snap_collect {
	const struct snap_tracker *tracker;
	struct snap_ranges *ranges;	/* NULL: only count */
	u32 n;
};

static bool snap_collect_extent(const struct snap_extent *extent, sector_t first,
				void *data)
{
	struct snap_collect *collect = data;
	const struct snap_tracker *tracker = collect->tracker;
	sector_t from = max(first, tracker->start);
	sector_t to = min(first + extent->count,
			  tracker->start + tracker->sectors);

	if (from >= to)
		return false;
	if (collect->ranges)
		collect->ranges->range[collect->n] = (struct snap_range){
			.first = from - tracker->start,
			.end = to - tracker->start,
		};
	collect->n++;
	return false;
}

static struct snap_ranges *snap_ranges_new(u32 n)
{
	struct snap_ranges *ranges;

	/* Somebody's storage must not fail to be seen: there is always memory. */
	ranges = kvzalloc(struct_size(ranges, range, n),
			  GFP_KERNEL | __GFP_NOFAIL);
	return ranges;
}

static void snap_holes_of(struct snap_tracker *tracker)
{
	struct snap_collect collect = { .tracker = tracker };
	struct snap_ranges *old;

	snap_storage_each(tracker->disk, snap_collect_extent, &collect);
	if (collect.n) {
		collect.ranges = snap_ranges_new(collect.n);
		collect.n = 0;
		snap_storage_each(tracker->disk, snap_collect_extent, &collect);
		collect.ranges->n = collect.n;
		snap_ranges_tidy(collect.ranges);
	}
	old = rcu_replace_pointer(tracker->storage, collect.ranges,
				  lockdep_is_held(&snap_mutex));
	if (old)
		kvfree_rcu(old, rcu);
}

/* Before the tracker's first bio. */
void snap_holes_attach(struct snap_tracker *tracker)
{
	mutex_lock(&snap_mutex);
	list_add_tail(&tracker->link, &snap_trackers);
	snap_holes_of(tracker);
	mutex_unlock(&snap_mutex);
}

/*
 * snap_holes_keep() - an image reads zeroes where its device has storage now
 *
 * Under snap_mutex.  What was a hole stays one.
 */
void snap_holes_keep(struct snap_tracker *tracker, struct snap_area *area)
{
	struct snap_ranges *now, *old, *all;

	now = rcu_dereference_protected(tracker->storage,
					lockdep_is_held(&snap_mutex));
	old = rcu_dereference_protected(area->holes,
					lockdep_is_held(&snap_mutex));
	if (!now)
		return;
	all = snap_ranges_new(now->n + (old ? old->n : 0));
	memcpy(all->range, now->range, now->n * sizeof(now->range[0]));
	if (old)
		memcpy(all->range + now->n, old->range,
		       old->n * sizeof(old->range[0]));
	all->n = now->n + (old ? old->n : 0);
	snap_ranges_tidy(all);
	rcu_assign_pointer(area->holes, all);
	if (old)
		kvfree_rcu(old, rcu);
}

/*
 * snap_holes_update() - the storage on a disk has changed
 *
 * Under snap_mutex.  When it returns, no bio is looking at what was before.
 */
void snap_holes_update(struct gendisk *disk)
{
	struct snap_tracker *tracker;
	struct snap_area *area;
	bool changed = false;

	list_for_each_entry(tracker, &snap_trackers, link) {
		if (tracker->disk != disk)
			continue;
		changed = true;
		snap_holes_of(tracker);
		area = tracker->taking ?:
		       rcu_dereference_protected(tracker->area, 1);
		if (area)
			snap_holes_keep(tracker, area);
	}
	if (changed)
		synchronize_rcu();
}

/* Zeroes @bytes of a bio that are @skip bytes from where @iter is. */
static void snap_zero(struct bio *bio, struct bvec_iter iter, u64 skip, u64 bytes)
{
	struct bio_vec vec;

	bio_advance_iter(bio, &iter, skip);
	iter.bi_size = min_t(u64, iter.bi_size, bytes);
	__bio_for_each_segment(vec, bio, iter, iter)
		memzero_bvec(&vec);
}

/*
 * snap_holes_zero() - what was read from the device is zero where it has storage
 * @sector: where it was read from, counted from the device's first sector.
 * @iter:   where in @bio it is.
 *
 * Any context.
 */
void snap_holes_zero(struct snap_area *area, sector_t sector, struct bio *bio,
		     struct bvec_iter iter)
{
	sector_t end = sector + (iter.bi_size >> SECTOR_SHIFT);
	const struct snap_ranges *holes;
	u32 i;

	rcu_read_lock();
	holes = rcu_dereference(area->holes);
	for (i = holes ? snap_ranges_from(holes, sector) : 0;
	     holes && i < holes->n && holes->range[i].first < end; i++) {
		sector_t from = max(sector, holes->range[i].first);
		sector_t to = min(end, holes->range[i].end);

		if (from < to)
			snap_zero(bio, iter, (from - sector) << SECTOR_SHIFT,
				  (to - from) << SECTOR_SHIFT);
	}
	rcu_read_unlock();
}
