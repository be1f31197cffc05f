// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gates: closing some disks together, so that all their writes are either
 * complete or not yet begun.
 *
 * A gate is closed by killing the reference of the disk's version: the hook's
 * tryget fails and parks.  What has a hold goes on; what it needs (own bios,
 * remainders, resumed bios) still passes, counted on the disk.  Disk after disk,
 * upper before lower, is closed and drained; then all are sealed at once.
 *
 * No RCU grace period happens while a gate is closed (15-20 ms each): all
 * references that will be killed are made atomic before, in one grace period.
 * That includes q_usage_counter of queues to be frozen.
 *
 * What is relied on, read in 6.1 and 6.12: percpu_ref_kill() of an atomic
 * reference runs its release at zero without RCU; percpu_ref_resurrect() is legal
 * at any count; blk_freeze_queue_start() kills q_usage_counter;
 * blk_mq_unfreeze_queue() leaves an atomic one atomic, by
 * percpu_ref_data.force_atomic.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include "core.h"
#include "trace.h"

#define BF_LIMIT_MS		1000
#define BF_LIMIT_MOST_MS	(24 * 60 * 60 * 1000)

/* Points are serialised: making a reference atomic is one bit, not a count. */
static DEFINE_MUTEX(bf_gates_lock);

/* Makes the gates' and the queues' references atomic: one grace period. */
static void bf_gates_prepare(struct bf_gates *gates)
{
	struct percpu_ref *gate, *queue;
	int pass;
	u32 i;

	for (pass = 0; pass < 2; pass++) {
		void (*go)(struct percpu_ref *ref) = NULL;

		if (pass)
			go = percpu_ref_switch_to_atomic_sync;
		for (i = 0; i < gates->n; i++) {
			struct bf_disk *disk = gates->disk[i];
			struct bf_version *version = bf_version_get(disk);

			if (!version)
				continue;	/* gone: closing says so */
			gate = &version->ref;
			queue = &disk->gd->queue->q_usage_counter;
			if (go)
				go(gate);
			else
				percpu_ref_switch_to_atomic(gate, NULL);
			if (gates->counts && disk->mq) {
				/* Not its mode: it may be frozen just now. */
				if (!pass && !queue->data->force_atomic)
					__set_bit(i, gates->was_percpu);
				if (go)
					go(queue);
				else
					percpu_ref_switch_to_atomic(queue, NULL);
			}
			bf_version_put(version);
		}
	}
}

/* Puts back what bf_gates_prepare() made atomic. */
static void bf_gates_relax(struct bf_gates *gates)
{
	u32 i;

	for (i = 0; i < gates->n; i++) {
		struct bf_disk *disk = gates->disk[i];
		struct request_queue *queue = disk->gd->queue;
		struct bf_version *version = bf_version_get(disk);

		if (version) {
			percpu_ref_switch_to_percpu(&version->ref);
			bf_version_put(version);
		}
		if (test_bit(i, gates->was_percpu))
			percpu_ref_switch_to_percpu(&queue->q_usage_counter);
	}
}

/**
 * bf_gates_time_left() - until the limit of gates that are closed
 * @gates: which.
 *
 * Return: jiffies, 0 when it is over.
 */
long bf_gates_time_left(const struct bf_gates *gates)
{
	s64 left = (gates->limit_ms ?: BF_LIMIT_MS) -
		   ktime_ms_delta(ktime_get(), gates->since);

	/* blk_mq_freeze_queue_wait_timeout() returns what is left as an int. */
	left = min_t(s64, left, BF_LIMIT_MOST_MS);
	return left > 0 ? msecs_to_jiffies(left) + 1 : 0;
}

static bool bf_drained(struct bf_disk *disk)
{
	struct bf_version *version;
	bool drained;

	spin_lock_irq(&disk->lock);
	drained = !disk->extra || bf_fault(IGNORE_OWN);
	list_for_each_entry(version, &disk->versions, link)
		drained = drained && percpu_ref_is_zero(&version->ref);
	spin_unlock_irq(&disk->lock);
	return drained;
}

/* Closes one disk and waits until nothing of it is on its way. */
static int bf_gate_close(struct bf_gates *gates, struct bf_disk *disk)
{
	struct request_queue *queue = disk->gd->queue;
	struct bf_version *version;
	int ret = 0;

	mutex_lock(&bf_lock);
	version = rcu_dereference_protected(disk->version,
					    lockdep_is_held(&bf_lock));
	if (version) {
		spin_lock_irq(&disk->lock);
		disk->closed = true;
		spin_unlock_irq(&disk->lock);
		percpu_ref_kill(&version->ref);
	}
	mutex_unlock(&bf_lock);
	if (!version)
		return -ENODEV;

	if (!wait_event_timeout(disk->wait, bf_drained(disk),
				bf_gates_time_left(gates)))
		return -ETIMEDOUT;
	if (!gates->counts || !disk->mq || bf_fault(NO_FREEZE))
		return 0;
	/*
	 * What passed by the shortcut holds q_usage_counter now.  Drained
	 * first: whoever holds our reference could sleep on the frozen queue.
	 * Unfrozen at once: nothing new passes the gate, and reads may.
	 */
	blk_freeze_queue_start(queue);
	if (blk_mq_freeze_queue_wait_timeout(queue, bf_gates_time_left(gates)) <= 0)
		ret = -ETIMEDOUT;
	blk_mq_unfreeze_queue(queue);
	return ret;
}

/*
 * All are closed and were drained, but own bios of one may have entered
 * another since.  From here on they are parked too.
 */
static int bf_gates_seal(struct bf_gates *gates)
{
	bool all;
	u32 i;

	do {
		all = true;
		for (i = 0; i < gates->n; i++) {
			if (!wait_event_timeout(gates->disk[i]->wait,
						bf_drained(gates->disk[i]),
						bf_gates_time_left(gates))) {
				gates->failed = i;
				return -ETIMEDOUT;
			}
		}
		for (i = 0; i < gates->n; i++) {
			struct bf_disk *disk = gates->disk[i];

			spin_lock_irq(&disk->lock);
			disk->sealed = true;
			all = all && (!disk->extra || bf_fault(IGNORE_OWN));
			spin_unlock_irq(&disk->lock);
		}
		for (i = 0; !all && i < gates->n; i++)
			bf_unseal(gates->disk[i]);
	} while (!all);
	return 0;
}

static void bf_gate_open(struct bf_disk *disk)
{
	struct bf_version *version;

	mutex_lock(&bf_lock);
	version = rcu_dereference_protected(disk->version,
					    lockdep_is_held(&bf_lock));
	if (disk->closed) {
		if (version)
			percpu_ref_resurrect(&version->ref);
		spin_lock_irq(&disk->lock);
		disk->sealed = false;
		/* A zoned disk opens when nothing is parked any more. */
		if (!disk->zoned || !version)
			disk->closed = false;
		spin_unlock_irq(&disk->lock);
		queue_work(disk->wq, &disk->work);
		wake_up_all(&disk->wait);
	}
	mutex_unlock(&bf_lock);
}

/**
 * bf_gates_close() - close some disks: the instant can take place
 * @gates: which; the caller has claimed them.
 *
 * Sleeps, at most for the limit.  Always to be followed by bf_gates_open();
 * allocations in between do no I/O.
 *
 * Return: 0; -ETIMEDOUT, -ENODEV, with gates->failed; -ENOMEM.
 */
int bf_gates_close(struct bf_gates *gates)
{
	int ret = 0;
	u32 i;

	mutex_lock(&bf_gates_lock);
	gates->failed = 0;
	gates->noio = memalloc_noio_save();
	gates->was_percpu = bitmap_zalloc(gates->n, GFP_KERNEL);
	if (!gates->was_percpu)
		return -ENOMEM;
	bf_gates_prepare(gates);
	gates->since = ktime_get();
	for (i = 0; i < gates->n && !ret; i++) {
		ret = bf_gate_close(gates, gates->disk[i]);
		if (ret)
			gates->failed = i;
	}
	if (!ret)
		ret = bf_gates_seal(gates);
	if (bf_fault(OPEN_EARLY))
		for (i = 0; i < gates->n; i++)
			bf_gate_open(gates->disk[i]);
	return ret;
}

/**
 * bf_gates_open() - open what bf_gates_close() closed, whatever it returned
 * @gates: as given there.
 */
void bf_gates_open(struct bf_gates *gates)
{
	u32 i;

	if (gates->was_percpu) {
		for (i = 0; i < gates->n; i++)
			bf_gate_open(gates->disk[i]);
		gates->closed_ns = ktime_to_ns(ktime_sub(ktime_get(),
							 gates->since));
		bf_gates_relax(gates);
		bitmap_free(gates->was_percpu);
	}
	memalloc_noio_restore(gates->noio);
	mutex_unlock(&bf_gates_lock);
}

static bool bf_is_open(struct bf_disk *disk)
{
	return !READ_ONCE(disk->closed);
}

/* Waits until the gate is open; at most as long as a point may take. */
void bf_wait_open(struct bf_disk *disk)
{
	wait_event(disk->wait, bf_is_open(disk));
}
