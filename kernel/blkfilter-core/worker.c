// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios that wait, and the worker of a disk, which lets them go on: parked at a
 * closed gate, resumed where their filter could not submit, deferred for want
 * of memory.
 */
#include <linux/sched/mm.h>
#include "bio.h"

void bf_queue(struct bf_disk *disk, struct bio_list *list, struct bio *bio)
{
	unsigned long flags;

	bf_make_async(bio);
	spin_lock_irqsave(&disk->lock, flags);
	bio_list_add(list, bio);
	spin_unlock_irqrestore(&disk->lock, flags);
	queue_work(disk->wq, &disk->work);
}

/*
 * The current version cannot be entered: the gate is closed, or the version is
 * being replaced.  Parks the bio (its memory is its own: nothing is needed for
 * that), or admits it with a count when it belongs to what the gate waits for.
 * A bio that must not wait is ended; that counts as parked.
 */
enum bf_admission bf_admit_closed(struct bf_disk *disk, struct bio *bio,
				  bool privileged)
{
	bool nowait = bio->bi_opf & REQ_NOWAIT;
	enum bf_admission admission = BF_PARKED;

	spin_lock_irq(&disk->lock);
	if (disk->gone) {
		admission = BF_GONE;
	} else if (!disk->closed) {
		admission = BF_RETRY;
	} else if (privileged && !disk->sealed) {
		disk->extra++;
		admission = BF_COUNTED;
	} else if (!nowait) {
		bf_make_async(bio);
		trace_blkfilter_park(bio);
		bio_list_add(&disk->parked, bio);
	}
	spin_unlock_irq(&disk->lock);

	if (admission == BF_PARKED && nowait) {
		bio->bi_flags &= ~(BF_PASSED | BF_OWN);
		bio_wouldblock_error(bio);
	}
	if (admission == BF_RETRY)
		cpu_relax();
	return admission;
}

/* Hands over to the worker: goes on behind step @index of @path. */
void bf_resume_later(struct blkfilter_path *path, u32 index, struct bio *bio)
{
	struct bf_disk *disk = path->version->disk;
	unsigned long flags;

	bf_make_async(bio);
	*bf_hole(bio) = index;
	spin_lock_irqsave(&disk->lock, flags);
	bio_list_add(&path->resumes, bio);
	if (list_empty(&path->pending))
		list_add_tail(&path->pending, &disk->pending);
	spin_unlock_irqrestore(&disk->lock, flags);
	queue_work(disk->wq, &disk->work);
}

static void bf_run_resumes(struct bf_disk *disk)
{
	struct blkfilter_path *path;
	struct bio_list bios;
	struct bio *bio;

	for (;;) {
		spin_lock_irq(&disk->lock);
		path = list_first_entry_or_null(&disk->pending,
						struct blkfilter_path, pending);
		if (path) {
			list_del_init(&path->pending);
			bios = path->resumes;
			bio_list_init(&path->resumes);
		}
		spin_unlock_irq(&disk->lock);
		if (!path)
			return;
		/* Each of them holds the path's version, or counts on disk. */
		while ((bio = bio_list_pop(&bios)))
			bf_walk(path, *bf_hole(bio), bio);
	}
}

static void bf_run_deferred(struct bf_disk *disk)
{
	struct bio_list bios;
	struct bio *bio;

	spin_lock_irq(&disk->lock);
	bios = disk->deferred;
	bio_list_init(&disk->deferred);
	spin_unlock_irq(&disk->lock);
	while ((bio = bio_list_pop(&bios))) {
		if (bio->bi_bdev->bd_disk == disk->gd)
			bf_submit(bio);
		else
			bf_submit_elsewhere(disk, bio);
	}
}

/*
 * Parked bios enter when the gate opens.  On a zoned disk new ones are parked
 * behind them until none is left, so that none overtakes.
 */
static struct bio *bf_pop_parked(struct bf_disk *disk,
				 struct bf_version **version)
{
	struct bio *bio = NULL;

	rcu_read_lock();
	for (;;) {
		*version = rcu_dereference(disk->version);
		if (!*version || percpu_ref_tryget_live_rcu(&(*version)->ref))
			break;
		if (READ_ONCE(disk->closed)) {
			/* Opening it queues the worker again. */
			rcu_read_unlock();
			return NULL;
		}
		cpu_relax();	/* the version was replaced meanwhile */
	}
	spin_lock_irq(&disk->lock);
	bio = bio_list_pop(&disk->parked);
	if (!bio && disk->closed && disk->zoned) {
		disk->closed = false;
		wake_up_all(&disk->wait);
	}
	spin_unlock_irq(&disk->lock);
	rcu_read_unlock();
	if (!bio && *version)
		percpu_ref_put(&(*version)->ref);
	return bio;
}

/**
 * bf_unseal() - the gate is only closed again: own bios pass
 * @disk: the disk.
 */
void bf_unseal(struct bf_disk *disk)
{
	struct bio_list parked;
	struct bio *bio;

	spin_lock_irq(&disk->lock);
	disk->sealed = false;
	parked = disk->parked;
	bio_list_init(&disk->parked);
	while ((bio = bio_list_pop(&parked)))
		bio_list_add(bf_is_own(bio) ? &disk->deferred : &disk->parked,
			     bio);
	spin_unlock_irq(&disk->lock);
	queue_work(disk->wq, &disk->work);
}

static void bf_run_parked(struct bf_disk *disk)
{
	struct bf_version *version;
	struct bio *bio;

	while ((bio = bf_pop_parked(disk, &version))) {
		struct bf_hold hold = { .version = version };

		if (bio->bi_bdev->bd_disk != disk->gd) {
			bf_submit_elsewhere(disk, bio);
			bf_drop(hold);
		} else if (version) {
			bf_admitted(disk, version, hold, bio);
		} else {
			bio->bi_flags &= ~BF_OWN;
			static_call(bf_original)(bio);
		}
	}
}

void bf_worker(struct work_struct *work)
{
	struct bf_disk *disk = container_of(work, struct bf_disk, work);
	unsigned int noio = memalloc_noio_save();
	struct blk_plug plug;

	blk_start_plug(&plug);
	bf_run_resumes(disk);
	bf_run_deferred(disk);
	bf_run_parked(disk);
	blk_finish_plug(&plug);
	memalloc_noio_restore(noio);
}
