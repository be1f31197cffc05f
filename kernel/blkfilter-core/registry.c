// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filters that modules offer, and their instances.
 */
#include <linux/ctype.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "core.h"
#include "trace.h"

static LIST_HEAD(bf_filters);
static DEFINE_MUTEX(bf_filters_lock);
/* Instances by their tag. */
static DEFINE_XARRAY_ALLOC1(bf_tags);
static atomic64_t bf_last_number;

/* A name from userspace may lack its NUL: then it is nobody's. */
bool bf_name_is(const u8 *name, const char *other)
{
	return !strncmp(name, other, BLKFILTER_NAME_LENGTH);
}

static bool bf_name_ok(const char *name)
{
	size_t length = name ? strlen(name) : 0;
	const char *c;

	for (c = name; length && *c; c++)
		if (!islower(*c) && !isdigit(*c) && *c != '-' && *c != '_')
			return false;
	return length && length < BLKFILTER_NAME_LENGTH;
}

static struct blkfilter_operations *bf_filter_find(const u8 *name)
{
	struct blkfilter_operations *ops;

	list_for_each_entry(ops, &bf_filters, link)
		if (bf_name_is(name, ops->name))
			return ops;
	return NULL;
}

/**
 * blkfilter_register() - offer a filter
 * @ops: the filter; stays as it is until blkfilter_unregister().
 *
 * Sleeps.  Return: 0; -EBUSY when there is a filter of that name; -EINVAL when
 * the name, the altitude, a flag or a missing operation makes it impossible.
 */
int blkfilter_register(struct blkfilter_operations *ops)
{
	int ret = 0;

	if (!bf_name_ok(ops->name) || !ops->attach || !ops->detach ||
	    !ops->submit_bio ||
	    ops->flags & ~(BLKFILTER_NEEDS_POINTS | BLKFILTER_ZONED) ||
	    ops->altitude < BLKFILTER_ALTITUDE_MIN ||
	    ops->altitude > BLKFILTER_ALTITUDE_MAX)
		return -EINVAL;

	/* The hook cannot be installed while a device appears. */
	if (ops->appeared)
		ret = bf_hook_get();
	if (ret)
		return ret;
	mutex_lock(&bf_filters_lock);
	if (bf_filter_find(ops->name))
		ret = -EBUSY;
	else
		list_add_tail(&ops->link, &bf_filters);
	mutex_unlock(&bf_filters_lock);
	if (ret && ops->appeared)
		bf_hook_put();
	if (!ret)
		bf_event(BLKFILTER_EVENT_REGISTERED, NULL, ops->name,
			 ops->altitude, 0, NULL, 0);
	return ret;
}
EXPORT_SYMBOL_GPL(blkfilter_register);

/**
 * blkfilter_unregister() - withdraw a filter
 * @ops: as registered.
 *
 * For module_exit(): the filter is attached nowhere then, as each attachment
 * holds the module.  A filter that is built in must never call this while
 * attached.  Sleeps.
 */
void blkfilter_unregister(struct blkfilter_operations *ops)
{
	mutex_lock(&bf_filters_lock);
	list_del(&ops->link);
	mutex_unlock(&bf_filters_lock);
	if (ops->appeared)
		bf_hook_put();
	bf_event(BLKFILTER_EVENT_UNREGISTERED, NULL, ops->name, 0, 0, NULL, 0);
}
EXPORT_SYMBOL_GPL(blkfilter_unregister);

/* The filter of that name with its module held, or NULL. */
struct blkfilter_operations *bf_filter_get(const u8 *name)
{
	struct blkfilter_operations *ops;

	mutex_lock(&bf_filters_lock);
	ops = bf_filter_find(name);
	if (ops && !try_module_get(ops->owner))
		ops = NULL;
	mutex_unlock(&bf_filters_lock);
	return ops;
}

/**
 * bf_filter_wants() - does a registered filter want a device that appeared?
 * @bdev: the device.
 * @ops:  in: NULL to begin, or the one given last, whose module is put; out:
 *        the next that wants it, with its module held.
 *
 * Return: false when there is no further one.
 */
bool bf_filter_wants(struct block_device *bdev,
		     struct blkfilter_operations **ops)
{
	struct blkfilter_operations *next, *last = *ops;
	bool behind = !last;

	*ops = NULL;
	mutex_lock(&bf_filters_lock);
	list_for_each_entry(next, &bf_filters, link) {
		if (behind && next->appeared && try_module_get(next->owner)) {
			if (next->appeared(bdev)) {
				*ops = next;
				break;
			}
			module_put(next->owner);
		}
		behind = behind || next == last;
	}
	mutex_unlock(&bf_filters_lock);
	if (last)
		module_put(last->owner);
	return *ops;
}

/* Fills what fits; returns how many there are. */
u32 bf_filters_fill(struct blkfilter_filter_info *info, u32 room)
{
	struct blkfilter_operations *ops;
	u32 n = 0;

	mutex_lock(&bf_filters_lock);
	list_for_each_entry(ops, &bf_filters, link) {
		if (n < room) {
			strscpy(info[n].name, ops->name, sizeof(info[n].name));
			if (ops->owner)
				strscpy(info[n].module, ops->owner->name,
					sizeof(info[n].module));
			info[n].altitude = ops->altitude;
			info[n].flags = ops->flags;
			info[n].instances = bf_instances_of(ops);
		}
		n++;
	}
	mutex_unlock(&bf_filters_lock);
	return n;
}

/* --- instances --- */

/**
 * bf_instance_new() - an attachment that is not yet one
 * @dev:          the device.
 * @ops:          the filter; its module reference becomes the instance's.
 * @altitude:     in millionths.
 * @options:      copied.
 * @options_size: their bytes.
 *
 * Return: the instance; ERR_PTR: the module reference stays the caller's.
 */
struct blkfilter_instance *
bf_instance_new(struct bf_dev *dev, struct blkfilter_operations *ops,
		u64 altitude, const void *options, u32 options_size)
{
	struct blkfilter_instance *inst = kzalloc(sizeof(*inst), GFP_KERNEL);
	int ret = -ENOMEM;
	u32 tag;

	if (!inst)
		return ERR_PTR(-ENOMEM);
	inst->bdev = bf_dev_hold(dev);
	if (!inst->bdev) {
		kfree(inst);
		return ERR_PTR(-ENODEV);
	}
	inst->stats = alloc_percpu(struct blkfilter_statistics);
	if (options_size)
		inst->options = kmemdup(options, options_size, GFP_KERNEL);
	if (inst->stats && (inst->options || !options_size))
		ret = xa_alloc(&bf_tags, &tag, inst, XA_LIMIT(1, U16_MAX),
			       GFP_KERNEL);
	if (ret) {
		kfree(inst->options);
		free_percpu(inst->stats);
		bf_dev_unhold(dev);
		kfree(inst);
		return ERR_PTR(ret == -EBUSY ? -ENOSPC : ret);
	}
	bf_dev_get(dev);
	inst->dev = dev;
	inst->ops = ops;
	inst->altitude = altitude;
	inst->options_size = options_size;
	inst->tag = tag;
	refcount_set(&inst->users, 1);
	init_completion(&inst->unused);
	inst->number = atomic64_inc_return(&bf_last_number);
	return inst;
}

/* Calls the filter's attach().  Sleeps. */
int bf_instance_attach(struct blkfilter_instance *inst, bool appearing)
{
	struct blkfilter_attach how = {
		.options = inst->options,
		.options_size = inst->options_size,
		.altitude = inst->altitude,
		.appearing = appearing,
	};
	struct blkfilter *flt = inst->ops->attach(inst->bdev, &how);

	if (IS_ERR(flt))
		return PTR_ERR(flt);
	flt->ops = inst->ops;
	flt->bdev = inst->bdev;
	flt->core = inst;
	inst->flt = flt;
	inst->from_first_bio = appearing;
	return 0;
}

/* A user of the instance outside its chain (a command) is done with it. */
void bf_instance_put(struct blkfilter_instance *inst)
{
	if (refcount_dec_and_test(&inst->users))
		complete(&inst->unused);
}

/*
 * The instance whose own bio carries @tag, or NULL.  It lives for as long as the
 * caller has that bio: its detach() waits for it.
 */
struct blkfilter_instance *bf_instance_of(u16 tag)
{
	return xa_load(&bf_tags, tag);
}

/* Takes an instance down that no bio can reach.  Sleeps. */
void bf_instance_destroy(struct blkfilter_instance *inst)
{
	struct module *owner = inst->ops->owner;

	bf_instance_put(inst);
	wait_for_completion(&inst->unused);
	if (inst->flt)
		inst->ops->detach(inst->flt);
	xa_erase(&bf_tags, inst->tag);
	free_percpu(inst->stats);
	kfree(inst->options);
	bf_dev_unhold(inst->dev);
	bf_dev_put(inst->dev);
	if (inst->disk)
		bf_disk_put(inst->disk);
	kfree(inst);
	module_put(owner);
}

/* The filter sees bios from now on; under bf_lock. */
void bf_instance_activate(struct blkfilter_instance *inst, struct bf_disk *disk)
{
	bf_disk_get(disk);
	inst->disk = disk;
	inst->active = true;
	if (inst->ops->activate)
		inst->ops->activate(inst->flt);
	trace_blkfilter_attach(inst);
}

/* The last word to a filter before its bios end; tells userspace too. */
void bf_instance_deactivate(struct blkfilter_instance *inst)
{
	if (!inst->active)
		return;
	WRITE_ONCE(inst->active, false);
	bf_claim_wake();
	if (inst->ops->deactivate)
		inst->ops->deactivate(inst->flt, inst->reason,
				      inst->successor);
	trace_blkfilter_detach(inst);
}

void bf_instance_settled(struct blkfilter_instance *inst)
{
	if (inst->settled)
		return;
	inst->settled = true;
	if (inst->ops->settled)
		inst->ops->settled(inst->flt);
}

void bf_instance_stats(struct blkfilter_instance *inst,
		       struct blkfilter_statistics *sum)
{
	u64 *to = (u64 *)sum;
	int cpu, i;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		u64 *from = (u64 *)per_cpu_ptr(inst->stats, cpu);

		for (i = 0; i < sizeof(*sum) / sizeof(u64); i++)
			to[i] += READ_ONCE(from[i]);
	}
}
