// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies: read from the source, written to the target.  What is copied, and when, says
 * pace.c.
 */
#include <linux/mm.h>
#include <linux/slab.h>
#include "rd.h"

#define RD_COPY_BYTES		((u32)RD_COPY_SECTORS << SECTOR_SHIFT)
#define RD_COPY_ORDER		4
#define RD_RETRY_FIRST		max(HZ / 10, 1)
#define RD_RETRY_LAST		(10 * HZ)

/* --- copies that are free --- */

void rd_copy_free(struct rd_copy *copy)
{
	u32 i;

	for (i = 0; i < copy->nr_vec; i++)
		__free_pages(copy->vec[i].bv_page,
			     get_order(copy->vec[i].bv_len));
	kfree(copy);
}

/* With pages of 2^@order. */
static struct rd_copy *rd_copy_try(struct rd_job *job, u32 order, gfp_t memory)
{
	u32 n = RD_COPY_BYTES >> PAGE_SHIFT >> order;
	struct rd_copy *copy = kzalloc(struct_size(copy, vec, n), memory);

	if (!copy)
		return NULL;
	copy->job = job;
	INIT_LIST_HEAD(&copy->waiters);
	for (; copy->nr_vec < n; copy->nr_vec++) {
		struct page *page = alloc_pages(memory | __GFP_COMP, order);

		if (!page) {
			rd_copy_free(copy);
			return NULL;
		}
		copy->vec[copy->nr_vec] = (struct bio_vec){
			.bv_page = page, .bv_len = PAGE_SIZE << order,
		};
	}
	return copy;
}

struct rd_copy *rd_copy_new(struct rd_job *job, gfp_t memory)
{
	gfp_t gently = memory | __GFP_NORETRY | __GFP_NOWARN;

	return rd_copy_try(job, RD_COPY_ORDER, gently) ?:
	       rd_copy_try(job, 0, memory);
}

/* One is there from the start: there is always one that goes on. */
int rd_copies_init(struct rd_job *job)
{
	struct rd_copy *copy = rd_copy_new(job, GFP_KERNEL);

	if (!copy)
		return -ENOMEM;
	list_add(&copy->link, &job->idle);
	job->nr_copies = 1;
	return 0;
}

void rd_copies_free(struct rd_job *job)
{
	struct rd_copy *copy, *next;

	list_for_each_entry_safe(copy, next, &job->idle, link) {
		list_del(&copy->link);
		rd_copy_free(copy);
	}
	job->nr_copies = 0;
}

/* A free one, or NULL.  In the worker. */
struct rd_copy *rd_copy_get(struct rd_job *job)
{
	struct rd_copy *copy;
	bool more;

	spin_lock_irq(&job->lock);
	copy = list_first_entry_or_null(&job->idle, struct rd_copy, link);
	if (copy)
		list_del(&copy->link);
	more = !copy && job->nr_copies < job->in_flight;
	spin_unlock_irq(&job->lock);
	if (!more)
		return copy;
	copy = rd_copy_new(job, GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN);
	if (copy) {
		spin_lock_irq(&job->lock);
		job->nr_copies++;
		spin_unlock_irq(&job->lock);
	}
	return copy;
}

void rd_copy_put(struct rd_copy *copy)
{
	struct rd_job *job = copy->job;

	spin_lock_irq(&job->lock);
	list_add(&copy->link, &job->idle);
	spin_unlock_irq(&job->lock);
}

/* --- the end of a copy --- */

/* Under the lock. */
void rd_copy_let_waiters_go(struct rd_copy *copy)
{
	struct rd_job *job = copy->job;

	if (list_empty(&copy->waiters))
		return;
	list_splice_tail_init(&copy->waiters, &job->again);
	rd_kick(job);
}

/*
 * Writes that wait for copies or for memory wait no longer: the target is left alone from
 * now on, or does not answer, or there is no time for it.  They make dirty what is
 * copied just now.  Under the lock.
 */
void rd_release_waiters(struct rd_job *job)
{
	struct rd_range *range = rd_range_first(&job->copies, 0, job->sectors);

	if (!rd_fault(RD_KEEP_WAITING))
		rd_starved_go(job);
	for (; range; range = rd_range_next(range, 0, job->sectors))
		rd_copy_let_waiters_go(container_of(range, struct rd_copy,
						    range));
}

/*
 * Under the lock: the target has failed.  What failed together counts once; the next
 * pause is twice as long.
 */
void rd_target_failed(struct rd_job *job, blk_status_t status)
{
	unsigned long pause;

	job->count.target_errors++;
	/* What ended the job stays its error. */
	if (job->end)
		return;
	if (job->flush.loose && !rd_fault(RD_FORGET_CACHE)) {
		job->flush.lost = true;
		WRITE_ONCE(job->flush.losses, job->flush.losses + 1);
	}
	job->error = -blk_status_to_errno(status);
	if (job->down && time_before(jiffies, job->retry_at))
		return;
	job->down = true;
	rd_release_waiters(job);
	job->attempts++;
	pause = RD_RETRY_FIRST << min(job->attempts, 8U);
	job->retry_at = jiffies + min_t(unsigned long, pause, RD_RETRY_LAST);
	rd_copy_kick(job);
}

/* Under the lock. */
void rd_target_answered(struct rd_job *job)
{
	if (!job->down || job->end)
		return;
	job->down = false;
	job->attempts = 0;
	job->error = 0;
}

/* What it was to copy is dirty again, or still; under the lock. */
static void rd_copy_failed(struct rd_job *job, const struct rd_copy *copy)
{
	if (!rd_fault(RD_FORGET_DIRTY))
		rd_dirty_set(job, copy->range.first, copy->range.last);
	/* Not everything was copied once, then. */
	if (copy->first_pass) {
		job->pass_failed = true;
		job->pass = false;
	}
}

/* Under the lock, after all else. */
static void rd_copy_over(struct rd_job *job, struct rd_copy *copy)
{
	rd_range_remove(&copy->range, &job->copies);
	if (copy->first_pass)
		job->pass_copies--;
	job->nr_active--;
	job->copying_sectors -= copy->range.last + 1 - copy->range.first;
	rd_copy_let_waiters_go(copy);
	list_add(&copy->link, &job->idle);
	rd_copy_kick(job);
	job->busy--;
	if (rd_leaves_alone(job) ||
	    (job->pending && !job->nr_active && !job->nr_dirty))
		wake_up_all(&job->wait);
}

/* The target has answered; any context. */
static void rd_copy_done(struct rd_copy *copy, blk_status_t status)
{
	struct rd_job *job = copy->job;
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	if (status || (copy->losses != job->flush.losses &&
		       !rd_fault(RD_FORGET_ON_ITS_WAY)))
		rd_copy_failed(job, copy);
	if (status) {
		rd_target_failed(job, status);
	} else {
		rd_loosen(job, &copy->range);
		job->count.copied += rd_copy_bytes(copy);
		rd_target_answered(job);
	}
	rd_copy_over(job, copy);
	spin_unlock_irqrestore(&job->lock, flags);
}

/*
 * It does not get as far as the target; any context.
 * @failure: why, a negative errno, if that ends the job.
 */
static void rd_copy_give_up(struct rd_copy *copy, int failure)
{
	struct rd_job *job = copy->job;
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	rd_copy_failed(job, copy);
	if (failure && !job->failure)
		job->failure = failure;
	rd_copy_over(job, copy);
	spin_unlock_irqrestore(&job->lock, flags);
}

/* The worker does the next step.  From a completion. */
static void rd_copy_goes_on(struct rd_copy *copy)
{
	struct rd_job *job = copy->job;
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	list_add_tail(&copy->link, &job->copied);
	rd_copy_kick(job);
	spin_unlock_irqrestore(&job->lock, flags);
}

/*
 * Zeroes were not written: from now on with pages.  Where it is not that the target cannot
 * do it, it has failed, like with any other write.
 */
static void rd_copy_without_zeroes(struct rd_copy *copy, blk_status_t status)
{
	struct rd_job *job = copy->job;
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	WRITE_ONCE(job->no_zeroes, true);
	if (status != BLK_STS_NOTSUPP && status != BLK_STS_TARGET)
		rd_target_failed(job, status);
	spin_unlock_irqrestore(&job->lock, flags);
	rd_copy_goes_on(copy);
}

static void rd_copy_written(struct bio *bio)
{
	struct rd_copy *copy = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	if (status && bio_op(bio) == REQ_OP_WRITE_ZEROES)
		rd_copy_without_zeroes(copy, status);
	else
		rd_copy_done(copy, status);
}

static void rd_copy_read(struct bio *bio)
{
	struct rd_copy *copy = bio->bi_private;
	blk_status_t status = bio->bi_status;

	bio_uninit(bio);
	if (status)
		rd_copy_give_up(copy, blk_status_to_errno(status));
	else
		rd_copy_goes_on(copy);
}

/* --- its way --- */

u32 rd_copy_bytes(const struct rd_copy *copy)
{
	return (copy->range.last + 1 - copy->range.first) << SECTOR_SHIFT;
}

void rd_copy_bio(struct rd_copy *copy, struct block_device *bdev, blk_opf_t opf,
		 sector_t sector)
{
	struct bio *bio = &copy->bio;

	bio_init(bio, bdev, copy->vec, copy->nr_vec, opf);
	bio->bi_vcnt = DIV_ROUND_UP(rd_copy_bytes(copy), copy->vec[0].bv_len);
	bio->bi_iter.bi_size = rd_copy_bytes(copy);
	bio->bi_iter.bi_sector = sector;
	bio->bi_private = copy;
}

static void rd_copy_send_read(struct rd_copy *copy)
{
	struct rd_job *job = copy->job;

	WRITE_ONCE(copy->state, RD_COPY_READING);
	rd_copy_bio(copy, job->target.source->part0, REQ_OP_READ,
		    job->start + copy->range.first);
	copy->bio.bi_end_io = rd_copy_read;
	blkfilter_submit_below(job->flt, &copy->bio);
}

static bool rd_copy_is_zero(const struct rd_copy *copy)
{
	u32 left = rd_copy_bytes(copy), i;

	for (i = 0; left; i++) {
		u32 n = min(left, copy->vec[i].bv_len);

		if (memchr_inv(page_address(copy->vec[i].bv_page), 0, n))
			return false;
		left -= n;
	}
	return true;
}

static void rd_copy_send_write(struct rd_copy *copy)
{
	struct rd_job *job = copy->job;
	struct block_device *bdev = job->target.bdev;
	bool zeroes = !READ_ONCE(job->no_zeroes) &&
		      bdev_write_zeroes_sectors(bdev) && rd_copy_is_zero(copy);

	copy->losses = READ_ONCE(job->flush.losses);
	copy->since = jiffies;
	/* Pairs with rd_flush_in_doubt(). */
	smp_store_release(&copy->state, RD_COPY_WRITING);
	rd_copy_bio(copy, bdev, zeroes ? REQ_OP_WRITE_ZEROES : REQ_OP_WRITE,
		    job->target.first + copy->range.first);
	if (zeroes) {
		copy->bio.bi_io_vec = NULL;
		copy->bio.bi_vcnt = 0;
	}
	copy->bio.bi_end_io = rd_copy_written;
	blkfilter_submit_uncounted(job->flt, &copy->bio);
}

/*
 * The next one of a list, or NULL, while somebody else takes a point, too; @alone: the
 * target is left alone.
 */
static struct rd_copy *rd_copy_pop(struct rd_job *job, struct list_head *list,
				   bool *alone)
{
	struct rd_copy *copy = NULL;

	spin_lock_irq(&job->lock);
	*alone = rd_leaves_alone(job);
	if (*alone || !job->hasty)
		copy = list_first_entry_or_null(list, struct rd_copy, link);
	if (copy)
		list_del(&copy->link);
	spin_unlock_irq(&job->lock);
	return copy;
}

/* What was read is written, what waited is read; or is given up. */
void rd_copies_go_on(struct rd_job *job)
{
	struct rd_copy *copy;
	bool alone;

	while ((copy = rd_copy_pop(job, &job->copied, &alone))) {
		if (alone)
			rd_copy_give_up(copy, 0);
		else
			rd_copy_send_write(copy);
	}
	while ((copy = rd_copy_pop(job, &job->ready, &alone))) {
		if (alone)
			rd_copy_give_up(copy, 0);
		else
			rd_copy_send_read(copy);
	}
}

/* --- and the application's writes; under the lock --- */

/*
 * Is a write at work there that a copy has to wait for?  Not one that waits for the
 * target only, maybe for ever: its bio has ended.
 */
static bool rd_writes_exclude(struct rd_job *job, const struct rd_copy *copy)
{
	sector_t first = copy->range.first, last = copy->range.last;
	struct rd_range *range = rd_range_first(&job->writes, first, last);

	for (; range; range = rd_range_next(range, first, last))
		if (container_of(range, struct rd_io, range)->bio)
			return true;
	return false;
}

/*
 * May the copy read?  In mode write-blocking when no write is at work there; nothing new
 * is, as it waits for the copy.  Else at once: what those at work make of source and
 * target is copied again.
 */
bool rd_copy_may_read(struct rd_job *job, struct rd_copy *copy)
{
	sector_t first = copy->range.first, last = copy->range.last;
	struct rd_range *range = rd_range_first(&job->writes, first, last);

	if (rd_is_blocking(job) && !rd_fault(RD_NO_REGION_LOCK) &&
	    rd_writes_exclude(job, copy))
		return false;
	for (; range; range = rd_range_next(range, first, last))
		container_of(range, struct rd_io, range)->flags |= RD_IO_AGAIN;
	return true;
}

/* A write has completed, or its bio has: copies that waited for it. */
void rd_copies_waiting(struct rd_job *job, const struct rd_range *range)
{
	struct rd_copy *copy, *next;

	list_for_each_entry_safe(copy, next, &job->waiting, link) {
		if (!rd_ranges_meet(&copy->range, range) ||
		    !rd_copy_may_read(job, copy))
			continue;
		if (copy->may_read) {
			list_del_init(&copy->link);
			complete(copy->may_read);
			continue;
		}
		list_move_tail(&copy->link, &job->ready);
		rd_copy_kick(job);
	}
}
