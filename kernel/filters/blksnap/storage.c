// SPDX-License-Identifier: GPL-2.0-only
/*
 * Difference storage: ranges of block devices and files, divided into slots of a
 * chunk each.
 *
 * Slots are numbered through all ranges and given out in order, whichever device
 * they are for, so that what is copied one after the other is stored side by side.
 * They are never given back while the snapshot is held.
 */
#include <linux/slab.h>
#include "snap.h"

/* Of all of a snapshot's storage. */
#define SNAP_SLOTS_MAX		(SNAP_NO_SLOT - 1)

void snap_storage_init(struct snap_storage *storage)
{
	spin_lock_init(&storage->lock);
	INIT_LIST_HEAD(&storage->sources);
}

/* Files and devices are let go: nothing is on its way to them, or will be. */
void snap_storage_release(struct snap_storage *storage)
{
	struct snap_source *source, *next;

	list_for_each_entry_safe(source, next, &storage->sources, link)
		snap_source_free(source);
	INIT_LIST_HEAD(&storage->sources);
}

/* Nobody knows of it any more. */
void snap_storage_free(struct snap_storage *storage)
{
	kvfree(rcu_dereference_protected(storage->extents, 1));
	snap_pages_free(&storage->entries);
}

/* Gives the extents from @first on their slots; under storage->lock. */
static void snap_storage_number(struct snap_storage *storage,
				struct snap_extents *extents, u32 first)
{
	u32 i;

	for (i = first; i < extents->n; i++) {
		struct snap_extent *extent = &extents->extent[i];
		u64 slots = 0;

		if (storage->chunk_sectors)
			slots = div_u64(extent->count, storage->chunk_sectors);
		extent->slot = storage->slots;
		extent->slots = min_t(u64, slots,
				      SNAP_SLOTS_MAX - storage->slots);
		storage->slots += extent->slots;
	}
}

static struct snap_extents *snap_extents_of(struct snap_storage *storage)
{
	return rcu_dereference_protected(storage->extents,
					 lockdep_is_held(&snap_mutex));
}

/* The snapshot is being taken: the size of a chunk is known.  Under snap_mutex. */
void snap_storage_begin(struct snap_storage *storage, u32 chunk_sectors)
{
	spin_lock_irq(&storage->lock);
	storage->chunk_sectors = chunk_sectors;
	storage->slots = 0;
	if (snap_extents_of(storage))
		snap_storage_number(storage, snap_extents_of(storage), 0);
	spin_unlock_irq(&storage->lock);
}

/*
 * snap_storage_add() - add extents, which are not used yet
 * @more: they.
 *
 * Under snap_mutex.  Return: 0 or -ENOMEM.
 */
int snap_storage_add(struct snap_storage *storage,
		     const struct snap_extents *more)
{
	struct snap_extents *old = snap_extents_of(storage), *all;
	u32 before = old ? old->n : 0, i;

	all = kvzalloc(struct_size(all, extent, before + more->n), GFP_KERNEL);
	if (!all)
		return -ENOMEM;
	all->n = before + more->n;
	if (old)
		memcpy(all->extent, old->extent, before * sizeof(old->extent[0]));
	memcpy(all->extent + before, more->extent,
	       more->n * sizeof(more->extent[0]));
	for (i = before; i < all->n; i++) {
		all->extent[i].slot = storage->slots;
		all->extent[i].slots = 0;
	}
	spin_lock_irq(&storage->lock);
	rcu_assign_pointer(storage->extents, all);
	spin_unlock_irq(&storage->lock);
	if (old)
		kvfree_rcu(old, rcu);
	return 0;
}

/*
 * snap_storage_enable() - the last @n extents may be used
 *
 * Under snap_mutex.  Who looks for slots that were given out before is not
 * disturbed: these had, and get, higher ones.
 */
void snap_storage_enable(struct snap_storage *storage, u32 n)
{
	struct snap_extents *extents = snap_extents_of(storage);
	u32 i;

	spin_lock_irq(&storage->lock);
	snap_storage_number(storage, extents, extents->n - n);
	for (i = extents->n - n; i < extents->n; i++)
		storage->sectors += extents->extent[i].count;
	if (storage->sectors >= storage->requested)
		storage->asked = false;
	spin_unlock_irq(&storage->lock);
}

/* The extent that a slot is in; the caller keeps the extents. */
static const struct snap_extent *
snap_extent_of(const struct snap_extents *extents, u32 slot)
{
	u32 low = 0, high = extents->n;

	/* The last one that begins at @slot or before, and is not empty. */
	while (high - low > 1) {
		u32 middle = low + (high - low) / 2;

		if (extents->extent[middle].slot <= slot)
			low = middle;
		else
			high = middle;
	}
	return &extents->extent[low];
}

/*
 * snap_storage_find() - where is a slot?
 * @slot:  it was given out.
 * @place: filled in.
 *
 * Any context.
 */
void snap_storage_find(struct snap_storage *storage, u32 slot,
		       struct snap_place *place)
{
	const struct snap_extent *extent;
	u32 skip;

	rcu_read_lock();
	extent = snap_extent_of(rcu_dereference(storage->extents), slot);
	skip = slot - extent->slot;
	place->file = extent->source->direct;
	place->bdev = extent->source->bdev;
	place->sector = extent->sector +
			(sector_t)skip * READ_ONCE(storage->chunk_sectors);
	place->slots = extent->slots - skip;
	rcu_read_unlock();
}

/* Sectors that are left; under storage->lock. */
static u64 snap_storage_left(const struct snap_storage *storage)
{
	if (!storage->chunk_sectors)
		return storage->sectors;
	return (u64)(storage->slots - storage->used) * storage->chunk_sectors;
}

static bool snap_storage_is_low(const struct snap_storage *storage)
{
	struct snap_parameters parameters;

	if (storage->asked)
		return false;
	snap_parameters(&parameters);
	return snap_storage_left(storage) <= parameters.storage_minimum / 2;
}

/*
 * snap_storage_low() - ask userspace for more if there is need
 *
 * Once, until it has given what it was asked for.  Any context.
 */
void snap_storage_low(struct snap_snapshot *snapshot)
{
	struct snap_storage *storage = &snapshot->storage;
	struct snap_parameters parameters;
	struct snap_event *event;
	unsigned long flags;
	bool ask;

	event = kzalloc(sizeof(*event), GFP_NOWAIT | __GFP_NOWARN);
	if (!event)
		return;		/* the next one that needs a slot asks */
	snap_parameters(&parameters);
	spin_lock_irqsave(&storage->lock, flags);
	ask = snap_storage_is_low(storage);
	if (ask) {
		storage->asked = true;
		storage->requested = max(storage->requested, storage->sectors) +
				     parameters.storage_minimum;
	}
	spin_unlock_irqrestore(&storage->lock, flags);
	if (!ask) {
		kfree(event);
		return;
	}
	event->code = blksnap_event_code_low_free_space;
	event->low.requested_nr_sect = parameters.storage_minimum;
	snap_events_add(&snapshot->events, event);
}

/*
 * snap_storage_alloc() - take consecutive slots
 * @n:    how many at most.
 * @slot: out: the first one.
 *
 * Any context.  Return: how many; 0: the storage is full.
 */
u32 snap_storage_alloc(struct snap_snapshot *snapshot, u32 n, u32 *slot)
{
	struct snap_storage *storage = &snapshot->storage;
	const struct snap_extent *extent;
	const struct snap_extents *extents;
	unsigned long flags;
	bool low;

	spin_lock_irqsave(&storage->lock, flags);
	extents = rcu_dereference_protected(storage->extents,
					    lockdep_is_held(&storage->lock));
	n = min(n, storage->slots - storage->used);
	if (n) {
		extent = snap_extent_of(extents, storage->used);
		n = min(n, extent->slot + extent->slots - storage->used);
		*slot = storage->used;
		storage->used += n;
	}
	low = snap_storage_is_low(storage);
	spin_unlock_irqrestore(&storage->lock, flags);
	if (low)
		snap_storage_low(snapshot);
	return n;
}
