// SPDX-License-Identifier: GPL-2.0-only
/*
 * Versions: the immutable picture of all stacks of one disk.
 *
 * Every bio walks the version that it entered.  A change builds a new version,
 * publishes it and retires the old one, which is taken down when the last bio
 * has left it.  Publishing with the gate closed divides the bios exactly: that
 * is a transaction.  Publishing with the gate open does not: that is enough for
 * a device that is new or gone.
 */
#include <linux/slab.h>
#include <linux/sort.h>
#include "core.h"

/* Drained and retired, whichever came last, maybe at the same moment. */
static void bf_version_retire(struct bf_version *version)
{
	if (!test_and_set_bit(0, &version->ending))
		queue_work(bf_wq, &version->work);
}

static void bf_version_drained(struct percpu_ref *ref)
{
	struct bf_version *version = container_of(ref, struct bf_version, ref);
	struct bf_disk *disk = version->disk;

	wake_up_all(&disk->wait);
	if (READ_ONCE(version->retired))
		bf_version_retire(version);
}

static void bf_version_free_rcu(struct rcu_head *rcu)
{
	struct bf_version *version = container_of(rcu, struct bf_version, rcu);
	u32 i;

	/* Readers may try to get a reference until the grace period is over. */
	percpu_ref_exit(&version->ref);
	for (i = 0; i < version->nr_parts; i++)
		kfree(version->parts[i]);
	kfree(version->whole);
	kfree(version->parts);
	kfree(version->by_no);
	kfree(version);
}

/* Frees a version that was never published, or that is drained. */
void bf_version_free(struct bf_version *version)
{
	call_rcu(&version->rcu, bf_version_free_rcu);
}

/*
 * Can nobody reach what goes with this version?  Bios of older versions may be in
 * the same filters, and bios that were admitted by a count hold no version.  And
 * it may have been zero, opened again and retired while the callback of that zero
 * was on its way to look whether it is retired.
 */
static bool bf_version_is_last(struct bf_version *version)
{
	struct bf_disk *disk = version->disk;
	bool last;

	spin_lock_irq(&disk->lock);
	last = !disk->extra && percpu_ref_is_zero(&version->ref) &&
	       list_first_entry(&disk->versions, struct bf_version, link) ==
	       version;
	spin_unlock_irq(&disk->lock);
	return last;
}

/* A retired version is drained: take down what went with it. */
static void bf_version_end(struct work_struct *work)
{
	struct bf_version *version = container_of(work, struct bf_version, work);
	struct bf_disk *disk = version->disk;
	struct blkfilter_instance *inst, *next;

	wait_event(disk->wait, bf_version_is_last(version));
	list_for_each_entry_safe(inst, next, &version->dying, link) {
		list_del(&inst->link);
		bf_instance_deactivate(inst);
		bf_instance_destroy(inst);
	}
	spin_lock_irq(&disk->lock);
	list_del(&version->link);
	spin_unlock_irq(&disk->lock);
	wake_up_all(&disk->wait);
	bf_version_free(version);
	bf_disk_put(disk);
}

static struct blkfilter_path *bf_path_build(struct bf_version *version,
					    struct bf_dev *part,
					    const struct bf_stack *upper,
					    struct bf_dev *disk_dev,
					    const struct bf_stack *lower)
{
	u32 own = upper ? upper->n : 0, n = own + (lower ? lower->n : 0), i;
	struct blkfilter_path *path =
		kzalloc(struct_size(path, step, n), GFP_KERNEL);

	if (!path)
		return NULL;
	path->version = version;
	path->part = part;
	path->disk_dev = lower && lower->n ? disk_dev : NULL;
	if (part) {
		path->bdev = part->bdev;
		path->start = part->start;
		path->end = part->start + part->sectors;
	}
	bio_list_init(&path->resumes);
	INIT_LIST_HEAD(&path->pending);
	path->own = own;
	path->n = n;
	for (i = 0; i < n; i++) {
		struct blkfilter_instance *inst =
			i < own ? upper->inst[i] : lower->inst[i - own];

		path->step[i].inst = inst;
		path->step[i].flt = inst->flt;
		path->step[i].stats = inst->stats;
		path->step[i].submit_bio = inst->ops->submit_bio;
		path->counts |= inst->ops->flags & BLKFILTER_NEEDS_POINTS;
	}
	return path;
}

static int bf_path_compare(const void *a, const void *b)
{
	const struct blkfilter_path *left = *(struct blkfilter_path **)a;
	const struct blkfilter_path *right = *(struct blkfilter_path **)b;

	return left->start < right->start ? -1 : left->start > right->start;
}

/* Fills a version's paths; false without memory, what is there is freed. */
static bool bf_version_fill(struct bf_version *version, struct bf_dev *changed,
			    const struct bf_stack *next)
{
	const struct bf_stack *lower = NULL, *stack;
	struct bf_dev *dev, *disk_dev = NULL;
	u32 most = 0, n = 0, no;

	list_for_each_entry(dev, &version->disk->devs, link) {
		stack = dev == changed ? next : &dev->stack;
		if (!dev->partno) {
			disk_dev = dev;
			lower = stack;
		} else if (stack->n) {
			most = max_t(u32, most, dev->partno + 1);
			n++;
		}
	}
	version->whole = bf_path_build(version, NULL, NULL, disk_dev, lower);
	if (!version->whole)
		return false;
	if (!n)
		return true;
	version->parts = kcalloc(n, sizeof(*version->parts), GFP_KERNEL);
	version->by_no = kcalloc(most, sizeof(*version->by_no), GFP_KERNEL);
	if (!version->parts || !version->by_no)
		return false;
	list_for_each_entry(dev, &version->disk->devs, link) {
		struct blkfilter_path *path;

		stack = dev == changed ? next : &dev->stack;
		if (!dev->partno || !stack->n)
			continue;
		path = bf_path_build(version, dev, stack, disk_dev, lower);
		if (!path)
			return false;
		version->parts[version->nr_parts++] = path;
		no = dev->partno;
		/* During a rescan an old and a new one may share a number. */
		if (!version->by_no[no] || path->bdev)
			version->by_no[no] = path;
	}
	version->nr_no = most;
	sort(version->parts, version->nr_parts, sizeof(*version->parts),
	     bf_path_compare, NULL);
	return true;
}

/**
 * bf_version_build() - a version of a disk's stacks, not yet published
 * @disk: the disk.
 * @dev:  a device whose stack shall be @next, or NULL.
 * @next: see @dev.
 *
 * Under bf_lock.  Sleeps.  Return: the version, or NULL without memory.
 */
struct bf_version *bf_version_build(struct bf_disk *disk, struct bf_dev *dev,
				    const struct bf_stack *next)
{
	struct bf_version *version = kzalloc(sizeof(*version), GFP_KERNEL);

	if (!version)
		return NULL;
	version->disk = disk;
	INIT_LIST_HEAD(&version->dying);
	INIT_WORK(&version->work, bf_version_end);
	/* Born dead: it lives when it is published or its gate opens. */
	if (percpu_ref_init(&version->ref, bf_version_drained,
			    PERCPU_REF_INIT_DEAD | PERCPU_REF_ALLOW_REINIT,
			    GFP_KERNEL)) {
		kfree(version);
		return NULL;
	}
	if (bf_version_fill(version, dev, next))
		return version;
	bf_version_free(version);
	return NULL;
}

/**
 * bf_version_publish() - put a version in place of the current one
 * @disk:    the disk.
 * @version: the new one; NULL for none, when the disk leaves the table.
 * @dying:   instances that are only in the old one: they are taken down when it
 *           is drained.  May be NULL.
 *
 * Under bf_lock.  With the gate closed the old one is drained, and the new one
 * begins to live when the gate opens.
 */
void bf_version_publish(struct bf_disk *disk, struct bf_version *version,
			struct list_head *dying)
{
	struct bf_version *old = rcu_dereference_protected(disk->version,
						lockdep_is_held(&bf_lock));
	bool closed;

	if (version) {
		bf_disk_get(disk);
		spin_lock_irq(&disk->lock);
		list_add_tail(&version->link, &disk->versions);
		spin_unlock_irq(&disk->lock);
		if (!disk->closed)
			percpu_ref_resurrect(&version->ref);
	}
	rcu_assign_pointer(disk->version, version);
	if (!old)
		return;
	if (dying)
		list_splice_init(dying, &old->dying);
	/*
	 * With the gate closed, whoever drops the last reference may find it
	 * retired and end it while we are still here.  A live one has a reference
	 * until it is killed.
	 */
	closed = percpu_ref_is_dying(&old->ref);
	rcu_read_lock();
	WRITE_ONCE(old->retired, true);
	if (closed)
		bf_version_retire(old);
	rcu_read_unlock();
	if (!closed)
		percpu_ref_kill(&old->ref);
}

/**
 * bf_version_get() - hold the current version, so that its instances stay
 * @disk: the disk.
 *
 * Sleeps while the gate is closed.  Return: it, or NULL when the disk is gone.
 */
struct bf_version *bf_version_get(struct bf_disk *disk)
{
	struct bf_version *version;

	for (;;) {
		bf_wait_open(disk);
		rcu_read_lock();
		version = rcu_dereference(disk->version);
		if (!version || percpu_ref_tryget_live_rcu(&version->ref)) {
			rcu_read_unlock();
			return version;
		}
		rcu_read_unlock();
		cond_resched();
	}
}

void bf_version_put(struct bf_version *version)
{
	percpu_ref_put(&version->ref);
}

/* Some filter of the disk needs points; under bf_lock or with the gate closed. */
bool bf_disk_counts(struct bf_disk *disk)
{
	struct bf_dev *dev;
	u32 i;

	list_for_each_entry(dev, &disk->devs, link)
		for (i = 0; i < dev->stack.n; i++)
			if (dev->stack.inst[i]->ops->flags &
			    BLKFILTER_NEEDS_POINTS)
				return true;
	return false;
}

/**
 * bf_path_rebind() - a filtered partition has another block device, or none
 * @dev: the device, dev->bdev set; under bf_lock.
 *
 * A rescan deletes every partition and adds it again.  No bio is on its way: the
 * partition was not open.
 */
void bf_path_rebind(struct bf_dev *dev)
{
	struct bf_version *version =
		rcu_dereference_protected(dev->disk->version,
					  lockdep_is_held(&bf_lock));
	u32 i;

	for (i = 0; version && i < version->nr_parts; i++) {
		struct blkfilter_path *path = version->parts[i];

		if (path->part != dev)
			continue;
		WRITE_ONCE(path->bdev, dev->bdev);
		if (dev->bdev)
			version->by_no[dev->partno] = path;
	}
}

/**
 * blkfilter_changed() - a filter changed its device on its own account
 * @flt:     the filter.
 * @sector:  first sector, relative to the filter's device.
 * @sectors: how many, of 512 bytes.
 *
 * Every other filter of the device, of the disk it lies on and of the
 * partitions that lie on it hears it as a write.  Sleeps; not from submit_bio()
 * nor from point().
 */
void blkfilter_changed(struct blkfilter *flt, sector_t sector,
		       sector_t sectors)
{
	struct bf_dev *dev = flt->core->dev;
	sector_t from = dev->start + sector, to = from + sectors;
	struct blkfilter_instance *inst;
	struct blkfilter_path *path;
	struct bf_version *version = bf_version_get(flt->core->disk);
	int i, k;

	if (!version)
		return;
	bf_for_each_instance(version, path, i, k, inst) {
		struct bf_dev *other = inst->dev;
		sector_t first = max(from, other->start);
		sector_t last = min(to, other->start + other->sectors);

		if (inst->flt != flt && inst->ops->changed && first < last)
			inst->ops->changed(inst->flt, first - other->start,
					   last - first);
	}
	bf_version_put(version);
}
EXPORT_SYMBOL_GPL(blkfilter_changed);
