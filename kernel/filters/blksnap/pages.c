// SPDX-License-Identifier: GPL-2.0-only
/*
 * Arrays that grow page by page and never move, so that looking takes no lock.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "snap.h"

/*
 * Somebody's write may be waiting for it, and memory for that write: no I/O for
 * it, and no endless tries.
 */
#define SNAP_PAGE_MEMORY	(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN)

/*
 * snap_pages_provide() - make a page exist
 * @page: which one.
 *
 * From a task.  Return: 0, or -ENOMEM.
 */
int snap_pages_provide(struct snap_pages *pages, u32 page)
{
	u32 k = fls(page >> SNAP_SEGMENT_SHIFT);
	u32 first = k ? 1U << (k - 1 + SNAP_SEGMENT_SHIFT) : 0;
	size_t n = k ? first : 1U << SNAP_SEGMENT_SHIFT;
	void **segment, *fresh;

	if (k >= SNAP_SEGMENTS)
		return -ENOMEM;
	segment = READ_ONCE(pages->segment[k]);
	if (!segment) {
		fresh = kvcalloc(n, sizeof(*segment), SNAP_PAGE_MEMORY);
		if (!fresh)
			return -ENOMEM;
		/* Pairs with snap_page(). */
		segment = cmpxchg_release(&pages->segment[k], NULL, fresh);
		if (segment)
			kvfree(fresh);
		else
			segment = fresh;
	}
	if (READ_ONCE(segment[page - first]))
		return 0;
	fresh = (void *)__get_free_page(SNAP_PAGE_MEMORY | __GFP_ZERO);
	if (!fresh)
		return -ENOMEM;
	/* Pairs with snap_page(). */
	if (cmpxchg_release(&segment[page - first], NULL, fresh))
		free_page((unsigned long)fresh);
	else
		atomic64_add(PAGE_SIZE, &pages->bytes);
	return 0;
}

void snap_pages_free(struct snap_pages *pages)
{
	size_t n = 1U << SNAP_SEGMENT_SHIFT, i;
	u32 k;

	for (k = 0; k < SNAP_SEGMENTS; k++) {
		void **segment = pages->segment[k];

		if (k > 1)
			n *= 2;
		for (i = 0; segment && i < n; i++)
			free_page((unsigned long)segment[i]);
		kvfree(segment);
		pages->segment[k] = NULL;
	}
	atomic64_set(&pages->bytes, 0);
}
