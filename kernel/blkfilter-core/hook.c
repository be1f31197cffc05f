// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where bios enter: submit_bio_noacct_nocheck() of a stock kernel.
 *
 * ftrace calls bf_traced() at the function's entry; for a bio of a filtered
 * disk it makes the trampoline return into bf_submit() instead.
 *
 *  - IPMODIFY: we change the return address.  One such user a function; the
 *    second gets EBUSY, whoever comes second.
 *  - PERMANENT: kernel.ftrace_enabled=0 is refused while we are there, instead
 *    of switching the filters off without a word.
 *  - No RECURSION help is needed: bf_traced() calls nothing that submits bios.
 *
 * The original is called through a static call to the instruction behind its
 * fentry call: a direct jump, legal where indirect ones to it are not (the
 * entry's ENDBR is sealed on 6.12 with IBT), and a tail call, so that nothing of
 * ours is on the stack of a task that sleeps in there.
 *
 * Unloading: unregister_ftrace_function() waits for tasks in the trampoline and
 * in our code (rcu tasks), but not for those that sleep.  Everything that may
 * sleep in our code holds a version of a disk, and the disks are gone by then.
 */
#include <linux/ftrace.h>
#include <linux/kprobes.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>
#include "core.h"

#define BF_FUNCTION "submit_bio_noacct_nocheck"

/* How long the hook stays after its last user has gone. */
#define BF_HOOK_LINGER (2 * HZ)

DEFINE_STATIC_CALL(bf_original, submit_bio_noacct);

static void notrace bf_traced(unsigned long ip, unsigned long parent_ip,
			      struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
	struct bio *bio = (struct bio *)ftrace_regs_get_argument(fregs, 0);

	if (bf_disk_find(bio->bi_bdev->bd_disk))
		ftrace_regs_set_instruction_pointer(fregs,
						    (unsigned long)bf_submit);
}

static struct ftrace_ops bf_ops = {
	.func = bf_traced,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_DYNAMIC |
		 FTRACE_OPS_FL_PERMANENT,
};

static DEFINE_MUTEX(bf_hook_lock);
static unsigned int bf_hook_users;
static bool bf_hook_on;

/**
 * bf_address() - address of a kernel function that is not exported
 * @function: its name.
 *
 * A kprobe finds it; it is taken off again at once.
 *
 * Return: the address of the entry, or 0.
 */
unsigned long bf_address(const char *function)
{
	struct kprobe probe = { .symbol_name = function };
	unsigned long address;

	if (register_kprobe(&probe))
		return 0;
	address = (unsigned long)probe.addr;
	unregister_kprobe(&probe);
	return address;
}

/**
 * bf_hook_prepare() - find the function; the hook is not installed yet
 *
 * Return: 0, or -ENOENT with a line in the log.
 */
int bf_hook_prepare(void)
{
	unsigned long address = bf_address(BF_FUNCTION);
	int ret;

	if (!address) {
		pr_err("this kernel has no function %s that can be traced\n",
		       BF_FUNCTION);
		return -ENOENT;
	}
	static_call_update(bf_original,
			   (void (*)(struct bio *))(address + MCOUNT_INSN_SIZE));
	ret = ftrace_set_filter(&bf_ops, (u8 *)BF_FUNCTION,
				strlen(BF_FUNCTION), 0);
	if (ret)
		pr_err("%s cannot be traced: %d\n", BF_FUNCTION, ret);
	return ret;
}

static void bf_hook_remove(struct work_struct *work)
{
	mutex_lock(&bf_hook_lock);
	if (!bf_hook_users && bf_hook_on) {
		unregister_ftrace_function(&bf_ops);
		bf_hook_on = false;
	}
	mutex_unlock(&bf_hook_lock);
}

static DECLARE_DELAYED_WORK(bf_hook_remover, bf_hook_remove);

/**
 * bf_hook_get() - install the hook unless it is there
 *
 * Sleeps.  Return: 0, or an errno with a line in the log.
 */
int bf_hook_get(void)
{
	int ret = 0;

	mutex_lock(&bf_hook_lock);
	if (!bf_hook_on) {
		ret = register_ftrace_function(&bf_ops);
		if (ret == -EBUSY)
			pr_err("%s: ftrace is switched off (kernel.ftrace_enabled), or a live patch or another filter driver holds it\n",
			       BF_FUNCTION);
		else if (ret)
			pr_err("%s cannot be hooked: %d\n", BF_FUNCTION, ret);
		bf_hook_on = !ret;
	}
	if (!ret)
		bf_hook_users++;
	mutex_unlock(&bf_hook_lock);
	return ret;
}

/**
 * bf_hook_put() - one user less; the last one's hook goes a little later
 *
 * Taking it off waits for all tasks: from a work item, not in a detach.
 */
void bf_hook_put(void)
{
	mutex_lock(&bf_hook_lock);
	if (!--bf_hook_users)
		mod_delayed_work(bf_wq, &bf_hook_remover, BF_HOOK_LINGER);
	mutex_unlock(&bf_hook_lock);
}

bool bf_hook_active(void)
{
	return READ_ONCE(bf_hook_on);
}

/* Takes the hook off and waits until nobody is in our code because of it. */
void bf_hook_exit(void)
{
	cancel_delayed_work_sync(&bf_hook_remover);
	bf_hook_remove(NULL);
	ftrace_free_filter(&bf_ops);
	synchronize_rcu_tasks();
}
