// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to both for which the application has waited long enough.
 */
#include "rd.h"

/* How long the application waits for the target when somebody takes a point. */
#define RD_HASTE	max(HZ / 5, 1)

/* For how long the application waits for the target now; under the lock. */
static unsigned long rd_patience(const struct rd_job *job)
{
	if (rd_leaves_alone(job))
		return 0;
	return job->hasty ? RD_HASTE : rd_target_timeout();
}

/*
 * The next write that has waited for the target for too long, without its bio from here
 * on; NULL: none.  Under the lock.
 */
static struct rd_io *rd_late_next(struct rd_job *job)
{
	unsigned long patience = rd_patience(job);
	struct rd_io *io;

	list_for_each_entry(io, &job->both, link) {
		if (time_before(jiffies, io->since + patience))
			break;
		if (!io->bio)
			continue;
		/* In a hurry it is late for us, not for the target. */
		if (time_after(jiffies, io->since + rd_target_timeout()))
			rd_target_failed(job, BLK_STS_TIMEOUT);
		/* Pairs with rd_source_end(). */
		if (smp_load_acquire(&io->source_done))
			return io;
	}
	return NULL;
}

/*
 * rd_mirror_late() - writes that wait for a target that does not answer
 *
 * The application waits no longer, if the source has its data.  In the watch.
 */
void rd_mirror_late(struct rd_job *job)
{
	struct blkfilter_pos pos;
	blk_status_t status;
	struct bio *bio;
	struct rd_io *io;

	do {
		bio = NULL;
		spin_lock_irq(&job->lock);
		io = rd_late_next(job);
		if (io) {
			swap(bio, io->bio);
			pos = io->pos;
			status = io->status;
			job->late++;
			/* It keeps no copy from reading any more. */
			rd_copies_waiting(job, &io->range);
		}
		spin_unlock_irq(&job->lock);
		if (bio)
			blkfilter_end(pos, bio, status);
	} while (bio);
}
