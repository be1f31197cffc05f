// SPDX-License-Identifier: GPL-2.0-only
/*
 * Difference storage in a file through its file system: for those that do not keep
 * a file's blocks where they are.
 *
 * Bios become direct reads and writes of the file, by a few tasks at a time: the
 * file system may sleep wherever it likes.  Whoever sends them waits for nothing.
 */
#include <linux/cred.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include "snap.h"

#define SNAP_LANES	8

/* One task at a time; @busy until it has found nothing to do. */
struct snap_lane {
	struct work_struct work;
	struct snap_file *of;
	bool busy;
};

/**
 * struct snap_file - a file that is read and written
 * @file:    open for direct I/O.
 * @bytes:   its size when it was given.
 * @shorter: it has been shorter since: what was stored there may be gone.
 * @wq:      for the lanes.
 * @lock:    for all that follows.
 * @bios:    not begun.
 * @lane:    tasks.
 */
struct snap_file {
	struct file *file;
	loff_t bytes;
	bool shorter;
	struct workqueue_struct *wq;
	spinlock_t lock;	/* for all that follows */
	struct bio_list bios;
	struct snap_lane lane[SNAP_LANES];
};

/* A write behind the end would make the file longer again, and what is missing zeroes. */
static bool snap_file_is_whole(struct snap_file *file)
{
	if (i_size_read(file_inode(file->file)) < file->bytes)
		WRITE_ONCE(file->shorter, true);
	return !READ_ONCE(file->shorter);
}

/*
 * Freezing is kept out by ourselves, once: vfs_iter_write() does it, too, on 6.12 and
 * not on 6.1, and a freeze between two would never end.
 */
static ssize_t snap_file_once(struct file *file, bool write, loff_t position,
			      struct iov_iter *iter)
{
	struct kiocb kiocb;
	ssize_t done;

	init_sync_kiocb(&kiocb, file);
	kiocb.ki_pos = position;
	if (!write)
		return file->f_op->read_iter(&kiocb, iter);
	file_start_write(file);
	done = file->f_op->write_iter(&kiocb, iter);
	file_end_write(file);
	return done;
}

/* Return: 0, or an errno: less than all was read or written. */
static int snap_file_transfer(struct snap_file *file, struct bio *bio)
{
	loff_t position = (loff_t)bio->bi_iter.bi_sector << SECTOR_SHIFT;
	bool write = op_is_write(bio_op(bio));
	struct bvec_iter at;
	struct iov_iter iter;
	struct bio_vec vec;
	ssize_t done;
	u32 n = 0;

	bio_for_each_bvec(vec, bio, at)
		n++;
	iov_iter_bvec(&iter, write ? WRITE : READ,
		      __bvec_iter_bvec(bio->bi_io_vec, bio->bi_iter), n,
		      bio->bi_iter.bi_size);
	iter.iov_offset = bio->bi_iter.bi_bvec_done;
	while (iov_iter_count(&iter)) {
		if (!snap_file_is_whole(file))
			return -EIO;
		done = snap_file_once(file->file, write, position, &iter);
		if (done <= 0)
			return done ?: -EIO;
		position += done;
	}
	/* What was read may be from after its end was cut off. */
	return snap_file_is_whole(file) ? 0 : -EIO;
}

/* The next one; NULL: the lane is not busy any more. */
static struct bio *snap_lane_next(struct snap_lane *lane)
{
	struct bio *bio;

	spin_lock_irq(&lane->of->lock);
	bio = bio_list_pop(&lane->of->bios);
	lane->busy = bio;
	spin_unlock_irq(&lane->of->lock);
	return bio;
}

/*
 * What waits for this may be memory's way out: no I/O to get some, and no waiting
 * for the other writers of the device that the file is on.  Relied on as the loop
 * device does.  What the file system leaves to tasks of its own is up to it.
 */
static void snap_lane_work(struct work_struct *work)
{
	struct snap_lane *lane = container_of(work, struct snap_lane, work);
	unsigned int noio = memalloc_noio_save(), flags = current->flags;
	struct bio *bio;

	current->flags |= PF_LOCAL_THROTTLE;
	while ((bio = snap_lane_next(lane))) {
		bio->bi_status = errno_to_blk_status(snap_file_transfer(lane->of,
									bio));
		bio_endio(bio);
		cond_resched();
	}
	current_restore_flags(flags, PF_LOCAL_THROTTLE);
	memalloc_noio_restore(noio);
}

/* A lane that is not busy, now it is; NULL: none.  Under the lock. */
static struct snap_lane *snap_lane_get(struct snap_file *file)
{
	u32 i;

	for (i = 0; i < SNAP_LANES; i++)
		if (!file->lane[i].busy) {
			file->lane[i].busy = true;
			return &file->lane[i];
		}
	return NULL;
}

/*
 * A bio with data: bi_sector counts from the file's beginning.  Any context.  Without
 * a lane the first one that has done takes it.
 */
void snap_file_submit(struct snap_file *file, struct bio *bio)
{
	struct snap_lane *lane;
	unsigned long irq;

	spin_lock_irqsave(&file->lock, irq);
	bio_list_add(&file->bios, bio);
	lane = snap_lane_get(file);
	/* Inside the lock: the bio, which another lane may take, keeps the file. */
	if (lane)
		queue_work(file->wq, &lane->work);
	spin_unlock_irqrestore(&file->lock, irq);
}

/*
 * What is stored can be read through the file: by nobody who could not read the
 * device, then.
 */
static bool snap_file_is_private(const struct inode *inode)
{
	return uid_eq(inode->i_uid, current_fsuid()) && !(inode->i_mode & 0077);
}

/* The same file, opened by ourselves for direct I/O. */
static struct file *snap_file_reopen(struct file *file)
{
	struct file *own = dentry_open(&file->f_path,
				       O_RDWR | O_LARGEFILE | O_DIRECT,
				       current_cred());

	/* See do_dentry_open(): direct I/O is not offered. */
	return own == ERR_PTR(-EINVAL) ? ERR_PTR(-EOPNOTSUPP) : own;
}

/*
 * snap_file_open() - use a file through its file system
 *
 * From a task.  Return: it, or an error, see IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE.
 */
struct snap_file *snap_file_open(struct file *file)
{
	struct snap_file *new;
	struct file *own;
	u32 i;

	if (!snap_file_is_private(file_inode(file)))
		return ERR_PTR(-EACCES);
	if (IS_SWAPFILE(file_inode(file)))
		return ERR_PTR(-EBUSY);
	own = snap_file_reopen(file);
	if (IS_ERR(own))
		return ERR_CAST(own);
	if (!own->f_op->read_iter || !own->f_op->write_iter) {
		fput(own);
		return ERR_PTR(-EOPNOTSUPP);
	}
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (new)
		new->wq = alloc_workqueue("blksnap-file",
					  WQ_MEM_RECLAIM | WQ_UNBOUND,
					  SNAP_LANES);
	if (!new || !new->wq) {
		kfree(new);
		fput(own);
		return ERR_PTR(-ENOMEM);
	}
	new->file = own;
	new->bytes = i_size_read(file_inode(own));
	spin_lock_init(&new->lock);
	for (i = 0; i < SNAP_LANES; i++) {
		INIT_WORK(&new->lane[i].work, snap_lane_work);
		new->lane[i].of = new;
	}
	return new;
}

/* Nothing is on its way to it any more. */
void snap_file_close(struct snap_file *file)
{
	if (!file)
		return;
	destroy_workqueue(file->wq);
	fput(file->file);
	kfree(file);
}
