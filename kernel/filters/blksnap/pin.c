// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files whose blocks stay where they are, as those of a swap file do.
 *
 * What is relied on, read in 6.1 and 6.12: a file with S_SWAPFILE is not written,
 * shrunk, given holes, unlinked, shared or moved (ETXTBSY, EPERM); swap_activate()
 * of its file system adds extents to the tree of the structure that it is given,
 * in pages, and needs no more of it than max, bdev, swap_file and the tree; it is
 * called with the inode's lock held, and must not meet a file shorter than a page.
 * Unwritten extents are what we want: the file system keeps them unwritten, so what
 * is stored there is never readable through the file.
 */
#include <linux/fs.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include "snap.h"

#define SNAP_PAGE_SECTORS	(PAGE_SIZE >> SECTOR_SHIFT)

static int snap_pin_flag(struct inode *inode)
{
	int ret = 0;

	inode_lock(inode);
	if (IS_SWAPFILE(inode))
		ret = -EBUSY;
	else
		inode->i_flags |= S_SWAPFILE;
	inode_unlock(inode);
	return ret;
}

static void snap_unpin_flag(struct inode *inode)
{
	inode_lock(inode);
	inode->i_flags &= ~S_SWAPFILE;
	inode_unlock(inode);
}

/* Nothing was ever written: so nobody can read anything but zeroes. */
static int snap_check_unwritten(struct file *file)
{
	loff_t before = file->f_pos, data;

	inode_dio_wait(file_inode(file));
	/* Pages that were only read count as data. */
	if (filemap_write_and_wait(file->f_mapping) ||
	    invalidate_inode_pages2(file->f_mapping))
		return -EIO;
	data = vfs_llseek(file, 0, SEEK_DATA);
	file->f_pos = before;
	if (data == -ENXIO)
		return 0;
	return data < 0 ? data : -EINVAL;
}

/* The tree as a list of our own; the tree is freed. */
static int snap_take_extents(struct snap_source *source, struct rb_root *root,
			     struct snap_extents **extents)
{
	struct swap_extent *extent;
	struct rb_node *node;
	u32 n = 0;

	for (node = rb_first(root); node; node = rb_next(node))
		n++;
	*extents = kvzalloc(struct_size(*extents, extent, n), GFP_KERNEL);
	if (*extents)
		(*extents)->n = n;
	for (n = 0; (node = rb_first(root)); n++) {
		extent = rb_entry(node, struct swap_extent, rb_node);
		if (*extents)
			(*extents)->extent[n] = (struct snap_extent){
				.source = source,
				.sector = extent->start_block * SNAP_PAGE_SECTORS,
				.count = extent->nr_pages * SNAP_PAGE_SECTORS,
			};
		rb_erase(node, root);
		kfree(extent);
	}
	return *extents ? 0 : -ENOMEM;
}

static int snap_pin_extents(struct snap_source *source,
			    struct snap_extents **extents)
{
	const struct address_space_operations *ops =
		source->file->f_mapping->a_ops;
	struct inode *inode = file_inode(source->file);
	struct swap_info_struct *sis;
	sector_t span;
	int ret;

	sis = kzalloc(sizeof(*sis), GFP_KERNEL);
	if (!sis)
		return -ENOMEM;
	sis->swap_extent_root = RB_ROOT;
	sis->swap_file = source->file;
	sis->bdev = inode->i_sb->s_bdev;
	inode_lock(inode);
	sis->max = min_t(u64, i_size_read(inode) >> PAGE_SHIFT, UINT_MAX);
	ret = sis->max ? ops->swap_activate(sis, source->file, &span) : -EINVAL;
	inode_unlock(inode);
	source->bdev = sis->bdev;
	source->pinned = ret >= 0;
	ret = snap_take_extents(source, &sis->swap_extent_root, extents) ?:
	      min(ret, 0);
	if (!ret && (!source->bdev || !(*extents)->n))
		ret = -EINVAL;
	kfree(sis);
	return ret;
}

/*
 * snap_pin() - keep a regular file's blocks where they are
 * @source:  with the file; its device is filled in.
 * @extents: out: where they are; the caller's to free.
 *
 * Return: 0, or see IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE; then nothing is pinned.
 */
int snap_pin(struct snap_source *source, struct snap_extents **extents)
{
	struct inode *inode = file_inode(source->file);
	int ret;

	*extents = NULL;
	if (!source->file->f_mapping->a_ops->swap_activate)
		return -EOPNOTSUPP;
	if (i_size_read(inode) < PAGE_SIZE)
		return -EINVAL;
	ret = snap_pin_flag(inode);
	if (ret)
		return ret;
	/* Again afterwards: f2fs, for one, writes to them when it moves them. */
	ret = snap_check_unwritten(source->file) ?:
	      snap_pin_extents(source, extents) ?:
	      snap_check_unwritten(source->file);
	if (ret) {
		if (source->pinned)
			snap_unpin(source);
		else
			snap_unpin_flag(inode);
		kvfree(*extents);
		*extents = NULL;
	}
	return ret;
}

/* Lets a pinned file go; nothing for a block device. */
void snap_unpin(struct snap_source *source)
{
	const struct address_space_operations *ops =
		source->file->f_mapping->a_ops;

	if (!source->pinned)
		return;
	if (ops->swap_deactivate)
		ops->swap_deactivate(source->file);
	snap_unpin_flag(file_inode(source->file));
	source->pinned = false;
}
