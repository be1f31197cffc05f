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

static void rd_below_clone_end(struct bio *clone)
{
	struct bio *bio = clone->bi_private;
	struct rd_below *below = rd_below_of(bio->bi_bdev->bd_disk);

	if (clone->bi_status)
		bio->bi_status = clone->bi_status;
	bio_put(clone);
	if (op_is_write(bio_op(bio)) && bio_sectors(bio) &&
	    !READ_ONCE(below->rd->interposed) && !rd_fault(RD_BELOW_UNTOLD))
		rd_below_tell(below, bio);
	else
		rd_below_end(below, bio);
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
	clone->bi_end_io = rd_below_clone_end;
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

static void rd_below_free(struct rd_below *below)
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

/* --- the end --- */

static void rd_below_io_gone(struct percpu_ref *ref)
{
	complete_all(&container_of(ref, struct rd_below, io)->idle);
}

static void rd_below_end_work(struct work_struct *work)
{
	struct rd_below *below = container_of(work, struct rd_below, ending);

	del_gendisk(below->disk);
	wait_for_completion(&below->idle);
	rd_below_unlist(below);
}

/*
 * It ends, in a moment, whoever has it open: bios fail from now on, and nobody opens it any
 * more.  Any context; under rd_filter.lock, or whoever calls keeps it.
 */
static void rd_below_ends(struct rd_below *below)
{
	if (test_and_set_bit(0, &below->ended))
		return;
	percpu_ref_kill(&below->io);
	queue_work(rd_wq, &below->ending);
}

/* rd_below_leave() - the filter goes, or its device; any context */
void rd_below_leave(struct rd_filter *rd)
{
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	if (rd->below)
		rd_below_ends(rd->below);
	spin_unlock_irqrestore(&rd->lock, flags);
}

/*
 * rd_below_remove() - it is no more, and uses the filter no more
 *
 * In a command, under rd_filter.control, or when there are none.  Sleeps.
 */
void rd_below_remove(struct rd_filter *rd)
{
	struct rd_below *below = rd->below;

	if (!below)
		return;
	rd_below_ends(below);
	flush_work(&below->ending);
	spin_lock_irq(&rd->lock);
	rd->below = NULL;
	spin_unlock_irq(&rd->lock);
	put_disk(below->disk);
}

/* Has anybody it open?  Any context. */
bool rd_below_is_open(struct rd_filter *rd)
{
	unsigned long flags;
	bool open;

	spin_lock_irqsave(&rd->lock, flags);
	open = rd->below &&
	       atomic_read(&rd->below->disk->part0->bd_openers);
	spin_unlock_irqrestore(&rd->lock, flags);
	return open;
}

/* Unless somebody has it open.  Under rd_filter.control. */
static int rd_below_withdraw(struct rd_filter *rd)
{
	struct rd_below *below = rd->below;
	bool open;

	if (!below)
		return -ENOENT;
	/* Who opens it holds this until he is counted, or finds that it ends. */
	mutex_lock(&below->disk->open_mutex);
	open = atomic_read(&below->disk->part0->bd_openers);
	if (!open)
		rd_below_ends(below);
	mutex_unlock(&below->disk->open_mutex);
	if (open)
		return -EBUSY;
	rd_below_remove(rd);
	return 0;
}

/* --- the beginning --- */

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

static struct rd_below *rd_below_new(struct rd_filter *rd)
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

/* Under rd_filter.control. */
static int rd_below_offer(struct rd_filter *rd)
{
	struct rd_below *below = rd_below_new(rd);
	sector_t sectors;
	int ret;

	if (IS_ERR(below))
		return PTR_ERR(below);
	ret = rd_below_list(below);
	if (ret)
		goto out_put;
	ret = add_disk(below->disk);
	if (ret)
		goto out_unlist;
	spin_lock_irq(&rd->lock);
	rd->below = below;
	spin_unlock_irq(&rd->lock);
	/* Whatever has changed until now, nobody could tell it. */
	rcu_read_lock();
	sectors = bdev_nr_sectors(READ_ONCE(rd->flt.bdev));
	rcu_read_unlock();
	rd_below_resized(rd, sectors);
	if (!READ_ONCE(rd->leaving))
		return 0;
	rd_below_remove(rd);
	return -ENODEV;

out_unlist:
	rd_below_unlist(below);
out_put:
	put_disk(below->disk);
	/* free_disk() is only for those that were added. */
	rd_below_free(below);
	return ret;
}

/* rd_below_resized() - the source has another size; sleeps */
void rd_below_resized(struct rd_filter *rd, sector_t sectors)
{
	struct gendisk *disk = NULL;

	spin_lock_irq(&rd->lock);
	if (rd->below && !test_bit(0, &rd->below->ended)) {
		disk = rd->below->disk;
		get_device(disk_to_dev(disk));
	}
	spin_unlock_irq(&rd->lock);
	if (!disk)
		return;
	set_capacity_and_notify(disk, sectors);
	put_disk(disk);
}

/* --- the command --- */

/* A migration would not see what is written to the device.  Under rd_filter.control. */
static bool rd_is_migration(struct rd_filter *rd)
{
	struct rd_job *job = rd_job_get(rd);
	bool migration;

	if (!job)
		return false;
	migration = job->copies_data && !rd_job_is_over(job);
	rd_job_put(job);
	return migration;
}

static int rd_below(struct rd_filter *rd, struct blkfilter_redirect_below *arg)
{
	struct block_device *bdev;
	int ret = 0;

	if (arg->flags & BLKFILTER_REDIRECT_BELOW_WITHDRAW)
		return rd_below_withdraw(rd);
	if (!rd->below)
		ret = rd_is_migration(rd) ? -EBUSY : rd_below_offer(rd);
	if (ret)
		return ret;
	bdev = rd->below->disk->part0;
	arg->device.major = MAJOR(bdev->bd_dev);
	arg->device.minor = MINOR(bdev->bd_dev);
	arg->device.diskseq = rd->below->disk->diskseq;
	strscpy(arg->name, rd->below->name, sizeof(arg->name));
	return 0;
}

/* rd_ctl_below() - see BLKFILTER_REDIRECT_BELOW; in a command */
int rd_ctl_below(struct rd_filter *rd, u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_below arg;
	int ret = blkfilter_copy_in(&arg, sizeof(arg), buf, *plen);

	if (ret)
		return ret;
	if (arg.flags & ~BLKFILTER_REDIRECT_BELOW_WITHDRAW)
		return -EINVAL;
	memset(&arg.device, 0, sizeof(arg.device));
	memset(arg.name, 0, sizeof(arg.name));
	if (mutex_lock_killable(&rd->control))
		return -EINTR;
	ret = rd_below(rd, &arg);
	mutex_unlock(&rd->control);
	return ret ?: blkfilter_copy_out(buf, plen, &arg, sizeof(arg));
}
