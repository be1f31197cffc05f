// SPDX-License-Identifier: GPL-2.0-only
/*
 * The plan of a transaction: which filters stay, come and go.  What is impossible
 * is refused here, and nothing has changed.
 */
#include <linux/slab.h>
#include "plan.h"

static struct blkfilter_instance *bf_stack_find(const struct bf_stack *stack,
						const u8 *name)
{
	u32 i;

	for (i = 0; i < stack->n; i++)
		if (bf_name_is(name, stack->inst[i]->ops->name))
			return stack->inst[i];
	return NULL;
}

struct bf_item *bf_plan_find(struct bf_plan *plan, const u8 *name)
{
	u32 i;

	for (i = 0; i < plan->n; i++)
		if (bf_name_is(name, plan->item[i].inst->ops->name))
			return &plan->item[i];
	return NULL;
}

/* The item that takes over from a filter that goes, or NULL. */
struct bf_item *bf_plan_successor(struct bf_plan *plan,
				  struct blkfilter_instance *inst)
{
	u32 i;

	for (i = 0; i < plan->n; i++)
		if (bf_name_is(plan->item[i].entry->replaces, inst->ops->name))
			return &plan->item[i];
	return NULL;
}

/* May a filter work on this device at all? */
static int bf_device_suits(const struct blkfilter_instance *inst)
{
	struct block_device *bdev = inst->bdev;
	const char *why;

	if (bdev->bd_disk->flags & GENHD_FL_HIDDEN)
		why = "it is hidden: filter the multipath device above it";
	else if (bdev_is_zoned(bdev) && !(inst->ops->flags & BLKFILTER_ZONED))
		why = "it is zoned, and the filter cannot handle that";
	else if (blk_queue_dax(bdev_get_queue(bdev)) && bdev->bd_holder)
		why = "it may be mounted with DAX, which goes past the block layer";
	else
		return 0;
	pr_err("%s: %s cannot be attached: %s\n", inst->dev->name,
	       inst->ops->name, why);
	return -EOPNOTSUPP;
}

bool bf_same_options(const struct blkfilter_instance *inst,
		     const struct bf_entry *entry)
{
	return inst->options_size == entry->options_size &&
	       !memcmp(inst->options, entry->options, entry->options_size);
}

static int bf_plan_stays(struct blkfilter_instance *inst,
			 const struct bf_entry *entry)
{
	if (bf_same_options(inst, entry))
		return 0;
	if (!inst->ops->check_options || !inst->ops->set_options)
		return -EOPNOTSUPP;
	return inst->ops->check_options(inst->flt, entry->options,
					entry->options_size);
}

/* A new instance for an entry, or ERR_PTR. */
static struct blkfilter_instance *bf_plan_comes(struct bf_dev *dev,
						struct bf_entry *entry)
{
	struct blkfilter_operations *ops = bf_filter_get(entry->name);
	struct blkfilter_instance *inst;
	int ret;

	if (!ops)
		return ERR_PTR(-ENOENT);
	if (!entry->altitude)
		entry->altitude = ops->altitude;
	inst = bf_instance_new(dev, ops, entry->altitude, entry->options,
			       entry->options_size);
	if (IS_ERR(inst)) {
		module_put(ops->owner);
		return inst;
	}
	ret = bf_device_suits(inst);
	if (ret) {
		bf_instance_destroy(inst);
		return ERR_PTR(ret);
	}
	memcpy(inst->owner, entry->owner, sizeof(inst->owner));
	inst->provisional = entry->provisional;
	return inst;
}

/* An attached filter with a reference: removal waits for it, not for us. */
struct blkfilter_instance *bf_stack_get(struct bf_dev *dev, const u8 *name)
{
	struct blkfilter_instance *inst;

	mutex_lock(&bf_lock);
	inst = bf_stack_find(&dev->stack, name);
	if (inst)
		refcount_inc(&inst->users);
	mutex_unlock(&bf_lock);
	return inst;
}

/* Undoes what made an item: a fresh instance, or a reference. */
static void bf_item_drop(struct blkfilter_instance *inst, bool fresh)
{
	if (fresh)
		bf_instance_destroy(inst);
	else
		bf_instance_put(inst);
}

int bf_plan_entry(struct bf_plan *plan, struct bf_entry *entry)
{
	struct blkfilter_instance *inst;
	bool fresh;
	u32 i, at;
	int ret;

	if (entry->altitude > BLKFILTER_ALTITUDE_MAX)
		return -ERANGE;
	if (bf_plan_find(plan, entry->name))
		return -EEXIST;
	inst = bf_stack_get(plan->dev, entry->name);
	fresh = !inst;
	if (fresh) {
		inst = bf_plan_comes(plan->dev, entry);
		if (IS_ERR(inst))
			return PTR_ERR(inst);
	} else if (!entry->altitude) {
		entry->altitude = inst->altitude;
	}
	ret = fresh ? 0 : bf_plan_stays(inst, entry);
	for (at = 0; at < plan->n; at++)
		if (plan->item[at].entry->altitude <= entry->altitude)
			break;
	if (!ret && at < plan->n &&
	    plan->item[at].entry->altitude == entry->altitude)
		ret = -EBUSY;
	if (ret) {
		bf_item_drop(inst, fresh);
		return ret;
	}
	for (i = plan->n++; i > at; i--)
		plan->item[i] = plan->item[i - 1];
	plan->item[at] = (struct bf_item){ inst, entry, fresh };
	return 0;
}

/* A filter that shall be replaced must be there, and go. */
static int bf_plan_replaces(struct bf_plan *plan, const struct bf_entry *entry)
{
	u32 i;

	if (!entry->replaces[0])
		return 0;
	for (i = 0; i < plan->gone; i++)
		if (bf_name_is(entry->replaces, plan->going[i]->ops->name))
			return 0;
	return bf_plan_find(plan, entry->replaces) ? -EINVAL : -ENOENT;
}

/* What is in the old stack and not in the new one, with references. */
static void bf_plan_collect(struct bf_plan *plan)
{
	struct bf_stack *old = &plan->dev->stack;
	u32 i;

	mutex_lock(&bf_lock);
	for (i = 0; i < old->n; i++) {
		if (bf_plan_find(plan, old->inst[i]->ops->name))
			continue;
		refcount_inc(&old->inst[i]->users);
		plan->going[plan->gone++] = old->inst[i];
	}
	mutex_unlock(&bf_lock);
}

/*
 * bf_plan_going() - do those that would go agree?
 *
 * Asked twice: early, so that nothing is begun in vain, and with the gate closed, as
 * the answer may have become another one meanwhile.
 */
int bf_plan_going(struct bf_plan *plan)
{
	u32 i;
	int ret = 0;

	for (i = 0; i < plan->gone && !ret; i++) {
		struct blkfilter_instance *inst = plan->going[i];

		inst->reason = bf_plan_successor(plan, inst) ?
			BLKFILTER_REASON_REPLACED : plan->change->reason;
		if (inst->ops->query_detach)
			ret = inst->ops->query_detach(inst->flt, inst->reason);
	}
	return ret;
}

static int bf_plan_begin(struct bf_plan *plan)
{
	struct bf_change *change = plan->change;
	int ret = 0;

	mutex_lock(&bf_lock);
	plan->changes = plan->disk->changes;
	if (!plan->dev->bdev)
		ret = -ENODEV;
	else if (change->expect && change->generation != plan->dev->generation)
		ret = -ESTALE;
	mutex_unlock(&bf_lock);
	return ret;
}

int bf_plan_make(struct bf_plan *plan)
{
	struct bf_change *change = plan->change;
	int ret = bf_plan_begin(plan);
	u32 i;

	if (ret)
		return ret;
	for (i = 0; i < change->n && !ret; i++) {
		ret = bf_plan_entry(plan, &change->entry[i]);
		if (ret)
			change->failed = i;
	}
	bf_plan_collect(plan);
	for (i = 0; i < change->n && !ret; i++) {
		ret = bf_plan_replaces(plan, &change->entry[i]);
		if (ret)
			change->failed = i;
	}
	return ret ?: bf_plan_going(plan);
}

/* Undoes what was planned and attached; the old stack was never touched. */
void bf_plan_undo(struct bf_plan *plan)
{
	for (; plan->n; plan->n--)
		bf_item_drop(plan->item[plan->n - 1].inst,
			     plan->item[plan->n - 1].fresh);
	while (plan->gone)
		bf_instance_put(plan->going[--plan->gone]);
}

/* The switch was made: what goes is detached, what stays needs no reference. */
void bf_plan_finish(struct bf_plan *plan)
{
	u32 i;

	for (i = 0; i < plan->n; i++)
		if (!plan->item[i].fresh)
			bf_instance_put(plan->item[i].inst);
	for (i = 0; i < plan->gone; i++) {
		bf_instance_put(plan->going[i]);
		bf_instance_destroy(plan->going[i]);
	}
}
