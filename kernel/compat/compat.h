/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the kernels that we build for, under one
 * name each.  BF_HAVE_* come from compile probes (Makefile.probes).
 */
#ifndef BLKFILTER_COMPAT_H
#define BLKFILTER_COMPAT_H

#include <linux/blkdev.h>
#include <linux/device/class.h>
#include <linux/ftrace.h>

/* --- ftrace --- */

#ifndef BF_HAVE_FTRACE_REGS_ARGUMENT
#define ftrace_regs_set_instruction_pointer ftrace_instruction_pointer_set

static __always_inline unsigned long
ftrace_regs_get_argument(struct ftrace_regs *fregs, unsigned int n)
{
	return n == 0 ? fregs->regs.di : fregs->regs.si;
}
#endif

/* --- block devices --- */

#ifndef BF_HAVE_BDEV_PARTNO
static inline u8 bdev_partno(const struct block_device *bdev)
{
	return bdev->bd_partno;
}
#endif

/* Pages of the device's own cache are being written. */
static inline bool bf_bdev_in_writeback(const struct block_device *bdev)
{
#ifdef BF_HAVE_BD_MAPPING
	struct address_space *mapping = bdev->bd_mapping;
#else
	struct address_space *mapping = bdev->bd_inode->i_mapping;
#endif

	return mapping_tagged(mapping, PAGECACHE_TAG_WRITEBACK);
}

/*
 * How many have a device open, not counting what opening its partitions does to a
 * whole disk.  Under the disk's open_mutex.
 *
 * What is relied on: blkdev_get_part() opens the whole disk with each partition that
 * is opened first (6.1), or with each open of a partition (6.12).
 */
static inline u32 bf_bdev_openers(struct block_device *bdev)
{
	u32 openers = atomic_read(&bdev->bd_openers);
#ifdef BF_HAVE_OPEN_COUNTS_PARTITIONS
	struct block_device *part;
	unsigned long no;
#endif

	if (bdev_is_partition(bdev))
		return openers;
#ifdef BF_HAVE_OPEN_COUNTS_PARTITIONS
	xa_for_each_start(&bdev->bd_disk->part_tbl, no, part, 1)
		openers -= atomic_read(&part->bd_openers);
	return openers;
#else
	return openers - bdev->bd_disk->open_partitions;
#endif
}

/* A bio that may not be split. */
static inline bool bf_bio_atomic(const struct bio *bio)
{
#ifdef BF_HAVE_REQ_ATOMIC
	return bio->bi_opf & REQ_ATOMIC;
#else
	return false;
#endif
}

/**
 * bf_bdev_freeze() - freeze the file system that is mounted from a device
 * @bdev: the device.
 * @found: out: there was one, and it is frozen.  Without one, the device's cache is
 *         written back.
 *
 * What is relied on: 6.1 freeze_bdev() finds the super block by the device and
 * leaves it in bd_fsfreeze_sb; 6.12 bdev_freeze() goes through the holder, which
 * is the file system when its operations are fs_holder_ops.
 *
 * Return: 0, or what the file system returned.  Undone by bf_bdev_thaw().
 */
static inline int bf_bdev_freeze(struct block_device *bdev, bool *found)
{
	int ret;

#ifdef BF_HAVE_BDEV_FREEZE
	mutex_lock(&bdev->bd_holder_lock);
	*found = bdev->bd_holder_ops == &fs_holder_ops;
	mutex_unlock(&bdev->bd_holder_lock);
	ret = bdev_freeze(bdev);
	if (ret)
		*found = false;
#else
	ret = freeze_bdev(bdev);
	*found = !ret && READ_ONCE(bdev->bd_fsfreeze_sb);
#endif
	return ret;
}

static inline void bf_bdev_thaw(struct block_device *bdev)
{
#ifdef BF_HAVE_BDEV_FREEZE
	bdev_thaw(bdev);
#else
	thaw_bdev(bdev);
#endif
}

/* A bio-based disk with a write cache (it is sent flushes), or ERR_PTR. */
static inline struct gendisk *bf_alloc_disk(void)
{
#ifdef BF_HAVE_ALLOC_DISK_LIMITS
	struct queue_limits limits = { .features = BLK_FEAT_WRITE_CACHE };

	return blk_alloc_disk(&limits, NUMA_NO_NODE);
#else
	struct gendisk *gd = blk_alloc_disk(NUMA_NO_NODE);

	if (!gd)
		return ERR_PTR(-ENOMEM);
	blk_queue_write_cache(gd->queue, true, false);
	return gd;
#endif
}

/* Makes a bio-based disk usable that will never be added. */
static inline void bf_disk_without_add(struct gendisk *gd)
{
#ifdef BD_HAS_SUBMIT_BIO
	/* device_add_disk() would do it. */
	atomic_or(BD_HAS_SUBMIT_BIO, &gd->part0->__bd_flags);
#endif
}

/* --- class_interface: the callbacks are written with one argument --- */

#ifdef BF_HAVE_CLASS_INTERFACE_ONE_ARGUMENT
#define BF_CLASS_INTERFACE_CALLBACK(type, name, body)			\
	static type name(struct device *dev) { return body(dev); }
#else
#define BF_CLASS_INTERFACE_CALLBACK(type, name, body)			\
	static type name(struct device *dev, struct class_interface *ci)	\
	{ return body(dev); }
#endif

#endif /* BLKFILTER_COMPAT_H */
