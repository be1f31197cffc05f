// SPDX-License-Identifier: GPL-2.0-only
/*
 * A bio of our own must be seen.
 *
 * The hook depends on how the kernel was compiled (is the function called at all,
 * does every bio pass it), and something else may take it away.  So a private
 * disk has a private filter; a bio is sent to it when the module is loaded, at
 * every point and at every command to a filter, and the filter must have seen it.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include "core.h"

static struct gendisk *bf_gd;
static struct bf_dev *bf_test_dev;
static struct blkfilter bf_test_filter;
static DEFINE_MUTEX(bf_test_lock);	/* one check at a time */
static bool bf_test_was_seen;

static struct blkfilter *bf_test_attach(struct block_device *bdev,
					const struct blkfilter_attach *how)
{
	return &bf_test_filter;
}

static void bf_test_detach(struct blkfilter *flt)
{
}

static bool bf_test_submit(struct blkfilter *flt, struct bio *bio,
			   struct blkfilter_pos pos)
{
	bf_test_was_seen = true;
	return false;
}

static struct blkfilter_operations bf_test_ops = {
	.name = "selftest",
	.altitude = BLKFILTER_ALTITUDE_UNIT,
	.attach = bf_test_attach,
	.detach = bf_test_detach,
	.submit_bio = bf_test_submit,
};

static void bf_test_disk_submit(struct bio *bio)
{
	bio_endio(bio);
}

static const struct block_device_operations bf_test_fops = {
	/* No .owner: the disk is no reason for this module to stay. */
	.submit_bio = bf_test_disk_submit,
};

/*
 * Is a bio seen now?  Sleeps; one caller at a time.  It takes no memory: reclaim may
 * wait for whoever waits for this.
 */
static bool bf_selftest_seen(void)
{
	struct bio bio;

	bio_init(&bio, bf_gd->part0, NULL, 0, REQ_OP_WRITE | REQ_PREFLUSH);
	bf_test_was_seen = false;
	submit_bio_wait(&bio);
	bio_uninit(&bio);
	return bf_test_was_seen;
}

/* Under bf_lock, which keeps the version and its instances. */
static void bf_unseen(struct bf_disk *disk)
{
	struct bf_version *version =
		rcu_dereference_protected(disk->version,
					  lockdep_is_held(&bf_lock));
	struct blkfilter_instance *inst;
	struct blkfilter_path *path;
	int i, k;

	if (!version)
		return;
	bf_for_each_instance(version, path, i, k, inst)
		if (inst->ops->unseen)
			inst->ops->unseen(inst->flt);
}

static void bf_unseen_all(void)
{
	struct bf_disk *disk;
	u32 i;

	mutex_lock(&bf_lock);
	for (i = 0; i < ARRAY_SIZE(bf_disk_table); i++)
		hlist_for_each_entry(disk, &bf_disk_table[i], hash)
			bf_unseen(disk);
	mutex_unlock(&bf_lock);
}

/**
 * bf_hook_check() - is the hook still there?
 *
 * When a bio of our own was not seen, others were missed too, on whatever disk:
 * all filters hear unseen().  They hear it again when the hook is back and what
 * was sent without it has had its time to end.
 *
 * Sleeps.  Return: 0; -EIO until then: nobody knows what comes before a point.
 */
int bf_hook_check(void)
{
	static bool lost, back;
	static unsigned long since;
	bool seen, again = false;

	/* The disk that somebody asks about may just have gone, and the hook with it. */
	if (bf_hook_get())
		return -EIO;
	mutex_lock(&bf_test_lock);
	seen = bf_selftest_seen();
	if (!seen && !lost) {
		pr_err("the bio hook was switched off behind our back: what was tracked so far is void\n");
		bf_event(BLKFILTER_EVENT_HOOK_LOST, NULL, "", 0, 0, NULL, 0);
	}
	if (!seen) {
		lost = true;
		back = false;
	} else if (lost && !back) {
		back = true;
		since = jiffies;
	} else if (lost && time_after_eq(jiffies, since + bf_settle_time())) {
		lost = false;
		again = true;
	}
	if (lost || again)
		bf_unseen_all();
	seen = !lost;
	mutex_unlock(&bf_test_lock);
	bf_hook_put();
	return seen ? 0 : -EIO;
}

/* The class of all block devices; it is not exported. */
struct class *bf_block_class(void)
{
	return (struct class *)disk_to_dev(bf_gd)->class;
}

static int bf_test_disk_add(void)
{
	bf_gd = bf_alloc_disk();
	if (IS_ERR(bf_gd))
		return PTR_ERR(bf_gd);
	bf_gd->fops = &bf_test_fops;
	strscpy(bf_gd->disk_name, "blkfilter-test", DISK_NAME_LEN);
	set_capacity(bf_gd, 8);
	bf_disk_without_add(bf_gd);
	bf_test_dev = bf_dev_private(bf_gd->part0);
	return bf_test_dev ? 0 : -ENOMEM;
}

static int bf_test_filter_add(void)
{
	struct bf_version *version;
	struct bf_disk *disk;
	struct blkfilter_instance *inst;
	int ret;

	inst = bf_instance_new(bf_test_dev, &bf_test_ops, bf_test_ops.altitude,
			       NULL, 0);
	if (IS_ERR(inst))
		return PTR_ERR(inst);
	ret = bf_instance_attach(inst, true);
	disk = bf_disk_ensure(bf_test_dev);
	if (IS_ERR(disk)) {
		bf_instance_destroy(inst);
		return PTR_ERR(disk);
	}
	mutex_lock(&bf_lock);
	bf_test_dev->stack.inst[0] = inst;
	bf_test_dev->stack.n = 1;
	version = bf_version_build(disk, NULL, NULL);
	if (version)
		bf_version_publish(disk, version, NULL);
	else
		ret = -ENOMEM;
	mutex_unlock(&bf_lock);
	bf_disk_put(disk);
	return ret;
}

static void bf_test_filter_remove(void)
{
	struct bf_disk *disk = bf_test_dev->disk;
	LIST_HEAD(dying);

	if (!disk)
		return;
	mutex_lock(&bf_lock);
	bf_disk_get(disk);
	list_add(&bf_test_dev->stack.inst[0]->link, &dying);
	bf_test_dev->stack.n = 0;
	bf_disk_leave(bf_test_dev);
	bf_disk_drop(disk, &dying);
	bf_disk_put(disk);
	mutex_unlock(&bf_lock);
}

/**
 * bf_selftest_init() - make the private disk and send it a bio
 *
 * Return: 0; -ENODEV with a line in the log when the bio was not seen.
 */
int bf_selftest_init(void)
{
	int ret = bf_test_disk_add();

	if (!ret)
		ret = bf_test_filter_add();
	if (!ret && !bf_selftest_seen()) {
		pr_err("a bio of our own was not seen by the hook: this kernel's bios take another way; not loaded\n");
		ret = -ENODEV;
	}
	if (ret) {
		bf_selftest_exit();
		return ret;
	}
	/* The private disk stays in the table, but is no reason for the hook. */
	bf_hook_put();
	return 0;
}

void bf_selftest_exit(void)
{
	if (IS_ERR_OR_NULL(bf_gd))
		return;
	if (bf_test_dev) {
		bf_test_filter_remove();
		bf_dev_unhold(bf_test_dev);
		bf_dev_put(bf_test_dev);
	}
	flush_workqueue(bf_wq);
	put_disk(bf_gd);
}
