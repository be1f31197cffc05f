// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/blkfilter: a device's stack, read and changed.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "core.h"

/* --- read --- */

/* What is copied out of one instance, so that nothing is under bf_lock then. */
struct bf_shown {
	struct blkfilter_stack_entry entry;
	void *options;
};

static int bf_show_instance(struct blkfilter_instance *inst,
			    struct bf_shown *shown)
{
	struct blkfilter_stack_entry *entry = &shown->entry;

	strscpy(entry->name, inst->ops->name, sizeof(entry->name));
	memcpy(entry->owner, inst->owner, sizeof(entry->owner));
	entry->altitude = inst->altitude;
	entry->instance = inst->number;
	entry->flags =
		(inst->provisional ? BLKFILTER_ENTRY_PROVISIONAL : 0) |
		(inst->from_first_bio ? BLKFILTER_ENTRY_FROM_FIRST_BIO : 0);
	bf_instance_stats(inst, &entry->statistics);
	if (inst->ops->state)
		inst->ops->state(inst->flt, (char *)entry->state,
				 sizeof(entry->state));
	entry->options_size = inst->options_size;
	if (!inst->options_size)
		return 0;
	shown->options = kmemdup(inst->options, inst->options_size, GFP_NOIO);
	return shown->options ? 0 : -ENOMEM;
}

/* One entry to userspace; its room for the options is in its own entry. */
static int bf_show_copy_out(struct bf_shown *shown,
			    struct blkfilter_stack_entry __user *user)
{
	struct blkfilter_stack_entry *entry = &shown->entry;
	u32 room;

	if (get_user(entry->options, &user->options) ||
	    get_user(room, &user->options_size))
		return -EFAULT;
	if (copy_to_user(u64_to_user_ptr(entry->options), shown->options,
			 min(room, entry->options_size)))
		return -EFAULT;
	return copy_to_user(user, entry, sizeof(*entry)) ? -EFAULT : 0;
}

static long bf_stack_show(struct bf_dev *dev, struct blkfilter_stack *stack)
{
	struct blkfilter_stack_entry __user *user =
		u64_to_user_ptr(stack->entries);
	struct bf_shown *shown = kcalloc(BLKFILTER_STACK_MAX, sizeof(*shown),
					 GFP_KERNEL);
	u32 n, i;
	int ret = 0;

	if (!shown)
		return -ENOMEM;
	mutex_lock(&bf_lock);
	n = dev->stack.n;
	stack->generation = dev->generation;
	for (i = 0; i < n && !ret; i++)
		ret = bf_show_instance(dev->stack.inst[i], &shown[i]);
	mutex_unlock(&bf_lock);
	for (i = 0; i < min(n, stack->count) && !ret; i++)
		ret = bf_show_copy_out(&shown[i], &user[i]);
	for (i = 0; i < n; i++)
		kfree(shown[i].options);
	kfree(shown);
	stack->count = n;
	return ret;
}

static int bf_stack_copy_in(struct blkfilter_stack *stack, u32 flags,
			    struct bf_dev **dev, void __user *arg)
{
	int ret = bf_copy_in(stack, sizeof(*stack), arg);

	if (ret)
		return ret;
	if (stack->flags & ~flags ||
	    stack->entry_size != sizeof(struct blkfilter_stack_entry))
		return -EINVAL;
	return bf_dev_from_user(&stack->device, dev);
}

long bf_control_get_stack(void __user *arg)
{
	struct blkfilter_stack stack;
	struct bf_dev *dev;
	int ret = bf_stack_copy_in(&stack, 0, &dev, arg);

	if (ret)
		return ret;
	ret = bf_stack_show(dev, &stack);
	bf_dev_put(dev);
	return ret ?: bf_copy_out(&stack, sizeof(stack), arg);
}

/* --- change --- */

static int bf_entry_copy_in(struct bf_entry *entry,
			    const struct blkfilter_stack_entry __user *user)
{
	struct blkfilter_stack_entry from;

	if (copy_from_user(&from, user, sizeof(from)))
		return -EFAULT;
	if (from.flags || from.options_size > BLKFILTER_OPTIONS_MAX ||
	    strnlen(from.name, sizeof(from.name)) == sizeof(from.name) ||
	    strnlen(from.replaces, sizeof(from.replaces)) ==
	    sizeof(from.replaces))
		return -EINVAL;
	memcpy(entry->name, from.name, sizeof(entry->name));
	memcpy(entry->replaces, from.replaces, sizeof(entry->replaces));
	memcpy(entry->owner, from.owner, sizeof(entry->owner));
	entry->altitude = from.altitude;
	if (!from.options_size)
		return 0;
	entry->options = memdup_user(u64_to_user_ptr(from.options),
				     from.options_size);
	if (IS_ERR(entry->options)) {
		int ret = PTR_ERR(entry->options);

		entry->options = NULL;
		return ret;
	}
	entry->options_size = from.options_size;
	return 0;
}

/**
 * bf_entries_copy_in() - copy the entries of a stack from userspace
 * @entry:      out; for bf_entries_free().
 * @address:    of an array of &struct blkfilter_stack_entry.
 * @n:          how many.
 * @entry_size: bytes of one, as the program knows it.
 *
 * Return: 0, -EINVAL, -E2BIG, -EFAULT, -ENOMEM.
 */
int bf_entries_copy_in(struct bf_entry **entry, u64 address, u32 n,
		       u32 entry_size)
{
	struct blkfilter_stack_entry __user *user = u64_to_user_ptr(address);
	int ret = 0;
	u32 i;

	if (entry_size != sizeof(*user))
		return -EINVAL;
	if (n > BLKFILTER_STACK_MAX)
		return -E2BIG;
	*entry = kcalloc(n ?: 1, sizeof(**entry), GFP_KERNEL);
	if (!*entry)
		return -ENOMEM;
	for (i = 0; i < n && !ret; i++)
		ret = bf_entry_copy_in(&(*entry)[i], &user[i]);
	if (ret)
		bf_entries_free(*entry, n);
	return ret;
}

static int bf_stack_change(struct bf_dev *dev, struct blkfilter_stack *stack)
{
	struct bf_change change = {
		.n = stack->count,
		.generation = stack->generation,
		.expect = stack->flags & BLKFILTER_STACK_EXPECT,
		.dry_run = stack->flags & BLKFILTER_STACK_DRY_RUN,
		.confirm = stack->flags & BLKFILTER_STACK_CONFIRM,
		.limit_ms = stack->limit_ms,
		.reason = BLKFILTER_REASON_REQUEST,
	};
	int ret = bf_entries_copy_in(&change.entry, stack->entries,
				     stack->count, stack->entry_size);

	if (ret)
		return ret;
	ret = bf_stack_set(dev, &change);
	bf_entries_free(change.entry, change.n);
	stack->generation = change.generation;
	stack->failed = change.failed;
	return ret;
}

long bf_control_set_stack(void __user *arg)
{
	struct blkfilter_stack stack;
	struct bf_dev *dev;
	int ret = bf_stack_copy_in(&stack, BLKFILTER_STACK_DRY_RUN |
				   BLKFILTER_STACK_EXPECT |
				   BLKFILTER_STACK_CONFIRM, &dev, arg), out;

	if (ret)
		return ret;
	stack.failed = BLKFILTER_NO_ENTRY;
	ret = bf_stack_change(dev, &stack);
	bf_dev_put(dev);
	out = bf_copy_out(&stack, sizeof(stack), arg);
	return ret ?: out;
}
