// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taken bios: their records, and the worker that goes on with them.
 *
 * Bios are dealt with in the submitter's task where nothing has to be waited for, else
 * by the worker.  It sends bios, and may wait for memory and for whom it sends to, but
 * for nothing that it would have to do itself: what cannot be done now is done when
 * something has completed, which kicks it, or, for want of memory, a moment later.
 */
#include <linux/slab.h>
#include "rd.h"

#define RD_IOS_MIN	64
#define RD_PAGES_MIN	64
/*
 * Bios are taken at as many places as there are partitions with filters on the source,
 * and versions of the stack in use: hardly ever more than two.
 */
#define RD_PLACES	4
#define RD_PLACES_DISK	256
#define RD_RETRY_MEMORY	max(HZ / 100, 1)

static struct kmem_cache *rd_io_cache;

int rd_ios_init(void)
{
	rd_io_cache = KMEM_CACHE(rd_io, 0);
	return rd_io_cache ? 0 : -ENOMEM;
}

void rd_ios_exit(void)
{
	kmem_cache_destroy(rd_io_cache);
}

int rd_job_ios_init(struct rd_job *job)
{
	bool disk = job->start == job->first;

	job->nr_places = disk ? RD_PLACES_DISK : RD_PLACES;
	job->place = kcalloc(job->nr_places, sizeof(*job->place), GFP_KERNEL);
	if (!job->place)
		return -ENOMEM;
	return mempool_init_slab_pool(&job->ios, RD_IOS_MIN, rd_io_cache) ?:
	       mempool_init_page_pool(&job->pages, RD_PAGES_MIN, 0);
}

void rd_job_ios_free(struct rd_job *job)
{
	mempool_exit(&job->ios);
	mempool_exit(&job->pages);
	kfree(job->place);
}

/* --- going on --- */

/*
 * Something is to be done for the application.  Any context; the job is kept.  Without
 * memory for records the worker comes in a moment, anyway.
 */
void rd_kick(struct rd_job *job)
{
	queue_delayed_work(job->wq, &job->work, 0);
}

/* Is this the job's worker?  Another one's is like any submitter. */
bool rd_in_worker(const struct rd_job *job)
{
	return current_work() == &job->work.work;
}

/* How the running task may get memory: only the worker waits for it. */
gfp_t rd_memory(const struct rd_job *job)
{
	return (rd_in_worker(job) ? GFP_NOIO : GFP_NOWAIT) | __GFP_NOWARN;
}

/* The worker goes on with it.  Any context. */
void rd_io_later(struct rd_io *io)
{
	struct rd_job *job = io->job;
	unsigned long flags;

	spin_lock_irqsave(&job->lock, flags);
	list_add_tail(&io->link, &job->again);
	rd_kick(job);
	spin_unlock_irqrestore(&job->lock, flags);
}

/* The filter is out of the way.  In submit_bio() no bio can be resumed. */
void rd_io_pass(struct rd_io *io)
{
	struct blkfilter_pos pos = io->pos;
	struct bio *bio = io->bio;

	if (!rd_in_worker(io->job)) {
		rd_io_later(io);
		return;
	}
	rd_io_free(io);
	blkfilter_resume(pos, bio);
}

/* By the mode; what the mode decides under the lock looks at it again. */
static void rd_io_go(struct rd_io *io)
{
	struct rd_job *job = io->job;

	switch (READ_ONCE(job->mode)) {
	case RD_REDIRECT:
		rd_step(io);
		break;
	case RD_MIRROR:
		if (op_is_write(bio_op(io->bio)) && bio_sectors(io->bio))
			rd_mirror(io);
		else
			rd_io_pass(io);
		break;
	case RD_HOLD:
	case RD_DECIDE:
		rd_hold(io);
		break;
	case RD_PASS:
		rd_io_pass(io);
		break;
	}
}

/* --- records --- */

static struct rd_io *rd_io_new(struct rd_job *job, struct bio *bio,
			       struct blkfilter_pos pos, gfp_t memory)
{
	struct rd_io *io = mempool_alloc(&job->ios, memory | __GFP_NOWARN);

	if (!io)
		return NULL;
	io->job = job;
	io->bio = bio;
	io->pos = pos;
	io->flags = 0;
	io->status = BLK_STS_OK;
	io->target_status = BLK_STS_OK;
	io->memory = 0;
	io->nr_vec = 0;
	return io;
}

/* Its memory may be what bios in places wait for. */
void rd_io_free(struct rd_io *io)
{
	struct rd_job *job = io->job;

	mempool_free(io, &job->ios);
	if (unlikely(READ_ONCE(job->short_of_memory)))
		rd_kick(job);
}

/* rd_io_end() - the application's bio has completed; any context. */
void rd_io_end(struct rd_io *io, blk_status_t status)
{
	struct blkfilter_pos pos = io->pos;
	struct bio *bio = io->bio;

	/* Before the bio: what keeps the job may go with it. */
	rd_io_free(io);
	blkfilter_end(pos, bio, status);
}

/* --- without a record --- */

/* Where those taken at @pos are chained, or NULL; under the lock. */
static struct bio_list *rd_place_at(struct rd_job *job, struct blkfilter_pos pos)
{
	u32 i;

	for (i = 0; i < job->nr_places; i++) {
		struct rd_place *place = &job->place[i];

		if (!bio_list_empty(&place->bios) &&
		    (place->pos.path != pos.path ||
		     place->pos.index != pos.index))
			continue;
		place->pos = pos;
		return &place->bios;
	}
	return NULL;
}

/* False: it was not taken, as there is no place. */
static bool rd_place_take(struct rd_job *job, struct bio *bio,
			  struct blkfilter_pos pos)
{
	struct bio_list *bios;

	spin_lock_irq(&job->lock);
	bios = rd_place_at(job, pos);
	if (bios) {
		blkfilter_take(job->flt, bio, pos);
		bio_list_add(bios, bio);
		WRITE_ONCE(job->short_of_memory, true);
		rd_kick(job);
	}
	spin_unlock_irq(&job->lock);
	return bios;
}

/* False: there is no memory now. */
static bool rd_place_work(struct rd_job *job, struct rd_place *place)
{
	struct rd_io *io;

	while (READ_ONCE(place->bios.head)) {
		io = rd_io_new(job, NULL, place->pos, GFP_NOWAIT);
		if (!io)
			return false;
		spin_lock_irq(&job->lock);
		io->bio = bio_list_pop(&place->bios);
		spin_unlock_irq(&job->lock);
		rd_io_go(io);
	}
	return true;
}

/* Gives those without a record one, if there is memory. */
static void rd_places_work(struct rd_job *job)
{
	bool memory = true;
	u32 i;

	if (!READ_ONCE(job->short_of_memory))
		return;
	for (i = 0; i < job->nr_places && memory; i++)
		memory = rd_place_work(job, &job->place[i]);
	spin_lock_irq(&job->lock);
	job->short_of_memory = false;
	for (i = 0; i < job->nr_places; i++)
		if (!bio_list_empty(&job->place[i].bios))
			job->short_of_memory = true;
	if (job->short_of_memory)
		queue_delayed_work(job->wq, &job->work, RD_RETRY_MEMORY);
	spin_unlock_irq(&job->lock);
}

/* --- the worker --- */

static void rd_io_pass_all(struct rd_job *job)
{
	struct rd_io *io;

	for (;;) {
		spin_lock_irq(&job->lock);
		io = list_first_entry_or_null(&job->again, struct rd_io, link);
		if (io)
			list_del(&io->link);
		spin_unlock_irq(&job->lock);
		if (!io)
			return;
		rd_io_go(io);
		cond_resched();
	}
}

void rd_io_work(struct work_struct *work)
{
	struct rd_job *job = container_of(to_delayed_work(work), struct rd_job,
					  work);
	struct blk_plug plug;

	blk_start_plug(&plug);
	rd_io_pass_all(job);
	rd_places_work(job);
	blk_finish_plug(&plug);
}

/* --- taking --- */

/*
 * Must whatever sending a bio waits for not be waited for in this task?  Below what is
 * interposed the source's disk comes once more: its own worker, which lets bios go on
 * there, must not wait for them up here.  It is not known by name: any worker may be it.
 */
static bool rd_must_not_wait(const struct rd_job *job, bool nowait)
{
	return nowait ||
	       (job->target.interposed && current->flags & PF_WQ_WORKER);
}

/*
 * There is neither a record nor a place.  A migration ends rather than that the write
 * fails; it must not go on unseen, as a copy may read what it is about to change.  What
 * is redirected waits, where it may.
 */
static bool rd_take_nowhere(struct rd_job *job, struct bio *bio,
			    struct blkfilter_pos pos)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;

	if (rd_job_end(job, BLKFILTER_REDIRECT_FAILED, -ENOMEM))
		return false;
	blkfilter_take(job->flt, bio, pos);
	if (rd_must_not_wait(job, nowait) || current->bio_list)
		blkfilter_end(pos, bio, nowait ? BLK_STS_AGAIN : BLK_STS_RESOURCE);
	else
		rd_io_go(rd_io_new(job, bio, pos, GFP_NOIO));
	return true;
}

/*
 * rd_take() - takes a bio, and goes on with it
 *
 * In submit_bio().  Return: false: it was not taken, and goes on without us.
 */
bool rd_take(struct rd_job *job, struct bio *bio, struct blkfilter_pos pos)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	struct rd_io *io = rd_io_new(job, bio, pos, GFP_NOWAIT);

	if (unlikely(!io))
		return rd_place_take(job, bio, pos) ||
		       rd_take_nowhere(job, bio, pos);
	blkfilter_take(job->flt, bio, pos);
	if (rd_must_not_wait(job, nowait))
		rd_io_later(io);
	else
		rd_io_go(io);
	return true;
}

/* --- holding --- */

/* rd_hold() - a bio waits until it is decided where it goes */
void rd_hold(struct rd_io *io)
{
	struct rd_job *job = io->job;
	bool held;

	spin_lock_irq(&job->lock);
	held = job->mode == RD_HOLD || job->mode == RD_DECIDE;
	list_add_tail(&io->link, held ? &job->held : &job->again);
	if (!held)
		rd_kick(job);
	spin_unlock_irq(&job->lock);
}

/* What has become dirty meanwhile is not marked, as nobody knew who would be current. */
static void rd_taken_back(struct rd_job *job)
{
	if (job->nr_dirty)
		rd_record_want(job, 0, job->sectors - 1);
	job->unseen = false;
}

/*
 * rd_let_go() - it is decided
 * @mode: what bios meet from now on.
 *
 * Return: what they meet; RD_PASS: the job has ended meanwhile.
 */
enum rd_mode rd_let_go(struct rd_job *job, enum rd_mode mode)
{
	spin_lock_irq(&job->lock);
	if (job->mode == RD_HOLD || job->mode == RD_DECIDE) {
		job->record.open = job->record.kept && mode == RD_MIRROR;
		if (mode == RD_MIRROR)
			rd_taken_back(job);
		WRITE_ONCE(job->mode, mode);
		list_splice_tail_init(&job->held, &job->again);
		rd_kick(job);
	}
	mode = job->mode;
	spin_unlock_irq(&job->lock);
	return mode;
}
