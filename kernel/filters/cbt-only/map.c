// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was last sent to each block.
 *
 * A region is as many blocks as a page has values for.  Its word is
 *
 *   0             no block of it was ever written
 *   value << 1|1  all of its blocks have this value: no page is needed, or none
 *                 was to be had.  Then the whole region counts as changed: too
 *                 much is reported, never too little
 *   else          the address of its page
 *
 * A word goes from the first two to a page by cmpxchg() and never back while the
 * tracker lives, so whoever has seen the page may use it.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include "cbt.h"

#define CBT_SPAN_MEMORY	(GFP_NOIO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL)

/* The word of a region, or NULL when it is not covered (yet). */
unsigned long *cbt_region(struct cbt_tracker *tracker, u64 region)
{
	/* Pairs with cbt_map_cover(): a span that is counted is complete. */
	u32 spans = smp_load_acquire(&tracker->spans), i;

	for (i = 0; i < spans; i++) {
		struct cbt_span *span = tracker->span[i];

		if (region - span->first < span->n)
			return &span->region[region - span->first];
	}
	return NULL;
}

static void cbt_mark_page(u16 *page, u32 first, u32 last, u16 value)
{
	u32 i;

	for (i = first; i <= last; i++)
		if (READ_ONCE(page[i]) != value)
			WRITE_ONCE(page[i], value);
}

/* A page whose blocks are all as the uniform @word says, or NULL. */
static u16 *cbt_new_page(unsigned long word)
{
	/* A slab has it at half of what it costs from the page allocator. */
	u16 *page = kmalloc(PAGE_SIZE, GFP_NOWAIT | __GFP_NOWARN);

	/* In words of 64 bits: this is most of what a first touch costs. */
	if (page)
		memset64((u64 *)page,
			 cbt_uniform_value(word) * 0x0001000100010001ULL,
			 PAGE_SIZE / sizeof(u64));
	return page;
}

/* Blocks @first to @last of a region. */
static void cbt_mark_region(struct cbt_tracker *tracker, unsigned long *word,
			    u32 first, u32 last, u16 value)
{
	bool whole = first == 0 && last == CBT_REGION_MASK;
	unsigned long old, fresh;
	u16 *page;

	for (;;) {
		old = READ_ONCE(*word);
		if (cbt_is_page(old)) {
			cbt_mark_page(cbt_page(old), first, last, value);
			return;
		}
		if (old == cbt_uniform(value))
			return;
		page = whole ? NULL : cbt_new_page(old);
		if (page) {
			cbt_mark_page(page, first, last, value);
			fresh = (unsigned long)page;
		} else {
			fresh = cbt_uniform(whole ? value :
						    value & ~CBT_DISCARDED);
		}
		if (cmpxchg(word, old, fresh) == old) {
			if (page)
				atomic_long_inc(&tracker->pages);
			return;
		}
		kfree(page);
	}
}

/* Blocks @first to @last. */
static void cbt_mark_blocks(struct cbt_tracker *tracker, u64 first, u64 last,
			    u16 value)
{
	u64 region;

	for (region = first >> CBT_REGION_SHIFT;
	     region <= last >> CBT_REGION_SHIFT; region++) {
		unsigned long *word = cbt_region(tracker, region);
		u64 begin = region << CBT_REGION_SHIFT;

		/*
		 * Beyond what is covered: resized() is on its way, which takes
		 * all new space for changed.
		 */
		if (!word)
			return;
		cbt_mark_region(tracker, word, max(first, begin) - begin,
				min(last, begin | CBT_REGION_MASK) - begin,
				value);
	}
}

/*
 * cbt_mark() - a range was written or, with CBT_DISCARDED in @value, discarded
 *
 * From submit_bio(), or under the lock.  A block counts as discarded only when it
 * is so wholly; the device's end is a block's end.
 */
void cbt_mark(struct cbt_tracker *tracker, sector_t sector, sector_t sectors,
	      u16 value)
{
	u32 shift = tracker->shift;
	u64 first = sector >> shift, last = (sector + sectors - 1) >> shift;
	u64 mask = (1ULL << shift) - 1;
	u16 written = value & ~CBT_DISCARDED;
	bool head = sector & mask;
	bool tail = (sector + sectors) & mask &&
		    sector + sectors != READ_ONCE(tracker->sectors);

	if (value != written) {
		if (head)
			cbt_mark_blocks(tracker, first, first, written);
		if (tail)
			cbt_mark_blocks(tracker, last, last, written);
		if (last - first + 1 <= head + tail)
			return;
		first += head;
		last -= tail;
	}
	cbt_mark_blocks(tracker, first, last, value);
}

/*
 * Where no bio is: under the lock, region by region, so that no instant comes
 * between reading the current value and storing it.
 */
void cbt_mark_by_hand(struct cbt_tracker *tracker, sector_t sector,
		      sector_t sectors)
{
	u32 shift = tracker->shift;
	u64 region_mask = (1ULL << (shift + CBT_REGION_SHIFT)) - 1;

	while (sectors && !READ_ONCE(tracker->leaving)) {
		sector_t n = min_t(sector_t, sectors,
				   region_mask + 1 - (sector & region_mask));

		/* Beyond it there is nothing, whatever the size is. */
		if (!cbt_region(tracker, sector >> shift >> CBT_REGION_SHIFT))
			return;
		spin_lock(&tracker->lock);
		cbt_mark(tracker, sector, n, tracker->value);
		spin_unlock(&tracker->lock);
		sector += n;
		sectors -= n;
		cond_resched();
	}
}

/* Regions in the map.  Under tracker->scan, or before the first bio. */
static u64 cbt_map_regions(const struct cbt_tracker *tracker)
{
	const struct cbt_span *last;

	if (!tracker->spans)
		return 0;
	last = tracker->span[tracker->spans - 1];
	return last->first + last->n;
}

/* Sectors that the map has room for, from the first one on.  The same. */
sector_t cbt_map_covered(const struct cbt_tracker *tracker)
{
	return cbt_map_regions(tracker) << (CBT_REGION_SHIFT + tracker->shift);
}

/*
 * Makes the map cover @sectors.  Under tracker->scan, or before the first bio.
 * Return: 0 or -ENOMEM; nothing is marked.
 */
int cbt_map_cover(struct cbt_tracker *tracker, sector_t sectors)
{
	u64 blocks = (sectors >> tracker->shift) + 1, n;
	u64 regions = (blocks >> CBT_REGION_SHIFT) + 1;
	u64 covered = cbt_map_regions(tracker);
	u32 spans = tracker->spans;
	struct cbt_span *span;

	if (!sectors || regions <= covered)
		return 0;
	if (spans == CBT_SPANS)
		return -ENOMEM;
	n = max(regions - covered, covered);
	/* A point may be waiting for us: no I/O for memory. */
	span = kvzalloc(struct_size(span, region, n), CBT_SPAN_MEMORY);
	if (!span) {
		n = regions - covered;
		span = kvzalloc(struct_size(span, region, n), CBT_SPAN_MEMORY);
	}
	if (!span)
		return -ENOMEM;
	span->first = covered;
	span->n = n;
	/* Complete before it is seen; see cbt_region() and cbt_mark_one(). */
	smp_store_release(&tracker->span[spans], span);
	/* After the span itself. */
	smp_store_release(&tracker->spans, spans + 1);
	return 0;
}

void cbt_map_free(struct cbt_tracker *tracker)
{
	u32 i;
	u64 k;

	for (i = 0; i < tracker->spans; i++) {
		struct cbt_span *span = tracker->span[i];

		for (k = 0; k < span->n; k++)
			if (cbt_is_page(span->region[k]))
				kfree((void *)span->region[k]);
		kvfree(span);
	}
}

/* Bytes. */
u64 cbt_map_memory(struct cbt_tracker *tracker)
{
	u64 bytes = (u64)atomic_long_read(&tracker->pages) << PAGE_SHIFT;
	/* Pairs with cbt_map_cover(). */
	u32 spans = smp_load_acquire(&tracker->spans), i;

	for (i = 0; i < spans; i++)
		bytes += struct_size(tracker->span[i], region,
				     tracker->span[i]->n);
	return bytes;
}
