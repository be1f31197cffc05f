// SPDX-License-Identifier: GPL-2.0-only
/*
 * Consistency points: one instant for several devices.
 *
 * The order: claim the disks; tell the filters to prepare; freeze the file
 * systems (which writes back and may take long, with every gate still open);
 * close, drain and seal the disks; the instant; open; thaw; tell that it is done.
 * The caller may be killed at any moment: nothing here waits interruptibly once
 * the disks are claimed, and closing has a time limit.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "core.h"
#include "trace.h"

/* Does a point of @only concern a filter of @dev?  NULL: all of the disk. */
static bool bf_point_concerns(const struct bf_dev *only,
			      const struct bf_dev *dev)
{
	return !only || only == dev || !only->partno || !dev->partno;
}

static void bf_point_tell_version(struct bf_version *version,
				  struct bf_dev *only,
				  enum blkfilter_phase phase, const u8 *id)
{
	struct blkfilter_instance *inst;
	struct blkfilter_path *path;
	int i, k;

	bf_for_each_instance(version, path, i, k, inst) {
		if (!(inst->ops->flags & BLKFILTER_NEEDS_POINTS) ||
		    !inst->ops->point || !bf_point_concerns(only, inst->dev))
			continue;
		/*
		 * Each phase once, though several devices of a disk may take
		 * part; nothing to one that was attached in between.
		 */
		if (phase == BLKFILTER_POINT_DONE ? !inst->heard :
						    inst->heard != phase)
			continue;
		inst->heard = phase == BLKFILTER_POINT_DONE ? 0 : phase + 1;
		inst->ops->point(inst->flt, phase, id);
	}
}

/**
 * bf_point_tell() - tell the filters of a disk about a phase of a point
 * @disk:  the disk, claimed.
 * @only:  the device that takes part: its filters hear it, and those of its disk
 *         or its partitions, whose writes are divided as well; NULL for all.
 * @phase: at BLKFILTER_POINT_INSTANT the gate is sealed; otherwise it is open.
 * @id:    the point's, or NULL.
 */
void bf_point_tell(struct bf_disk *disk, struct bf_dev *only,
		   enum blkfilter_phase phase, const u8 *id)
{
	struct bf_version *version;

	if (phase == BLKFILTER_POINT_INSTANT) {
		/* Sealed: nobody can publish another. */
		version = rcu_dereference_protected(disk->version, 1);
		if (version)
			bf_point_tell_version(version, only, phase, id);
		return;
	}
	version = bf_version_get(disk);
	if (!version)
		return;
	bf_point_tell_version(version, only, phase, id);
	bf_version_put(version);
}

static void bf_point_tell_all(struct bf_dev **dev, u32 n,
			      enum blkfilter_phase phase, const u8 *id)
{
	struct bf_disk *disk;
	u32 i;

	for (i = 0; i < n; i++) {
		if (phase == BLKFILTER_POINT_PREPARE)
			bf_dev_check_now(dev[i]);
		disk = READ_ONCE(dev[i]->disk);
		if (disk)
			bf_point_tell(disk, dev[i], phase, id);
	}
}

/* The disks of the devices, each once, in the order of first mention. */
static int bf_point_disks(struct bf_gates *gates, struct bf_dev **dev, u32 n,
			  u32 *ensured)
{
	u32 i, k;

	gates->disk = kcalloc(n, sizeof(*gates->disk), GFP_KERNEL);
	if (!gates->disk)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct bf_disk *disk = bf_disk_ensure(dev[i]);

		if (IS_ERR(disk)) {
			gates->failed = i;
			return PTR_ERR(disk);
		}
		++*ensured;
		for (k = 0; k < gates->n && gates->disk[k] != disk; k++)
			;
		if (k < gates->n)
			bf_disk_put(disk);
		else
			gates->disk[gates->n++] = disk;
	}
	return 0;
}

static void bf_point_instant(struct bf_gates *gates, struct bf_dev **dev, u32 n,
			     const u8 *id)
{
	u32 i;

	for (i = 0; i < gates->n; i++) {
		u16 old = gates->disk[i]->id, fresh = bf_new_id();

		if (!fresh)
			continue;
		WRITE_ONCE(gates->disk[i]->id, fresh);
		bf_free_id(old);
	}
	bf_point_tell_all(dev, n, BLKFILTER_POINT_INSTANT, id);
}

/* Index in the caller's list of a disk that did not drain. */
static u32 bf_point_culprit(struct bf_gates *gates, struct bf_dev **dev, u32 n)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (dev[i]->disk == gates->disk[gates->failed])
			return i;
	return 0;
}

/* The point's id, NULL for one that has none. */
static const u8 *bf_point_id(const struct blkfilter_point *point)
{
	return memchr_inv(point->id, 0, sizeof(point->id)) ? point->id : NULL;
}

static int bf_point_frozen(struct blkfilter_point *point,
			   struct bf_gates *gates, struct bf_dev **dev)
{
	u32 n = point->close_count, i;
	int ret;

	ret = bf_gates_close(gates);
	if (!ret)
		bf_point_instant(gates, dev, n, bf_point_id(point));
	else
		point->failed = bf_point_culprit(gates, dev, n);
	bf_gates_open(gates);
	point->closed_ns = gates->closed_ns;
	trace_blkfilter_point(gates->n, gates->closed_ns, ret);
	for (i = 0; i < n && !ret && bf_point_id(point); i++)
		bf_event(BLKFILTER_EVENT_POINT, dev[i], "", 0, 0, point->id,
			 sizeof(point->id));
	return ret;
}

/* Freezes the file systems of @n devices; returns how many it did. */
static u32 bf_point_freeze(struct bf_dev **dev, u32 n,
			   struct block_device **frozen, int *ret)
{
	bool found;
	u32 i;

	for (i = 0; i < n; i++) {
		frozen[i] = bf_dev_pin(dev[i]);
		*ret = frozen[i] ? bf_bdev_freeze(frozen[i], &found) : -ENODEV;
		if (!*ret)
			continue;
		if (frozen[i])
			bf_dev_unpin(frozen[i]);
		break;
	}
	return i;
}

/* Freezes, takes the point, thaws. */
static int bf_point_run(struct blkfilter_point *point, struct bf_gates *gates,
			struct bf_dev **freeze, struct bf_dev **close)
{
	u32 n = point->freeze_count, i;
	struct block_device **frozen = kcalloc(n ?: 1, sizeof(*frozen),
					       GFP_KERNEL);
	unsigned int noio;
	ktime_t since;
	int ret = 0;

	if (!frozen)
		return -ENOMEM;
	bf_point_tell_all(close, point->close_count, BLKFILTER_POINT_PREPARE,
			  bf_point_id(point));
	/* Memory must not come from writing to what is frozen. */
	noio = memalloc_noio_save();
	since = ktime_get();
	i = bf_point_freeze(freeze, n, frozen, &ret);
	if (!ret)
		ret = bf_point_frozen(point, gates, close);
	else
		point->failed = i | BLKFILTER_FAILED_FREEZE;
	while (i--) {
		bf_bdev_thaw(frozen[i]);
		bf_dev_unpin(frozen[i]);
	}
	memalloc_noio_restore(noio);
	kfree(frozen);
	if (n)
		point->frozen_ns = ktime_to_ns(ktime_sub(ktime_get(), since));
	bf_point_tell_all(close, point->close_count, BLKFILTER_POINT_DONE,
			  bf_point_id(point));
	return ret;
}

/**
 * bf_point_take() - take a consistency point
 * @point:  what userspace asks for; the results are filled in.
 * @freeze: devices whose file systems are frozen; point->freeze_count.
 * @close:  devices that take part; point->close_count.
 * @filter: whose command it is, or NULL.
 *
 * Sleeps.  Return: see BLKFILTER_IOC_POINT.
 */
int bf_point_take(struct blkfilter_point *point, struct bf_dev **freeze,
		  struct bf_dev **close,
		  const struct blkfilter_instance *filter)
{
	struct bf_gates gates = { .counts = true, .limit_ms = point->limit_ms };
	u32 ensured = 0, i;
	int ret;

	point->failed = BLKFILTER_NO_ENTRY;
	ret = bf_point_disks(&gates, close, point->close_count, &ensured);
	if (ret == -ENODEV)
		point->failed = gates.failed;
	if (!ret) {
		ret = bf_claim(gates.disk, gates.n, filter);
		if (!ret) {
			ret = bf_hook_check();
			ret = ret ?: bf_point_run(point, &gates, freeze, close);
			bf_unclaim(gates.disk, gates.n);
		}
	}
	for (i = 0; i < ensured; i++)
		bf_disk_done(close[i]);
	for (i = 0; i < gates.n; i++)
		bf_disk_put(gates.disk[i]);
	kfree(gates.disk);
	return ret;
}

/**
 * blkfilter_point() - a point of the filter's own device alone
 * @flt:      the filter, in a command: ctl() is running.
 * @limit_ms: milliseconds for which the device may be closed; 0: 1000.
 *
 * No file system is frozen, and the point has no id.  All filters of the device
 * hear it, this one too.  Sleeps; the caller holds no lock that any of its
 * operations takes: the point waits for them.
 *
 * Return: 0; -ETIMEDOUT when the device did not drain in time; -EINTR on a fatal
 * signal; -ENODEV when the filter is on its way out; -EIO, see
 * BLKFILTER_IOC_POINT.
 */
int blkfilter_point(struct blkfilter *flt, u32 limit_ms)
{
	struct blkfilter_point point = {
		.close_count = 1, .limit_ms = limit_ms,
	};

	return bf_point_take(&point, NULL, &flt->core->dev, flt->core);
}
EXPORT_SYMBOL_GPL(blkfilter_point);

/* --- points of several devices, for a filter --- */

/**
 * blkfilter_device_get() - a filter's device, to be used when it may have gone
 * @flt: the filter, attached: the caller keeps detach() from returning.
 *
 * Return: a reference, for blkfilter_device_put().
 */
struct bf_dev *blkfilter_device_get(struct blkfilter *flt)
{
	bf_dev_get(flt->core->dev);
	return flt->core->dev;
}
EXPORT_SYMBOL_GPL(blkfilter_device_get);

void blkfilter_device_put(struct bf_dev *dev)
{
	bf_dev_put(dev);
}
EXPORT_SYMBOL_GPL(blkfilter_device_put);

/* Adds @n devices, which carry references, to a list that may be NULL. */
static int bf_devs_add(struct bf_dev ***list, u32 *count, struct bf_dev **dev,
		       u32 n)
{
	struct bf_dev **larger = krealloc_array(*list, *count + n,
						sizeof(**list), GFP_KERNEL);
	u32 i;

	if (!larger) {
		for (i = 0; i < n; i++)
			bf_dev_put(dev[i]);
		return -ENOMEM;
	}
	memcpy(larger + *count, dev, n * sizeof(*dev));
	*list = larger;
	*count += n;
	return 0;
}

/* The device itself or, of a whole disk, all partitions, too. */
static int bf_devs_add_parts(struct bf_dev ***list, u32 *n, struct bf_dev *dev)
{
	struct bf_dev **some;
	u32 count;
	int ret;

	if (dev->partno) {
		bf_dev_get(dev);
		return bf_devs_add(list, n, &dev, 1);
	}
	ret = bf_devs_of_disk(dev->gd, &some, &count);
	if (ret)
		return ret;
	ret = bf_devs_add(list, n, some, count);
	kfree(some);
	return ret;
}

/* What is to be frozen, in this order; with references. */
static int bf_devs_to_freeze(const struct blkfilter_points *points,
			     struct bf_dev ***list, u32 *n)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < points->n_first && !ret; i++) {
		bf_dev_get(points->first[i]);
		ret = bf_devs_add(list, n, &points->first[i], 1);
	}
	for (i = 0; i < points->n && points->freeze && !ret; i++)
		ret = bf_devs_add_parts(list, n, points->dev[i]);
	return ret;
}

/* Only what is there can be frozen, and only once. */
static void bf_devs_reduce(struct bf_dev **list, u32 *n)
{
	u32 i, k, kept = 0;

	for (i = 0; i < *n; i++) {
		for (k = 0; k < kept && list[k] != list[i]; k++)
			;
		if (k < kept || !READ_ONCE(list[i]->bdev))
			bf_dev_put(list[i]);
		else
			list[kept++] = list[i];
	}
	*n = kept;
}

/**
 * blkfilter_points() - a consistency point of several devices
 * @points: what is asked for; the results are filled in.
 *
 * All filters of the devices hear it.  Sleeps; the caller holds no lock that any
 * filter's point(), attach() or detach() takes.  Whoever must know whether his
 * filter was there at the instant sees it by his point().
 *
 * Return: 0; -ETIMEDOUT when a device did not drain in time, -ENODEV when one has
 * gone, or @points->flt is on its way out, -EINTR on a fatal signal, -EIO, see
 * BLKFILTER_IOC_POINT, or what freezing returned: nothing has happened then.
 */
int blkfilter_points(struct blkfilter_points *points)
{
	struct blkfilter_point point = {
		.close_count = points->n, .limit_ms = points->limit_ms,
	};
	struct bf_dev **freeze = NULL;
	u32 n = 0, i;
	int ret;

	if (points->id)
		memcpy(point.id, points->id, sizeof(point.id));
	points->failed = points->n;
	bf_order(points->dev, points->n);
	ret = bf_devs_to_freeze(points, &freeze, &n);
	bf_devs_reduce(freeze, &n);
	point.freeze_count = n;
	if (!ret) {
		ret = bf_point_take(&point, freeze, points->dev,
				    points->flt ? points->flt->core : NULL);
		if (ret && !(point.failed & BLKFILTER_FAILED_FREEZE))
			points->failed = min(point.failed, points->n);
		else if (ret && point.failed != BLKFILTER_NO_ENTRY)
			for (i = 0; i < points->n; i++)
				if (points->dev[i]->gd ==
				    freeze[point.failed &
					   ~BLKFILTER_FAILED_FREEZE]->gd)
					points->failed = i;
	}
	points->closed_ns = point.closed_ns;
	blkfilter_devices_put(freeze, n);
	return ret;
}
EXPORT_SYMBOL_GPL(blkfilter_points);
