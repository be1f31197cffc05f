// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which device lies on which, as far as the kernel knows it: dm, md and whoever
 * else calls bd_link_disk_holder().  Of loop devices it does not.
 *
 * What is relied on, read in 6.1 and 6.12 (block/holder.c): a device that is used
 * by another disk has a link of that disk's kernel name in "holders" of its folder
 * in sysfs; the structures behind it are private.
 */
#include <linux/kernfs.h>
#include <linux/slab.h>
#include "core.h"

/* Stacks are not deeper; a renamed disk must not lead in circles. */
#define BF_DEPTH_MAX	16

/* All devices of the system, referenced.  Of a disk only its address counts here. */
struct bf_devs {
	struct bf_dev **dev;
	u32 n;
};

static int bf_devs_get(struct bf_devs *all)
{
	return bf_devs_of_disk(NULL, &all->dev, &all->n);
}

static void bf_devs_put(struct bf_devs *all)
{
	blkfilter_devices_put(all->dev, all->n);
}

/* The name of a disk that may be gone, or NULL. */
static const char *bf_disk_name(const struct bf_devs *all,
				const struct gendisk *gd)
{
	u32 i;

	for (i = 0; i < all->n; i++)
		if (all->dev[i]->gd == gd && !all->dev[i]->partno)
			return all->dev[i]->name;
	return NULL;
}

/*
 * Is there a link to the disk @name among the holders of @dev?  Under bf_lock a
 * device that has its bdev has its folder in sysfs, too: it is told to us that it
 * goes before that goes.  bd_holder_dir may have gone earlier.
 */
static bool bf_held_by(struct bf_dev *dev, const char *name)
{
	struct kernfs_node *holders = NULL, *link = NULL;

	mutex_lock(&bf_lock);
	if (dev->bdev)
		holders = kernfs_find_and_get(dev->bdev->bd_device.kobj.sd,
					      "holders");
	mutex_unlock(&bf_lock);
	if (holders) {
		link = kernfs_find_and_get(holders, name);
		kernfs_put(holders);
	}
	if (!link)
		return false;
	kernfs_put(link);
	return true;
}

/* Do two devices of a disk have sectors in common? */
static bool bf_devs_meet(const struct bf_dev *a, const struct bf_dev *b)
{
	return a->gd == b->gd &&
	       (!a->partno || !b->partno || a->partno == b->partno);
}

/* The same of @lower and whatever has sectors in common with it. */
static bool bf_sectors_held_by(const struct bf_devs *all,
			       const struct bf_dev *lower, const char *name)
{
	bool held = false;
	u32 i;

	for (i = 0; i < all->n && !held; i++)
		held = bf_devs_meet(all->dev[i], lower) &&
		       bf_held_by(all->dev[i], name);
	return held;
}

/* Does the disk @upper lie on @lower, over any number of disks in between? */
static bool bf_above(const struct bf_devs *all, const char *upper,
		     const struct bf_dev *lower, u32 depth)
{
	u32 i;

	if (bf_sectors_held_by(all, lower, upper))
		return true;
	if (depth == BF_DEPTH_MAX)
		return false;
	for (i = 0; i < all->n; i++) {
		const struct bf_dev *middle = all->dev[i];

		if (!middle->partno && middle->gd != lower->gd &&
		    bf_sectors_held_by(all, lower, middle->name) &&
		    bf_above(all, upper, middle, depth + 1))
			return true;
	}
	return false;
}

/* The same by its address; it may be gone. */
static bool bf_disk_above(const struct bf_devs *all, const struct gendisk *upper,
			  const struct bf_dev *lower)
{
	const char *name = bf_disk_name(all, upper);

	return name && bf_above(all, name, lower, 0);
}

static bool bf_lies_on(const struct gendisk *upper, const struct bf_dev *lower)
{
	struct bf_devs all;
	bool above;

	if (upper == lower->gd || bf_devs_get(&all))
		return false;
	above = bf_disk_above(&all, upper, lower);
	bf_devs_put(&all);
	return above;
}

/**
 * blkfilter_stacked_on() - does a device lie on another one?
 * @upper: the one that may lie on @flt's device.
 * @flt:   a filter; the caller keeps it attached.
 *
 * Sleeps.
 *
 * Return: true when the kernel's holder links say so, over any number of disks in
 * between; what lies on another partition than @flt's does not count.  A loop device
 * has no such link.
 */
bool blkfilter_stacked_on(struct block_device *upper, struct blkfilter *flt)
{
	return bf_lies_on(upper->bd_disk, flt->core->dev);
}
EXPORT_SYMBOL_GPL(blkfilter_stacked_on);

/**
 * blkfilter_lies_on() - the same of a device that need not have a filter
 * @upper: the one that may lie on @lower.
 * @lower: the other one; the caller keeps both.
 *
 * Sleeps.  Return: see blkfilter_stacked_on(); false for a disk that is not added.
 */
bool blkfilter_lies_on(struct block_device *upper, struct block_device *lower)
{
	struct bf_dev *dev = bf_dev_of(lower);
	bool lies = dev && bf_lies_on(upper->bd_disk, dev);

	if (dev)
		bf_dev_put(dev);
	return lies;
}
EXPORT_SYMBOL_GPL(blkfilter_lies_on);

static bool bf_is_claimed(struct bf_dev *dev, const void *holder)
{
	bool claimed;

	mutex_lock(&bf_lock);
	claimed = dev->bdev && READ_ONCE(dev->bdev->bd_holder) == holder;
	mutex_unlock(&bf_lock);
	return claimed;
}

/**
 * blkfilter_claimed_on() - has somebody claimed a device that is, or lies on, another?
 * @holder: as he has said when he opened it exclusively.
 * @flt:    a filter; the caller keeps it attached.
 *
 * For file systems that do not say what they are on: btrfs claims its devices with
 * its type (btrfs_open_devices(), 6.1 and 6.12).  Sleeps.
 *
 * Return: true also when that cannot be found out.
 */
bool blkfilter_claimed_on(const void *holder, struct blkfilter *flt)
{
	const struct bf_dev *own = flt->core->dev;
	struct bf_devs all;
	bool claimed = false;
	u32 i;

	if (bf_devs_get(&all))
		return true;
	for (i = 0; i < all.n && !claimed; i++)
		claimed = bf_is_claimed(all.dev[i], holder) &&
			  (all.dev[i]->gd == own->gd ?
				   bf_devs_meet(all.dev[i], own) :
				   bf_disk_above(&all, all.dev[i]->gd, own));
	bf_devs_put(&all);
	return claimed;
}
EXPORT_SYMBOL_GPL(blkfilter_claimed_on);

/**
 * bf_order() - upper before lower
 * @dev: devices, referenced.
 * @n:   how many.
 *
 * Where the kernel does not know, the order stays.
 */
void bf_order(struct bf_dev **dev, u32 n)
{
	u32 i, k;

	for (i = 0; i < n; i++) {
		for (k = i + 1; k < n; k++) {
			if (!bf_lies_on(dev[k]->gd, dev[i]))
				continue;
			/* It may lie below others that come later: look again. */
			swap(dev[i], dev[k]);
			k = i;
		}
	}
}
