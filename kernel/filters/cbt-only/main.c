// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter "cbt-only": tells any number of consumers which blocks of a device
 * have changed since their checkpoints.  It looks at bios and never takes one.
 */
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "cbt.h"

#define CBT_ALTITUDE		(450000ULL * BLKFILTER_ALTITUDE_UNIT)
#define CBT_BLOCK_DEFAULT	(64U << 10)
#define CBT_BLOCK_MIN		(4U << 10)
#define CBT_BLOCK_MAX		(64U << 20)

#define CBT_SLOTS_MIN		16

u32 cbt_slots __ro_after_init = CBT_SLOTS;
module_param_named(slots, cbt_slots, uint, 0444);
MODULE_PARM_DESC(slots, "Intervals that are told apart before old ones are merged, 16 to 32768 (for tests)");

/*
 * What nearly every write is: within one block, of a region that has its page.
 * Whole here, as every instruction counts.  False: it is not.
 */
static __always_inline bool cbt_mark_one(struct cbt_tracker *tracker,
					 sector_t sector, u32 sectors)
{
	struct cbt_span *span = READ_ONCE(tracker->span[0]);
	u64 block = sector >> tracker->shift;
	u64 region = block >> CBT_REGION_SHIFT;
	unsigned long word;
	u16 *entry;

	if (unlikely(!span || region >= span->n ||
		     (sector + sectors - 1) >> tracker->shift != block))
		return false;
	word = READ_ONCE(span->region[region]);
	if (unlikely(!cbt_is_page(word)))
		return false;
	entry = cbt_page(word) + (block & CBT_REGION_MASK);
	/* Not written again: the line stays shared between CPUs. */
	if (READ_ONCE(*entry) != tracker->value)
		WRITE_ONCE(*entry, tracker->value);
	return true;
}

static bool cbt_submit_bio(struct blkfilter *flt, struct bio *bio,
			   struct blkfilter_pos pos)
{
	struct cbt_tracker *tracker = cbt_of(flt);
	sector_t sector = bio->bi_iter.bi_sector - tracker->start;
	u32 sectors = bio_sectors(bio);
	u16 value = tracker->value;

	if (!op_is_write(bio_op(bio)) || !sectors)
		return false;
	if (cbt_fault(LOSE_MARK) && !(bio->bi_iter.bi_sector % 1000))
		return false;
	if (likely(bio_op(bio) == REQ_OP_WRITE &&
		   cbt_mark_one(tracker, sector, sectors)))
		return false;
	switch (bio_op(bio)) {
	case REQ_OP_DISCARD:
	case REQ_OP_SECURE_ERASE:
	case REQ_OP_WRITE_ZEROES:
		value |= CBT_DISCARDED;
		break;
	default:
		break;
	}
	cbt_mark(tracker, sector, sectors, value);
	return false;
}

static void cbt_point(struct blkfilter *flt, enum blkfilter_phase phase,
		      const u8 *id)
{
	struct cbt_tracker *tracker = cbt_of(flt);

	if (phase == BLKFILTER_POINT_PREPARE)
		cbt_slots_provide(tracker);
	else if (phase == BLKFILTER_POINT_INSTANT)
		cbt_instant(tracker, id);
}

static void cbt_settled(struct blkfilter *flt)
{
	cbt_generation_begin(cbt_of(flt));
}

/* Before it has begun, there is no history to be lost. */
static void cbt_unseen(struct blkfilter *flt)
{
	struct cbt_tracker *tracker = cbt_of(flt);

	if (READ_ONCE(tracker->settled))
		cbt_generation_begin(tracker);
}

/*
 * New space counts as changed.  Where the map cannot grow, command.c reports all
 * that it does not cover; when it can later, nobody has marked what was written
 * there meanwhile.
 */
static void cbt_resized(struct blkfilter *flt, sector_t sectors)
{
	struct cbt_tracker *tracker = cbt_of(flt);
	sector_t known;

	mutex_lock(&tracker->scan);
	known = tracker->sectors;
	if (!cbt_fault(FORGET_UNCOVERED))
		known = min(known, cbt_map_covered(tracker));
	if (cbt_map_cover(tracker, sectors))
		pr_warn("no memory to track all of a device of %llu sectors: the rest counts as changed\n",
			sectors);
	WRITE_ONCE(tracker->sectors, sectors);
	if (sectors > known)
		cbt_mark_by_hand(tracker, known, sectors - known);
	mutex_unlock(&tracker->scan);
}

static void cbt_changed(struct blkfilter *flt, sector_t sector,
			sector_t sectors)
{
	cbt_mark_by_hand(cbt_of(flt), sector, sectors);
}

static void cbt_state(struct blkfilter *flt, char *buf, size_t size)
{
	strscpy(buf, READ_ONCE(cbt_of(flt)->settled) ? "tracking" : "settling",
		size);
}

/* --- attach and detach --- */

static int cbt_option(char *option, u32 *block_size)
{
	static const char name[] = "block_size=";
	u32 value;

	if (strncmp(option, name, sizeof(name) - 1) ||
	    kstrtou32(option + sizeof(name) - 1, 10, &value) ||
	    !is_power_of_2(value) || value < CBT_BLOCK_MIN ||
	    value > CBT_BLOCK_MAX)
		return -EINVAL;
	*block_size = value;
	return 0;
}

static int cbt_options(const struct blkfilter_attach *how, u32 *block_size)
{
	char *options, *rest, *option;
	int ret = 0;

	*block_size = CBT_BLOCK_DEFAULT;
	if (!how->options_size)
		return 0;
	options = kmemdup_nul(how->options, how->options_size, GFP_KERNEL);
	if (!options)
		return -ENOMEM;
	rest = options;
	while (!ret && (option = strsep(&rest, " ")))
		if (*option)
			ret = cbt_option(option, block_size);
	kfree(options);
	return ret;
}

/* A rescan that moves the partition detaches us: it begins here for good. */
static void cbt_activate(struct blkfilter *flt)
{
	cbt_of(flt)->start = blkfilter_start(flt);
}

static void cbt_deactivate(struct blkfilter *flt, enum blkfilter_reason reason,
			   struct blkfilter *successor)
{
	WRITE_ONCE(cbt_of(flt)->leaving, true);
}

static void cbt_detach(struct blkfilter *flt)
{
	struct cbt_tracker *tracker = cbt_of(flt);

	cbt_map_free(tracker);
	cbt_history_free(tracker);
	kfree(tracker);
}

static struct blkfilter *cbt_attach(struct block_device *bdev,
				    const struct blkfilter_attach *how)
{
	struct cbt_tracker *tracker;
	u32 block_size;
	int ret = cbt_options(how, &block_size);

	if (ret)
		return ERR_PTR(ret);
	tracker = kzalloc(sizeof(*tracker), GFP_KERNEL);
	if (!tracker)
		return ERR_PTR(-ENOMEM);
	tracker->shift = ilog2(block_size) - SECTOR_SHIFT;
	ret = cbt_history_init(tracker);
	/* 0 for some that are appearing: they are told their size later. */
	tracker->sectors = bdev_nr_sectors(bdev);
	ret = ret ?: cbt_map_cover(tracker, tracker->sectors);
	if (ret) {
		cbt_detach(&tracker->flt);
		return ERR_PTR(ret);
	}
	return &tracker->flt;
}

static struct blkfilter_operations cbt_operations = {
	.owner = THIS_MODULE,
	.name = BLKFILTER_CBT,
	.altitude = CBT_ALTITUDE,
	.flags = BLKFILTER_NEEDS_POINTS,
	.attach = cbt_attach,
	.activate = cbt_activate,
	.deactivate = cbt_deactivate,
	.detach = cbt_detach,
	.submit_bio = cbt_submit_bio,
	.ctl = cbt_ctl,
	.point = cbt_point,
	.settled = cbt_settled,
	.unseen = cbt_unseen,
	.resized = cbt_resized,
	.changed = cbt_changed,
	.state = cbt_state,
};

static int __init cbt_init(void)
{
	cbt_slots = clamp_t(u32, cbt_slots, CBT_SLOTS_MIN, CBT_SLOTS);
	return blkfilter_register(&cbt_operations);
}

static void __exit cbt_exit(void)
{
	blkfilter_unregister(&cbt_operations);
}

module_init(cbt_init);
module_exit(cbt_exit);

MODULE_DESCRIPTION("Changed-block tracking for any number of consumers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
