// SPDX-License-Identifier: GPL-2.0-only
/*
 * What userspace asks for: <linux/blkfilter-cbt.h>.  The core has seen to
 * CAP_SYS_ADMIN.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "cbt.h"

#define CBT_RANGES_MAX	65536U
/* Extents that are collected before they are copied out. */
#define CBT_BATCH	128U
/* Regions that are looked at in one go: a scan for a point waits so long. */
#define CBT_GO		4096U

static int cbt_ctl_info(struct cbt_tracker *tracker, u8 __user *buf, u32 *plen)
{
	struct blkfilter_cbt_info info;
	int ret = blkfilter_copy_in(&info, sizeof(info), buf, *plen);

	if (ret)
		return ret;
	info = (struct blkfilter_cbt_info){
		.size = sizeof(info),
		.sectors = READ_ONCE(tracker->sectors),
		.block_size = SECTOR_SIZE << tracker->shift,
		.memory = sizeof(*tracker) + cbt_map_memory(tracker) +
			  CBT_SLOTS * sizeof(*tracker->seq) + CBT_SLOTS / 8,
	};
	spin_lock(&tracker->lock);
	if (tracker->settled)
		info.flags |= BLKFILTER_CBT_SETTLED;
	memcpy(info.generation, tracker->generation, sizeof(info.generation));
	info.named = tracker->nr_named;
	info.number = tracker->number;
	spin_unlock(&tracker->lock);
	return blkfilter_copy_out(buf, plen, &info, sizeof(info));
}

static int cbt_ctl_create(struct cbt_tracker *tracker, u8 __user *buf,
			  u32 *plen)
{
	struct blkfilter_cbt_create create;
	int ret = blkfilter_copy_in(&create, sizeof(create), buf, *plen);

	ret = ret ?: cbt_create(tracker, &create);
	return ret ?: blkfilter_copy_out(buf, plen, &create, sizeof(create));
}

static int cbt_ctl_list(struct cbt_tracker *tracker, u8 __user *buf, u32 *plen)
{
	struct blkfilter_cbt_checkpoint *what;
	struct blkfilter_cbt_list list;
	int ret = blkfilter_copy_in(&list, sizeof(list), buf, *plen);
	u32 n;

	if (ret)
		return ret;
	if (list.flags || list.entry_size != sizeof(*what))
		return -EINVAL;
	n = min_t(u32, list.count,
		  BLKFILTER_CBT_NAMED_MAX + BLKFILTER_CBT_UNNAMED);
	what = kvcalloc(n ?: 1, sizeof(*what), GFP_KERNEL);
	if (!what)
		return -ENOMEM;
	list.count = cbt_list(tracker, what, n, list.generation);
	n = min(n, list.count);
	if (n && copy_to_user(u64_to_user_ptr(list.checkpoints), what,
			      n * sizeof(*what)))
		ret = -EFAULT;
	kvfree(what);
	return ret ?: blkfilter_copy_out(buf, plen, &list, sizeof(list));
}

static int cbt_ctl_delete(struct cbt_tracker *tracker, u8 __user *buf,
			  u32 *plen)
{
	struct blkfilter_cbt_delete delete;
	int ret = blkfilter_copy_in(&delete, sizeof(delete), buf, *plen);

	if (ret)
		return ret;
	if (delete.flags ||
	    !memchr(delete.name, 0, sizeof(delete.name)))
		return -EINVAL;
	*plen = 0;
	return cbt_delete(tracker, delete.name);
}

/* --- extents --- */

/* An answer that is being made. */
struct cbt_answer {
	struct cbt_tracker *tracker;
	u32 number;		/* changed means: after this interval */
	u64 block;		/* where it has got to */
	u64 blocks;		/* of the device, the last one maybe partial */
	u64 known;		/* of them are in the map, from the first on */
	u64 sectors;		/* of the device */
	u32 n;
	struct blkfilter_cbt_extent extent[CBT_BATCH];
};

/* What the answer says of one value: -1 unchanged, else the extent's flags. */
static int cbt_answer_value(const struct cbt_answer *answer, u16 value)
{
	if (READ_ONCE(answer->tracker->seq[CBT_SLOT(value)]) <= answer->number)
		return -1;
	return value & CBT_DISCARDED ? BLKFILTER_CBT_DISCARDED : 0;
}

/* Adds @blocks of one kind.  False: no room. */
static bool cbt_answer_add(struct cbt_answer *answer, u64 blocks, int kind)
{
	u32 shift = answer->tracker->shift;
	u64 sector = answer->block << shift;
	u64 sectors = min(blocks << shift, answer->sectors - sector);
	struct blkfilter_cbt_extent *last =
		answer->n ? &answer->extent[answer->n - 1] : NULL;

	if (kind >= 0) {
		bool joins = last && last->flags == kind &&
			     last->sector + last->sectors == sector;

		if (!joins && answer->n == CBT_BATCH)
			return false;
		if (joins)
			last->sectors += sectors;
		else
			answer->extent[answer->n++] =
				(struct blkfilter_cbt_extent){
					.sector = sector,
					.sectors = sectors,
					.flags = kind,
				};
	}
	answer->block += blocks;
	return true;
}

static bool cbt_answer_page(struct cbt_answer *answer, const u16 *page, u32 end)
{
	u32 i = answer->block & CBT_REGION_MASK, n;

	for (; i < end; i += n) {
		u16 value = READ_ONCE(page[i]);

		for (n = 1; i + n < end && READ_ONCE(page[i + n]) == value; n++)
			;
		if (!cbt_answer_add(answer, n, cbt_answer_value(answer, value)))
			return false;
	}
	return true;
}

/* The region that the answer has got to.  False: no room. */
static bool cbt_answer_region(struct cbt_answer *answer)
{
	u64 region = answer->block >> CBT_REGION_SHIFT;
	u64 begin = region << CBT_REGION_SHIFT;
	u32 end = min_t(u64, answer->known - begin, CBT_REGION_BLOCKS);
	unsigned long *place = cbt_region(answer->tracker, region);
	/* Dirty marks and bios may give it a page at any time. */
	unsigned long word = place ? READ_ONCE(*place) : 0;
	u32 rest = end - (answer->block & CBT_REGION_MASK);

	/* Nor is any later one in the map: see cbt_resized(). */
	if (!place)
		return cbt_answer_add(answer, answer->blocks - answer->block,
				      0);
	if (cbt_is_page(word))
		return cbt_answer_page(answer, cbt_page(word), end);
	return cbt_answer_add(answer, rest,
			      cbt_answer_value(answer, cbt_uniform_value(word)));
}

/*
 * Fills a batch.  What lies beyond the size that the map knows counts as changed:
 * resized() is on its way.  Under tracker->scan, so that no slot is given to
 * another interval meanwhile.
 */
static int cbt_answer_batch(struct cbt_answer *answer, const u8 *generation)
{
	struct cbt_tracker *tracker = answer->tracker;
	u64 sectors = READ_ONCE(tracker->sectors);
	u32 go = CBT_GO;
	int ret = 0;

	/* Of a block at the old end the map knows only the beginning. */
	answer->known = sectors < answer->sectors ? sectors >> tracker->shift :
						    answer->blocks;
	spin_lock(&tracker->lock);
	if (memcmp(generation, tracker->generation, BLKFILTER_ID_LENGTH))
		ret = -ESTALE;
	else if (!cbt_number_exists(tracker, answer->number))
		ret = -ENOENT;
	spin_unlock(&tracker->lock);
	if (ret)
		return ret;
	answer->n = 0;
	while (answer->block < answer->blocks && go--) {
		bool room = answer->block < answer->known ?
			cbt_answer_region(answer) :
			cbt_answer_add(answer, answer->blocks - answer->block,
				       0);

		if (!room)
			break;
		cond_resched();
	}
	return 0;
}

static int cbt_answer(struct cbt_answer *answer,
		      struct blkfilter_cbt_extents *ask)
{
	u8 __user *to = u64_to_user_ptr(ask->extents);
	u32 room = ask->count;
	int ret;

	ask->count = 0;
	while (ask->count < room && answer->block < answer->blocks) {
		u32 n;

		mutex_lock(&answer->tracker->scan);
		ret = cbt_answer_batch(answer, ask->generation);
		mutex_unlock(&answer->tracker->scan);
		if (ret)
			return ret;
		n = min(answer->n, room - ask->count);
		if (copy_to_user(to, answer->extent, n * sizeof(*answer->extent)))
			return -EFAULT;
		/* Asked again from the first one that found no room. */
		if (n < answer->n)
			answer->block = answer->extent[n].sector >>
					answer->tracker->shift;
		to += n * sizeof(*answer->extent);
		ask->count += n;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (READ_ONCE(answer->tracker->leaving))
			return -ENODEV;
	}
	return 0;
}

/* A rescan may exchange the block device; it is freed by RCU. */
static u64 cbt_capacity(struct cbt_tracker *tracker)
{
	u64 sectors;

	rcu_read_lock();
	sectors = bdev_nr_sectors(READ_ONCE(tracker->flt.bdev));
	rcu_read_unlock();
	return sectors;
}

static int cbt_ctl_extents(struct cbt_tracker *tracker, u8 __user *buf,
			   u32 *plen)
{
	struct blkfilter_cbt_extents ask;
	struct cbt_answer *answer;
	int ret = blkfilter_copy_in(&ask, sizeof(ask), buf, *plen);

	if (ret)
		return ret;
	if (ask.flags || !ask.count ||
	    ask.entry_size != sizeof(struct blkfilter_cbt_extent) ||
	    ask.number > U32_MAX)
		return -EINVAL;
	answer = kzalloc(sizeof(*answer), GFP_KERNEL);
	if (!answer)
		return -ENOMEM;
	answer->tracker = tracker;
	answer->number = ask.number;
	answer->sectors = cbt_capacity(tracker);
	answer->blocks = DIV_ROUND_UP_ULL(answer->sectors,
					  1ULL << tracker->shift);
	/* The device's end may be within its last block. */
	answer->block = ask.sector < answer->sectors ?
			ask.sector >> tracker->shift : answer->blocks;
	ret = cbt_answer(answer, &ask);
	ask.sector = min(answer->block << tracker->shift, answer->sectors);
	kfree(answer);
	return ret ?: blkfilter_copy_out(buf, plen, &ask, sizeof(ask));
}

/* --- dirty --- */

static int cbt_dirty_ranges(struct cbt_tracker *tracker,
			    const struct blkfilter_cbt_range *range, u32 n)
{
	u64 end = READ_ONCE(tracker->sectors);
	u32 i;

	for (i = 0; i < n; i++)
		if (!range[i].sectors || range[i].sector >= end ||
		    range[i].sectors > end - range[i].sector)
			return -EINVAL;
	for (i = 0; i < n; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cbt_mark_by_hand(tracker, range[i].sector, range[i].sectors);
	}
	return 0;
}

static int cbt_ctl_dirty(struct cbt_tracker *tracker, u8 __user *buf, u32 *plen)
{
	struct blkfilter_cbt_range *range;
	struct blkfilter_cbt_dirty dirty;
	int ret = blkfilter_copy_in(&dirty, sizeof(dirty), buf, *plen);

	if (ret)
		return ret;
	if (dirty.flags || !dirty.count || dirty.count > CBT_RANGES_MAX ||
	    dirty.entry_size != sizeof(*range))
		return -EINVAL;
	range = vmemdup_user(u64_to_user_ptr(dirty.ranges),
			     dirty.count * sizeof(*range));
	if (IS_ERR(range))
		return PTR_ERR(range);
	ret = cbt_dirty_ranges(tracker, range, dirty.count);
	kvfree(range);
	*plen = 0;
	return ret;
}

int cbt_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf, u32 *plen)
{
	struct cbt_tracker *tracker = cbt_of(flt);

	switch (cmd) {
	case BLKFILTER_CBT_INFO:
		return cbt_ctl_info(tracker, buf, plen);
	case BLKFILTER_CBT_CREATE:
		return cbt_ctl_create(tracker, buf, plen);
	case BLKFILTER_CBT_LIST:
		return cbt_ctl_list(tracker, buf, plen);
	case BLKFILTER_CBT_DELETE:
		return cbt_ctl_delete(tracker, buf, plen);
	case BLKFILTER_CBT_EXTENTS:
		return cbt_ctl_extents(tracker, buf, plen);
	case BLKFILTER_CBT_DIRTY:
		return cbt_ctl_dirty(tracker, buf, plen);
	default:
		return -ENOTTY;
	}
}
