// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counting a write until it completes, by wrapping bi_end_io.
 *
 * The gate of a point must wait for all writes that have passed.  bf_send() says
 * which of them are counted without this.
 */
#include <linux/slab.h>
#include "bio.h"

#define BF_RECORDS_MIN	64
#define BF_SPLITS_MIN	16

/* A counted write, from the end of its path to its completion. */
struct bf_record {
	union {
		bio_end_io_t *end_io;
		struct bf_record *next;		/* in a cache */
	};
	void *private;
	struct bf_disk *disk;
	struct bf_version *version;	/* NULL: the hold is a count on disk */
};

static struct kmem_cache *bf_record_slab;

/*
 * Some free records for each CPU, as the block layer has for its bios: pool and
 * slab take three times as many instructions as all else that counting does.
 */
#define BF_CACHED_MOST	64

static DEFINE_PER_CPU(struct bf_cache {
	struct bf_record *first;
	u32 n;
}, bf_cache);

/*
 * Waiting for an element of the pool is allowed only at top level: with
 * current->bio_list set, its users may be on that very list.  NULL: no memory
 * without waiting.
 */
static struct bf_record *bf_record_alloc(struct bf_disk *disk)
{
	struct bf_record *record;
	struct bf_cache *cache;
	unsigned long flags;

	local_irq_save(flags);
	cache = this_cpu_ptr(&bf_cache);
	record = cache->first;
	if (record) {
		cache->first = record->next;
		cache->n--;
	}
	local_irq_restore(flags);
	if (likely(record))
		return record;
	return mempool_alloc(&disk->records,
			     current->bio_list ? GFP_NOWAIT | __GFP_NOWARN :
						 GFP_NOIO);
}

static void bf_record_free(struct bf_disk *disk, struct bf_record *record)
{
	mempool_t *pool = &disk->records;
	struct bf_cache *cache;
	unsigned long flags;
	bool cached = false;

	/* A pool that lacks elements comes first: somebody may wait for one. */
	if (likely(READ_ONCE(pool->curr_nr) >= pool->min_nr)) {
		local_irq_save(flags);
		cache = this_cpu_ptr(&bf_cache);
		if (cache->n < BF_CACHED_MOST) {
			record->next = cache->first;
			cache->first = record;
			cache->n++;
			cached = true;
		}
		local_irq_restore(flags);
	}
	if (!cached)
		mempool_free(record, pool);
}

static void bf_counted_end_io(struct bio *bio)
{
	struct bf_record *record = bio->bi_private;
	struct bf_disk *disk = record->disk;
	struct bf_hold hold = {
		.version = record->version,
		.extra = record->version ? NULL : disk,
	};

	bio->bi_end_io = record->end_io;
	bio->bi_private = record->private;
	bf_record_free(disk, record);
	bf_drop(hold);
	/* bio_endio() has done the rest of its work before it called us. */
	if (bio->bi_end_io)
		bio->bi_end_io(bio);
}

/**
 * bf_count() - make the completion of a bio drop a hold
 * @disk: whose hold it is.
 * @bio:  the bio.
 * @hold: the hold.
 *
 * Return: false when there is no memory without waiting; nothing has changed.
 */
bool bf_count(struct bf_disk *disk, struct bio *bio, struct bf_hold hold)
{
	struct bf_record *record = bf_record_alloc(disk);

	if (!record)
		return false;
	record->end_io = bio->bi_end_io;
	record->private = bio->bi_private;
	record->disk = disk;
	record->version = hold.version;
	bio->bi_end_io = bf_counted_end_io;
	bio->bi_private = record;
	return true;
}

int bf_records_init(struct bf_disk *disk)
{
	int ret = mempool_init_slab_pool(&disk->records, BF_RECORDS_MIN,
					 bf_record_slab);

	if (ret)
		return ret;
	ret = bioset_init(&disk->splits, BF_SPLITS_MIN, 0, 0);
	if (ret)
		mempool_exit(&disk->records);
	return ret;
}

int __init bf_count_init(void)
{
	bf_record_slab = kmem_cache_create("blkfilter_record",
					   sizeof(struct bf_record), 0, 0,
					   NULL);
	return bf_record_slab ? 0 : -ENOMEM;
}

/* Nothing is counted any more. */
void bf_count_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct bf_cache *cache = per_cpu_ptr(&bf_cache, cpu);

		while (cache->first) {
			struct bf_record *record = cache->first;

			cache->first = record->next;
			kmem_cache_free(bf_record_slab, record);
		}
	}
	kmem_cache_destroy(bf_record_slab);
}
