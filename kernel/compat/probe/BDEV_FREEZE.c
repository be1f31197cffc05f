// SPDX-License-Identifier: GPL-2.0-only
/* bdev_freeze() and fs_holder_ops (6.8) */
#include <linux/blkdev.h>

int probe(struct block_device *bdev);
int probe(struct block_device *bdev)
{
	return bdev->bd_holder_ops == &fs_holder_ops ? bdev_freeze(bdev) : 0;
}
