// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filtered disks: the table that the hook looks them up in, their life, and
 * who may change one now.
 *
 * A disk is in the table from its first filter on until its last one has gone
 * or the disk itself has.  The table is read under RCU by every bio of the
 * system while the hook is there, so a look-up is one bucket.
 */
#include <linux/hash.h>
#include <linux/module.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "core.h"

#define BF_IDS		BIT(15)

struct hlist_head bf_disk_table[1 << BF_HASH_BITS];
static DECLARE_BITMAP(bf_ids, BF_IDS) = { 1 };	/* 0 is never used */
static DEFINE_SPINLOCK(bf_ids_lock);
static unsigned long bf_id_last;
static DECLARE_WAIT_QUEUE_HEAD(bf_claim_wait);
static DEFINE_SPINLOCK(bf_claims_lock);	/* bf_disk.claimed */

/**
 * bf_new_id() - an id for bios that pass a disk from now on
 *
 * Even, not 0, not in use by another disk, and as different as can be from
 * those used lately: a bio with an old one may still be held back somewhere.
 * Needs no memory: ids change at instants.
 *
 * Return: the id; 0 when 32767 disks are filtered.
 */
u16 bf_new_id(void)
{
	unsigned long id;

	spin_lock(&bf_ids_lock);
	id = find_next_zero_bit(bf_ids, BF_IDS, bf_id_last + 1);
	if (id == BF_IDS)
		id = find_first_zero_bit(bf_ids, BF_IDS);
	if (id < BF_IDS) {
		__set_bit(id, bf_ids);
		bf_id_last = id;
	}
	spin_unlock(&bf_ids_lock);
	return id < BF_IDS ? id << 1 : 0;
}

void bf_free_id(u16 id)
{
	spin_lock(&bf_ids_lock);
	if (id)
		__clear_bit(id >> 1, bf_ids);
	spin_unlock(&bf_ids_lock);
}

void bf_disk_get(struct bf_disk *disk)
{
	kref_get(&disk->ref);
}

static void bf_disk_free_rcu(struct rcu_head *rcu)
{
	kfree(container_of(rcu, struct bf_disk, rcu));
}

/*
 * Whoever found the disk without a lock has gone on (see bf_disk_find()): tasks
 * have slept since, and now interrupts have ended as well.
 */
static void bf_disk_free(struct rcu_head *rcu)
{
	call_rcu(rcu, bf_disk_free_rcu);
}

static void bf_disk_release(struct kref *ref)
{
	struct bf_disk *disk = container_of(ref, struct bf_disk, ref);
	struct module *driver;

	/* Lets the worker end: whoever was parked when the disk was dropped. */
	destroy_workqueue(disk->wq);
	WARN_ON(disk->extra || !bio_list_empty(&disk->parked) ||
		!bio_list_empty(&disk->deferred));
	bioset_exit(&disk->splits);
	mempool_exit(&disk->records);
	driver = disk->gd->fops->owner;
	put_device(disk_to_dev(disk->gd));
	module_put(driver);
	call_rcu_tasks(&disk->rcu, bf_disk_free);
}

/*
 * The last reference is put by nobody who runs on the disk's own workqueue: it
 * waits for it.  Sleeps.
 */
void bf_disk_put(struct bf_disk *disk)
{
	kref_put(&disk->ref, bf_disk_release);
}

/*
 * Not under bf_lock: a work queue waits for kthreadd, whose memory may wait for
 * I/O to a disk that is closed, and opening it needs bf_lock.
 */
static struct bf_disk *bf_disk_alloc(struct gendisk *gd)
{
	struct bf_disk *disk = kzalloc(sizeof(*disk), GFP_KERNEL);

	if (!disk)
		return NULL;
	if (!try_module_get(gd->fops->owner))
		goto err_free;
	disk->wq = alloc_workqueue("blkfilter/%s", WQ_MEM_RECLAIM, 1,
				   gd->disk_name);
	if (!disk->wq)
		goto err_module;
	if (bf_records_init(disk))
		goto err_wq;
	kref_init(&disk->ref);
	get_device(disk_to_dev(gd));
	disk->gd = gd;
	disk->mq = queue_is_mq(gd->queue);
	disk->zoned = bdev_is_zoned(gd->part0);
	INIT_LIST_HEAD(&disk->versions);
	INIT_LIST_HEAD(&disk->devs);
	INIT_LIST_HEAD(&disk->pending);
	spin_lock_init(&disk->lock);
	bio_list_init(&disk->parked);
	bio_list_init(&disk->deferred);
	init_waitqueue_head(&disk->wait);
	INIT_WORK(&disk->work, bf_worker);
	return disk;

err_wq:
	destroy_workqueue(disk->wq);
err_module:
	module_put(gd->fops->owner);
err_free:
	kfree(disk);
	return NULL;
}

/* The filtered disk of a gendisk, or NULL; under bf_lock. */
struct bf_disk *bf_disk_of(struct gendisk *gd)
{
	struct bf_disk *disk;

	hlist_for_each_entry(disk, bf_bucket(gd), hash)
		if (disk->gd == gd)
			return disk;
	return NULL;
}

/* A disk for @dev's, or ERR_PTR: -ENODEV when the device has gone. */
static struct bf_disk *bf_disk_new(struct bf_dev *dev)
{
	struct block_device *bdev = bf_dev_pin(dev);
	struct bf_disk *disk;

	if (!bdev)
		return ERR_PTR(-ENODEV);
	disk = bf_disk_alloc(bdev->bd_disk);
	bf_dev_unpin(bdev);
	return disk ?: ERR_PTR(-ENOMEM);
}

/*
 * Puts a new disk into the table, with an empty version; under bf_lock.  The
 * table's reference is the caller's.  Return: 0 or -ENOMEM.
 */
static int bf_disk_enter(struct bf_disk *disk)
{
	struct bf_version *version;
	int ret;

	disk->id = bf_new_id();
	version = disk->id ? bf_version_build(disk, NULL, NULL) : NULL;
	if (!version) {
		bf_free_id(disk->id);
		return -ENOMEM;
	}
	bf_version_publish(disk, version, NULL);
	hlist_add_head_rcu(&disk->hash, bf_bucket(disk->gd));
	/* The table keeps the hook from here on. */
	ret = bf_hook_get();
	WARN_ON(ret);	/* it is there: the caller holds it */
	return 0;
}

/*
 * The disk that @dev is on; under bf_lock.  Where it is a filtered one for the
 * first time that is *@spare, which is taken.  Return: 0, -ENODEV, -ENOMEM, or
 * -EAGAIN when *@spare is needed and NULL.
 */
static int bf_disk_join(struct bf_dev *dev, struct bf_disk **spare)
{
	struct bf_disk *disk;
	int ret;

	if (dev->disk)
		return 0;
	if (!dev->bdev)
		return -ENODEV;
	disk = bf_disk_of(dev->gd);
	if (!disk) {
		disk = *spare;
		ret = disk ? bf_disk_enter(disk) : -EAGAIN;
		if (ret)
			return ret;
		*spare = NULL;
	}
	bf_disk_get(disk);
	bf_dev_get(dev);
	dev->disk = disk;
	list_add_tail(&dev->link, &disk->devs);
	bf_dev_refresh(dev);
	return 0;
}

/**
 * bf_disk_ensure() - make a device's disk a filtered one
 * @dev: the device; it gets dev->disk.
 *
 * A disk that is new is in the table with an empty version: from now on its
 * bios are seen.  To be followed by bf_disk_done(), whether a filter comes of it
 * or not.
 *
 * Return: the disk with a reference for the caller, or ERR_PTR: -ENODEV when
 * the device has gone, -ENOMEM, or why the hook could not be installed.
 */
struct bf_disk *bf_disk_ensure(struct bf_dev *dev)
{
	struct bf_disk *disk = NULL, *spare = NULL;
	unsigned int noio;
	int ret = bf_hook_get();

	if (ret)
		return ERR_PTR(ret);
	do {
		/* Opening a gate needs bf_lock: no I/O for memory in here. */
		noio = memalloc_noio_save();
		mutex_lock(&bf_lock);
		ret = bf_disk_join(dev, &spare);
		if (!ret) {
			dev->busy++;
			disk = dev->disk;
			bf_disk_get(disk);
		}
		mutex_unlock(&bf_lock);
		memalloc_noio_restore(noio);
		if (ret == -EAGAIN) {
			spare = bf_disk_new(dev);
			if (IS_ERR(spare)) {
				ret = PTR_ERR(spare);
				spare = NULL;
			}
		}
	} while (ret == -EAGAIN);
	if (spare)
		bf_disk_put(spare);
	bf_hook_put();
	return disk ?: ERR_PTR(ret);
}

/**
 * bf_disk_drop() - take a disk out of the table
 * @disk: it; under bf_lock.
 * @dying: instances that go once its last version is drained, or NULL.
 *
 * Its bios have no chain from now on.  The table's reference goes.
 */
void bf_disk_drop(struct bf_disk *disk, struct list_head *dying)
{
	spin_lock_irq(&disk->lock);
	disk->gone = true;
	spin_unlock_irq(&disk->lock);
	hlist_del_rcu(&disk->hash);
	bf_version_publish(disk, NULL, dying);
	bf_free_id(disk->id);
	/* Whoever was parked finds no chain. */
	queue_work(disk->wq, &disk->work);
	bf_hook_put();
	bf_disk_put(disk);
}

/**
 * bf_disk_leave() - a device is on its filtered disk no more
 * @dev: the device; under bf_lock.  The caller has a reference on the disk.
 */
void bf_disk_leave(struct bf_dev *dev)
{
	struct bf_disk *disk = dev->disk;

	list_del_init(&dev->link);
	dev->disk = NULL;
	bf_disk_put(disk);
	bf_dev_put(dev);
}

/**
 * bf_disk_shrink() - a device leaves its disk if it has no filter
 * @dev: the device; under bf_lock.  The caller has references on device and
 *       disk.
 *
 * The last one takes the disk out of the table.
 */
void bf_disk_shrink(struct bf_dev *dev)
{
	struct bf_disk *disk = dev->disk;

	if (!disk || dev->stack.n || dev->busy)
		return;
	bf_disk_leave(dev);
	if (list_empty(&disk->devs) && !disk->gone)
		bf_disk_drop(disk, NULL);
}

/* Ends bf_disk_ensure(); the caller still has references on device and disk. */
void bf_disk_done(struct bf_dev *dev)
{
	mutex_lock(&bf_lock);
	dev->busy--;
	bf_disk_shrink(dev);
	mutex_unlock(&bf_lock);
}

/* --- claims --- */

static bool bf_try_claim(struct bf_disk **disk, u32 n)
{
	bool free = true;
	u32 i;

	spin_lock(&bf_claims_lock);
	for (i = 0; i < n; i++)
		free = free && !disk[i]->claimed;
	for (i = 0; i < n && free; i++)
		disk[i]->claimed = true;
	spin_unlock(&bf_claims_lock);
	return free;
}

/**
 * bf_claim() - be the only one that changes some disks
 * @disk:   they, each once.
 * @n:      how many.
 * @filter: whose command this is, or NULL.  Who has the claim may be waiting for
 *          its commands to end, so they do not wait once it is deactivated.
 *
 * All at once, so that the order does not matter.  Transactions and points hold
 * a claim for as long as they take; removal of a device does not wait for it.
 *
 * Return: 0; -EINTR when a fatal signal came first; -ENODEV when @filter is not
 * active any more.
 */
int bf_claim(struct bf_disk **disk, u32 n,
	     const struct blkfilter_instance *filter)
{
	bool claimed = false;
	int ret;

	ret = wait_event_killable(bf_claim_wait,
				  (filter && !READ_ONCE(filter->active)) ||
				  (claimed = bf_try_claim(disk, n)));
	if (ret)
		return -EINTR;
	return claimed ? 0 : -ENODEV;
}

/* A filter was deactivated: see bf_claim(). */
void bf_claim_wake(void)
{
	wake_up_all(&bf_claim_wait);
}

void bf_unclaim(struct bf_disk **disk, u32 n)
{
	u32 i;

	spin_lock(&bf_claims_lock);
	for (i = 0; i < n; i++)
		disk[i]->claimed = false;
	spin_unlock(&bf_claims_lock);
	wake_up_all(&bf_claim_wait);
}
