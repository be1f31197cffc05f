// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bio's way along the chain of its disk.
 *
 * bf_submit() stands in for submit_bio_noacct_nocheck() for every bio of a
 * filtered disk.  A bio first gets a hold (a reference on the version of the
 * stacks that it goes through, or, while the gate is closed and the bio belongs
 * to work that the gate waits for, a count on the disk); without one it is
 * parked.  It then walks the path of its device; a filter may take it, and with
 * it the hold, until blkfilter_resume() or blkfilter_end().  At the end of the
 * path it is marked as passed and given to the original.
 *
 * Marks, in struct bio itself (both kernels have a hole at byte 26, and flag
 * bits 14 and 15 are free; asserted below):
 *
 *   bit 15  passed: the hole holds the disk's id; its lowest bit says that the
 *           bio was counted by the hold across the original alone.  Valid only
 *           together with BIO_TRACE_COMPLETION, which the original sets and the
 *           final completion clears: a bio that is used again is shown again.
 *           bio_init() and dm_bio_restore() clear bit 15, clones do not copy it.
 *   bit 14  a filter's own bio on its way in: the hole holds the filter's tag
 *           (enters below it) or 0 (enters at the top).  Such a bio passes
 *           closed gates.
 *
 * Counting until completion: the gate of a point must wait for all writes that
 * have passed.  A bio that is given to a blk-mq disk with current->bio_list
 * NULL has been turned into requests when the original returns (blk-mq's
 * __submit_bio_noacct_mq() loops until its own list is empty), and those hold
 * q_usage_counter: the hold across the original and a queue freeze after the
 * drain are enough.  All others get bi_end_io wrapped.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "core.h"
#include "trace.h"

#define BF_PASSED	BIT(15)
#define BF_OWN		BIT(14)
#define BF_MARKED	(BF_PASSED | BIT(BIO_TRACE_COMPLETION))
#define BF_SHORTCUT	1		/* lowest bit of the id in a bio */

#define BF_INDEX_EXTRA	BIT(15)		/* blkfilter_pos.index: hold is a count */
#define BF_INDEX_MASK	(BF_INDEX_EXTRA - 1)

#define BF_RECORDS_MIN	64
#define BF_SPLITS_MIN	16

/* A counted write, from the end of its path to its completion. */
struct bf_record {
	union {
		bio_end_io_t *end_io;
		struct bf_record *next;		/* in a cache */
	};
	void *private;
	struct bf_disk *disk;
	struct bf_version *version;	/* NULL: the hold is a count on disk */
};

/* What a bio holds while it is on its way; both NULL: nothing. */
struct bf_hold {
	struct bf_version *version;
	struct bf_disk *extra;
};

static struct kmem_cache *bf_record_slab;

/*
 * Some free records for each CPU, as the block layer has for its bios: pool and
 * slab take three times as many instructions as all else that counting does.
 */
#define BF_CACHED_MOST	64

static DEFINE_PER_CPU(struct bf_cache {
	struct bf_record *first;
	u32 n;
}, bf_cache);

static_assert(BIO_FLAG_LAST <= 14);
#ifndef __CHECKER__	/* sparse takes packed enums for ints */
static_assert(offsetofend(struct bio, bi_status) <= 26);
static_assert(offsetof(struct bio, __bi_remaining) == 28);
#endif

static __always_inline u16 *bf_hole(struct bio *bio)
{
	return (u16 *)((u8 *)bio + 26);
}

static __always_inline bool bf_passed(struct bio *bio, u16 id)
{
	return (bio->bi_flags & BF_MARKED) == BF_MARKED &&
	       ((*bf_hole(bio) & ~BF_SHORTCUT) == id || bf_fault(IGNORE_ID));
}

static __always_inline void bf_mark(struct bio *bio, u16 id)
{
	bio->bi_flags |= BF_PASSED;
	*bf_hole(bio) = id;
}

static __always_inline bool bf_is_own(const struct bio *bio)
{
	return bio->bi_flags & BF_OWN;
}

static __always_inline void bf_mark_own(struct bio *bio, u16 tag)
{
	bio->bi_flags &= ~BF_PASSED;
	bio->bi_flags |= BF_OWN;
	*bf_hole(bio) = tag;
}

/* What a bio may not carry once it is completed from another context. */
static void bf_make_async(struct bio *bio)
{
	bio_clear_polled(bio);
	bio->bi_opf &= ~REQ_NOWAIT;
}

/* --- holds --- */

noinline void bf_extra_put(struct bf_disk *disk)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	if (!--disk->extra)
		wake_up_all(&disk->wait);
	spin_unlock_irqrestore(&disk->lock, flags);
}

static __always_inline void bf_drop(struct bf_hold hold)
{
	if (likely(hold.version))
		percpu_ref_put(&hold.version->ref);
	else if (hold.extra)
		bf_extra_put(hold.extra);
}

static void bf_hold_again(struct bf_hold hold)
{
	if (likely(hold.version)) {
		percpu_ref_get(&hold.version->ref);
	} else {
		spin_lock_irq(&hold.extra->lock);
		hold.extra->extra++;
		spin_unlock_irq(&hold.extra->lock);
	}
}

static __always_inline struct bf_hold bf_hold_of(struct blkfilter_path *path,
						 u32 index)
{
	if (likely(!(index & BF_INDEX_EXTRA)))
		return (struct bf_hold){ .version = path->version };
	return (struct bf_hold){ .extra = path->version->disk };
}

static void bf_queue(struct bf_disk *disk, struct bio_list *list,
		     struct bio *bio)
{
	unsigned long flags;

	bf_make_async(bio);
	spin_lock_irqsave(&disk->lock, flags);
	bio_list_add(list, bio);
	spin_unlock_irqrestore(&disk->lock, flags);
	queue_work(disk->wq, &disk->work);
}

enum bf_admission {
	BF_ADMITTED,	/* with a reference on the version */
	BF_COUNTED,	/* with a count on the disk */
	BF_PARKED,	/* the bio is no longer the caller's */
	BF_RETRY,	/* the version was replaced meanwhile */
	BF_GONE,	/* the disk was removed: it has no chain any more */
};

/*
 * The current version cannot be entered: the gate is closed, or the version is
 * being replaced.  Parks the bio (its memory is its own: nothing is needed for
 * that), or admits it with a count when it belongs to what the gate waits for.
 * A bio that must not wait is ended; that counts as parked.
 */
static noinline enum bf_admission bf_admit_closed(struct bf_disk *disk,
						  struct bio *bio,
						  bool privileged)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	enum bf_admission admission = BF_PARKED;

	spin_lock_irq(&disk->lock);
	if (disk->gone) {
		admission = BF_GONE;
	} else if (!disk->closed) {
		admission = BF_RETRY;
	} else if (privileged && !disk->sealed) {
		disk->extra++;
		admission = BF_COUNTED;
	} else if (!nowait) {
		bf_make_async(bio);
		trace_blkfilter_park(bio);
		bio_list_add(&disk->parked, bio);
	}
	spin_unlock_irq(&disk->lock);

	if (admission == BF_PARKED && nowait) {
		bio->bi_flags &= ~(BF_PASSED | BF_OWN);
		bio_wouldblock_error(bio);
	}
	if (admission == BF_RETRY)
		cpu_relax();
	return admission;
}

/*
 * Gets a hold for a bio of @disk.  Called under rcu_read_lock(), which keeps
 * the disk; afterwards the hold does.  A zoned disk that is opening stays closed
 * for new bios until the parked ones are through: none may overtake them.
 */
static __always_inline enum bf_admission bf_admit(struct bf_disk *disk,
						  struct bio *bio,
						  bool privileged,
						  struct bf_version **version)
{
	*version = rcu_dereference(disk->version);
	if (likely(*version && percpu_ref_tryget_live_rcu(&(*version)->ref))) {
		if (likely(!disk->zoned || privileged ||
			   !READ_ONCE(disk->closed)))
			return BF_ADMITTED;
		percpu_ref_put(&(*version)->ref);
	}
	return bf_admit_closed(disk, bio, privileged);
}

/* What a bio that was admitted holds. */
static __always_inline struct bf_hold bf_hold_from(enum bf_admission admission,
						   struct bf_disk *disk,
						   struct bf_version *version)
{
	if (likely(admission == BF_ADMITTED))
		return (struct bf_hold){ .version = version };
	return (struct bf_hold){ .extra = disk };
}

/* --- counting until completion --- */

/*
 * Waiting for an element of the pool is allowed only at top level: with
 * current->bio_list set, its users may be on that very list.  NULL: no memory
 * without waiting.
 */
static struct bf_record *bf_record_alloc(struct bf_disk *disk)
{
	struct bf_record *record;
	struct bf_cache *cache;
	unsigned long flags;

	local_irq_save(flags);
	cache = this_cpu_ptr(&bf_cache);
	record = cache->first;
	if (record) {
		cache->first = record->next;
		cache->n--;
	}
	local_irq_restore(flags);
	if (likely(record))
		return record;
	return mempool_alloc(&disk->records,
			     current->bio_list ? GFP_NOWAIT | __GFP_NOWARN :
						 GFP_NOIO);
}

static void bf_record_free(struct bf_disk *disk, struct bf_record *record)
{
	mempool_t *pool = &disk->records;
	struct bf_cache *cache;
	unsigned long flags;
	bool cached = false;

	/* A pool that lacks elements comes first: somebody may wait for one. */
	if (likely(READ_ONCE(pool->curr_nr) >= pool->min_nr)) {
		local_irq_save(flags);
		cache = this_cpu_ptr(&bf_cache);
		if (cache->n < BF_CACHED_MOST) {
			record->next = cache->first;
			cache->first = record;
			cache->n++;
			cached = true;
		}
		local_irq_restore(flags);
	}
	if (!cached)
		mempool_free(record, pool);
}

static void bf_counted_end_io(struct bio *bio)
{
	struct bf_record *record = bio->bi_private;
	struct bf_disk *disk = record->disk;
	struct bf_hold hold = {
		.version = record->version,
		.extra = record->version ? NULL : disk,
	};

	bio->bi_end_io = record->end_io;
	bio->bi_private = record->private;
	bf_record_free(disk, record);
	bf_drop(hold);
	/* bio_endio() has done the rest of its work before it called us. */
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

/* Makes the completion of @bio drop @hold.  False: no memory without waiting. */
static bool bf_count(struct bf_disk *disk, struct bio *bio, struct bf_hold hold)
{
	struct bf_record *record = bf_record_alloc(disk);

	if (!record)
		return false;
	record->end_io = bio->bi_end_io;
	record->private = bio->bi_private;
	record->disk = disk;
	record->version = hold.version;
	bio->bi_end_io = bf_counted_end_io;
	bio->bi_private = record;
	return true;
}

/* --- walking a path --- */

/* enum blkfilter_group by operation. */
static u8 bf_groups[1 << REQ_OP_BITS] __ro_after_init;

static __always_inline u8 *bf_group_of(enum req_op op)
{
	return &bf_groups[(__force u32)op];
}

static void __init bf_groups_init(void)
{
	memset(bf_groups, BLKFILTER_GROUP_OTHER, sizeof(bf_groups));
	*bf_group_of(REQ_OP_READ) = BLKFILTER_GROUP_READ;
	*bf_group_of(REQ_OP_WRITE) = BLKFILTER_GROUP_WRITE;
	*bf_group_of(REQ_OP_ZONE_APPEND) = BLKFILTER_GROUP_WRITE;
	*bf_group_of(REQ_OP_DISCARD) = BLKFILTER_GROUP_DISCARD;
	*bf_group_of(REQ_OP_SECURE_ERASE) = BLKFILTER_GROUP_DISCARD;
	*bf_group_of(REQ_OP_WRITE_ZEROES) = BLKFILTER_GROUP_ZEROES;
}

static __always_inline void
bf_account(struct blkfilter_statistics __percpu *stats, const struct bio *bio)
{
	u32 group = *bf_group_of(bio_op(bio)), sectors = bio_sectors(bio);

	if (unlikely(!sectors && group == BLKFILTER_GROUP_WRITE)) {
		this_cpu_inc(stats->bios[BLKFILTER_GROUP_FLUSH]);
		return;
	}
	this_cpu_inc(stats->bios[group]);
	this_cpu_add(stats->sectors[group], sectors);
}

/* Hands over to the worker: goes on behind step @index of @path. */
static void bf_resume_later(struct blkfilter_path *path, u32 index,
			    struct bio *bio)
{
	struct bf_disk *disk = path->version->disk;
	unsigned long flags;

	bf_make_async(bio);
	*bf_hole(bio) = index;
	spin_lock_irqsave(&disk->lock, flags);
	bio_list_add(&path->resumes, bio);
	if (list_empty(&path->pending))
		list_add_tail(&path->pending, &disk->pending);
	spin_unlock_irqrestore(&disk->lock, flags);
	queue_work(disk->wq, &disk->work);
}

/* Sends a write whose completion has to be counted by wrapping it. */
static noinline void bf_send_wrapped(struct blkfilter_path *path, u32 index,
				     struct bio *bio)
{
	struct bf_disk *disk = path->version->disk;
	u16 id = READ_ONCE(disk->id);

	if (unlikely(!bf_count(disk, bio, bf_hold_of(path, index)))) {
		bf_resume_later(path, index, bio);
		return;
	}
	bf_mark(bio, id);
	static_call(bf_original)(bio);
}

/*
 * The end of the path: to the device.  Every way out is a tail call of the
 * original, or holds a reference across it (see hook.c, unloading).
 */
static __always_inline void bf_send(struct blkfilter_path *path, u32 index,
				    struct bio *bio)
{
	struct bf_disk *disk = path->version->disk;

	if (!path->counts || !op_is_write(bio_op(bio)) ||
	    (bf_fault(NO_WRAPPING) && !disk->mq)) {
		bf_mark(bio, READ_ONCE(disk->id));
		if (index & BF_INDEX_EXTRA)
			bf_extra_put(disk);
		else
			percpu_ref_put(&path->version->ref);
		static_call(bf_original)(bio);
	} else if (!(index & BF_INDEX_EXTRA) && disk->mq &&
		   !current->bio_list) {
		bf_mark(bio, READ_ONCE(disk->id) | BF_SHORTCUT);
		static_call(bf_original)(bio);
		percpu_ref_put(&path->version->ref);
	} else {
		bf_send_wrapped(path, index, bio);
	}
}

/*
 * Shows @bio to the steps from @i on.  Takes over the bio and its hold, which is
 * a count if @extra is BF_INDEX_EXTRA.
 */
static __always_inline void bf_show(struct blkfilter_path *path, u32 i,
				    u32 extra, struct bio *bio)
{
	for (; i < path->n; i++) {
		const struct bf_step *step = &path->step[i];
		struct blkfilter_pos pos = { path, i | extra };

		bf_account(step->stats, bio);
		if (step->submit_bio(step->flt, bio, pos))
			return;
	}
	bf_send(path, i | extra, bio);
}

static noinline void bf_walk(struct blkfilter_path *path, u32 index,
			     struct bio *bio)
{
	bf_show(path, index & BF_INDEX_MASK, index & BF_INDEX_EXTRA, bio);
}

/*
 * Returned by value: a variable whose address is taken would keep the compiler
 * from leaving our functions by tail calls (see bf_send()).
 */
struct bf_way {
	struct blkfilter_path *path;
	u32 n;
};

/* The path that @dev's filters are on; the disk's when there is none. */
static struct blkfilter_path *bf_path_with(struct bf_version *version,
					   const struct bf_dev *dev)
{
	u32 i;

	for (i = 0; i < version->nr_parts; i++)
		if (version->parts[i]->part == dev)
			return version->parts[i];
	return version->whole;
}

/*
 * Where a filter's own bio enters: the step below the filter.  By altitude, as the
 * filter may have been taken off while the bio was on its way.
 */
static struct bf_way bf_path_below(struct bf_version *version,
				   const struct blkfilter_instance *inst)
{
	struct blkfilter_path *path = bf_path_with(version, inst->dev);
	u32 k = 0, own = path->own;

	/* On the whole disk's path the disk's filters are its own ones. */
	if (!path->part)
		own = inst->dev->partno ? 0 : path->n;
	while (k < own && path->step[k].inst->altitude >= inst->altitude)
		k++;
	return (struct bf_way){ path, bf_fault(OWN_AT_TOP) ? 0 : k };
}

/*
 * The path for a bio of the whole disk: a filtered partition that it overlaps,
 * or the disk's own; and how many of the bio's sectors go that way.
 */
static struct bf_way bf_path_at(struct bf_version *version, sector_t sector,
				u32 sectors)
{
	u32 i;

	for (i = 0; i < version->nr_parts; i++) {
		struct blkfilter_path *path = version->parts[i];
		sector_t end = READ_ONCE(path->end);

		if (sector >= end)
			continue;
		if (sector >= path->start)
			return (struct bf_way){
				path, min_t(sector_t, sectors, end - sector),
			};
		sectors = min_t(sector_t, sectors, path->start - sector);
		break;
	}
	return (struct bf_way){ version->whole, sectors };
}

static __always_inline struct bf_way bf_path_of(struct bf_version *version,
						struct bio *bio)
{
	struct block_device *bdev = bio->bi_bdev;
	u32 sectors = bio_sectors(bio);
	u8 no = bdev_partno(bdev);

	if (no) {
		struct blkfilter_path *path =
			no < version->nr_no ? version->by_no[no] : NULL;

		if (likely(!path || path->bdev == bdev))
			return (struct bf_way){ path ?: version->whole, sectors };
		/* Deleted or exchanged meanwhile: the sectors decide. */
	}
	if (likely(!version->nr_parts) || !sectors)
		return (struct bf_way){ version->whole, sectors };
	return bf_path_at(version, bio->bi_iter.bi_sector, sectors);
}

/* A device is larger or smaller than the filters know: tells them. */
static noinline void bf_tell_sizes(const struct blkfilter_path *path)
{
	if (path->disk_dev)
		bf_dev_check(path->disk_dev);
	if (path->part)
		bf_dev_check(path->part);
}

/* Is one?  The disk cannot go, nor the block device of the bio. */
static __always_inline bool bf_sizes_differ(const struct blkfilter_path *path,
					    const struct bio *bio)
{
	struct block_device *bdev = bio->bi_bdev;

	if (path->disk_dev &&
	    unlikely(bf_dev_differs(path->disk_dev, bdev->bd_disk->part0)))
		return true;
	if (likely(!path->part))
		return false;
	return path->bdev == bdev ? bf_dev_differs(path->part, bdev) :
				    bf_dev_altered(path->part);
}

/* Splits off the first @sectors, which go another way than the rest. */
static struct bio *bf_split(struct bf_disk *disk, struct bio *bio, u32 sectors)
{
	struct bio *front;

	bio_clear_polled(bio);
	/*
	 * Never waits: the fronts that would have to be completed first may be
	 * waiting for the worker, which may be us.
	 */
	front = bio_split(bio, sectors, GFP_NOWAIT | __GFP_NOWARN,
			  &disk->splits);
	if (front)
		bio_chain(front, bio);
	return front;
}

/* A fresh bio with a hold: finds its path, or its paths, and walks. */
static void bf_enter(struct bf_disk *disk, struct bf_version *version,
		     struct bf_hold hold, struct bio *bio)
{
	u32 extra = hold.version ? 0 : BF_INDEX_EXTRA;
	struct bio *front;
	struct bf_way way;

	for (;;) {
		way = bf_path_of(version, bio);
		if (op_is_write(bio_op(bio)) && bf_sizes_differ(way.path, bio))
			bf_tell_sizes(way.path);
		if (likely(way.n == bio_sectors(bio)))
			break;
		if (bf_bio_atomic(bio)) {
			/* Half of it would be another device's. */
			bio->bi_status = BLK_STS_NOTSUPP;
			bio_endio(bio);
			bf_drop(hold);
			return;
		}
		front = bf_split(disk, bio, way.n);
		if (!front) {
			bf_queue(disk, &disk->deferred, bio);
			bf_drop(hold);
			return;
		}
		bf_hold_again(hold);
		bf_walk(way.path, extra, front);
	}
	bf_walk(way.path, extra, bio);
}

/* A filter's own bio with a hold. */
static void bf_enter_own(struct bf_disk *disk, struct bf_version *version,
			 struct bf_hold hold, struct bio *bio)
{
	struct blkfilter_instance *inst = bf_instance_of(*bf_hole(bio));
	struct bf_way way;

	bio->bi_flags &= ~BF_OWN;
	if (!inst || inst->dev->gd != disk->gd) {
		bf_enter(disk, version, hold, bio);
		return;
	}
	way = bf_path_below(version, inst);
	bf_walk(way.path, way.n | (hold.version ? 0 : BF_INDEX_EXTRA), bio);
}

/* Any bio, with a hold on @version. */
static void bf_admitted(struct bf_disk *disk, struct bf_version *version,
			struct bf_hold hold, struct bio *bio)
{
	if (bf_passed(bio, READ_ONCE(disk->id))) {
		/* Rest of a bio that was counted by the shortcut; see below. */
		static_call(bf_original)(bio);
		bf_drop(hold);
	} else if (bf_is_own(bio)) {
		bf_enter_own(disk, version, hold, bio);
	} else {
		bf_enter(disk, version, hold, bio);
	}
}

/*
 * Any bio in any state: passed before, a filter's own, of a closed, a zoned, or
 * no filtered disk.
 */
static noinline void bf_submit_any(struct bio *bio)
{
	enum bf_admission admission = BF_GONE;
	struct bf_version *version = NULL;
	struct bf_disk *disk;

	rcu_read_lock();
	do {
		disk = bf_disk_find(bio->bi_bdev->bd_disk);
		if (unlikely(!disk))
			break;
		/*
		 * Passed before: a remainder, or held back below us.  When it
		 * was counted by the shortcut, nothing counts this rest of it
		 * when it arrives from somewhere else (blk-throttle's worker):
		 * it needs a hold of its own, or it would be written past a
		 * closed gate unseen.
		 */
		if (bf_passed(bio, READ_ONCE(disk->id)) &&
		    (!(*bf_hole(bio) & BF_SHORTCUT) || current->bio_list ||
		     bf_fault(REMAINDER_PASSES_GATE))) {
			admission = BF_GONE;
			break;
		}
		admission = bf_admit(disk, bio, bf_is_own(bio), &version);
	} while (admission == BF_RETRY);
	rcu_read_unlock();

	if (admission == BF_PARKED)
		return;
	if (admission == BF_GONE) {
		bio->bi_flags &= ~BF_OWN;
		static_call(bf_original)(bio);
	} else {
		/* With a count the version cannot change: the gate is closed. */
		bf_admitted(disk, version,
			    bf_hold_from(admission, disk, version), bio);
	}
}

/**
 * bf_submit() - stands in for submit_bio_noacct_nocheck()
 * @bio: any bio of a disk that was filtered a moment ago.
 *
 * Not inlined and not traced: ftrace jumps here.  What is most frequent stands
 * here whole, as every instruction counts: a fresh bio of a disk, or of a
 * partition that it came through, with the gate open.
 */
void notrace bf_submit(struct bio *bio)
{
	struct bf_disk *disk = bf_disk_find(bio->bi_bdev->bd_disk);
	struct blkfilter_path *path;
	struct bf_version *version;

	if (unlikely(!disk || disk->zoned ||
		     bio->bi_flags & (BF_PASSED | BF_OWN))) {
		bf_submit_any(bio);
		return;
	}
	rcu_read_lock();
	version = rcu_dereference(disk->version);
	if (unlikely(!version || !percpu_ref_tryget_live_rcu(&version->ref)))
		version = NULL;
	rcu_read_unlock();
	if (unlikely(!version)) {
		bf_submit_any(bio);
		return;
	}

	path = version->whole;
	if (version->nr_parts) {
		u8 no = bdev_partno(bio->bi_bdev);

		path = no && no < version->nr_no ? version->by_no[no] : NULL;
		if (!path || unlikely(path->bdev != bio->bi_bdev)) {
			bf_enter(version->disk, version,
				 (struct bf_hold){ .version = version }, bio);
			return;
		}
	}
	if (op_is_write(bio_op(bio)) && unlikely(bf_sizes_differ(path, bio)))
		bf_tell_sizes(path);
	bf_show(path, 0, 0, bio);
}

/* --- the worker of a disk --- */

static void bf_submit_elsewhere(struct bf_disk *disk, struct bio *bio);

static void bf_run_resumes(struct bf_disk *disk)
{
	struct blkfilter_path *path;
	struct bio_list bios;
	struct bio *bio;

	for (;;) {
		spin_lock_irq(&disk->lock);
		path = list_first_entry_or_null(&disk->pending,
						struct blkfilter_path, pending);
		if (path) {
			list_del_init(&path->pending);
			bios = path->resumes;
			bio_list_init(&path->resumes);
		}
		spin_unlock_irq(&disk->lock);
		if (!path)
			return;
		/* Each of them holds the path's version, or counts on disk. */
		while ((bio = bio_list_pop(&bios)))
			bf_walk(path, *bf_hole(bio), bio);
	}
}

static void bf_run_deferred(struct bf_disk *disk)
{
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&disk->lock);
	bios = disk->deferred;
	bio_list_init(&disk->deferred);
	spin_unlock_irq(&disk->lock);
	while ((bio = bio_list_pop(&bios))) {
		if (bio->bi_bdev->bd_disk == disk->gd)
			bf_submit(bio);
		else
			bf_submit_elsewhere(disk, bio);
	}
}

/*
 * Parked bios enter when the gate opens.  On a zoned disk new ones are parked
 * behind them until none is left, so that none overtakes.
 */
static struct bio *bf_pop_parked(struct bf_disk *disk,
				 struct bf_version **version)
{
	struct bio *bio = NULL;

	rcu_read_lock();
	for (;;) {
		*version = rcu_dereference(disk->version);
		if (!*version || percpu_ref_tryget_live_rcu(&(*version)->ref))
			break;
		if (READ_ONCE(disk->closed)) {
			/* Opening it queues the worker again. */
			rcu_read_unlock();
			return NULL;
		}
		cpu_relax();	/* the version was replaced meanwhile */
	}
	spin_lock_irq(&disk->lock);
	bio = bio_list_pop(&disk->parked);
	if (!bio && disk->closed && disk->zoned) {
		disk->closed = false;
		wake_up_all(&disk->wait);
	}
	spin_unlock_irq(&disk->lock);
	rcu_read_unlock();
	if (!bio && *version)
		percpu_ref_put(&(*version)->ref);
	return bio;
}

/**
 * bf_unseal() - the gate is only closed again: own bios pass
 * @disk: the disk.
 */
void bf_unseal(struct bf_disk *disk)
{
	struct bio_list parked;
	struct bio *bio;

	spin_lock_irq(&disk->lock);
	disk->sealed = false;
	parked = disk->parked;
	bio_list_init(&disk->parked);
	while ((bio = bio_list_pop(&parked)))
		bio_list_add(bf_is_own(bio) ? &disk->deferred : &disk->parked,
			     bio);
	spin_unlock_irq(&disk->lock);
	queue_work(disk->wq, &disk->work);
}

static void bf_run_parked(struct bf_disk *disk)
{
	struct bf_version *version;
	struct bio *bio;

	while ((bio = bf_pop_parked(disk, &version))) {
		struct bf_hold hold = { .version = version };

		if (bio->bi_bdev->bd_disk != disk->gd) {
			bf_submit_elsewhere(disk, bio);
			bf_drop(hold);
		} else if (version) {
			bf_admitted(disk, version, hold, bio);
		} else {
			bio->bi_flags &= ~BF_OWN;
			static_call(bf_original)(bio);
		}
	}
}

void bf_worker(struct work_struct *work)
{
	struct bf_disk *disk = container_of(work, struct bf_disk, work);
	unsigned int noio = memalloc_noio_save();
	struct blk_plug plug;

	blk_start_plug(&plug);
	bf_run_resumes(disk);
	bf_run_deferred(disk);
	bf_run_parked(disk);
	blk_finish_plug(&plug);
	memalloc_noio_restore(noio);
}

/* --- what filters call --- */

/**
 * blkfilter_take() - take a bio
 * @flt: the filter that was shown it.
 * @bio: the bio.
 * @pos: as given to submit_bio().
 *
 * To be called in submit_bio() before the bio is handed to anybody; submit_bio()
 * then returns true.  The bio is no longer polled nor NOWAIT: it is completed
 * from another context.  Any context.
 */
void blkfilter_take(struct blkfilter *flt, struct bio *bio,
		    struct blkfilter_pos pos)
{
	bf_make_async(bio);
	this_cpu_inc(flt->core->stats->taken);
	trace_blkfilter_take(flt, bio);
}
EXPORT_SYMBOL_GPL(blkfilter_take);

/**
 * blkfilter_resume() - let a taken bio go on below the filter
 * @pos: where it was taken.
 * @bio: the bio.
 *
 * From a task that may sleep, or from an interrupt.  Called in an interrupt, or
 * inside another submission (current->bio_list), the disk's worker does it.
 */
void blkfilter_resume(struct blkfilter_pos pos, struct bio *bio)
{
	struct blkfilter_path *path = pos.path;
	struct blkfilter *flt = path->step[pos.index & BF_INDEX_MASK].flt;
	u32 next = pos.index + 1;

	if (bf_fault(RESUME_AT_TOP))
		next = pos.index & BF_INDEX_EXTRA;
	this_cpu_inc(flt->core->stats->resumed);
	trace_blkfilter_resume(flt, bio);
	if (!in_task() || irqs_disabled() || current->bio_list)
		bf_resume_later(path, next, bio);
	else
		bf_walk(path, next, bio);
}
EXPORT_SYMBOL_GPL(blkfilter_resume);

/**
 * blkfilter_end() - end a taken bio
 * @pos:    where it was taken.
 * @bio:    the bio.
 * @status: its result.
 *
 * Any context that may complete a bio.
 */
void blkfilter_end(struct blkfilter_pos pos, struct bio *bio,
		   blk_status_t status)
{
	struct bf_hold hold = bf_hold_of(pos.path, pos.index);
	struct bf_step *step = &pos.path->step[pos.index & BF_INDEX_MASK];

	this_cpu_inc(step->inst->stats->ended);
	bio->bi_flags &= ~(BF_PASSED | BF_OWN);
	bio->bi_status = status;
	bio_endio(bio);
	bf_drop(hold);
}
EXPORT_SYMBOL_GPL(blkfilter_end);

static void bf_prepare_own(struct blkfilter *flt, struct bio *bio)
{
	bio->bi_opf &= ~(REQ_POLLED | REQ_NOWAIT | REQ_ALLOC_CACHE);
	this_cpu_inc(flt->core->stats->own);
}

/**
 * blkfilter_submit_below() - send a bio of the filter's own to its device
 * @flt: the filter.
 * @bio: the bio; bi_bdev is set here to the whole disk, so bi_sector counts
 *       from the disk's first sector: add blkfilter_start().
 *
 * It enters below the filter and passes closed gates, and the gate waits for
 * it.  From a task that may sleep.  The filter waits in detach() for its own
 * bios that are on their way.
 */
void blkfilter_submit_below(struct blkfilter *flt, struct bio *bio)
{
	bf_prepare_own(flt, bio);
	bio_set_dev(bio, flt->core->disk->gd->part0);
	bf_mark_own(bio, flt->core->tag);
	submit_bio_noacct(bio);
}
EXPORT_SYMBOL_GPL(blkfilter_submit_below);

/* Counts a bio to another device for @disk until it completes, and sends it. */
static void bf_submit_elsewhere(struct bf_disk *disk, struct bio *bio)
{
	enum bf_admission admission;
	struct bf_version *version;
	struct bf_hold hold;

	bf_mark_own(bio, 0);
	do {
		rcu_read_lock();
		admission = bf_admit(disk, bio, true, &version);
		rcu_read_unlock();
	} while (admission == BF_RETRY);
	if (admission == BF_PARKED)
		return;
	if (admission != BF_GONE) {
		hold = bf_hold_from(admission, disk, version);
		if (!bf_count(disk, bio, hold)) {
			bf_queue(disk, &disk->deferred, bio);
			bf_drop(hold);
			return;
		}
	}
	submit_bio_noacct(bio);
}

/**
 * blkfilter_submit_other() - send a bio of the filter's own to another device
 * @flt: the filter.
 * @bio: the bio, complete with bi_bdev; not a device of the filter's own disk.
 *
 * It enters that device's chain at the top and passes closed gates; until it
 * completes, the gates of both disks wait for it.  From a task that may sleep.
 */
void blkfilter_submit_other(struct blkfilter *flt, struct bio *bio)
{
	bf_prepare_own(flt, bio);
	bf_submit_elsewhere(flt->core->disk, bio);
}
EXPORT_SYMBOL_GPL(blkfilter_submit_other);

sector_t blkfilter_start(const struct blkfilter *flt)
{
	return flt->core->dev->start;
}
EXPORT_SYMBOL_GPL(blkfilter_start);

/* --- start and end --- */

int bf_records_init(struct bf_disk *disk)
{
	int ret = mempool_init_slab_pool(&disk->records, BF_RECORDS_MIN,
					 bf_record_slab);

	if (ret)
		return ret;
	ret = bioset_init(&disk->splits, BF_SPLITS_MIN, 0, 0);
	if (ret)
		mempool_exit(&disk->records);
	return ret;
}

int __init bf_bio_init(void)
{
	bf_groups_init();
	bf_record_slab = kmem_cache_create("blkfilter_record",
					   sizeof(struct bf_record), 0, 0,
					   NULL);
	return bf_record_slab ? 0 : -ENOMEM;
}

/* Nothing is counted any more. */
void bf_bio_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct bf_cache *cache = per_cpu_ptr(&bf_cache, cpu);

		while (cache->first) {
			struct bf_record *record = cache->first;

			cache->first = record->next;
			kmem_cache_free(bf_record_slab, record);
		}
	}
	kmem_cache_destroy(bf_record_slab);
}
