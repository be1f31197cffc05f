// SPDX-License-Identifier: GPL-2.0-only
/*
 * @NAME@: counts the writes of a device.  A beginning: docs/filters.md of blkfilter
 * says what each operation may do, docs/writing-a-filter.md goes through a whole
 * filter.
 */
#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

/* One for each device that has the filter. */
struct counter {
	struct blkfilter flt;
	atomic64_t writes;
};

static struct counter *counter_of(struct blkfilter *flt)
{
	return container_of(flt, struct counter, flt);
}

/* Every bio, before the device sees it.  Nothing here may wait. */
static bool counter_submit_bio(struct blkfilter *flt, struct bio *bio,
			       struct blkfilter_pos pos)
{
	if (op_is_write(bio_op(bio)) && bio_sectors(bio))
		atomic64_inc(&counter_of(flt)->writes);
	return false;
}

/* Command 0: the number of writes, 8 bytes. */
static int counter_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf,
		       u32 *plen)
{
	u64 writes = atomic64_read(&counter_of(flt)->writes);

	if (cmd)
		return -ENOTTY;
	if (*plen < sizeof(writes))
		return -EINVAL;
	*plen = sizeof(writes);
	return copy_to_user(buf, &writes, sizeof(writes)) ? -EFAULT : 0;
}

static void counter_detach(struct blkfilter *flt)
{
	kfree(counter_of(flt));
}

static struct blkfilter *counter_attach(struct block_device *bdev,
					const struct blkfilter_attach *how)
{
	struct counter *counter;

	/* The options that the plugin has made of the YAML file's keys. */
	if (how->options_size)
		return ERR_PTR(-EINVAL);
	counter = kzalloc(sizeof(*counter), GFP_KERNEL);
	return counter ? &counter->flt : ERR_PTR(-ENOMEM);
}

static struct blkfilter_operations counter_operations = {
	.owner = THIS_MODULE,
	.name = "@NAME@",
	.altitude = 620000 * BLKFILTER_ALTITUDE_UNIT,
	.attach = counter_attach,
	.detach = counter_detach,
	.submit_bio = counter_submit_bio,
	.ctl = counter_ctl,
};

static int __init counter_init(void)
{
	return blkfilter_register(&counter_operations);
}

static void __exit counter_exit(void)
{
	blkfilter_unregister(&counter_operations);
}

module_init(counter_init);
module_exit(counter_exit);

MODULE_DESCRIPTION("Counts the writes of a device");
MODULE_LICENSE("GPL");
