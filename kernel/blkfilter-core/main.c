// SPDX-License-Identifier: GPL-2.0-only
/*
 * blkfilter: several filters on one live block device, ordered by altitude.
 *
 * Loading: the hook is found, a bio of our own is sent through it (selftest.c),
 * all block devices are reported to us (node.c), and /dev/blkfilter appears.
 * With nothing attached the hook is not installed.
 */
#include <linux/module.h>
#include "core.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

/*
 * Waits for versions and disks that are being taken down.  A version's last
 * reference may go in a callback of RCU, which queues work, which frees a disk by
 * a callback of RCU tasks, which calls RCU again: in this order.
 */
static void bf_drain(void)
{
	flush_workqueue(bf_wq);
	rcu_barrier();
	destroy_workqueue(bf_wq);
	if (IS_ENABLED(CONFIG_TASKS_RCU))
		rcu_barrier_tasks();
	rcu_barrier();
}

static int __init bf_init(void)
{
	int ret;

	bf_wq = alloc_workqueue("blkfilter", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!bf_wq)
		return -ENOMEM;
	bf_bio_init();
	ret = bf_count_init();
	if (ret)
		goto err_wq;
	ret = bf_hook_prepare();
	if (ret)
		goto err_count;
	ret = bf_selftest_init();
	if (ret)
		goto err_hook;
	ret = bf_nodes_init();
	if (ret)
		goto err_selftest;
	ret = bf_control_init();
	if (ret)
		goto err_nodes;
	bf_ioctl_hook_init();
	pr_info("ready\n");
	return 0;

err_nodes:
	bf_nodes_exit();
err_selftest:
	bf_hook_get();
	bf_selftest_exit();
err_hook:
	bf_hook_exit();
err_count:
	bf_drain();
	bf_count_exit();
	return ret;
err_wq:
	destroy_workqueue(bf_wq);
	return ret;
}

/*
 * No filter module is loaded any more, so nothing is attached.  What still may be
 * in our code are tasks on their way out of it.
 */
static void __exit bf_exit(void)
{
	bf_ioctl_hook_exit();
	bf_control_exit();
	bf_rules_exit();
	bf_nodes_exit();
	bf_hook_get();		/* the private disk's, see bf_selftest_init() */
	bf_selftest_exit();
	bf_hook_exit();
	bf_drain();
	bf_count_exit();
}

module_init(bf_init);
module_exit(bf_exit);

MODULE_DESCRIPTION("Block device filters, ordered by altitude");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
