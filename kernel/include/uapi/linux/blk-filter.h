/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Block device filters: the three ioctls that are issued on a block device
 * node.  Names, numbers and layout are those of the interface that was posted
 * to linux-block in 2023, so that programs written for it compile and run.
 *
 * All three need CAP_SYS_ADMIN (EPERM otherwise) and a 64-bit program.  What
 * they cannot do (altitudes, options, several filters at once, consistency
 * points, events) is in <linux/blkfilter-control.h>.
 */
#ifndef _UAPI_LINUX_BLK_FILTER_H
#define _UAPI_LINUX_BLK_FILTER_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Bytes of a filter's name, the terminating NUL included. */
#define BLKFILTER_NAME_LENGTH 32

/**
 * struct blkfilter_name - argument of BLKFILTER_ATTACH and BLKFILTER_DETACH
 * @name: the filter's name, NUL-terminated.
 */
struct blkfilter_name {
	__u8 name[BLKFILTER_NAME_LENGTH];
};

/**
 * struct blkfilter_ctl - argument of BLKFILTER_CTL
 * @name:   the filter's name, NUL-terminated.
 * @cmd:    the command's number; its meaning is the filter's.
 * @optlen: bytes at @opt; written back: bytes of the answer, 0 for a command
 *          that has none.
 * @opt:    address of the command's argument and answer.
 */
struct blkfilter_ctl {
	__u8 name[BLKFILTER_NAME_LENGTH];
	__u32 cmd;
	__u32 optlen;
	__u64 opt;
};

/*
 * BLKFILTER_ATTACH: attaches the filter at its default altitude.
 *   EFAULT    the argument cannot be read
 *   ENOENT    no filter of that name is registered
 *   EALREADY  this filter is attached to the device
 *   EBUSY     another filter is at that altitude
 *   others    the filter's own refusal
 *
 * BLKFILTER_DETACH: takes the filter off the device.
 *   EFAULT    the argument cannot be read
 *   ENOENT    nothing is attached to the device
 *   EINVAL    something is attached, but not this filter
 *   EBUSY     the filter refuses: what it holds would be lost
 *
 * BLKFILTER_CTL: sends a command to an attached filter.
 *   EFAULT    the argument cannot be read or written
 *   ENOENT    no filter of that name is attached to the device
 *   ENOTTY    the filter has no such command
 *   others    the command's own
 */
#define BLKFILTER_ATTACH	_IOWR(0x12, 140, struct blkfilter_name)
#define BLKFILTER_DETACH	_IOWR(0x12, 141, struct blkfilter_name)
#define BLKFILTER_CTL		_IOWR(0x12, 142, struct blkfilter_ctl)

#endif /* _UAPI_LINUX_BLK_FILTER_H */
