/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bio.c and its neighbours (path.c, count.c, worker.c, own.c) share: marks
 * in a bio, holds, admission.
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
 */
#ifndef BLKFILTER_BIO_H
#define BLKFILTER_BIO_H

#include "core.h"
#include "trace.h"

#define BF_PASSED	BIT(15)
#define BF_OWN		BIT(14)
#define BF_MARKED	(BF_PASSED | BIT(BIO_TRACE_COMPLETION))
#define BF_SHORTCUT	1		/* lowest bit of the id in a bio */

#define BF_INDEX_EXTRA	BIT(15)		/* blkfilter_pos.index: hold is a count */
#define BF_INDEX_MASK	(BF_INDEX_EXTRA - 1)

/* What a bio holds while it is on its way; both NULL: nothing. */
struct bf_hold {
	struct bf_version *version;
	struct bf_disk *extra;
};

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
static inline void bf_make_async(struct bio *bio)
{
	bio_clear_polled(bio);
	bio->bi_opf &= ~REQ_NOWAIT;
}

/* --- holds --- */

/*
 * A reference on @version, if it can be had at once: with preemption disabled.
 * False says nothing but that percpu_ref has to be asked.
 *
 * percpu_ref's own functions call __rcu_read_lock() and __rcu_read_unlock() on
 * kernels with preemptible RCU, which is a quarter of what a filter that passes
 * may cost.  The grace period before a percpu_ref changes over (call_rcu() in
 * __percpu_ref_switch_to_atomic()) waits for regions without preemption just as
 * well, since RCU's flavours are one (5.0).
 */
static __always_inline bool bf_version_tryget(struct bf_version *version)
{
	unsigned long __percpu *count;

	if (unlikely(!version || !__ref_is_percpu(&version->ref, &count)))
		return false;
	this_cpu_inc(*count);
	return true;
}

static __always_inline void bf_version_drop(struct bf_version *version)
{
	unsigned long __percpu *count;

	preempt_disable();
	if (likely(__ref_is_percpu(&version->ref, &count))) {
		this_cpu_dec(*count);
		preempt_enable();
		return;
	}
	preempt_enable();
	percpu_ref_put(&version->ref);
}

static __always_inline void bf_drop(struct bf_hold hold)
{
	if (likely(hold.version))
		bf_version_drop(hold.version);
	else if (hold.extra)
		bf_extra_put(hold.extra);
}

static inline void bf_hold_again(struct bf_hold hold)
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

enum bf_admission {
	BF_ADMITTED,	/* with a reference on the version */
	BF_COUNTED,	/* with a count on the disk */
	BF_PARKED,	/* the bio is no longer the caller's */
	BF_RETRY,	/* the version was replaced meanwhile */
	BF_GONE,	/* the disk was removed: it has no chain any more */
};

enum bf_admission bf_admit_closed(struct bf_disk *disk, struct bio *bio,
				  bool privileged);

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

/*
 * Where a bio goes.  Returned by value: a variable whose address is taken would
 * keep the compiler from leaving our functions by tail calls (see bf_send()).
 */
struct bf_way {
	struct blkfilter_path *path;
	u32 n;
};

/* --- bio.c --- */
void bf_walk(struct blkfilter_path *path, u32 index, struct bio *bio);
void bf_admitted(struct bf_disk *disk, struct bf_version *version,
		 struct bf_hold hold, struct bio *bio);

/* --- path.c --- */
struct bf_way bf_path_below(struct bf_version *version,
			    const struct blkfilter_instance *inst);
struct bf_way bf_path_at(struct bf_version *version, sector_t sector,
			 u32 sectors);

/* --- count.c --- */
bool bf_count(struct bf_disk *disk, struct bio *bio, struct bf_hold hold);

/* --- worker.c --- */
void bf_queue(struct bf_disk *disk, struct bio_list *list, struct bio *bio);
void bf_resume_later(struct blkfilter_path *path, u32 index, struct bio *bio);

/* --- own.c --- */
void bf_submit_elsewhere(struct bf_disk *disk, struct bio *bio);

#endif /* BLKFILTER_BIO_H */
