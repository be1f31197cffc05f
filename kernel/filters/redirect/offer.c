// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device below is offered and withdrawn: BLKFILTER_REDIRECT_BELOW; and what becomes of
 * it when its filter goes.
 */
#include "rd.h"

/* --- the end --- */

void rd_below_end_work(struct work_struct *work)
{
	struct rd_below *below = container_of(work, struct rd_below, ending);

	del_gendisk(below->disk);
	wait_for_completion(&below->idle);
	rd_below_unlist(below);
}

/*
 * rd_below_leave() - it ends, in a moment, whoever has it open
 *
 * Bios fail from now on, and nobody opens it any more.  When this has returned the work is
 * queued, whoever did it.  Any context.
 */
void rd_below_leave(struct rd_filter *rd)
{
	struct rd_below *below;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	below = rd->below;
	if (below && !test_and_set_bit(0, &below->ended)) {
		percpu_ref_kill(&below->io);
		queue_work(rd_wq, &below->ending);
	}
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
	rd_below_leave(rd);
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
		rd_below_leave(rd);
	mutex_unlock(&below->disk->open_mutex);
	if (open)
		return -EBUSY;
	rd_below_remove(rd);
	return 0;
}

/* --- the beginning --- */

/* Under rd_filter.control. */
static int rd_below_offer(struct rd_filter *rd)
{
	struct rd_below *below = rd_below_new(rd);
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
	rd_below_resized(rd);
	if (!READ_ONCE(rd->leaving))
		return 0;
	rd_below_remove(rd);
	return -ENODEV;

out_unlist:
	rd_below_unlist(below);
out_put:
	put_disk(below->disk);
	rd_below_free(below);
	return ret;
}

/* The last one to read the source's size is the last one to set it. */
static DEFINE_MUTEX(rd_below_sizes);

/* rd_below_resized() - the source may have another size; sleeps */
void rd_below_resized(struct rd_filter *rd)
{
	struct gendisk *disk = NULL;
	sector_t sectors;

	spin_lock_irq(&rd->lock);
	if (rd->below && !test_bit(0, &rd->below->ended)) {
		disk = rd->below->disk;
		get_device(disk_to_dev(disk));
	}
	spin_unlock_irq(&rd->lock);
	if (!disk)
		return;
	mutex_lock(&rd_below_sizes);
	rcu_read_lock();
	sectors = bdev_nr_sectors(READ_ONCE(rd->flt.bdev));
	rcu_read_unlock();
	set_capacity_and_notify(disk, sectors);
	mutex_unlock(&rd_below_sizes);
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
