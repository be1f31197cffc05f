// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter "blksnap" on one device.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "snap.h"

#define SNAP_ALTITUDE		(350000ULL * BLKFILTER_ALTITUDE_UNIT)

DEFINE_MUTEX(snap_mutex);	/* snapshots and who takes part; see snap.h */
LIST_HEAD(snap_trackers);

/*
 * What is written to difference storage is neither copied nor tracked.  Only a
 * range that lies within it wholly can be ours.
 */
static bool snap_is_storage(const struct snap_tracker *tracker, sector_t sector,
			    u32 sectors)
{
	const struct snap_ranges *storage =
		rcu_dereference_sched(tracker->storage);

	return unlikely(storage) && snap_ranges_cover(storage, sector, sectors);
}

/*
 * With preemption disabled, which keeps map, area and ranges: whoever replaces
 * them waits for a grace period.
 */
static bool snap_look_at(struct snap_tracker *tracker, struct bio *bio,
			 struct snap_area **area)
{
	sector_t sector = bio->bi_iter.bi_sector - tracker->start;
	u32 sectors = bio_sectors(bio);
	struct snap_map *map = rcu_dereference_sched(tracker->map);

	if (snap_is_storage(tracker, sector, sectors))
		return false;
	if (snap_fault(SNAP_LOSE_MARK) && !((sector >> 7) % 97))
		;
	else if (unlikely(!snap_map_mark_one(map, sector, sectors)))
		snap_map_mark(map, sector, sectors);
	*area = rcu_dereference_sched(tracker->area);
	return *area && snap_write_concerns(*area, sector, sectors,
					     bio->bi_opf & REQ_NOWAIT);
}

static bool snap_submit_bio(struct blkfilter *flt, struct bio *bio,
			    struct blkfilter_pos pos)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);
	struct snap_area *area;
	bool taken;

	if (!op_is_write(bio_op(bio)) || !bio_sectors(bio))
		return false;
	rcu_read_lock_sched();
	taken = snap_look_at(tracker, bio, &area);
	if (unlikely(taken))
		taken = snap_write_take(area, flt, bio, pos);
	rcu_read_unlock_sched();
	return taken;
}

/* The snapshot's own point: from here on old data is kept. */
static void snap_instant(struct snap_tracker *tracker, const u8 *id)
{
	struct snap_area *area;

	spin_lock(&tracker->lock);
	area = tracker->taking;
	if (!area || !id || memcmp(id, &area->snapshot->id, UUID_SIZE)) {
		spin_unlock(&tracker->lock);
		return;
	}
	/* Before it is what is being taken no more: see snap_holes_update(). */
	rcu_assign_pointer(tracker->area, area);
	tracker->taking = NULL;
	spin_unlock(&tracker->lock);
	/* Extended or shrunk since it was prepared: the take fails. */
	if (area->sectors != tracker->sectors)
		cmpxchg(&area->error, 0, -ESTALE);
	snap_maps_switch(tracker);
}

static void snap_point(struct blkfilter *flt, enum blkfilter_phase phase,
		       const u8 *id)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);
	struct snap_area *area;

	if (phase == BLKFILTER_POINT_INSTANT) {
		snap_instant(tracker, id);
		return;
	}
	rcu_read_lock_sched();
	area = rcu_dereference_sched(tracker->area);
	if (area)
		snap_area_quiet(area, phase == BLKFILTER_POINT_PREPARE);
	rcu_read_unlock_sched();
}

static void snap_fail(struct snap_tracker *tracker, int error)
{
	struct snap_area *area;

	rcu_read_lock_sched();
	area = rcu_dereference_sched(tracker->area);
	if (area)
		snap_area_fail(area, error);
	rcu_read_unlock_sched();
}

static void snap_settled(struct blkfilter *flt)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);

	snap_maps_begin(tracker);
	WRITE_ONCE(tracker->settled, true);
}

static void snap_unseen(struct blkfilter *flt)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);

	snap_fail(tracker, -ESPIPE);
	snap_maps_begin(tracker);
}

/* A device that has lost its end cannot be what it was. */
static void snap_resized(struct blkfilter *flt, sector_t sectors)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);

	if (sectors < tracker->sectors)
		snap_fail(tracker, -ENXIO);
	WRITE_ONCE(tracker->sectors, sectors);
	snap_maps_resize(tracker, sectors);
}

/* Ours is in no map of ours, wherever on the disk the one who says so is. */
static void snap_changed(struct blkfilter *flt, sector_t sector,
			 sector_t sectors)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);
	const struct snap_ranges *storage;
	bool ours;

	rcu_read_lock_sched();
	storage = rcu_dereference_sched(tracker->storage);
	ours = storage && snap_ranges_cover(storage, sector, sectors);
	rcu_read_unlock_sched();
	if (!ours)
		snap_mark_by_hand(tracker, sector, sectors, false);
}

static void snap_state(struct blkfilter *flt, char *buf, size_t size)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);
	const char *state = "tracking";
	struct snap_area *area;

	rcu_read_lock_sched();
	area = rcu_dereference_sched(tracker->area);
	if (area)
		state = snap_area_error(area) ? "corrupted" : "snapshot";
	else if (!READ_ONCE(tracker->settled))
		state = "settling";
	rcu_read_unlock_sched();
	strscpy(buf, state, size);
}

/* --- attach and detach --- */

/* What is kept would be lost. */
static int snap_query_detach(struct blkfilter *flt, enum blkfilter_reason reason)
{
	return READ_ONCE(snap_tracker_of(flt)->snapshot) ? -EBUSY : 0;
}

static void snap_gone(struct blkfilter *flt)
{
	snap_fail(snap_tracker_of(flt), -ENODEV);
}

static void snap_activate(struct blkfilter *flt)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);

	tracker->start = blkfilter_start(flt);
	/* 0 while the device was appearing. */
	tracker->dev = flt->bdev->bd_dev;
	WRITE_ONCE(tracker->active, true);
}

static void snap_deactivate(struct blkfilter *flt, enum blkfilter_reason reason,
			    struct blkfilter *successor)
{
	snap_fail(snap_tracker_of(flt), -ENODEV);
}

static void snap_detach(struct blkfilter *flt)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);

	snap_leave(tracker);
	/* For bios that are still looking at what was there. */
	synchronize_rcu();
	kvfree(rcu_dereference_protected(tracker->storage, 1));
	snap_maps_free(tracker);
	kfree(tracker);
}

static struct blkfilter *snap_attach(struct block_device *bdev,
				     const struct blkfilter_attach *how)
{
	struct snap_tracker *tracker;

	if (how->options_size)
		return ERR_PTR(-EINVAL);
	tracker = kzalloc(sizeof(*tracker), GFP_KERNEL);
	if (!tracker)
		return ERR_PTR(-ENOMEM);
	spin_lock_init(&tracker->lock);
	INIT_LIST_HEAD(&tracker->member);
	tracker->disk = bdev->bd_disk;
	tracker->dev = bdev->bd_dev;
	tracker->start = get_start_sect(bdev);
	/* 0 for some that are appearing: they are told their size later. */
	tracker->sectors = bdev_nr_sectors(bdev);
	if (snap_maps_init(tracker, tracker->sectors)) {
		snap_maps_free(tracker);
		kfree(tracker);
		return ERR_PTR(-ENOMEM);
	}
	snap_holes_attach(tracker);
	return &tracker->flt;
}

static struct blkfilter_operations snap_operations = {
	.owner = THIS_MODULE,
	.name = BLKSNAP_FILTER,
	.altitude = SNAP_ALTITUDE,
	.flags = BLKFILTER_NEEDS_POINTS,
	.attach = snap_attach,
	.activate = snap_activate,
	.deactivate = snap_deactivate,
	.detach = snap_detach,
	.query_detach = snap_query_detach,
	.gone = snap_gone,
	.submit_bio = snap_submit_bio,
	.ctl = snap_ctl,
	.point = snap_point,
	.settled = snap_settled,
	.unseen = snap_unseen,
	.resized = snap_resized,
	.changed = snap_changed,
	.state = snap_state,
};

int snap_tracker_init(void)
{
	return blkfilter_register(&snap_operations);
}

void snap_tracker_exit(void)
{
	blkfilter_unregister(&snap_operations);
}
