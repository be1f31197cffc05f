// SPDX-License-Identifier: GPL-2.0-only
/*
 * The first stack of a device that is appearing: before its first bio, so without
 * a gate.
 */
#include <linux/slab.h>
#include "plan.h"

/*
 * A disk has had no bio, and a queue can be frozen.  But into a partition of a
 * disk without one somebody may be writing by way of the disk.  Under bf_lock.
 */
static bool bf_appearing_settled(struct bf_plan *plan)
{
	bool settling;

	return !plan->dev->partno || plan->disk->mq ||
	       !bf_plan_comes_counting(plan) ||
	       (bf_settle_counting(plan->dev, &settling) && !settling);
}

static int bf_appearing_attach(struct bf_plan *plan)
{
	struct bf_entry *entry = plan->change->entry;
	u32 i;
	int ret;

	for (i = 0; i < plan->change->n; i++) {
		ret = bf_plan_entry(plan, &entry[i]);
		if (ret)
			return ret;
		ret = bf_instance_attach(bf_plan_find(plan, entry[i].name)->inst,
					 true);
		if (ret)
			return ret;
	}
	return 0;
}

static int bf_appearing_publish(struct bf_plan *plan)
{
	struct bf_disk *disk = plan->disk;
	struct bf_version *version;
	u32 i;

	for (;;) {
		bf_wait_open(disk);
		mutex_lock(&bf_lock);
		if (!disk->closed)
			break;
		mutex_unlock(&bf_lock);
	}
	/* Only now: while the gate was waited for, the counting filter may have gone. */
	plan->settled = bf_appearing_settled(plan);
	version = bf_plan_build(plan);
	if (version) {
		for (i = 0; i < plan->n; i++) {
			plan->dev->stack.inst[i] = plan->item[i].inst;
			bf_item_comes(plan, &plan->item[i]);
		}
		plan->dev->stack.n = plan->n;
		bf_settle_begin(plan->dev, plan->settled, false);
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
	struct bf_disk *disk;
	int ret;

	/* Before attach() asks for its size: from now on a change of it is heard. */
	disk = plan ? bf_disk_ensure(dev) : ERR_PTR(-ENOMEM);
	ret = PTR_ERR_OR_ZERO(disk);
	if (!ret) {
		plan->dev = dev;
		plan->disk = disk;
		plan->change = &change;
		ret = bf_appearing_attach(plan) ?: bf_appearing_publish(plan);
		if (ret)
			bf_plan_undo(plan);
		bf_disk_done(dev);
		bf_disk_put(disk);
	}
	if (ret)
		pr_err("%s: the rule's filters were not attached: %d\n",
		       dev->name, ret);
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
