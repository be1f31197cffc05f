// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which path of a version a bio takes, where bio.c's fast path does not know.
 */
#include "bio.h"

/* The path that @dev's filters are on; the disk's when there is none. */
static struct blkfilter_path *bf_path_with(struct bf_version *version,
					   const struct bf_dev *dev)
{
	u32 i;

	for (i = 0; i < version->nr_parts; i++)
		if (version->parts[i]->part == dev)
			return version->parts[i];
	return version->whole;
}

/*
 * Where a filter's own bio enters: the step below the filter.  By altitude, as the
 * filter may have been taken off while the bio was on its way.
 */
struct bf_way bf_path_below(struct bf_version *version,
			    const struct blkfilter_instance *inst)
{
	struct blkfilter_path *path = bf_path_with(version, inst->dev);
	u32 k = 0, own = path->own;

	/* On the whole disk's path the disk's filters are its own ones. */
	if (!path->part)
		own = inst->dev->partno ? 0 : path->n;
	while (k < own && path->step[k].inst->altitude >= inst->altitude)
		k++;
	return (struct bf_way){ path, bf_fault(OWN_AT_TOP) ? 0 : k };
}

/*
 * The path for a bio of the whole disk: a filtered partition that it overlaps,
 * or the disk's own; and how many of the bio's sectors go that way.
 */
struct bf_way bf_path_at(struct bf_version *version, sector_t sector,
			 u32 sectors)
{
	u32 i;

	for (i = 0; i < version->nr_parts; i++) {
		struct blkfilter_path *path = version->parts[i];
		sector_t end = READ_ONCE(path->end);

		if (sector >= end)
			continue;
		if (sector >= path->start)
			return (struct bf_way){
				path, min_t(sector_t, sectors, end - sector),
			};
		sectors = min_t(sector_t, sectors, path->start - sector);
		break;
	}
	return (struct bf_way){ version->whole, sectors };
}
