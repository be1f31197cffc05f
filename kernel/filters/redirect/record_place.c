// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where the record is, and what is found there.  See record.h.
 */
#include <linux/bitmap.h>
#include <linux/blk-integrity.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/part_stat.h>
#include "rd.h"

#define RD_RECORD_ALIGN		8	/* sectors */

/* --- behind what the source needs of the target --- */

/*
 * rd_record_tail() - the record's place on the target, if it is to be there
 *
 * While the target is being checked.  Return: 0, or -EDESTADDRREQ: there is none.
 */
int rd_record_tail(struct rd_job *job, const struct blkfilter_redirect_start *start,
		   u32 *refused)
{
	struct rd_target *target = &job->target;
	struct rd_record *record = &job->record;
	sector_t all = bdev_nr_sectors(target->bdev);
	sector_t tail = round_up(target->first + job->sectors, RD_RECORD_ALIGN);

	if (!job->copies_data || start->flags & (BLKFILTER_REDIRECT_NO_RECORD |
						 BLKFILTER_REDIRECT_RECORD))
		return 0;
	if (tail > all || all - tail < RD_RECORD_SECTORS ||
	    rd_overlaps_source(target, target->bdev, tail, RD_RECORD_SECTORS))
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_NO_PLACE,
				 -EDESTADDRREQ);
	record->bdev = target->bdev;
	record->sector = tail;
	target->used = tail + RD_RECORD_SECTORS - target->first;
	return 0;
}

/* --- a device of its own --- */

/* What is wrong with a target, of the record's device. */
static u32 rd_record_refusal(u32 refused)
{
	switch (refused) {
	case BLKFILTER_REDIRECT_TARGET_NO_BLOCK:
		return BLKFILTER_REDIRECT_RECORD_NO_BLOCK;
	case BLKFILTER_REDIRECT_TARGET_READ_ONLY:
		return BLKFILTER_REDIRECT_RECORD_READ_ONLY;
	case BLKFILTER_REDIRECT_TARGET_IN_USE:
		return BLKFILTER_REDIRECT_RECORD_IN_USE;
	case BLKFILTER_REDIRECT_TARGET_GONE:
		return BLKFILTER_REDIRECT_RECORD_GONE;
	case BLKFILTER_REDIRECT_TARGET_ON_SOURCE:
		return BLKFILTER_REDIRECT_RECORD_ON_SOURCE;
	default:
		return refused;
	}
}

static int rd_record_device_check(struct rd_target *place, u32 *refused)
{
	struct block_device *bdev = place->bdev;

	if (bdev_read_only(bdev))
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_READ_ONLY,
				 -EROFS);
	if (bdev_is_zoned(bdev) || bdev_get_integrity(bdev))
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_UNSUITED,
				 -EOPNOTSUPP);
	if (bdev_nr_sectors(bdev) < RD_RECORD_SECTORS)
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_NO_PLACE,
				 -EDESTADDRREQ);
	if (rd_overlaps_source(place, bdev, 0, RD_RECORD_SECTORS))
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_ON_SOURCE,
				 -ELOOP);
	return rd_target_drop_cache(place) ?: rd_target_list(place, refused);
}

static int rd_record_device(struct rd_job *job,
			    struct blkfilter_redirect_start *start)
{
	struct rd_target *place = &job->record.place;
	struct file *file = fget(start->record);
	struct file *own;
	int ret;

	if (!file)
		return -EBADF;
	own = rd_target_claim(file, &start->refused);
	fput(file);
	if (!IS_ERR(own)) {
		place->file = own;
		place->bdev = I_BDEV(own->f_mapping->host);
		place->flt = job->flt;
		place->source = job->target.source;
		place->start = job->start;
		place->sectors = job->sectors;
		place->used = RD_RECORD_SECTORS;
		job->record.bdev = place->bdev;
		job->record.sector = 0;
	}
	ret = PTR_ERR_OR_ZERO(own) ?:
	      rd_record_device_check(place, &start->refused);
	start->refused = rd_record_refusal(start->refused);
	return ret;
}

/* --- what is found there --- */

/* Of what has just been read: 0, or what is wrong with it. */
static int rd_record_examine(struct rd_record *record)
{
	const struct blkfilter_redirect_record *head = page_address(record->page);

	if (memcmp(head->magic, BLKFILTER_REDIRECT_MAGIC, sizeof(head->magic)))
		return -ENODATA;
	if (le32_to_cpu(head->version) != BLKFILTER_REDIRECT_VERSION)
		return -EPROTONOSUPPORT;
	if (le64_to_cpu(head->regions) > BLKFILTER_REDIRECT_REGIONS ||
	    le32_to_cpu(head->checksum) != rd_record_sum(record))
		return -EBADMSG;
	return 0;
}

/*
 * Reads the slot that counts.  Return: 0; -EIO and the like: it could not be read; or
 * what is wrong with the slots, the worst of them.
 */
static int rd_record_read(struct rd_job *job, u32 *refused)
{
	struct rd_record *record = &job->record;
	const struct blkfilter_redirect_record *head = page_address(record->page);
	int worst = -ENODATA, found = -1, slot, ret;

	for (slot = 0; slot < BLKFILTER_REDIRECT_SLOTS; slot++) {
		ret = rd_record_io(job, REQ_OP_READ, slot);
		if (ret)
			return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_IO,
					 ret);
		ret = rd_record_examine(record);
		if (ret && ret != -ENODATA)
			worst = ret;
		if (ret || le64_to_cpu(head->generation) < record->generation)
			continue;
		record->generation = le64_to_cpu(head->generation);
		found = slot;
	}
	if (found < 0)
		return worst;
	record->slot = !found;
	ret = rd_record_io(job, REQ_OP_READ, found) ?: rd_record_examine(record);
	return ret ? rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_IO, -EIO) : 0;
}

/* Is what was read of this migration?  Return: see BLKFILTER_REDIRECT_START. */
static int rd_record_fits(struct rd_job *job, u32 *refused)
{
	const struct rd_record *record = &job->record;
	const struct blkfilter_redirect_record *head = page_address(record->page);
	u32 state = le32_to_cpu(head->state);

	if (memcmp(head->id, job->id, sizeof(head->id)))
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_OTHER_ID,
				 -ENOKEY);
	if (le64_to_cpu(head->sectors) != job->sectors ||
	    le64_to_cpu(head->target_sector) != job->target.first ||
	    le64_to_cpu(head->target_sectors) != bdev_nr_sectors(job->target.bdev) ||
	    le32_to_cpu(head->region) != 1U << record->shift ||
	    le64_to_cpu(head->regions) != record->regions)
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_OTHER_SIZE,
				 -EXDEV);
	if (memcmp(head->source, record->source, sizeof(head->source)) ||
	    memcmp(head->target, record->target, sizeof(head->target)))
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_OTHER_DEVICE,
				 -EXDEV);
	if (state == BLKFILTER_REDIRECT_SAYS_CONCLUDED)
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_CONCLUDED,
				 -EALREADY);
	if (!state || state > BLKFILTER_REDIRECT_SAYS_CONCLUDED)
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_DAMAGED,
				 -EBADMSG);
	return 0;
}

/* What it says is what we go on with. */
static void rd_record_take(struct rd_record *record)
{
	const struct blkfilter_redirect_record *head = page_address(record->page);
	u64 *map = page_address(record->page) + BLKFILTER_REDIRECT_MAP;
	u32 i;

	for (i = 0; i < BITS_TO_U64(record->regions); i++)
		le64_to_cpus(&map[i]);
	bitmap_from_arr64(record->marked, map, record->regions);
	record->found = le32_to_cpu(head->state);
}

/*
 * Does the source count what is done to it?  It can be switched off, and not every driver
 * that could says that it does: so a read is to be counted.  What was read is of no
 * interest, nor is what was in its memory.
 */
static bool rd_source_counts(struct rd_job *job)
{
	struct block_device *source = job->target.source->part0;
	unsigned long before = part_stat_read(source, sectors[STAT_READ]);
	struct bio_vec vec = {
		.bv_page = job->record.page,
		.bv_len = bdev_logical_block_size(source),
	};
	struct bio bio;

	bio_init(&bio, source, &vec, 1, REQ_OP_READ | REQ_SYNC);
	bio.bi_vcnt = 1;
	bio.bi_iter.bi_size = vec.bv_len;
	bio.bi_iter.bi_sector = job->start;
	return !rd_source_io(job, &bio) &&
	       part_stat_read(source, sectors[STAT_READ]) != before;
}

/*
 * Has the source been written to since it appeared?  What was written then is not in the
 * record.  At the instant: what is on its way is not counted.
 */
bool rd_source_was_written(struct rd_job *job)
{
	struct block_device *bdev;
	bool written;

	rcu_read_lock();
	bdev = READ_ONCE(job->flt->bdev);
	written = part_stat_read(bdev, sectors[STAT_WRITE]) ||
		  part_stat_read(bdev, sectors[STAT_DISCARD]);
	rcu_read_unlock();
	return written;
}

static int rd_record_continue(struct rd_job *job, u32 *refused)
{
	int ret = rd_record_read(job, refused);

	if (*refused)
		return ret;
	switch (ret) {
	case 0:
		break;
	case -ENODATA:
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_NONE,
				 -ENODATA);
	case -EPROTONOSUPPORT:
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_VERSION,
				 -EPROTONOSUPPORT);
	default:
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_DAMAGED,
				 -EBADMSG);
	}
	ret = rd_record_fits(job, refused);
	if (ret)
		return ret;
	rd_record_take(&job->record);
	if (rd_source_counts(job) && !rd_source_was_written(job))
		return 0;
	rd_record_distrust(job);
	return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_WRITTEN, -EUCLEAN);
}

/* A new one takes the place of whatever is there, but for a cut-over that is in force. */
static int rd_record_anew(struct rd_job *job, u32 *refused)
{
	const struct blkfilter_redirect_record *head;
	int ret = rd_record_read(job, refused);

	if (*refused)
		return ret;
	head = page_address(job->record.page);
	if (!ret && le32_to_cpu(head->state) == BLKFILTER_REDIRECT_SAYS_REDIRECTED)
		return rd_refuse(refused, BLKFILTER_REDIRECT_RECORD_IN_FORCE,
				 -EEXIST);
	return 0;
}

/* --- who it is of --- */

static void rd_record_partuuid(const struct block_device *bdev, char *to)
{
	if (bdev->bd_meta_info)
		memcpy(to, bdev->bd_meta_info->uuid,
		       sizeof(bdev->bd_meta_info->uuid));
}

static void rd_record_name(struct rd_record *record)
{
	record->device.major = MAJOR(record->bdev->bd_dev);
	record->device.minor = MINOR(record->bdev->bd_dev);
	record->device.diskseq = record->bdev->bd_disk->diskseq;
}

static void rd_record_identify(struct rd_job *job)
{
	static_assert(sizeof_field(struct partition_meta_info, uuid) <=
		      sizeof_field(struct rd_record, source));

	rcu_read_lock();
	rd_record_partuuid(READ_ONCE(job->flt->bdev), job->record.source);
	rcu_read_unlock();
	rd_record_partuuid(job->target.bdev, job->record.target);
}

/*
 * rd_record_open() - the record of a job, where it is to have one
 * @start: its @record; @refused is filled in.
 *
 * Behind rd_target_open().  Nothing is written.  Return: 0, or see
 * BLKFILTER_REDIRECT_START.  Undone by rd_record_free().
 */
int rd_record_open(struct rd_job *job, struct blkfilter_redirect_start *start)
{
	int ret = 0;

	if (!job->copies_data || start->flags & BLKFILTER_REDIRECT_NO_RECORD)
		return 0;
	if (start->flags & BLKFILTER_REDIRECT_RECORD)
		ret = rd_record_device(job, start);
	ret = ret ?: rd_record_init(job);
	if (!ret) {
		rd_record_name(&job->record);
		rd_record_identify(job);
		ret = start->flags & BLKFILTER_REDIRECT_CONTINUE ?
		      rd_record_continue(job, &start->refused) :
		      rd_record_anew(job, &start->refused);
	}
	if (start->refused)
		pr_info("%s: its record is refused: reason %u, error %d\n",
			job->target.source->disk_name, start->refused, ret);
	job->record.kept = !ret;
	return ret;
}
