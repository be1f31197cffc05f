// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots that are needed no more.
 *
 * Between two neighbouring checkpoints one slot would do for all intervals, as no
 * question can tell them apart; before the first one none is needed.  When slots
 * run short, a pass over the map rewrites each value to the one slot of its group,
 * and the others are free again.
 *
 * Bios go on meanwhile: they store nothing but the current slot, which is the last
 * of its group and never rewritten, and a mark that comes between reading a value
 * and exchanging it wins.  Checkpoints may come (after the last group) and go
 * (then groups could be larger): what was found out at the beginning stays right.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sort.h>
#include "cbt.h"

#define CBT_FREE_LOW	64U

/* Numbers of all checkpoints, and what each slot is to be rewritten to. */
struct cbt_merge {
	u32 n;
	u32 number[BLKFILTER_CBT_NAMED_MAX + BLKFILTER_CBT_UNNAMED];
	u16 slot[CBT_SLOTS];
	u16 last[BLKFILTER_CBT_NAMED_MAX + BLKFILTER_CBT_UNNAMED + 1];
};

static int cbt_compare(const void *a, const void *b)
{
	u32 left = *(const u32 *)a, right = *(const u32 *)b;

	return left < right ? -1 : left > right;
}

/* Under the lock. */
static void cbt_merge_numbers(struct cbt_tracker *tracker,
			      struct cbt_merge *merge)
{
	struct cbt_checkpoint *checkpoint;
	u32 i;

	list_for_each_entry(checkpoint, &tracker->named, link)
		if (checkpoint->what.number)
			merge->number[merge->n++] = checkpoint->what.number;
	for (i = 0; i < BLKFILTER_CBT_UNNAMED; i++)
		if (tracker->unnamed[i].number)
			merge->number[merge->n++] = tracker->unnamed[i].number;
}

/* How many checkpoints are earlier than the interval @number. */
static u32 cbt_merge_group(const struct cbt_merge *merge, u32 number)
{
	u32 low = 0, high = merge->n;

	while (low < high) {
		u32 middle = (low + high) / 2;

		if (merge->number[middle] < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* For each slot in use the last one of its group, or 0. */
static void cbt_merge_slots(struct cbt_tracker *tracker,
			    struct cbt_merge *merge)
{
	u32 slot, group;

	for_each_set_bit(slot, tracker->used, CBT_SLOTS) {
		group = cbt_merge_group(merge, tracker->seq[slot]);
		if (slot && group &&
		    tracker->seq[slot] > tracker->seq[merge->last[group]])
			merge->last[group] = slot;
	}
	for_each_set_bit(slot, tracker->used, CBT_SLOTS) {
		group = cbt_merge_group(merge, tracker->seq[slot]);
		merge->slot[slot] = slot ? merge->last[group] : 0;
	}
	/* Marks are made with this one. */
	merge->slot[CBT_SLOT(tracker->value)] = CBT_SLOT(tracker->value);
}

static u16 cbt_merge_value(const struct cbt_merge *merge, u16 value)
{
	u16 slot = merge->slot[CBT_SLOT(value)];

	return slot ? CBT_VALUE(slot) | (value & CBT_DISCARDED) : 0;
}

static void cbt_merge_page(const struct cbt_merge *merge, u16 *page)
{
	u16 old, fresh;
	u32 i;

	for (i = 0; i < CBT_REGION_BLOCKS; i++) {
		old = READ_ONCE(page[i]);
		fresh = cbt_merge_value(merge, old);
		if (fresh != old)
			cmpxchg(&page[i], old, fresh);
	}
}

static void cbt_merge_word(const struct cbt_merge *merge, unsigned long *word)
{
	unsigned long old = READ_ONCE(*word), fresh;

	if (old && !cbt_is_page(old)) {
		fresh = cbt_uniform(cbt_merge_value(merge,
						    cbt_uniform_value(old)));
		if (fresh == old || cmpxchg(word, old, fresh) == old)
			return;
		/* It got a page meanwhile, with values of both kinds. */
		old = READ_ONCE(*word);
	}
	if (cbt_is_page(old))
		cbt_merge_page(merge, cbt_page(old));
}

static void cbt_merge_map(struct cbt_tracker *tracker,
			  const struct cbt_merge *merge)
{
	u32 i;
	u64 k;

	for (i = 0; i < tracker->spans; i++)
		for (k = 0; k < tracker->span[i]->n; k++) {
			cbt_merge_word(merge, &tracker->span[i]->region[k]);
			cond_resched();
		}
}

/* What was rewritten is free.  Under the lock. */
static void cbt_merge_free(struct cbt_tracker *tracker,
			   const struct cbt_merge *merge, u32 before)
{
	u32 slot;

	for_each_set_bit(slot, tracker->used, CBT_SLOTS)
		if (slot && tracker->seq[slot] <= before &&
		    merge->slot[slot] != slot)
			__clear_bit(slot, tracker->used);
}

static bool cbt_slots_run_short(struct cbt_tracker *tracker)
{
	u32 used;

	spin_lock(&tracker->lock);
	used = bitmap_weight(tracker->used, cbt_slots);
	spin_unlock(&tracker->lock);
	return cbt_slots - used < min(CBT_FREE_LOW, cbt_slots / 2);
}

/**
 * cbt_slots_provide() - see to it that the next instants find a slot
 * @tracker: whose.
 *
 * Sleeps.  A pass over the map when slots have run short, otherwise nothing.
 * Without memory for it the next point tries again.
 */
void cbt_slots_provide(struct cbt_tracker *tracker)
{
	struct cbt_merge *merge;
	u32 before;

	if (!cbt_slots_run_short(tracker))
		return;
	merge = kvzalloc(sizeof(*merge), GFP_NOIO);
	if (!merge)
		return;
	mutex_lock(&tracker->scan);
	spin_lock(&tracker->lock);
	cbt_merge_numbers(tracker, merge);
	sort(merge->number, merge->n, sizeof(*merge->number), cbt_compare,
	     NULL);
	cbt_merge_slots(tracker, merge);
	before = tracker->number;
	spin_unlock(&tracker->lock);
	cbt_merge_map(tracker, merge);
	spin_lock(&tracker->lock);
	cbt_merge_free(tracker, merge, before);
	spin_unlock(&tracker->lock);
	mutex_unlock(&tracker->scan);
	kvfree(merge);
}
