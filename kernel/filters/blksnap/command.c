// SPDX-License-Identifier: GPL-2.0-only
/*
 * Commands to a device, as posted.  The core has seen to CAP_SYS_ADMIN.
 */
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "snap.h"

#define SNAP_DIRTY_MAX	BIT(20)
/* Bytes of a map that are copied out at once. */
#define SNAP_MAP_PART	PAGE_SIZE

static int snap_ctl_cbtinfo(struct snap_tracker *tracker, u8 __user *buf,
			    u32 *plen)
{
	struct blksnap_cbtinfo info = {};

	if (*plen < sizeof(info))
		return -EINVAL;
	spin_lock(&tracker->lock);
	info.device_capacity = (u64)tracker->shown->sectors << SECTOR_SHIFT;
	info.block_size = (u32)SECTOR_SIZE << tracker->shown->shift;
	info.block_count = tracker->shown->blocks;
	info.changes_number = tracker->shown->number;
	memcpy(info.generation_id.b, tracker->shown->generation, UUID_SIZE);
	spin_unlock(&tracker->lock);
	*plen = sizeof(info);
	return copy_to_user(buf, &info, sizeof(info)) ? -ENODATA : 0;
}

/* A part of what is shown, or nothing; false: it is not within the map. */
static bool snap_read_map(struct snap_tracker *tracker, u32 offset, u8 *part,
			  u32 length)
{
	bool within;

	spin_lock(&tracker->lock);
	within = (u64)offset + length <= tracker->shown->blocks;
	if (within && part)
		memcpy(part, tracker->shown->byte + offset, length);
	spin_unlock(&tracker->lock);
	return within;
}

static int snap_ctl_cbtmap(struct snap_tracker *tracker, u8 __user *buf,
			   u32 *plen)
{
	struct blksnap_cbtmap map;
	u8 __user *to;
	int ret = 0;
	u8 *part;
	u64 done;

	if (*plen < sizeof(map))
		return -EINVAL;
	*plen = 0;
	if (copy_from_user(&map, buf, sizeof(map)))
		return -ENODATA;
	if (!snap_read_map(tracker, map.offset, NULL, map.length))
		return -ENODATA;
	part = kmalloc(SNAP_MAP_PART, GFP_KERNEL);
	if (!part)
		return -ENOMEM;
	to = u64_to_user_ptr(map.buffer);
	for (done = 0; done < map.length && !ret;) {
		u32 n = min_t(u64, map.length - done, SNAP_MAP_PART);

		if (!snap_read_map(tracker, map.offset + done, part, n))
			ret = -ENODATA;
		else if (copy_to_user(to + done, part, n))
			ret = -EINVAL;
		done += n;
	}
	kfree(part);
	return ret;
}

static int snap_ctl_cbtdirty(struct snap_tracker *tracker, u8 __user *buf,
			     u32 *plen)
{
	struct blksnap_cbtdirty dirty;
	struct blksnap_sectors *range;
	u64 end;
	u32 i;
	int ret = 0;

	if (*plen < sizeof(dirty))
		return -EINVAL;
	*plen = 0;
	if (copy_from_user(&dirty, buf, sizeof(dirty)))
		return -ENODATA;
	if (dirty.count > SNAP_DIRTY_MAX)
		return -EINVAL;
	range = kvmalloc_array(dirty.count ?: 1, sizeof(*range), GFP_KERNEL);
	if (!range)
		return -ENOMEM;
	if (copy_from_user(range, u64_to_user_ptr(dirty.dirty_sectors),
			   dirty.count * sizeof(*range)))
		ret = -ENODATA;
	for (i = 0; i < dirty.count && !ret; i++)
		if (check_add_overflow(range[i].offset, range[i].count, &end) ||
		    end > READ_ONCE(tracker->sectors))
			ret = -EINVAL;
	/* More than was asked for does no harm, less is for whoever is killed. */
	for (i = 0; i < dirty.count && !ret && !fatal_signal_pending(current);
	     i++) {
		snap_mark_by_hand(tracker, range[i].offset, range[i].count,
				  true);
		cond_resched();
	}
	kvfree(range);
	return ret;
}

static int snap_ctl_snapshotadd(struct snap_tracker *tracker, u8 __user *buf,
				u32 *plen)
{
	struct blksnap_snapshotadd add;
	uuid_t id;

	if (*plen < sizeof(add))
		return -EINVAL;
	*plen = 0;
	if (copy_from_user(&add, buf, sizeof(add)))
		return -ENODATA;
	import_uuid(&id, add.id.b);
	return snap_add(&id, tracker);
}

static int snap_ctl_snapshotinfo(struct snap_tracker *tracker, u8 __user *buf,
				 u32 *plen)
{
	struct blksnap_snapshotinfo info = {};

	if (*plen < sizeof(info))
		return -EINVAL;
	snap_info(tracker, &info);
	*plen = sizeof(info);
	return copy_to_user(buf, &info, sizeof(info)) ? -ENODATA : 0;
}

int snap_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf, u32 *plen)
{
	struct snap_tracker *tracker = snap_tracker_of(flt);

	switch (cmd) {
	case blkfilter_ctl_blksnap_cbtinfo:
		return snap_ctl_cbtinfo(tracker, buf, plen);
	case blkfilter_ctl_blksnap_cbtmap:
		return snap_ctl_cbtmap(tracker, buf, plen);
	case blkfilter_ctl_blksnap_cbtdirty:
		return snap_ctl_cbtdirty(tracker, buf, plen);
	case blkfilter_ctl_blksnap_snapshotadd:
		return snap_ctl_snapshotadd(tracker, buf, plen);
	case blkfilter_ctl_blksnap_snapshotinfo:
		return snap_ctl_snapshotinfo(tracker, buf, plen);
	default:
		return -ENOTTY;
	}
}
