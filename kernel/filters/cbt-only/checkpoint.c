// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checkpoints: the instants that a block's last write is compared with.
 */
#include <linux/bitmap.h>
#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uuid.h>
#include "cbt.h"

int cbt_history_init(struct cbt_tracker *tracker)
{
	spin_lock_init(&tracker->lock);
	mutex_init(&tracker->scan);
	INIT_LIST_HEAD(&tracker->named);
	tracker->seq = kvcalloc(CBT_SLOTS, sizeof(*tracker->seq), GFP_KERNEL);
	tracker->used = bitmap_zalloc(CBT_SLOTS, GFP_KERNEL);
	if (!tracker->seq || !tracker->used)
		return -ENOMEM;
	/* Slot 0 stands for "not since the beginning", slot 1 is the first. */
	bitmap_set(tracker->used, 0, 2);
	tracker->number = 1;
	tracker->seq[1] = 1;
	tracker->value = CBT_VALUE(1);
	return 0;
}

static void cbt_forget(struct cbt_tracker *tracker,
		       struct cbt_checkpoint *checkpoint)
{
	list_del(&checkpoint->link);
	tracker->nr_named--;
	kfree(checkpoint);
}

void cbt_history_free(struct cbt_tracker *tracker)
{
	struct cbt_checkpoint *checkpoint, *next;

	list_for_each_entry_safe(checkpoint, next, &tracker->named, link)
		cbt_forget(tracker, checkpoint);
	bitmap_free(tracker->used);
	kvfree(tracker->seq);
}

/*
 * Another generation: no checkpoint of the old one is left, so nothing of the map
 * is reported any more, and it need not be cleared.  Any context that may not
 * sleep.
 */
void cbt_generation_begin(struct cbt_tracker *tracker)
{
	struct cbt_checkpoint *checkpoint, *next;

	spin_lock(&tracker->lock);
	list_for_each_entry_safe(checkpoint, next, &tracker->named, link)
		if (!checkpoint->creator)
			cbt_forget(tracker, checkpoint);
	memset(tracker->unnamed, 0, sizeof(tracker->unnamed));
	generate_random_uuid(tracker->generation);
	tracker->settled = true;
	spin_unlock(&tracker->lock);
}

/* Begins the next interval.  Under the lock; no bio is on its way. */
static bool cbt_advance(struct cbt_tracker *tracker)
{
	u32 slot = find_next_zero_bit(tracker->used, cbt_slots,
				      CBT_SLOT(tracker->value) + 1);

	if (slot >= cbt_slots)
		slot = find_first_zero_bit(tracker->used, cbt_slots);
	if (slot >= cbt_slots || tracker->number == U32_MAX)
		return false;
	__set_bit(slot, tracker->used);
	tracker->seq[slot] = ++tracker->number;
	WRITE_ONCE(tracker->value, CBT_VALUE(slot));
	return true;
}

static bool cbt_id_is_zero(const u8 *id)
{
	return !memchr_inv(id, 0, BLKFILTER_ID_LENGTH);
}

/* The instant that a checkpoint waited for; @number 0: it cannot be. */
static void cbt_made(struct cbt_tracker *tracker,
		     struct cbt_checkpoint *checkpoint, u64 number, u64 now)
{
	struct blkfilter_cbt_create *creator = checkpoint->creator;

	if (!number) {
		checkpoint->refused = true;
		return;
	}
	checkpoint->what.number = number;
	checkpoint->what.time_ns = now;
	checkpoint->creator = NULL;
	creator->number = number;
	memcpy(creator->generation, tracker->generation,
	       sizeof(creator->generation));
}

/**
 * cbt_instant() - the instant of a point
 * @tracker: no bio of its device is on its way.
 * @id:      the point's, or NULL.
 *
 * Makes the checkpoints that wait for an instant, and an unnamed one for an @id.
 */
void cbt_instant(struct cbt_tracker *tracker, const u8 *id)
{
	struct cbt_checkpoint *checkpoint;
	bool wanted = id, refused;
	u64 now, number;

	spin_lock(&tracker->lock);
	number = tracker->number;
	list_for_each_entry(checkpoint, &tracker->named, link)
		wanted = wanted || checkpoint->creator;
	if (!wanted || !tracker->settled)
		goto out;
	refused = !cbt_advance(tracker);
	now = ktime_get_real_ns();
	list_for_each_entry(checkpoint, &tracker->named, link)
		if (checkpoint->creator)
			cbt_made(tracker, checkpoint, refused ? 0 : number, now);
	if (id && !refused) {
		struct blkfilter_cbt_checkpoint *unnamed =
			&tracker->unnamed[tracker->next_unnamed];

		tracker->next_unnamed = (tracker->next_unnamed + 1) %
					BLKFILTER_CBT_UNNAMED;
		*unnamed = (struct blkfilter_cbt_checkpoint){
			.number = number, .time_ns = now,
		};
		memcpy(unnamed->id, id, sizeof(unnamed->id));
	}
out:
	spin_unlock(&tracker->lock);
}

static struct cbt_checkpoint *cbt_find(struct cbt_tracker *tracker,
				       const u8 *name)
{
	struct cbt_checkpoint *checkpoint;

	list_for_each_entry(checkpoint, &tracker->named, link)
		if (!strcmp(checkpoint->what.name, name))
			return checkpoint;
	return NULL;
}

static bool cbt_name_is_valid(const u8 *name)
{
	u32 i;

	for (i = 0; i < BLKFILTER_CBT_NAME_LENGTH && name[i]; i++)
		if (!isascii(name[i]) || !isgraph(name[i]))
			return false;
	return i && i < BLKFILTER_CBT_NAME_LENGTH;
}

/* Gives the unnamed checkpoint of a point to @what.  The newest with that id. */
static int cbt_take_unnamed(struct cbt_tracker *tracker, const u8 *id,
			    struct blkfilter_cbt_checkpoint *what)
{
	struct blkfilter_cbt_checkpoint *found = NULL;
	u32 i;

	for (i = 0; i < BLKFILTER_CBT_UNNAMED; i++) {
		struct blkfilter_cbt_checkpoint *unnamed = &tracker->unnamed[i];

		if (unnamed->number && !memcmp(unnamed->id, id,
					       sizeof(unnamed->id)) &&
		    (!found || unnamed->number > found->number))
			found = unnamed;
	}
	if (!found)
		return -ENOENT;
	what->number = found->number;
	what->time_ns = found->time_ns;
	memcpy(what->id, found->id, sizeof(what->id));
	return 0;
}

/*
 * Enters @checkpoint, which waits for an instant unless a point has made it.
 * Under the lock.
 */
static int cbt_enter(struct cbt_tracker *tracker,
		     struct cbt_checkpoint *checkpoint,
		     struct blkfilter_cbt_create *create)
{
	int ret = 0;

	if (!tracker->settled)
		return -EAGAIN;
	if (cbt_find(tracker, checkpoint->what.name))
		return -EEXIST;
	if (tracker->nr_named == BLKFILTER_CBT_NAMED_MAX ||
	    tracker->number == U32_MAX)
		return -ENOSPC;
	checkpoint->creator = create;
	if (!cbt_id_is_zero(create->id)) {
		ret = cbt_take_unnamed(tracker, create->id, &checkpoint->what);
		if (!ret)
			cbt_made(tracker, checkpoint, checkpoint->what.number,
				 checkpoint->what.time_ns);
	}
	if (!ret) {
		list_add_tail(&checkpoint->link, &tracker->named);
		tracker->nr_named++;
	}
	return ret;
}

/*
 * Waits for the instant of @checkpoint.  Any other point that comes first does as
 * well.  The checkpoint is ours until its instant; then somebody may delete it.
 */
static int cbt_wait(struct cbt_tracker *tracker,
		    struct cbt_checkpoint *checkpoint,
		    struct blkfilter_cbt_create *create)
{
	int ret = blkfilter_point(&tracker->flt, create->limit_ms);

	spin_lock(&tracker->lock);
	if (create->number) {
		ret = 0;
	} else {
		/* A point that this filter did not hear: it is on its way out. */
		ret = ret ?: checkpoint->refused ? -ENOSPC : -ENODEV;
		cbt_forget(tracker, checkpoint);
	}
	spin_unlock(&tracker->lock);
	return ret;
}

/**
 * cbt_create() - a checkpoint with a name
 * @tracker: whose.
 * @create:  what is asked for; the results are filled in.
 *
 * Sleeps for a point of the device: the instant is some moment during the call.
 */
int cbt_create(struct cbt_tracker *tracker, struct blkfilter_cbt_create *create)
{
	struct cbt_checkpoint *checkpoint;
	int ret;

	if (!cbt_name_is_valid(create->name))
		return -EINVAL;
	checkpoint = kzalloc(sizeof(*checkpoint), GFP_KERNEL);
	if (!checkpoint)
		return -ENOMEM;
	strscpy(checkpoint->what.name, create->name, BLKFILTER_CBT_NAME_LENGTH);
	create->number = 0;
	spin_lock(&tracker->lock);
	ret = cbt_enter(tracker, checkpoint, create);
	spin_unlock(&tracker->lock);
	if (ret)
		kfree(checkpoint);
	else if (cbt_id_is_zero(create->id))
		ret = cbt_wait(tracker, checkpoint, create);
	return ret;
}

int cbt_delete(struct cbt_tracker *tracker, const u8 *name)
{
	struct cbt_checkpoint *checkpoint;
	bool found;

	spin_lock(&tracker->lock);
	checkpoint = cbt_find(tracker, name);
	found = checkpoint && checkpoint->what.number;
	if (found)
		cbt_forget(tracker, checkpoint);
	spin_unlock(&tracker->lock);
	return found ? 0 : -ENOENT;
}

/* Is there one with this number?  Under the lock. */
bool cbt_number_exists(struct cbt_tracker *tracker, u64 number)
{
	struct cbt_checkpoint *checkpoint;
	u32 i;

	list_for_each_entry(checkpoint, &tracker->named, link)
		if (checkpoint->what.number == number)
			return number;
	for (i = 0; i < BLKFILTER_CBT_UNNAMED; i++)
		if (tracker->unnamed[i].number == number)
			return number;
	return false;
}

/**
 * cbt_list() - all checkpoints
 * @tracker:    whose.
 * @list:       room for @room of them: those with names, then the unnamed ones.
 * @room:       at most so many are filled in.
 * @generation: out.
 *
 * Return: how many there are.
 */
u32 cbt_list(struct cbt_tracker *tracker, struct blkfilter_cbt_checkpoint *list,
	     u32 room, u8 *generation)
{
	struct cbt_checkpoint *checkpoint;
	u32 n = 0, i;

	spin_lock(&tracker->lock);
	memcpy(generation, tracker->generation, BLKFILTER_ID_LENGTH);
	list_for_each_entry(checkpoint, &tracker->named, link)
		if (checkpoint->what.number && n++ < room)
			list[n - 1] = checkpoint->what;
	for (i = 0; i < BLKFILTER_CBT_UNNAMED; i++) {
		u32 k = (tracker->next_unnamed + i) % BLKFILTER_CBT_UNNAMED;

		if (tracker->unnamed[k].number && n++ < room)
			list[n - 1] = tracker->unnamed[k];
	}
	spin_unlock(&tracker->lock);
	return n;
}
