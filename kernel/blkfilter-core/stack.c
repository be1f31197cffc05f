// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions: a device's stack becomes exactly what is asked for, or nothing
 * happens.
 *
 *   plan     which filters stay, come and go (plan.c)
 *   attach   those that come get ready; no bio is shown to them yet
 *   build    the version that will be published
 *   close    the disk; when it does not drain in time, all is undone
 *   switch   old ones are deactivated, new ones activated, the version published
 *   open     and then the old ones are detached
 *
 * All that can fail comes before the switch.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "plan.h"

static atomic64_t bf_last_generation;

/* Of a stack: larger than that of any stack before. */
u64 bf_next_generation(void)
{
	return atomic64_inc_return(&bf_last_generation);
}

/* --- attach --- */

static int bf_plan_attach(struct bf_plan *plan)
{
	u32 i;
	int ret;

	for (i = 0; i < plan->n; i++) {
		struct bf_item *item = &plan->item[i];

		if (!item->fresh)
			continue;
		ret = bf_instance_attach(item->inst, false);
		if (ret) {
			plan->change->failed = item->entry -
					       plan->change->entry;
			return ret;
		}
	}
	return 0;
}

bool bf_plan_comes_counting(const struct bf_plan *plan)
{
	u32 i;

	for (i = 0; i < plan->n; i++)
		if (plan->item[i].fresh && plan->item[i].inst->ops->flags &
					   BLKFILTER_NEEDS_POINTS)
			return true;
	return false;
}

/*
 * A first filter that needs to know all writes: those from before cannot be
 * counted.  See settle.c.
 */
static int bf_plan_settle(struct bf_plan *plan)
{
	bool counting, settling;

	if (!bf_plan_comes_counting(plan))
		return 0;
	mutex_lock(&bf_lock);
	counting = bf_settle_counting(plan->dev, &settling);
	mutex_unlock(&bf_lock);
	if (counting) {
		plan->settled = !settling;
		plan->first = settling && !plan->dev->settling;
		return 0;
	}
	plan->first = true;
	return bf_settle_freeze(plan->dev, plan->change->openers,
				&plan->frozen);
}

/* --- switch: with the gate closed, cannot fail, allocates nothing --- */

static void bf_item_stays(struct bf_plan *plan, struct bf_item *item)
{
	struct blkfilter_instance *inst = item->inst;
	struct bf_entry *entry = item->entry;

	inst->altitude = entry->altitude;
	if (!entry->keep_owner)
		memcpy(inst->owner, entry->owner, sizeof(inst->owner));
	if (plan->change->confirm)
		inst->provisional = false;
	if (bf_same_options(inst, entry))
		return;
	inst->ops->set_options(inst->flt, entry->options, entry->options_size);
	swap(inst->options, entry->options);
	swap(inst->options_size, entry->options_size);
}

void bf_item_comes(struct bf_plan *plan, struct bf_item *item)
{
	bf_instance_activate(item->inst, plan->disk);
	if (plan->settled)
		bf_instance_settled(item->inst);
}

static void bf_plan_switch(struct bf_plan *plan, struct bf_version *version)
{
	struct bf_stack *stack = &plan->dev->stack;
	u16 old = plan->disk->id, id = bf_new_id();
	u32 i;

	for (i = 0; i < plan->gone; i++) {
		struct bf_item *successor = bf_plan_successor(plan,
							plan->going[i]);

		plan->going[i]->successor =
			successor ? successor->inst->flt : NULL;
		bf_instance_deactivate(plan->going[i]);
	}
	for (i = 0; i < plan->n; i++) {
		if (plan->item[i].fresh)
			bf_item_comes(plan, &plan->item[i]);
		else
			bf_item_stays(plan, &plan->item[i]);
		stack->inst[i] = plan->item[i].inst;
	}
	stack->n = plan->n;
	if (plan->first)
		bf_settle_begin(plan->dev, plan->settled, plan->was_idle);
	else
		bf_settle_end(plan->dev);
	plan->dev->generation = bf_next_generation();
	bf_version_publish(plan->disk, version, NULL);
	/* With no id left, rests of old bios are not shown to new filters. */
	if (id) {
		WRITE_ONCE(plan->disk->id, id);
		bf_free_id(old);
	}
}

/* Builds what the stack will be; under bf_lock, without I/O for memory. */
struct bf_version *bf_plan_build(struct bf_plan *plan)
{
	unsigned int noio = memalloc_noio_save();
	struct bf_stack *next = kzalloc(sizeof(*next), GFP_KERNEL);
	struct bf_version *version = NULL;
	u32 i;

	if (next) {
		for (i = 0; i < plan->n; i++)
			next->inst[next->n++] = plan->item[i].inst;
		version = bf_version_build(plan->disk, plan->dev, next);
	}
	kfree(next);
	memalloc_noio_restore(noio);
	return version;
}

/* Under bf_lock, before anybody can take the new filters down again. */
void bf_plan_tell(struct bf_plan *plan)
{
	struct bf_dev *dev = plan->dev;
	u32 i;

	for (i = 0; i < plan->gone; i++)
		bf_event(BLKFILTER_EVENT_DETACHED, dev,
			 plan->going[i]->ops->name, plan->going[i]->altitude,
			 plan->going[i]->reason, NULL, 0);
	for (i = 0; i < plan->n; i++)
		if (plan->item[i].fresh)
			bf_event(BLKFILTER_EVENT_ATTACHED, dev,
				 plan->item[i].inst->ops->name,
				 plan->item[i].inst->altitude, 0, NULL, 0);
	bf_event(BLKFILTER_EVENT_STACK, dev, "", dev->generation, 0, NULL, 0);
}

/* Is the disk still as it was when the plan was made?  Under bf_lock. */
static int bf_plan_valid(const struct bf_plan *plan)
{
	if (!plan->dev->bdev || plan->disk->gone)
		return -ENODEV;
	return plan->disk->changes == plan->changes ? 0 : -EAGAIN;
}

/*
 * Builds, closes, switches, opens.  -EAGAIN: a device of the disk appeared, went
 * or changed meanwhile, so that the plan is not right any more.
 */
static int bf_plan_commit(struct bf_plan *plan)
{
	struct bf_disk *disk = plan->disk;
	struct bf_gates gates = {
		.disk = &disk,
		.n = 1,
		.counts = plan->counts,
		.limit_ms = plan->change->limit_ms,
	};
	struct bf_version *version = NULL;
	int ret;

	mutex_lock(&bf_lock);
	ret = bf_plan_valid(plan);
	if (!ret)
		version = bf_plan_build(plan);
	mutex_unlock(&bf_lock);
	if (!version)
		return ret ?: -ENOMEM;

	ret = bf_gates_close(&gates);
	if (!ret && plan->first)
		plan->was_idle = bf_settle_drain(plan->dev, &gates);
	mutex_lock(&bf_lock);
	ret = ret ?: bf_plan_valid(plan);
	ret = ret ?: bf_plan_going(plan);
	if (!ret) {
		if (plan->frozen.devs)
			plan->settled = bf_settle_done(plan->dev,
						       &plan->frozen);
		bf_point_tell(disk, NULL, BLKFILTER_POINT_INSTANT, NULL);
		bf_plan_switch(plan, version);
		bf_plan_tell(plan);
	}
	mutex_unlock(&bf_lock);
	bf_gates_open(&gates);
	if (ret)
		bf_version_free(version);
	return ret;
}

/* --- the whole --- */

/* From the first file system that is frozen to the last that is thawed. */
static int bf_plan_do(struct bf_plan *plan)
{
	unsigned int noio = memalloc_noio_save();
	int ret = bf_plan_settle(plan);

	ret = ret ?: bf_plan_commit(plan);
	bf_settle_thaw(&plan->frozen);
	memalloc_noio_restore(noio);
	return ret;
}

static int bf_plan_run(struct bf_plan *plan)
{
	int ret = bf_plan_make(plan);

	if (!ret && plan->change->dry_run) {
		bf_plan_undo(plan);
		return 0;
	}
	ret = ret ?: bf_plan_attach(plan);
	if (ret) {
		bf_plan_undo(plan);
		return ret;
	}
	mutex_lock(&bf_lock);
	plan->counts = bf_disk_counts(plan->disk) ||
		       bf_plan_comes_counting(plan);
	mutex_unlock(&bf_lock);
	if (plan->counts)
		bf_point_tell(plan->disk, NULL, BLKFILTER_POINT_PREPARE, NULL);
	ret = bf_plan_do(plan);
	if (plan->counts)
		bf_point_tell(plan->disk, NULL, BLKFILTER_POINT_DONE, NULL);
	if (ret) {
		bf_plan_undo(plan);
		return ret;
	}
	bf_plan_finish(plan);
	if (plan->first && !plan->settled)
		bf_settle_start(plan->dev);
	return 0;
}

/**
 * bf_stack_set() - a transaction
 * @dev:    the device, referenced.
 * @change: what its stack shall be; entries' options may be exchanged for the
 *          old ones.
 *
 * Sleeps.  Return: see BLKFILTER_IOC_SET_STACK.
 */
int bf_stack_set(struct bf_dev *dev, struct bf_change *change)
{
	struct bf_plan *plan;
	struct bf_disk *disk;
	int ret;

	change->failed = BLKFILTER_NO_ENTRY;
	if (change->n > BLKFILTER_STACK_MAX)
		return -E2BIG;
	plan = kzalloc(sizeof(*plan), GFP_KERNEL);
	if (!plan)
		return -ENOMEM;
	disk = bf_disk_ensure(dev);
	if (IS_ERR(disk)) {
		kfree(plan);
		return PTR_ERR(disk);
	}
	ret = bf_claim(&disk, 1, NULL);
	if (!ret) {
		do {
			*plan = (struct bf_plan){
				.dev = dev, .disk = disk, .change = change,
			};
			ret = bf_plan_run(plan);
		} while (ret == -EAGAIN);
		change->generation = dev->generation;
		bf_unclaim(&disk, 1);
	}
	bf_disk_done(dev);
	bf_disk_put(disk);
	kfree(plan);
	return ret;
}
