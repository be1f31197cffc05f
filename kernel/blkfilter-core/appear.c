// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first stack of a device that is appearing: before its first bio, so without
 * a gate.
 */
#include <linux/slab.h>
#include "plan.h"

/*
 * A disk has had no bio, and a queue can be frozen.  But into a partition of a
 * disk without one somebody may be writing by way of the disk.
 */
static bool bf_appearing_settled(struct bf_plan *plan)
{
	bool settling;

	return !plan->dev->partno || plan->disk->mq ||
	       !bf_plan_comes_counting(plan) ||
	       (bf_settle_counting(plan->dev, &settling) && !settling);
}

static int bf_appearing_publish(struct bf_plan *plan)
{
	struct bf_disk *disk = plan->disk;
	struct bf_version *version;
	u32 i;

	plan->settled = bf_appearing_settled(plan);
	for (;;) {
		bf_wait_open(disk);
		mutex_lock(&bf_lock);
		if (!disk->closed)
			break;
		mutex_unlock(&bf_lock);
	}
	version = bf_plan_build(plan);
	if (version) {
		for (i = 0; i < plan->n; i++) {
			plan->dev->stack.inst[i] = plan->item[i].inst;
			bf_item_comes(plan, &plan->item[i]);
		}
		plan->dev->stack.n = plan->n;
		plan->dev->settling = !plan->settled;
		plan->dev->generation = bf_next_generation();
		disk->changes++;
		bf_version_publish(disk, version, NULL);
		bf_plan_tell(plan);
	}
	mutex_unlock(&bf_lock);
	if (version && !plan->settled)
		bf_settle_start(plan->dev);
	return version ? 0 : -ENOMEM;
}

/**
 * bf_stack_appearing() - the first stack of a device that is appearing
 * @dev:   the device; no bio has been sent to it.
 * @entry: its filters.
 * @n:     how many.
 *
 * Called under the driver core's locks.  No gate is closed: there is nothing to
 * divide.  All of them or, with a line in the log, none.
 */
void bf_stack_appearing(struct bf_dev *dev, struct bf_entry *entry, u32 n)
{
	struct bf_change change = { .entry = entry, .n = n };
	struct bf_plan *plan = kzalloc(sizeof(*plan), GFP_KERNEL);
	int ret = -ENOMEM;
	u32 i;

	if (!plan)
		goto out;
	plan->dev = dev;
	plan->change = &change;
	for (i = 0; i < n; i++) {
		struct blkfilter_instance *inst;

		ret = bf_plan_entry(plan, &entry[i]);
		if (ret)
			goto out;
		inst = bf_plan_find(plan, entry[i].name)->inst;
		ret = bf_instance_attach(inst, true);
		if (ret)
			goto out;
	}
	plan->disk = bf_disk_ensure(dev);
	ret = PTR_ERR_OR_ZERO(plan->disk);
	if (ret)
		goto out;
	ret = bf_appearing_publish(plan);
	bf_disk_done(dev);
	bf_disk_put(plan->disk);
out:
	if (ret) {
		pr_err("%s: the rule's filters were not attached: %d\n",
		       dev->name, ret);
		if (plan)
			bf_plan_undo(plan);
	}
	kfree(plan);
}

/* A registered filter asked for a device that is appearing. */
void bf_stack_wanted(struct bf_dev *dev, const char *name)
{
	struct bf_entry *entry;

	/* One filter at a time: a second one would find a stack already. */
	if (dev->stack.n)
		return;
	entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return;
	strscpy(entry->name, name, sizeof(entry->name));
	bf_stack_appearing(dev, entry, 1);
	kfree(entry);
}
