/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's own structures, and what its files offer each other.
 *
 *   hook.c       where bios enter: ftrace, the call of the original
 *   bio.c        a bio's way along a chain; bio.h: marks, holds, admission
 *   path.c       which filters a bio passes where that is not obvious
 *   count.c      writes counted until they complete
 *   worker.c     bios that were parked, resumed, deferred
 *   own.c        what filters call: take, resume, end, bios of their own
 *   gate.c       closing, draining, sealing and opening a disk
 *   chain.c      versions: the immutable picture of a disk's stacks
 *   disk.c       a filtered disk: hash, reference, claim
 *   registry.c   the filters that modules offer
 *   stack.c      transactions on a device's stack; plan.c: what they change
 *   entry.c      one filter of a stack: add, remove, command
 *   appear.c     the first stack of a device that is appearing
 *   point.c      consistency points;  order.c: which device lies on which
 *   settle.c     when writes from before the first attach are gone
 *   node.c       block devices that come, go, change; the `filter` attribute
 *   rule.c       what is attached to devices that appear
 *   control*.c   /dev/blkfilter;  events.c: its events
 *   ioctl-hook.c the posted interface's ioctls on block device nodes
 *   selftest.c   a bio of our own must be seen
 *
 * Locks, outer before inner:
 *   driver core's class mutex > gendisk.open_mutex > bf_lock
 *   claim of disks (bf_claim) > the gates (gate.c) > bf_lock > bf_disk.lock
 * A filter's attach(), detach(), ctl() and point(PREPARE) run under a claim at
 * most, so that they may open devices.
 */
#ifndef BLKFILTER_CORE_H
#define BLKFILTER_CORE_H

#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/refcount.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "../compat/compat.h"

#undef pr_fmt
#define pr_fmt(fmt) "blkfilter: " fmt

/* Planted faults, for `./dev test --faults` only: never defined otherwise. */
#define bf_fault(name) __is_defined(BLKFILTER_FAULT_##name)

struct bf_dev;
struct bf_disk;
struct bf_version;

/*
 * Symbol versions (MODVERSIONS) of what filters call are made of every type that
 * can be reached from it.  The public header shows filters only the names of the
 * next structures, so they must not be part of it: a filter that was built once
 * loads for as long as the public header stays the same.
 */
#ifndef __GENKSYMS__

/**
 * struct blkfilter_instance - one attachment of a filter, the core's part
 * @flt:       the filter's part.
 * @ops:       the filter.
 * @dev:       the device.
 * @bdev:      its block device, held.
 * @disk:      its disk, referenced, from activation on.
 * @link:      in a list of those to take down.
 * @altitude:  in millionths.
 * @number:    unique for ever.
 * @tag:       names it in bios of its own (bio.h); unique while it lives.
 * @owner:     whose it is; for userspace.
 * @options:   as given; @options_size bytes.
 * @reason:    why it is being taken down.
 * @successor: who takes over, while a transaction switches.
 * @provisional: a rule's, not yet confirmed.
 * @from_first_bio: attached before the device's first bio.
 * @active:    activate() was called, deactivate() not yet.
 * @settled:   settled() was called.
 * @heard:     how far the filter has heard of a point that is not over: a phase
 *             and one, or 0.
 * @users:     commands that are running, and the attachment itself.
 * @unused:    @users is 0.
 * @stats:     per CPU.
 */
struct blkfilter_instance {
	struct blkfilter *flt;
	struct blkfilter_operations *ops;
	struct bf_dev *dev;
	struct block_device *bdev;
	struct bf_disk *disk;
	struct list_head link;
	u64 altitude;
	u64 number;
	u16 tag;
	u8 owner[BLKFILTER_ID_LENGTH];
	void *options;
	u32 options_size;
	enum blkfilter_reason reason;
	struct blkfilter *successor;
	bool provisional;
	bool from_first_bio;
	bool active;
	bool settled;
	u8 heard;
	refcount_t users;
	struct completion unused;
	struct blkfilter_statistics __percpu *stats;
};

/* One filter on a bio's way. */
struct bf_step {
	bool (*submit_bio)(struct blkfilter *flt, struct bio *bio,
			   struct blkfilter_pos pos);
	struct blkfilter *flt;
	struct blkfilter_statistics __percpu *stats;
	struct blkfilter_instance *inst;
};

/**
 * struct blkfilter_path - a bio's way: the partition's filters, then the disk's
 * @version: that it belongs to.
 * @part:    the partition, NULL on the path of the whole disk.
 * @disk_dev: the whole disk's device when it has filters, else NULL.
 * @bdev:    the block device whose bios go this way; NULL while the partition
 *           is away during a rescan.
 * @start:   absolute first sector.
 * @end:     absolute sector behind the last.
 * @counts:  writes are counted until they complete.
 * @resumes: bios to be resumed by the worker; under bf_disk.lock.
 * @pending: in bf_disk.pending while @resumes is not empty.
 * @own:     how many of the steps are the partition's.
 * @n:       steps.
 */
struct blkfilter_path {
	struct bf_version *version;
	struct bf_dev *part;
	struct bf_dev *disk_dev;
	struct block_device *bdev;
	sector_t start;
	sector_t end;
	bool counts;
	struct bio_list resumes;
	struct list_head pending;
	u32 own;
	u32 n;
	struct bf_step step[];
};

#endif /* !__GENKSYMS__ */

/**
 * struct bf_version - immutable picture of all stacks of one disk
 * @ref:     held by every bio that is on its way through the filters, and by
 *           counted writes until they complete.
 * @rcu:     for freeing.
 * @disk:    referenced.
 * @link:    in bf_disk.versions.
 * @retired: another version was published; freed when @ref is zero.
 * @ending:  bit 0: @work was queued.
 * @dying:   instances that go when it is drained.
 * @work:    takes it down.
 * @whole:   path of the whole disk.
 * @parts:   paths of filtered partitions by their start; @nr_parts.
 * @by_no:   the same by partition number; @nr_no entries.
 */
struct bf_version {
	struct percpu_ref ref;
	struct rcu_head rcu;
	struct bf_disk *disk;
	struct list_head link;
	bool retired;
	unsigned long ending;
	struct list_head dying;
	struct work_struct work;
	struct blkfilter_path *whole;
	struct blkfilter_path **parts;
	struct blkfilter_path **by_no;
	u32 nr_parts;
	u32 nr_no;
};

/* The filters of one device, from high to low; changed under bf_lock. */
struct bf_stack {
	u32 n;
	struct blkfilter_instance *inst[BLKFILTER_STACK_MAX];
};

/**
 * struct bf_dev - a block device of the system, filtered or not (node.c)
 * @ref:        references.
 * @devt:       its number.
 * @diskseq:    of its disk, as the filters know it.
 * @name:       kernel name.
 * @gd:         its disk; valid while @bdev is set.
 * @bdev:       its block device with a reference on the device, or NULL once it
 *              is gone (or away during a rescan).
 * @partno:     0 for the whole disk.
 * @start:      absolute first sector.
 * @sectors:    the size that the filters know.
 * @partuuid:   PARTUUID or "".
 * @stack:      its filters.
 * @generation: of the stack; 0 while it never had a filter.
 * @disk:       the filtered disk, or NULL; under bf_lock.  Set means that the
 *              device is in @disk->devs.
 * @link:       in bf_disk.devs.
 * @resize:     tells the filters of another size.
 * @held:       the block device that a reference is held on while there are
 *              @holders; the same as @bdev while that is set.
 * @holders:    the system's own table, and each instance.
 * @busy:       users that bf_disk_ensure()d it; under bf_lock.
 * @lost:       looks whether a rescan brought the partition back.
 * @lost_disk:  its disk, referenced while @lost is queued.
 * @settling:   see settle.c.
 * @was_idle:   no write was in flight at a moment since @settle_from, as far as
 *              the kernel counts them.
 * @settle_from: jiffies at which settling began.
 * @provisional: when unconfirmed instances are taken off.
 */
struct bf_dev {
	struct kref ref;
	dev_t devt;
	u64 diskseq;
	char name[BDEVNAME_SIZE];
	struct gendisk *gd;
	struct block_device *bdev;
	struct block_device *held;
	refcount_t holders;
	int partno;
	sector_t start;
	sector_t sectors;
	char partuuid[PARTITION_META_INFO_UUIDLTH];
	struct bf_stack stack;
	u64 generation;
	struct bf_disk *disk;
	struct list_head link;
	u32 busy;
	struct work_struct resize;
	struct work_struct lost;
	struct bf_disk *lost_disk;
	bool settling;
	bool was_idle;
	unsigned long settle_from;
	struct delayed_work settle;
	struct delayed_work provisional;
};

/**
 * struct bf_disk - a disk with filters on it or on its partitions
 * @hash:     in the table by @gd (disk.c).
 * @ref:      held by its versions, by its devices and by users of the pointer.
 * @rcu:      for freeing.
 * @gd:       the disk, with a reference on its device and on its driver's module
 *            (whose code the last reference on the device runs).
 * @mq:       blk-mq: freezing the queue waits for what passed at top level.
 * @zoned:    parked writes keep their order.
 * @id:       names disk and epoch in the bios that have passed; even.
 * @version:  current one.
 * @versions: all that are not drained; under @lock.
 * @devs:     devices with filters; under bf_lock.
 * @changes:  counts changes of @devs and @version that come without a claim.
 * @claimed:  a transaction or point is at work (disk.c).
 * @gone:     the disk was removed.
 * @lock:     for all that follows.
 * @closed:   new bios are parked.
 * @sealed:   own bios too.
 * @extra:    bios admitted while closed that are on their way.
 * @parked:   bios to enter when the gate opens.
 * @deferred: bios to enter from the worker.
 * @pending:  paths with bios to resume.
 * @wait:     for @ref of versions and @extra to become zero.
 * @work:     worker, on @wq; one a disk, so that levels never wait for each
 *            other's.
 * @records:  bf_record, for counted writes; one pool a disk for that reason.
 * @splits:   for bios that cross the edge of a filtered partition.
 */
struct bf_disk {
	struct hlist_node hash;
	struct kref ref;
	struct rcu_head rcu;
	struct gendisk *gd;
	bool mq;
	bool zoned;
	u16 id;
	struct bf_version __rcu *version;
	struct list_head versions;
	struct list_head devs;
	u32 changes;
	bool claimed;
	bool gone;

	spinlock_t lock;	/* for all that follows */
	bool closed;
	bool sealed;
	u32 extra;
	struct bio_list parked;
	struct bio_list deferred;
	struct list_head pending;
	wait_queue_head_t wait;
	struct work_struct work;
	struct workqueue_struct *wq;
	mempool_t records;
	struct bio_set splits;
};

/* Short sections only: devices, stacks, versions; see the lock order above. */
extern struct mutex bf_lock;
/* For work that may take its time: taking down, settling, resizing. */
extern struct workqueue_struct *bf_wq;

/* --- hook.c --- */
int bf_hook_prepare(void);
int bf_hook_get(void);
void bf_hook_put(void);
bool bf_hook_active(void);
void bf_hook_exit(void);
unsigned long bf_address(const char *function);
DECLARE_STATIC_CALL(bf_original, submit_bio_noacct);

/* --- bio.c, count.c, worker.c; their own: bio.h --- */
void bf_bio_init(void) __init;
void bf_submit(struct bio *bio);
void bf_extra_put(struct bf_disk *disk);
int bf_count_init(void) __init;
void bf_count_exit(void);
int bf_records_init(struct bf_disk *disk);
void bf_worker(struct work_struct *work);
void bf_unseal(struct bf_disk *disk);

/* --- gate.c --- */

/**
 * struct bf_gates - disks that are closed together
 * @disk:      upper before lower; @n of them, each once.
 * @counts:    writes must have completed, not only passed.
 * @limit_ms:  from the first gate that closes.
 * @failed:    index of the disk that did not drain.
 * @closed_ns: how long the gates were closed.
 */
struct bf_gates {
	struct bf_disk **disk;
	u32 n;
	bool counts;
	u32 limit_ms;
	u32 failed;
	u64 closed_ns;
	ktime_t since;
	unsigned int noio;
	unsigned long *was_percpu;
};

int bf_gates_close(struct bf_gates *gates);
void bf_gates_open(struct bf_gates *gates);
long bf_gates_time_left(const struct bf_gates *gates);
void bf_wait_open(struct bf_disk *disk);

/* --- chain.c --- */
struct bf_version *bf_version_build(struct bf_disk *disk, struct bf_dev *dev,
				    const struct bf_stack *next);
void bf_version_publish(struct bf_disk *disk, struct bf_version *version,
			struct list_head *dying);
void bf_version_free(struct bf_version *version);
struct bf_version *bf_version_get(struct bf_disk *disk);
void bf_version_put(struct bf_version *version);
bool bf_disk_counts(struct bf_disk *disk);
void bf_path_rebind(struct bf_dev *dev);

/* Calls @body for every instance of a version once, @inst set. */
#define bf_for_each_instance(version, path, i, k, inst)			\
	for ((i) = -1; (i) < (int)(version)->nr_parts; (i)++)		\
		for ((path) = (i) < 0 ? (version)->whole		\
				      : (version)->parts[i], (k) = 0;	\
		     (k) < ((i) < 0 ? (path)->n : (path)->own) &&	\
		     ((inst) = (path)->step[k].inst, true); (k)++)

/* --- disk.c --- */
#define BF_HASH_BITS	12
extern struct hlist_head bf_disk_table[1 << BF_HASH_BITS];

static __always_inline struct hlist_head *bf_bucket(struct gendisk *gd)
{
	return &bf_disk_table[hash_ptr(gd, BF_HASH_BITS)];
}

/*
 * The filtered disk or NULL.  No lock: a disk is freed when all tasks have slept
 * of their own accord, and interrupts have ended, since it left the table
 * (bf_disk_free()).  So it may be used until the caller next sleeps.  Every bio
 * of the system comes by here.
 */
static __always_inline struct bf_disk *bf_disk_find(struct gendisk *gd)
{
	struct bf_disk *disk;

	hlist_for_each_entry_rcu(disk, bf_bucket(gd), hash, true)
		if (disk->gd == gd)
			return disk;
	return NULL;
}

struct bf_disk *bf_disk_ensure(struct bf_dev *dev);
void bf_disk_drop(struct bf_disk *disk, struct list_head *dying);
void bf_disk_leave(struct bf_dev *dev);
void bf_disk_shrink(struct bf_dev *dev);
void bf_disk_done(struct bf_dev *dev);
struct bf_disk *bf_disk_of(struct gendisk *gd);
void bf_disk_get(struct bf_disk *disk);
void bf_disk_put(struct bf_disk *disk);
u16 bf_new_id(void);
void bf_free_id(u16 id);
int bf_claim(struct bf_disk **disk, u32 n,
	     const struct blkfilter_instance *filter);
void bf_claim_wake(void);
void bf_unclaim(struct bf_disk **disk, u32 n);

/* --- registry.c --- */
struct blkfilter_operations *bf_filter_get(const u8 *name);
bool bf_filter_wants(struct block_device *bdev,
		     struct blkfilter_operations **ops);
u32 bf_filters_fill(struct blkfilter_filter_info *info, u32 room);
struct blkfilter_instance *
bf_instance_new(struct bf_dev *dev, struct blkfilter_operations *ops,
		u64 altitude, const void *options, u32 options_size);
int bf_instance_attach(struct blkfilter_instance *inst, bool appearing);
void bf_instance_put(struct blkfilter_instance *inst);
struct blkfilter_instance *bf_instance_of(u16 tag);
void bf_instance_destroy(struct blkfilter_instance *inst);
void bf_instance_activate(struct blkfilter_instance *inst,
			  struct bf_disk *disk);
void bf_instance_deactivate(struct blkfilter_instance *inst);
void bf_instance_settled(struct blkfilter_instance *inst);
void bf_instance_stats(struct blkfilter_instance *inst,
		       struct blkfilter_statistics *sum);

/* --- stack.c, plan.c, entry.c, appear.c; their own: plan.h --- */

/* One entry that a stack shall have; the kernel's form. */
struct bf_entry {
	u8 name[BLKFILTER_NAME_LENGTH];
	u8 replaces[BLKFILTER_NAME_LENGTH];
	u8 owner[BLKFILTER_ID_LENGTH];
	u64 altitude;
	void *options;
	u32 options_size;
	bool keep_owner;
	bool provisional;
};

/**
 * struct bf_change - a transaction on one device's stack
 * @entry:      what the stack shall be; @n entries.
 * @generation: expected, when @expect.
 * @reason:     told to the filters that go.
 * @openers:    openers of the device that are the caller's own.
 * @failed:     out: index of the entry that was refused.
 */
struct bf_change {
	struct bf_entry *entry;
	u32 n;
	u64 generation;
	bool expect;
	bool dry_run;
	bool confirm;
	u32 limit_ms;
	enum blkfilter_reason reason;
	u32 openers;
	u32 failed;
};

int bf_stack_set(struct bf_dev *dev, struct bf_change *change);
struct blkfilter_instance *bf_stack_get(struct bf_dev *dev, const u8 *name);
int bf_stack_add(struct bf_dev *dev, const u8 *name, u32 openers);
int bf_stack_remove(struct bf_dev *dev, const u8 *name,
		    enum blkfilter_reason reason);
void bf_stack_appearing(struct bf_dev *dev, struct bf_entry *entry, u32 n);
void bf_stack_wanted(struct bf_dev *dev, const char *name);
int bf_stack_command(struct bf_dev *dev, const u8 *name, u32 cmd,
		     u8 __user *buf, u32 *len);
bool bf_name_is(const u8 *name, const char *other);
void bf_stack_unconfirmed(struct work_struct *work);

/* --- point.c --- */
int bf_point_take(struct blkfilter_point *point, struct bf_dev **freeze,
		  struct bf_dev **close,
		  const struct blkfilter_instance *filter);
void bf_point_tell(struct bf_disk *disk, struct bf_dev *only,
		   enum blkfilter_phase phase, const u8 *id);

/* --- order.c --- */
void bf_order(struct bf_dev **dev, u32 n);

/* --- settle.c --- */

/**
 * struct bf_frozen - file systems frozen for the length of a first attach
 * @dev:     all devices of the disk, referenced; @devs of them.
 * @openers: of the device that are the caller's own.
 * @bdev:    what was frozen, pinned; @n of them.
 */
struct bf_frozen {
	struct bf_dev **dev;
	u32 devs;
	u32 openers;
	struct block_device **bdev;
	u32 n;
};

bool bf_settle_counting(struct bf_dev *dev, bool *settling);
bool bf_settle_drain(struct bf_dev *dev, const struct bf_gates *gates);
void bf_settle_begin(struct bf_dev *dev, bool settled, bool was_idle);
void bf_settle_end(struct bf_dev *dev);
int bf_settle_freeze(struct bf_dev *dev, u32 openers, struct bf_frozen *frozen);
bool bf_settle_done(const struct bf_dev *dev, const struct bf_frozen *frozen);
void bf_settle_thaw(struct bf_frozen *frozen);
void bf_settle_start(struct bf_dev *dev);
void bf_settle_work(struct work_struct *work);
unsigned long bf_settle_time(void);

/* --- node.c --- */
int bf_nodes_init(void);
void bf_nodes_exit(void);
struct bf_dev *bf_dev_find(dev_t devt, u64 diskseq);
struct bf_dev *bf_dev_of(struct block_device *bdev);
void bf_dev_get(struct bf_dev *dev);
void bf_dev_put(struct bf_dev *dev);
struct block_device *bf_dev_pin(struct bf_dev *dev);
void bf_dev_unpin(struct block_device *bdev);
struct block_device *bf_dev_hold(struct bf_dev *dev);
void bf_dev_unhold(struct bf_dev *dev);
void bf_dev_check(struct bf_dev *dev);
void bf_dev_check_now(struct bf_dev *dev);
void bf_dev_refresh(struct bf_dev *dev);
struct bf_dev *bf_dev_private(struct block_device *bdev);
int bf_devs_of_disk(struct gendisk *gd, struct bf_dev ***list, u32 *n);
u32 bf_instances_of(const struct blkfilter_operations *ops);
u32 bf_devs_fill(struct blkfilter_device_info *info, u32 room);

/*
 * Is @bdev, a block device that cannot go, of another size than @dev's filters
 * know, or with another medium (a loop device with another file keeps its
 * gendisk and gets a new diskseq)?
 */
static __always_inline bool bf_dev_differs(const struct bf_dev *dev,
					   struct block_device *bdev)
{
	return bdev_nr_sectors(bdev) != READ_ONCE(dev->sectors) ||
	       READ_ONCE(bdev->bd_disk->diskseq) != READ_ONCE(dev->diskseq);
}

/* The same for the device itself, which may go meanwhile. */
static inline bool bf_dev_altered(const struct bf_dev *dev)
{
	struct block_device *bdev;
	bool altered;

	/* A rescan may take the partition away; its inode is freed by RCU. */
	rcu_read_lock();
	bdev = READ_ONCE(dev->bdev);
	altered = bdev && bf_dev_differs(dev, bdev);
	rcu_read_unlock();
	return altered;
}

/* --- rule.c --- */
int bf_rule_add(struct blkfilter_rule *rule, struct bf_entry *entry);
int bf_rule_remove(u32 id);
u32 bf_rules_fill(struct blkfilter_rule *rule, u32 room);
void bf_rules_apply(struct bf_dev *dev);
void bf_rules_exit(void);

/* --- control*.c, events.c, ioctl-hook.c, selftest.c --- */
int bf_control_init(void);
void bf_control_exit(void);
int bf_entries_copy_in(struct bf_entry **entry, u64 address, u32 n,
		       u32 entry_size);
void bf_entries_free(struct bf_entry *entry, u32 n);
int bf_copy_in(void *argument, size_t size, void __user *user);
int bf_copy_out(const void *kernel, size_t size, void __user *user);
long bf_control_get_stack(void __user *arg);
long bf_control_set_stack(void __user *arg);
int bf_dev_from_user(const struct blkfilter_device *id, struct bf_dev **dev);

void bf_event(enum blkfilter_event_type type, const struct bf_dev *dev,
	      const char *name, u64 value, u32 reason, const void *data,
	      size_t size);
struct file;
struct poll_table_struct;
int bf_events_open(struct file *file);
void bf_events_release(struct file *file);
ssize_t bf_events_read(struct file *file, char __user *buf, size_t size);
__poll_t bf_events_poll(struct file *file, struct poll_table_struct *wait);

int bf_ioctl_hook_init(void);
void bf_ioctl_hook_exit(void);
bool bf_ioctl_hook_active(void);

int bf_selftest_init(void);
void bf_selftest_exit(void);
int bf_hook_check(void);
struct class *bf_block_class(void);

#endif /* BLKFILTER_CORE_H */
