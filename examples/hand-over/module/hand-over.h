/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two example filters, of which one takes over from the other:
 *
 *   acme-clone     copies a device to another one while it is in use, and keeps both the same
 *   acme-redirect  sends the device's I/O to the other one
 *
 * Attached to a disk, and then replaced by the other in one transaction, they are a
 * migration: no write is lost between them, and nobody notices.  README.md tells how.
 *
 *   main.c      the module
 *   io.c        a bio that was taken, and the worker that goes on with it
 *   clone.c     acme-clone: attach, writes, the hand-over
 *   copy.c      acme-clone: what was there before
 *   redirect.c  acme-redirect
 */
#ifndef ACME_HAND_OVER_H
#define ACME_HAND_OVER_H

#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/blkdev.h>
#include <linux/mempool.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

struct acme_worker;

/**
 * struct acme_io - a bio that was taken
 * @link:   in acme_worker.taken, or in acme_clone.flying.
 * @worker: whose it is.
 * @bio:    the bio; @pos: where it was taken.
 * @first, @end: sectors of the filter's device; both 0 for a flush without data.
 * @legs:   own bios of it on their way.
 * @both:   acme-clone: the target gets it too.
 * @again:  acme-clone: the range is to be copied again.
 * @status: of the device, or of what was redirected; @target_status: of the other one.
 */
struct acme_io {
	struct list_head link;
	struct acme_worker *worker;
	struct bio *bio;
	struct blkfilter_pos pos;
	sector_t first;
	sector_t end;
	atomic_t legs;
	bool both;
	bool again;
	blk_status_t status;
	blk_status_t target_status;
};

/**
 * struct acme_worker - goes on with taken bios where it may sleep
 * @flt:   the filter.
 * @send:  sends one, or returns false: not now, ask again at the next acme_kick().
 * @ios:   of struct acme_io; @bios: for own bios.  One task alone takes from @bios, and what
 *         it has taken is on its way: so it never waits in vain.
 * @wq, @work: the task.
 * @lock:  of @taken, taken in interrupts; a filter may use it for its own.
 * @taken: in the order they came.
 */
struct acme_worker {
	struct blkfilter *flt;
	bool (*send)(struct acme_io *io);
	mempool_t ios;
	struct bio_set bios;
	struct workqueue_struct *wq;
	struct work_struct work;
	spinlock_t lock;	/* for what follows */
	struct list_head taken;
};

/* --- io.c --- */
int acme_worker_init(struct acme_worker *worker, struct blkfilter *flt,
		     bool (*send)(struct acme_io *io), const char *name);
void acme_worker_exit(struct acme_worker *worker);
bool acme_take(struct acme_worker *worker, struct bio *bio,
	       struct blkfilter_pos pos);
void acme_kick(struct acme_worker *worker);
void acme_end(struct acme_io *io);
struct bio *acme_clone_bio(struct acme_io *io, struct block_device *bdev,
			   bio_end_io_t *end_io);
struct file *acme_open(const void *path, u32 length, struct block_device *source);

static inline struct block_device *acme_bdev(struct file *file)
{
	return I_BDEV(file->f_mapping->host);
}

#define ACME_CHUNK	((sector_t)128)	/* sectors that are copied at a time */

/**
 * struct acme_clone - acme-clone on one device
 * @worker:  for writes.
 * @target:  the other device, open exclusively; NULL: handed over.
 * @sectors: of the device.
 * @copying: copies, see acme_copy_work(); @wait: for writes that are in its way.
 * @page:    of the chunk.
 * The rest under worker.lock:
 * @flying:  writes on their way.
 * @cursor:  what is before it is the same on both, but for writes on their way.
 * @busy:    the chunk at the cursor is being copied: writes to it wait.  Cleared when the
 *           cursor is put back: then the copy counts for nothing.
 * @flushed: everything is the same, and the target has it on stable storage.
 * @settled: no write from before the filter is on its way.
 * @quiet:   a point is coming: nothing new is copied.
 * @stop:    the filter goes.
 * @error:   it cannot be done; writes pass.
 */
struct acme_clone {
	struct blkfilter flt;
	struct acme_worker worker;
	struct file *target;
	sector_t sectors;
	struct work_struct copying;
	wait_queue_head_t wait;
	struct page *page[ACME_CHUNK >> PAGE_SECTORS_SHIFT];
	struct list_head flying;
	sector_t cursor;
	bool busy;
	bool flushed;
	bool settled;
	bool quiet;
	bool stop;
	int error;
};

static inline struct acme_clone *acme_clone_of(struct blkfilter *flt)
{
	return container_of(flt, struct acme_clone, flt);
}

/* --- clone.c --- */
extern struct blkfilter_operations acme_clone_operations;
void acme_back_to(struct acme_clone *clone, sector_t sector);
bool acme_overlaps(const struct acme_io *io, sector_t first, sector_t end);

/* --- copy.c --- */
int acme_copy_init(struct acme_clone *clone);
void acme_copy_exit(struct acme_clone *clone);
void acme_copy_kick(struct acme_clone *clone);
sector_t acme_copy_end(const struct acme_clone *clone);

/* --- redirect.c --- */
extern struct blkfilter_operations acme_redirect_operations;
bool acme_redirect_takes_over(struct blkfilter *flt, struct file *target);

#endif /* ACME_HAND_OVER_H */
