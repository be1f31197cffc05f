// SPDX-License-Identifier: GPL-2.0-only
/*
 * A migration or a redirect: its states, its end.
 */
#include <linux/slab.h>
#include "rd.h"

/* The ends of jobs, which wait for targets and close them. */
struct workqueue_struct *rd_wq;
/* The watch, which waits for nothing. */
struct workqueue_struct *rd_watch_wq;

int rd_jobs_init(void)
{
	rd_wq = alloc_workqueue("blkfilter-redirect",
				WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!rd_wq)
		return -ENOMEM;
	rd_watch_wq = alloc_workqueue("blkfilter-redirect-watch",
				      WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (rd_watch_wq)
		return 0;
	destroy_workqueue(rd_wq);
	return -ENOMEM;
}

/* Jobs that nobody uses any more are freed in it. */
void rd_jobs_exit(void)
{
	destroy_workqueue(rd_wq);
	destroy_workqueue(rd_watch_wq);
}

/* --- states --- */

/*
 * rd_job_tell() - the event that it is in its state
 * @from:  the state before.
 * @error: positive errno, or 0.
 *
 * Under the lock, so that events come in the order of the states.
 */
void rd_job_tell(struct rd_job *job, u32 from, u32 error)
{
	struct blkfilter_redirect_change change = {
		.from = from, .error = error,
	};

	memcpy(change.id, job->id, sizeof(change.id));
	blkfilter_event(job->flt, job->state, &change, sizeof(change));
}

/* The state of a job, by what has happened; under the lock. */
static u32 rd_state_now(const struct rd_job *job)
{
	bool once = job->pass && !job->pass_copies;

	if (job->mode == RD_REDIRECT)
		return BLKFILTER_REDIRECT_REDIRECTED;
	/* Whatever else it is already. */
	if (job->state == BLKFILTER_REDIRECT_CREATED)
		return BLKFILTER_REDIRECT_RUNNING;
	if (job->pending && !job->paused)
		return BLKFILTER_REDIRECT_PENDING;
	if (job->paused)
		return once ? BLKFILTER_REDIRECT_STANDBY :
			      BLKFILTER_REDIRECT_PAUSED;
	return once ? BLKFILTER_REDIRECT_READY : BLKFILTER_REDIRECT_RUNNING;
}

/*
 * rd_job_update() - the state follows what has happened
 *
 * The filter is attached, or the caller keeps it from being detached.
 */
void rd_job_update(struct rd_job *job)
{
	bool ready = false;
	u32 from;

	spin_lock_irq(&job->lock);
	while (!job->end &&
	       (job->mode == RD_MIRROR || job->mode == RD_REDIRECT) &&
	       job->state != rd_state_now(job)) {
		from = job->state;
		job->state = rd_state_now(job);
		rd_job_tell(job, from, job->error);
		wake_up_all(&job->wait);
		/* It says so, too. */
		ready = ready || job->state == BLKFILTER_REDIRECT_READY;
	}
	spin_unlock_irq(&job->lock);
	if (ready)
		rd_record_ask(job);
}

bool rd_job_is_over(struct rd_job *job)
{
	/* Pairs with rd_job_end_work(). */
	return smp_load_acquire(&job->over);
}

/* Any context. */
bool rd_source_is_open(struct rd_job *job)
{
	bool open;

	rcu_read_lock();
	open = atomic_read(&READ_ONCE(job->flt->bdev)->bd_openers);
	rcu_read_unlock();
	return open;
}

/* Once redirected, whoever has the source open would get old data. */
bool rd_job_detachable(struct rd_job *job)
{
	if (rd_job_is_over(job))
		return true;
	return READ_ONCE(job->mode) == RD_REDIRECT && !rd_source_is_open(job);
}

/* --- the end --- */

/* Nothing of a migration is on its way any more. */
static bool rd_is_idle(struct rd_job *job)
{
	bool idle;

	spin_lock_irq(&job->lock);
	idle = !job->busy && !job->record.busy;
	spin_unlock_irq(&job->lock);
	return idle;
}

void rd_job_end_work(struct work_struct *work)
{
	struct rd_job *job = container_of(work, struct rd_job, ending);
	u32 from;

	rd_record_end(job);
	wait_event(job->wait, rd_is_idle(job));
	/* Whatever kicks it from now on, it sees the end, and no target. */
	cancel_delayed_work_sync(&job->copying);
	cancel_delayed_work_sync(&job->watch);
	cancel_delayed_work_sync(&job->record.writing);
	rd_target_close(&job->record.place);
	rd_target_close(&job->target);
	if (job->end == BLKFILTER_REDIRECT_FAILED)
		pr_warn("the migration of %s has ended: error %u\n",
			job->target.source->disk_name, job->error);
	spin_lock_irq(&job->lock);
	from = job->state;
	job->state = job->end;
	rd_job_tell(job, from, job->error);
	spin_unlock_irq(&job->lock);
	/* The filter may go from here on. */
	smp_store_release(&job->over, true);
	wake_up_all(&job->wait);
	rd_job_put(job);
}

/*
 * rd_job_ends() - the job ends, in a moment
 *
 * Under the lock; it does not end yet.  See rd_job_end().
 */
void rd_job_ends(struct rd_job *job, u32 state, int error)
{
	job->end = state;
	if (error)
		job->error = -error;
	job->state = BLKFILTER_REDIRECT_ABORTING;
	/* Until the record is concluded what is written has to be marked. */
	WRITE_ONCE(job->mode, job->record.open ? RD_MIRROR : RD_PASS);
	list_splice_tail_init(&job->held, &job->again);
	rd_release_waiters(job);
	rd_kick(job);
	rd_copy_kick(job);
	/* Pairs with rd_source_end(). */
	smp_mb();
	if (job->copies_data)
		rd_watch_now(job);
	wake_up_all(&job->wait);
	kref_get(&job->ref);
	queue_work(rd_wq, &job->ending);
}

/*
 * rd_job_end() - the job ends, in a moment, unless it is redirected, or just about to be
 * @state: that it ends in.
 * @error: why, a negative errno, or 0.
 *
 * What is redirected stays so: it ends by an instant of its own, or with the filter.
 * Any context; the caller keeps the job.
 *
 * Return: whether it ends, also when it was ending already.
 */
bool rd_job_end(struct rd_job *job, u32 state, int error)
{
	unsigned long flags;
	bool ends;

	spin_lock_irqsave(&job->lock, flags);
	ends = job->mode != RD_REDIRECT && job->mode != RD_DECIDE;
	if (ends && !job->end)
		rd_job_ends(job, state, error);
	spin_unlock_irqrestore(&job->lock, flags);
	return ends;
}

/* The filter goes, or its device: no bio is in it, nor will be. */
void rd_job_wait(struct rd_job *job)
{
	WRITE_ONCE(job->mode, RD_PASS);
	rd_job_end(job, BLKFILTER_REDIRECT_CONCLUDED, 0);
	wait_event(job->wait, rd_job_is_over(job));
}

/* --- what is left --- */

void rd_job_free(struct rd_job *job)
{
	cancel_delayed_work_sync(&job->work);
	cancel_delayed_work_sync(&job->copying);
	cancel_delayed_work_sync(&job->watch);
	if (job->target_wq)
		destroy_workqueue(job->target_wq);
	if (job->wq)
		destroy_workqueue(job->wq);
	rd_record_free(job);
	rd_target_close(&job->target);
	rd_copies_free(job);
	rd_flush_free(job);
	rd_job_ios_free(job);
	kvfree(job->dirty);
	kfree(job);
}

void rd_job_free_work(struct work_struct *work)
{
	rd_job_free(container_of(work, struct rd_job, freeing));
}

/* Not by whoever has the last reference: he may be in a callback that must not wait. */
static void rd_job_release(struct kref *ref)
{
	queue_work(rd_wq, &container_of(ref, struct rd_job, ref)->freeing);
}

/* Any context. */
void rd_job_put(struct rd_job *job)
{
	kref_put(&job->ref, rd_job_release);
}

/* The filter's job, or NULL. */
struct rd_job *rd_job_get(struct rd_filter *rd)
{
	struct rd_job *job;
	unsigned long flags;

	spin_lock_irqsave(&rd->lock, flags);
	job = rd->job;
	if (job)
		kref_get(&job->ref);
	spin_unlock_irqrestore(&rd->lock, flags);
	return job;
}
