/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record of a migration on stable storage; part of rd.h.
 *
 *   record_place.c   where it is; what is found there
 *   record_io.c      it is written
 *   record.c         what it has to say: which regions are marked, and which no longer
 *
 * A region of the record is marked wherever the stable storage of source and target may
 * differ.  A write that would make them so waits until the mark is on stable storage.  A
 * mark goes a while after the last write there, when both have been flushed since: each
 * of them may lose what its cache has, the source too.
 *
 * The record is written as a whole, into two slots in turn, by one worker.  So a write
 * that is torn, or fails, leaves the one before, and whatever it says is still true, as
 * nobody has counted on more.
 */
#ifndef BLKFILTER_REDIRECT_RECORD_H
#define BLKFILTER_REDIRECT_RECORD_H

/* Failures in a row after which writes no longer wait for marks. */
#define RD_RECORD_TRIES		3U
#define RD_RECORD_SECTORS \
	(BLKFILTER_REDIRECT_SLOTS * BLKFILTER_REDIRECT_SLOT >> SECTOR_SHIFT)

/**
 * struct rd_record - the record of a job
 * @kept:    there is one.
 * @found:   what one that is continued says, enum blkfilter_redirect_record_state; 0:
 *           a new one.
 * @place:   the device that it has for itself; @place.file is NULL: it is on the target.
 * @bdev, @sector: where it is; @device: that, for status.
 * @shift:   a region has 2^@shift sectors; @regions of them.
 * @bytes:   that are written of a slot, in @page.
 * @generation: of the last one that was written or read; @slot: for the next one.
 * @target:  PARTUUID of the target; @source: of the source.
 * @wq:      its own: nothing that waits for a mark may wait for another device.
 * @writing: writes it, see rd_record_work(); @bio: it on its way; @done: it came back.
 * @sweeping: looks for marks that may go, see rd_record_sweep().
 * @open:    writes wait for marks: it says that the source is the current one.
 * @busy:    one is on its way, @since when, in jiffies.
 * @state:   that it is to say; 0: copying, or ready.
 * @asked, @answered: how often it was to be written, and was; @result: the last one's.
 * @error:   positive errno of the last write, or 0.
 * @failures: in a row.
 * @behind:  the source was written to without a mark.
 * @marked:  by region: marked on stable storage, whichever slot counts.
 * @wanted:  to be marked.
 * @touched: by region: something has been written there, or is dirty again, since the
 *           sweep before.
 * @image:   what is being written.
 * @cold:    of the sweep: marks that may go.
 * @waiting: writes that wait for marks; of struct rd_io.
 *
 * From @open on under rd_job.lock, but for @cold.
 */
struct rd_record {
	bool kept;
	u32 found;
	struct rd_target place;
	struct block_device *bdev;
	sector_t sector;
	struct blkfilter_device device;
	u32 shift;
	u64 regions;
	u32 bytes;
	u64 generation;
	u32 slot;
	struct page *page;
	char source[40];
	char target[40];
	struct workqueue_struct *wq;
	struct delayed_work writing;
	struct bio bio;
	struct bio_vec vec;
	struct completion done;
	struct delayed_work sweeping;
	bool open;
	bool busy;
	unsigned long since;
	u32 state;
	u32 asked;
	u32 answered;
	int result;
	u32 error;
	u32 failures;
	bool behind;
	unsigned long *marked;
	unsigned long *wanted;
	unsigned long *touched;
	unsigned long *image;
	unsigned long *cold;
	struct list_head waiting;
};

/* What a job continues is redirected already. */
static inline bool rd_record_redirected(const struct rd_record *record)
{
	return record->found == BLKFILTER_REDIRECT_SAYS_REDIRECTED;
}

/* --- record_place.c --- */
int rd_record_tail(struct rd_job *job, const struct blkfilter_redirect_start *start,
		   u32 *refused);
int rd_record_open(struct rd_job *job, struct blkfilter_redirect_start *start);
bool rd_source_was_written(struct rd_job *job);

/* --- record_io.c --- */
int rd_record_io(struct rd_job *job, enum req_op op, u32 slot);
void rd_record_work(struct work_struct *work);
int rd_record_write(struct rd_job *job, u32 state, unsigned long limit);
void rd_record_ask(struct rd_job *job);
void rd_record_watch(struct rd_job *job);
int rd_record_redirect(struct rd_job *job);
void rd_record_end(struct rd_job *job);
u32 rd_record_sum(struct rd_record *record);

/* --- record.c --- */
int rd_record_init(struct rd_job *job);
int rd_record_begin(struct rd_job *job);
bool rd_record_distrust(struct rd_job *job);
void rd_record_free(struct rd_job *job);
bool rd_record_admits(struct rd_job *job, struct rd_io *io);
void rd_record_touch(struct rd_job *job, sector_t first, sector_t last);
void rd_record_want(struct rd_job *job, sector_t first, sector_t last);
void rd_record_wait(struct rd_job *job);
void rd_record_is_behind(struct rd_job *job);
void rd_record_let_go(struct rd_job *job);
int rd_source_io(struct rd_job *job, struct bio *bio);
void rd_record_sweep(struct work_struct *work);
void rd_record_sweep_soon(struct rd_job *job);

#endif /* BLKFILTER_REDIRECT_RECORD_H */
