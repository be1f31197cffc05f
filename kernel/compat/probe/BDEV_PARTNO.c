// SPDX-License-Identifier: GPL-2.0-only
/* bdev_partno() instead of bd_partno (6.10) */
#include <linux/blkdev.h>

int probe(struct block_device *bdev);
int probe(struct block_device *bdev)
{
	return bdev_partno(bdev);
}
