/* SPDX-License-Identifier: GPL-2.0-only */
/* A transaction on its way: what plan.c, stack.c and appear.c share. */
#ifndef BLKFILTER_PLAN_H
#define BLKFILTER_PLAN_H

#include "core.h"

/* One filter of the new stack. */
struct bf_item {
	struct blkfilter_instance *inst;
	struct bf_entry *entry;
	bool fresh;		/* comes; otherwise it stays */
};

/**
 * struct bf_plan - a transaction on its way
 * @dev:     the device.
 * @disk:    its disk, referenced and claimed.
 * @change:  what is asked for.
 * @item:    the new stack, from high to low.
 * @n:       filters in it.
 * @going:   instances of the old stack that are not in the new one.
 * @gone:    how many.
 * @changes: of the disk when the plan was made: something came or went since
 *           when it is another.
 * @counts:  some filter of the disk needs points, before or after.
 * @first:   the first filters of the device that need them.
 * @frozen:  file systems that are frozen for them.
 * @settled: writes from before cannot exist when the new filters begin.
 * @was_idle: none that the kernel counts.
 */
struct bf_plan {
	struct bf_dev *dev;
	struct bf_disk *disk;
	struct bf_change *change;
	struct bf_item item[BLKFILTER_STACK_MAX];
	u32 n;
	struct blkfilter_instance *going[BLKFILTER_STACK_MAX];
	u32 gone;
	u32 changes;
	bool counts;
	bool first;
	struct bf_frozen frozen;
	bool settled;
	bool was_idle;
};

/* --- plan.c --- */
struct bf_item *bf_plan_find(struct bf_plan *plan, const u8 *name);
struct bf_item *bf_plan_successor(struct bf_plan *plan,
				  struct blkfilter_instance *inst);
bool bf_same_options(const struct blkfilter_instance *inst,
		     const struct bf_entry *entry);
int bf_plan_entry(struct bf_plan *plan, struct bf_entry *entry);
int bf_plan_make(struct bf_plan *plan);
int bf_plan_going(struct bf_plan *plan);
void bf_plan_undo(struct bf_plan *plan);
void bf_plan_finish(struct bf_plan *plan);

/* --- stack.c --- */
u64 bf_next_generation(void);
void bf_item_comes(struct bf_plan *plan, struct bf_item *item);
bool bf_plan_comes_counting(const struct bf_plan *plan);
struct bf_version *bf_plan_build(struct bf_plan *plan);
void bf_plan_tell(struct bf_plan *plan);

#endif /* BLKFILTER_PLAN_H */
