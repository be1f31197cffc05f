/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * redirect: the structures, and what its files offer each other.
 *
 *   main.c      the filter on one device: attach, bios, points
 *   command.c   what userspace asks for
 *   status.c    how it is
 *   start.c     a migration or redirect begins
 *   job.c       its states, its end
 *   target.c    the target: opened, checked, let go
 *   around.c    whose I/O gets where, so that none goes around in circles
 *   below.c     a device of ours whose bios enter the source below redirect
 *   offer.c     it is offered and withdrawn
 *   io.c        taken bios: their records, and the worker that goes on with them
 *   step.c      bios that go to the target instead of the source
 *   pages.c     pages of our own
 *   dirty.c     which regions are to be copied, and who is at work where
 *   mirror.c    writes that go to both
 *   late.c      and for which the application has waited long enough
 *   copy.c      copies: from the source to the target
 *   flush.c     flushes of the target, and what its cache may lose
 *   pace.c      what is copied next, and how fast; the watch over the job
 *   verify.c    both sides are compared
 *   cutover.c   from copying to redirecting
 *   record*.c   what is copied, and who is the current one, on stable storage: record.h
 *
 * What a bio meets is decided by the job's mode.  It changes at an instant (no bio
 * is in the filter then), but for two cases: a mirror may end at any time, and from
 * RD_HOLD and RD_DECIDE it becomes another one while bios are held.  A bio looks at
 * rd_filter.job and the mode without a lock; where the mode may change under it, it is
 * looked at once more under rd_job.lock.
 *
 * Source and target become the same, and stay so, by three rules.  A write that goes
 * to both carries pages of ours, which nobody changes on the way.  While a region is
 * being copied nothing else writes to it on the target, and in mode write-blocking on
 * the source neither.  Whenever something may have made them differ (a failure, two
 * writes to the same sectors at a time) the region is dirty, and is copied once more,
 * when those who made it so have completed.  What the target may lose with its cache
 * makes them differ, too.
 *
 * Before the cut-over the application waits for the target for a limited time only, and
 * so do points and transactions of the source's disk.
 *
 * Locks, outer before inner:
 *   rd_filter.control (held over points: no callback of the core takes it)
 *   >  rd_targets_lock  >  rd_filter.lock  >  rd_job.lock (taken in interrupts)
 *   >  the core's lock of events
 */
#ifndef BLKFILTER_REDIRECT_MODULE_H
#define BLKFILTER_REDIRECT_MODULE_H

#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/blkdev.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <uapi/linux/blkfilter-redirect.h>

#include "../../compat/compat.h"

#undef pr_fmt
#define pr_fmt(fmt) "blkfilter-redirect: " fmt

/* Planted faults, for `./dev test --faults` only: never defined otherwise. */
#define rd_fault(name) __is_defined(BLKFILTER_FAULT_##name)

struct rd_io;
struct rd_job;

/**
 * struct rd_filter - the filter on one device
 * @flt:     the core's part.
 * @control: one command that changes something at a time.
 * @job:     what bios meet, or NULL; changed at an instant, under @lock, and looked
 *           at by bios without it.
 * @arm:     what the instant of a point of our own does, whose task takes it, and what
 *           it has returned.
 * @interposed: the job is, and all I/O goes to its target; changed at an instant.
 * @settled: no write from before the first filter is left; set once.
 * @leaving: the filter is being detached, or its device is gone; set once.
 * @gone:    its device is gone; set once.
 * @lock:    for all that follows.
 * @next:    what becomes @job.
 * @below:   the device below, or NULL; changed under @control, too.
 */
struct rd_filter {
	struct blkfilter flt;
	struct mutex control;	/* one command at a time */
	struct rd_job *job;
	struct {
		struct task_struct *task;
		int (*instant)(struct rd_filter *rd);
		int ret;
	} arm;
	bool interposed;
	bool settled;
	bool leaving;
	bool gone;

	spinlock_t lock;	/* for all that follows */
	struct rd_job *next;
	struct rd_below *below;
};

static inline struct rd_filter *rd_of(struct blkfilter *flt)
{
	return container_of(flt, struct rd_filter, flt);
}

/* What a bio of the source meets. */
enum rd_mode {
	RD_PASS,	/* nothing */
	RD_MIRROR,	/* writes are sent to the target too, or noted as dirty */
	RD_HOLD,	/* writes are held: the target is being flushed */
	RD_DECIDE,	/* so, and nothing ends it: it is being recorded */
	RD_REDIRECT,	/* the target */
};

/**
 * struct rd_target - the target, from target.c
 * @link:    in the list of all.
 * @seen:    in the list of those that were looked at, in rd_goes_around().
 * @file:    open exclusively.
 * @bdev:    the device.
 * @first:   sector that the range of the source begins at.
 * @used:    sectors of it that are used from there on.
 * @flt:     the filter of the source.
 * @source:  the source, and its range, in absolute sectors.
 * @start:   likewise.
 * @sectors: likewise.
 * @major, @minor, @diskseq: its own, for status.
 * @interposed: it lies on the source's own device below, as the caller has said.
 * @copy_writes: a write that is redirected needs pages of ours: the target wants pages that
 *           do not change, and the source did not say so.
 * @alignment: bits that must be zero in addresses and lengths of what is redirected; 0
 *           where the source wanted the same.
 */
struct rd_target {
	struct list_head link;
	struct list_head seen;
	struct file *file;
	struct block_device *bdev;
	sector_t first;
	sector_t used;
	struct blkfilter *flt;
	struct gendisk *source;
	sector_t start;
	sector_t sectors;
	u32 major;
	u32 minor;
	u64 diskseq;
	bool interposed;
	bool copy_writes;
	u32 alignment;
};

/**
 * struct rd_below - the device below, from below.c
 * @link:    in the list of all.
 * @rd:      the filter; valid for who holds @io.
 * @name:    its kernel name, "below-" and the source's.
 * @disk:    it; keeps this structure.
 * @source:  the source's disk, @start: of the source there.  Both are for comparing when
 *           the filter may have gone.
 * @of_partition: the source is a partition.
 * @io:      bios on their way; killed when it ends.
 * @idle:    @io is gone.
 * @ended:   bit 0: it is taken away.
 * @clones:  what its bios become.
 * @wq:      its own, so that levels of stacked devices never wait for each other's.
 * @telling: tells of @written, see rd_below_work(); @ending: takes it away.
 * @lock:    for @written: bios of which others are to be told.
 */
struct rd_below {
	struct list_head link;
	struct rd_filter *rd;
	char name[BLKFILTER_REDIRECT_BELOW_NAME];
	struct gendisk *disk;
	struct gendisk *source;
	sector_t start;
	bool of_partition;
	struct percpu_ref io;
	struct completion idle;
	unsigned long ended;
	struct bio_set clones;
	struct workqueue_struct *wq;
	struct work_struct telling;
	struct work_struct ending;
	spinlock_t lock;	/* for @written */
	struct bio_list written;
};

#include "record.h"

/* Sectors of the source's range, both ends included; of it or of its copies. */
struct rd_range {
	struct rb_node node;
	sector_t first;
	sector_t last;
	sector_t subtree_last;
};

#define RD_COPY_SECTORS		((sector_t)1024)	/* of a copy, at most */
#define RD_INLINE_VECS		8
#define RD_IN_FLIGHT_MOST	64	/* copies of a job */

/**
 * struct rd_io - a bio that was taken
 * @job:    whose it is.
 * @bio:    the bio; NULL when it was ended before the target had answered.
 * @pos:    where it was taken.
 * @link:   in one of the job's lists.
 * @since:  when it was sent to both, in jiffies.
 * @legs:   own bios on their way.
 * @flags:  RD_IO_*.
 * @status: of the source, or of what was redirected.
 * @target_status: of the target, while mirroring; @source_done: only the target has not
 *          answered.
 * @losses: of rd_flush when it was sent to both.
 * @sectors, @done, @piece: while redirected: of @bio, behind us, and on their way.
 * @range:  while mirroring, in rd_job.writes.
 * @memory: while mirroring: bytes that it has of rd_job.memory.
 * @nr_vec: pages of our own, at @vec.
 * @source, @target: bios on their way.
 */
struct rd_io {
	struct rd_job *job;
	struct bio *bio;
	struct blkfilter_pos pos;
	struct list_head link;
	unsigned long since;
	atomic_t legs;
	u32 flags;
	blk_status_t status;
	blk_status_t target_status;
	bool source_done;
	u32 losses;
	u32 sectors;
	u32 done;
	u32 piece;
	struct rd_range range;
	u32 memory;
	u32 nr_vec;
	struct bio_vec *vec;
	struct bio_vec inline_vec[RD_INLINE_VECS];
	struct bio source;
	struct bio target;
};

#define RD_IO_BEGUN		BIT(0)	/* redirected: the steps are known */
#define RD_IO_FLUSH_FIRST	BIT(1)	/* both, where both have data */
#define RD_IO_DATA		BIT(2)	/* what is left of it */
#define RD_IO_FLUSH_AFTER	BIT(3)	/* the target */
#define RD_IO_STEPS	(RD_IO_FLUSH_FIRST | RD_IO_DATA | RD_IO_FLUSH_AFTER)
#define RD_IO_ZEROES		BIT(4)	/* the target has no write-zeroes */
#define RD_IO_BOTH		BIT(5)	/* mirrored: the target gets it too */
#define RD_IO_PLAIN		BIT(6)	/* mirrored: no memory for more */
#define RD_IO_AGAIN		BIT(7)	/* copied meanwhile: dirty when it completes */

/* Bios for which there was no memory, by where they were taken. */
struct rd_place {
	struct blkfilter_pos pos;
	struct bio_list bios;
};

/**
 * struct rd_flush - flushes of the target, one at a time, and what its cache may lose
 * @work:    sends it.
 * @bio:     it.
 * @since:   when it began, in jiffies.
 * @ended_at: when the last one ended, in jiffies; @doubt: whether it was good is not known.
 * @begun, @ended: how many; they differ while one is under way.
 * @wanted:  another one is to begin when it has ended.
 * @error:   of the last one: a negative errno, or 0.
 * @some:    @loose is not empty.
 * @lost:    the target may have lost its cache: what is loose, and what the last flush
 *           covers, is to be copied again; @merging: that is being noted; @losses: how
 *           often.  What was sent before one may have been acknowledged before it, and is
 *           copied again as well.
 * @loose:   by region: written since the last flush began.  NULL: the target has no
 *           volatile cache.
 * @covered: by region: what the last flush covers; and what earlier ones do, while it is
 *           not known that they were good, see rd_flush_was_good().
 *
 * All but @work and @bio under rd_job.lock.
 */
struct rd_flush {
	struct work_struct work;
	struct bio bio;
	unsigned long since;
	unsigned long ended_at;
	bool doubt;
	u32 begun;
	u32 ended;
	bool wanted;
	int error;
	bool some;
	bool lost;
	bool merging;
	u32 losses;
	unsigned long *loose;
	unsigned long *covered;
};

/**
 * struct rd_job - a migration or a redirect
 * @ref:     of the filter, and of commands.
 * @flt:     the filter.
 * @id:      the caller's.
 * @first:   of its range, from the device's first sector on.
 * @start:   the same, absolute.
 * @sectors: of its range.
 * @whole:   the range is the device.
 * @copies_data: it is a migration.
 * @no_atomic: atomic writes of more than a logical block fail.
 * @target:  see above.
 * @mode:    enum rd_mode.
 * @wq:      its own, so that levels of stacked devices never wait for each other;
 *           @target_wq: for whatever may sleep on the target while it is copied to.
 * @work:    goes on with bios, see rd_io_work().
 * @copying: copies, see rd_copy_work().
 * @sending: sends @legs to the target, which may make its sender sleep.
 * @watch:   whether the target is there, and answers, see rd_watch_work().
 * @ending:  see rd_job_end_work(); @freeing: see rd_job_release().
 * @ios:     of struct rd_io.
 * @pages:   pages for what is redirected in pages of ours.
 * @app_at:  when the application's last bio came, in jiffies.
 * @wait:    for the state, the end, the last dirty region, a flush, the target's peace.
 * @started_ns, @held_ns: for status.
 * @over:    it has ended, and uses neither filter nor target any more.
 * @lock:    for all that follows.
 * @state:   enum blkfilter_redirect_state.
 * @error:   positive errno, see &struct blkfilter_redirect_status.
 * @end:     the state that it ends in; 0: it does not.
 * @blocking: mode write-blocking.
 * @pending: cutting over: write-blocking whatever the mode, and no limits.
 * @paused:  by the user or by errors.
 * @quiet:   a point is coming: no copy is begun, no flush of the cache, no comparison;
 *           @hasty: it is somebody else's, and does not wait for the target.
 * @down:    the target does not answer as it should: nothing but copies is sent there.
 * @no_zeroes: it has refused to write zeroes.
 * @resting: the copies' worker had nothing to do.
 * @failure: what the worker is to end the job with.
 * @unseen:  redirected, and yet bios may have reached the source.
 * @busy:    copies, flushes, and writes on their way.
 * @again:   ios that the worker goes on with.
 * @held:    ios that are held.
 * @starved: ios that wait until less memory is in use.
 * @both:    ios that are sent to both, oldest first.
 * @legs:    bios of these that are to be sent to the target.
 * @place:   bios without a record, @nr_places of them; @short_of_memory: there are
 *           such bios.
 * @dirty:   by region: to be copied; @nr_dirty of @regions.
 * @shift:   a region has 2^@shift sectors.
 * @writes:  of the application, on their way: of struct rd_io.
 * @copies:  of struct rd_copy.
 * @cursor:  region that is looked at next.
 * @barren:  regions that were looked at in vain since a dirty one was found.
 * @pass:    the cursor has come around, and all that was dirty was copied, or
 * @pass_copies: is being copied: copies on their way that were begun before.
 * @pass_failed: the cursor has to come around once more.
 * @late:    writes in @both whose bio has ended, but for the target's part.
 * @memory:  bytes in pages of ours.
 * @flush:   see there.
 * @record:  see record.h.
 * @idle, @waiting, @ready, @copied: copies: free; until writes have completed; to be
 *           read; to be written.
 * @nr_copies: how many exist; @nr_active: not free, @copying_sectors of them.
 * @in_flight: how many there may be; @rate: bytes in a second, or 0.
 * @next_ns: when the rate allows the next copy.
 * @retry_at: when the target is asked again; jiffies.
 * @attempts: failures in a row.
 */
struct rd_job {
	struct kref ref;
	struct blkfilter *flt;
	u8 id[BLKFILTER_ID_LENGTH];
	sector_t first;
	sector_t start;
	sector_t sectors;
	bool whole;
	bool copies_data;
	bool no_atomic;
	struct rd_target target;
	enum rd_mode mode;
	struct workqueue_struct *wq;
	struct workqueue_struct *target_wq;
	struct delayed_work work;
	struct delayed_work copying;
	struct work_struct sending;
	struct delayed_work watch;
	struct work_struct ending;
	struct work_struct freeing;
	mempool_t ios;
	mempool_t pages;
	unsigned long app_at;
	wait_queue_head_t wait;
	u64 started_ns;
	u64 held_ns;
	bool over;

	spinlock_t lock;	/* for all that follows */
	u32 state;
	u32 error;
	u32 end;
	bool blocking;
	bool pending;
	bool paused;
	bool quiet;
	bool hasty;
	bool down;
	bool no_zeroes;
	bool resting;
	bool unseen;
	int failure;
	u32 busy;
	struct list_head again;
	struct list_head held;
	struct list_head starved;
	struct list_head both;
	struct bio_list legs;
	struct rd_place *place;
	u32 nr_places;
	bool short_of_memory;
	unsigned long *dirty;
	u64 nr_dirty;
	u64 regions;
	u32 shift;
	struct rb_root_cached writes;
	struct rb_root_cached copies;
	u64 cursor;
	u64 barren;
	bool pass;
	u32 pass_copies;
	bool pass_failed;
	u32 late;
	u64 memory;
	struct rd_flush flush;
	struct rd_record record;
	struct list_head idle;
	struct list_head waiting;
	struct list_head ready;
	struct list_head copied;
	u32 nr_copies;
	u32 nr_active;
	u64 copying_sectors;
	u32 in_flight;
	u64 rate;
	u64 next_ns;
	unsigned long retry_at;
	u32 attempts;
	struct {
		u64 copied;
		u64 dirtied;
		u64 mirrored;
		u64 waited;
		u64 target_errors;
	} count;
};

/* --- main.c --- */
int rd_point(struct rd_filter *rd, int (*instant)(struct rd_filter *rd),
	     u32 limit_ms, bool freeze);

/* --- command.c --- */
int rd_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf, u32 *plen);

/* --- status.c --- */
int rd_ctl_status(struct rd_filter *rd, u8 __user *buf, u32 *plen);

/* --- main.c: parameters --- */
unsigned long rd_target_timeout(void);
u32 rd_target_retries(void);
unsigned long rd_flush_interval(void);
unsigned long rd_record_interval(void);

/* --- start.c --- */
struct rd_job *rd_job_new(struct rd_filter *rd,
			  struct blkfilter_redirect_start *start);
bool rd_is_stale(const struct rd_job *job);
int rd_job_start(struct rd_filter *rd, struct rd_job *job, u32 limit_ms);

/* --- job.c --- */
extern struct workqueue_struct *rd_wq;
extern struct workqueue_struct *rd_watch_wq;
int rd_jobs_init(void);
void rd_jobs_exit(void);
void rd_job_end_work(struct work_struct *work);
void rd_job_free(struct rd_job *job);
void rd_job_free_work(struct work_struct *work);
struct rd_job *rd_job_get(struct rd_filter *rd);
void rd_job_put(struct rd_job *job);
void rd_job_tell(struct rd_job *job, u32 from, u32 error);
void rd_job_update(struct rd_job *job);
bool rd_job_end(struct rd_job *job, u32 state, int error);
void rd_job_ends(struct rd_job *job, u32 state, int error);
bool rd_source_is_open(struct rd_job *job);
void rd_job_wait(struct rd_job *job);
bool rd_job_is_over(struct rd_job *job);
bool rd_job_detachable(struct rd_job *job);

/* Under the lock: it copies, and is not ending. */
static inline bool rd_copies(const struct rd_job *job)
{
	return job->dirty && !job->end && job->mode != RD_REDIRECT;
}

/* What becomes of the record says how the target is. */
static inline bool rd_record_is_on_target(const struct rd_job *job)
{
	return job->record.kept && !rd_fault(RD_TRUST_RECORD) &&
	       job->record.bdev->bd_disk == job->target.bdev->bd_disk;
}

/* Under the lock: nothing is sent to the target any more, and nobody waits for it. */
static inline bool rd_leaves_alone(const struct rd_job *job)
{
	return job->end || job->paused;
}

/* --- target.c --- */
int rd_refuse(u32 *refused, u32 why, int error);
int rd_target_drop_cache(struct rd_target *target);
struct file *rd_target_claim(struct file *file, u32 *refused);
int rd_target_open(struct rd_job *job, struct blkfilter_redirect_start *start);
void rd_target_close(struct rd_target *target);
bool rd_target_dead(const struct rd_target *target);

/*
 * Nobody sends flushes: the block layer takes them, and FUA, from bios of a device
 * without a volatile cache before any filter sees them.
 */
static inline bool rd_needs_fua(const struct rd_target *target)
{
	return bdev_write_cache(target->bdev) &&
	       !bdev_write_cache(target->source->part0);
}

/* --- around.c --- */
bool rd_overlaps_source(const struct rd_target *target,
			struct block_device *bdev, sector_t sector,
			sector_t sectors);
int rd_target_list(struct rd_target *target, u32 *refused);
void rd_target_unlist(struct rd_target *target);
int rd_below_list(struct rd_below *below);
void rd_below_unlist(struct rd_below *below);

/* --- below.c --- */
void rd_belows_wait(void);
struct rd_below *rd_below_new(struct rd_filter *rd);
void rd_below_free(struct rd_below *below);

/* --- offer.c --- */
void rd_below_end_work(struct work_struct *work);
void rd_below_leave(struct rd_filter *rd);
void rd_below_remove(struct rd_filter *rd);
bool rd_below_is_open(struct rd_filter *rd);
void rd_below_resized(struct rd_filter *rd);
int rd_ctl_below(struct rd_filter *rd, u8 __user *buf, u32 *plen);

/* --- io.c --- */
int rd_ios_init(void);
void rd_ios_exit(void);
int rd_job_ios_init(struct rd_job *job);
void rd_job_ios_free(struct rd_job *job);
void rd_io_work(struct work_struct *work);
bool rd_take(struct rd_job *job, struct bio *bio, struct blkfilter_pos pos);
void rd_io_pass(struct rd_io *io);
void rd_io_later(struct rd_io *io);
void rd_io_free(struct rd_io *io);
void rd_io_end(struct rd_io *io, blk_status_t status);
void rd_kick(struct rd_job *job);
bool rd_in_worker(const struct rd_job *job);
gfp_t rd_memory(const struct rd_job *job);
void rd_hold(struct rd_io *io);
enum rd_mode rd_let_go(struct rd_job *job, enum rd_mode mode);

/* --- step.c --- */
void rd_steps_init(void);
bool rd_redirect_concerns(const struct rd_job *job, const struct bio *bio);
void rd_step(struct rd_io *io);

/* --- pages.c --- */
bool rd_io_pages(struct rd_io *io, u32 bytes, gfp_t memory);
u32 rd_io_some_pages(struct rd_io *io, u32 bytes);
void rd_io_pages_free(struct rd_io *io);

/* --- dirty.c --- */
int rd_dirty_init(struct rd_job *job);
void rd_dirty_set(struct rd_job *job, sector_t first, sector_t last);
void rd_dirty_set_all(struct rd_job *job);
u64 rd_regions_set(const struct rd_job *job, unsigned long *map, sector_t first,
		   sector_t last);
void rd_dirty_clear(struct rd_job *job, sector_t first, sector_t last);
bool rd_dirty_all(const struct rd_job *job, sector_t first, sector_t last);
u64 rd_remaining(const struct rd_job *job);
void rd_range_insert(struct rd_range *range, struct rb_root_cached *tree);
void rd_range_remove(struct rd_range *range, struct rb_root_cached *tree);
struct rd_range *rd_range_first(struct rb_root_cached *tree, sector_t first,
				sector_t last);
struct rd_range *rd_range_next(struct rd_range *range, sector_t first,
			       sector_t last);

static inline bool rd_ranges_meet(const struct rd_range *a,
				  const struct rd_range *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* --- mirror.c --- */
void rd_mirror(struct rd_io *io);
void rd_starved_go(struct rd_job *job);
void rd_target_work(struct work_struct *work);

/* --- late.c --- */
void rd_mirror_late(struct rd_job *job);

/* --- copy.c --- */

enum rd_copy_state {
	RD_COPY_WAITING,	/* for writes that were there before */
	RD_COPY_READING,
	RD_COPY_WRITING,
};

/**
 * struct rd_copy - a range that is being copied
 * @range:   in rd_job.copies.
 * @link:    in one of the job's lists.
 * @waiters: writes that wait for its end; of struct rd_io.
 * @job:     whose it is.
 * @state:   see above.
 * @since:   when it was sent to the target, in jiffies.
 * @first_pass: it counts in rd_job.pass_copies.
 * @losses:  of rd_flush when it was sent to the target.
 * @may_read: of somebody who compares: he goes on himself.
 * @bio:     reads, then writes.
 * @nr_vec:  of @vec.
 * @vec:     the pages.
 */
struct rd_copy {
	struct rd_range range;
	struct list_head link;
	struct list_head waiters;
	struct rd_job *job;
	enum rd_copy_state state;
	unsigned long since;
	bool first_pass;
	u32 losses;
	struct completion *may_read;
	struct bio bio;
	u32 nr_vec;
	struct bio_vec vec[];
};

/* Writes go to both.  Under the lock. */
static inline bool rd_is_blocking(const struct rd_job *job)
{
	return (job->blocking || job->pending) && !rd_leaves_alone(job) &&
	       !job->down;
}

struct rd_copy *rd_copy_new(struct rd_job *job, gfp_t memory);
void rd_copy_free(struct rd_copy *copy);
bool rd_copy_may_read(struct rd_job *job, struct rd_copy *copy);
void rd_copy_bio(struct rd_copy *copy, struct block_device *bdev, blk_opf_t opf,
		 sector_t sector);
u32 rd_copy_bytes(const struct rd_copy *copy);
void rd_copy_let_waiters_go(struct rd_copy *copy);
int rd_copies_init(struct rd_job *job);
void rd_copies_free(struct rd_job *job);
struct rd_copy *rd_copy_get(struct rd_job *job);
void rd_copy_put(struct rd_copy *copy);
void rd_copies_go_on(struct rd_job *job);
void rd_release_waiters(struct rd_job *job);
void rd_copies_waiting(struct rd_job *job, const struct rd_range *range);
void rd_target_failed(struct rd_job *job, blk_status_t status);
void rd_target_answered(struct rd_job *job);

/* --- flush.c --- */
int rd_flush_init(struct rd_job *job);
void rd_flush_free(struct rd_job *job);
void rd_flush_work(struct work_struct *work);
void rd_loosen(struct rd_job *job, const struct rd_range *range);
bool rd_flush_begin(struct rd_job *job);
bool rd_flush_is_late(const struct rd_job *job);
bool rd_flush_was_good(struct rd_job *job);
void rd_flush_merge(struct rd_job *job);
int rd_flush_target(struct rd_job *job, u32 limit_ms);

/* One is under way.  Under the lock. */
static inline bool rd_flushes(const struct rd_job *job)
{
	return job->flush.begun != job->flush.ended;
}

/* --- pace.c --- */
void rd_copy_work(struct work_struct *work);
void rd_watch_begin(struct rd_job *job);
void rd_watch_now(struct rd_job *job);
void rd_watch_work(struct work_struct *work);
void rd_copy_kick(struct rd_job *job);
void rd_copy_kick_soon(struct rd_job *job);

/* --- verify.c, cutover.c --- */
int rd_verify(struct rd_job *job, struct blkfilter_redirect_verify *verify);
bool rd_is_clean(const struct rd_job *job);
int rd_cutover(struct rd_filter *rd, struct rd_job *job, u32 limit_ms,
	       u32 wait_ms);

#endif /* BLKFILTER_REDIRECT_MODULE_H */
