// SPDX-License-Identifier: GPL-2.0-only
/* REQ_ATOMIC (6.11): such a bio must not be split */
#include <linux/blk_types.h>

blk_opf_t probe(struct bio *bio);
blk_opf_t probe(struct bio *bio)
{
	return bio->bi_opf & REQ_ATOMIC;
}
