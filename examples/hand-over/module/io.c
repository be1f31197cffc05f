// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bio that was taken, and the worker that goes on with it.
 *
 * submit_bio() of a filter may be called inside another submission, where nothing may
 * be waited for.  So a bio is only noted there, and a worker does the rest.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include "hand-over.h"

#define ACME_IOS	256	/* that are there whatever memory is like */

static void acme_work(struct work_struct *work)
{
	struct acme_worker *worker = container_of(work, struct acme_worker,
						  work);
	struct acme_io *io, *next;
	LIST_HEAD(all);
	LIST_HEAD(later);

	spin_lock_irq(&worker->lock);
	list_splice_init(&worker->taken, &all);
	spin_unlock_irq(&worker->lock);
	list_for_each_entry_safe(io, next, &all, link) {
		list_del_init(&io->link);
		if (!worker->send(io))
			list_add_tail(&io->link, &later);
	}
	/* They came before what has come meanwhile. */
	spin_lock_irq(&worker->lock);
	list_splice(&later, &worker->taken);
	spin_unlock_irq(&worker->lock);
}

int acme_worker_init(struct acme_worker *worker, struct blkfilter *flt,
		     bool (*send)(struct acme_io *io), const char *name)
{
	worker->flt = flt;
	worker->send = send;
	spin_lock_init(&worker->lock);
	INIT_LIST_HEAD(&worker->taken);
	INIT_WORK(&worker->work, acme_work);
	/* One of its own for each device, so that stacked ones never wait for each other. */
	worker->wq = alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, name);
	if (!worker->wq)
		return -ENOMEM;
	return mempool_init_kmalloc_pool(&worker->ios, ACME_IOS,
					 sizeof(struct acme_io)) ?:
	       bioset_init(&worker->bios, BIO_POOL_SIZE, 0, BIOSET_NEED_BVECS);
}

/* Nothing is taken any more.  Also of one that acme_worker_init() failed for. */
void acme_worker_exit(struct acme_worker *worker)
{
	if (worker->wq)
		destroy_workqueue(worker->wq);
	bioset_exit(&worker->bios);
	mempool_exit(&worker->ios);
}

/*
 * acme_take() - take a bio; the worker goes on with it
 *
 * Return: false if there is no memory: the bio is not taken.
 */
bool acme_take(struct acme_worker *worker, struct bio *bio,
	       struct blkfilter_pos pos)
{
	bool waits = !current->bio_list && !(bio->bi_opf & REQ_NOWAIT);
	struct acme_io *io = mempool_alloc(&worker->ios, __GFP_NOWARN |
					   (waits ? GFP_NOIO : GFP_NOWAIT));
	unsigned long flags;

	if (!io)
		return false;
	blkfilter_take(worker->flt, bio, pos);
	memset(io, 0, sizeof(*io));
	io->worker = worker;
	io->bio = bio;
	io->pos = pos;
	io->first = blkfilter_sector(worker->flt, bio);
	io->end = io->first + bio_sectors(bio);
	spin_lock_irqsave(&worker->lock, flags);
	list_add_tail(&io->link, &worker->taken);
	spin_unlock_irqrestore(&worker->lock, flags);
	acme_kick(worker);
	return true;
}

void acme_kick(struct acme_worker *worker)
{
	queue_work(worker->wq, &worker->work);
}

/* All that was sent for it has come back.  Any context. */
void acme_end(struct acme_io *io)
{
	struct blkfilter_pos pos = io->pos;
	struct bio *bio = io->bio;
	blk_status_t status = io->status;

	/* The filter may be gone as soon as the bio is. */
	mempool_free(io, &io->worker->ios);
	blkfilter_end(pos, bio, status);
}

/* The same for @bdev, in the filter's own name; only in the worker. */
struct bio *acme_clone_bio(struct acme_io *io, struct block_device *bdev,
			   bio_end_io_t *end_io)
{
	struct bio *bio = bio_alloc_clone(bdev, io->bio, GFP_NOIO,
					  &io->worker->bios);

	bio->bi_private = io;
	bio->bi_end_io = end_io;
	return bio;
}

static int acme_suits(struct block_device *target, struct block_device *source)
{
	if (target == source)
		return -ELOOP;
	if (bdev_nr_sectors(target) < bdev_nr_sectors(source))
		return -ENOSPC;
	if (bdev_read_only(target))
		return -EROFS;
	if (bdev_logical_block_size(target) != bdev_logical_block_size(source) ||
	    bdev_is_zoned(target))
		return -EOPNOTSUPP;
	/* Nobody would flush it: the block layer has taken flushes out of bios before. */
	if (bdev_write_cache(target) && !bdev_write_cache(source))
		return -EOPNOTSUPP;
	return 0;
}

/* Opens the device of a path, which the administrator has written, exclusively. */
struct file *acme_open(const void *path, u32 length, struct block_device *source)
{
	char *name = length ? kmemdup_nul(path, length, GFP_KERNEL) : NULL;
	struct file *file;
	int ret;

	if (!name)
		return ERR_PTR(length ? -ENOMEM : -EINVAL);
	file = filp_open(name, O_RDWR | O_EXCL | O_LARGEFILE, 0);
	kfree(name);
	if (IS_ERR(file))	/* ENOENT would mean that there is no such filter */
		return file == ERR_PTR(-ENOENT) ? ERR_PTR(-ENXIO) : file;
	ret = S_ISBLK(file_inode(file)->i_mode) ?
		      acme_suits(acme_bdev(file), source) : -ENOTBLK;
	if (ret) {
		filp_close(file, NULL);
		return ERR_PTR(ret);
	}
	return file;
}
