// SPDX-License-Identifier: GPL-2.0-only
/*
 * The posted interface's three ioctls on block device nodes.
 *
 * A module cannot add ioctls to other drivers' devices, so blkdev_ioctl() is
 * hooked: for our three numbers the trampoline returns into bf_node_ioctl().
 * A hook of its own, so that a conflict costs only these ioctls: /dev/blkfilter
 * does all of it.  32-bit programs (compat_blkdev_ioctl()) use that.
 *
 * Unlike the bio hook this one returns to us: calls are counted, and unloading
 * waits for them.
 */
#include <linux/capability.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/moduleparam.h>
#include <linux/uaccess.h>
#include "core.h"

#define BF_IOCTL_FUNCTION "blkdev_ioctl"

static bool ioctl_hook = true;
module_param(ioctl_hook, bool, 0444);
MODULE_PARM_DESC(ioctl_hook,
		 "offer BLKFILTER_ATTACH, _DETACH and _CTL on block device nodes (1)");

static bool bf_ioctl_hooked;
static atomic_t bf_ioctl_inside;

static long bf_node_attach(struct bf_dev *dev, void __user *arg)
{
	struct blkfilter_name name;

	if (copy_from_user(&name, arg, sizeof(name)))
		return -EFAULT;
	/* The caller's descriptor is an opener that writes nothing. */
	return bf_stack_add(dev, name.name, 1);
}

static long bf_node_detach(struct bf_dev *dev, void __user *arg)
{
	struct blkfilter_name name;

	if (copy_from_user(&name, arg, sizeof(name)))
		return -EFAULT;
	return bf_stack_remove(dev, name.name, BLKFILTER_REASON_REQUEST);
}

static long bf_node_ctl(struct bf_dev *dev, struct blkfilter_ctl __user *arg)
{
	struct blkfilter_ctl ctl;
	long ret;

	if (copy_from_user(&ctl, arg, sizeof(ctl)))
		return -EFAULT;
	ret = bf_stack_command(dev, ctl.name, ctl.cmd,
			       u64_to_user_ptr(ctl.opt), &ctl.optlen);
	if (!ret && put_user(ctl.optlen, &arg->optlen))
		ret = -EFAULT;
	return ret;
}

static long bf_node_do(struct file *file, unsigned int cmd, void __user *arg)
{
	struct bf_dev *dev;
	long ret;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	dev = bf_dev_of(I_BDEV(file->f_mapping->host));
	if (!dev)
		return -ENODEV;
	if (cmd == BLKFILTER_ATTACH)
		ret = bf_node_attach(dev, arg);
	else if (cmd == BLKFILTER_DETACH)
		ret = bf_node_detach(dev, arg);
	else
		ret = bf_node_ctl(dev, arg);
	bf_dev_put(dev);
	return ret;
}

static long notrace bf_node_ioctl(struct file *file, unsigned int cmd,
				  unsigned long arg)
{
	long ret;

	atomic_inc(&bf_ioctl_inside);
	ret = bf_node_do(file, cmd, (void __user *)arg);
	atomic_dec(&bf_ioctl_inside);
	return ret;
}

static void notrace bf_ioctl_traced(unsigned long ip, unsigned long parent_ip,
				    struct ftrace_ops *ops,
				    struct ftrace_regs *fregs)
{
	unsigned long instead = (unsigned long)bf_node_ioctl;
	unsigned int cmd = ftrace_regs_get_argument(fregs, 1);

	if (cmd == BLKFILTER_ATTACH || cmd == BLKFILTER_DETACH ||
	    cmd == BLKFILTER_CTL)
		ftrace_regs_set_instruction_pointer(fregs, instead);
}

static struct ftrace_ops bf_ioctl_ops = {
	.func = bf_ioctl_traced,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_DYNAMIC |
		 FTRACE_OPS_FL_PERMANENT,
};

bool bf_ioctl_hook_active(void)
{
	return bf_ioctl_hooked;
}

/* Return: 0 always: without it everything else works. */
int bf_ioctl_hook_init(void)
{
	int ret;

	if (!ioctl_hook)
		return 0;
	ret = ftrace_set_filter(&bf_ioctl_ops, (u8 *)BF_IOCTL_FUNCTION,
				strlen(BF_IOCTL_FUNCTION), 0);
	ret = ret ?: register_ftrace_function(&bf_ioctl_ops);
	bf_ioctl_hooked = !ret;
	if (ret)
		pr_warn("%s cannot be hooked (%d): no ioctls on block device nodes, use /dev/blkfilter\n",
			BF_IOCTL_FUNCTION, ret);
	return 0;
}

void bf_ioctl_hook_exit(void)
{
	if (!bf_ioctl_hooked)
		return;
	unregister_ftrace_function(&bf_ioctl_ops);
	while (atomic_read(&bf_ioctl_inside))
		msleep(20);
	synchronize_rcu_tasks();
	ftrace_free_filter(&bf_ioctl_ops);
}
