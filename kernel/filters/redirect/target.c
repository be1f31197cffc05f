// SPDX-License-Identifier: GPL-2.0-only
/*
 * The target: opened, checked, let go.
 *
 * It is opened exclusively, as a file system does it: what is mounted, or belongs to
 * dm, md or another target, is busy, and what is a target can be neither.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/blk-integrity.h>
#include <linux/overflow.h>
#include "rd.h"

static sector_t rd_target_start(const struct rd_target *target)
{
	return get_start_sect(target->bdev) + target->first;
}

int rd_refuse(u32 *refused, u32 why, int error)
{
	*refused = why;
	return error;
}

static int rd_target_suits(const struct rd_job *job, u32 *refused)
{
	const struct rd_target *target = &job->target;
	struct block_device *bdev = target->bdev;
	struct request_queue *source = target->source->queue;
	u32 mask = (bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1;
	sector_t end;

	if (bdev_read_only(bdev))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_READ_ONLY,
				 -EROFS);
	if (bdev_is_zoned(bdev))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_ZONED,
				 -EOPNOTSUPP);
	if (bdev_get_integrity(bdev))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_INTEGRITY,
				 -EOPNOTSUPP);
	if (blk_get_integrity(target->source))
		return rd_refuse(refused, BLKFILTER_REDIRECT_SOURCE_INTEGRITY,
				 -EOPNOTSUPP);
	if (bdev_logical_block_size(bdev) != queue_logical_block_size(source))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_BLOCK_SIZE,
				 -EOPNOTSUPP);
	if (!job->no_atomic &&
	    !bf_atomic_suits(source, bdev_get_queue(bdev),
			     job->start - rd_target_start(target)))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_ATOMIC,
				 -EOPNOTSUPP);
	if (!bf_crypto_suits(source, bdev_get_queue(bdev)))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_CRYPTO,
				 -EOPNOTSUPP);
	if (target->first & mask)
		return -EINVAL;
	if (check_add_overflow(target->first, job->sectors, &end) ||
	    end > bdev_nr_sectors(bdev))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_SMALLER,
				 -ENOSPC);
	return 0;
}

/*
 * What the target's page cache has not written yet must not be written over what goes
 * there by us, and nobody is to read there what was there before.
 */
int rd_target_drop_cache(struct rd_target *target)
{
	int ret = sync_blockdev(target->bdev);

	if (!ret)
		invalidate_bdev(target->bdev);
	return ret;
}

/* What has to be done for the sake of the target, once it is redirected to. */
static void rd_target_demands(struct rd_job *job)
{
	struct rd_target *target = &job->target;
	struct block_device *source = target->source->part0;
	u32 alignment = bdev_dma_alignment(target->bdev);

	target->copy_writes = bdev_stable_writes(target->bdev) &&
			      !bdev_stable_writes(source);
	if (alignment > bdev_dma_alignment(source))
		target->alignment = alignment;
}

static int rd_target_check(struct rd_job *job,
			   struct blkfilter_redirect_start *start)
{
	struct rd_target *target = &job->target;
	u32 *refused = &start->refused;
	int ret;

	target->flt = job->flt;
	target->start = job->start;
	target->sectors = job->sectors;
	target->used = job->sectors;
	target->interposed = start->flags & BLKFILTER_REDIRECT_INTERPOSE;
	if (rd_overlaps_source(target, target->bdev, target->first,
			       target->used))
		return rd_refuse(refused, BLKFILTER_REDIRECT_TARGET_IS_SOURCE,
				 -ELOOP);
	ret = rd_target_suits(job, refused) ?:
	      rd_record_tail(job, start, refused) ?:
	      rd_target_drop_cache(target);
	if (ret)
		return ret;
	rd_target_demands(job);
	return rd_target_list(target, refused);
}

/* Opens again, exclusively, what a descriptor is of. */
struct file *rd_target_claim(struct file *file, u32 *refused)
{
	struct file *own;

	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE))
		return ERR_PTR(-EBADF);
	if (!S_ISBLK(file_inode(file)->i_mode)) {
		*refused = BLKFILTER_REDIRECT_TARGET_NO_BLOCK;
		return ERR_PTR(-ENOTBLK);
	}
	own = dentry_open(&file->f_path, O_RDWR | O_LARGEFILE | O_EXCL,
			  current_cred());
	switch (PTR_ERR_OR_ZERO(own)) {
	case -EBUSY:
		*refused = BLKFILTER_REDIRECT_TARGET_IN_USE;
		break;
	case -ENXIO:
	case -ENODEV:
		*refused = BLKFILTER_REDIRECT_TARGET_GONE;
		return ERR_PTR(-ENODEV);
	case -EACCES:
	case -EPERM:
	case -EROFS:
		*refused = BLKFILTER_REDIRECT_TARGET_READ_ONLY;
		return ERR_PTR(-EROFS);
	}
	return own;
}

/* One line for whoever reads logs; the caller gets the number. */
static void rd_tell_refusal(const struct rd_job *job, struct file *file,
			    u32 refused)
{
	static const char * const why[] = {
		[BLKFILTER_REDIRECT_TARGET_SMALLER] = "it is smaller",
		[BLKFILTER_REDIRECT_TARGET_BLOCK_SIZE] =
			"it has other logical blocks",
		[BLKFILTER_REDIRECT_TARGET_READ_ONLY] = "it is read-only",
		[BLKFILTER_REDIRECT_TARGET_ZONED] = "it has zones",
		[BLKFILTER_REDIRECT_TARGET_INTEGRITY] = "it has integrity data",
		[BLKFILTER_REDIRECT_TARGET_IN_USE] =
			"it is mounted, held by another device, or a target",
		[BLKFILTER_REDIRECT_TARGET_IS_SOURCE] = "it is the source",
		[BLKFILTER_REDIRECT_TARGET_ON_SOURCE] =
			"its I/O comes back to the source",
		[BLKFILTER_REDIRECT_TARGET_GONE] = "it was removed",
		[BLKFILTER_REDIRECT_SOURCE_INTEGRITY] =
			"the source has integrity data",
		[BLKFILTER_REDIRECT_TARGET_ATOMIC] =
			"its atomic writes are smaller, or aligned otherwise",
		[BLKFILTER_REDIRECT_TARGET_NO_BLOCK] = "it is no block device",
		[BLKFILTER_REDIRECT_TARGET_CRYPTO] =
			"it does not encrypt what the source does",
		[BLKFILTER_REDIRECT_RECORD_NO_PLACE] =
			"it has no room for the record",
		[BLKFILTER_REDIRECT_TARGET_NOT_BELOW] =
			"it does not lie on the device below the source",
	};

	if (refused)
		pr_info("%s cannot be redirected to %pD: %s\n",
			job->target.source->disk_name, file, why[refused]);
}

/*
 * rd_target_open() - the target of a job
 * @start: its @target and @target_sector; @refused is filled in.
 *
 * Return: 0, or see BLKFILTER_REDIRECT_START.  Undone by rd_target_close().
 */
int rd_target_open(struct rd_job *job, struct blkfilter_redirect_start *start)
{
	struct rd_target *target = &job->target;
	struct file *file = fget(start->target);
	struct file *own;
	int ret;

	if (!file)
		return -EBADF;
	own = rd_target_claim(file, &start->refused);
	ret = PTR_ERR_OR_ZERO(own);
	if (!ret) {
		target->file = own;
		target->bdev = I_BDEV(own->f_mapping->host);
		target->first = start->target_sector;
		target->major = MAJOR(target->bdev->bd_dev);
		target->minor = MINOR(target->bdev->bd_dev);
		target->diskseq = target->bdev->bd_disk->diskseq;
		ret = rd_target_check(job, start);
	}
	rd_tell_refusal(job, file, start->refused);
	fput(file);
	return ret;
}

/* Nothing is on its way to it, or will be. */
void rd_target_close(struct rd_target *target)
{
	if (!target->file)
		return;
	rd_target_unlist(target);
	/* What somebody has read there meanwhile is old. */
	invalidate_bdev(target->bdev);
	/* At once, so that who waits for it finds it closed. */
	if (current->flags & PF_KTHREAD)
		__fput_sync(target->file);
	else
		fput(target->file);
	target->file = NULL;
}

/* The device has been removed. */
bool rd_target_dead(const struct rd_target *target)
{
	return test_bit(GD_DEAD, &target->bdev->bd_disk->state);
}
