// SPDX-License-Identifier: GPL-2.0-only
/*
 * The change map: for each block the number of the interval between snapshots in
 * which it was last written.
 *
 * There are two of a device: the one that is marked in, and the one that is shown,
 * which is what the first was when the last snapshot was taken.  Intervals are
 * numbered 1 to 255.  After the 255th snapshot the map begins anew with another
 * generation; what is shown until the next one is the complete old map.
 *
 * Marking takes no lock.  It happens in submit_bio(), so it never straddles the
 * instant of a point; whoever marks elsewhere holds the tracker's lock, and so does
 * the instant.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "snap.h"

#define SNAP_NUMBER_FIRST	1
#define SNAP_NUMBER_LAST	255

/* For a device of @sectors: zero, without a generation; NULL: no memory. */
struct snap_map *snap_map_new(sector_t sectors)
{
	struct snap_parameters parameters;
	struct snap_map *map;
	u64 blocks;
	u32 shift;

	snap_parameters(&parameters);
	shift = parameters.block_shift - SECTOR_SHIFT;
	blocks = (sectors + (1ULL << shift) - 1) >> shift;
	while (blocks > parameters.block_count_max &&
	       shift < parameters.block_shift_max - SECTOR_SHIFT) {
		shift++;
		blocks = (sectors + (1ULL << shift) - 1) >> shift;
	}
	if (blocks > U32_MAX)
		return NULL;
	/* A point may be waiting for us: no I/O for memory. */
	map = kvzalloc(struct_size(map, byte, blocks),
		       GFP_NOIO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
	if (!map)
		return NULL;
	map->sectors = sectors;
	map->shift = shift;
	map->blocks = blocks;
	return map;
}

/* Under the tracker's lock, or before anybody sees it. */
static struct snap_map *snap_map_of(struct snap_tracker *tracker)
{
	return rcu_dereference_protected(tracker->map, 1);
}

int snap_maps_init(struct snap_tracker *tracker, sector_t sectors)
{
	struct snap_map *map = snap_map_new(sectors);

	tracker->shown = snap_map_new(sectors);
	rcu_assign_pointer(tracker->map, map);
	if (!map || !tracker->shown)
		return -ENOMEM;
	snap_maps_begin(tracker);
	return 0;
}

void snap_maps_free(struct snap_tracker *tracker)
{
	kvfree(snap_map_of(tracker));
	kvfree(tracker->shown);
	kvfree(tracker->spare);
}

/*
 * snap_maps_begin() - another generation
 *
 * Marks that are set meanwhile may be lost: nobody can ask for them, as the first
 * snapshot of a generation is the earliest that may be asked about.  What is shown
 * keeps its own generation until the next snapshot.
 */
void snap_maps_begin(struct snap_tracker *tracker)
{
	struct snap_map *map;

	spin_lock(&tracker->lock);
	map = snap_map_of(tracker);
	map->number = SNAP_NUMBER_FIRST;
	generate_random_uuid(map->generation);
	memset(map->byte, 0, map->blocks);
	/* Nothing was shown yet of a generation that has no snapshot. */
	if (!tracker->shown->number)
		memcpy(tracker->shown->generation, map->generation, UUID_SIZE);
	spin_unlock(&tracker->lock);
}

/* Before a take, so that the instant needs no memory. */
int snap_maps_prepare(struct snap_tracker *tracker)
{
	struct snap_map *spare = NULL;
	sector_t sectors;
	bool fits;

	do {
		kvfree(spare);
		spin_lock(&tracker->lock);
		sectors = snap_map_of(tracker)->sectors;
		spin_unlock(&tracker->lock);
		spare = snap_map_new(sectors);
		if (!spare)
			return -ENOMEM;
		spin_lock(&tracker->lock);
		fits = spare->blocks == snap_map_of(tracker)->blocks;
		if (fits)
			swap(tracker->spare, spare);
		spin_unlock(&tracker->lock);
	} while (!fits);
	kvfree(spare);
	return 0;
}

/*
 * snap_maps_switch() - the instant of a snapshot
 *
 * No bio is in submit_bio() now.  The spare map fits: a change of size that came
 * after snap_maps_prepare() has made another one, see snap_maps_resize().
 */
void snap_maps_switch(struct snap_tracker *tracker)
{
	struct snap_map *map, *shown;

	spin_lock(&tracker->lock);
	map = snap_map_of(tracker);
	shown = tracker->spare;
	tracker->spare = tracker->shown;
	tracker->shown = shown;
	shown->sectors = map->sectors;
	shown->shift = map->shift;
	shown->number = map->number;
	memcpy(shown->generation, map->generation, UUID_SIZE);
	memcpy(shown->byte, map->byte, map->blocks);
	if (map->number < SNAP_NUMBER_LAST) {
		map->number++;
	} else {
		map->number = SNAP_NUMBER_FIRST;
		generate_random_uuid(map->generation);
		memset(map->byte, 0, map->blocks);
	}
	spin_unlock(&tracker->lock);
}

/* After a take, from a task: what was shown before. */
void snap_maps_tidy(struct snap_tracker *tracker)
{
	struct snap_map *spare = NULL;

	spin_lock(&tracker->lock);
	swap(tracker->spare, spare);
	spin_unlock(&tracker->lock);
	kvfree(spare);
}

/*
 * snap_maps_resize() - the device has another size: another generation
 *
 * Without memory the old map stays, in another generation: what lies beyond it
 * cannot be marked, but the size that cbtinfo tells says so.
 */
void snap_maps_resize(struct snap_tracker *tracker, sector_t sectors)
{
	struct snap_map *map = snap_map_new(sectors), *spare = snap_map_new(sectors);

	if (!map || !spare) {
		pr_warn("no memory for the change map of a device of %llu sectors\n",
			sectors);
		kvfree(map);
		kvfree(spare);
	} else {
		spin_lock(&tracker->lock);
		map = rcu_replace_pointer(tracker->map, map, 1);
		swap(tracker->spare, spare);
		spin_unlock(&tracker->lock);
		synchronize_rcu();
		kvfree(map);
		kvfree(spare);
	}
	snap_maps_begin(tracker);
}

/* --- marking --- */

static void snap_map_mark_with(struct snap_map *map, u8 number, sector_t sector,
			       sector_t sectors)
{
	u64 last = (sector + sectors - 1) >> map->shift, block;

	last = min_t(u64, last, map->blocks - 1ULL);
	for (block = sector >> map->shift; map->blocks && block <= last; block++)
		if (READ_ONCE(map->byte[block]) < number)
			WRITE_ONCE(map->byte[block], number);
}

/* From submit_bio(): what snap_map_mark_one() left. */
void snap_map_mark(struct snap_map *map, sector_t sector, sector_t sectors)
{
	snap_map_mark_with(map, map->number, sector, sectors);
}

/*
 * snap_mark_by_hand() - where no bio is
 * @both: also in the map that is shown, as the number that is current there.
 */
void snap_mark_by_hand(struct snap_tracker *tracker, sector_t sector,
		       sector_t sectors, bool both)
{
	struct snap_map *map;

	if (!sectors)
		return;
	spin_lock(&tracker->lock);
	map = snap_map_of(tracker);
	snap_map_mark_with(map, map->number, sector, sectors);
	if (both)
		snap_map_mark_with(tracker->shown, tracker->shown->number,
				   sector, sectors);
	spin_unlock(&tracker->lock);
}
