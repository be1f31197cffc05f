// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module: its parameters, in the order and with the names that were posted,
 * and the order in which its parts begin and end.
 */
#include <linux/module.h>
#include "snap.h"
#include "control.h"

/* Blocks of the change map and chunks: at least a page, at most 64 MiB. */
#define SNAP_SHIFT_MIN		12U
#define SNAP_SHIFT_MAX		26U
/* Numbers of blocks are 32 bits wide, and so are those of chunks (index.c). */
#define SNAP_COUNT_SHIFT_MAX	31U

#define SNAP_PARAMETER(name, value, text) \
	static unsigned int name = value; \
	module_param(name, uint, 0644); \
	MODULE_PARM_DESC(name, text " (" __stringify(value) ")")

SNAP_PARAMETER(tracking_block_minimum_shift, 16,
	       "smallest block of the change map, a power of 2 in bytes");
SNAP_PARAMETER(tracking_block_maximum_count, 2097152,
	       "blocks of the change map above which they are made larger");
SNAP_PARAMETER(tracking_block_maximum_shift, 26,
	       "largest block of the change map, a power of 2 in bytes");
SNAP_PARAMETER(chunk_minimum_shift, 16,
	       "smallest chunk, a power of 2 in bytes");
SNAP_PARAMETER(chunk_maximum_shift, 26,
	       "largest chunk, a power of 2 in bytes");
SNAP_PARAMETER(chunk_maximum_count_shift, 40,
	       "chunks of a device above which they are made larger, a power of 2; above 31 as 31");
SNAP_PARAMETER(chunk_maximum_in_queue, 256,
	       "chunks of a device in memory on their way to the storage");
SNAP_PARAMETER(free_diff_buffer_pool_size, 128,
	       "empty chunks of a device kept in memory for the next ones");
SNAP_PARAMETER(diff_storage_minimum, 2097152,
	       "sectors of difference storage that are asked for at once, when half of them are left");
SNAP_PARAMETER(store_timeout, 30,
	       "seconds without an answer of the storage after which writes no longer wait for it, and the snapshot is given up");

/*
 * snap_parameters() - the parameters as they are now
 * @parameters: filled in; each within its limits.
 */
void snap_parameters(struct snap_parameters *parameters)
{
	struct snap_parameters p = {
		.block_shift = READ_ONCE(tracking_block_minimum_shift),
		.block_shift_max = READ_ONCE(tracking_block_maximum_shift),
		.block_count_max = READ_ONCE(tracking_block_maximum_count),
		.chunk_shift = READ_ONCE(chunk_minimum_shift),
		.chunk_shift_max = READ_ONCE(chunk_maximum_shift),
		.chunk_count_shift = READ_ONCE(chunk_maximum_count_shift),
		.in_flight_max = max(READ_ONCE(chunk_maximum_in_queue), 1U),
		.pool = READ_ONCE(free_diff_buffer_pool_size),
		.storage_minimum = READ_ONCE(diff_storage_minimum),
	};

	p.block_shift = clamp(p.block_shift, SNAP_SHIFT_MIN, SNAP_SHIFT_MAX);
	p.block_shift_max = clamp(p.block_shift_max, p.block_shift,
				  SNAP_SHIFT_MAX);
	p.block_count_max = max(p.block_count_max, 1ULL);
	p.chunk_shift = clamp(p.chunk_shift, SNAP_SHIFT_MIN, SNAP_SHIFT_MAX);
	p.chunk_shift_max = clamp(p.chunk_shift_max, p.chunk_shift,
				  SNAP_SHIFT_MAX);
	p.chunk_count_shift = min(p.chunk_count_shift, SNAP_COUNT_SHIFT_MAX);
	*parameters = p;
}

/* In jiffies. */
unsigned long snap_store_timeout(void)
{
	return max(READ_ONCE(store_timeout), 1U) * HZ;
}

static int __init snap_init(void)
{
	int ret = snap_writes_init();

	if (ret)
		return ret;
	ret = snap_control_init();
	if (ret)
		goto out_writes;
	/* Last: once it is there, somebody may use it, and then it stays. */
	ret = snap_tracker_init();
	if (ret)
		goto out_control;
	return 0;

out_control:
	snap_control_exit();
out_writes:
	snap_writes_exit();
	return ret;
}

/*
 * No filter is attached and no image exists any more: both hold the module, as
 * do open files of the control device.
 */
static void __exit snap_exit(void)
{
	snap_tracker_exit();
	snap_control_exit();
	snap_snapshots_exit();
	snap_areas_wait();
	snap_writes_exit();
}

module_init(snap_init);
module_exit(snap_exit);

MODULE_DESCRIPTION("Snapshots of block devices, and what has changed between them");
MODULE_LICENSE("GPL");
MODULE_VERSION("2.0.0.0");
