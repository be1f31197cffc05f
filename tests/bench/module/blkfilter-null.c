// SPDX-License-Identifier: GPL-2.0-only
/*
 * Filters that do nothing, so that what is measured is the core alone.
 *
 * null0 ... null7 pass every bio.  null_points0 ... null_points7 do so too, and
 * ask for points, so that the core counts each write until it has completed.
 */
#include <linux/blk-filter.h>
#include <linux/module.h>
#include <linux/slab.h>

static struct blkfilter *null_attach(struct block_device *bdev,
				     const struct blkfilter_attach *how)
{
	struct blkfilter *flt = kzalloc(sizeof(*flt), GFP_KERNEL);

	return flt ?: ERR_PTR(-ENOMEM);
}

static void null_detach(struct blkfilter *flt)
{
	kfree(flt);
}

static bool null_submit_bio(struct blkfilter *flt, struct bio *bio,
			    struct blkfilter_pos pos)
{
	return false;
}

static void null_point(struct blkfilter *flt, enum blkfilter_phase phase,
		       const u8 *id)
{
}

#define NULL_FILTER(n) {						\
	.owner = THIS_MODULE, .name = "null" #n,			\
	.altitude = (100000 + (n)) * BLKFILTER_ALTITUDE_UNIT,		\
	.attach = null_attach, .detach = null_detach,			\
	.submit_bio = null_submit_bio,					\
}

#define NULL_POINTS_FILTER(n) {						\
	.owner = THIS_MODULE, .name = "null_points" #n,			\
	.altitude = (200000 + (n)) * BLKFILTER_ALTITUDE_UNIT,		\
	.flags = BLKFILTER_NEEDS_POINTS, .point = null_point,		\
	.attach = null_attach, .detach = null_detach,			\
	.submit_bio = null_submit_bio,					\
}

static struct blkfilter_operations filters[] = {
	NULL_FILTER(0), NULL_FILTER(1), NULL_FILTER(2), NULL_FILTER(3),
	NULL_FILTER(4), NULL_FILTER(5), NULL_FILTER(6), NULL_FILTER(7),
	NULL_POINTS_FILTER(0), NULL_POINTS_FILTER(1),
	NULL_POINTS_FILTER(2), NULL_POINTS_FILTER(3),
	NULL_POINTS_FILTER(4), NULL_POINTS_FILTER(5),
	NULL_POINTS_FILTER(6), NULL_POINTS_FILTER(7),
};

static void unregister_filters(size_t n)
{
	while (n--)
		blkfilter_unregister(&filters[n]);
}

static int __init null_init(void)
{
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(filters); i++) {
		ret = blkfilter_register(&filters[i]);
		if (ret) {
			unregister_filters(i);
			return ret;
		}
	}
	return 0;
}

static void __exit null_exit(void)
{
	unregister_filters(ARRAY_SIZE(filters));
}

module_init(null_init);
module_exit(null_exit);

MODULE_DESCRIPTION("Filters that pass everything, for the benchmark");
MODULE_LICENSE("GPL");
