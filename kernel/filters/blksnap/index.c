// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which chunks of a device are stored, and in which slot.
 *
 * An entry belongs to each slot (8 bytes); those of one device are in one list,
 * ordered by a key.  The key is the chunk's number times an odd constant, so that
 * it says which chunk it is, and neighbours are far apart.  Buckets are equal parts
 * of the keys' range; a bucket's head is an entry before the first one of its part
 * (4 bytes, at most four for three entries), from where the search begins.  The
 * list is the same for any number of buckets: there are more when it has grown, and
 * nothing is moved.
 *
 * A bucket's number has the key's highest bits in reverse order, so that the number
 * stays when there are twice as many buckets: the new ones come behind.  A bucket
 * without a head uses that of the bucket whose part it is a half of.
 *
 * Looking takes no lock: entries are complete when they are linked, and stay.
 */
#include <linux/bitrev.h>
#include "snap.h"

#define SNAP_ENTRIES_SHIFT	(PAGE_SHIFT - 3)
#define SNAP_HEADS_SHIFT	(PAGE_SHIFT - 2)
#define SNAP_LEVEL_LAST		31

static_assert(sizeof(struct snap_entry) == 8);

/* Odd, so that no two chunks have the same key: 2^32 divided by the golden ratio. */
static u32 snap_key(u32 chunk)
{
	return chunk * 0x9e3779b1U;
}

/* By slot and one. */
static struct snap_entry *snap_entry(const struct snap_index *index, u32 id)
{
	struct snap_entry *page = snap_page(index->entries,
					    (id - 1) >> SNAP_ENTRIES_SHIFT);

	return &page[(id - 1) & (BIT(SNAP_ENTRIES_SHIFT) - 1)];
}

static u32 *snap_head(const struct snap_index *index, u32 bucket)
{
	u32 *page = snap_page(&index->heads, bucket >> SNAP_HEADS_SHIFT);

	return page ? &page[bucket & (BIT(SNAP_HEADS_SHIFT) - 1)] : NULL;
}

static u32 snap_bucket(const struct snap_index *index, u32 key)
{
	return bitrev32(key) & ((1U << READ_ONCE(index->level)) - 1);
}

/* An entry somewhere before the bucket's part, or 0: the list's beginning. */
static u32 snap_begin(const struct snap_index *index, u32 bucket)
{
	u32 *head, id = 0;

	for (;;) {
		head = snap_head(index, bucket);
		if (head)
			id = READ_ONCE(*head);
		if (id || !bucket)
			return id;
		bucket &= ~(1U << (fls(bucket) - 1));
	}
}

/* What says which one is behind @id: that entry, or for 0 the index. */
static const u32 *snap_link(const struct snap_index *index, u32 id)
{
	return id ? &snap_entry(index, id)->next : &index->first;
}

static u32 snap_next(const struct snap_index *index, u32 id)
{
	/* Pairs with snap_index_insert(): a linked entry is complete. */
	return smp_load_acquire(snap_link(index, id));
}

/*
 * snap_index_find() - where is a chunk?
 *
 * Any context.  Return: its slot, or SNAP_NO_SLOT.
 */
u32 snap_index_find(const struct snap_index *index, u32 chunk)
{
	u32 key = snap_key(chunk), found, id;

	if (!READ_ONCE(index->first))
		return SNAP_NO_SLOT;
	id = snap_next(index, snap_begin(index, snap_bucket(index, key)));

	while (id) {
		struct snap_entry *entry = snap_entry(index, id);

		found = READ_ONCE(entry->key);
		if (found >= key)
			return found == key ? id - 1 : SNAP_NO_SLOT;
		/* As in snap_next(). */
		id = smp_load_acquire(&entry->next);
	}
	return SNAP_NO_SLOT;
}

/*
 * snap_index_provide() - make room for what will be inserted
 * @chunk: first chunk.
 * @slot:  its slot.
 * @n:     chunks, and slots.
 *
 * From a task.  Return: 0, or -ENOMEM.  Without memory for a bucket's head the
 * search is longer, and nothing else.
 */
int snap_index_provide(struct snap_index *index, u32 chunk, u32 slot, u32 n)
{
	u32 level = index->level, page, i;
	int ret = 0;

	for (page = slot >> SNAP_ENTRIES_SHIFT;
	     page <= (slot + n - 1) >> SNAP_ENTRIES_SHIFT && !ret; page++)
		ret = snap_pages_provide(index->entries, page);
	if (ret)
		return ret;
	while (level < SNAP_LEVEL_LAST &&
	       READ_ONCE(index->used) / 3 > (1U << level) / 2)
		level++;
	WRITE_ONCE(index->level, level);
	for (i = 0; i < n; i++)
		(void)snap_pages_provide(&index->heads,
			snap_bucket(index, snap_key(chunk + i)) >>
				SNAP_HEADS_SHIFT);
	return 0;
}

/*
 * snap_index_insert() - a chunk is stored, or will be, and may be overwritten
 *
 * Under the area's lock; its entry was provided, and the chunk is not there yet.
 */
void snap_index_insert(struct snap_index *index, u32 chunk, u32 slot)
{
	u32 key = snap_key(chunk), bucket = snap_bucket(index, key);
	u32 lowest = bitrev32(bucket), id, before = 0, *head;
	u32 previous = snap_begin(index, bucket);
	struct snap_entry *entry = snap_entry(index, slot + 1);

	for (id = snap_next(index, previous);
	     id && snap_entry(index, id)->key < key;
	     id = snap_entry(index, id)->next) {
		if (snap_entry(index, id)->key < lowest)
			before = id;
		previous = id;
	}
	head = snap_head(index, bucket);
	if (head && before)
		WRITE_ONCE(*head, before);
	entry->key = key;
	entry->next = id;
	/* Pairs with snap_next(). */
	smp_store_release((u32 *)snap_link(index, previous), slot + 1);
	WRITE_ONCE(index->used, index->used + 1);
}

int snap_index_init(struct snap_index *index, struct snap_pages *entries)
{
	index->entries = entries;
	return snap_pages_provide(&index->heads, 0);
}

void snap_index_free(struct snap_index *index)
{
	snap_pages_free(&index->heads);
}
