// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rules: what is attached to a device before its first bio.
 *
 * Only keys that the kernel knows at that moment can match: nobody in userspace
 * has heard of the device yet.  While there is a rule the hook stays, because it
 * cannot be installed under the driver core's locks.
 */
#include <linux/glob.h>
#include <linux/module.h>
#include <linux/slab.h>
#include "core.h"

struct bf_rule {
	struct list_head link;
	struct blkfilter_rule key;	/* count: of @entry */
	struct bf_entry *entry;
};

static LIST_HEAD(bf_rules);
static DEFINE_MUTEX(bf_rules_lock);	/* nests in the driver core's locks */
static u32 bf_rule_last;
static u32 bf_rule_count;

/**
 * bf_rule_add() - add a rule behind the others
 * @key:   what must match; key->id is filled in.
 * @entry: key->count entries; the rule's from here on when it succeeds.
 *
 * Return: 0, -ENOSPC, -ENOMEM, or why the hook could not be installed.
 */
int bf_rule_add(struct blkfilter_rule *key, struct bf_entry *entry)
{
	struct bf_rule *rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	int ret = -ENOSPC;

	if (!rule)
		return -ENOMEM;
	ret = bf_hook_get();
	if (ret) {
		kfree(rule);
		return ret;
	}
	mutex_lock(&bf_rules_lock);
	if (bf_rule_count < BLKFILTER_RULES_MAX) {
		bf_rule_count++;
		key->id = ++bf_rule_last;
		rule->key = *key;
		rule->entry = entry;
		list_add_tail(&rule->link, &bf_rules);
	} else {
		ret = -ENOSPC;
	}
	mutex_unlock(&bf_rules_lock);
	if (ret) {
		kfree(rule);
		bf_hook_put();
	}
	return ret;
}

static void bf_rule_free(struct bf_rule *rule)
{
	list_del(&rule->link);
	bf_rule_count--;
	bf_entries_free(rule->entry, rule->key.count);
	kfree(rule);
	bf_hook_put();
}

/* Return: 0 or -ENOENT. */
int bf_rule_remove(u32 id)
{
	struct bf_rule *rule;
	int ret = -ENOENT;

	mutex_lock(&bf_rules_lock);
	list_for_each_entry(rule, &bf_rules, link) {
		if (rule->key.id == id) {
			bf_rule_free(rule);
			ret = 0;
			break;
		}
	}
	mutex_unlock(&bf_rules_lock);
	return ret;
}

/* Fills what fits; returns how many there are. */
u32 bf_rules_fill(struct blkfilter_rule *to, u32 room)
{
	struct bf_rule *rule;
	u32 n = 0;

	mutex_lock(&bf_rules_lock);
	list_for_each_entry(rule, &bf_rules, link) {
		if (n < room)
			to[n] = rule->key;
		n++;
	}
	mutex_unlock(&bf_rules_lock);
	return n;
}

/* The disk's EUI-64, NAA or UUID in hexadecimal, or "". */
static void bf_wwid(struct gendisk *gd, char *wwid, size_t size)
{
	u8 id[16];
	int n = 0;

	wwid[0] = 0;
	if (gd->fops->get_unique_id)
		n = gd->fops->get_unique_id(gd, id, BLK_UID_NAA);
	if (n <= 0 && gd->fops->get_unique_id)
		n = gd->fops->get_unique_id(gd, id, BLK_UID_EUI64);
	if (n > 0 && 2 * n < size)
		*bin2hex(wwid, id, n) = 0;
}

static bool bf_rule_matches(const struct blkfilter_rule *key,
			    struct bf_dev *dev)
{
	const struct partition_meta_info *meta = dev->bdev->bd_meta_info;
	struct module *driver = dev->gd->fops->owner;
	u32 flags = key->flags;
	char wwid[40];

	if (flags & BLKFILTER_RULE_DISK && dev->partno)
		return false;
	if (flags & BLKFILTER_RULE_PARTITION && !dev->partno)
		return false;
	if (flags & BLKFILTER_RULE_MAJOR && MAJOR(dev->devt) != key->major)
		return false;
	if (flags & BLKFILTER_RULE_NAME &&
	    !glob_match((const char *)key->name, dev->name))
		return false;
	if (flags & BLKFILTER_RULE_DRIVER &&
	    (!driver || strcmp((const char *)key->driver, driver->name)))
		return false;
	if (flags & BLKFILTER_RULE_PARTUUID &&
	    (!meta || strcmp((const char *)key->partuuid, meta->uuid)))
		return false;
	if (flags & BLKFILTER_RULE_PARTLABEL &&
	    (!meta || strcmp((const char *)key->partlabel, meta->volname)))
		return false;
	if (flags & BLKFILTER_RULE_WWID) {
		bf_wwid(dev->gd, wwid, sizeof(wwid));
		if (strcmp((const char *)key->wwid, wwid))
			return false;
	}
	return true;
}

static void bf_rule_apply(const struct bf_rule *rule, struct bf_dev *dev)
{
	struct bf_entry *entry = kcalloc(rule->key.count, sizeof(*entry),
					 GFP_KERNEL);
	u32 i;

	if (!entry) {
		pr_err("%s: no memory for the filters of rule %u\n", dev->name,
		       rule->key.id);
		return;
	}
	/* Options are only read: they may be the rule's. */
	memcpy(entry, rule->entry, rule->key.count * sizeof(*entry));
	for (i = 0; i < rule->key.count; i++)
		entry[i].provisional = rule->key.provisional_ms;
	bf_stack_appearing(dev, entry, rule->key.count);
	kfree(entry);
	if (dev->stack.n && rule->key.provisional_ms) {
		bf_dev_get(dev);
		queue_delayed_work(bf_wq, &dev->provisional,
				   msecs_to_jiffies(rule->key.provisional_ms));
	}
}

/**
 * bf_rules_apply() - a device has appeared
 * @dev: it; under the driver core's locks.
 *
 * The first rule that matches; without one, every registered filter that wants
 * the device.
 */
void bf_rules_apply(struct bf_dev *dev)
{
	struct blkfilter_operations *ops = NULL;
	struct bf_rule *rule;
	bool matched = false;

	if (bf_fault(NO_RULES))
		return;
	mutex_lock(&bf_rules_lock);
	list_for_each_entry(rule, &bf_rules, link) {
		if (bf_rule_matches(&rule->key, dev)) {
			bf_rule_apply(rule, dev);
			matched = true;
			break;
		}
	}
	mutex_unlock(&bf_rules_lock);
	while (!matched && bf_filter_wants(dev->bdev, &ops))
		bf_stack_wanted(dev, ops->name);
}

void bf_rules_exit(void)
{
	struct bf_rule *rule, *next;

	/* Devices appear until bf_nodes_exit(). */
	mutex_lock(&bf_rules_lock);
	list_for_each_entry_safe(rule, next, &bf_rules, link)
		bf_rule_free(rule);
	mutex_unlock(&bf_rules_lock);
}
