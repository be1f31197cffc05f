// SPDX-License-Identifier: GPL-2.0-only
/*
 * The record is written.  See record.h.
 *
 * All of it by one worker, so one write is never behind another one.  Who needs one asks,
 * and waits for its result, or for as long as he can.
 */
#include <linux/bitmap.h>
#include <linux/crc32.h>
#include <linux/mm.h>
#include "rd.h"

#define RD_RECORD_RETRY		max(HZ / 10, 1)

/* --- one slot --- */

/* Of what is in the slot's memory, as if there were none; bytes by what it says itself. */
u32 rd_record_sum(struct rd_record *record)
{
	struct blkfilter_redirect_record *head = page_address(record->page);
	__le32 sum = head->checksum;
	u64 bits = round_up(le64_to_cpu(head->regions), BITS_PER_BYTE * 4096);
	u32 crc;

	head->checksum = 0;
	crc = ~__crc32c_le(~0, page_address(record->page),
			   BLKFILTER_REDIRECT_MAP + bits / BITS_PER_BYTE);
	head->checksum = sum;
	return crc;
}

static void rd_record_end_io(struct bio *bio)
{
	complete(bio->bi_private);
}

/*
 * rd_record_io() - reads or writes a slot
 *
 * What is written comes after all that its device has acknowledged.  Waits, without a
 * limit.  Return: 0 or a negative errno.
 */
int rd_record_io(struct rd_job *job, enum req_op op, u32 slot)
{
	struct rd_record *record = &job->record;
	struct bio *bio = &record->bio;
	blk_opf_t opf = op | REQ_SYNC;
	int ret;

	if (op == REQ_OP_WRITE && !rd_fault(RD_RECORD_CACHED))
		opf |= REQ_PREFLUSH | REQ_FUA;
	reinit_completion(&record->done);
	bio_init(bio, record->bdev, &record->vec, 1, opf);
	record->vec = (struct bio_vec){
		.bv_page = record->page,
		.bv_len = op == REQ_OP_WRITE ? record->bytes :
					       BLKFILTER_REDIRECT_SLOT,
	};
	bio->bi_vcnt = 1;
	bio->bi_iter.bi_size = record->vec.bv_len;
	bio->bi_iter.bi_sector = record->sector +
		slot * (BLKFILTER_REDIRECT_SLOT >> SECTOR_SHIFT);
	bio->bi_private = &record->done;
	bio->bi_end_io = rd_record_end_io;
	blkfilter_submit_uncounted(job->flt, bio);
	wait_for_completion_io(&record->done);
	ret = blk_status_to_errno(bio->bi_status);
	bio_uninit(bio);
	return ret;
}

/* --- writing --- */

/*
 * It was not written, which may be the first to say that the target has lost what it had
 * acknowledged.  Under the lock.
 */
static void rd_record_failed(struct rd_job *job, int error)
{
	if (rd_record_is_on_target(job) && rd_copies(job) && job->mode != RD_PASS)
		rd_target_failed(job, errno_to_blk_status(error));
}

/* It cannot be written; whoever waits for a mark goes on without.  Under the lock. */
static void rd_record_lost(struct rd_job *job, int error)
{
	struct rd_record *record = &job->record;

	record->error = -error;
	record->failures = max(record->failures, RD_RECORD_TRIES);
	if (record->open && !bitmap_empty(record->wanted, record->regions))
		rd_record_is_behind(job);
	wake_up_all(&job->wait);
}

/* Under the lock. */
static u32 rd_record_says(const struct rd_job *job)
{
	if (job->record.state)
		return job->record.state;
	return job->pass && !job->pass_copies ?
	       BLKFILTER_REDIRECT_SAYS_READY :
	       BLKFILTER_REDIRECT_SAYS_COPYING;
}

/*
 * What is to be written next; false: nothing.
 * @state:  that it is to say.
 * @answer: what it answers.
 */
static bool rd_record_next(struct rd_job *job, u32 *state, u32 *answer)
{
	struct rd_record *record = &job->record;
	bool any;

	spin_lock_irq(&job->lock);
	any = record->asked != record->answered ||
	      (record->open && (record->failures ||
				!bitmap_empty(record->wanted, record->regions)));
	if (any) {
		*state = rd_record_says(job);
		*answer = record->asked;
		bitmap_or(record->image, record->marked, record->wanted,
			  record->regions);
		record->busy = true;
		record->since = jiffies;
	}
	spin_unlock_irq(&job->lock);
	return any;
}

static void rd_record_compose(struct rd_job *job, u32 state)
{
	struct rd_record *record = &job->record;
	struct blkfilter_redirect_record *head = page_address(record->page);
	u64 *map = page_address(record->page) + BLKFILTER_REDIRECT_MAP;
	u32 i;

	memset(head, 0, record->bytes);
	memcpy(head->magic, BLKFILTER_REDIRECT_MAGIC, sizeof(head->magic));
	head->version = cpu_to_le32(BLKFILTER_REDIRECT_VERSION);
	memcpy(head->id, job->id, sizeof(head->id));
	head->generation = cpu_to_le64(++record->generation);
	head->state = cpu_to_le32(state);
	head->region = cpu_to_le32(1U << record->shift);
	head->regions = cpu_to_le64(record->regions);
	head->sectors = cpu_to_le64(job->sectors);
	head->target_sectors = cpu_to_le64(bdev_nr_sectors(job->target.bdev));
	head->target_sector = cpu_to_le64(job->target.first);
	head->time = cpu_to_le64(ktime_get_real_seconds());
	memcpy(head->source, record->source, sizeof(head->source));
	memcpy(head->target, record->target, sizeof(head->target));
	bitmap_to_arr64(map, record->image, record->regions);
	for (i = 0; i < BITS_TO_U64(record->regions); i++)
		cpu_to_le64s(&map[i]);
	head->checksum = cpu_to_le32(rd_record_sum(record));
}

/* What image says is on stable storage, whichever slot counts; under the lock. */
static void rd_record_is_written(struct rd_job *job)
{
	struct rd_record *record = &job->record;

	record->slot ^= 1;
	record->error = 0;
	record->failures = 0;
	bitmap_or(record->marked, record->marked, record->image,
		  record->regions);
	bitmap_andnot(record->wanted, record->wanted, record->image,
		      record->regions);
	if (bitmap_empty(record->wanted, record->regions))
		record->behind = false;
	rd_record_let_go(job);
}

/*
 * It has come back.  The slot of one that has failed is written again, so the other one
 * stays as it was.
 */
static void rd_record_answer(struct rd_job *job, u32 answer, int ret)
{
	struct rd_record *record = &job->record;

	spin_lock_irq(&job->lock);
	record->busy = false;
	record->answered = answer;
	record->result = ret;
	if (!ret) {
		rd_record_is_written(job);
	} else {
		record->error = -ret;
		rd_record_failed(job, ret);
		if (++record->failures >= RD_RECORD_TRIES)
			rd_record_lost(job, ret);
		else
			queue_delayed_work(record->wq, &record->writing,
					   RD_RECORD_RETRY);
	}
	wake_up_all(&job->wait);
	spin_unlock_irq(&job->lock);
}

/* Writes it, as often as there is something new. */
void rd_record_work(struct work_struct *work)
{
	struct rd_job *job = container_of(to_delayed_work(work), struct rd_job,
					  record.writing);
	u32 state, answer;
	int ret = 0;

	while (!ret && rd_record_next(job, &state, &answer)) {
		rd_record_compose(job, state);
		ret = rd_record_io(job, REQ_OP_WRITE, job->record.slot);
		rd_record_answer(job, answer, ret);
	}
}

/* --- asking for it --- */

/* Under the lock; nobody waits. */
static u32 rd_record_ask_locked(struct rd_job *job)
{
	struct rd_record *record = &job->record;

	mod_delayed_work(record->wq, &record->writing, 0);
	return ++record->asked;
}

/* It is to be written, as something has changed. */
void rd_record_ask(struct rd_job *job)
{
	spin_lock_irq(&job->lock);
	if (job->record.open)
		rd_record_ask_locked(job);
	spin_unlock_irq(&job->lock);
}

static bool rd_record_answered(struct rd_job *job, u32 which)
{
	bool answered;

	spin_lock_irq(&job->lock);
	answered = (s32)(job->record.answered - which) >= 0;
	spin_unlock_irq(&job->lock);
	return answered;
}

/*
 * rd_record_write() - the record is on stable storage
 * @state: that it says from now on, see &struct rd_record.
 * @limit: jiffies to wait for it.
 *
 * Return: 0; -ETIMEDOUT: it may still be written; -ECANCELED: the job ends, and it says so
 * already; its error: it may or may not have been.
 */
int rd_record_write(struct rd_job *job, u32 state, unsigned long limit)
{
	u32 which;

	spin_lock_irq(&job->lock);
	if (job->end && state != BLKFILTER_REDIRECT_SAYS_CONCLUDED) {
		spin_unlock_irq(&job->lock);
		return -ECANCELED;
	}
	job->record.state = state;
	which = rd_record_ask_locked(job);
	spin_unlock_irq(&job->lock);
	if (!wait_event_idle_timeout(job->wait, rd_record_answered(job, which),
				     limit))
		return -ETIMEDOUT;
	return READ_ONCE(job->record.result);
}

/* Once a second, under the lock. */
void rd_record_watch(struct rd_job *job)
{
	struct rd_record *record = &job->record;

	if (!record->open)
		return;
	if (record->busy) {
		if (record->failures < RD_RECORD_TRIES &&
		    time_after(jiffies, record->since + rd_target_timeout())) {
			rd_record_failed(job, -ETIMEDOUT);
			rd_record_lost(job, -ETIMEDOUT);
		}
	} else if (record->failures) {
		queue_delayed_work(record->wq, &record->writing, 0);
	}
}

/* --- the cut-over, and the end --- */

/*
 * rd_record_redirect() - from now on the target is the current one, or not
 *
 * All writes are held.  It is not known what a write has left that has failed.  Were the
 * source written to then, the record might say that the target is the current one, and
 * were the target, that the source is.  So nobody gets anything until it has been
 * overwritten: what was acknowledged is on both sides meanwhile, and whatever a restart
 * finds is right.  Nor is there a limit for the first write: to take it back would need
 * another one.  Only when its device has been removed is it the source; whoever plugs it
 * in again must not continue (the source has been written to, which CONTINUE sees until
 * a restart).
 *
 * Return: 0: the target; else why it is the source.
 */
int rd_record_redirect(struct rd_job *job)
{
	int ret = 0;

	if (!rd_fault(RD_CUT_OVER_UNRECORDED))
		ret = rd_record_write(job, BLKFILTER_REDIRECT_SAYS_REDIRECTED,
				      MAX_SCHEDULE_TIMEOUT);
	if (!ret)
		return 0;
	while (rd_record_write(job, 0, MAX_SCHEDULE_TIMEOUT)) {
		if (test_bit(GD_DEAD, &job->record.bdev->bd_disk->state)) {
			pr_err("%s: the record may say that it is redirected: it is not\n",
			       job->target.source->disk_name);
			break;
		}
		schedule_timeout_idle(RD_RECORD_RETRY);
	}
	return ret;
}

/*
 * rd_record_end() - the record says nothing any more, and writes wait for it no longer
 *
 * In the job's end.  Where the source was removed after the cut-over, the target remains
 * the current one.
 */
void rd_record_end(struct rd_job *job)
{
	struct rd_record *record = &job->record;
	int ret = -EIO, i;

	if (!record->kept)
		return;
	cancel_delayed_work_sync(&record->sweeping);
	if (!record->open && READ_ONCE(rd_of(job->flt)->gone))
		return;
	for (i = 0; i < RD_RECORD_TRIES && ret && ret != -ETIMEDOUT; i++)
		ret = rd_record_write(job, BLKFILTER_REDIRECT_SAYS_CONCLUDED,
				      rd_target_timeout());
	if (ret)
		pr_warn("%s: the record could not be concluded: error %d\n",
			job->target.source->disk_name, ret);
	spin_lock_irq(&job->lock);
	record->open = false;
	WRITE_ONCE(job->mode, RD_PASS);
	rd_record_let_go(job);
	wake_up_all(&job->wait);
	spin_unlock_irq(&job->lock);
}
