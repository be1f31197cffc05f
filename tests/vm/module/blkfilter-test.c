// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tests' filter: eight of them, test0 to test7, told by their options what to
 * do.  Not shipped.
 *
 * Options, separated by spaces:
 *   take            take every bio and resume it from a worker
 *   delay=MS        and wait so long before
 *   end             take every write and end it with an I/O error
 *   two             send two bios below in place of every one of 8 KiB or more
 *   late=MS         so long after each write, write the last sectors of the disk
 *                   below, which no bio waits for (own I/O)
 *   read            before a write goes on, read its range below (own I/O)
 *   copy=PATH       send a copy of every write to another device's top
 *   record          count how often each sector is shown
 *   hold=MS         stay so long in the instant of a point, and watch the disk
 *   fail=ERRNO      attach() fails
 *   veto            refuse to be detached when asked
 *
 * /sys/kernel/debug/blkfilter-test/DEVICE.FILTER shows what was seen;
 * .../traced what the kernel's tracepoint block_bio_queue has counted;
 * .../twice sends one struct bio to a device two times.
 */
#include <linux/bio.h>
#include <linux/blk-filter.h>
#include <linux/blkdev.h>
#include <linux/blk-mq.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/delay.h>
#include <linux/hashtable.h>
#include <linux/module.h>
#include <linux/part_stat.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/tracepoint.h>
#include <linux/vmalloc.h>

#define FILTERS 8

struct test_filter {
	struct blkfilter flt;
	struct list_head link;
	dev_t devt;
	u64 altitude;
	bool take, end, two, read, record, veto, active;
	unsigned int delay_ms, hold_ms, late_ms;
	struct file *copy;
	u8 *writes, *reads;		/* times each sector was shown */
	sector_t sectors;
	struct dentry *file;
	atomic_t wrong_order, on_their_way;
	atomic_t prepared, instants, done, unseen, settled, resizes, changes;
	atomic_t gone, successors;
	atomic_t moved_during_hold, in_flight_at_instant;
	u8 last_id[BLKFILTER_ID_LENGTH];
	char options[160];
};

struct test_job;
typedef void (*job_function)(struct test_job *job);

/*
 * A bio that was taken, and what is sent in its place.  It is kept until its work
 * function has returned, which may sleep below in blkfilter_resume() after the
 * bio has gone: a workqueue takes a new item at the address of one that still
 * runs for the same (process_one_work()) and lets it wait, maybe for itself.
 */
struct test_job {
	struct work_struct work;
	refcount_t users;
	struct test_filter *test;
	struct blkfilter_pos pos;
	struct bio *bio;
	job_function run;
	atomic_t left;
	blk_status_t status;
};

static LIST_HEAD(tests);
static DEFINE_SPINLOCK(tests_lock);
static struct dentry *directory;
static struct workqueue_struct *workers;
static struct bio_set clones;

/* --- what the kernel's own tracepoint counts: the oracle for statistics --- */

#define TRACED 64

static struct traced {
	dev_t devt;
	atomic64_t bios[BLKFILTER_GROUPS], sectors[BLKFILTER_GROUPS];
} traced[TRACED];
static DEFINE_SPINLOCK(traced_lock);

static enum blkfilter_group group_of(struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		return BLKFILTER_GROUP_READ;
	case REQ_OP_WRITE:
		return bio_sectors(bio) ? BLKFILTER_GROUP_WRITE :
					  BLKFILTER_GROUP_FLUSH;
	case REQ_OP_DISCARD:
		return BLKFILTER_GROUP_DISCARD;
	case REQ_OP_WRITE_ZEROES:
		return BLKFILTER_GROUP_ZEROES;
	default:
		return BLKFILTER_GROUP_OTHER;
	}
}

static struct traced *traced_find(dev_t devt)
{
	struct traced *found = NULL;
	unsigned long flags;
	int i;

	spin_lock_irqsave(&traced_lock, flags);
	for (i = 0; i < TRACED && !found; i++) {
		if (!traced[i].devt)
			traced[i].devt = devt;
		if (traced[i].devt == devt)
			found = &traced[i];
	}
	spin_unlock_irqrestore(&traced_lock, flags);
	return found;
}

static void trace_count(struct bio *bio)
{
	dev_t devt = bio->bi_bdev->bd_dev;
	enum blkfilter_group group = group_of(bio);
	/* The core's self-test has a disk without a number. */
	struct traced *entry = devt ? traced_find(devt) : NULL;

	if (!entry)
		return;
	atomic64_inc(&entry->bios[group]);
	atomic64_add(bio_sectors(bio), &entry->sectors[group]);
}

/* DEVICE BIOS... SECTORS..., each in the order of enum blkfilter_group */
static int traced_show(struct seq_file *file, void *data)
{
	int i, group;

	for (i = 0; i < TRACED && traced[i].devt; i++) {
		seq_printf(file, "%u:%u", MAJOR(traced[i].devt),
			   MINOR(traced[i].devt));
		for (group = 0; group < BLKFILTER_GROUPS; group++)
			seq_printf(file, " %lld",
				   atomic64_read(&traced[i].bios[group]));
		for (group = 0; group < BLKFILTER_GROUPS; group++)
			seq_printf(file, " %lld",
				   atomic64_read(&traced[i].sectors[group]));
		seq_puts(file, "\n");
	}
	return 0;
}

DEFINE_SHOW_ATTRIBUTE(traced);

/* --- order: each filter of a device in turn --- */

#define SEEN 4096

static struct {
	struct bio *bio;
	u64 altitude;
} seen[SEEN];

static struct test_filter *next_higher(struct test_filter *test)
{
	struct test_filter *other, *best = NULL;

	list_for_each_entry(other, &tests, link)
		if (other->devt == test->devt && other->active &&
		    other->altitude > test->altitude &&
		    (!best || other->altitude < best->altitude))
			best = other;
	return best;
}

static void check_order(struct test_filter *test, struct bio *bio)
{
	unsigned int slot = hash_ptr(bio, 12);
	struct test_filter *higher;
	unsigned long flags;

	spin_lock_irqsave(&tests_lock, flags);
	higher = next_higher(test);
	/* A slot that another bio took over says nothing. */
	if (higher && !higher->two && !higher->read && seen[slot].bio == bio &&
	    seen[slot].altitude != higher->altitude)
		atomic_inc(&test->wrong_order);
	seen[slot].bio = bio;
	seen[slot].altitude = test->altitude;
	spin_unlock_irqrestore(&tests_lock, flags);
}

static void record(struct test_filter *test, struct bio *bio)
{
	u8 *count = op_is_write(bio_op(bio)) ? test->writes : test->reads;
	sector_t sector = blkfilter_sector(&test->flt, bio), i;

	for (i = sector; count && i < sector + bio_sectors(bio); i++)
		if (i < test->sectors && count[i] < 255)
			count[i]++;
}

/* --- taking --- */

static void job_put(struct test_job *job)
{
	if (refcount_dec_and_test(&job->users))
		kfree(job);
}

/* The filter has no more to do with it. */
static void job_done(struct test_job *job)
{
	struct test_filter *test = job->test;

	job_put(job);
	atomic_dec(&test->on_their_way);
}

static void job_resume(struct test_job *job)
{
	struct blkfilter_pos pos = job->pos;
	struct bio *bio = job->bio;
	bool end = job->test->end && op_is_write(bio_op(bio));

	if (job->test->delay_ms)
		msleep(job->test->delay_ms);
	job_done(job);
	if (end)
		blkfilter_end(pos, bio, BLK_STS_IOERR);
	else
		blkfilter_resume(pos, bio);
}

static void part_done(struct bio *part)
{
	struct test_job *job = part->bi_private;
	struct blkfilter_pos pos = job->pos;
	struct bio *bio = job->bio;
	blk_status_t status;

	if (part->bi_status)
		job->status = part->bi_status;
	bio_put(part);
	if (!atomic_dec_and_test(&job->left))
		return;
	status = job->status;
	job_done(job);
	blkfilter_end(pos, bio, status);
}

static struct bio *make_part(struct test_job *job)
{
	struct bio *part = bio_alloc_clone(job->bio->bi_bdev, job->bio,
					   GFP_NOIO, &clones);

	part->bi_private = job;
	part->bi_end_io = part_done;
	return part;
}

static void job_two(struct test_job *job)
{
	struct blkfilter *flt = &job->test->flt;
	u32 half = bio_sectors(job->bio) / 16 * 8;
	struct bio *first = make_part(job), *second = make_part(job);

	bio_trim(first, 0, half);
	bio_trim(second, half, bio_sectors(job->bio) - half);
	atomic_set(&job->left, 2);
	blkfilter_submit_below(flt, first);
	blkfilter_submit_below(flt, second);
}

static void job_copy(struct test_job *job)
{
	struct block_device *other =
		I_BDEV(job->test->copy->f_mapping->host);
	struct blkfilter *flt = &job->test->flt;
	struct bio *here = make_part(job), *there = make_part(job);

	bio_set_dev(there, other);
	there->bi_iter.bi_sector = blkfilter_sector(flt, job->bio);
	atomic_set(&job->left, 2);
	blkfilter_submit_other(flt, there);
	blkfilter_submit_below(flt, here);
}

static void read_done(struct bio *own)
{
	struct test_job *job = own->bi_private;
	struct blkfilter_pos pos = job->pos;
	struct bio *bio = job->bio;

	bio_free_pages(own);
	bio_put(own);
	job_done(job);
	blkfilter_resume(pos, bio);	/* from an interrupt */
}

static void job_read(struct test_job *job)
{
	struct page *page = alloc_page(GFP_NOIO);
	struct bio *own;

	if (!page) {
		job_resume(job);
		return;
	}
	own = bio_alloc(job->bio->bi_bdev, 1, REQ_OP_READ, GFP_NOIO);
	own->bi_iter.bi_sector = job->bio->bi_iter.bi_sector;
	__bio_add_page(own, page, SECTOR_SIZE, 0);
	own->bi_private = job;
	own->bi_end_io = read_done;
	blkfilter_submit_below(&job->test->flt, own);
}

static void job_work(struct work_struct *work)
{
	struct test_job *job = container_of(work, struct test_job, work);

	job->run(job);
	job_put(job);
}

/* --- own writes that no bio waits for: only the gate does --- */

struct late_write {
	struct delayed_work work;
	struct test_filter *test;
	struct page *page;
};

static void late_done(struct bio *own)
{
	struct late_write *late = own->bi_private;

	bio_put(own);
	__free_page(late->page);
	atomic_dec(&late->test->on_their_way);
	kfree(late);
}

static void late_work(struct work_struct *work)
{
	struct late_write *late =
		container_of(to_delayed_work(work), struct late_write, work);
	struct blkfilter *flt = &late->test->flt;
	struct bio *own = bio_alloc(flt->bdev, 1, REQ_OP_WRITE, GFP_NOIO);

	own->bi_iter.bi_sector = blkfilter_start(flt) +
				 bdev_nr_sectors(flt->bdev) - PAGE_SECTORS;
	__bio_add_page(own, late->page, PAGE_SIZE, 0);
	own->bi_private = late;
	own->bi_end_io = late_done;
	blkfilter_submit_below(flt, own);
}

static void late_write(struct test_filter *test)
{
	struct late_write *late = kzalloc(sizeof(*late),
					  GFP_NOWAIT | __GFP_NOWARN);

	if (!late)
		return;
	late->page = alloc_page(GFP_NOWAIT | __GFP_NOWARN | __GFP_ZERO);
	if (!late->page) {
		kfree(late);
		return;
	}
	late->test = test;
	atomic_inc(&test->on_their_way);
	INIT_DELAYED_WORK(&late->work, late_work);
	queue_delayed_work(workers, &late->work,
			   msecs_to_jiffies(test->late_ms));
}

/* What shall become of a bio, or NULL: it passes. */
static job_function job_for(struct test_filter *test, struct bio *bio)
{
	bool write = op_is_write(bio_op(bio));
	bool data = bio_has_data(bio) && !(bio->bi_opf & REQ_PREFLUSH);

	if (test->two && data && bio_sectors(bio) >= 16)
		return job_two;
	if (test->copy && write && data)
		return job_copy;
	if (test->read && write && bio_sectors(bio))
		return job_read;
	if (test->take || (test->end && write))
		return job_resume;
	return NULL;
}

static bool test_submit_bio(struct blkfilter *flt, struct bio *bio,
			    struct blkfilter_pos pos)
{
	struct test_filter *test = container_of(flt, struct test_filter, flt);
	job_function run = job_for(test, bio);
	struct test_job *job;

	check_order(test, bio);
	if (test->record)
		record(test, bio);
	if (test->late_ms && op_is_write(bio_op(bio)))
		late_write(test);
	if (!run)
		return false;
	job = kmalloc(sizeof(*job), GFP_NOWAIT | __GFP_NOWARN);
	if (!job)
		return false;
	*job = (struct test_job){
		.test = test, .pos = pos, .bio = bio, .run = run,
	};
	refcount_set(&job->users, 2);	/* the work and the bio */
	atomic_inc(&test->on_their_way);
	INIT_WORK(&job->work, job_work);
	blkfilter_take(flt, bio, pos);
	queue_work(workers, &job->work);
	return true;
}

/* --- points: while the filter sits in the instant, nothing may move --- */

static struct tracepoint *trace_issue, *trace_complete, *trace_queue;
static struct request_queue *watched;
static atomic_t moved;

static void on_issue(void *data, struct request *rq)
{
	if (rq->q == READ_ONCE(watched) && op_is_write(req_op(rq)))
		atomic_inc(&moved);
}

static void on_complete(void *data, struct request *rq, blk_status_t status,
			unsigned int bytes)
{
	on_issue(data, rq);
}

static void on_queue(void *data, struct bio *bio)
{
	trace_count(bio);
	if (bdev_get_queue(bio->bi_bdev) == READ_ONCE(watched) &&
	    op_is_write(bio_op(bio)))
		atomic_inc(&moved);
}

static void find_tracepoint(struct tracepoint *tracepoint, void *data)
{
	if (!strcmp(tracepoint->name, "block_rq_issue"))
		trace_issue = tracepoint;
	if (!strcmp(tracepoint->name, "block_rq_complete"))
		trace_complete = tracepoint;
	if (!strcmp(tracepoint->name, "block_bio_queue"))
		trace_queue = tracepoint;
}

static int writes_in_flight(struct block_device *bdev)
{
	int cpu, n = 0;

	for_each_possible_cpu(cpu)
		n += part_stat_local_read_cpu(bdev, in_flight[1], cpu);
	return n;
}

static void test_point(struct blkfilter *flt, enum blkfilter_phase phase,
		       const u8 *id)
{
	struct test_filter *test = container_of(flt, struct test_filter, flt);

	if (phase == BLKFILTER_POINT_PREPARE)
		atomic_inc(&test->prepared);
	if (phase == BLKFILTER_POINT_DONE)
		atomic_inc(&test->done);
	if (phase != BLKFILTER_POINT_INSTANT)
		return;
	atomic_inc(&test->instants);
	if (id)
		memcpy(test->last_id, id, sizeof(test->last_id));
	if (!test->hold_ms)
		return;
	if (writes_in_flight(flt->bdev) > 0)
		atomic_inc(&test->in_flight_at_instant);
	atomic_set(&moved, 0);
	WRITE_ONCE(watched, bdev_get_queue(flt->bdev));
	msleep(test->hold_ms);
	WRITE_ONCE(watched, NULL);
	atomic_add(atomic_read(&moved), &test->moved_during_hold);
}

/* --- attach and detach --- */

static int parse_option(struct test_filter *test, char *option)
{
	char *value = strchr(option, '=');
	unsigned int number;

	if (value)
		*value++ = 0;
	if (!strcmp(option, "take"))
		test->take = true;
	else if (!strcmp(option, "end"))
		test->end = true;
	else if (!strcmp(option, "two"))
		test->two = true;
	else if (!strcmp(option, "read"))
		test->read = true;
	else if (!strcmp(option, "record"))
		test->record = true;
	else if (!strcmp(option, "veto"))
		test->veto = true;
	else if (!strcmp(option, "delay") && value)
		return kstrtouint(value, 10, &test->delay_ms);
	else if (!strcmp(option, "hold") && value)
		return kstrtouint(value, 10, &test->hold_ms);
	else if (!strcmp(option, "late") && value)
		return kstrtouint(value, 10, &test->late_ms);
	else if (!strcmp(option, "copy") && value)
		test->copy = filp_open(value, O_RDWR, 0);
	else if (!strcmp(option, "fail") && value)
		return kstrtouint(value, 10, &number) ?: -(int)number;
	else
		return -EINVAL;
	return PTR_ERR_OR_ZERO(test->copy);
}

static int parse_options(struct test_filter *test)
{
	char copy[sizeof(test->options)], *rest = copy, *option;
	int ret = 0;

	strscpy(copy, test->options, sizeof(copy));
	while (!ret && (option = strsep(&rest, " ")))
		if (*option)
			ret = parse_option(test, option);
	if (IS_ERR(test->copy))
		test->copy = NULL;
	return ret;
}

static int seen_show(struct seq_file *file, void *data)
{
	struct test_filter *test = file->private;
	sector_t i, w[3] = {}, r[3] = {};

	for (i = 0; i < test->sectors && test->writes; i++) {
		w[min_t(u8, test->writes[i], 2)]++;
		r[min_t(u8, test->reads[i], 2)]++;
	}
	seq_printf(file, "write_once %llu\nwrite_more %llu\n", w[1], w[2]);
	seq_printf(file, "read_once %llu\nread_more %llu\n", r[1], r[2]);
	seq_printf(file, "wrong_order %d\n", atomic_read(&test->wrong_order));
	seq_printf(file, "on_their_way %d\n",
		   atomic_read(&test->on_their_way));
	seq_printf(file, "prepared %d\ninstants %d\ndone %d\n",
		   atomic_read(&test->prepared), atomic_read(&test->instants),
		   atomic_read(&test->done));
	seq_printf(file, "in_flight_at_instant %d\nmoved_during_hold %d\n",
		   atomic_read(&test->in_flight_at_instant),
		   atomic_read(&test->moved_during_hold));
	seq_printf(file, "settled %d\nunseen %d\nresizes %d\nsectors %llu\n",
		   atomic_read(&test->settled), atomic_read(&test->unseen),
		   atomic_read(&test->resizes), test->sectors);
	seq_printf(file, "changes %d\nsuccessors %d\nid %pU\n",
		   atomic_read(&test->changes), atomic_read(&test->successors),
		   test->last_id);
	return 0;
}

DEFINE_SHOW_ATTRIBUTE(seen);

static void test_free(struct test_filter *test)
{
	debugfs_remove(test->file);
	if (test->copy)
		fput(test->copy);
	vfree(test->writes);
	vfree(test->reads);
	kfree(test);
}

static struct blkfilter *test_attach(const char *name,
				     struct block_device *bdev,
				     const struct blkfilter_attach *how)
{
	struct test_filter *test = kzalloc(sizeof(*test), GFP_KERNEL);
	char file[64];
	int ret;

	if (!test)
		return ERR_PTR(-ENOMEM);
	test->devt = bdev->bd_device.devt;
	test->altitude = how->altitude;
	test->sectors = bdev_nr_sectors(bdev);
	memcpy(test->options, how->options,
	       min_t(size_t, how->options_size, sizeof(test->options) - 1));
	ret = parse_options(test);
	if (!ret && test->record && test->sectors) {
		test->writes = vzalloc(test->sectors);
		test->reads = vzalloc(test->sectors);
		if (!test->writes || !test->reads)
			ret = -ENOMEM;
	}
	if (ret) {
		test_free(test);
		return ERR_PTR(ret);
	}
	snprintf(file, sizeof(file), "%s.%s", dev_name(&bdev->bd_device), name);
	test->file = debugfs_create_file(file, 0444, directory, test,
					 &seen_fops);
	spin_lock_irq(&tests_lock);
	list_add(&test->link, &tests);
	spin_unlock_irq(&tests_lock);
	return &test->flt;
}

static void test_activate(struct blkfilter *flt)
{
	container_of(flt, struct test_filter, flt)->active = true;
}

static void test_deactivate(struct blkfilter *flt, enum blkfilter_reason reason,
			    struct blkfilter *successor)
{
	container_of(flt, struct test_filter, flt)->active = false;
	if (successor)
		atomic_inc(&container_of(successor, struct test_filter,
					 flt)->successors);
}

static void test_detach(struct blkfilter *flt)
{
	struct test_filter *test = container_of(flt, struct test_filter, flt);

	flush_workqueue(workers);
	while (test->late_ms && atomic_read(&test->on_their_way))
		msleep(20);
	WARN_ON(atomic_read(&test->on_their_way));
	spin_lock_irq(&tests_lock);
	list_del(&test->link);
	spin_unlock_irq(&tests_lock);
	test_free(test);
}

static int test_query_detach(struct blkfilter *flt, enum blkfilter_reason reason)
{
	return container_of(flt, struct test_filter, flt)->veto ? -EBUSY : 0;
}

static void test_settled(struct blkfilter *flt)
{
	atomic_inc(&container_of(flt, struct test_filter, flt)->settled);
}

static void test_unseen(struct blkfilter *flt)
{
	atomic_inc(&container_of(flt, struct test_filter, flt)->unseen);
}

static void test_resized(struct blkfilter *flt, sector_t sectors)
{
	struct test_filter *test = container_of(flt, struct test_filter, flt);

	atomic_inc(&test->resizes);
	if (!test->writes)
		test->sectors = sectors;
}

static void test_changed(struct blkfilter *flt, sector_t sector,
			 sector_t sectors)
{
	atomic_inc(&container_of(flt, struct test_filter, flt)->changes);
}

static void test_gone(struct blkfilter *flt)
{
	atomic_inc(&container_of(flt, struct test_filter, flt)->gone);
}

/* Command 0 answers with the argument turned round; 1 announces a change. */
static int test_ctl(struct blkfilter *flt, unsigned int cmd, u8 __user *buf,
		    u32 *plen)
{
	u8 data[16], back[16];
	u32 i;

	if (cmd == 1) {
		*plen = 0;
		blkfilter_changed(flt, 0, 8);
		blkfilter_event(flt, 42, "changed", 8);
		return 0;
	}
	if (cmd)
		return -ENOTTY;
	if (*plen > sizeof(data))
		return -EINVAL;
	if (copy_from_user(data, buf, *plen))
		return -EFAULT;
	for (i = 0; i < *plen; i++)
		back[i] = data[*plen - 1 - i];
	return copy_to_user(buf, back, *plen) ? -EFAULT : 0;
}

static void test_state(struct blkfilter *flt, char *buf, size_t size)
{
	struct test_filter *test = container_of(flt, struct test_filter, flt);

	strscpy(buf, test->take ? "taking" : "passing", size);
}

#define TEST_ATTACH(n)							\
	static struct blkfilter *test##n##_attach(struct block_device *bdev, \
				const struct blkfilter_attach *how)	\
	{ return test_attach("test" #n, bdev, how); }

#define TEST_FILTER(n, alt, flag) {					\
	.owner = THIS_MODULE, .name = "test" #n, .altitude = (alt),	\
	.flags = BLKFILTER_ZONED | (flag),				\
	.attach = test##n##_attach, .activate = test_activate,		\
	.deactivate = test_deactivate, .detach = test_detach,		\
	.query_detach = test_query_detach, .gone = test_gone,		\
	.submit_bio = test_submit_bio, .ctl = test_ctl,			\
	.point = test_point, .settled = test_settled,			\
	.unseen = test_unseen, .resized = test_resized,			\
	.changed = test_changed, .state = test_state,			\
}

TEST_ATTACH(0)
TEST_ATTACH(1)
TEST_ATTACH(2)
TEST_ATTACH(3)
TEST_ATTACH(4)
TEST_ATTACH(5)
TEST_ATTACH(6)
TEST_ATTACH(7)

/* The odd ones need points. */
static struct blkfilter_operations filters[FILTERS] = {
	TEST_FILTER(0, 100000000000, 0),
	TEST_FILTER(1, 200000000000, BLKFILTER_NEEDS_POINTS),
	TEST_FILTER(2, 300000000000, 0),
	TEST_FILTER(3, 400000000000, BLKFILTER_NEEDS_POINTS),
	TEST_FILTER(4, 500000000000, 0),
	TEST_FILTER(5, 600000000000, BLKFILTER_NEEDS_POINTS),
	TEST_FILTER(6, 700000000000, 0),
	TEST_FILTER(7, 700000000001, BLKFILTER_NEEDS_POINTS),
};

/* --- the same struct bio sent twice, without bio_reset() --- */

static ssize_t twice_write(struct file *file, const char __user *buf,
			   size_t size, loff_t *offset)
{
	struct block_device *bdev;
	struct bvec_iter iter;
	struct file *device;
	struct page *page;
	struct bio *bio;
	char path[64];
	int i;

	if (size >= sizeof(path) || copy_from_user(path, buf, size))
		return -EINVAL;
	path[size] = 0;
	device = filp_open(strim(path), O_RDWR, 0);
	if (IS_ERR(device))
		return PTR_ERR(device);
	bdev = I_BDEV(device->f_mapping->host);
	page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	bio = bio_alloc(bdev, 1, REQ_OP_WRITE | REQ_SYNC, GFP_KERNEL);
	bio->bi_iter.bi_sector = 8;
	__bio_add_page(bio, page, PAGE_SIZE, 0);
	iter = bio->bi_iter;
	for (i = 0; i < 2; i++) {
		bio->bi_iter = iter;
		bio_set_dev(bio, bdev);
		submit_bio_wait(bio);
	}
	bio_put(bio);
	__free_page(page);
	fput(device);
	return size;
}

static const struct file_operations twice_fops = {
	.owner = THIS_MODULE,
	.write = twice_write,
};

static void unregister_filters(int n)
{
	while (n--)
		blkfilter_unregister(&filters[n]);
}

static int __init test_init(void)
{
	int ret = bioset_init(&clones, 64, 0, 0), i;

	if (ret)
		return ret;
	workers = alloc_workqueue("blkfilter-test", WQ_MEM_RECLAIM, 0);
	directory = debugfs_create_dir("blkfilter-test", NULL);
	debugfs_create_file("twice", 0200, directory, NULL, &twice_fops);
	debugfs_create_file("traced", 0444, directory, NULL, &traced_fops);
	for_each_kernel_tracepoint(find_tracepoint, NULL);
	tracepoint_probe_register(trace_issue, on_issue, NULL);
	tracepoint_probe_register(trace_complete, on_complete, NULL);
	tracepoint_probe_register(trace_queue, on_queue, NULL);
	for (i = 0; i < FILTERS && !ret; i++)
		ret = blkfilter_register(&filters[i]);
	if (ret)
		unregister_filters(i - 1);
	return ret;
}

static void __exit test_exit(void)
{
	unregister_filters(FILTERS);
	tracepoint_probe_unregister(trace_issue, on_issue, NULL);
	tracepoint_probe_unregister(trace_complete, on_complete, NULL);
	tracepoint_probe_unregister(trace_queue, on_queue, NULL);
	tracepoint_synchronize_unregister();
	debugfs_remove_recursive(directory);
	destroy_workqueue(workers);
	bioset_exit(&clones);
}

module_init(test_init);
module_exit(test_exit);

MODULE_DESCRIPTION("Filters for the tests of blkfilter");
MODULE_LICENSE("GPL");
