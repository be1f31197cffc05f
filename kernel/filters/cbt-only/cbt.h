/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * cbt-only: the structures, and what its files offer each other.
 *
 *   main.c        the filter: attach, bios, resize
 *   map.c         what was last sent to each block
 *   checkpoint.c  checkpoints, generations, points
 *   scan.c        slots that no checkpoint tells apart any more are used again
 *   command.c     what userspace asks for
 *
 * For each block of the device the map has 16 bits: a slot and a kind.  The slot
 * stands for the interval between two checkpoints in which the block was last
 * written; the table seq[] says when that interval was.  A block has changed since
 * a checkpoint when its slot's interval is later.  There are 32767 slots; those of
 * intervals between which no checkpoint lives any more are merged when slots run
 * short (scan.c), so that any number of checkpoints can come and go.
 *
 * Marking takes no lock.  It happens in submit_bio(), so it never straddles the
 * instant of a point, which waits until no bio is in there: after the instant
 * every mark has the new slot, and nothing else ever writes the current slot's
 * value over a later one.
 *
 * Locks: cbt_tracker.scan > cbt_tracker.lock.  Neither is held over a point of
 * our own: points call us.
 */
#ifndef BLKFILTER_CBT_MODULE_H
#define BLKFILTER_CBT_MODULE_H

#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <uapi/linux/blkfilter-cbt.h>

#undef pr_fmt
#define pr_fmt(fmt) "blkfilter-cbt: " fmt

/* Planted faults, for `./dev test --faults` only: never defined otherwise. */
#define cbt_fault(name) __is_defined(BLKFILTER_FAULT_##name)

/* A block's 16 bits: its slot, and in the lowest one whether it was discarded. */
#define CBT_SLOTS		32768		/* 0: not since the beginning */
#define CBT_DISCARDED		1
extern u32 cbt_slots;			/* how many of them are used */
#define CBT_VALUE(slot)		((u16)((slot) << 1))
#define CBT_SLOT(value)		((value) >> 1)

/* One page of them; see map.c for what else a word can be. */
#define CBT_REGION_SHIFT	(PAGE_SHIFT - 1)
#define CBT_REGION_BLOCKS	((u32)BIT(CBT_REGION_SHIFT))
#define CBT_REGION_MASK		(CBT_REGION_BLOCKS - 1)

/* Each one at least doubles what is covered. */
#define CBT_SPANS		40

/* Words of consecutive regions; never moves, as marking takes no lock. */
struct cbt_span {
	u64 first;
	u64 n;
	unsigned long region[];
};

/**
 * struct cbt_checkpoint - one with a name
 * @link:    in cbt_tracker.named.
 * @creator: who waits for its instant, and is told the number; NULL afterwards.
 * @refused: the instant came, and there was no slot or number.
 * @what:    what userspace is told; its number is 0 until the instant.
 */
struct cbt_checkpoint {
	struct list_head link;
	struct blkfilter_cbt_create *creator;
	bool refused;
	struct blkfilter_cbt_checkpoint what;
};

/**
 * struct cbt_tracker - the filter on one device
 * @flt:        the core's part.
 * @start:      of the device, an absolute sector.
 * @shift:      a block is 2^@shift sectors.
 * @value:      what is stored for a block that is written now.
 * @spans:      how many of @span there are.
 * @span:       the map.
 * @pages:      that the map has.
 * @sectors:    size of the device.
 * @leaving:    nothing that takes long is begun or gone on with.
 * @scan:       one scan, answer or change of size at a time.
 * @lock:       for all that follows.
 * @generation: of the history.
 * @settled:    it has begun.
 * @seq:        by slot: the number of its interval; a checkpoint's number is that
 *              of the interval that it ended.
 * @number:     of the current interval.
 * @used:       slots that are in use; the last one given out is that of @value.
 * @named:      checkpoints with a name; @nr_named of them.
 * @unnamed:    the last ones that points made; the oldest at @next_unnamed.
 */
struct cbt_tracker {
	struct blkfilter flt;
	sector_t start;
	u32 shift;
	u16 value;
	u32 spans;
	struct cbt_span *span[CBT_SPANS];
	atomic_long_t pages;
	sector_t sectors;
	bool leaving;
	struct mutex scan;	/* see above */

	spinlock_t lock;	/* for all that follows */
	u8 generation[BLKFILTER_ID_LENGTH];
	bool settled;
	u32 *seq;
	u32 number;
	unsigned long *used;
	struct list_head named;
	u32 nr_named;
	struct blkfilter_cbt_checkpoint unnamed[BLKFILTER_CBT_UNNAMED];
	u32 next_unnamed;
};

static inline struct cbt_tracker *cbt_of(struct blkfilter *flt)
{
	return container_of(flt, struct cbt_tracker, flt);
}

/* --- map.c --- */
unsigned long *cbt_region(struct cbt_tracker *tracker, u64 region);
void cbt_mark(struct cbt_tracker *tracker, sector_t sector, sector_t sectors,
	      u16 value);
void cbt_mark_by_hand(struct cbt_tracker *tracker, sector_t sector,
		      sector_t sectors);
sector_t cbt_map_covered(const struct cbt_tracker *tracker);
int cbt_map_cover(struct cbt_tracker *tracker, sector_t sectors);
void cbt_map_free(struct cbt_tracker *tracker);
u64 cbt_map_memory(struct cbt_tracker *tracker);

/* A word without a page: the whole region has this value. */
static inline bool cbt_is_page(unsigned long word)
{
	return word && !(word & 1);
}

static inline u16 *cbt_page(unsigned long word)
{
	return (u16 *)word;
}

static inline unsigned long cbt_uniform(u16 value)
{
	return value ? (unsigned long)value << 1 | 1 : 0;
}

static inline u16 cbt_uniform_value(unsigned long word)
{
	return word >> 1;
}

/* --- checkpoint.c --- */
int cbt_history_init(struct cbt_tracker *tracker);
void cbt_history_free(struct cbt_tracker *tracker);
void cbt_generation_begin(struct cbt_tracker *tracker);
void cbt_instant(struct cbt_tracker *tracker, const u8 *id);
int cbt_create(struct cbt_tracker *tracker, struct blkfilter_cbt_create *create);
int cbt_delete(struct cbt_tracker *tracker, const u8 *name);
u32 cbt_list(struct cbt_tracker *tracker, struct blkfilter_cbt_checkpoint *list,
	     u32 room, u8 *generation);
bool cbt_number_exists(struct cbt_tracker *tracker, u64 number);

/* --- scan.c --- */
void cbt_slots_provide(struct cbt_tracker *tracker);

/* --- command.c --- */
int cbt_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf, u32 *plen);

#endif /* BLKFILTER_CBT_MODULE_H */
