// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instant of a snapshot: everything is made beforehand, then one consistency
 * point switches all its devices, then the images appear.
 */
#include <linux/log2.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include "snap.h"

/* A device whose writes are slow may need more than one try to be drained. */
#define SNAP_TRIES		3
#define SNAP_LIMIT_MS		1000
/* Settling takes settle_seconds of the core (60) after the last sign of I/O. */
#define SNAP_SETTLE_SECONDS	180

/*
 * What a take works on: the devices as they were when it began, and those whose file
 * systems are frozen before theirs.
 */
struct snap_takers {
	u32 n;
	struct bf_dev **dev;
	u32 n_first;
	struct bf_dev **first;
};

/* --- before --- */

static bool snap_all_settled(struct snap_snapshot *snapshot)
{
	struct snap_tracker *tracker;
	bool settled = true;

	mutex_lock(&snap_mutex);
	list_for_each_entry(tracker, &snapshot->trackers, member)
		settled = settled && READ_ONCE(tracker->settled);
	mutex_unlock(&snap_mutex);
	return settled;
}

/*
 * A device that was in use when its first filter came may have writes in flight
 * that no filter has seen: they would be in the image or not as it pleases them.
 */
static int snap_wait_settled(struct snap_snapshot *snapshot)
{
	unsigned long end = jiffies + SNAP_SETTLE_SECONDS * HZ;

	while (!snap_all_settled(snapshot)) {
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		if (fatal_signal_pending(current))
			return -EINTR;
		schedule_timeout_killable(HZ / 20);
	}
	return 0;
}

/* One size for all devices, as they share the storage. */
static u32 snap_chunk_shift(struct snap_snapshot *snapshot,
			    const struct snap_parameters *parameters)
{
	u32 shift = parameters->chunk_shift - SECTOR_SHIFT, block;
	struct snap_tracker *tracker;

	list_for_each_entry(tracker, &snapshot->trackers, member) {
		block = ilog2(queue_logical_block_size(tracker->disk->queue)) -
			SECTOR_SHIFT;
		shift = max(shift, block);
		while ((tracker->sectors - 1) >> shift >>
			       parameters->chunk_count_shift &&
		       shift < parameters->chunk_shift_max - SECTOR_SHIFT)
			shift++;
	}
	return shift;
}

/* Under snap_mutex: what the instant needs of one device. */
static int snap_prepare_device(struct snap_snapshot *snapshot,
			       struct snap_tracker *tracker, u32 shift,
			       const struct snap_parameters *parameters)
{
	struct snap_area *area;
	int ret;

	if (!tracker->sectors || (tracker->sectors - 1) >> shift >= U32_MAX)
		return -EFBIG;
	area = snap_area_new(snapshot, tracker, shift, parameters);
	if (IS_ERR(area))
		return PTR_ERR(area);
	snapshot->areas[snapshot->nr_areas++] = area;
	ret = snap_maps_prepare(tracker);
	if (ret)
		return ret;
	snap_holes_keep(tracker, area);
	spin_lock(&tracker->lock);
	tracker->taking = area;
	spin_unlock(&tracker->lock);
	return 0;
}

static int snap_prepare(struct snap_snapshot *snapshot, struct snap_takers *takers)
{
	struct snap_parameters parameters;
	struct snap_tracker *tracker;
	u32 shift, n = 0;
	int ret = 0;

	snap_parameters(&parameters);
	mutex_lock(&snap_mutex);
	list_for_each_entry(tracker, &snapshot->trackers, member)
		n++;
	snapshot->areas = kcalloc(n ?: 1, sizeof(*snapshot->areas), GFP_KERNEL);
	takers->dev = kcalloc(n ?: 1, sizeof(*takers->dev), GFP_KERNEL);
	if (!snapshot->areas || !takers->dev)
		ret = -ENOMEM;
	else if (!n || snapshot->lost)
		ret = -ENODEV;
	if (!ret) {
		shift = snap_chunk_shift(snapshot, &parameters);
		snap_storage_begin(&snapshot->storage, 1U << shift);
	}
	list_for_each_entry(tracker, &snapshot->trackers, member) {
		if (ret)
			break;
		ret = snap_prepare_device(snapshot, tracker, shift, &parameters);
		if (!ret)
			takers->dev[takers->n++] =
				blkfilter_device_get(&tracker->flt);
	}
	mutex_unlock(&snap_mutex);
	return ret;
}

/* --- the instant --- */

static int snap_take_point(struct snap_snapshot *snapshot,
			   struct snap_takers *takers)
{
	struct blkfilter_points points = {
		.dev = takers->dev, .n = takers->n, .id = snapshot->id.b,
		.freeze = true, .first = takers->first,
		.n_first = takers->n_first, .limit_ms = SNAP_LIMIT_MS,
	};
	int ret = -ETIMEDOUT, i;

	for (i = 0; i < SNAP_TRIES && ret == -ETIMEDOUT; i++)
		ret = blkfilter_points(&points);
	snapshot->closed_ns = points.closed_ns;
	return ret;
}

/* Has every device heard of the instant, and is it still there, as it was? */
static int snap_check_taken(struct snap_snapshot *snapshot)
{
	struct snap_tracker *tracker;
	int ret = 0;
	u32 n = 0;

	mutex_lock(&snap_mutex);
	list_for_each_entry(tracker, &snapshot->trackers, member) {
		struct snap_area *area =
			rcu_dereference_protected(tracker->area, 1);

		n += !!area;
		if (area && snap_area_error(area) == -ESTALE)
			ret = -ESTALE;
		snap_maps_tidy(tracker);
	}
	mutex_unlock(&snap_mutex);
	return n == snapshot->nr_areas ? ret : -ENODEV;
}

/* --- after --- */

static int snap_add_images(struct snap_snapshot *snapshot)
{
	int ret = 0;
	u32 i;

	for (i = 0; i < snapshot->nr_areas && !ret; i++)
		ret = snap_image_add(snapshot->areas[i]);
	return ret;
}

/* Back to how it was, with its devices. */
static void snap_take_undo(struct snap_snapshot *snapshot)
{
	struct snap_tracker *tracker;

	mutex_lock(&snap_mutex);
	list_for_each_entry(tracker, &snapshot->trackers, member) {
		spin_lock(&tracker->lock);
		tracker->taking = NULL;
		spin_unlock(&tracker->lock);
		rcu_assign_pointer(tracker->area, NULL);
	}
	mutex_unlock(&snap_mutex);
	synchronize_rcu();
	snap_release_areas(snapshot);
	/* What was stored meanwhile is nobody's: from the first slot again. */
	mutex_lock(&snap_mutex);
	spin_lock_irq(&snapshot->storage.lock);
	snapshot->storage.used = 0;
	spin_unlock_irq(&snapshot->storage.lock);
	mutex_unlock(&snap_mutex);
}

static bool snap_begin(struct snap_snapshot *snapshot, enum snap_state from,
		       enum snap_state to)
{
	bool begun;

	mutex_lock(&snap_mutex);
	begun = snapshot->state == from;
	if (begun)
		snapshot->state = to;
	mutex_unlock(&snap_mutex);
	return begun;
}

static int snap_take_locked(struct snap_snapshot *snapshot,
			    struct bf_dev **first, u32 n_first)
{
	struct snap_takers takers = { .first = first, .n_first = n_first };
	int ret;

	ret = snap_prepare(snapshot, &takers) ?:
	      snap_take_point(snapshot, &takers) ?: snap_check_taken(snapshot) ?:
	      snap_add_images(snapshot);
	blkfilter_devices_put(takers.dev, takers.n);
	if (ret)
		snap_take_undo(snapshot);
	return ret;
}

/*
 * snap_take() - see IOCTL_BLKSNAP_SNAPSHOT_TAKE_WITH
 * @first: devices whose file systems are frozen, too, before the others'.
 */
int snap_take(const uuid_t *id, struct bf_dev **first, u32 n_first)
{
	struct snap_snapshot *snapshot = snap_snapshot_get(id);
	int ret;

	if (!snapshot)
		return -ESRCH;
	if (!snap_begin(snapshot, SNAP_NEW, SNAP_TAKING)) {
		ret = snapshot->state == SNAP_ENDED ? -ESRCH : -EALREADY;
		goto out;
	}
	/* Before the lock: who destroys it meanwhile does not wait so long. */
	ret = snap_wait_settled(snapshot) ?: mutex_lock_killable(&snapshot->lock);
	if (!ret) {
		ret = snapshot->state == SNAP_ENDED ?
			      -ESRCH : snap_take_locked(snapshot, first, n_first);
		mutex_unlock(&snapshot->lock);
	}
	snap_begin(snapshot, SNAP_TAKING, ret ? SNAP_NEW : SNAP_TAKEN);
out:
	snap_snapshot_put(snapshot);
	return ret;
}
