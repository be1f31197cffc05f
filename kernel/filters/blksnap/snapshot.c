// SPDX-License-Identifier: GPL-2.0-only
/*
 * Snapshots: created, given devices, ended.  take.c has the instant.
 */
#include <linux/slab.h>
#include "snap.h"

static LIST_HEAD(snap_snapshots);	/* under snap_mutex */

/* --- life --- */

static void snap_snapshot_free(struct kref *ref)
{
	struct snap_snapshot *snapshot = container_of(ref, struct snap_snapshot,
						      ref);

	snap_storage_free(&snapshot->storage);
	snap_events_free(&snapshot->events);
	kfree(snapshot);
}

void snap_snapshot_put(struct snap_snapshot *snapshot)
{
	kref_put(&snapshot->ref, snap_snapshot_free);
}

static struct snap_snapshot *snap_snapshot_find(const uuid_t *id)
{
	struct snap_snapshot *snapshot;

	list_for_each_entry(snapshot, &snap_snapshots, link)
		if (uuid_equal(&snapshot->id, id))
			return snapshot;
	return NULL;
}

/* Referenced, or NULL. */
struct snap_snapshot *snap_snapshot_get(const uuid_t *id)
{
	struct snap_snapshot *snapshot;

	mutex_lock(&snap_mutex);
	snapshot = snap_snapshot_find(id);
	if (snapshot)
		kref_get(&snapshot->ref);
	mutex_unlock(&snap_mutex);
	return snapshot;
}

/* Return: 0 and its id, or -ENOMEM. */
int snap_create(uuid_t *id)
{
	struct snap_snapshot *snapshot = kzalloc(sizeof(*snapshot), GFP_KERNEL);

	if (!snapshot)
		return -ENOMEM;
	kref_init(&snapshot->ref);
	uuid_gen(&snapshot->id);
	mutex_init(&snapshot->lock);
	INIT_LIST_HEAD(&snapshot->trackers);
	snap_storage_init(&snapshot->storage);
	snap_events_init(&snapshot->events);
	*id = snapshot->id;
	snap_storage_low(snapshot);
	mutex_lock(&snap_mutex);
	list_add_tail(&snapshot->link, &snap_snapshots);
	mutex_unlock(&snap_mutex);
	return 0;
}

/* --- devices --- */

/*
 * snap_add() - a device takes part in a snapshot
 *
 * In a command to the device.  Return: see
 * &enum blkfilter_ctl_blksnap.blkfilter_ctl_blksnap_snapshotadd.
 */
int snap_add(const uuid_t *id, struct snap_tracker *tracker)
{
	struct snap_snapshot *snapshot;
	int ret = -ESRCH;

	mutex_lock(&snap_mutex);
	snapshot = snap_snapshot_find(id);
	if (!snapshot || snapshot->state == SNAP_ENDED)
		goto out;
	ret = tracker->snapshot == snapshot ? -EALREADY : -EBUSY;
	if (tracker->snapshot || snapshot->state != SNAP_NEW)
		goto out;
	list_add_tail(&tracker->member, &snapshot->trackers);
	tracker->snapshot = snapshot;
	ret = snap_storage_fits(snapshot);
	if (ret) {
		list_del_init(&tracker->member);
		tracker->snapshot = NULL;
		goto out;
	}
	tracker->error = 0;
out:
	mutex_unlock(&snap_mutex);
	return ret;
}

/* Under snap_mutex. */
static void snap_leave_locked(struct snap_tracker *tracker)
{
	struct snap_area *area = rcu_dereference_protected(tracker->area, 1);

	if (area)
		tracker->error = snap_area_error(area);
	list_del_init(&tracker->member);
	spin_lock(&tracker->lock);
	tracker->snapshot = NULL;
	tracker->taking = NULL;
	spin_unlock(&tracker->lock);
	rcu_assign_pointer(tracker->area, NULL);
}

/*
 * snap_leave() - the filter is detached
 *
 * Its area's I/O through the filter has ended when this returns; the image stays,
 * and returns errors.
 */
void snap_leave(struct snap_tracker *tracker)
{
	struct snap_area *area;

	mutex_lock(&snap_mutex);
	area = rcu_dereference_protected(tracker->area, 1) ?: tracker->taking;
	if (area)
		kref_get(&area->ref);
	list_del(&tracker->link);
	if (tracker->snapshot && !area)
		tracker->snapshot->lost = true;
	snap_leave_locked(tracker);
	mutex_unlock(&snap_mutex);
	if (!area)
		return;
	synchronize_rcu();
	snap_area_fail(area, -ENODEV);
	snap_area_stop(area);
	snap_area_put(area);
}

/* --- the end --- */

/* Under snapshot->lock: no bio is looked at for it any more. */
static void snap_release_trackers(struct snap_snapshot *snapshot)
{
	struct snap_tracker *tracker, *next;

	mutex_lock(&snap_mutex);
	list_for_each_entry_safe(tracker, next, &snapshot->trackers, member)
		snap_leave_locked(tracker);
	mutex_unlock(&snap_mutex);
	synchronize_rcu();
}

/*
 * snap_release_areas() - the images go, and what they were made of
 *
 * Under snapshot->lock, when no tracker leads to them any more.
 */
void snap_release_areas(struct snap_snapshot *snapshot)
{
	struct snap_area **areas = snapshot->areas;
	u32 n = snapshot->nr_areas, i;

	/* Nobody looks at them any more who only has snap_mutex. */
	mutex_lock(&snap_mutex);
	snapshot->areas = NULL;
	snapshot->nr_areas = 0;
	mutex_unlock(&snap_mutex);
	for (i = 0; i < n; i++) {
		snap_area_stop(areas[i]);
		snap_image_remove(areas[i]);
		snap_area_put(areas[i]);
	}
	kfree(areas);
}

/* The storage is nobody's any more: told to whom it was hidden from. */
static void snap_release_storage(struct snap_snapshot *snapshot)
{
	struct snap_source *source;

	mutex_lock(&snap_mutex);
	snap_storage_announce(&snapshot->storage, 0);
	list_del(&snapshot->link);
	list_for_each_entry(source, &snapshot->storage.sources, link)
		snap_holes_update(snap_source_disk(source));
	mutex_unlock(&snap_mutex);
}

static void snap_end(struct snap_snapshot *snapshot)
{
	snap_release_trackers(snapshot);
	snap_release_areas(snapshot);
	snap_release_storage(snapshot);
	/* Now, not when the last one who waits for events has gone. */
	snap_storage_release(&snapshot->storage);
	snap_events_end(&snapshot->events);
	snap_snapshot_put(snapshot);
}

/* Return: 0, or -ENODEV: there is no such snapshot. */
int snap_destroy(const uuid_t *id)
{
	struct snap_snapshot *snapshot = snap_snapshot_get(id);
	bool mine;

	if (!snapshot)
		return -ENODEV;
	if (mutex_lock_killable(&snapshot->lock)) {
		snap_snapshot_put(snapshot);
		return -EINTR;
	}
	mutex_lock(&snap_mutex);
	mine = snapshot->state != SNAP_ENDED;
	snapshot->state = SNAP_ENDED;
	mutex_unlock(&snap_mutex);
	if (mine)
		snap_end(snapshot);
	mutex_unlock(&snapshot->lock);
	snap_snapshot_put(snapshot);
	return mine ? 0 : -ENODEV;
}

/* Nobody can ask for anything any more. */
void snap_snapshots_exit(void)
{
	struct snap_snapshot *snapshot;

	while ((snapshot = list_first_entry_or_null(&snap_snapshots,
						    struct snap_snapshot, link)))
		snap_end(snapshot);
}

/* --- what there is --- */

/*
 * snap_collect() - all snapshots
 * @ids:  room for @room of them, or NULL.
 *
 * Return: how many there are; filled in when there is room for all.
 */
u32 snap_collect(uuid_t *ids, u32 room)
{
	struct snap_snapshot *snapshot;
	u32 n = 0, i = 0;

	mutex_lock(&snap_mutex);
	list_for_each_entry(snapshot, &snap_snapshots, link)
		n += snapshot->state != SNAP_ENDED;
	if (ids && n <= room)
		list_for_each_entry(snapshot, &snap_snapshots, link)
			if (snapshot->state != SNAP_ENDED)
				ids[i++] = snapshot->id;
	mutex_unlock(&snap_mutex);
	return n;
}

/* Does a snapshot have this file, also opened by somebody else?  Under snap_mutex. */
bool snap_file_is_storage(const struct file *file)
{
	struct snap_snapshot *snapshot;
	struct snap_source *source;

	if (!S_ISREG(file_inode(file)->i_mode))
		return false;
	list_for_each_entry(snapshot, &snap_snapshots, link)
		list_for_each_entry(source, &snapshot->storage.sources, link)
			if (file_inode(source->file) == file_inode(file))
				return true;
	return false;
}

/* Devices that are written to when a snapshot stores: theirs are reached, too. */
static bool snap_reach(struct snap_snapshot *snapshot)
{
	struct snap_tracker *tracker;
	struct snap_source *source;
	bool more = false;

	list_for_each_entry(tracker, &snap_trackers, link) {
		if (!tracker->snapshot || tracker->snapshot->reached)
			continue;
		list_for_each_entry(source, &snapshot->storage.sources, link)
			if (snap_source_is_on(source, tracker)) {
				tracker->snapshot->reached = true;
				more = true;
				break;
			}
	}
	return more;
}

/*
 * snap_stores_into_itself() - does storing make more to be stored, without end?
 *
 * Also over other snapshots: what this one stores is written to a device whose
 * snapshot is stored on a device of this one.  Under snap_mutex.
 */
bool snap_stores_into_itself(struct snap_snapshot *snapshot)
{
	struct snap_snapshot *other;
	bool more;

	list_for_each_entry(other, &snap_snapshots, link)
		other->reached = false;
	more = snap_reach(snapshot);
	while (more && !snapshot->reached) {
		more = false;
		list_for_each_entry(other, &snap_snapshots, link)
			if (other->reached)
				more |= snap_reach(other);
	}
	return snapshot->reached;
}

/*
 * snap_storage_each() - all difference storage on a disk
 * @visit: gets the extent and its first sector on the disk; true ends it.
 *
 * Under snap_mutex.  Return: true when @visit did.
 */
bool snap_storage_each(struct gendisk *disk,
		       bool (*visit)(const struct snap_extent *extent,
				     sector_t first, void *data), void *data)
{
	const struct snap_extents *extents;
	struct snap_snapshot *snapshot;
	u32 i;

	list_for_each_entry(snapshot, &snap_snapshots, link) {
		extents = rcu_dereference_protected(snapshot->storage.extents,
						    lockdep_is_held(&snap_mutex));
		for (i = 0; extents && i < extents->n; i++) {
			const struct snap_extent *extent = &extents->extent[i];
			const struct snap_source *source = extent->source;

			if (snap_source_disk(source) == disk &&
			    visit(extent, get_start_sect(source->bdev) +
						  extent->sector, data))
				return true;
		}
	}
	return false;
}

/*
 * snap_info() - a device's part in its snapshot
 *
 * The error stays when the snapshot is gone, until the device takes part in another
 * one.
 */
void snap_info(struct snap_tracker *tracker, struct blksnap_snapshotinfo *info)
{
	struct snap_area *area;

	mutex_lock(&snap_mutex);
	area = rcu_dereference_protected(tracker->area,
					 lockdep_is_held(&snap_mutex));
	if (area) {
		tracker->error = snap_area_error(area);
		if (area->image)
			strscpy(info->image, area->image->disk_name,
				sizeof(info->image));
	}
	info->error_code = tracker->error;
	mutex_unlock(&snap_mutex);
}

static void snap_statistics_areas(struct snap_snapshot *snapshot,
				  struct blksnap_statistics *statistics)
{
	u32 i;

	statistics->devices = snapshot->nr_areas;
	for (i = 0; i < snapshot->nr_areas; i++) {
		struct snap_area *area = snapshot->areas[i];

		statistics->copied += atomic64_read(&area->copied);
		statistics->waited += atomic64_read(&area->waited);
		statistics->in_flight += READ_ONCE(area->in_flight);
		statistics->index_bytes +=
			atomic64_read(&area->index.heads.bytes);
		if (snap_area_error(area))
			statistics->state = BLKSNAP_STATE_CORRUPTED;
	}
}

static void snap_statistics_locked(struct snap_snapshot *snapshot,
				   struct blksnap_statistics *statistics)
{
	struct snap_storage *storage = &snapshot->storage;
	struct snap_tracker *tracker;

	statistics->closed_ns = snapshot->closed_ns;
	if (snapshot->state == SNAP_TAKEN) {
		statistics->state = BLKSNAP_STATE_TAKEN;
		snap_statistics_areas(snapshot, statistics);
	} else {
		statistics->state = BLKSNAP_STATE_NEW;
		list_for_each_entry(tracker, &snapshot->trackers, member)
			statistics->devices++;
	}
	spin_lock_irq(&storage->lock);
	statistics->chunk_sectors = storage->chunk_sectors;
	statistics->storage_sectors = storage->sectors;
	statistics->used_sectors = (u64)storage->used * storage->chunk_sectors;
	spin_unlock_irq(&storage->lock);
	statistics->index_bytes += atomic64_read(&storage->entries.bytes);
}

/*
 * @statistics: with an id, filled in.  Does not wait for a take, which may last.
 * Return: 0 or -ESRCH.
 */
int snap_statistics(struct blksnap_statistics *statistics)
{
	struct snap_snapshot *snapshot;
	int ret = -ESRCH;
	uuid_t id;

	import_uuid(&id, statistics->id.b);
	mutex_lock(&snap_mutex);
	snapshot = snap_snapshot_find(&id);
	if (snapshot && snapshot->state != SNAP_ENDED) {
		snap_statistics_locked(snapshot, statistics);
		ret = 0;
	}
	mutex_unlock(&snap_mutex);
	return ret;
}
