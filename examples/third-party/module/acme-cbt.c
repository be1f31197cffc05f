// SPDX-License-Identifier: GPL-2.0-only
/*
 * acme-cbt: which blocks of 64 KiB were written between the last two points of a
 * device.  A whole filter in the size of a tutorial: docs/writing-a-filter.md goes
 * through it step by step.
 */
#include <linux/bio.h>
#include <linux/bitmap.h>
#include <linux/blk-filter.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define ACME_SHIFT	7	/* a block is 2^7 sectors */

/*
 * Three maps: what is written now, what was written between the last two points,
 * and a clean one for the next interval.
 */
struct acme {
	struct blkfilter flt;
	u64 blocks;
	unsigned long *now;
	unsigned long *before;
	unsigned long *clean;
	u8 id[BLKFILTER_ID_LENGTH];	/* of the last point */
	atomic_t points;
	bool complete;			/* now: since the last point */
	bool answer;			/* before: of a whole interval */
};

static struct acme *acme_of(struct blkfilter *flt)
{
	return container_of(flt, struct acme, flt);
}

/* --- a bio --- */

static bool acme_submit_bio(struct blkfilter *flt, struct bio *bio,
			    struct blkfilter_pos pos)
{
	struct acme *acme = acme_of(flt);
	u64 block, last;

	if (!op_is_write(bio_op(bio)) || !bio_sectors(bio))
		return false;
	block = blkfilter_sector(flt, bio);
	last = (block + bio_sectors(bio) - 1) >> ACME_SHIFT;
	for (block >>= ACME_SHIFT; block <= last; block++)
		if (block < acme->blocks)
			set_bit(block, acme->now);
	return false;
}

/* --- points --- */

static void acme_point(struct blkfilter *flt, enum blkfilter_phase phase,
		       const u8 *id)
{
	struct acme *acme = acme_of(flt);

	if (phase == BLKFILTER_POINT_PREPARE)
		bitmap_zero(acme->clean, acme->blocks);
	if (phase != BLKFILTER_POINT_INSTANT || !id)
		return;
	/* No bio is on its way, and nothing is allocated here. */
	swap(acme->before, acme->now);
	swap(acme->now, acme->clean);
	acme->answer = acme->complete;
	acme->complete = true;
	memcpy(acme->id, id, sizeof(acme->id));
	atomic_inc(&acme->points);
}

/* The history may begin with the next point. */
static void acme_settled(struct blkfilter *flt)
{
	acme_of(flt)->complete = false;
}

/* Bios may have been missed: what is known is worth nothing. */
static void acme_unseen(struct blkfilter *flt)
{
	acme_of(flt)->complete = false;
	acme_of(flt)->answer = false;
}

/* New space would have to count as changed; the maps do not have it. */
static void acme_resized(struct blkfilter *flt, sector_t sectors)
{
	if (sectors >> ACME_SHIFT >= acme_of(flt)->blocks)
		acme_unseen(flt);
}

/* Somebody else's own I/O changed a range. */
static void acme_changed(struct blkfilter *flt, sector_t sector,
			 sector_t sectors)
{
	struct acme *acme = acme_of(flt);
	u64 block, last = (sector + sectors - 1) >> ACME_SHIFT;

	for (block = sector >> ACME_SHIFT; block <= last; block++)
		if (block < acme->blocks)
			set_bit(block, acme->now);
}

/* --- a command --- */

/*
 * Command 0: the id of the last point, then a bit for each block that was written
 * in the interval that it ended.  ESTALE: the interval was not seen as a whole.
 * EAGAIN: another point came in between.
 */
static int acme_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf,
		    u32 *plen)
{
	struct acme *acme = acme_of(flt);
	size_t bytes = BITS_TO_LONGS(acme->blocks) * sizeof(long);
	int points = atomic_read(&acme->points);

	if (cmd)
		return -ENOTTY;
	if (!acme->answer)
		return -ESTALE;
	if (*plen < sizeof(acme->id) + bytes)
		return -EINVAL;
	if (copy_to_user(buf, acme->id, sizeof(acme->id)) ||
	    copy_to_user(buf + sizeof(acme->id), acme->before, bytes))
		return -EFAULT;
	/* A lock would make the next point wait for the caller's memory. */
	smp_rmb();
	if (points != atomic_read(&acme->points))
		return -EAGAIN;
	*plen = sizeof(acme->id) + bytes;
	return 0;
}

/* --- attach and detach --- */

static void acme_detach(struct blkfilter *flt)
{
	struct acme *acme = acme_of(flt);

	kvfree(acme->now);
	kvfree(acme->before);
	kvfree(acme->clean);
	kfree(acme);
}

static unsigned long *acme_map(u64 blocks)
{
	return kvcalloc(BITS_TO_LONGS(blocks), sizeof(long), GFP_KERNEL);
}

static struct blkfilter *acme_attach(struct block_device *bdev,
				     const struct blkfilter_attach *how)
{
	struct acme *acme;

	/* Its size is not known yet, and the maps are made for one size. */
	if (how->appearing)
		return ERR_PTR(-EOPNOTSUPP);
	if (how->options_size)
		return ERR_PTR(-EINVAL);
	acme = kzalloc(sizeof(*acme), GFP_KERNEL);
	if (!acme)
		return ERR_PTR(-ENOMEM);
	acme->blocks = (bdev_nr_sectors(bdev) >> ACME_SHIFT) + 1;
	acme->now = acme_map(acme->blocks);
	acme->before = acme_map(acme->blocks);
	acme->clean = acme_map(acme->blocks);
	if (!acme->now || !acme->before || !acme->clean) {
		acme_detach(&acme->flt);
		return ERR_PTR(-ENOMEM);
	}
	return &acme->flt;
}

static struct blkfilter_operations acme_operations = {
	.owner = THIS_MODULE,
	.name = "acme-cbt",
	.altitude = 460000 * BLKFILTER_ALTITUDE_UNIT,
	.flags = BLKFILTER_NEEDS_POINTS,
	.attach = acme_attach,
	.detach = acme_detach,
	.submit_bio = acme_submit_bio,
	.point = acme_point,
	.settled = acme_settled,
	.unseen = acme_unseen,
	.resized = acme_resized,
	.changed = acme_changed,
	.ctl = acme_ctl,
};

static int __init acme_init(void)
{
	return blkfilter_register(&acme_operations);
}

static void __exit acme_exit(void)
{
	blkfilter_unregister(&acme_operations);
}

module_init(acme_init);
module_exit(acme_exit);

MODULE_DESCRIPTION("A third party's changed-block tracking");
MODULE_LICENSE("GPL");
