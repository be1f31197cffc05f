// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/blksnap-control.  The posted numbers have their directions the wrong way
 * round; programs with the right ones exist as well, so number and size decide.
 */
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include "snap.h"
#include "control.h"

static_assert(sizeof(struct blksnap_version) == 8);
static_assert(sizeof(struct blksnap_snapshot_append_storage) == 40);
static_assert(sizeof(struct blksnap_snapshot_collect) == 16);
static_assert(sizeof(struct blksnap_snapshot_event) == 4096);
static_assert(sizeof(struct blksnap_cbtinfo) == 40);
static_assert(sizeof(struct blksnap_snapshotinfo) == 36);
static_assert(sizeof(struct blksnap_append_file) == 32);
static_assert(sizeof(struct blksnap_statistics) == 88);
static_assert(sizeof(struct blksnap_take_with) == 40);

static int snap_get_id(uuid_t *id, const void __user *arg)
{
	return copy_from_user(id, arg, sizeof(*id)) ? -ENODATA : 0;
}

static long snap_ioctl_version(void __user *arg)
{
	static const struct blksnap_version version = { .major = 2 };

	return copy_to_user(arg, &version, sizeof(version)) ? -ENODATA : 0;
}

static long snap_ioctl_create(void __user *arg)
{
	uuid_t id;
	int ret = snap_create(&id);

	if (!ret && copy_to_user(arg, &id, sizeof(id))) {
		snap_destroy(&id);
		ret = -ENODATA;
	}
	return ret;
}

static long snap_ioctl_destroy(void __user *arg)
{
	uuid_t id;

	return snap_get_id(&id, arg) ?: snap_destroy(&id);
}

static long snap_ioctl_take(void __user *arg)
{
	uuid_t id;

	return snap_get_id(&id, arg) ?: snap_take(&id, NULL, 0);
}

static long snap_ioctl_append(void __user *arg)
{
	struct blksnap_snapshot_append_storage append;
	struct snap_snapshot *snapshot;
	uuid_t id;
	char *path;
	long ret;

	if (copy_from_user(&append, arg, sizeof(append)))
		return -EINVAL;
	path = strndup_user(u64_to_user_ptr(append.bdev_path),
			    append.bdev_path_size);
	if (IS_ERR(path))
		return PTR_ERR(path);
	import_uuid(&id, append.id.b);
	snapshot = snap_snapshot_get(&id);
	ret = -ESRCH;
	if (snapshot) {
		ret = snap_append_ranges(snapshot, path,
					 u64_to_user_ptr(append.ranges),
					 append.count);
		snap_snapshot_put(snapshot);
	}
	kfree(path);
	return ret;
}

static long snap_ioctl_collect(void __user *arg)
{
	struct blksnap_snapshot_collect collect;
	u32 room, count;
	uuid_t *ids = NULL;
	long ret = 0;

	if (copy_from_user(&collect, arg, sizeof(collect)))
		return -ENODATA;
	/* No more are asked for than there were a moment ago. */
	room = min(collect.count, snap_collect(NULL, 0));
	if (collect.ids) {
		ids = kvcalloc(room ?: 1, sizeof(*ids), GFP_KERNEL);
		if (!ids)
			return -ENOMEM;
	}
	count = snap_collect(ids, room);
	if (ids && count > room)
		ret = -ENODATA;
	else if (ids && copy_to_user(u64_to_user_ptr(collect.ids), ids,
				     count * sizeof(*ids)))
		ret = -ENODATA;
	kvfree(ids);
	collect.count = count;
	if (copy_to_user(arg, &collect, sizeof(collect)))
		ret = -ENODATA;
	return ret;
}

static long snap_ioctl_wait_event(void __user *arg)
{
	struct blksnap_snapshot_event *event;
	struct snap_snapshot *snapshot;
	long ret = -ESRCH;
	uuid_t id;

	event = kzalloc(sizeof(*event), GFP_KERNEL);
	if (!event)
		return -ENOMEM;
	if (copy_from_user(event, arg,
			   offsetof(struct blksnap_snapshot_event, code))) {
		kfree(event);
		return -EINVAL;
	}
	import_uuid(&id, event->id.b);
	snapshot = snap_snapshot_get(&id);
	if (snapshot) {
		ret = snap_events_wait(&snapshot->events, event->timeout_ms,
				       event);
		snap_snapshot_put(snapshot);
	}
	if (!ret && copy_to_user(arg, event, sizeof(*event)))
		ret = -EINVAL;
	kfree(event);
	return ret;
}

/* --- ours --- */

static long snap_ioctl_append_file(void __user *arg)
{
	struct blksnap_append_file append;
	struct snap_snapshot *snapshot;
	uuid_t id;
	long ret;

	if (copy_from_user(&append, arg, sizeof(append)))
		return -EFAULT;
	if (append.size != sizeof(append) ||
	    append.flags & ~BLKSNAP_APPEND_DIRECT || append.reserved)
		return -EINVAL;
	import_uuid(&id, append.id.b);
	snapshot = snap_snapshot_get(&id);
	if (!snapshot)
		return -ESRCH;
	ret = snap_append_file(snapshot, append.fd, append.flags);
	snap_snapshot_put(snapshot);
	return ret;
}

static long snap_ioctl_statistics(void __user *arg)
{
	struct blksnap_statistics in, out = { .size = sizeof(out) };
	int ret;

	if (copy_from_user(&in, arg, sizeof(in)))
		return -EFAULT;
	if (in.size != sizeof(in))
		return -EINVAL;
	out.id = in.id;
	ret = snap_statistics(&out);
	if (!ret && copy_to_user(arg, &out, sizeof(out)))
		ret = -EFAULT;
	return ret;
}

static long snap_ioctl_take_with(void __user *arg)
{
	struct blksnap_take_with take;
	struct bf_dev **first;
	u32 failed;
	uuid_t id;
	long ret;

	ret = blkfilter_copy_in(&take, sizeof(take), arg, PAGE_SIZE);
	if (ret)
		return ret;
	if (take.flags || take.reserved ||
	    take.freeze_count > BLKFILTER_POINT_DEVICES_MAX)
		return -EINVAL;
	ret = blkfilter_devices_from_user(&first, take.freeze,
					  take.freeze_count, &failed);
	/* ENODEV is about the snapshot's own. */
	if (ret)
		return ret == -ENODEV ? -ENXIO : ret;
	import_uuid(&id, take.id.b);
	ret = snap_take(&id, first, take.freeze_count);
	blkfilter_devices_put(first, take.freeze_count);
	return ret;
}

static const struct {
	u32 command;
	long (*call)(void __user *arg);
} snap_ioctls[] = {
	{ IOCTL_BLKSNAP_VERSION, snap_ioctl_version },
	{ IOCTL_BLKSNAP_SNAPSHOT_CREATE, snap_ioctl_create },
	{ IOCTL_BLKSNAP_SNAPSHOT_DESTROY, snap_ioctl_destroy },
	{ IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE, snap_ioctl_append },
	{ IOCTL_BLKSNAP_SNAPSHOT_TAKE, snap_ioctl_take },
	{ IOCTL_BLKSNAP_SNAPSHOT_COLLECT, snap_ioctl_collect },
	{ IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT, snap_ioctl_wait_event },
	{ IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE, snap_ioctl_append_file },
	{ IOCTL_BLKSNAP_SNAPSHOT_STATISTICS, snap_ioctl_statistics },
	{ IOCTL_BLKSNAP_SNAPSHOT_TAKE_WITH, snap_ioctl_take_with },
};

static long snap_ioctl(struct file *file, unsigned int command,
		       unsigned long arg)
{
	u32 i;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	for (i = 0; i < ARRAY_SIZE(snap_ioctls); i++) {
		u32 ours = snap_ioctls[i].command;

		if (_IOC_TYPE(command) == BLKSNAP &&
		    _IOC_NR(command) == _IOC_NR(ours) &&
		    _IOC_SIZE(command) == _IOC_SIZE(ours))
			return snap_ioctls[i].call((void __user *)arg);
	}
	return -ENOTTY;
}

static const struct file_operations snap_control_operations = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = snap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice snap_control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = BLKSNAP_CTL,
	.fops = &snap_control_operations,
	.mode = 0600,
};

int snap_control_init(void)
{
	return misc_register(&snap_control);
}

void snap_control_exit(void)
{
	misc_deregister(&snap_control);
}
