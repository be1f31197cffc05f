// SPDX-License-Identifier: GPL-2.0-only
/* block_device.bd_mapping instead of bd_inode (6.10) */
#include <linux/blkdev.h>

struct address_space *probe(struct block_device *bdev);
struct address_space *probe(struct block_device *bdev)
{
	return bdev->bd_mapping;
}
