/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/blkfilter: the whole interface of the block filter core.
 *
 * Rules that hold for every command:
 *
 *  - CAP_SYS_ADMIN is needed: EPERM otherwise.
 *  - Every argument starts with @size, the bytes of the structure as the
 *    program was compiled.  A smaller one than the kernel's is taken as if the
 *    rest were zero; a larger one is taken when the rest is zero, else E2BIG.
 *    Less than the first published size is EINVAL.
 *  - Unknown flags and non-zero reserved fields are EINVAL.
 *  - The layout is the same for 32- and 64-bit programs; addresses are __u64.
 *  - A device is named by &struct blkfilter_device.  ENODEV: there is no such
 *    device, or its diskseq is another one's: the disk was exchanged.
 *  - EFAULT: an address in the argument cannot be read or written.
 *  - ENOTTY: no such command.
 */
#ifndef _UAPI_LINUX_BLKFILTER_CONTROL_H
#define _UAPI_LINUX_BLKFILTER_CONTROL_H

#include <linux/blk-filter.h>
#include <linux/ioctl.h>
#include <linux/types.h>

#define BLKFILTER_INTERFACE_VERSION	1

/* Altitudes are in millionths: 450000.5 is 450000500000. */
#define BLKFILTER_ALTITUDE_UNIT		1000000ULL
#define BLKFILTER_ALTITUDE_MIN		1ULL
#define BLKFILTER_ALTITUDE_MAX		999999999999ULL

#define BLKFILTER_OPTIONS_MAX		4096	/* bytes of a filter's options */
#define BLKFILTER_STACK_MAX		32	/* filters on one device */
#define BLKFILTER_POINT_DEVICES_MAX	256	/* devices in one list of a point */
#define BLKFILTER_RULES_MAX		1024
#define BLKFILTER_ID_LENGTH		16

/**
 * struct blkfilter_device - a block device, never mistaken for a later one
 * @major:   of its device number.
 * @minor:   of its device number.
 * @diskseq: the disk's sequence number (BLKGETDISKSEQ on the device or on its
 *           disk).  0 is EINVAL.
 */
struct blkfilter_device {
	__u32 major;
	__u32 minor;
	__u64 diskseq;
};

/* Operations as they are counted in &struct blkfilter_statistics. */
enum blkfilter_group {
	BLKFILTER_GROUP_READ,
	BLKFILTER_GROUP_WRITE,		/* writes and zone appends with data */
	BLKFILTER_GROUP_DISCARD,	/* discard, secure erase */
	BLKFILTER_GROUP_ZEROES,		/* write zeroes */
	BLKFILTER_GROUP_FLUSH,		/* flushes without data */
	BLKFILTER_GROUP_OTHER,		/* zone management */
	BLKFILTER_GROUPS
};

/**
 * struct blkfilter_statistics - what one filter of one device has seen
 * @bios:    bios shown to the filter, by &enum blkfilter_group.
 * @sectors: their sectors of 512 bytes.
 * @taken:   bios that the filter took.
 * @resumed: taken bios that went on below the filter.
 * @ended:   taken bios that the filter ended itself.
 * @own:     bios that the filter made and sent below itself or elsewhere.
 */
struct blkfilter_statistics {
	__u64 bios[BLKFILTER_GROUPS];
	__u64 sectors[BLKFILTER_GROUPS];
	__u64 taken;
	__u64 resumed;
	__u64 ended;
	__u64 own;
};

/**
 * struct blkfilter_version - argument of BLKFILTER_IOC_VERSION
 * @size:         see above.
 * @flags:        0.
 * @version:      out: BLKFILTER_INTERFACE_VERSION of the kernel.
 * @capabilities: out: BLKFILTER_CAP_*.
 */
struct blkfilter_version {
	__u32 size;
	__u32 flags;
	__u32 version;
	__u32 reserved;
	__u64 capabilities;
};

/* The bio hook is in use at this moment: some device has a filter. */
#define BLKFILTER_CAP_HOOK_ACTIVE	(1ULL << 0)
/* The ioctls of <linux/blk-filter.h> work on block device nodes. */
#define BLKFILTER_CAP_NODE_IOCTLS	(1ULL << 1)

/* A registered filter.  Flags: BLKFILTER_FILTER_*. */
struct blkfilter_filter_info {
	__u8 name[BLKFILTER_NAME_LENGTH];
	__u8 module[56];		/* "" when built in */
	__u64 altitude;			/* default, in millionths */
	__u32 instances;
	__u32 flags;
};

#define BLKFILTER_FILTER_NEEDS_POINTS	(1U << 0)
#define BLKFILTER_FILTER_ZONED		(1U << 1)

/* A device with at least one filter. */
struct blkfilter_device_info {
	struct blkfilter_device device;
	__u8 name[32];			/* kernel name, such as "vda1" */
	__u64 generation;		/* of its stack */
	__u64 sectors;			/* its size, in 512 bytes */
	__u32 filters;
	__u32 flags;			/* BLKFILTER_DEVICE_* */
};

/* Writes from before the first attach may still be on their way. */
#define BLKFILTER_DEVICE_SETTLING	(1U << 0)
#define BLKFILTER_DEVICE_PARTITION	(1U << 1)

/**
 * struct blkfilter_list - argument of BLKFILTER_IOC_LIST_FILTERS and
 *                         BLKFILTER_IOC_LIST_DEVICES
 * @size:    see above.
 * @flags:   0.
 * @entries: address of an array of &struct blkfilter_filter_info or
 *           &struct blkfilter_device_info.
 * @count:   in: entries that fit; out: entries there are.  When there are more
 *           than fit, those that fit are filled and the call succeeds.
 * @entry_size: in: bytes of one entry as compiled; EINVAL when it is not the
 *           kernel's.
 */
struct blkfilter_list {
	__u32 size;
	__u32 flags;
	__u64 entries;
	__u32 count;
	__u32 entry_size;
};

/**
 * struct blkfilter_stack_entry - one filter of a device's stack
 * @name:         the filter's name, NUL-terminated.
 * @replaces:     in: name of a filter of the old stack that hands its state
 *                over to this one; "" for none.  out: "".
 * @owner:        tag of whoever attached it; not interpreted.
 * @altitude:     in millionths; in: 0 for the filter's default.
 * @options:      in: address of the options, which only the filter interprets;
 *                out: address of room for the options as given.
 * @options_size: in: their bytes, or the room; out: their bytes.
 * @flags:        out: BLKFILTER_ENTRY_*.
 * @instance:     out: number of this attachment, never used twice.
 * @state:        out: the filter's own word for its state.
 * @statistics:   out.
 */
struct blkfilter_stack_entry {
	__u8 name[BLKFILTER_NAME_LENGTH];
	__u8 replaces[BLKFILTER_NAME_LENGTH];
	__u8 owner[BLKFILTER_ID_LENGTH];
	__u64 altitude;
	__u64 options;
	__u32 options_size;
	__u32 flags;
	__u64 instance;
	__u8 state[32];
	struct blkfilter_statistics statistics;
};

/* Attached by a provisional rule that has not been confirmed yet. */
#define BLKFILTER_ENTRY_PROVISIONAL	(1U << 0)
/* Attached before the device's first bio. */
#define BLKFILTER_ENTRY_FROM_FIRST_BIO	(1U << 1)

/**
 * struct blkfilter_stack - argument of BLKFILTER_IOC_GET_STACK and
 *                          BLKFILTER_IOC_SET_STACK
 * @size:       see above.
 * @flags:      BLKFILTER_STACK_*.
 * @device:     the device.
 * @generation: GET: out: the stack's generation, which every change increases;
 *              0 for a device that never had a filter.
 *              SET: in: the generation that is expected, ESTALE when it is
 *              another; out: the new one.
 * @entries:    address of an array of &struct blkfilter_stack_entry, GET: from
 *              high to low altitude; SET: in any order.
 * @count:      entries; GET: in: room, out: how many there are.
 * @entry_size: bytes of one entry as compiled; EINVAL when not the kernel's.
 * @limit_ms:   SET: milliseconds for which the device may be closed; 0: 1000.
 * @failed:     SET: out, on error: index of the entry that was refused, or
 *              BLKFILTER_NO_ENTRY.
 *
 * SET makes the stack exactly what @entries says, in one transaction: either
 * all of it happens or nothing does.  A filter that is in both the old and the
 * new stack stays with its state, wherever its altitude is now; other options
 * for it are EOPNOTSUPP unless the filter can change them in place; its owner
 * tag is replaced.
 *
 *   ENOENT      a filter is not registered
 *   EEXIST      a filter is named twice
 *   EBUSY       two filters at one altitude, or a filter refuses to be
 *               detached, or another program changes this stack now
 *   ERANGE      an altitude out of range
 *   EOPNOTSUPP  the filter cannot work on this kind of device
 *   ETIMEDOUT   bios on their way did not drain in time; nothing has changed
 *   others      the filter's own refusal
 */
struct blkfilter_stack {
	__u32 size;
	__u32 flags;
	struct blkfilter_device device;
	__u64 generation;
	__u64 entries;
	__u32 count;
	__u32 entry_size;
	__u32 limit_ms;
	__u32 failed;
};

/* Checks everything that can be checked without attaching; changes nothing. */
#define BLKFILTER_STACK_DRY_RUN		(1U << 0)
/* @generation is compared. */
#define BLKFILTER_STACK_EXPECT		(1U << 1)
/* Provisional attachments of this device stay for good. */
#define BLKFILTER_STACK_CONFIRM		(1U << 2)
#define BLKFILTER_NO_ENTRY		(~0U)

/**
 * struct blkfilter_point - argument of BLKFILTER_IOC_POINT
 * @size:         see above.
 * @flags:        0.
 * @id:           the point's id; not all zero.
 * @freeze:       address of an array of &struct blkfilter_device: devices whose
 *                file systems are frozen, in this order.
 * @close:        address of the devices that take part, upper before lower: a
 *                dm, md or loop device before what it lies on.
 * @freeze_count: entries of @freeze; may be 0.
 * @close_count:  entries of @close; at least 1.
 * @limit_ms:     milliseconds from the first gate that closes; 0: 1000.
 * @failed:       out, on error: index in @close of the device that did not
 *                drain, or (with BLKFILTER_FAILED_FREEZE) in @freeze.
 * @closed_ns:    out: how long the gates were closed.
 * @frozen_ns:    out: how long the file systems were frozen.
 *
 * One instant that divides all writes of the closed devices into those that
 * completed before it and those that every filter sees after it.  Whatever
 * happens to the caller, all is opened and thawed when the call ends.
 *
 *   ETIMEDOUT  a device did not drain in time: nothing has happened
 *   EIO        the bio hook was switched off behind our back: filters miss bios,
 *              also for settle_seconds after it is back
 *   others     what freezing a file system returned
 */
struct blkfilter_point {
	__u32 size;
	__u32 flags;
	__u8 id[BLKFILTER_ID_LENGTH];
	__u64 freeze;
	__u64 close;
	__u32 freeze_count;
	__u32 close_count;
	__u32 limit_ms;
	__u32 failed;
	__u64 closed_ns;
	__u64 frozen_ns;
};

#define BLKFILTER_FAILED_FREEZE		(1U << 31)

/**
 * struct blkfilter_rule - argument of BLKFILTER_IOC_RULE_ADD, and an entry of
 *                         BLKFILTER_IOC_RULE_LIST
 * @size:           see above.
 * @flags:          BLKFILTER_RULE_*: which of the keys must match, all of them.
 * @id:             out: the rule's number.
 * @count:          entries of @entries; LIST: how many the rule has.
 * @entry_size:     bytes of one entry as compiled.
 * @major:          device number's major.
 * @name:           glob for the kernel name, such as "sd*".
 * @driver:         name of the module of the disk's driver, such as "null_blk".
 * @partuuid:       the partition's PARTUUID, in lower case.
 * @partlabel:      the partition's label.
 * @wwid:           hexadecimal EUI-64, NAA or UUID of a SCSI or NVMe disk.
 * @entries:        address of &struct blkfilter_stack_entry; LIST: ignored.
 * @provisional_ms: the filters are taken off again after so many milliseconds
 *                  unless a BLKFILTER_IOC_SET_STACK with
 *                  BLKFILTER_STACK_CONFIRM comes first; 0: they stay.
 *
 * A device that appears and matches gets the entries before its first bio; the
 * first rule that matches counts.  While a rule exists the bio hook stays.
 */
struct blkfilter_rule {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 count;
	__u32 entry_size;
	__u32 major;
	__u8 name[32];
	__u8 driver[32];
	__u8 partuuid[40];
	__u8 partlabel[72];
	__u8 wwid[40];
	__u64 entries;
	__u32 provisional_ms;
	__u32 reserved;
};

#define BLKFILTER_RULE_DISK		(1U << 0)	/* whole disks only */
#define BLKFILTER_RULE_PARTITION	(1U << 1)	/* partitions only */
#define BLKFILTER_RULE_NAME		(1U << 2)
#define BLKFILTER_RULE_DRIVER		(1U << 3)
#define BLKFILTER_RULE_MAJOR		(1U << 4)
#define BLKFILTER_RULE_PARTUUID		(1U << 5)
#define BLKFILTER_RULE_PARTLABEL	(1U << 6)
#define BLKFILTER_RULE_WWID		(1U << 7)
#define BLKFILTER_RULE_KEYS		0xffU

/**
 * struct blkfilter_rule_id - argument of BLKFILTER_IOC_RULE_REMOVE
 * @size:  see above.
 * @flags: 0.
 * @id:    the rule's number; ENOENT when there is no such rule.
 */
struct blkfilter_rule_id {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 reserved;
};

/**
 * struct blkfilter_command - argument of BLKFILTER_IOC_COMMAND
 * @size:   see above.
 * @flags:  0.
 * @device: the device.
 * @name:   the filter's name.
 * @cmd:    the command.
 * @optlen: bytes at @opt; out: bytes of the answer.
 * @opt:    address of the command's argument and answer.
 *
 * BLKFILTER_CTL for a device named by number; the errors are the same.
 */
struct blkfilter_command {
	__u32 size;
	__u32 flags;
	struct blkfilter_device device;
	__u8 name[BLKFILTER_NAME_LENGTH];
	__u32 cmd;
	__u32 optlen;
	__u64 opt;
};

enum blkfilter_event_type {
	BLKFILTER_EVENT_LOST = 1,	/* @value events were dropped here */
	BLKFILTER_EVENT_REGISTERED,	/* filter @name */
	BLKFILTER_EVENT_UNREGISTERED,
	BLKFILTER_EVENT_DEVICE_ADDED,	/* @name: the device's */
	BLKFILTER_EVENT_DEVICE_REMOVED,
	BLKFILTER_EVENT_ATTACHED,	/* filter @name, @value: altitude */
	BLKFILTER_EVENT_DETACHED,	/* @reason */
	BLKFILTER_EVENT_STACK,		/* a transaction; @value: generation */
	BLKFILTER_EVENT_POINT,		/* one for each device; @data: id */
	BLKFILTER_EVENT_RESIZED,	/* @value: sectors */
	BLKFILTER_EVENT_SETTLED,	/* no write from before the attach is left */
	BLKFILTER_EVENT_HOOK_LOST,	/* bios may have passed unseen */
	BLKFILTER_EVENT_FILTER,		/* filter's own: @value, @data */
};

enum blkfilter_reason {
	BLKFILTER_REASON_REQUEST = 1,	/* somebody asked for it */
	BLKFILTER_REASON_REPLACED,	/* a successor took over */
	BLKFILTER_REASON_REMOVED,	/* the device is gone */
	BLKFILTER_REASON_CHANGED,	/* the partition is another one now */
	BLKFILTER_REASON_UNCONFIRMED,	/* a provisional rule ran out */
	BLKFILTER_REASON_FAILED,	/* a transaction was undone */
};

/**
 * struct blkfilter_event - what read() on /dev/blkfilter returns
 * @size:    bytes of this structure.
 * @type:    &enum blkfilter_event_type.
 * @seq:     counts up by one from 1 over all events of the system.
 * @time_ns: CLOCK_BOOTTIME.
 * @device:  the device, zero where there is none.
 * @value:   see the type.
 * @reason:  &enum blkfilter_reason, or 0.
 * @pid:     process (tgid) that caused it, 0 for the kernel.
 * @name:    see the type.
 * @comm:    the process's name.
 * @data:    see the type.
 *
 * A descriptor that was opened for reading collects events from then on, the
 * last 1024 of them; where older ones had to be dropped, the next one read is
 * BLKFILTER_EVENT_LOST, and the reader should list everything anew.  read()
 * returns whole events, waits for the first unless O_NONBLOCK (EAGAIN) and
 * needs room for one (EINVAL).  poll() reports POLLIN.
 */
struct blkfilter_event {
	__u32 size;
	__u32 type;
	__u64 seq;
	__u64 time_ns;
	struct blkfilter_device device;
	__u64 value;
	__u32 reason;
	__u32 pid;
	__u8 name[BLKFILTER_NAME_LENGTH];
	__u8 comm[16];
	__u8 data[64];
};

#define BLKFILTER_IOC_VERSION		_IOWR(0xbf, 0, struct blkfilter_version)
#define BLKFILTER_IOC_LIST_FILTERS	_IOWR(0xbf, 1, struct blkfilter_list)
#define BLKFILTER_IOC_LIST_DEVICES	_IOWR(0xbf, 2, struct blkfilter_list)
#define BLKFILTER_IOC_GET_STACK		_IOWR(0xbf, 3, struct blkfilter_stack)
#define BLKFILTER_IOC_SET_STACK		_IOWR(0xbf, 4, struct blkfilter_stack)
#define BLKFILTER_IOC_POINT		_IOWR(0xbf, 5, struct blkfilter_point)
#define BLKFILTER_IOC_RULE_ADD		_IOWR(0xbf, 6, struct blkfilter_rule)
#define BLKFILTER_IOC_RULE_REMOVE	_IOWR(0xbf, 7, struct blkfilter_rule_id)
#define BLKFILTER_IOC_RULE_LIST		_IOWR(0xbf, 8, struct blkfilter_list)
#define BLKFILTER_IOC_COMMAND		_IOWR(0xbf, 9, struct blkfilter_command)

#ifdef __cplusplus
#define BLKFILTER_SIZE(type, bytes) \
	static_assert(sizeof(type) == (bytes), "size of " #type)
#else
#define BLKFILTER_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), "size of " #type)
#endif

BLKFILTER_SIZE(struct blkfilter_device, 16);
BLKFILTER_SIZE(struct blkfilter_statistics, 128);
BLKFILTER_SIZE(struct blkfilter_version, 24);
BLKFILTER_SIZE(struct blkfilter_filter_info, 104);
BLKFILTER_SIZE(struct blkfilter_device_info, 72);
BLKFILTER_SIZE(struct blkfilter_list, 24);
BLKFILTER_SIZE(struct blkfilter_stack_entry, 272);
BLKFILTER_SIZE(struct blkfilter_stack, 56);
BLKFILTER_SIZE(struct blkfilter_point, 72);
BLKFILTER_SIZE(struct blkfilter_rule, 256);
BLKFILTER_SIZE(struct blkfilter_rule_id, 16);
BLKFILTER_SIZE(struct blkfilter_command, 72);
BLKFILTER_SIZE(struct blkfilter_event, 168);
BLKFILTER_SIZE(struct blkfilter_name, 32);
BLKFILTER_SIZE(struct blkfilter_ctl, 48);

#endif /* _UAPI_LINUX_BLKFILTER_CONTROL_H */
