/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Block device filters: what a filter module includes.
 *
 * A filter registers a &struct blkfilter_operations.  The core attaches it to
 * devices and shows it every bio of a device in the order of altitudes, from
 * high to low: first the filters of the partition, then those of the disk.
 *
 * What a filter is promised:
 *  - Each bio is shown to it once, before the device is given it; a bio may be
 *    shown again in rare cases (raid10 discard, a bio held back while the stack
 *    changed), so seeing a range twice must be harmless.
 *  - bi_sector is absolute on the whole disk when a bio is shown;
 *    blkfilter_sector() gives it relative to the filter's device.
 *  - No callback is running and no bio is taken when detach() is called.
 *
 * What a filter promises:
 *  - The application's I/O does not fail or hang because the filter cannot do
 *    its work.
 *  - submit_bio() never waits when current->bio_list is set: not for I/O, a
 *    mempool, a lock held over I/O.  It takes the bio and goes on from a worker.
 *  - Clones and own bios carry none of REQ_POLLED, REQ_NOWAIT, REQ_ALLOC_CACHE
 *    (blkfilter_submit_*() take them away).
 *  - It does not change bi_bdev of a bio that it resumes.
 */
#ifndef _LINUX_BLK_FILTER_H
#define _LINUX_BLK_FILTER_H

#include <linux/blk_types.h>
#include <linux/list.h>
#include <uapi/linux/blk-filter.h>
#include <uapi/linux/blkfilter-control.h>

struct blkfilter_instance;
struct blkfilter_path;
struct bf_dev;
struct gendisk;
struct module;

/**
 * struct blkfilter - one filter on one device
 * @ops:  the filter's operations.
 * @bdev: the device; valid from attach() to detach().
 * @core: the core's own.
 *
 * A filter embeds it in its own structure, which attach() allocates and
 * detach() frees.  The core fills it in after attach() has returned.
 */
struct blkfilter {
	const struct blkfilter_operations *ops;
	struct block_device *bdev;
	struct blkfilter_instance *core;
};

/**
 * struct blkfilter_pos - where in its chain a bio was taken
 * @path:  the core's own; NULL in a position that is not in use.
 * @index: the core's own.
 *
 * Kept by the filter with the bio that it took, and given back with
 * blkfilter_resume() or blkfilter_end(), exactly once.
 */
struct blkfilter_pos {
	struct blkfilter_path *path;
	u32 index;
};

/**
 * struct blkfilter_attach - what attach() is told
 * @options:      the options as given, or NULL.
 * @options_size: their bytes, at most BLKFILTER_OPTIONS_MAX.
 * @altitude:     in millionths.
 * @appearing:    the device is just appearing: attach() is called under the
 *                driver core's locks, must not open any device, add or delete
 *                a disk or wait for userspace, bdev->bd_dev is still 0, and
 *                the capacity may be 0 until resized() is called.  No bio has
 *                been sent to the device yet.
 */
struct blkfilter_attach {
	const void *options;
	u32 options_size;
	u64 altitude;
	bool appearing;
};

/**
 * enum blkfilter_phase - phases of a consistency point
 * @BLKFILTER_POINT_PREPARE: a point is coming.  Background work starts nothing
 *	new from here to DONE, except what a taken bio waits for.  May sleep.
 * @BLKFILTER_POINT_INSTANT: the instant.  All writes that the filter has seen
 *	have completed, and none is on its way.  Must not sleep for I/O, nor
 *	allocate memory.
 * @BLKFILTER_POINT_DONE: it is over; it took place if INSTANT was heard.
 */
enum blkfilter_phase {
	BLKFILTER_POINT_PREPARE,
	BLKFILTER_POINT_INSTANT,
	BLKFILTER_POINT_DONE,
};

/* The filter hears points, and writes are counted until they complete. */
#define BLKFILTER_NEEDS_POINTS		BLKFILTER_FILTER_NEEDS_POINTS
/* The filter can work on zoned devices. */
#define BLKFILTER_ZONED			BLKFILTER_FILTER_ZONED

/**
 * struct blkfilter_operations - a filter
 * @link:     the core's own.
 * @owner:    the filter's module; held while the filter is attached anywhere.
 * @name:     at most 31 characters out of a-z, 0-9, '-' and '_'.
 * @altitude: default, in millionths (BLKFILTER_ALTITUDE_UNIT).
 * @flags:    BLKFILTER_NEEDS_POINTS, BLKFILTER_ZONED.
 * @attach:   Makes ready for @bdev; no bio is shown yet.  May sleep, allocate
 *	and fail.  The core's locks do not nest inside it, but for the
 *	appearing case.
 * @activate: The first bio comes after this.  Called with the gate closed:
 *	cannot fail, sleep for I/O or allocate memory.  May be NULL.
 * @deactivate: No bio comes after this; the same rules.  @successor is the
 *	filter that takes over, or NULL.  May be NULL.  Not called for a filter
 *	that was never activated.
 * @detach:   Frees what attach() made.  May sleep; waits for the filter's own
 *	I/O that is still on its way.
 * @query_detach: May refuse, with an errno, what people ask for; not asked for
 *	a device that is gone.  Changes nothing.  Asked when a transaction is
 *	planned, and again with the gate closed: must not sleep for I/O, nor
 *	allocate memory.  May be NULL.
 * @gone:     The device is gone: bios that the filter holds must be ended or
 *	resumed soon.  Called under the driver core's locks: must not wait.  May
 *	be NULL.
 * @submit_bio: A bio.  Returns false to pass it on, true when it was taken with
 *	blkfilter_take(); after that it may already be gone.  The bio's device
 *	range may be read and it may be changed, but for bi_bdev.  May sleep for
 *	memory only when current->bio_list is NULL and the bio is not REQ_NOWAIT.
 * @ctl:      A command from userspace.  @plen: in: bytes at @buf; out: bytes of
 *	the answer.  -ENOTTY for an unknown one.  Begins only between activate()
 *	and deactivate(); detach() comes when all have returned.  May sleep.
 * @point:    Phases of a consistency point; @id is NULL for a point without
 *	one (an attach, a transaction).  Only with BLKFILTER_NEEDS_POINTS.
 * @settled:  Writes from before the device's first filter cannot exist any
 *	more: a tracker's history begins here.  Called once after activate(), by
 *	the transaction or from a worker.  Must not sleep for I/O.
 * @unseen:   Bios may have passed unseen, or the medium was exchanged: what was
 *	tracked is not complete any more.  Must not sleep for I/O.
 * @resized:  The device has @sectors now.  May sleep.  Bios beyond the old end
 *	may have been shown before.
 * @changed:  Another filter changed a range of this device on its own account;
 *	to be taken as a write.  May sleep.
 * @appeared: A device has just appeared: true asks the core to attach this
 *	filter to it.  Called under the driver core's locks, see
 *	&struct blkfilter_attach.  Rules from userspace come first.
 * @check_options: May @options be set now?  Changes nothing.
 * @set_options: Sets what check_options() has just accepted; gate closed.
 * @state:    Writes a word of at most 31 characters for the filter's state.
 */
struct blkfilter_operations {
	struct list_head link;
	struct module *owner;
	const char *name;
	u64 altitude;
	u32 flags;

	struct blkfilter *(*attach)(struct block_device *bdev,
				    const struct blkfilter_attach *how);
	void (*activate)(struct blkfilter *flt);
	void (*deactivate)(struct blkfilter *flt, enum blkfilter_reason reason,
			   struct blkfilter *successor);
	void (*detach)(struct blkfilter *flt);
	int (*query_detach)(struct blkfilter *flt, enum blkfilter_reason reason);
	void (*gone)(struct blkfilter *flt);

	bool (*submit_bio)(struct blkfilter *flt, struct bio *bio,
			   struct blkfilter_pos pos);

	int (*ctl)(struct blkfilter *flt, unsigned int cmd, u8 __user *buf,
		   u32 *plen);
	void (*point)(struct blkfilter *flt, enum blkfilter_phase phase,
		      const u8 *id);
	void (*settled)(struct blkfilter *flt);
	void (*unseen)(struct blkfilter *flt);
	void (*resized)(struct blkfilter *flt, sector_t sectors);
	void (*changed)(struct blkfilter *flt, sector_t sector,
			sector_t sectors);
	bool (*appeared)(struct block_device *bdev);
	int (*check_options)(struct blkfilter *flt, const void *options,
			     u32 options_size);
	void (*set_options)(struct blkfilter *flt, const void *options,
			    u32 options_size);
	void (*state)(struct blkfilter *flt, char *buf, size_t size);
};

int blkfilter_register(struct blkfilter_operations *ops);
void blkfilter_unregister(struct blkfilter_operations *ops);

void blkfilter_take(struct blkfilter *flt, struct bio *bio,
		    struct blkfilter_pos pos);
void blkfilter_resume(struct blkfilter_pos pos, struct bio *bio);
void blkfilter_end(struct blkfilter_pos pos, struct bio *bio,
		   blk_status_t status);
void blkfilter_submit_below(struct blkfilter *flt, struct bio *bio);
void blkfilter_submit_other(struct blkfilter *flt, struct bio *bio);
void blkfilter_submit_uncounted(struct blkfilter *flt, struct bio *bio);
void blkfilter_changed(struct blkfilter *flt, sector_t sector,
		       sector_t sectors);
void blkfilter_event(struct blkfilter *flt, u64 value, const void *data,
		     size_t size);
int blkfilter_point(struct blkfilter *flt, u32 limit_ms);

/**
 * struct blkfilter_points - one consistency point for several devices
 * @flt:       the filter in whose command it is taken, or NULL: see
 *             blkfilter_point().
 * @dev:       the devices, each from blkfilter_device_get(); brought into order,
 *             upper before lower, where the kernel knows it (dm, md).
 * @n:         how many.
 * @id:        the point's id, BLKFILTER_ID_LENGTH bytes, not all zero; or NULL.
 * @freeze:    their file systems are frozen, and those of a whole disk's
 *             partitions.
 * @first:     devices whose file systems are frozen before, in this order.
 * @n_first:   how many.
 * @limit_ms:  milliseconds from the first gate that closes; 0: 1000.
 * @failed:    out, on error: the device that did not drain or could not be
 *             frozen, as an index of @dev; @n when it was none of them.
 * @closed_ns: out: how long the gates were closed.
 */
struct blkfilter_points {
	struct blkfilter *flt;
	struct bf_dev **dev;
	u32 n;
	const u8 *id;
	bool freeze;
	struct bf_dev **first;
	u32 n_first;
	u32 limit_ms;
	u32 failed;
	u64 closed_ns;
};

int blkfilter_points(struct blkfilter_points *points);
struct bf_dev *blkfilter_device_get(struct blkfilter *flt);
void blkfilter_device_put(struct bf_dev *dev);
int blkfilter_devices_from_user(struct bf_dev ***list, u64 address, u32 n,
				u32 *failed);
void blkfilter_devices_put(struct bf_dev **dev, u32 n);
bool blkfilter_stacked_on(struct block_device *upper, struct blkfilter *flt);
bool blkfilter_lies_on(struct block_device *upper, struct block_device *lower);
bool blkfilter_claimed_on(const void *holder, struct blkfilter *flt);

int blkfilter_copy_in_grown(void *argument, size_t oldest, size_t size,
			    u8 __user *user, u32 room);
int blkfilter_copy_in(void *argument, size_t size, u8 __user *user, u32 room);
int blkfilter_copy_out(u8 __user *user, u32 *length, const void *answer,
		       size_t size);

/**
 * blkfilter_start() - first sector of the filter's device on its disk
 * @flt: the filter.
 *
 * Return: 0 for a whole disk, in sectors of 512 bytes.
 */
sector_t blkfilter_start(const struct blkfilter *flt);

/**
 * blkfilter_sector() - a bio's first sector, relative to the filter's device
 * @flt: the filter that was shown @bio.
 * @bio: the bio.
 *
 * Return: sectors of 512 bytes; 0 for a bio without data, whose bi_sector
 * means nothing (the block layer does not remap an empty flush).
 */
static inline sector_t blkfilter_sector(const struct blkfilter *flt,
					const struct bio *bio)
{
	if (!bio->bi_iter.bi_size)
		return 0;
	return bio->bi_iter.bi_sector - blkfilter_start(flt);
}

#endif /* _LINUX_BLK_FILTER_H */
