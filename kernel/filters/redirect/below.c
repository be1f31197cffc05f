// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device below: a block device of ours whose bios enter the source below redirect.
 * What is built on it (dm) can be slid under the source: BLKFILTER_REDIRECT_INTERPOSE.
 *
 * A bio becomes one clone, which shares its pages and is the filter's own: it passes
 * closed gates, so that whatever a device on it does in tasks of its own, for the sake
 * of a bio that the gate waits for, can be done.  Each holds rd_below.io, and by that the
 * filter.  The source's driver divides what is too large for it: nothing is split here.
 *
 * Whoever has the device open keeps it when its filter has gone, with the source: then
 * every bio fails.  A detach by people is refused while it is open.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "rd.h"

#define RD_CLONES_MIN	64

static atomic_t rd_belows_left;	/* they may be open when their filter has gone */

/* The module goes: the last closer of one may still be at it. */
void rd_belows_wait(void)
{
	wait_var_event(&rd_belows_left, !atomic_read(&rd_belows_left));
}

static struct rd_below *rd_below_of(struct gendisk *disk)
{
	return disk->private_data;
}

/* --- bios --- */

static void rd_below_end(struct rd_below *below, struct bio *bio)
{
	bio_endio(bio);
	percpu_ref_put(&below->io);
}

/*
 * While nothing is interposed what is written here changes the source under the other
 * filters, which have not seen it: they are told, before the writer is.
 */
static void rd_below_work(struct work_struct *work)
{
	struct rd_below *below = container_of(work, struct rd_below, telling);
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&below->lock);
	bios = below->written;
	bio_list_init(&below->written);
	spin_unlock_irq(&below->lock);
	while ((bio = bio_list_pop(&bios))) {
		blkfilter_changed(&below->rd->flt, bio->bi_iter.bi_sector,
				  bio_sectors(bio));
		rd_below_end(below, bio);
	}
}

static void rd_below_tell(struct rd_below *below, struct bio *bio)
{
	unsigned long flags;

	spin_lock_irqsave(&below->lock, flags);
	bio_list_add(&below->written, bio);
	queue_work(below->wq, &below->telling);
	spin_unlock_irqrestore(&below->lock, flags);
}

/* The clone has done what its bio asks for; returns that. */
static struct bio *rd_below_done(struct bio *clone)
{
	struct bio *bio = clone->bi_private;

	if (clone->bi_status)
		bio->bi_status = clone->bi_status;
	bio_put(clone);
	return bio;
}

static void rd_below_seen_end(struct bio *clone)
{
	struct bio *bio = rd_below_done(clone);

	rd_below_end(rd_below_of(bio->bi_bdev->bd_disk), bio);
}

static void rd_below_unseen_end(struct bio *clone)
{
	struct bio *bio = rd_below_done(clone);

	rd_below_tell(rd_below_of(bio->bi_bdev->bd_disk), bio);
}

/*
 * Are the others to be told of a bio?  Decided when it is sent: its completion may come after
 * the instant at which that changes.  To tell them without need does no harm.
 */
static bool rd_below_is_unseen(const struct rd_below *below,
			       const struct bio *bio)
{
	return op_is_write(bio_op(bio)) && bio_sectors(bio) &&
	       !READ_ONCE(below->rd->interposed) && !rd_fault(RD_BELOW_UNTOLD);
}

/* The source may be smaller by now than we know: what lies behind it is another's. */
static bool rd_below_is_beyond(const struct rd_below *below,
			       const struct bio *bio)
{
	bool beyond;

	rcu_read_lock();
	beyond = bio_sectors(bio) && bio_end_sector(bio) >
		 bdev_nr_sectors(READ_ONCE(below->rd->flt.bdev));
	rcu_read_unlock();
	return beyond;
}

static void rd_below_submit_bio(struct bio *bio)
{
	struct rd_below *below = rd_below_of(bio->bi_bdev->bd_disk);
	struct bio *clone;

	if (!percpu_ref_tryget_live(&below->io)) {
		bio_io_error(bio);
		return;
	}
	if (unlikely(rd_below_is_beyond(below, bio))) {
		bio->bi_status = BLK_STS_IOERR;
		rd_below_end(below, bio);
		return;
	}
	/* One for each call: whoever holds the others has sent them. */
	clone = bio_alloc_clone(bio->bi_bdev, bio, GFP_NOIO, &below->clones);
	if (unlikely(!clone)) {
		bio->bi_status = BLK_STS_RESOURCE;
		rd_below_end(below, bio);
		return;
	}
	clone->bi_private = bio;
	clone->bi_end_io = rd_below_is_unseen(below, bio) ? rd_below_unseen_end :
							   rd_below_seen_end;
	if (rd_fault(RD_BELOW_NO_FLUSH))
		clone->bi_opf &= ~(REQ_PREFLUSH | REQ_FUA);
	if (bio_sectors(bio) && !rd_fault(RD_BELOW_ON_DISK))
		clone->bi_iter.bi_sector += below->start;
	blkfilter_submit_below(&below->rd->flt, clone);
}

/* --- the disk --- */

/* It has no callback for that: whoever opens it finds it as the source is. */
static void rd_below_follow_read_only(struct rd_below *below)
{
	bool read_only;

	rcu_read_lock();
	read_only = bdev_read_only(READ_ONCE(below->rd->flt.bdev));
	rcu_read_unlock();
	set_disk_ro(below->disk, read_only);
}

static int rd_below_open_disk(struct gendisk *disk)
{
	struct rd_below *below = rd_below_of(disk);

	if (!percpu_ref_tryget_live(&below->io))
		return -ENXIO;
	rd_below_follow_read_only(below);
	percpu_ref_put(&below->io);
	return 0;
}

BF_DISK_OPEN(rd_below_open, rd_below_open_disk)

void rd_below_free(struct rd_below *below)
{
	if (below->wq)
		destroy_workqueue(below->wq);
	percpu_ref_exit(&below->io);
	bioset_exit(&below->clones);
	kfree(below);
	if (atomic_dec_and_test(&rd_belows_left))
		wake_up_var(&rd_belows_left);
}

static void rd_below_free_disk(struct gendisk *disk)
{
	rd_below_free(rd_below_of(disk));
}

static const struct block_device_operations rd_below_operations = {
	.owner = THIS_MODULE,
	.submit_bio = rd_below_submit_bio,
	.open = rd_below_open,
	.free_disk = rd_below_free_disk,
};

/* --- it is made --- */

static void rd_below_io_gone(struct percpu_ref *ref)
{
	complete_all(&container_of(ref, struct rd_below, io)->idle);
}

static int rd_below_init(struct rd_below *below, struct rd_filter *rd)
{
	int ret;

	below->rd = rd;
	below->start = blkfilter_start(&rd->flt);
	INIT_LIST_HEAD(&below->link);
	INIT_WORK(&below->telling, rd_below_work);
	INIT_WORK(&below->ending, rd_below_end_work);
	init_completion(&below->idle);
	spin_lock_init(&below->lock);
	bio_list_init(&below->written);
	below->wq = alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0,
				    below->name);
	if (!below->wq)
		return -ENOMEM;
	ret = bioset_init(&below->clones, RD_CLONES_MIN, 0, 0);
	return ret ?: percpu_ref_init(&below->io, rd_below_io_gone, 0,
				      GFP_KERNEL);
}

/* Who and how large the source is.  Its disk stays for as long as the filter does. */
static int rd_below_look(struct rd_below *below, struct rd_filter *rd,
			 sector_t *sectors)
{
	struct block_device *bdev;
	int length;

	rcu_read_lock();
	bdev = READ_ONCE(rd->flt.bdev);
	length = snprintf(below->name, sizeof(below->name), "below-%pg", bdev);
	below->source = bdev->bd_disk;
	below->of_partition = bdev_is_partition(bdev);
	*sectors = bdev_nr_sectors(bdev);
	rcu_read_unlock();
	return length < sizeof(below->name) ? 0 : -ENAMETOOLONG;
}

/*
 * rd_below_new() - one that is not added yet
 *
 * In a command.  Return: it, or an ERR_PTR; undone by put_disk() and rd_below_free(), as
 * free_disk() is only for those that were added.
 */
struct rd_below *rd_below_new(struct rd_filter *rd)
{
	struct rd_below *below = kzalloc(sizeof(*below), GFP_KERNEL);
	sector_t sectors;
	int ret;

	if (!below)
		return ERR_PTR(-ENOMEM);
	atomic_inc(&rd_belows_left);
	ret = rd_below_look(below, rd, &sectors) ?: rd_below_init(below, rd);
	if (ret)
		goto out_free;
	below->disk = bf_alloc_stacked(below->source->queue, below->start);
	ret = PTR_ERR_OR_ZERO(below->disk);
	if (ret)
		goto out_free;
	below->disk->flags |= GENHD_FL_NO_PART;
	below->disk->fops = &rd_below_operations;
	below->disk->private_data = below;
	strscpy(below->disk->disk_name, below->name, DISK_NAME_LEN);
	set_capacity(below->disk, sectors);
	rd_below_follow_read_only(below);
	return below;

out_free:
	rd_below_free(below);
	return ERR_PTR(ret);
}
