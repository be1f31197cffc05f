// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transactions: a device's stack becomes exactly what is asked for, or nothing
 * happens.
 *
 *   plan     which filters stay, come and go; what is impossible is refused
 *   attach   those that come get ready; no bio is shown to them yet
 *   build    the version that will be published
 *   close    the disk; when it does not drain in time, all is undone
 *   switch   old ones are deactivated, new ones activated, the version published
 *   open     and then the old ones are detached
 *
 * All that can fail comes before the switch.
 */
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "core.h"

static atomic64_t bf_last_generation;

/* One filter of the new stack. */
struct bf_item {
	struct blkfilter_instance *inst;
	struct bf_entry *entry;
	bool fresh;		/* comes; otherwise it stays */
};

/**
 * struct bf_plan - a transaction on its way
 * @dev:     the device.
 * @disk:    its disk, referenced and claimed.
 * @change:  what is asked for.
 * @item:    the new stack, from high to low.
 * @n:       filters in it.
 * @going:   instances of the old stack that are not in the new one.
 * @gone:    how many.
 * @changes: of the disk when the plan was made: something came or went since
 *           when it is another.
 * @counts:  some filter of the disk needs points, before or after.
 * @first:   the first filters of the device that need them.
 * @frozen:  file systems that are frozen for them.
 * @settled: writes from before cannot exist when the new filters begin.
 */
struct bf_plan {
	struct bf_dev *dev;
	struct bf_disk *disk;
	struct bf_change *change;
	struct bf_item item[BLKFILTER_STACK_MAX];
	u32 n;
	struct blkfilter_instance *going[BLKFILTER_STACK_MAX];
	u32 gone;
	u32 changes;
	bool counts;
	bool first;
	struct bf_frozen frozen;
	bool settled;
};

static struct blkfilter_instance *bf_stack_find(const struct bf_stack *stack,
						const u8 *name)
{
	u32 i;

	for (i = 0; i < stack->n; i++)
		if (bf_name_is(name, stack->inst[i]->ops->name))
			return stack->inst[i];
	return NULL;
}

static struct bf_item *bf_plan_find(struct bf_plan *plan, const u8 *name)
{
	u32 i;

	for (i = 0; i < plan->n; i++)
		if (bf_name_is(name, plan->item[i].inst->ops->name))
			return &plan->item[i];
	return NULL;
}

/* The item that takes over from a filter that goes, or NULL. */
static struct bf_item *bf_plan_successor(struct bf_plan *plan,
					 struct blkfilter_instance *inst)
{
	u32 i;

	for (i = 0; i < plan->n; i++)
		if (bf_name_is(plan->item[i].entry->replaces, inst->ops->name))
			return &plan->item[i];
	return NULL;
}

/* --- plan --- */

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

static bool bf_same_options(const struct blkfilter_instance *inst,
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
static struct blkfilter_instance *bf_stack_get(struct bf_dev *dev,
					       const u8 *name)
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

static int bf_plan_entry(struct bf_plan *plan, struct bf_entry *entry)
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

/* Do those that would go agree? */
static int bf_plan_going(struct bf_plan *plan)
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

static int bf_plan_make(struct bf_plan *plan)
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
static void bf_plan_undo(struct bf_plan *plan)
{
	for (; plan->n; plan->n--)
		bf_item_drop(plan->item[plan->n - 1].inst,
			     plan->item[plan->n - 1].fresh);
	while (plan->gone)
		bf_instance_put(plan->going[--plan->gone]);
}

/* The switch was made: what goes is detached, what stays needs no reference. */
static void bf_plan_finish(struct bf_plan *plan)
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

static bool bf_plan_comes_counting(const struct bf_plan *plan)
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
	bool settling;
	int ret;

	if (!bf_plan_comes_counting(plan))
		return 0;
	if (bf_settle_counting(plan->dev, &settling)) {
		plan->settled = !settling;
		plan->first = settling && !plan->dev->settling;
		return 0;
	}
	plan->first = true;
	ret = bf_settle_freeze(plan->dev, plan->change->openers, &plan->frozen);
	plan->settled = plan->frozen.settled;
	return ret;
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

static void bf_item_comes(struct bf_plan *plan, struct bf_item *item)
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
		plan->dev->settling = !plan->settled;
	plan->dev->generation = atomic64_inc_return(&bf_last_generation);
	bf_version_publish(plan->disk, version, NULL);
	/* With no id left, rests of old bios are not shown to new filters. */
	if (id) {
		WRITE_ONCE(plan->disk->id, id);
		bf_free_id(old);
	}
}

/* Builds what the stack will be; under bf_lock, without I/O for memory. */
static struct bf_version *bf_plan_build(struct bf_plan *plan)
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
static void bf_plan_tell(struct bf_plan *plan)
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
	mutex_lock(&bf_lock);
	ret = ret ?: bf_plan_valid(plan);
	if (!ret) {
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
	ret = bf_claim(&disk, 1);
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

/* --- changes of one filter, in terms of the whole stack --- */

void bf_entries_free(struct bf_entry *entry, u32 n)
{
	while (entry && n--)
		kfree(entry[n].options);
	kfree(entry);
}

/*
 * Entries that describe the stack as it is, with room for one more.
 * Return: NULL without memory.
 */
static struct bf_entry *bf_entries_current(struct bf_dev *dev,
					   struct bf_change *change)
{
	struct bf_entry *entry = kcalloc(BLKFILTER_STACK_MAX + 1,
					 sizeof(*entry), GFP_KERNEL);
	u32 i;

	if (!entry)
		return NULL;
	mutex_lock(&bf_lock);
	change->n = dev->stack.n;
	change->generation = dev->generation;
	change->expect = true;
	change->entry = entry;
	for (i = 0; i < change->n; i++) {
		struct blkfilter_instance *inst = dev->stack.inst[i];

		strscpy(entry[i].name, inst->ops->name, sizeof(entry[i].name));
		entry[i].altitude = inst->altitude;
		entry[i].options_size = inst->options_size;
		entry[i].keep_owner = true;
		if (!inst->options_size)
			continue;
		entry[i].options = kmemdup(inst->options, inst->options_size,
					   GFP_NOIO);
		if (!entry[i].options)
			break;
	}
	mutex_unlock(&bf_lock);
	if (i == change->n)
		return entry;
	bf_entries_free(entry, i);
	return NULL;
}

static int bf_entries_index(const struct bf_change *change, const u8 *name)
{
	u32 i;

	for (i = 0; i < change->n; i++)
		if (bf_name_is(name, change->entry[i].name))
			return i;
	return -1;
}

/**
 * bf_stack_add() - attach a filter at its default altitude
 * @dev:     the device.
 * @name:    the filter's name; may lack its NUL.
 * @openers: descriptors of the device that the caller itself has open.
 *
 * Return: 0; -EALREADY; else as bf_stack_set().
 */
int bf_stack_add(struct bf_dev *dev, const u8 *name, u32 openers)
{
	struct bf_change change = { .openers = openers };
	int ret;

	do {
		if (!bf_entries_current(dev, &change))
			return -ENOMEM;
		ret = bf_entries_index(&change, name) >= 0 ? -EALREADY : 0;
		if (!ret) {
			memcpy(change.entry[change.n++].name, name,
			       BLKFILTER_NAME_LENGTH);
			ret = bf_stack_set(dev, &change);
		}
		bf_entries_free(change.entry, change.n);
	} while (ret == -ESTALE);
	return ret;
}

/**
 * bf_stack_remove() - detach a filter
 * @dev:    the device.
 * @name:   the filter's name; may lack its NUL.
 * @reason: told to the filter.
 *
 * Return: 0; -ENOENT when the device has no filter, -EINVAL when it has but not
 * this one; else as bf_stack_set().
 */
int bf_stack_remove(struct bf_dev *dev, const u8 *name,
		    enum blkfilter_reason reason)
{
	struct bf_change change = { .reason = reason };
	int i, ret;

	do {
		if (!bf_entries_current(dev, &change))
			return -ENOMEM;
		i = bf_entries_index(&change, name);
		ret = i >= 0 ? 0 : change.n ? -EINVAL : -ENOENT;
		if (!ret) {
			kfree(change.entry[i].options);
			change.n--;
			memmove(&change.entry[i], &change.entry[i + 1],
				(change.n - i) * sizeof(*change.entry));
			ret = bf_stack_set(dev, &change);
		}
		bf_entries_free(change.entry, change.n);
	} while (ret == -ESTALE);
	return ret;
}

/* Takes off what a provisional rule attached and nobody confirmed. */
void bf_stack_unconfirmed(struct work_struct *work)
{
	struct bf_dev *dev = container_of(to_delayed_work(work), struct bf_dev,
					  provisional);
	u8 name[BLKFILTER_NAME_LENGTH];
	bool found;
	u32 i;

	do {
		found = false;
		mutex_lock(&bf_lock);
		for (i = 0; i < dev->stack.n && !found; i++) {
			found = dev->stack.inst[i]->provisional;
			if (found)
				strscpy(name, dev->stack.inst[i]->ops->name,
					sizeof(name));
		}
		mutex_unlock(&bf_lock);
	} while (found &&
		 !bf_stack_remove(dev, name, BLKFILTER_REASON_UNCONFIRMED));
	if (found)
		mod_delayed_work(bf_wq, &dev->provisional, HZ);
	else
		bf_dev_put(dev);
}

/* --- devices that appear --- */

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
	version = bf_plan_build(plan);
	if (version) {
		plan->settled = true;	/* it has had no bio */
		for (i = 0; i < plan->n; i++) {
			plan->dev->stack.inst[i] = plan->item[i].inst;
			bf_item_comes(plan, &plan->item[i]);
		}
		plan->dev->stack.n = plan->n;
		plan->dev->generation =
			atomic64_inc_return(&bf_last_generation);
		disk->changes++;
		bf_version_publish(disk, version, NULL);
		bf_plan_tell(plan);
	}
	mutex_unlock(&bf_lock);
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

/* --- commands --- */

/**
 * bf_stack_command() - a command to an attached filter
 * @dev:  the device.
 * @name: the filter's name; may lack its NUL.
 * @cmd:  the command.
 * @buf:  its argument and answer.
 * @len:  in: bytes at @buf; out: bytes of the answer.
 *
 * Return: -ENOENT when it is not attached, -ENOTTY when it has no such command,
 * or what the filter returned.
 */
int bf_stack_command(struct bf_dev *dev, const u8 *name, u32 cmd,
		     u8 __user *buf, u32 *len)
{
	struct blkfilter_instance *inst = bf_stack_get(dev, name);
	int ret;

	if (!inst)
		return -ENOENT;
	ret = inst->ops->ctl ? inst->ops->ctl(inst->flt, cmd, buf, len) :
			       -ENOTTY;
	bf_instance_put(inst);
	return ret;
}
