// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose I/O gets where, so that none goes around in circles: by devices that overlap, by
 * the kernel's links of dm and md, by redirects, and by devices below.
 *
 * What is sent to a device below enters the source's disk below the filter: it meets no
 * redirect of the source any more, but one of the whole disk that a partition is on.
 */
#include "rd.h"

/* Targets and their sources, and devices below. */
static DEFINE_MUTEX(rd_targets_lock);
static LIST_HEAD(rd_targets);
static LIST_HEAD(rd_belows);

/* Does a device, as far as @sectors of it are used, lie on a job's source? */
static bool rd_is_source(const struct rd_target *of, struct gendisk *disk,
			 sector_t start, sector_t sectors)
{
	return of->source == disk && of->start < start + sectors &&
	       start < of->start + of->sectors;
}

/* The same of @sectors of a device. */
bool rd_overlaps_source(const struct rd_target *target,
			struct block_device *bdev, sector_t sector,
			sector_t sectors)
{
	return rd_is_source(target, bdev->bd_disk, get_start_sect(bdev) + sector,
			    sectors);
}

/* --- by a device below --- */

/* Is a device one below, or does it lie on it? */
static bool rd_lies_below(struct block_device *bdev, const struct rd_below *below)
{
	return bdev->bd_disk == below->disk ||
	       blkfilter_lies_on(bdev, below->disk->part0);
}

/* Is a job's source a whole disk?  Its filter is attached. */
static bool rd_source_is_disk(const struct rd_target *of)
{
	bool disk;

	rcu_read_lock();
	disk = !bdev_is_partition(READ_ONCE(of->flt->bdev));
	rcu_read_unlock();
	return disk;
}

/* Does what is sent to a device below meet a job's filter? */
static bool rd_below_meets(const struct rd_below *below,
			   const struct rd_target *of)
{
	return below->of_partition && rd_source_is_disk(of) &&
	       rd_is_source(of, below->source, below->start,
			    get_capacity(below->disk));
}

/* Does a target lie on the device below of a filter? */
static bool rd_lies_on_own(const struct rd_target *target,
			   const struct blkfilter *flt)
{
	struct rd_below *below;

	list_for_each_entry(below, &rd_belows, link)
		if (&below->rd->flt == flt &&
		    rd_lies_below(target->bdev, below))
			return true;
	return false;
}

/* --- circles --- */

/* Does what is sent to a target meet the filter of another one, or its own? */
static bool rd_flows_into(const struct rd_target *target,
			  const struct rd_target *of)
{
	struct rd_below *below;

	if (rd_overlaps_source(of, target->bdev, target->first, target->used) ||
	    blkfilter_stacked_on(target->bdev, of->flt))
		return true;
	list_for_each_entry(below, &rd_belows, link)
		if (rd_below_meets(below, of) &&
		    rd_lies_below(target->bdev, below))
			return true;
	return false;
}

/*
 * Does what is sent to the target of @hop come back to the source of @target?  On the
 * source's own device below it gets to the source too, but for the one that shall.
 */
static bool rd_comes_back(const struct rd_target *hop,
			  const struct rd_target *target)
{
	if (rd_flows_into(hop, target))
		return true;
	return !(hop == target && target->interposed) &&
	       rd_lies_on_own(hop, target->flt);
}

/*
 * The same over any number of devices that lie on each other, or are redirected to each
 * other.  Under rd_targets_lock, with @target not yet in the list; the filters of those
 * in it are attached.
 */
static bool rd_goes_around(struct rd_target *target)
{
	struct rd_target *hop, *next;
	bool around = false;
	LIST_HEAD(seen);

	list_add(&target->seen, &seen);
	list_for_each_entry(hop, &seen, seen) {
		around = rd_comes_back(hop, target);
		if (around)
			break;
		list_for_each_entry(next, &rd_targets, link)
			if (list_empty(&next->seen) && rd_flows_into(hop, next))
				list_add_tail(&next->seen, &seen);
	}
	list_for_each_entry_safe(hop, next, &seen, seen)
		list_del_init(&hop->seen);
	return around;
}

/* --- those that there are --- */

/* It is in use from now on, unless its I/O comes back to the source. */
int rd_target_list(struct rd_target *target, u32 *refused)
{
	int ret = 0;

	mutex_lock(&rd_targets_lock);
	if (rd_goes_around(target))
		ret = rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_ON_SOURCE,
				-ELOOP);
	else if (target->interposed && !rd_lies_on_own(target, target->flt))
		ret = rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_NOT_BELOW,
				-EINVAL);
	else
		list_add(&target->link, &rd_targets);
	mutex_unlock(&rd_targets_lock);
	return ret;
}

void rd_target_unlist(struct rd_target *target)
{
	mutex_lock(&rd_targets_lock);
	list_del_init(&target->link);
	mutex_unlock(&rd_targets_lock);
}

/*
 * Return: -EBUSY when there is one of that name, of a source that has gone and has left
 * its name to another.
 */
int rd_below_list(struct rd_below *below)
{
	struct rd_below *other;
	int ret = 0;

	mutex_lock(&rd_targets_lock);
	list_for_each_entry(other, &rd_belows, link)
		if (!strcmp(other->name, below->name))
			ret = -EBUSY;
	if (!ret)
		list_add(&below->link, &rd_belows);
	mutex_unlock(&rd_targets_lock);
	return ret;
}

void rd_below_unlist(struct rd_below *below)
{
	mutex_lock(&rd_targets_lock);
	list_del_init(&below->link);
	mutex_unlock(&rd_targets_lock);
}
