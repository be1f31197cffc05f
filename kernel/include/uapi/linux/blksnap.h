/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Snapshots of block devices: what the module blksnap is asked for.
 *
 * The first two parts are the interface that was posted to the kernel's list in
 * 2023 ("blksnap", versions 4 and 5): names, numbers and layouts are theirs, so
 * that existing programs compile and run.  The third part is ours.
 *
 * All of it needs CAP_SYS_ADMIN (EPERM).  Sectors have 512 bytes.
 */
#ifndef _UAPI_LINUX_BLKSNAP_H
#define _UAPI_LINUX_BLKSNAP_H

#include <linux/types.h>
#include <linux/ioctl.h>

#define BLKSNAP_CTL "blksnap-control"		/* in /dev */
#define BLKSNAP_IMAGE_NAME "blksnap-image"	/* blksnap-image_MAJOR:MINOR */
#define BLKSNAP_FILTER "blksnap"		/* the filter's name */
#define BLKSNAP 'V'

/* --- commands to the filter, through BLKFILTER_CTL on a device --- */

/**
 * enum blkfilter_ctl_blksnap - commands to a device
 * @blkfilter_ctl_blksnap_cbtinfo: &struct blksnap_cbtinfo: what the change map is
 *	like.  EINVAL: no room for the answer.
 * @blkfilter_ctl_blksnap_cbtmap: &struct blksnap_cbtmap: reads a part of the map
 *	that shows the time until the last snapshot was taken.  ENODATA: the part
 *	is not within the map; EINVAL: the buffer cannot be written.
 * @blkfilter_ctl_blksnap_cbtdirty: &struct blksnap_cbtdirty: marks ranges as
 *	changed, in the map that is shown and in the one that goes on.  EINVAL: a
 *	range is not within the device; then nothing is marked.
 * @blkfilter_ctl_blksnap_snapshotadd: &struct blksnap_snapshotadd: the device
 *	takes part in a snapshot that is not taken yet.  ESRCH: no such snapshot;
 *	EALREADY: it does so already; EBUSY: it takes part in another one, or this
 *	one is taken; ENOTBLK: storage of the snapshot has larger logical blocks
 *	than the device; ELOOP: storage of the snapshot lies on the device by way
 *	of another one.
 * @blkfilter_ctl_blksnap_snapshotinfo: &struct blksnap_snapshotinfo.
 *
 * ENODATA when an argument cannot be read or an answer cannot be written.
 */
enum blkfilter_ctl_blksnap {
	blkfilter_ctl_blksnap_cbtinfo,
	blkfilter_ctl_blksnap_cbtmap,
	blkfilter_ctl_blksnap_cbtdirty,
	blkfilter_ctl_blksnap_snapshotadd,
	blkfilter_ctl_blksnap_snapshotinfo,
};

#ifndef UUID_SIZE
#define UUID_SIZE 16
#endif

/**
 * struct blksnap_uuid - an id
 * @b: its bytes.
 */
struct blksnap_uuid {
	__u8 b[UUID_SIZE];
};

/**
 * struct blksnap_cbtinfo - the change map
 * @device_capacity: bytes of the device.
 * @block_size:      bytes of a block.
 * @block_count:     blocks, each a byte of the map.
 * @generation_id:   of the history that the map belongs to.
 * @changes_number:  number of the last snapshot in this generation, 0: none yet.
 *
 * A block has changed between snapshots m and n when its byte, read while snapshot
 * n is held, is larger than m and both have the same generation.
 */
struct blksnap_cbtinfo {
	__u64 device_capacity;
	__u32 block_size;
	__u32 block_count;
	struct blksnap_uuid generation_id;
	__u8 changes_number;
};

/**
 * struct blksnap_cbtmap - a part of the change map
 * @offset: first block.
 * @length: blocks, and bytes at @buffer.
 * @buffer: address to write them to.
 */
struct blksnap_cbtmap {
	__u32 offset;
	__u32 length;
	__u64 buffer;
};

/**
 * struct blksnap_sectors - a range of a block device
 * @offset: first sector.
 * @count:  sectors.
 */
struct blksnap_sectors {
	__u64 offset;
	__u64 count;
};

/**
 * struct blksnap_cbtdirty - ranges to be marked
 * @count:         entries.
 * @dirty_sectors: address of an array of &struct blksnap_sectors.
 */
struct blksnap_cbtdirty {
	__u32 count;
	__u64 dirty_sectors;
};

/**
 * struct blksnap_snapshotadd - the snapshot to take part in
 * @id: of the snapshot.
 */
struct blksnap_snapshotadd {
	struct blksnap_uuid id;
};

#define IMAGE_DISK_NAME_LEN 32

/**
 * struct blksnap_snapshotinfo - a device's part in its snapshot
 * @error_code: 0, or why the image is not to be used any more, a negative errno:
 *              -ENOSPC the difference storage was full, -EIO the device or the
 *              storage failed, -ENOMEM, -ENODEV the device was removed, -ESPIPE
 *              writes may have passed unseen, -ETIMEDOUT the storage did not
 *              answer.  Stays until the device takes part in another snapshot.
 * @image:      name of the image's block device, or "".
 */
struct blksnap_snapshotinfo {
	__s32 error_code;
	__u8 image[IMAGE_DISK_NAME_LEN];
};

/* --- /dev/blksnap-control, as posted --- */

enum blksnap_ioctl {
	blksnap_ioctl_version,
	blksnap_ioctl_snapshot_create,
	blksnap_ioctl_snapshot_destroy,
	blksnap_ioctl_snapshot_append_storage,
	blksnap_ioctl_snapshot_take,
	blksnap_ioctl_snapshot_collect,
	blksnap_ioctl_snapshot_wait_event,
};

/*
 * The directions are as posted, and the wrong way round.  The module looks at the
 * number and the size only, so programs with the right ones work as well.
 */

/**
 * struct blksnap_version - the interface's version, for logs
 * @major:    2.
 * @minor:    0.
 * @revision: 0.
 * @build:    0.
 */
struct blksnap_version {
	__u16 major;
	__u16 minor;
	__u16 revision;
	__u16 build;
};

/* ENODATA: it cannot be written. */
#define IOCTL_BLKSNAP_VERSION \
	_IOW(BLKSNAP, blksnap_ioctl_version, struct blksnap_version)

/*
 * A snapshot without devices; its id is the answer.  An event asks for storage at
 * once.  ENODATA: the id cannot be written; then there is no snapshot.
 */
#define IOCTL_BLKSNAP_SNAPSHOT_CREATE \
	_IOW(BLKSNAP, blksnap_ioctl_snapshot_create, struct blksnap_uuid)

/*
 * Ends a snapshot: its images go, even when they are in use (they are empty then,
 * or return errors), the storage is released, tracking goes on.  ENODEV: no such
 * snapshot.
 */
#define IOCTL_BLKSNAP_SNAPSHOT_DESTROY \
	_IOR(BLKSNAP, blksnap_ioctl_snapshot_destroy, struct blksnap_uuid)

/**
 * struct blksnap_snapshot_append_storage - ranges for old data
 * @id:             the snapshot.
 * @bdev_path:      address of the block device's path.
 * @bdev_path_size: bytes there, with the NUL.
 * @count:          entries of @ranges.
 * @ranges:         address of an array of &struct blksnap_sectors.
 */
struct blksnap_snapshot_append_storage {
	struct blksnap_uuid id;
	__u64 bdev_path;
	__u32 bdev_path_size;
	__u32 count;
	__u64 ranges;
};

/*
 * Before or after the snapshot is taken; all ranges, or none.  That nobody else
 * uses them is the caller's business: see IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE for
 * files.  On a device of the snapshot itself they are neither copied nor entered
 * in the change map, and the image reads zeroes there.
 *
 *   ESRCH    no such snapshot
 *   EINVAL   a range is empty, not within the device, not of whole logical
 *            blocks, or cannot be read
 *   EEXIST   a range overlaps another one, of whatever snapshot
 *   ENOTBLK  not a block device; or its logical blocks are larger than those of a
 *            device of the snapshot
 *   ELOOP    it lies on a device of the snapshot by way of another device (dm,
 *            md), or is an image
 *   others   what opening it for reading and writing returned
 */
#define IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE \
	_IOW(BLKSNAP, blksnap_ioctl_snapshot_append_storage, \
	     struct blksnap_snapshot_append_storage)

/*
 * The instant.  The file systems of the devices, and of their partitions, are
 * frozen for it; the snapshot's id is the consistency point's.  Waits for devices
 * that were attached while they were in use (see settle_seconds of blkfilter).
 *
 *   ESRCH      no such snapshot
 *   EALREADY   it is taken, or being taken
 *   ENODEV     it has no devices, or one was removed
 *   ETIMEDOUT  a device had writes in flight for too long: nothing has happened
 *   others     ENOMEM, EINTR, and what freezing returned
 */
#define IOCTL_BLKSNAP_SNAPSHOT_TAKE \
	_IOR(BLKSNAP, blksnap_ioctl_snapshot_take, struct blksnap_uuid)

/**
 * struct blksnap_snapshot_collect - all snapshots
 * @count: entries of @ids; out: how many snapshots there are.
 * @ids:   address of an array of &struct blksnap_uuid; 0: only count.
 */
struct blksnap_snapshot_collect {
	__u32 count;
	__u64 ids;
};

/* ENODATA: @count was too small, and nothing is filled in; or a copy failed. */
#define IOCTL_BLKSNAP_SNAPSHOT_COLLECT \
	_IOW(BLKSNAP, blksnap_ioctl_snapshot_collect, \
	     struct blksnap_snapshot_collect)

/**
 * enum blksnap_event_codes - what can happen to a snapshot
 * @blksnap_event_code_low_free_space: &struct blksnap_event_low_free_space: more
 *	storage is wanted.
 * @blksnap_event_code_corrupted: &struct blksnap_event_corrupted: an image is not
 *	to be used any more.
 */
enum blksnap_event_codes {
	blksnap_event_code_low_free_space,
	blksnap_event_code_corrupted,
};

/**
 * struct blksnap_snapshot_event - argument of IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT
 * @id:         the snapshot.
 * @timeout_ms: milliseconds to wait at most.
 * @code:       out: &enum blksnap_event_codes.
 * @time_label: out: when it happened, in nanoseconds of CLOCK_MONOTONIC.
 * @data:       out: by @code.
 */
struct blksnap_snapshot_event {
	struct blksnap_uuid id;
	__u32 timeout_ms;
	__u32 code;
	__s64 time_label;
	__u8 data[4096 - 32];
};

/*
 * Each event is told to one caller.
 *
 *   ESRCH   no such snapshot, or it was destroyed meanwhile
 *   ENOENT  no event in that time
 *   EINTR   a signal
 *   EINVAL  the argument cannot be read or written
 */
#define IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT \
	_IOW(BLKSNAP, blksnap_ioctl_snapshot_wait_event, \
	     struct blksnap_snapshot_event)

/**
 * struct blksnap_event_low_free_space - more storage is wanted
 * @requested_nr_sect: how many sectors.
 */
struct blksnap_event_low_free_space {
	__u64 requested_nr_sect;
};

/**
 * struct blksnap_event_corrupted - an image is not to be used any more
 * @dev_id_mj: major number of the device.
 * @dev_id_mn: its minor number.
 * @err_code:  why: a positive errno, see &struct blksnap_snapshotinfo.
 */
struct blksnap_event_corrupted {
	__u32 dev_id_mj;
	__u32 dev_id_mn;
	__s32 err_code;
};

/* --- /dev/blksnap-control, ours: @size comes first, reserved fields are 0 --- */

/*
 * @flags of &struct blksnap_append_file: a file is not pinned, but read and written
 * through its file system, by direct I/O: for those that move a file's blocks, and
 * those that have none.
 */
#define BLKSNAP_APPEND_DIRECT	(1U << 0)

/**
 * struct blksnap_append_file - a file, or a whole block device, for old data
 * @size:  of this structure.
 * @flags: 0 or BLKSNAP_APPEND_DIRECT.
 * @id:    the snapshot.
 * @fd:    open for reading and writing: a regular file all of whose blocks are
 *         allocated (fallocate()) and none written, or a block device.
 * @reserved: 0.
 */
struct blksnap_append_file {
	__u32 size;
	__u32 flags;
	struct blksnap_uuid id;
	__s32 fd;
	__u32 reserved;
};

/*
 * A file is pinned as swapon does it: until the snapshot ends nobody can write,
 * shrink, unlink or share it, and what is stored in its blocks never becomes
 * readable through the file.  It cannot be grown either: append another one.
 *
 * With BLKSNAP_APPEND_DIRECT the file must be the caller's, and nobody else may be
 * allowed to read it (mode 0600): what is stored can be read through it.  All of it
 * is used that it has now; that there is room for it in the file system, and that
 * the file stays as it is, is the caller's business: otherwise the snapshot becomes
 * corrupted.  A file system that is frozen, or fails to write, for the seconds of the
 * module's store_timeout costs the snapshot, too.
 *
 *   EACCES      (direct) it is another user's, or somebody else may read it
 *   EBADF       not open for reading and writing
 *   ELOOP       (direct) it is on a device of the snapshot, or on one whose own
 *               snapshot is stored on a device of this one; for a file system that
 *               does not tell its devices (btrfs): one of its kind is
 *   EINVAL      neither a regular file nor a block device; or shorter than a page,
 *               with holes, written extents or shared ones
 *   EBUSY       pinned already, or storage of a snapshot already
 *   EEXIST      (direct) storage of a snapshot already
 *   EOPNOTSUPP  its file system does not tell where its blocks are, or, for
 *               BLKSNAP_APPEND_DIRECT, offers no direct I/O
 *   others      as IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE
 */
#define IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE \
	_IOW(BLKSNAP, 32, struct blksnap_append_file)

/* @state of &struct blksnap_statistics */
#define BLKSNAP_STATE_NEW	0	/* not taken yet */
#define BLKSNAP_STATE_TAKEN	1	/* its images exist */
#define BLKSNAP_STATE_CORRUPTED	2	/* and one at least is not to be used */

/**
 * struct blksnap_statistics - a snapshot in numbers
 * @size:         of this structure.
 * @state:        out: BLKSNAP_STATE_*.
 * @id:           the snapshot.
 * @chunk_sectors: out: of a chunk; 0 before it is taken.
 * @devices:      out: devices that take part.
 * @storage_sectors: out: of all ranges.
 * @used_sectors: out: of them in use.
 * @copied:       out: chunks copied since it was taken.
 * @in_flight:    out: chunks in memory.
 * @index_bytes:  out: memory that finds stored chunks.
 * @waited:       out: writes that had to wait for a copy.
 * @closed_ns:    out: for how long the devices were closed at the take.
 */
struct blksnap_statistics {
	__u32 size;
	__u32 state;
	struct blksnap_uuid id;
	__u32 chunk_sectors;
	__u32 devices;
	__u64 storage_sectors;
	__u64 used_sectors;
	__u64 copied;
	__u64 in_flight;
	__u64 index_bytes;
	__u64 waited;
	__u64 closed_ns;
};

/* ESRCH: no such snapshot. */
#define IOCTL_BLKSNAP_SNAPSHOT_STATISTICS \
	_IOWR(BLKSNAP, 33, struct blksnap_statistics)

/**
 * struct blksnap_take_with - a take that freezes more
 * @size:         of this structure.
 * @flags:        0.
 * @id:           the snapshot.
 * @freeze:       address of an array of &struct blkfilter_device (see
 *                <linux/blkfilter-control.h>): devices whose file systems are
 *                frozen, in this order, before those of the snapshot's devices: what
 *                lies on these by way of dm, md or a loop device, the uppermost first.
 * @freeze_count: entries of @freeze, at most BLKFILTER_POINT_DEVICES_MAX.
 * @reserved:     0.
 */
struct blksnap_take_with {
	__u32 size;
	__u32 flags;
	struct blksnap_uuid id;
	__u64 freeze;
	__u32 freeze_count;
	__u32 reserved;
};

/* As IOCTL_BLKSNAP_SNAPSHOT_TAKE; ENXIO: a device of @freeze is not there. */
#define IOCTL_BLKSNAP_SNAPSHOT_TAKE_WITH \
	_IOW(BLKSNAP, 34, struct blksnap_take_with)

#endif /* _UAPI_LINUX_BLKSNAP_H */
