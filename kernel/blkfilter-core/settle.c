// SPDX-License-Identifier: GPL-2.0-only
/*
 * Settling: when writes from before a device's first filter are gone.
 *
 * A tracker's history may begin only when no write is on its way that no filter
 * has seen.  Those from before the first attach were not counted, and no counter
 * of the kernel knows all of them (md without iostats counts nothing; a bio on a
 * task's bio_list is in no counter, nor does a queue freeze find it).  So:
 *
 *  - a file system that is frozen has no write in flight.  When the device is
 *    opened by nobody but file systems, and all of them were frozen during the
 *    attach, it is settled at once; and so it is when nobody has it open.
 *  - else it is settled when the counters that there are were zero and
 *    settle_seconds have passed.  A device that is always busy may never be seen
 *    with counters at zero: they are waited for during the attach, with the gate
 *    closed, where nothing is added.
 */
#include <linux/delay.h>
#include <linux/moduleparam.h>
#include <linux/part_stat.h>
#include <linux/slab.h>
#include "core.h"

/* One write that hangs is not to stop a disk for as long as it takes. */
#define BF_DRAIN_MOST	HZ

static unsigned int settle_seconds = 60;
module_param(settle_seconds, uint, 0644);
MODULE_PARM_DESC(settle_seconds,
		 "seconds after which writes from before the first attach are taken to be gone (60)");

/* After which writes that nobody counted are taken to be gone: in jiffies. */
unsigned long bf_settle_time(void)
{
	return settle_seconds * HZ;
}

static struct bf_dev *bf_settle_disk_dev(struct bf_dev *dev)
{
	struct bf_dev *other;

	list_for_each_entry(other, &dev->disk->devs, link)
		if (!other->partno)
			return other;
	return NULL;
}

static bool bf_dev_has_counting(const struct bf_dev *dev)
{
	u32 i;

	for (i = 0; dev && i < dev->stack.n; i++)
		if (dev->stack.inst[i]->ops->flags & BLKFILTER_NEEDS_POINTS)
			return true;
	return false;
}

/**
 * bf_settle_counting() - have writes of a device been counted already?
 * @dev: the device.
 * @settling: out, when they have: not yet all of them.
 *
 * Under bf_lock.
 */
bool bf_settle_counting(struct bf_dev *dev, bool *settling)
{
	struct bf_dev *disk_dev;
	bool counting;

	lockdep_assert_held(&bf_lock);
	counting = bf_dev_has_counting(dev);
	*settling = dev->settling;
	disk_dev = dev->disk ? bf_settle_disk_dev(dev) : NULL;
	if (!counting && disk_dev != dev && bf_dev_has_counting(disk_dev)) {
		counting = true;
		*settling = disk_dev->settling;
	}
	return counting;
}

/**
 * bf_settle_begin() - the first filter that counts has come
 * @dev:      the device.
 * @settled:  no write from before it is left.
 * @was_idle: none that the kernel counts.
 *
 * Under bf_lock, in the switch of a transaction: a timer that an earlier filter has
 * left must not find that one's clock.  Not settled: bf_settle_start() follows.
 */
void bf_settle_begin(struct bf_dev *dev, bool settled, bool was_idle)
{
	dev->settling = !settled;
	dev->settle_from = jiffies;
	dev->was_idle = was_idle;
}

/*
 * Writes in flight, as bdev_start_io_acct() counts them (6.1, 6.12); with a queue only
 * 6.12 does, in blk_account_io_start().
 */
static int bf_in_flight(struct block_device *bdev)
{
	int cpu, n = 0;

	for_each_possible_cpu(cpu)
		n += part_stat_local_read_cpu(bdev, in_flight[WRITE], cpu);
	return n;
}

/*
 * Each write is counted where it was sent to, or (nvme's multipath) at the disk.  Those of
 * a disk may come by its partitions, and the other way round: see bf_settle_concerns().
 */
static bool bf_idle(struct block_device *bdev)
{
	struct gendisk *disk = bdev->bd_disk;
	struct block_device *part;
	unsigned long no;
	int n = bf_in_flight(disk->part0);

	if (bdev != disk->part0)
		return n + bf_in_flight(bdev) <= 0;
	rcu_read_lock();
	xa_for_each_start(&disk->part_tbl, no, part, 1)
		n += bf_in_flight(part);
	rcu_read_unlock();
	return n <= 0;
}

/**
 * bf_settle_drain() - wait until no write is in flight that the kernel counts
 * @dev:   the device.
 * @gates: its disk's, closed by bf_gates_close() with counts.
 *
 * Sleeps, for a second and until the gates' limit at most: an attach does not fail of it.
 * Return: is there none?
 */
bool bf_settle_drain(struct bf_dev *dev, const struct bf_gates *gates)
{
	unsigned long until = jiffies + BF_DRAIN_MOST;
	struct block_device *bdev;
	bool idle;

	/* Its queue was frozen, and so empty, when the gate was closed. */
	if (gates->disk[0]->mq)
		return true;
	bdev = bf_dev_pin(dev);
	if (!bdev)
		return false;
	/* Nobody wakes us when a bio that we have not seen completes. */
	while (!(idle = bf_idle(bdev)) && bf_gates_time_left(gates) &&
	       time_before(jiffies, until))
		usleep_range(1000, 2000);
	bf_dev_unpin(bdev);
	return idle;
}

/* Under bf_lock: with the last filter that counts, settling ends too. */
void bf_settle_end(struct bf_dev *dev)
{
	if (!bf_dev_has_counting(dev))
		dev->settling = false;
}

/* One may write into a partition by the whole disk, and the other way round. */
static bool bf_settle_concerns(const struct bf_dev *dev,
			       const struct bf_dev *other)
{
	return other == dev || !dev->partno || !other->partno;
}

/* Freezes what is mounted from one device, or writes back what others wrote. */
static void bf_settle_freeze_one(struct bf_dev *dev, struct bf_frozen *frozen)
{
	struct block_device *bdev = bf_dev_pin(dev);
	bool found = false;

	if (!bdev)
		return;
	if (!bf_bdev_freeze(bdev, &found)) {
		if (found)
			frozen->bdev[frozen->n++] = bdev;
		else
			bf_bdev_thaw(bdev);
	}
	if (!found)
		bf_dev_unpin(bdev);
}

/**
 * bf_settle_freeze() - freeze the file systems of a device that gets its first
 *                      filter
 * @dev:     the device.
 * @openers: its openers that are the caller's own.
 * @frozen:  out; for bf_settle_thaw(), whatever is returned.
 *
 * Sleeps; writes back.  Return: 0 or -ENOMEM.  A file system that cannot be
 * frozen only means that the device has to settle.
 */
int bf_settle_freeze(struct bf_dev *dev, u32 openers, struct bf_frozen *frozen)
{
	int ret;
	u32 i;

	frozen->openers = openers;
	ret = bf_devs_of_disk(dev->gd, &frozen->dev, &frozen->devs);
	if (ret)
		return ret;
	frozen->bdev = kcalloc(frozen->devs ?: 1, sizeof(*frozen->bdev),
			       GFP_KERNEL);
	if (!frozen->bdev)
		return -ENOMEM;
	for (i = 0; i < frozen->devs; i++) {
		struct bf_dev *other = frozen->dev[i];

		if (bf_settle_concerns(dev, other))
			bf_settle_freeze_one(other, frozen);
	}
	return 0;
}

/* How many may have one device open and write nothing. */
static u32 bf_settle_allowed(const struct bf_dev *dev,
			     const struct bf_dev *other,
			     const struct bf_frozen *frozen)
{
	u32 allowed = other == dev ? frozen->openers : 0, i;

	for (i = 0; i < frozen->n; i++)
		allowed += frozen->bdev[i] == other->bdev;
	return allowed;
}

/* Under the disk's open_mutex. */
static bool bf_settle_openers_done(const struct bf_dev *dev,
				   const struct bf_frozen *frozen)
{
	u32 i;

	for (i = 0; i < frozen->devs; i++) {
		const struct bf_dev *other = frozen->dev[i];

		if (!bf_settle_concerns(dev, other))
			continue;
		if (!other->bdev || bf_bdev_in_writeback(other->bdev) ||
		    bf_bdev_openers(other->bdev) >
		    bf_settle_allowed(dev, other, frozen))
			return false;
	}
	return true;
}

/**
 * bf_settle_done() - is no write of the device on its way that was not counted?
 * @dev:    the device.
 * @frozen: what bf_settle_freeze() froze.
 *
 * With the gate closed, under bf_lock: who opens the device from now on is
 * counted.  Who had it open and closed it has waited for his own direct writes;
 * what he left in the device's cache is in writeback, or is written later and
 * counted then.  The last one to close writes back under open_mutex, which is
 * tried only: its holder may wait for the gate.
 */
bool bf_settle_done(const struct bf_dev *dev, const struct bf_frozen *frozen)
{
	struct mutex *open_mutex = &dev->gd->open_mutex;
	bool done;

	if (!mutex_trylock(open_mutex))
		return false;
	done = bf_settle_openers_done(dev, frozen);
	mutex_unlock(open_mutex);
	return done;
}

void bf_settle_thaw(struct bf_frozen *frozen)
{
	while (frozen->n) {
		struct block_device *bdev = frozen->bdev[--frozen->n];

		bf_bdev_thaw(bdev);
		bf_dev_unpin(bdev);
	}
	kfree(frozen->bdev);
	while (frozen->devs)
		bf_dev_put(frozen->dev[--frozen->devs]);
	kfree(frozen->dev);
}

static void bf_settled(struct bf_dev *dev)
{
	u32 i;

	dev->settling = false;
	for (i = 0; i < dev->stack.n; i++)
		if (dev->stack.inst[i]->active)
			bf_instance_settled(dev->stack.inst[i]);
}

/* Once a second while a device is settling. */
void bf_settle_work(struct work_struct *work)
{
	struct bf_dev *dev = container_of(to_delayed_work(work), struct bf_dev,
					  settle);
	bool done = false, told = false;

	mutex_lock(&bf_lock);
	if (!dev->disk || !dev->stack.n || !dev->settling) {
		dev->settling = false;
		done = true;
	} else if (dev->bdev) {
		if (bf_idle(dev->bdev))
			dev->was_idle = true;
		told = dev->was_idle &&
		       time_after_eq(jiffies, dev->settle_from +
				     bf_settle_time());
		if (told)
			bf_settled(dev);
		done = told;
	}
	/*
	 * Under bf_lock, so that bf_dev_stop_timers() stops it.  When it was
	 * started anew meanwhile, that has a reference of its own.
	 */
	if (!done)
		done = !queue_delayed_work(bf_wq, &dev->settle, HZ);
	mutex_unlock(&bf_lock);
	if (told)
		bf_event(BLKFILTER_EVENT_SETTLED, dev, "", 0, 0, NULL, 0);
	if (done)
		bf_dev_put(dev);
}

/* After bf_settle_begin(): looks from time to time, unless the device went. */
void bf_settle_start(struct bf_dev *dev)
{
	mutex_lock(&bf_lock);
	bf_dev_get(dev);
	if (!dev->settling ||
	    !queue_delayed_work(bf_wq, &dev->settle, settle_seconds ? HZ : 0))
		bf_dev_put(dev);
	mutex_unlock(&bf_lock);
}
