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
 * Counting until completion: the gate of a point must wait for all writes that
 * have passed.  A bio that is given to a blk-mq disk with current->bio_list
 * NULL has been turned into requests when the original returns (blk-mq's
 * __submit_bio_noacct_mq() loops until its own list is empty), and those hold
 * q_usage_counter: the hold across the original and a queue freeze after the
 * drain are enough.  All others get bi_end_io wrapped (count.c).
 */
#include "bio.h"

noinline void bf_extra_put(struct bf_disk *disk)
{
	unsigned long flags;

	spin_lock_irqsave(&disk->lock, flags);
	if (!--disk->extra)
		wake_up_all(&disk->wait);
	spin_unlock_irqrestore(&disk->lock, flags);
}

/* enum blkfilter_group by operation. */
static u8 bf_groups[1 << REQ_OP_BITS] __ro_after_init;

static __always_inline u8 *bf_group_of(enum req_op op)
{
	return &bf_groups[(__force u32)op];
}

void __init bf_bio_init(void)
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
			bf_version_drop(path->version);
		static_call(bf_original)(bio);
	} else if (!(index & BF_INDEX_EXTRA) && disk->mq &&
		   !current->bio_list) {
		bf_mark(bio, READ_ONCE(disk->id) | BF_SHORTCUT);
		static_call(bf_original)(bio);
		bf_version_drop(path->version);
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

noinline void bf_walk(struct blkfilter_path *path, u32 index, struct bio *bio)
{
	bf_show(path, index & BF_INDEX_MASK, index & BF_INDEX_EXTRA, bio);
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
void bf_admitted(struct bf_disk *disk, struct bf_version *version,
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
	bool held;

	if (unlikely(!disk || disk->zoned ||
		     bio->bi_flags & (BF_PASSED | BF_OWN))) {
		bf_submit_any(bio);
		return;
	}
	preempt_disable();
	version = rcu_dereference_sched(disk->version);
	held = bf_version_tryget(version);
	preempt_enable();
	if (unlikely(!held)) {
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
