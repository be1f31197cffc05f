// SPDX-License-Identifier: GPL-2.0-only
/*
 * One filter of a stack: attached, detached, or told something, by name.  A change
 * is made in terms of the whole stack.
 */
#include <linux/slab.h>
#include "core.h"

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
		entry[i].provisional = inst->provisional;
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

/* The entry of that name; without a name, one that nobody has confirmed. */
static int bf_entries_index(const struct bf_change *change, const u8 *name)
{
	u32 i;

	for (i = 0; i < change->n; i++)
		if (name ? bf_name_is(name, change->entry[i].name) :
			   change->entry[i].provisional)
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
 * @name:   the filter's name; may lack its NUL.  NULL: one that nobody has
 *          confirmed until this very transaction.
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
	bool again;
	int ret;

	do {
		ret = bf_stack_remove(dev, NULL, BLKFILTER_REASON_UNCONFIRMED);
	} while (!ret);
	/* Under bf_lock, so that bf_dev_stop_timers() stops it. */
	mutex_lock(&bf_lock);
	again = ret != -ENOENT && ret != -EINVAL && dev->stack.n;
	if (again)
		mod_delayed_work(bf_wq, &dev->provisional, HZ);
	mutex_unlock(&bf_lock);
	if (!again)
		bf_dev_put(dev);
}

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
	/*
	 * A filter does not answer for the medium that was there before, nor as
	 * if nothing had been missed when the hook was off: it is told first.
	 */
	bf_dev_check_now(dev);
	bf_hook_check();
	ret = inst->ops->ctl ? inst->ops->ctl(inst->flt, cmd, buf, len) :
			       -ENOTTY;
	bf_instance_put(inst);
	return ret;
}
