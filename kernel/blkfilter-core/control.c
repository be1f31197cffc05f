// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/blkfilter.  The interface is documented in <linux/blkfilter-control.h>;
 * stacks are in control-stack.c.
 */
#include <linux/capability.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "core.h"

/**
 * blkfilter_copy_in_grown() - copy an argument that begins with its size
 * @argument: to where.
 * @oldest:   bytes of the smallest one that was ever published.
 * @size:     bytes of it.
 * @user:     from where.
 * @room:     bytes there are at @user.
 *
 * Of an argument that is smaller than ours the rest is zero; one that is larger is
 * taken when its rest is.
 *
 * Return: 0, -EFAULT, -EINVAL (too small, or it says more than there is), -E2BIG
 * (larger, and used).
 */
int blkfilter_copy_in_grown(void *argument, size_t oldest, size_t size,
			    u8 __user *user, u32 room)
{
	u32 given;

	if (room < sizeof(given))
		return -EINVAL;
	if (get_user(given, (u32 __user *)user))
		return -EFAULT;
	if (given > PAGE_SIZE)
		return -E2BIG;
	if (given < oldest || given > room)
		return -EINVAL;
	return copy_struct_from_user(argument, size, user, given);
}
EXPORT_SYMBOL_GPL(blkfilter_copy_in_grown);

/**
 * blkfilter_copy_in() - the same for an argument that has not grown yet
 * @argument: to where.
 * @size:     bytes of it.
 * @user:     from where.
 * @room:     bytes there are at @user.
 *
 * Return: as blkfilter_copy_in_grown().
 */
int blkfilter_copy_in(void *argument, size_t size, u8 __user *user, u32 room)
{
	return blkfilter_copy_in_grown(argument, size, size, user, room);
}
EXPORT_SYMBOL_GPL(blkfilter_copy_in);

/**
 * blkfilter_copy_out() - the answer to a control command
 * @user:   ctl()'s buffer, as large as blkfilter_copy_in() has found it.
 * @length: ctl()'s @plen, which is set.
 * @answer: what to answer.
 * @size:   bytes of it.
 *
 * Return: 0, -EFAULT.
 */
int blkfilter_copy_out(u8 __user *user, u32 *length, const void *answer,
		       size_t size)
{
	*length = size;
	return copy_to_user(user, answer, size) ? -EFAULT : 0;
}
EXPORT_SYMBOL_GPL(blkfilter_copy_out);

/* The argument of an ioctl, which has no length but its own. */
int bf_copy_in(void *argument, size_t size, void __user *user)
{
	return blkfilter_copy_in(argument, size, user, PAGE_SIZE);
}

/* Copies an argument back, as much of it as the program knows. */
int bf_copy_out(const void *kernel, size_t size, void __user *user)
{
	u32 given;

	if (get_user(given, (u32 __user *)user))
		return -EFAULT;
	return copy_to_user(user, kernel, min_t(size_t, size, given)) ?
		-EFAULT : 0;
}

/* The device that an argument names, referenced. */
int bf_dev_from_user(const struct blkfilter_device *id, struct bf_dev **dev)
{
	if (!id->diskseq)
		return -EINVAL;
	if (id->major >= 1 << 12 || id->minor > MINORMASK)
		return -ENODEV;
	*dev = bf_dev_find(MKDEV(id->major, id->minor), id->diskseq);
	return *dev ? 0 : -ENODEV;
}

static long bf_control_version(void __user *arg)
{
	struct blkfilter_version version;
	int ret = bf_copy_in(&version, sizeof(version), arg);

	if (ret)
		return ret;
	if (version.flags || version.reserved)
		return -EINVAL;
	version.version = BLKFILTER_INTERFACE_VERSION;
	version.capabilities =
		(bf_hook_active() ? BLKFILTER_CAP_HOOK_ACTIVE : 0) |
		(bf_ioctl_hook_active() ? BLKFILTER_CAP_NODE_IOCTLS : 0);
	return bf_copy_out(&version, sizeof(version), arg);
}

/* One of the three lists: its entries' size, and who fills them. */
static long bf_control_list(void __user *arg, size_t entry_size,
			    u32 (*fill)(void *entries, u32 room))
{
	struct blkfilter_list list;
	int ret = bf_copy_in(&list, sizeof(list), arg);
	u32 room, there;
	void *entries;

	if (ret)
		return ret;
	if (list.flags || list.entry_size != entry_size)
		return -EINVAL;
	room = min_t(u32, list.count, 1 << 16);
	entries = kvcalloc(max(room, 1U), entry_size, GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	there = fill(entries, room);
	if (copy_to_user(u64_to_user_ptr(list.entries), entries,
			 min(room, there) * entry_size))
		ret = -EFAULT;
	kvfree(entries);
	list.count = there;
	return ret ?: bf_copy_out(&list, sizeof(list), arg);
}

static u32 bf_fill_filters(void *entries, u32 room)
{
	return bf_filters_fill(entries, room);
}

static u32 bf_fill_devices(void *entries, u32 room)
{
	return bf_devs_fill(entries, room);
}

static u32 bf_fill_rules(void *entries, u32 room)
{
	return bf_rules_fill(entries, room);
}

static bool bf_string_ends(const u8 *string, size_t size)
{
	return strnlen((const char *)string, size) < size;
}

static int bf_rule_check(const struct blkfilter_rule *rule)
{
	if (rule->flags & ~BLKFILTER_RULE_KEYS || !rule->flags ||
	    rule->reserved || rule->id)
		return -EINVAL;
	if (!rule->count || rule->count > BLKFILTER_STACK_MAX)
		return -EINVAL;
	if (!bf_string_ends(rule->name, sizeof(rule->name)) ||
	    !bf_string_ends(rule->driver, sizeof(rule->driver)) ||
	    !bf_string_ends(rule->partuuid, sizeof(rule->partuuid)) ||
	    !bf_string_ends(rule->partlabel, sizeof(rule->partlabel)) ||
	    !bf_string_ends(rule->wwid, sizeof(rule->wwid)))
		return -EINVAL;
	return 0;
}

static long bf_control_rule_add(void __user *arg)
{
	struct blkfilter_rule rule;
	struct bf_entry *entry;
	int ret = bf_copy_in(&rule, sizeof(rule), arg);

	ret = ret ?: bf_rule_check(&rule);
	ret = ret ?: bf_entries_copy_in(&entry, rule.entries, rule.count,
					rule.entry_size);
	if (ret)
		return ret;
	ret = bf_rule_add(&rule, entry);
	if (ret) {
		bf_entries_free(entry, rule.count);
		return ret;
	}
	ret = bf_copy_out(&rule, sizeof(rule), arg);
	if (ret)
		bf_rule_remove(rule.id);
	return ret;
}

static long bf_control_rule_remove(void __user *arg)
{
	struct blkfilter_rule_id rule;
	int ret = bf_copy_in(&rule, sizeof(rule), arg);

	if (ret)
		return ret;
	if (rule.flags || rule.reserved)
		return -EINVAL;
	return bf_rule_remove(rule.id);
}

static long bf_control_command(void __user *arg)
{
	struct blkfilter_command command;
	struct bf_dev *dev;
	int ret = bf_copy_in(&command, sizeof(command), arg);

	if (ret)
		return ret;
	if (command.flags)
		return -EINVAL;
	ret = bf_dev_from_user(&command.device, &dev);
	if (ret)
		return ret;
	ret = bf_stack_command(dev, command.name, command.cmd,
			       u64_to_user_ptr(command.opt), &command.optlen);
	bf_dev_put(dev);
	return ret ?: bf_copy_out(&command, sizeof(command), arg);
}

/* --- points --- */

/**
 * blkfilter_devices_put() - let go of a list of devices
 * @dev: from blkfilter_devices_from_user(), or NULL.
 * @n:   how many.
 */
void blkfilter_devices_put(struct bf_dev **dev, u32 n)
{
	while (dev && n--)
		bf_dev_put(dev[n]);
	kfree(dev);
}
EXPORT_SYMBOL_GPL(blkfilter_devices_put);

/**
 * blkfilter_devices_from_user() - the devices of a list of userspace's
 * @list:    out: they, for blkfilter_devices_put().
 * @address: of an array of &struct blkfilter_device.
 * @n:       how many; the caller has seen to a limit.
 * @failed:  out, on error: index of the one that there is not.
 *
 * Return: 0, -ENOMEM, -EFAULT, -EINVAL, -ENODEV.
 */
int blkfilter_devices_from_user(struct bf_dev ***list, u64 address, u32 n,
				u32 *failed)
{
	struct blkfilter_device __user *user = u64_to_user_ptr(address);
	struct blkfilter_device id;
	struct bf_dev **dev;
	int ret = 0;
	u32 i;

	dev = kcalloc(n ?: 1, sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		ret = copy_from_user(&id, &user[i], sizeof(id)) ?
			-EFAULT : bf_dev_from_user(&id, &dev[i]);
		if (ret) {
			*failed = i;
			blkfilter_devices_put(dev, i);
			return ret;
		}
	}
	*list = dev;
	return 0;
}
EXPORT_SYMBOL_GPL(blkfilter_devices_from_user);

static int bf_point_with(struct blkfilter_point *point)
{
	struct bf_dev **freeze, **close;
	int ret;

	ret = blkfilter_devices_from_user(&freeze, point->freeze,
					  point->freeze_count, &point->failed);
	if (ret) {
		point->failed |= BLKFILTER_FAILED_FREEZE;
		return ret;
	}
	ret = blkfilter_devices_from_user(&close, point->close,
					  point->close_count, &point->failed);
	if (!ret) {
		ret = bf_point_take(point, freeze, close, NULL);
		blkfilter_devices_put(close, point->close_count);
	}
	blkfilter_devices_put(freeze, point->freeze_count);
	return ret;
}

static long bf_control_point(void __user *arg)
{
	struct blkfilter_point point;
	int ret = bf_copy_in(&point, sizeof(point), arg), out;

	if (ret)
		return ret;
	if (point.flags || !point.close_count ||
	    point.close_count > BLKFILTER_POINT_DEVICES_MAX ||
	    point.freeze_count > BLKFILTER_POINT_DEVICES_MAX ||
	    !memchr_inv(point.id, 0, sizeof(point.id)))
		return -EINVAL;
	point.failed = BLKFILTER_NO_ENTRY;
	ret = bf_point_with(&point);
	out = bf_copy_out(&point, sizeof(point), arg);
	return ret ?: out;
}

/* --- the device --- */

static long bf_control_ioctl(struct file *file, unsigned int cmd,
			     unsigned long address)
{
	void __user *arg = (void __user *)address;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (_IOC_TYPE(cmd) != _IOC_TYPE(BLKFILTER_IOC_VERSION))
		return -ENOTTY;
	/* The size in the number is a hint; the one in the argument counts. */
	switch (_IOC_NR(cmd)) {
	case _IOC_NR(BLKFILTER_IOC_VERSION):
		return bf_control_version(arg);
	case _IOC_NR(BLKFILTER_IOC_LIST_FILTERS):
		return bf_control_list(arg, sizeof(struct blkfilter_filter_info),
				       bf_fill_filters);
	case _IOC_NR(BLKFILTER_IOC_LIST_DEVICES):
		return bf_control_list(arg, sizeof(struct blkfilter_device_info),
				       bf_fill_devices);
	case _IOC_NR(BLKFILTER_IOC_GET_STACK):
		return bf_control_get_stack(arg);
	case _IOC_NR(BLKFILTER_IOC_SET_STACK):
		return bf_control_set_stack(arg);
	case _IOC_NR(BLKFILTER_IOC_POINT):
		return bf_control_point(arg);
	case _IOC_NR(BLKFILTER_IOC_RULE_ADD):
		return bf_control_rule_add(arg);
	case _IOC_NR(BLKFILTER_IOC_RULE_REMOVE):
		return bf_control_rule_remove(arg);
	case _IOC_NR(BLKFILTER_IOC_RULE_LIST):
		return bf_control_list(arg, sizeof(struct blkfilter_rule),
				       bf_fill_rules);
	case _IOC_NR(BLKFILTER_IOC_COMMAND):
		return bf_control_command(arg);
	default:
		return -ENOTTY;
	}
}

static int bf_control_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	return bf_events_open(file);
}

static int bf_control_release(struct inode *inode, struct file *file)
{
	bf_events_release(file);
	return 0;
}

static ssize_t bf_control_read(struct file *file, char __user *buf, size_t size,
			       loff_t *offset)
{
	return bf_events_read(file, buf, size);
}

static const struct file_operations bf_control_fops = {
	.owner = THIS_MODULE,
	.open = bf_control_open,
	.release = bf_control_release,
	.read = bf_control_read,
	.poll = bf_events_poll,
	.unlocked_ioctl = bf_control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice bf_control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "blkfilter",
	.mode = 0600,
	.fops = &bf_control_fops,
};

int bf_control_init(void)
{
	return misc_register(&bf_control);
}

void bf_control_exit(void)
{
	misc_deregister(&bf_control);
}
