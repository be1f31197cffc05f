// SPDX-License-Identifier: GPL-2.0-only
/* bio.bi_write_hint (6.9) */
#include <linux/blk_types.h>

void probe(struct bio *to, const struct bio *from);
void probe(struct bio *to, const struct bio *from)
{
	to->bi_write_hint = from->bi_write_hint;
}
