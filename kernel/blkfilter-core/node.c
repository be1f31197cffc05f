// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block devices of the system: they come, go, are rescanned and resized.
 *
 * The driver core tells us of every disk and partition through a
 * class_interface, before its first bio and when it is removed, with its class
 * mutex held and, for partitions, gendisk.open_mutex.  So the callbacks open no
 * device and wait for nobody who might; the longest wait is for a gate, which is
 * bounded by its time limit.
 *
 * What is relied on, read in 6.1 and 6.12: at add_dev() of a partition bd_dev is
 * still 0 but dev->devt, bd_start_sect, the size and bd_meta_info are set; on 6.1
 * partitions are reported as removed before their disk is dead; a rescan
 * (bdev_disk_changed()) holds open_mutex from the first removal to the last
 * addition and is refused while a partition is open.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "core.h"

DEFINE_MUTEX(bf_lock);		/* devices, stacks, versions; see core.h */
struct workqueue_struct *bf_wq;

static DEFINE_XARRAY(bf_nodes);		/* dev_t -> bf_dev; under bf_lock */
static bool bf_leaving;

void bf_dev_get(struct bf_dev *dev)
{
	kref_get(&dev->ref);
}

static void bf_dev_release(struct kref *ref)
{
	kfree(container_of(ref, struct bf_dev, ref));
}

void bf_dev_put(struct bf_dev *dev)
{
	kref_put(&dev->ref, bf_dev_release);
}

/*
 * The block device itself.  The last reference on its struct device runs code of
 * its driver (disk_release() looks for fops->free_disk), so a reference alone is
 * good only until the device is removed.  Whoever needs it longer makes sure of
 * the driver's module as well: a filtered disk does (disk.c), and bf_dev_pin().
 */

/*
 * An instance holds the block device; its disk holds the driver.
 * Return: the block device, or NULL when it is gone.
 */
struct block_device *bf_dev_hold(struct bf_dev *dev)
{
	struct block_device *bdev;

	mutex_lock(&bf_lock);
	bdev = dev->bdev;
	if (bdev)
		refcount_inc(&dev->holders);
	mutex_unlock(&bf_lock);
	return bdev;
}

void bf_dev_unhold(struct bf_dev *dev)
{
	if (refcount_dec_and_test(&dev->holders))
		put_device(&dev->held->bd_device);
}

/**
 * bf_dev_pin() - keep a block device for a while
 * @dev: the device.
 *
 * Return: the block device, for bf_dev_unpin(); NULL when it is gone.
 */
struct block_device *bf_dev_pin(struct bf_dev *dev)
{
	struct block_device *bdev;

	mutex_lock(&bf_lock);
	bdev = dev->bdev;
	if (bdev && try_module_get(dev->gd->fops->owner))
		get_device(&bdev->bd_device);
	else
		bdev = NULL;
	mutex_unlock(&bf_lock);
	return bdev;
}

void bf_dev_unpin(struct block_device *bdev)
{
	struct module *driver = bdev->bd_disk->fops->owner;

	put_device(&bdev->bd_device);
	module_put(driver);
}

/* Any device by its number; diskseq 0: whatever it is.  Referenced, or NULL. */
struct bf_dev *bf_dev_find(dev_t devt, u64 diskseq)
{
	struct bf_dev *dev;

	mutex_lock(&bf_lock);
	dev = xa_load(&bf_nodes, devt);
	if (dev && diskseq && dev->gd->diskseq != diskseq)
		dev = NULL;
	if (dev)
		bf_dev_get(dev);
	mutex_unlock(&bf_lock);
	return dev;
}

/* The device of an open block device.  Referenced, or NULL. */
struct bf_dev *bf_dev_of(struct block_device *bdev)
{
	struct bf_dev *dev = bf_dev_find(bdev->bd_dev, 0);

	if (dev && READ_ONCE(dev->bdev) != bdev) {
		bf_dev_put(dev);
		dev = NULL;
	}
	return dev;
}

/* Fills what fits; returns how many filtered devices there are. */
u32 bf_devs_fill(struct blkfilter_device_info *info, u32 room)
{
	struct bf_dev *dev;
	unsigned long index;
	u32 n = 0;

	mutex_lock(&bf_lock);
	xa_for_each(&bf_nodes, index, dev) {
		if (!dev->stack.n)
			continue;
		if (n < room) {
			info[n].device.major = MAJOR(dev->devt);
			info[n].device.minor = MINOR(dev->devt);
			info[n].device.diskseq = dev->gd->diskseq;
			strscpy(info[n].name, dev->name, sizeof(info[n].name));
			info[n].generation = dev->generation;
			info[n].sectors = bdev_nr_sectors(dev->bdev);
			info[n].filters = dev->stack.n;
			info[n].flags =
				(dev->settling ? BLKFILTER_DEVICE_SETTLING : 0) |
				(dev->partno ? BLKFILTER_DEVICE_PARTITION : 0);
		}
		n++;
	}
	mutex_unlock(&bf_lock);
	return n;
}

u32 bf_instances_of(const struct blkfilter_operations *ops)
{
	struct bf_dev *dev;
	unsigned long index;
	u32 n = 0, i;

	mutex_lock(&bf_lock);
	xa_for_each(&bf_nodes, index, dev)
		for (i = 0; i < dev->stack.n; i++)
			n += dev->stack.inst[i]->ops == ops;
	mutex_unlock(&bf_lock);
	return n;
}

/* All devices of a disk, or of the system (NULL), referenced; the array is the
 * caller's to free.
 */
int bf_devs_of_disk(struct gendisk *gd, struct bf_dev ***list, u32 *n)
{
	struct bf_dev *dev;
	unsigned long index;
	u32 room = 0;

	mutex_lock(&bf_lock);
	xa_for_each(&bf_nodes, index, dev)
		room += !gd || dev->gd == gd;
	*n = 0;
	*list = kcalloc(room ?: 1, sizeof(**list), GFP_NOIO);
	xa_for_each(&bf_nodes, index, dev) {
		if ((gd && dev->gd != gd) || !*list)
			continue;
		bf_dev_get(dev);
		(*list)[(*n)++] = dev;
	}
	mutex_unlock(&bf_lock);
	return *list ? 0 : -ENOMEM;
}

/* --- the attribute --- */

static ssize_t filter_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct bf_dev *dev = bf_dev_find(device->devt, 0);
	ssize_t n = 0;
	u32 i;

	if (dev) {
		mutex_lock(&bf_lock);
		for (i = 0; i < dev->stack.n; i++)
			n += sysfs_emit_at(buf, n, "%s\n",
					   dev->stack.inst[i]->ops->name);
		mutex_unlock(&bf_lock);
		bf_dev_put(dev);
	}
	return n ?: sysfs_emit(buf, "\n");
}

static DEVICE_ATTR_RO(filter);

/* --- size --- */

/* Relative end of a partition on its paths follows its size; under bf_lock. */
static void bf_resize_paths(struct bf_dev *dev)
{
	struct bf_version *version;
	u32 i;

	if (!dev->disk)
		return;
	version = rcu_dereference_protected(dev->disk->version,
					    lockdep_is_held(&bf_lock));
	for (i = 0; version && i < version->nr_parts; i++)
		if (version->parts[i]->part == dev)
			WRITE_ONCE(version->parts[i]->end,
				   dev->start + dev->sectors);
}

static void bf_resize_tell(struct bf_disk *disk, struct bf_dev *dev,
			   sector_t sectors, bool exchanged)
{
	struct bf_version *version = bf_version_get(disk);
	struct blkfilter_instance *inst;
	struct blkfilter_path *path;
	int i, k;

	if (!version)
		return;
	bf_for_each_instance(version, path, i, k, inst) {
		if (inst->dev != dev)
			continue;
		if (exchanged && inst->ops->unseen)
			inst->ops->unseen(inst->flt);
		if (inst->ops->resized)
			inst->ops->resized(inst->flt, sectors);
	}
	bf_version_put(version);
}

/* Size and medium as they are now; under bf_lock, with dev->bdev set. */
void bf_dev_refresh(struct bf_dev *dev)
{
	WRITE_ONCE(dev->sectors, bdev_nr_sectors(dev->bdev));
	WRITE_ONCE(dev->diskseq, dev->gd->diskseq);
	bf_resize_paths(dev);
	if (dev->disk)
		dev->disk->changes++;
}

static void bf_resize_work(struct work_struct *work)
{
	struct bf_dev *dev = container_of(work, struct bf_dev, resize);
	struct bf_disk *disk = NULL;
	bool exchanged = false;
	sector_t sectors = 0;

	mutex_lock(&bf_lock);
	if (dev->bdev && bf_dev_altered(dev)) {
		exchanged = dev->diskseq != dev->gd->diskseq;
		bf_dev_refresh(dev);
		sectors = dev->sectors;
		disk = dev->disk;
	}
	if (disk)
		bf_disk_get(disk);
	mutex_unlock(&bf_lock);
	if (disk) {
		bf_resize_tell(disk, dev, sectors, exchanged);
		bf_event(BLKFILTER_EVENT_RESIZED, dev, "", sectors, 0, NULL, 0);
		bf_disk_put(disk);
	}
	bf_dev_put(dev);
}

/* Tells the filters, from a worker, when size or medium is another. */
void bf_dev_check(struct bf_dev *dev)
{
	if (!bf_dev_altered(dev))
		return;
	bf_dev_get(dev);
	if (!queue_work(bf_wq, &dev->resize))
		bf_dev_put(dev);
}

/* The same, and waits until they have been told. */
void bf_dev_check_now(struct bf_dev *dev)
{
	bf_dev_check(dev);
	flush_work(&dev->resize);
}

/* --- devices that come --- */

static void bf_lost_work(struct work_struct *work);

static struct bf_dev *bf_dev_new(struct block_device *bdev)
{
	struct bf_dev *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	struct device *device = &bdev->bd_device;

	if (!dev)
		return NULL;
	kref_init(&dev->ref);
	refcount_set(&dev->holders, 1);
	get_device(device);
	dev->held = bdev;
	dev->bdev = bdev;
	dev->gd = bdev->bd_disk;
	dev->devt = device->devt;
	dev->diskseq = bdev->bd_disk->diskseq;
	dev->partno = bdev_partno(bdev);
	dev->start = get_start_sect(bdev);
	dev->sectors = bdev_nr_sectors(bdev);
	strscpy(dev->name, dev_name(device) ?: bdev->bd_disk->disk_name,
		sizeof(dev->name));
	if (bdev->bd_meta_info)
		strscpy(dev->partuuid, bdev->bd_meta_info->uuid,
			sizeof(dev->partuuid));
	INIT_LIST_HEAD(&dev->link);
	INIT_WORK(&dev->resize, bf_resize_work);
	INIT_DELAYED_WORK(&dev->settle, bf_settle_work);
	INIT_DELAYED_WORK(&dev->provisional, bf_stack_unconfirmed);
	INIT_WORK(&dev->lost, bf_lost_work);
	return dev;
}

/* A device that is not the driver core's: the self-test's. */
struct bf_dev *bf_dev_private(struct block_device *bdev)
{
	return bf_dev_new(bdev);
}

static bool bf_same_partition(const struct bf_dev *old, const struct bf_dev *new)
{
	return !old->bdev && old->stack.n && old->gd == new->gd && old->partno == new->partno &&
	       old->start == new->start && old->sectors == new->sectors &&
	       !strcmp(old->partuuid, new->partuuid);
}

/* A filtered partition that a rescan took away and brings back, or NULL. */
static struct bf_dev *bf_dev_returns(const struct bf_dev *new)
{
	struct bf_disk *disk = bf_disk_of(new->gd);
	struct bf_dev *old;

	if (!disk || !new->partno)
		return NULL;
	list_for_each_entry(old, &disk->devs, link)
		if (bf_same_partition(old, new))
			return old;
	return NULL;
}

static void bf_dev_rebind(struct bf_dev *dev, struct bf_dev *new)
{
	u32 i;

	/* @new takes over the old block device, to be put with its one holder. */
	swap(dev->held, new->held);
	dev->bdev = dev->held;
	new->bdev = NULL;
	/* The table's, dropped when it went away; an instance has another. */
	refcount_inc(&dev->holders);
	dev->disk->changes++;
	dev->devt = new->devt;
	for (i = 0; i < dev->stack.n; i++) {
		dev->stack.inst[i]->bdev = dev->bdev;
		WRITE_ONCE(dev->stack.inst[i]->flt->bdev, dev->bdev);
	}
	bf_path_rebind(dev);
}

static int bf_node_add(struct device *device)
{
	struct bf_dev *dev, *old;
	struct bf_disk *disk;
	bool known;

	if (!device->devt)
		return 0;	/* hidden: it gets no bios of its own name */
	dev = bf_dev_new(dev_to_bdev(device));
	if (!dev)
		return -ENOMEM;
	mutex_lock(&bf_lock);
	old = bf_dev_returns(dev);
	if (old) {
		bf_dev_rebind(old, dev);
		bf_dev_get(old);
		swap(old, dev);
	}
	/* A transaction has not looked whether it is open, or what is mounted. */
	disk = bf_disk_of(dev->gd);
	if (disk)
		disk->changes++;
	known = xa_err(xa_store(&bf_nodes, device->devt, dev, GFP_NOIO)) == 0;
	mutex_unlock(&bf_lock);
	if (!known || old) {
		struct bf_dev *useless = old ?: dev;

		bf_dev_unhold(useless);
		bf_dev_put(useless);
	}
	if (!known)
		return -ENOMEM;
	if (device_create_file(device, &dev_attr_filter))
		pr_warn("%s: no attribute 'filter'\n", dev->name);
	bf_event(BLKFILTER_EVENT_DEVICE_ADDED, dev, dev->name, 0, 0, NULL, 0);
	if (!old)
		bf_rules_apply(dev);
	return 0;
}

/* --- devices that go --- */

/* Timers hold references; one that runs now ends by itself. */
static void bf_dev_stop_timers(struct bf_dev *dev)
{
	if (cancel_delayed_work(&dev->settle))
		bf_dev_put(dev);
	if (cancel_delayed_work(&dev->provisional))
		bf_dev_put(dev);
}

/* Collects a gone device's instances; under bf_lock. */
static void bf_dev_strip(struct bf_dev *dev, enum blkfilter_reason reason,
			 struct list_head *dying)
{
	u32 i;

	for (i = 0; i < dev->stack.n; i++) {
		struct blkfilter_instance *inst = dev->stack.inst[i];

		inst->reason = reason;
		if (inst->ops->gone)
			inst->ops->gone(inst->flt);
		list_add_tail(&inst->link, dying);
		bf_event(BLKFILTER_EVENT_DETACHED, dev, inst->ops->name,
			 inst->altitude, reason, NULL, 0);
	}
	dev->stack.n = 0;
	dev->settling = false;
	bf_dev_stop_timers(dev);
}

/* The disk is gone: its bios find no chain from now on; under bf_lock. */
static void bf_disk_gone(struct bf_disk *disk)
{
	struct bf_dev *dev, *next;
	LIST_HEAD(dying);

	bf_disk_get(disk);
	list_for_each_entry_safe(dev, next, &disk->devs, link) {
		bf_dev_strip(dev, BLKFILTER_REASON_REMOVED, &dying);
		bf_disk_leave(dev);
	}
	bf_disk_drop(disk, &dying);
	bf_disk_put(disk);
}

static bool bf_partition_exists(const struct bf_dev *lost)
{
	struct bf_dev *dev;
	unsigned long index;

	xa_for_each(&bf_nodes, index, dev)
		if (dev->gd == lost->gd && dev->partno == lost->partno)
			return true;
	return false;
}

/* Detaches what is on a partition that is gone for good; under bf_lock. */
static bool bf_lost_strip(struct bf_dev *dev, struct bf_disk *disk)
{
	static const struct bf_stack none;
	struct bf_version *version = bf_version_build(disk, dev, &none);
	LIST_HEAD(dying);

	if (!version)
		return false;
	bf_dev_strip(dev, bf_partition_exists(dev) ? BLKFILTER_REASON_CHANGED :
						     BLKFILTER_REASON_REMOVED,
		     &dying);
	disk->changes++;
	bf_version_publish(disk, version, &dying);
	bf_disk_shrink(dev);
	return true;
}

/*
 * A filtered partition was deleted.  When the rescan that did it is over and has
 * not brought it back, its filters go.
 */
static void bf_lost_work(struct work_struct *work)
{
	struct bf_dev *dev = container_of(work, struct bf_dev, lost);
	struct bf_disk *disk = dev->lost_disk;
	unsigned int noio = memalloc_noio_save();
	bool done = true;

	mutex_lock(&disk->gd->open_mutex);
	mutex_unlock(&disk->gd->open_mutex);
	for (;;) {
		mutex_lock(&bf_lock);
		if (!dev->disk || dev->bdev || !disk->closed)
			break;
		mutex_unlock(&bf_lock);
		bf_wait_open(disk);
	}
	if (dev->disk && !dev->bdev)
		done = bf_lost_strip(dev, disk);
	else if (!dev->disk)
		bf_dev_stop_timers(dev);	/* its last filter went by itself */
	mutex_unlock(&bf_lock);
	memalloc_noio_restore(noio);
	if (!done) {
		/* No memory now; nothing is lost by leaving it for a while. */
		msleep(100);
		queue_work(bf_wq, &dev->lost);
		return;
	}
	bf_disk_put(disk);
	bf_dev_put(dev);
}

/* Looks after it when the rescan is over; under bf_lock. */
static void bf_lost(struct bf_dev *dev)
{
	struct bf_disk *disk = dev->disk;

	bf_dev_get(dev);
	bf_disk_get(disk);
	dev->lost_disk = disk;
	if (queue_work(bf_wq, &dev->lost))
		return;
	bf_dev_put(dev);
	bf_disk_put(disk);	/* not the last: the device's is there */
}

/* Waits for an open gate and returns with bf_lock held. */
static struct bf_dev *bf_node_lock(struct device *device)
{
	struct block_device *bdev = dev_to_bdev(device);
	struct bf_disk *disk;
	struct bf_dev *dev;

	for (;;) {
		mutex_lock(&bf_lock);
		dev = xa_load(&bf_nodes, device->devt);
		if (!dev || dev->bdev != bdev)
			return NULL;
		disk = bf_disk_of(dev->gd);
		if (!disk || !disk->closed)
			return dev;
		bf_disk_get(disk);
		mutex_unlock(&bf_lock);
		bf_wait_open(disk);
		bf_disk_put(disk);
	}
}

static void bf_node_del(struct device *device)
{
	struct bf_disk *disk;
	struct bf_dev *dev;
	bool lost = false;

	if (!device->devt)
		return;
	/* Waits for readers of it, which take bf_lock. */
	device_remove_file(device, &dev_attr_filter);
	dev = bf_node_lock(device);
	if (!dev) {
		mutex_unlock(&bf_lock);
		return;
	}
	xa_erase(&bf_nodes, device->devt);
	dev->bdev = NULL;
	disk = bf_disk_of(dev->gd);
	if (disk && !dev->partno && !bf_leaving) {
		bf_disk_gone(disk);
	} else if (dev->disk && !bf_leaving) {
		bf_path_rebind(dev);
		dev->disk->changes++;
		lost = true;
		bf_lost(dev);
	}
	mutex_unlock(&bf_lock);
	if (!bf_leaving)
		bf_event(BLKFILTER_EVENT_DEVICE_REMOVED, dev, dev->name, 0, 0,
			 NULL, 0);
	/* A rescan may bring a filtered partition back: it goes on settling. */
	if (bf_leaving || !lost)
		bf_dev_stop_timers(dev);
	bf_dev_unhold(dev);
	bf_dev_put(dev);
}

BF_CLASS_INTERFACE_CALLBACK(int, bf_class_add, bf_node_add)
BF_CLASS_INTERFACE_CALLBACK(void, bf_class_remove, bf_node_del)

static struct class_interface bf_class_interface = {
	.add_dev = bf_class_add,
	.remove_dev = bf_class_remove,
};

/* Reports all existing devices before it returns. */
int bf_nodes_init(void)
{
	bf_class_interface.class = bf_block_class();
	return class_interface_register(&bf_class_interface);
}

void bf_nodes_exit(void)
{
	/* Calls remove_dev for every existing device: they are not gone. */
	bf_leaving = true;
	class_interface_unregister(&bf_class_interface);
	xa_destroy(&bf_nodes);
}
