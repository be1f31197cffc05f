/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Everything that differs between the kernels that we build for, under one
 * name each.  BF_HAVE_* come from compile probes (Makefile.probes).
 */
#ifndef BLKFILTER_COMPAT_H
#define BLKFILTER_COMPAT_H

#include <linux/blk-crypto-profile.h>
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

/*
 * Does a queue do as a whole, or not at all, each write that another one does so, when it
 * is sent @distance sectors further?
 */
static inline bool bf_atomic_suits(const struct request_queue *from,
				   const struct request_queue *to,
				   s64 distance)
{
#ifdef BF_HAVE_REQ_ATOMIC
	u32 unit = queue_atomic_write_unit_max_bytes(from);
	u32 there = queue_atomic_write_boundary_bytes(to);
	u32 here = queue_atomic_write_boundary_bytes(from);

	/* Any disk writes a logical block as a whole, also one that does not say so. */
	if (unit <= queue_logical_block_size(from))
		return true;
	/* Units are aligned to their own size; none crosses a boundary. */
	if (distance & ((max3(unit, here, there) >> SECTOR_SHIFT) - 1))
		return false;
	return queue_atomic_write_unit_min_bytes(to) <=
		       queue_atomic_write_unit_min_bytes(from) &&
	       queue_atomic_write_unit_max_bytes(to) >= unit &&
	       queue_atomic_write_max_bytes(to) >=
		       queue_atomic_write_max_bytes(from) &&
	       (!there || (here && there % here == 0));
#else
	return true;
#endif
}

/* Does a queue encrypt on the way down what another one does? */
static inline bool bf_crypto_suits(const struct request_queue *from,
				   const struct request_queue *to)
{
#ifdef CONFIG_BLK_INLINE_ENCRYPTION
	return !from->crypto_profile ||
	       (to->crypto_profile &&
		blk_crypto_has_capabilities(to->crypto_profile,
					    from->crypto_profile));
#else
	return true;
#endif
}

/* The same without what asks for an atomic write. */
static inline blk_opf_t bf_opf_plain(blk_opf_t opf)
{
#ifdef BF_HAVE_REQ_ATOMIC
	return opf & ~REQ_ATOMIC;
#else
	return opf;
#endif
}

/* What the device is told about how long the data of a bio will live. */
static inline void bf_bio_copy_hint(struct bio *to, const struct bio *from)
{
#ifdef BF_HAVE_BIO_WRITE_HINT
	to->bi_write_hint = from->bi_write_hint;
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

/*
 * A bio-based disk without a write cache that takes bios of any size, or ERR_PTR.
 * Block sizes in bytes.  What is written is passed on as it is, maybe to a device
 * with checksums: pages stay as they are until then.
 */
static inline struct gendisk *bf_alloc_image(u32 logical, u32 physical)
{
#ifdef BF_HAVE_ALLOC_DISK_LIMITS
	struct queue_limits limits = {
		.logical_block_size = logical,
		.physical_block_size = physical,
		.max_hw_sectors = UINT_MAX,
		.max_segments = USHRT_MAX,
		.max_segment_size = UINT_MAX,
		.features = BLK_FEAT_STABLE_WRITES,
	};

	return blk_alloc_disk(&limits, NUMA_NO_NODE);
#else
	struct gendisk *gd = blk_alloc_disk(NUMA_NO_NODE);

	if (!gd)
		return ERR_PTR(-ENOMEM);
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, gd->queue);
	blk_queue_logical_block_size(gd->queue, logical);
	blk_queue_physical_block_size(gd->queue, physical);
	blk_queue_max_hw_sectors(gd->queue, UINT_MAX);
	blk_queue_max_segments(gd->queue, USHRT_MAX);
	blk_queue_max_segment_size(gd->queue, UINT_MAX);
	return gd;
#endif
}

/*
 * A bio-based disk with the limits of a queue, seen from its sector @start on, or ERR_PTR.
 * Flushes and FUA are asked for whenever the other one's device can have a volatile
 * cache, though it may be switched off now: below, the block layer takes them away.
 */
static inline struct gendisk *bf_alloc_stacked(struct request_queue *below,
					       sector_t start)
{
#ifdef BF_HAVE_ALLOC_DISK_LIMITS
	struct queue_limits limits;

	blk_set_stacking_limits(&limits);
	blk_stack_limits(&limits, &below->limits, start);
	return blk_alloc_disk(&limits, NUMA_NO_NODE);
#else
	static const unsigned int same[] = {
		QUEUE_FLAG_STABLE_WRITES, QUEUE_FLAG_NONROT,
	};
	struct gendisk *gd = blk_alloc_disk(NUMA_NO_NODE);
	unsigned int i;

	if (!gd)
		return ERR_PTR(-ENOMEM);
	blk_set_stacking_limits(&gd->queue->limits);
	blk_stack_limits(&gd->queue->limits, &below->limits, start);
	for (i = 0; i < ARRAY_SIZE(same); i++)
		if (test_bit(same[i], &below->queue_flags))
			blk_queue_flag_set(same[i], gd->queue);
	blk_queue_write_cache(gd->queue,
			      test_bit(QUEUE_FLAG_HW_WC, &below->queue_flags) ||
			      test_bit(QUEUE_FLAG_WC, &below->queue_flags),
			      test_bit(QUEUE_FLAG_FUA, &below->queue_flags));
	return gd;
#endif
}

/* block_device_operations.open: the callback is written with the disk alone. */
#ifdef BF_HAVE_OPEN_GETS_DISK
#define BF_DISK_OPEN(name, body)					\
	static int name(struct gendisk *disk, blk_mode_t mode)		\
	{ return body(disk); }
#else
#define BF_DISK_OPEN(name, body)					\
	static int name(struct block_device *bdev, fmode_t mode)	\
	{ return body(bdev->bd_disk); }
#endif

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
