// SPDX-License-Identifier: GPL-2.0-only
/*
 * How it is: the answer to BLKFILTER_REDIRECT_STATUS.
 */
#include <linux/bitmap.h>
#include "rd.h"

/* Bytes of the smallest argument that was ever published. */
#define RD_STATUS_OLDEST	176

/* Under the lock. */
static void rd_status_fill(struct rd_job *job,
			   struct blkfilter_redirect_status *status)
{
	struct rd_target *target = &job->target;

	status->state = job->state;
	status->error = job->error;
	memcpy(status->id, job->id, sizeof(status->id));
	status->target.major = target->major;
	status->target.minor = target->minor;
	status->target.diskseq = target->diskseq;
	status->first_sector = job->first;
	status->sectors = job->sectors;
	status->target_sector = target->first;
	status->held_ns = job->held_ns;
	status->started_ns = job->started_ns;
	if (!job->copies_data)
		return;
	status->mode = job->blocking ? BLKFILTER_REDIRECT_WRITE_BLOCKING :
				       BLKFILTER_REDIRECT_BACKGROUND;
	status->total = job->sectors << SECTOR_SHIFT;
	status->remaining = rd_remaining(job);
	status->copied = job->count.copied;
	status->dirtied = job->count.dirtied;
	status->mirrored = job->count.mirrored;
	status->rate = job->rate;
	status->in_flight = job->in_flight;
	status->copies = job->nr_active;
	status->waited = job->count.waited;
	status->target_errors = job->count.target_errors;
	status->attempts = job->attempts;
}

/* Under the lock. */
static void rd_status_record(struct rd_record *record,
			     struct blkfilter_redirect_status *status)
{
	u64 marked;

	if (!record->kept)
		return;
	status->flags |= BLKFILTER_REDIRECT_RECORDED;
	if (record->behind)
		status->flags |= BLKFILTER_REDIRECT_RECORD_BEHIND;
	if (record->found)
		status->flags |= BLKFILTER_REDIRECT_CONTINUED;
	status->record = record->device;
	status->record_sector = record->sector;
	status->record_error = record->error;
	marked = (u64)bitmap_weight(record->marked, record->regions)
		 << record->shift << SECTOR_SHIFT;
	status->record_marked = min(marked, status->total);
}

/* rd_ctl_status() - see BLKFILTER_REDIRECT_STATUS; in a command */
int rd_ctl_status(struct rd_filter *rd, u8 __user *buf, u32 *plen)
{
	struct blkfilter_redirect_status status;
	int ret = blkfilter_copy_in_grown(&status, RD_STATUS_OLDEST,
					  sizeof(status), buf, *plen);
	struct rd_job *job;
	u32 size;

	if (ret)
		return ret;
	size = min_t(u32, status.size, sizeof(status));
	status = (struct blkfilter_redirect_status){
		.size = size, .state = BLKFILTER_REDIRECT_CREATED,
	};
	job = rd_job_get(rd);
	if (job) {
		spin_lock_irq(&job->lock);
		rd_status_fill(job, &status);
		rd_status_record(&job->record, &status);
		if (!job->end && rd_needs_fua(&job->target))
			status.flags |= BLKFILTER_REDIRECT_FUA;
		if (job->target.interposed)
			status.flags |= BLKFILTER_REDIRECT_INTERPOSED;
		if (job->unseen)
			status.flags |= BLKFILTER_REDIRECT_UNSEEN;
		spin_unlock_irq(&job->lock);
		rd_job_put(job);
	}
	status.time_ns = ktime_get_boottime_ns();
	return blkfilter_copy_out(buf, plen, &status, size);
}
