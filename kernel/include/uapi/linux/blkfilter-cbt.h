/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The filter "cbt-only": which blocks of a device have changed since a checkpoint.
 *
 * Commands of BLKFILTER_IOC_COMMAND (or BLKFILTER_CTL); every argument starts with
 * its @size, and the rules of <linux/blkfilter-control.h> hold.  optlen is at least
 * @size.
 *
 * A checkpoint is an instant that divides all writes of the device into those that
 * completed before it and those that come after it.  Checkpoints are numbered, and
 * the numbers belong to a generation: a history without a gap.  Where the history
 * can no longer be trusted (the device was attached anew, the medium exchanged,
 * bios passed unseen), another generation begins without any checkpoint, and a
 * question about the old one is ESTALE: everything may have changed.
 *
 * Options of the filter, as text: "block_size=BYTES", a power of two from 4096 to
 * 67108864; 65536 without it.
 */
#ifndef _UAPI_LINUX_BLKFILTER_CBT_H
#define _UAPI_LINUX_BLKFILTER_CBT_H

#include <linux/blkfilter-control.h>
#include <linux/types.h>

#define BLKFILTER_CBT			"cbt-only"
#define BLKFILTER_CBT_NAME_LENGTH	64	/* of a checkpoint, with NUL */
#define BLKFILTER_CBT_NAMED_MAX		4096	/* checkpoints of a device */
#define BLKFILTER_CBT_UNNAMED		16	/* that are kept of points */

enum blkfilter_cbt_command {
	BLKFILTER_CBT_INFO,	/* struct blkfilter_cbt_info */
	BLKFILTER_CBT_CREATE,	/* struct blkfilter_cbt_create */
	BLKFILTER_CBT_LIST,	/* struct blkfilter_cbt_list */
	BLKFILTER_CBT_DELETE,	/* struct blkfilter_cbt_delete */
	BLKFILTER_CBT_EXTENTS,	/* struct blkfilter_cbt_extents */
	BLKFILTER_CBT_DIRTY,	/* struct blkfilter_cbt_dirty */
};

/**
 * struct blkfilter_cbt_info - argument of BLKFILTER_CBT_INFO
 * @size:       see above.
 * @flags:      out: BLKFILTER_CBT_SETTLED.
 * @generation: out: of the history; zero before it begins.
 * @sectors:    out: of the device, in 512 bytes.
 * @memory:     out: bytes that the tracker of this device takes.
 * @block_size: out: in bytes.
 * @named:      out: named checkpoints.
 * @number:     out: the next checkpoint's.
 */
struct blkfilter_cbt_info {
	__u32 size;
	__u32 flags;
	__u8 generation[BLKFILTER_ID_LENGTH];
	__u64 sectors;
	__u64 memory;
	__u32 block_size;
	__u32 named;
	__u64 number;
};

/* The history has begun.  Not yet: writes from before the attach may be left. */
#define BLKFILTER_CBT_SETTLED		(1U << 0)

/**
 * struct blkfilter_cbt_create - argument of BLKFILTER_CBT_CREATE
 * @size:       see above.
 * @limit_ms:   milliseconds for which the device may be closed; 0: 1000.
 * @name:       of 1 to 63 printable characters other than space.
 * @id:         zero: the checkpoint is made now.  Else: the id of a point, whose
 *              unnamed checkpoint gets the name.
 * @generation: out.
 * @number:     out.
 *
 *   EAGAIN     the history has not begun
 *   EEXIST     the name is in use
 *   EINVAL     no such name is possible
 *   ENOENT     no unnamed checkpoint has that id (any more)
 *   ENOSPC     there are BLKFILTER_CBT_NAMED_MAX of them, or no number is left
 *   ETIMEDOUT  the device did not drain in time
 */
struct blkfilter_cbt_create {
	__u32 size;
	__u32 limit_ms;
	__u8 name[BLKFILTER_CBT_NAME_LENGTH];
	__u8 id[BLKFILTER_ID_LENGTH];
	__u8 generation[BLKFILTER_ID_LENGTH];
	__u64 number;
};

/**
 * struct blkfilter_cbt_checkpoint - one of them
 * @number:  ascending by time.
 * @time_ns: CLOCK_REALTIME.
 * @name:    empty for an unnamed one.
 * @id:      of the point that made it; zero when it was made for itself.
 */
struct blkfilter_cbt_checkpoint {
	__u64 number;
	__u64 time_ns;
	__u8 name[BLKFILTER_CBT_NAME_LENGTH];
	__u8 id[BLKFILTER_ID_LENGTH];
};

/**
 * struct blkfilter_cbt_list - argument of BLKFILTER_CBT_LIST
 * @size:        see above.
 * @entry_size:  bytes of one entry as compiled; EINVAL when not the kernel's.
 * @checkpoints: address of an array of &struct blkfilter_cbt_checkpoint.
 * @count:       in: room; out: how many there are.  When there are more than
 *               there is room for, the rest is left out.
 * @flags:       0.
 * @generation:  out.
 */
struct blkfilter_cbt_list {
	__u32 size;
	__u32 entry_size;
	__u64 checkpoints;
	__u32 count;
	__u32 flags;
	__u8 generation[BLKFILTER_ID_LENGTH];
};

/**
 * struct blkfilter_cbt_delete - argument of BLKFILTER_CBT_DELETE
 * @size:  see above.
 * @flags: 0.
 * @name:  the checkpoint's; ENOENT when there is none.
 */
struct blkfilter_cbt_delete {
	__u32 size;
	__u32 flags;
	__u8 name[BLKFILTER_CBT_NAME_LENGTH];
};

/**
 * struct blkfilter_cbt_extent - a changed range, in whole blocks
 * @sector:  first one, in 512 bytes.
 * @sectors: how many; the last block ends where the device does.
 * @flags:   BLKFILTER_CBT_DISCARDED.
 */
struct blkfilter_cbt_extent {
	__u64 sector;
	__u64 sectors;
	__u32 flags;
	__u32 reserved;
};

/*
 * What was last sent to each of these blocks was a discard, a secure erase or a
 * write of zeroes over the whole block: whoever sent it does not need what was
 * there.  The device may have refused it, or done only a part: what the blocks
 * contain is what reading them returns.
 */
#define BLKFILTER_CBT_DISCARDED		(1U << 0)

/**
 * struct blkfilter_cbt_extents - argument of BLKFILTER_CBT_EXTENTS
 * @size:       see above.
 * @entry_size: bytes of one extent as compiled; EINVAL when not the kernel's.
 * @generation: of the checkpoint; ESTALE when it is not the device's.
 * @number:     its number; ENOENT when it does not exist.
 * @sector:     in: where to begin; out: where to go on, or the device's end.
 * @extents:    address of an array of &struct blkfilter_cbt_extent.
 * @count:      in: room, out: extents filled in.
 * @flags:      0.
 *
 * What has changed since the checkpoint, in ascending order.  Every write that was
 * sent before the call is in it, and of later ones what was noticed.  It is
 * complete when @sector comes back as the device's end: ask until then.
 */
struct blkfilter_cbt_extents {
	__u32 size;
	__u32 entry_size;
	__u8 generation[BLKFILTER_ID_LENGTH];
	__u64 number;
	__u64 sector;
	__u64 extents;
	__u32 count;
	__u32 flags;
};

/* A range of sectors of 512 bytes. */
struct blkfilter_cbt_range {
	__u64 sector;
	__u64 sectors;
};

/**
 * struct blkfilter_cbt_dirty - argument of BLKFILTER_CBT_DIRTY
 * @size:       see above.
 * @entry_size: bytes of one range as compiled; EINVAL when not the kernel's.
 * @ranges:     address of an array of &struct blkfilter_cbt_range.
 * @count:      how many, at most 65536.
 * @flags:      0.
 *
 * The ranges count as written now.  EINVAL when one is empty or not wholly on the
 * device; nothing is marked then.
 */
struct blkfilter_cbt_dirty {
	__u32 size;
	__u32 entry_size;
	__u64 ranges;
	__u32 count;
	__u32 flags;
};

BLKFILTER_SIZE(struct blkfilter_cbt_info, 56);
BLKFILTER_SIZE(struct blkfilter_cbt_create, 112);
BLKFILTER_SIZE(struct blkfilter_cbt_checkpoint, 96);
BLKFILTER_SIZE(struct blkfilter_cbt_list, 40);
BLKFILTER_SIZE(struct blkfilter_cbt_delete, 72);
BLKFILTER_SIZE(struct blkfilter_cbt_extent, 24);
BLKFILTER_SIZE(struct blkfilter_cbt_extents, 56);
BLKFILTER_SIZE(struct blkfilter_cbt_range, 16);
BLKFILTER_SIZE(struct blkfilter_cbt_dirty, 24);

#endif /* _UAPI_LINUX_BLKFILTER_CBT_H */
