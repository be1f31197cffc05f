// SPDX-License-Identifier: GPL-2.0-only
/*
 * What userspace gives as difference storage: checked, then added as a whole.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include "snap.h"

#define SNAP_RANGES_MAX		BIT(20)

static struct snap_source *snap_source_new(struct file *file)
{
	struct snap_source *source = kzalloc(sizeof(*source), GFP_KERNEL);

	if (source)
		source->file = file;
	else
		fput(file);
	return source;
}

/* Nothing is on its way to it, or will be. */
void snap_source_free(struct snap_source *source)
{
	snap_unpin(source);
	snap_file_close(source->direct);
	fput(source->file);
	kfree(source);
}

/* The disk whose sectors its extents are; NULL: they are a file's. */
struct gendisk *snap_source_disk(const struct snap_source *source)
{
	return source->direct ? NULL : source->bdev->bd_disk;
}

/* --- what fits --- */

static int snap_check_extent(const struct snap_extent *extent)
{
	struct block_device *bdev = extent->source->bdev;
	sector_t end;
	u32 mask;

	if (extent->source->direct)
		return extent->count ? 0 : -EINVAL;
	mask = (bdev_logical_block_size(bdev) >> SECTOR_SHIFT) - 1;
	if (!extent->count ||
	    check_add_overflow(extent->sector, extent->count, &end) ||
	    end > bdev_nr_sectors(bdev) || extent->sector & mask ||
	    extent->count & mask)
		return -EINVAL;
	return 0;
}

static int snap_extent_order(const void *left, const void *right)
{
	const struct snap_extent *l = left, *r = right;

	return l->sector < r->sector ? -1 : l->sector > r->sector;
}

/* Extents that are to be added, sorted, and where their device begins. */
struct snap_candidate {
	const struct snap_extents *extents;
	sector_t start;
};

/* By an extent that is there: does one that is to be added overlap it? */
static bool snap_overlaps(const struct snap_extent *there, sector_t first,
			  void *data)
{
	const struct snap_candidate *candidate = data;
	const struct snap_extent *extent = candidate->extents->extent;
	u32 low = 0, high = candidate->extents->n;

	/* The first one that ends behind @first. */
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (candidate->start + extent[middle].sector +
			    extent[middle].count <= first)
			low = middle + 1;
		else
			high = middle;
	}
	return low < candidate->extents->n &&
	       candidate->start + extent[low].sector < first + there->count;
}

/* Sorts them, too. */
static int snap_check_extents(struct snap_extents *extents)
{
	struct snap_extent *extent = extents->extent;
	int ret = 0;
	u32 i;

	for (i = 0; i < extents->n && !ret; i++)
		ret = snap_check_extent(&extent[i]);
	if (ret)
		return ret;
	sort(extent, extents->n, sizeof(*extent), snap_extent_order, NULL);
	for (i = 1; i < extents->n; i++)
		if (extent[i - 1].sector + extent[i - 1].count >
		    extent[i].sector)
			return -EEXIST;
	return 0;
}

/* Do the device's own blocks fit into the storage's? */
static bool snap_blocks_fit(const struct snap_source *source,
			    const struct snap_tracker *tracker)
{
	/* A file that is on no block device has none. */
	return !source->bdev || bdev_logical_block_size(source->bdev) <=
				queue_logical_block_size(tracker->disk->queue);
}

/*
 * snap_source_is_on() - does storing there write to the device?
 *
 * As the application writes to it, as far as the device's filter can tell: what
 * goes through a file system or a device above.  Ranges of the device itself are
 * known.  A file system of several devices does not say which: any of its kind
 * counts.  Sleeps.
 */
bool snap_source_is_on(const struct snap_source *source,
		       struct snap_tracker *tracker)
{
	const struct super_block *sb = file_inode(source->file)->i_sb;
	sector_t start;

	if (!source->bdev)
		return sb->s_type->fs_flags & FS_REQUIRES_DEV &&
		       blkfilter_claimed_on(sb->s_type, &tracker->flt);
	if (source->bdev->bd_disk != tracker->disk)
		return blkfilter_stacked_on(source->bdev, &tracker->flt);
	start = get_start_sect(source->bdev);
	return source->direct && start < tracker->start + tracker->sectors &&
	       tracker->start < start + bdev_nr_sectors(source->bdev);
}

/*
 * snap_storage_fits() - can the old data of its devices be stored there?
 *
 * Under snap_mutex.  Return: 0, -ENOTBLK, or -ELOOP: it is stored on one of them, or
 * on devices whose snapshots are stored on them.
 */
int snap_storage_fits(struct snap_snapshot *snapshot)
{
	struct snap_tracker *tracker;
	struct snap_source *source;

	list_for_each_entry(source, &snapshot->storage.sources, link)
		list_for_each_entry(tracker, &snapshot->trackers, member)
			if (!snap_blocks_fit(source, tracker))
				return -ENOTBLK;
	return snap_stores_into_itself(snapshot) ? -ELOOP : 0;
}

/* --- adding --- */

/*
 * snap_storage_announce() - tell the other filters of storage on their devices
 * @first: from which extent on.
 *
 * Under snap_mutex.  What lies on a snapshot's own device is stored below its
 * filter: the filters above do not see it.
 */
void snap_storage_announce(struct snap_storage *storage, u32 first)
{
	const struct snap_extents *extents =
		rcu_dereference_protected(storage->extents,
					  lockdep_is_held(&snap_mutex));
	struct snap_tracker *tracker;
	u32 i;

	for (i = first; extents && i < extents->n; i++) {
		const struct snap_extent *extent = &extents->extent[i];
		struct gendisk *disk = snap_source_disk(extent->source);
		sector_t begin;

		if (!disk)
			continue;
		begin = get_start_sect(extent->source->bdev) + extent->sector;
		list_for_each_entry(tracker, &snap_trackers, link)
			if (tracker->disk == disk &&
			    tracker->active && begin >= tracker->start &&
			    begin + extent->count <=
				    tracker->start + tracker->sectors)
				blkfilter_changed(&tracker->flt,
						  begin - tracker->start,
						  extent->count);
	}
}

static int snap_append_checked(struct snap_snapshot *snapshot,
			       struct snap_source *source,
			       const struct snap_extents *extents)
{
	struct gendisk *disk = snap_source_disk(source);
	struct snap_candidate candidate = { .extents = extents };
	struct snap_storage *storage = &snapshot->storage;
	int ret;

	if (snapshot->state == SNAP_ENDED)
		return -ESRCH;
	if (source->bdev && snap_is_image(source->bdev))
		return -ELOOP;
	candidate.start = disk ? get_start_sect(source->bdev) : 0;
	if (disk && snap_storage_each(disk, snap_overlaps, &candidate))
		return -EEXIST;
	list_add_tail(&source->link, &storage->sources);
	ret = snap_storage_fits(snapshot) ?: snap_storage_add(storage, extents);
	if (ret) {
		list_del(&source->link);
		return ret;
	}
	/* Before anything is stored there. */
	snap_holes_update(disk);
	snap_storage_announce(storage,
			      rcu_dereference_protected(storage->extents, 1)->n -
				      extents->n);
	snap_storage_enable(storage, extents->n);
	return 0;
}

/* Takes over the source and the extents, which may be an error. */
static int snap_append(struct snap_snapshot *snapshot,
		       struct snap_source *source, struct snap_extents *extents)
{
	int ret = PTR_ERR_OR_ZERO(extents) ?: snap_check_extents(extents);

	if (!ret) {
		mutex_lock(&snap_mutex);
		ret = snap_append_checked(snapshot, source, extents);
		mutex_unlock(&snap_mutex);
	}
	if (!IS_ERR(extents))
		kvfree(extents);
	if (ret)
		snap_source_free(source);
	return ret;
}

static struct snap_extents *
snap_extents_from(struct snap_source *source,
		  const struct blksnap_sectors __user *ranges, u32 n)
{
	struct snap_extents *extents;
	struct blksnap_sectors range;
	u32 i;

	if (n > SNAP_RANGES_MAX)
		return ERR_PTR(-EINVAL);
	extents = kvzalloc(struct_size(extents, extent, n), GFP_KERNEL);
	if (!extents)
		return ERR_PTR(-ENOMEM);
	extents->n = n;
	for (i = 0; i < n; i++) {
		if (copy_from_user(&range, &ranges[i], sizeof(range))) {
			kvfree(extents);
			return ERR_PTR(-EINVAL);
		}
		extents->extent[i] = (struct snap_extent){
			.source = source,
			.sector = range.offset,
			.count = range.count,
		};
	}
	return extents;
}

/*
 * snap_append_ranges() - see IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE
 * @path: of the block device.
 */
int snap_append_ranges(struct snap_snapshot *snapshot, const char *path,
		       const struct blksnap_sectors __user *ranges, u32 n)
{
	struct file *file = filp_open(path, O_RDWR | O_LARGEFILE, 0);
	struct snap_source *source;

	if (IS_ERR(file))
		return PTR_ERR(file);
	if (!S_ISBLK(file_inode(file)->i_mode)) {
		fput(file);
		return -ENOTBLK;
	}
	source = snap_source_new(file);
	if (!source)
		return -ENOMEM;
	source->bdev = I_BDEV(file->f_mapping->host);
	if (!n) {
		snap_source_free(source);
		return 0;
	}
	return snap_append(snapshot, source, snap_extents_from(source, ranges, n));
}

/* All of it is one extent. */
static struct snap_extents *snap_extents_new(struct snap_source *source,
					     sector_t count)
{
	struct snap_extents *extents =
		kvzalloc(struct_size(extents, extent, 1), GFP_KERNEL);

	if (!extents)
		return ERR_PTR(-ENOMEM);
	extents->n = 1;
	extents->extent[0] = (struct snap_extent){
		.source = source, .count = count,
	};
	return extents;
}

/* A whole block device, from its first sector on: nobody else may have it. */
static int snap_append_device(struct snap_snapshot *snapshot, struct file *file)
{
	struct snap_source *source;
	struct file *own;

	own = dentry_open(&file->f_path, O_RDWR | O_LARGEFILE | O_EXCL,
			  current_cred());
	fput(file);
	if (IS_ERR(own))
		return PTR_ERR(own);
	source = snap_source_new(own);
	if (!source)
		return -ENOMEM;
	source->bdev = I_BDEV(own->f_mapping->host);
	return snap_append(snapshot, source,
			   snap_extents_new(source,
					    bdev_nr_sectors(source->bdev)));
}

/* All of a file, through its file system. */
static int snap_append_direct(struct snap_snapshot *snapshot, struct file *file)
{
	struct snap_source *source = snap_source_new(file);
	struct inode *inode = file_inode(file);
	struct snap_file *direct;

	if (!source)
		return -ENOMEM;
	direct = snap_file_open(file);
	if (IS_ERR(direct))
		return snap_append(snapshot, source, ERR_CAST(direct));
	source->direct = direct;
	source->bdev = inode->i_sb->s_bdev;
	return snap_append(snapshot, source,
			   snap_extents_new(source,
					    i_size_read(inode) >> SECTOR_SHIFT));
}

static int snap_append_pinned(struct snap_snapshot *snapshot, struct file *file)
{
	struct snap_source *source = snap_source_new(file);
	struct snap_extents *extents;
	int ret;

	if (!source)
		return -ENOMEM;
	ret = snap_pin(source, &extents);
	return snap_append(snapshot, source, ret ? ERR_PTR(ret) : extents);
}

/*
 * One at a time: a file that is storage already is left alone, as pinning it would
 * fail what is stored through its file system.
 */
static DEFINE_MUTEX(snap_files);

/* A regular file.  Takes it over. */
static int snap_append_regular(struct snap_snapshot *snapshot, struct file *file,
			       bool direct)
{
	int ret = 0;

	if (mutex_lock_killable(&snap_files)) {
		fput(file);
		return -EINTR;
	}
	mutex_lock(&snap_mutex);
	if (snap_file_is_storage(file))
		ret = direct ? -EEXIST : -EBUSY;
	mutex_unlock(&snap_mutex);
	if (ret)
		fput(file);
	else
		ret = direct ? snap_append_direct(snapshot, file) :
			       snap_append_pinned(snapshot, file);
	mutex_unlock(&snap_files);
	return ret;
}

/* snap_append_file() - see IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE */
int snap_append_file(struct snap_snapshot *snapshot, int fd, u32 flags)
{
	struct file *file = fget(fd);
	umode_t mode;

	if (!file)
		return -EBADF;
	mode = file_inode(file)->i_mode;
	if (!(file->f_mode & FMODE_READ) || !(file->f_mode & FMODE_WRITE)) {
		fput(file);
		return -EBADF;
	}
	if (S_ISBLK(mode) && !flags)
		return snap_append_device(snapshot, file);
	if (S_ISREG(mode))
		return snap_append_regular(snapshot, file,
					   flags & BLKSNAP_APPEND_DIRECT);
	fput(file);
	return -EINVAL;
}
