/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The filter "redirect": another device under a live one.
 *
 * A *migration* copies a device, the source, to another one, the target, while the
 * source is in use, and then cuts over: from one instant on all I/O of the source
 * goes to the target.  A *redirect* alone does the second part only: what the
 * target contains is the caller's business.  A target that is *interposed* is built on
 * the source itself, by way of a device that redirect offers, and slid under it.
 *
 * Commands of BLKFILTER_IOC_COMMAND (or BLKFILTER_CTL) to the source's filter; every
 * argument starts with its @size, and the rules of <linux/blkfilter-control.h>
 * hold.  optlen is at least @size.  The filter has no options.  docs/redirect.md
 * tells the whole story.
 */
#ifndef _UAPI_LINUX_BLKFILTER_REDIRECT_H
#define _UAPI_LINUX_BLKFILTER_REDIRECT_H

#include <linux/blkfilter-control.h>
#include <linux/types.h>

#define BLKFILTER_REDIRECT		"redirect"
/* Bytes of the name of the device below, its NUL included. */
#define BLKFILTER_REDIRECT_BELOW_NAME	32

enum blkfilter_redirect_command {
	BLKFILTER_REDIRECT_START,	/* struct blkfilter_redirect_start */
	BLKFILTER_REDIRECT_STATUS,	/* struct blkfilter_redirect_status */
	BLKFILTER_REDIRECT_SET,		/* struct blkfilter_redirect_set */
	BLKFILTER_REDIRECT_PAUSE,	/* struct blkfilter_redirect_plain */
	BLKFILTER_REDIRECT_RESUME,	/* struct blkfilter_redirect_plain */
	BLKFILTER_REDIRECT_CUTOVER,	/* struct blkfilter_redirect_cutover */
	BLKFILTER_REDIRECT_CANCEL,	/* struct blkfilter_redirect_plain */
	BLKFILTER_REDIRECT_FINISH,	/* struct blkfilter_redirect_plain */
	BLKFILTER_REDIRECT_VERIFY,	/* struct blkfilter_redirect_verify */
	BLKFILTER_REDIRECT_BELOW,	/* struct blkfilter_redirect_below */
};

/**
 * enum blkfilter_redirect_state - states, named as QEMU's jobs
 * @BLKFILTER_REDIRECT_CREATED:    attached; nothing was started.
 * @BLKFILTER_REDIRECT_RUNNING:    copying.
 * @BLKFILTER_REDIRECT_PAUSED:     not copying; nothing is sent to the target.
 * @BLKFILTER_REDIRECT_READY:      everything was copied once; what is written now
 *                                 goes to both, or is copied soon.
 * @BLKFILTER_REDIRECT_STANDBY:    ready, and paused.
 * @BLKFILTER_REDIRECT_PENDING:    cutting over.
 * @BLKFILTER_REDIRECT_REDIRECTED: all I/O goes to the target.
 * @BLKFILTER_REDIRECT_ABORTING:   ending; I/O to the target is still on its way.
 * @BLKFILTER_REDIRECT_FAILED:     ended by an error; the source is as it would be
 *                                 without the filter.
 * @BLKFILTER_REDIRECT_CONCLUDED:  ended as it was asked to.
 *
 * Each change raises an event of the filter: its value is the new state, its data
 * &struct blkfilter_redirect_change.
 */
enum blkfilter_redirect_state {
	BLKFILTER_REDIRECT_CREATED,
	BLKFILTER_REDIRECT_RUNNING,
	BLKFILTER_REDIRECT_PAUSED,
	BLKFILTER_REDIRECT_READY,
	BLKFILTER_REDIRECT_STANDBY,
	BLKFILTER_REDIRECT_PENDING,
	BLKFILTER_REDIRECT_REDIRECTED,
	BLKFILTER_REDIRECT_ABORTING,
	BLKFILTER_REDIRECT_FAILED,
	BLKFILTER_REDIRECT_CONCLUDED,
};

/**
 * struct blkfilter_redirect_change - data of an event
 * @id:    of the migration.
 * @from:  &enum blkfilter_redirect_state before.
 * @error: positive errno of what caused it, or 0.
 */
struct blkfilter_redirect_change {
	__u8 id[BLKFILTER_ID_LENGTH];
	__u32 from;
	__u32 error;
};

/* What can be wrong with a target; see &struct blkfilter_redirect_start. */
enum blkfilter_redirect_refusal {
	BLKFILTER_REDIRECT_NOT_REFUSED,
	BLKFILTER_REDIRECT_TARGET_SMALLER,	/* ENOSPC */
	BLKFILTER_REDIRECT_TARGET_BLOCK_SIZE,	/* EOPNOTSUPP: logical blocks */
	BLKFILTER_REDIRECT_TARGET_READ_ONLY,	/* EROFS */
	BLKFILTER_REDIRECT_TARGET_ZONED,	/* EOPNOTSUPP */
	BLKFILTER_REDIRECT_TARGET_INTEGRITY,	/* EOPNOTSUPP */
	BLKFILTER_REDIRECT_TARGET_IN_USE,	/* EBUSY: mounted, held, a target */
	BLKFILTER_REDIRECT_TARGET_IS_SOURCE,	/* ELOOP: overlaps the source */
	BLKFILTER_REDIRECT_TARGET_ON_SOURCE,	/* ELOOP: its I/O ends up there */
	BLKFILTER_REDIRECT_TARGET_GONE,		/* ENODEV */
	BLKFILTER_REDIRECT_SOURCE_INTEGRITY,	/* EOPNOTSUPP */
	BLKFILTER_REDIRECT_TARGET_ATOMIC,	/* EOPNOTSUPP: atomic writes */
	BLKFILTER_REDIRECT_TARGET_NO_BLOCK,	/* ENOTBLK: no block device */
	BLKFILTER_REDIRECT_TARGET_CRYPTO,	/* EOPNOTSUPP: inline encryption */
	/* Of the record: no place for one; its device. */
	BLKFILTER_REDIRECT_RECORD_NO_PLACE,	/* EDESTADDRREQ */
	BLKFILTER_REDIRECT_RECORD_NO_BLOCK,	/* ENOTBLK: no block device */
	BLKFILTER_REDIRECT_RECORD_READ_ONLY,	/* EROFS */
	BLKFILTER_REDIRECT_RECORD_IN_USE,	/* EBUSY */
	BLKFILTER_REDIRECT_RECORD_GONE,		/* ENODEV */
	BLKFILTER_REDIRECT_RECORD_UNSUITED,	/* EOPNOTSUPP: zoned, integrity */
	BLKFILTER_REDIRECT_RECORD_ON_SOURCE,	/* ELOOP */
	BLKFILTER_REDIRECT_RECORD_IO,		/* the errno of its device */
	/* What is found there: without CONTINUE, a cut-over that is in force. */
	BLKFILTER_REDIRECT_RECORD_IN_FORCE,	/* EEXIST */
	/* With CONTINUE. */
	BLKFILTER_REDIRECT_RECORD_NONE,		/* ENODATA */
	BLKFILTER_REDIRECT_RECORD_DAMAGED,	/* EBADMSG */
	BLKFILTER_REDIRECT_RECORD_VERSION,	/* EPROTONOSUPPORT */
	BLKFILTER_REDIRECT_RECORD_OTHER_ID,	/* ENOKEY */
	BLKFILTER_REDIRECT_RECORD_OTHER_SIZE,	/* EXDEV: source, target, offset */
	BLKFILTER_REDIRECT_RECORD_OTHER_DEVICE,	/* EXDEV: PARTUUIDs */
	BLKFILTER_REDIRECT_RECORD_CONCLUDED,	/* EALREADY */
	BLKFILTER_REDIRECT_RECORD_WRITTEN,	/* EUCLEAN: the source was, since */
	/* With INTERPOSE. */
	BLKFILTER_REDIRECT_TARGET_NOT_BELOW,	/* EINVAL: not on the device below */
};

enum blkfilter_redirect_mode {
	BLKFILTER_REDIRECT_ONLY,		/* no copying */
	BLKFILTER_REDIRECT_WRITE_BLOCKING,	/* writes wait for both */
	BLKFILTER_REDIRECT_BACKGROUND,		/* the target lags */
};

/**
 * struct blkfilter_redirect_start - argument of BLKFILTER_REDIRECT_START
 * @size:          see above; 80 is enough where there is no @record.
 * @flags:         BLKFILTER_REDIRECT_NO_RECORD, _RECORD, _CONTINUE, _INTERPOSE,
 *                 _NO_ATOMIC.
 * @mode:          &enum blkfilter_redirect_mode.
 * @target:        descriptor of the target, open for reading and writing.  The
 *                 kernel opens it again, exclusively, and keeps it.
 * @first_sector:  first sector of the source that is redirected, in 512 bytes.
 * @sectors:       how many; 0: the whole device, whatever @first_sector says is
 *                 0 then.  Only with BLKFILTER_REDIRECT_ONLY.
 * @target_sector: where @first_sector goes to.
 * @rate:          bytes in a second that are copied at most; 0: no limit.
 * @in_flight:     copies in flight at most, 1 to 64; 0: 8.
 * @limit_ms:      milliseconds for which the device may be closed; 0: 1000.
 * @id:            of the migration, not all zero: a UUID of the caller's.
 * @refused:       out, also on error: &enum blkfilter_redirect_refusal.
 * @record:        with BLKFILTER_REDIRECT_RECORD: descriptor of the block device that
 *                 the record is kept on, open for reading and writing.
 *
 *   EAGAIN     writes from before the first attach may be on their way: wait for
 *              BLKFILTER_EVENT_SETTLED
 *   EBADF      @target is no descriptor, or not open for both
 *   EBUSY      one is under way; a migration, and the device below is offered; or see
 *              @refused
 *   EINVAL     the range is empty, not of whole logical blocks, or beyond the end
 *   ESTALE     the device has got another size meanwhile
 *   ETIMEDOUT  the device did not drain in time
 *   others     see @refused; or of writing back the target's page cache; with
 *              INTERPOSE, or of freezing a file system
 */
struct blkfilter_redirect_start {
	__u32 size;
	__u32 flags;
	__u32 mode;
	__s32 target;
	__u64 first_sector;
	__u64 sectors;
	__u64 target_sector;
	__u64 rate;
	__u32 in_flight;
	__u32 limit_ms;
	__u8 id[BLKFILTER_ID_LENGTH];
	__u32 refused;
	__u32 reserved;
	__s32 record;
	__u32 reserved2;
};

/*
 * Where the record of a migration is kept: without a flag, on the target, behind what the
 * source needs there (see &struct blkfilter_redirect_record).  A redirect alone has none.
 */

/* Nowhere: a restart in the middle means to start again. */
#define BLKFILTER_REDIRECT_NO_RECORD	(1U << 0)
/* At the beginning of the device @record, which is nobody else's meanwhile. */
#define BLKFILTER_REDIRECT_RECORD	(1U << 1)
/*
 * Goes on with what the record says, with the same @id, @target_sector and place: copies
 * what may differ, or redirects at once.  The source must not have been written to since
 * it appeared, as the kernel's statistics of it count: then all is marked in the record
 * (unless it says that the target is the current one), so that a later start of the machine,
 * which cannot know of it, copies everything.  On any other error nothing has happened.
 */
#define BLKFILTER_REDIRECT_CONTINUE	(1U << 2)
/*
 * With BLKFILTER_REDIRECT_ONLY and without a range: the target is, or lies on, the device
 * below (BLKFILTER_REDIRECT_BELOW), by any number of dm or md devices, and on nothing
 * else of the source.  The file systems on the source and its partitions are frozen
 * meanwhile.  Without this flag such a target is refused: it lies on the source.
 */
#define BLKFILTER_REDIRECT_INTERPOSE	(1U << 3)
/*
 * The target need not do the source's atomic writes (RWF_ATOMIC): from the start on, while
 * there still is a way back, those of more than a logical block fail with EOPNOTSUPP.
 */
#define BLKFILTER_REDIRECT_NO_ATOMIC	(1U << 4)

/**
 * struct blkfilter_redirect_status - argument of BLKFILTER_REDIRECT_STATUS
 * @size:          see above.
 * @state:         out: &enum blkfilter_redirect_state.
 * @mode:          out: as given.
 * @error:         out: positive errno of the last error of the target or of what
 *                 ended it; 0 when the target answers.
 * @id:            out: as given; zero: nothing was started.
 * @target:        out: the target.
 * @first_sector, @sectors, @target_sector: out: as given; @sectors is never 0.
 * @total:         out: bytes to be copied in all; 0 for a redirect alone.
 * @remaining:     out: bytes that are not, or not yet again, on the target.
 * @copied:        out: bytes that were copied in the background.
 * @dirtied:       out: bytes that had to be copied again.
 * @mirrored:      out: bytes that were written to both.
 * @rate:          out: the limit.
 * @in_flight:     out: the limit.
 * @copies:        out: copies in flight.
 * @waited:        out: writes that waited for a copy.
 * @target_errors: out: errors of the target.
 * @attempts:      out: failures in a row; the next pause is longer.
 * @flags:         out: BLKFILTER_REDIRECT_FUA, _UNSEEN, _RECORDED, _RECORD_BEHIND,
 *                 _CONTINUED, _INTERPOSED.
 * @held_ns:       out: how long writes were held at the cut-over, after the gate.
 * @time_ns:       out: CLOCK_BOOTTIME of this answer.
 * @started_ns:    out: and of the start.
 * @record:        out: the device that the record is kept on; zero: there is none.
 * @record_sector: out: where on it.
 * @record_marked: out: bytes that would be copied after a power loss.
 * @record_error:  out: positive errno of the last write of the record; 0: it succeeded.
 */
struct blkfilter_redirect_status {
	__u32 size;
	__u32 state;
	__u32 mode;
	__u32 error;
	__u8 id[BLKFILTER_ID_LENGTH];
	struct blkfilter_device target;
	__u64 first_sector;
	__u64 sectors;
	__u64 target_sector;
	__u64 total;
	__u64 remaining;
	__u64 copied;
	__u64 dirtied;
	__u64 mirrored;
	__u64 rate;
	__u32 in_flight;
	__u32 copies;
	__u64 waited;
	__u64 target_errors;
	__u32 attempts;
	__u32 flags;
	__u64 held_ns;
	__u64 time_ns;
	__u64 started_ns;
	struct blkfilter_device record;
	__u64 record_sector;
	__u64 record_marked;
	__u32 record_error;
	__u32 reserved;
};

/*
 * The target has a volatile cache and the source has none, so nobody sends flushes:
 * once redirected, every write carries FUA.
 */
#define BLKFILTER_REDIRECT_FUA		(1U << 0)
/*
 * Redirected, and yet bios may have passed the filter, to the source: neither device is
 * known to have everything.  Told by an event, too, of the state that it is in already,
 * with EIO.
 */
#define BLKFILTER_REDIRECT_UNSEEN	(1U << 1)
/* There is a record. */
#define BLKFILTER_REDIRECT_RECORDED	(1U << 2)
/*
 * The record could not be written, and the source was written to without it: until this
 * flag goes, it must not be continued after a restart.  Told by an event, too, of the
 * state that it is in already, with the error.
 */
#define BLKFILTER_REDIRECT_RECORD_BEHIND (1U << 3)
/* It goes on with what a record has said. */
#define BLKFILTER_REDIRECT_CONTINUED	(1U << 4)
/* The target lies on the source itself: it was started with INTERPOSE. */
#define BLKFILTER_REDIRECT_INTERPOSED	(1U << 5)

/**
 * struct blkfilter_redirect_set - argument of BLKFILTER_REDIRECT_SET
 * @size:      see above.
 * @flags:     what is set: BLKFILTER_REDIRECT_SET_*.
 * @rate:      see &struct blkfilter_redirect_start.
 * @in_flight: likewise.
 * @mode:      write-blocking or background.
 *
 * ENOENT: nothing is being copied.
 */
struct blkfilter_redirect_set {
	__u32 size;
	__u32 flags;
	__u64 rate;
	__u32 in_flight;
	__u32 mode;
};

#define BLKFILTER_REDIRECT_SET_RATE		(1U << 0)
#define BLKFILTER_REDIRECT_SET_IN_FLIGHT	(1U << 1)
#define BLKFILTER_REDIRECT_SET_MODE		(1U << 2)

/**
 * struct blkfilter_redirect_plain - argument of PAUSE, RESUME, CANCEL, FINISH
 * @size:  see above.
 * @flags: 0; FINISH of what is interposed: BLKFILTER_REDIRECT_NO_FREEZE.
 *
 * PAUSE: the target is left alone; what is written is noted as dirty.  Returns when
 * nothing is on its way there any more; ETIMEDOUT: it owes answers, EINTR: a fatal
 * signal: paused all the same; EBUSY: it is being recorded that the target is the current
 * one.  RESUME: goes on, also after errors of the target.  EINVAL: not in this state.
 *
 * CANCEL: ends a migration before its cut-over, or one that has failed; returns when
 * the target is closed.  EBUSY: it is redirected.
 *
 * FINISH: ends a redirect: from then on I/O goes to the source again, whose content
 * is an old one.  EBUSY: somebody has the source open; EINVAL: not redirected.  Until it
 * has returned nobody should write to the source: a record that is not concluded yet says
 * that the target is the current one.
 * What is interposed is taken out while the source is in use: its file systems are frozen
 * meanwhile, and when it returns the target is closed.  ETIMEDOUT: what is on its way did
 * not complete in time; others: of freezing; it is redirected as before then.
 *
 * CANCEL and FINISH return when the record says that it is concluded, or could not be
 * written, which the status says.
 */
struct blkfilter_redirect_plain {
	__u32 size;
	__u32 flags;
};

/* No file system is frozen, as that fails when the target returns errors. */
#define BLKFILTER_REDIRECT_NO_FREEZE	(1U << 0)

/**
 * struct blkfilter_redirect_below - argument of BLKFILTER_REDIRECT_BELOW
 * @size:   see above.
 * @flags:  BLKFILTER_REDIRECT_BELOW_WITHDRAW, or 0.
 * @device: out: the device below.
 * @name:   out: its kernel name, "below-" and the source's.
 *
 * Offers a block device of the source's size whose bios enter the source below redirect,
 * whatever is redirected above; the answer is the same when it is offered already.  What
 * is built on it can be interposed.  It follows the source's size, and goes with it, or
 * with the filter, which cannot be detached while the device is open.
 *
 *   EBUSY         a migration is under way, which would not see what is written there;
 *                 or an earlier device of that name is not gone yet
 *   ENAMETOOLONG  the source's name is too long for it
 *   ENODEV        the source has gone
 *
 * With WITHDRAW it is taken away.
 *
 *   EBUSY         it is open, or held
 *   ENOENT        there is none
 */
struct blkfilter_redirect_below {
	__u32 size;
	__u32 flags;
	struct blkfilter_device device;
	char name[BLKFILTER_REDIRECT_BELOW_NAME];
};

#define BLKFILTER_REDIRECT_BELOW_WITHDRAW	(1U << 0)

/**
 * struct blkfilter_redirect_cutover - argument of BLKFILTER_REDIRECT_CUTOVER
 * @size:      see above.
 * @flags:     0.
 * @limit_ms:  milliseconds for which I/O may be held, in each of two steps: until
 *             what is on its way has completed, and until the target is flushed;
 *             0: 1000.
 * @wait_ms:   milliseconds to wait for the last dirty regions before that; from here
 *             on writes go to both in background mode too; 0: 60000.
 * @held_ns:   out: see &struct blkfilter_redirect_status.
 *
 * On any error the state is ready again, and nothing has changed.  When it returns 0, the
 * record of it is on stable storage.
 *
 *   EINVAL     the state is not ready
 *   ECANCELED  cancelled, or paused, meanwhile
 *   ETIMEDOUT  one of the times was up
 *   EINTR      a signal came while waiting for the dirty regions or a flush
 *   others     of the target's flush, or of the record
 */
struct blkfilter_redirect_cutover {
	__u32 size;
	__u32 flags;
	__u32 limit_ms;
	__u32 wait_ms;
	__u64 held_ns;
};

/**
 * struct blkfilter_redirect_verify - argument of BLKFILTER_REDIRECT_VERIFY
 * @size:      see above.
 * @flags:     0.
 * @sector:    in: where to begin, in whole regions; out: where the comparison has
 *             got to: the end, or the next region behind a difference.
 * @sectors:   in: how many at most; 0: to the end.
 * @different: out: first sector of a region that differs, or all ones.
 * @compared:  out: bytes that were compared.
 * @skipped:   out: bytes that are not copied yet.
 *
 * Reads both and compares, region by region, with writes to that region held off, or
 * left out if it was written to: what differs then, differs.  Ends at the first
 * difference: asked again from @sector on it finds the next.
 *
 *   EBUSY   cutting over, or paused
 *   EINVAL  nothing is being copied, or it is redirected
 *   EINTR   a signal; what was compared until then is filled in
 *   EIO     reading one of them failed
 */
struct blkfilter_redirect_verify {
	__u32 size;
	__u32 flags;
	__u64 sector;
	__u64 sectors;
	__u64 different;
	__u64 compared;
	__u64 skipped;
};

/* --- the record --- */

/* Bytes of the record: two slots of this size, one behind the other. */
#define BLKFILTER_REDIRECT_SLOT		32768
#define BLKFILTER_REDIRECT_SLOTS	2
/* Where the map is in a slot. */
#define BLKFILTER_REDIRECT_MAP		4096
/* Regions at most. */
#define BLKFILTER_REDIRECT_REGIONS	131072

#define BLKFILTER_REDIRECT_MAGIC	"blkfilter-record"
#define BLKFILTER_REDIRECT_VERSION	1

enum blkfilter_redirect_record_state {
	BLKFILTER_REDIRECT_SAYS_COPYING = 1,	/* the source is the current one */
	BLKFILTER_REDIRECT_SAYS_READY,	/* so, and all was copied once */
	BLKFILTER_REDIRECT_SAYS_REDIRECTED,	/* the target is the current one */
	BLKFILTER_REDIRECT_SAYS_CONCLUDED,	/* it says nothing any more */
};

/**
 * struct blkfilter_redirect_record - what a slot of the record begins with
 * @magic:      BLKFILTER_REDIRECT_MAGIC, without a zero at its end.
 * @version:    BLKFILTER_REDIRECT_VERSION.
 * @checksum:   crc32c (as in iSCSI) of what was written of the slot, BLKFILTER_REDIRECT_MAP
 *              bytes and the map of whole 4096 bytes, with this field zero.
 * @id:         of the migration.
 * @generation: one more with each write.
 * @state:      &enum blkfilter_redirect_record_state.
 * @region:     bytes / 512 of a region.
 * @regions:    of the source.
 * @sectors:    of the source.
 * @target_sectors: of the target, all of it.
 * @target_sector: where on the target the source begins.
 * @time:       when it was written, in seconds since 1970.
 * @source:     PARTUUID of the source, in text; zero where it has none.
 * @target:     likewise.
 *
 * All numbers are little endian.  The map has a bit for each region, the lowest first in
 * the first byte: set where source and target may differ.
 *
 * The record lies at the beginning of the device that was given for it; or else on the
 * target, from the first multiple of 8 sectors on that is not smaller than
 * @target_sector + @sectors.  The slots are written in turn: of those that are as they
 * should be, the one with the higher generation counts.
 */
struct blkfilter_redirect_record {
	__u8 magic[16];
	__le32 version;
	__le32 checksum;
	__u8 id[BLKFILTER_ID_LENGTH];
	__le64 generation;
	__le32 state;
	__le32 region;
	__le64 regions;
	__le64 sectors;
	__le64 target_sectors;
	__le64 target_sector;
	__le64 time;
	__u8 source[40];
	__u8 target[40];
};

BLKFILTER_SIZE(struct blkfilter_redirect_change, 24);
BLKFILTER_SIZE(struct blkfilter_redirect_start, 88);
BLKFILTER_SIZE(struct blkfilter_redirect_status, 216);
BLKFILTER_SIZE(struct blkfilter_redirect_set, 24);
BLKFILTER_SIZE(struct blkfilter_redirect_plain, 8);
BLKFILTER_SIZE(struct blkfilter_redirect_below, 56);
BLKFILTER_SIZE(struct blkfilter_redirect_cutover, 24);
BLKFILTER_SIZE(struct blkfilter_redirect_verify, 48);
BLKFILTER_SIZE(struct blkfilter_redirect_record, 176);

#endif /* _UAPI_LINUX_BLKFILTER_REDIRECT_H */
