/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * blksnap: the structures, and what its files offer each other.
 *
 *   main.c      module, parameters
 *   tracker.c   the filter on one device: attach, bios, points
 *   map.c       the change map: one byte a block
 *   command.c   commands to a device;  control.c  /dev/blksnap-control
 *   snapshot.c  snapshots: create, add a device, destroy;  take.c  the instant
 *   event.c     what userspace waits for
 *   storage.c   difference storage: ranges, slots;  append.c  what is given to
 *               it;  pin.c  files whose blocks stay where they are;  file.c  files
 *               that are read and written through their file system
 *   hole.c      storage that lies on filtered devices
 *   pages.c     arrays that grow and never move;  index.c  which chunk is where
 *   area.c      one device's old data while a snapshot is held
 *   write.c     writes that wait until their chunks are in memory
 *   copy.c      chunks on their way from the device to the storage
 *   image.c     the image's block device
 *
 * A device is divided into chunks.  While a snapshot is held, the first write to a
 * chunk is taken; a copy (struct snap_copy) of the old data is read into memory,
 * the chunk is entered in the index with the slot of the storage that it will be
 * stored in, and the write goes on; storing follows.  Whoever finds a chunk in the
 * index may overwrite it.  Who reads the image looks first whether a chunk is in
 * the index.  When it is not, he reads the device and looks again afterwards: a
 * chunk that is not in the index after the read has not been overwritten before.
 *
 * Nothing is ever taken out of the index while the snapshot is held, so looking
 * takes no lock.
 *
 * Locks, outer before inner:
 *   snap_snapshot.lock (held over a take and a destroy; no callback of the core
 *   takes it)  >  snap_mutex  >  snap_tracker.lock | snap_storage.lock |
 *   snap_area.lock (taken in interrupts)
 */
#ifndef BLKSNAP_SNAP_H
#define BLKSNAP_SNAP_H

#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/blkdev.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/uuid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/blksnap.h>

#include "../../compat/compat.h"

#undef pr_fmt
#define pr_fmt(fmt) "blksnap: " fmt

/* Planted faults, for `./dev test --faults` only: never defined otherwise. */
#define snap_fault(name) __is_defined(BLKFILTER_FAULT_##name)

struct snap_area;
struct snap_snapshot;

/* --- main.c: parameters, as posted; see docs/blksnap.md --- */

/**
 * struct snap_parameters - the module's parameters, brought into sensible limits
 * @block_shift:       smallest block of the change map, log2 of bytes.
 * @block_shift_max:   largest one.
 * @block_count_max:   blocks above which they are made larger.
 * @chunk_shift:       smallest chunk.
 * @chunk_shift_max:   largest one.
 * @chunk_count_shift: log2 of the chunks above which they are made larger.
 * @in_flight_max:     chunks in memory for one device.
 * @pool:              empty chunks that are kept for the next copies.
 * @storage_minimum:   sectors that are asked for at once.
 */
struct snap_parameters {
	u32 block_shift;
	u32 block_shift_max;
	u64 block_count_max;
	u32 chunk_shift;
	u32 chunk_shift_max;
	u32 chunk_count_shift;
	u32 in_flight_max;
	u32 pool;
	u64 storage_minimum;
};

void snap_parameters(struct snap_parameters *parameters);
unsigned long snap_store_timeout(void);

/* --- map.c --- */

/**
 * struct snap_map - change map of one device, and the time that it is of
 * @rcu:        for freeing.
 * @sectors:    size of the device.
 * @shift:      a block is 2^@shift sectors.
 * @blocks:     how many.
 * @number:     what blocks that are written now are marked with; in a map that is
 *              shown, the number of the snapshot.
 * @generation: of the history.
 * @byte:       by block: the number of the interval in which it was last written.
 */
struct snap_map {
	struct rcu_head rcu;
	sector_t sectors;
	u32 shift;
	u32 blocks;
	u8 number;
	u8 generation[UUID_SIZE];
	u8 byte[];
};

/**
 * struct snap_ranges - ranges of a device, ascending, apart from each other
 * @rcu:   for freeing.
 * @n:     how many.
 * @range: first sector and the one behind the last, counted from the device's
 *         first.
 */
struct snap_ranges {
	struct rcu_head rcu;
	u32 n;
	struct snap_range {
		sector_t first;
		sector_t end;
	} range[];
};

/**
 * struct snap_tracker - the filter on one device
 * @flt:      the core's part.
 * @link:     in snap_trackers; under snap_mutex.
 * @disk:     the device's disk, which the core keeps.
 * @dev:      the device's number.
 * @start:    of the device, an absolute sector.
 * @sectors:  its size.
 * @active:   bios are shown, and the core's part is complete.
 * @map:      the map that writes are marked in.
 * @area:     while a snapshot is held, else NULL.
 * @storage:  ranges of the device that are difference storage, or NULL.
 * @lock:     for all that follows, and for marking by hand.
 * @shown:    map of the time until the last snapshot.
 * @spare:    becomes @shown when the size has changed.
 * @taking:   what becomes @area at the instant of the point @id.
 * @snapshot: that the device takes part in; under snap_mutex.
 * @member:   in snap_snapshot.trackers; under snap_mutex.
 * @error:    of its last snapshot; under snap_mutex.
 * @settled:  no write from before the first filter is left.
 */
struct snap_tracker {
	struct blkfilter flt;
	struct list_head link;
	struct gendisk *disk;
	dev_t dev;
	sector_t start;
	sector_t sectors;
	bool active;
	struct snap_map __rcu *map;
	struct snap_area __rcu *area;
	struct snap_ranges __rcu *storage;

	spinlock_t lock;	/* for all that follows */
	struct snap_map *shown;
	struct snap_map *spare;
	struct snap_area *taking;
	struct snap_snapshot *snapshot;
	struct list_head member;
	int error;
	bool settled;
};

static inline struct snap_tracker *snap_tracker_of(struct blkfilter *flt)
{
	return container_of(flt, struct snap_tracker, flt);
}

extern struct mutex snap_mutex;
extern struct list_head snap_trackers;

int snap_tracker_init(void);
void snap_tracker_exit(void);

struct snap_map *snap_map_new(sector_t sectors);
int snap_maps_init(struct snap_tracker *tracker, sector_t sectors);
void snap_maps_free(struct snap_tracker *tracker);
int snap_maps_prepare(struct snap_tracker *tracker);
void snap_maps_switch(struct snap_tracker *tracker);
void snap_maps_tidy(struct snap_tracker *tracker);
void snap_maps_begin(struct snap_tracker *tracker);
void snap_maps_resize(struct snap_tracker *tracker, sector_t sectors);
void snap_map_mark(struct snap_map *map, sector_t sector, sector_t sectors);
void snap_mark_by_hand(struct snap_tracker *tracker, sector_t sector,
		       sector_t sectors, bool both);

/* What nearly every write is: within one block.  False: it is not. */
static __always_inline bool snap_map_mark_one(struct snap_map *map,
					      sector_t sector, u32 sectors)
{
	u64 block = sector >> map->shift;
	u8 number = map->number;

	if (unlikely((sector + sectors - 1) >> map->shift != block ||
		     block >= map->blocks))
		return false;
	/* Not written again: the line stays shared between CPUs. */
	if (READ_ONCE(map->byte[block]) != number)
		WRITE_ONCE(map->byte[block], number);
	return true;
}

/* --- command.c --- */
int snap_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf, u32 *plen);

/* --- hole.c --- */
void snap_holes_update(struct gendisk *disk);
void snap_holes_attach(struct snap_tracker *tracker);
void snap_holes_keep(struct snap_tracker *tracker, struct snap_area *area);
bool snap_ranges_cover(const struct snap_ranges *ranges, sector_t sector,
		       sector_t sectors);
void snap_holes_zero(struct snap_area *area, sector_t sector, struct bio *bio,
		     struct bvec_iter iter);

/* --- pages.c --- */
#define SNAP_SEGMENTS		15
#define SNAP_SEGMENT_SHIFT	9	/* pages in the first segment: 2^this */

/**
 * struct snap_pages - an array that grows and never moves
 * @segment: tables of pages: 2^SNAP_SEGMENT_SHIFT of them in the first, and in
 *           each other one as many as in all before it.
 * @bytes:   in use.
 *
 * Looked at without a lock; what is added is zero.
 */
struct snap_pages {
	void **segment[SNAP_SEGMENTS];
	atomic64_t bytes;
};

int snap_pages_provide(struct snap_pages *pages, u32 page);
void snap_pages_free(struct snap_pages *pages);

/* The page, or NULL. */
static __always_inline void *snap_page(const struct snap_pages *pages, u32 page)
{
	u32 k = fls(page >> SNAP_SEGMENT_SHIFT);
	u32 first = k ? 1U << (k - 1 + SNAP_SEGMENT_SHIFT) : 0;
	/* Pairs with snap_pages_provide(): what is seen is zero or filled. */
	void **segment = smp_load_acquire(&pages->segment[k]);

	if (!segment)
		return NULL;
	/* As above. */
	return smp_load_acquire(&segment[page - first]);
}

/* --- index.c --- */

/**
 * struct snap_entry - a chunk of the index; which one of them says where it is
 * @key:  of the chunk, see index.c.
 * @next: slot and one of the next entry by key, or 0.
 */
struct snap_entry {
	u32 key;
	u32 next;
};

#define SNAP_NO_SLOT	(~0U)

/**
 * struct snap_index - which chunks of a device are stored, and where
 * @entries: by slot; of all devices of the snapshot.
 * @heads:   by bucket: slot and one of the last entry before it, or 0.
 * @first:   slot and one of the first entry, or 0.
 * @used:    entries.
 * @level:   there are 2^@level buckets.
 */
struct snap_index {
	struct snap_pages *entries;
	struct snap_pages heads;
	u32 first;
	u32 used;
	u32 level;
};

int snap_index_init(struct snap_index *index, struct snap_pages *entries);
void snap_index_free(struct snap_index *index);
int snap_index_provide(struct snap_index *index, u32 chunk, u32 slot, u32 n);
void snap_index_insert(struct snap_index *index, u32 chunk, u32 slot);
u32 snap_index_find(const struct snap_index *index, u32 chunk);

/* --- storage.c --- */

/**
 * struct snap_source - what ranges of difference storage were taken from
 * @link:   in snap_storage.sources.
 * @file:   of the block device, or a file; open.
 * @bdev:   the block device, or the one that the file is on; NULL: on none.
 * @pinned: its file system must be told to let it go.
 * @direct: its file system is asked: sectors are the file's; else NULL.
 */
struct snap_source {
	struct list_head link;
	struct file *file;
	struct block_device *bdev;
	bool pinned;
	struct snap_file *direct;
};

/**
 * struct snap_extent - a range of difference storage
 * @source: what it belongs to.
 * @sector: first sector of @source's device, or file.
 * @count:  sectors.
 * @slot:   first slot; @slots of them.
 */
struct snap_extent {
	struct snap_source *source;
	sector_t sector;
	sector_t count;
	u32 slot;
	u32 slots;
};

/* All of them, in the order of their slots. */
struct snap_extents {
	struct rcu_head rcu;
	u32 n;
	struct snap_extent extent[];
};

/**
 * struct snap_storage - difference storage of a snapshot
 * @lock:    for all that follows.
 * @extents: replaced as a whole; under snap_mutex, read by RCU.
 * @sources: under snap_mutex.
 * @entries: of the index of all devices.
 * @chunk_sectors: size of a slot; 0 until the snapshot is being taken.
 * @sectors: capacity.
 * @slots:   how many there are.
 * @used:    how many are given out, from the first on.
 * @requested: sectors that userspace was asked for.
 * @asked:   and has not yet given.
 */
struct snap_storage {
	spinlock_t lock;	/* for all that follows */
	struct snap_extents __rcu *extents;
	struct list_head sources;
	struct snap_pages entries;
	u32 chunk_sectors;
	sector_t sectors;
	u32 slots;
	u32 used;
	u64 requested;
	bool asked;
};

/* Where a slot is, and how many follow it there. */
struct snap_place {
	struct snap_file *file;		/* or, when it is NULL: */
	struct block_device *bdev;
	sector_t sector;
	u32 slots;
};

void snap_storage_init(struct snap_storage *storage);
void snap_storage_free(struct snap_storage *storage);
void snap_storage_release(struct snap_storage *storage);
int snap_storage_add(struct snap_storage *storage,
		     const struct snap_extents *more);
void snap_storage_enable(struct snap_storage *storage, u32 n);
void snap_storage_begin(struct snap_storage *storage, u32 chunk_sectors);
u32 snap_storage_alloc(struct snap_snapshot *snapshot, u32 n, u32 *slot);
void snap_storage_find(struct snap_storage *storage, u32 slot,
		       struct snap_place *place);
void snap_storage_low(struct snap_snapshot *snapshot);

/* --- append.c, pin.c, file.c --- */
void snap_source_free(struct snap_source *source);
struct gendisk *snap_source_disk(const struct snap_source *source);
int snap_append_ranges(struct snap_snapshot *snapshot, const char *path,
		       const struct blksnap_sectors __user *ranges, u32 n);
int snap_append_file(struct snap_snapshot *snapshot, int fd, u32 flags);
bool snap_source_is_on(const struct snap_source *source,
		       struct snap_tracker *tracker);
int snap_storage_fits(struct snap_snapshot *snapshot);
void snap_storage_announce(struct snap_storage *storage, u32 first);
int snap_pin(struct snap_source *source, struct snap_extents **extents);
void snap_unpin(struct snap_source *source);
struct snap_file *snap_file_open(struct file *file);
void snap_file_close(struct snap_file *file);
void snap_file_submit(struct snap_file *file, struct bio *bio);

/* --- event.c --- */

/**
 * struct snap_events - what userspace has not heard of yet
 * @lock:  for all that follows.
 * @wait:  for an event, or the end.
 * @list:  of struct snap_event.
 * @ended: there will be no more.
 */
struct snap_events {
	spinlock_t lock;	/* for all that follows */
	wait_queue_head_t wait;
	struct list_head list;
	bool ended;
};

/* One event; made beforehand where there may be no memory when it happens. */
struct snap_event {
	struct list_head link;
	ktime_t time;
	u32 code;
	union {
		struct blksnap_event_low_free_space low;
		struct blksnap_event_corrupted corrupted;
	};
};

void snap_events_init(struct snap_events *events);
void snap_events_free(struct snap_events *events);
void snap_events_end(struct snap_events *events);
void snap_events_add(struct snap_events *events, struct snap_event *event);
int snap_events_wait(struct snap_events *events, u32 timeout_ms,
		     struct blksnap_snapshot_event *answer);

/* --- snapshot.c, take.c --- */

enum snap_state {
	SNAP_NEW,
	SNAP_TAKING,
	SNAP_TAKEN,
	SNAP_ENDED,
};

/**
 * struct snap_snapshot - some devices at one instant
 * @ref:      references.
 * @link:     in the list of all; under snap_mutex.
 * @id:       its id, and its consistency point's.
 * @lock:     one take or destroy at a time.
 * @state:    changed under @lock and snap_mutex.
 * @lost:     a device has gone before the take; under snap_mutex.
 * @trackers: the devices; under snap_mutex.
 * @reached:  see snap_stores_into_itself(); under snap_mutex.
 * @areas:    their old data, from the take on; changed under @lock and snap_mutex.
 * @nr_areas: how many.
 * @storage:  for all of them.
 * @events:   for userspace.
 * @closed_ns: how long the devices were closed for the instant.
 */
struct snap_snapshot {
	struct kref ref;
	struct list_head link;
	uuid_t id;
	struct mutex lock;	/* one take or destroy at a time */
	enum snap_state state;
	bool lost;
	bool reached;
	struct list_head trackers;
	struct snap_area **areas;
	u32 nr_areas;
	struct snap_storage storage;
	struct snap_events events;
	u64 closed_ns;
};

void snap_snapshots_exit(void);
int snap_create(uuid_t *id);
int snap_destroy(const uuid_t *id);
struct snap_snapshot *snap_snapshot_get(const uuid_t *id);
void snap_snapshot_put(struct snap_snapshot *snapshot);
int snap_add(const uuid_t *id, struct snap_tracker *tracker);
void snap_leave(struct snap_tracker *tracker);
void snap_info(struct snap_tracker *tracker, struct blksnap_snapshotinfo *info);
u32 snap_collect(uuid_t *ids, u32 room);
int snap_statistics(struct blksnap_statistics *statistics);
bool snap_file_is_storage(const struct file *file);
bool snap_stores_into_itself(struct snap_snapshot *snapshot);
bool snap_storage_each(struct gendisk *disk,
		       bool (*visit)(const struct snap_extent *extent,
				     sector_t first, void *data), void *data);
int snap_take(const uuid_t *id, struct bf_dev **first, u32 n_first);
void snap_release_areas(struct snap_snapshot *snapshot);

/* --- area.c --- */

#define SNAP_TAKEN_MAX	8

/* A write that waits; see write.c. */
struct snap_write {
	struct list_head link;
	struct bio *bio;
	struct blkfilter_pos pos;
	u32 next;
	u32 last;
};

/**
 * struct snap_area - the old data of one device while a snapshot is held
 * @ref:       held by the snapshot and by the image's disk.
 * @snapshot:  that it belongs to; it outlives the area's I/O.
 * @tracker:   the filter on the device; used only with @io held.
 * @flt:       its core's part.
 * @start:     of the device, an absolute sector.
 * @sectors:   its size at the instant.
 * @disk:      its disk, as @tracker.
 * @dev:       its number.
 * @block_size, @physical_block_size: its own, in bytes.
 * @shift:     a chunk is 2^@shift sectors.
 * @chunks:    how many.
 * @in_flight_max: of them in memory.
 * @pool_max:  empty copies that are kept.
 * @index:     chunks that were copied.
 * @holes:     ranges that read as zeroes; under snap_mutex, read by RCU.
 * @io:        held by each copy and by each bio of the image: the filter and the
 *             storage stay.
 * @idle:      @io is gone.
 * @stopped:   bit 0: it is being got rid of.
 * @error:     the image is not to be used any more.
 * @event:     tells userspace so, once.
 * @work:      see snap_area_work(); on @wq.
 * @kicks:     that it has not looked after yet.
 * @store:     see snap_area_store(); on @store_wq, beside @work.
 * @begin:     whoever begins copies: both of them.
 * @stuck:     looks whether the storage answers at all.
 * @write_pool: of struct snap_write.
 * @clones, @splits: for bios of the image.
 * @image:     the image's disk, or NULL.
 * @copied, @waited: for statistics.
 * @lock:      for all that follows.
 * @copies:    on their way, by chunk.
 * @pool:      empty copies of one chunk; the last one is for when there is no
 *             memory, and only when nothing is in flight.
 * @pool_size: how many.
 * @in_flight: chunks in memory.
 * @in_memory: chunks that are to be stored and not yet sent.
 * @starved:   the image's bios may have to wait for memory.
 * @storing:   copies that the storage has not answered for.
 * @taken:     writes for which there was no memory, by where they were taken.
 * @writes:    that the worker has to look at.
 * @ready:     that may go on.
 * @to_store:  copies to be stored.
 * @retry:     bios of the image to be looked at again.
 * @wanted:    bios of the image that need copies.
 * @quiet:     a point is coming: nothing new is begun that nobody waits for.
 * @stored_at: when the storage last answered, or had something to do after a pause; jiffies.
 */
struct snap_area {
	struct kref ref;
	struct snap_snapshot *snapshot;
	struct snap_tracker *tracker;
	struct blkfilter *flt;
	sector_t start;
	sector_t sectors;
	struct gendisk *disk;
	dev_t dev;
	u32 block_size;
	u32 physical_block_size;
	u32 shift;
	u32 chunks;
	u32 in_flight_max;
	u32 pool_max;
	struct snap_index index;
	struct snap_ranges __rcu *holes;
	struct percpu_ref io;
	struct completion idle;
	unsigned long stopped;
	int error;
	struct snap_event *event;
	struct work_struct work;
	atomic_t kicks;
	struct delayed_work store;
	struct mutex begin;	/* whoever begins copies */
	struct delayed_work stuck;
	struct workqueue_struct *wq;
	struct workqueue_struct *store_wq;
	mempool_t write_pool;
	struct bio_set clones;
	struct bio_set splits;
	struct gendisk *image;
	atomic64_t copied;
	atomic64_t waited;

	spinlock_t lock;	/* for all that follows */
	struct rb_root copies;
	struct list_head pool;
	u32 pool_size;
	u32 in_flight;
	u32 storing;
	u32 in_memory;
	bool starved;
	struct snap_taken {
		struct blkfilter_pos pos;
		struct bio_list bios;
	} taken[SNAP_TAKEN_MAX];
	struct list_head writes;
	struct list_head ready;
	struct list_head to_store;
	struct bio_list retry;
	struct bio_list wanted;
	bool quiet;
	unsigned long stored_at;
};

struct snap_area *snap_area_new(struct snap_snapshot *snapshot,
				struct snap_tracker *tracker, u32 shift,
				const struct snap_parameters *parameters);
void snap_area_put(struct snap_area *area);
void snap_area_fail(struct snap_area *area, int error);
void snap_area_stop(struct snap_area *area);
void snap_area_quiet(struct snap_area *area, bool quiet);
void snap_area_kick(struct snap_area *area);
void snap_store_kick(struct snap_area *area, bool now);
void snap_areas_wait(void);

static inline int snap_area_error(const struct snap_area *area)
{
	/* Pairs with snap_area_fail(): who has seen what came after sees it. */
	return smp_load_acquire(&area->error);
}

static inline sector_t snap_chunk_sectors(const struct snap_area *area)
{
	return (sector_t)1 << area->shift;
}

/* --- write.c --- */
int snap_writes_init(void);
void snap_writes_exit(void);
extern struct kmem_cache *snap_write_cache;
bool snap_write_concerns(struct snap_area *area, sector_t sector,
			 sector_t sectors, bool whole);
bool snap_write_take(struct snap_area *area, struct blkfilter *flt,
		     struct bio *bio, struct blkfilter_pos pos);
bool snap_write_chained(const struct snap_area *area);
void snap_writes_go_on(struct snap_area *area);
void snap_writes_work(struct snap_area *area);

/* --- copies --- */

enum snap_copy_state {
	SNAP_READING,	/* not in the index yet */
	SNAP_MEMORY,	/* in the index; to be stored */
	SNAP_STORING,
	SNAP_DIRECT,	/* the image is written: in the index, no pages */
};

/**
 * struct snap_copy - consecutive chunks on their way to the storage
 * @node:   in snap_area.copies.
 * @link:   in one of its lists.
 * @area:   whose it is.
 * @chunk:  first one.
 * @n:      chunks.
 * @slot:   of the first one; the others follow.
 * @state:  under snap_area.lock.
 * @writes: wait for the data to be in memory.
 * @images: bios of the image that wait until it is stored.
 * @whole:  bio of the image that @bio writes a part of (SNAP_DIRECT).
 * @refs:   one until it is stored, and one of each reader of its pages.
 * @bio:    reads, then stores; writes to the storage (SNAP_DIRECT).
 * @order:  of the pages in @vec.
 * @nr_vec: how many.
 * @vec:    the pages.
 */
struct snap_copy {
	struct rb_node node;
	struct list_head link;
	struct snap_area *area;
	u32 chunk;
	u32 n;
	u32 slot;
	enum snap_copy_state state;
	struct list_head writes;
	struct bio_list images;
	struct bio *whole;
	refcount_t refs;
	struct bio bio;
	u32 order;
	u32 nr_vec;
	struct bio_vec vec[];
};

/* A write is waiting for it, as in pages.c. */
#define SNAP_COPY_MEMORY	(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN)

static inline u32 snap_chunk_bytes(const struct snap_area *area)
{
	return (u32)SECTOR_SIZE << area->shift;
}

/* --- pool.c --- */
int snap_copies_init(struct snap_area *area);
void snap_copies_free(struct snap_area *area);
struct snap_copy *snap_copy_get(struct snap_area *area, u32 *n);
void snap_copy_put(struct snap_copy *copy);
void snap_kick_waiting(struct snap_area *area);

/* --- copy.c --- */
struct snap_copy *snap_copy_at(struct snap_area *area, u32 chunk);
int snap_copy_start(struct snap_area *area, u32 chunk, u32 n);
struct snap_copy *snap_copy_direct(struct snap_area *area, u32 chunk, u32 n);
void snap_copy_done(struct snap_copy *copy, int error);
void snap_copies_store(struct snap_area *area);
void snap_submit_to(struct snap_area *area, const struct snap_place *place,
		    struct bio *bio);

/* --- image.c --- */
int snap_image_pools(struct snap_area *area);
int snap_image_add(struct snap_area *area);
void snap_image_remove(struct snap_area *area);
bool snap_is_image(const struct block_device *bdev);
void snap_images_work(struct snap_area *area);

#endif /* BLKSNAP_SNAP_H */
