// SPDX-License-Identifier: GPL-2.0-only
/*
 * acme-redirect: all I/O of the device goes to another one, which acme-clone hands
 * over.  Attached in another way it passes everything.
 */
#include <linux/fs.h>
#include <linux/slab.h>
#include "hand-over.h"

struct acme_redirect {
	struct blkfilter flt;
	struct acme_worker worker;
	struct file *target;	/* changes with the gate closed only */
};

static struct acme_redirect *acme_redirect_of(struct blkfilter *flt)
{
	return container_of(flt, struct acme_redirect, flt);
}

static void acme_redirect_done(struct bio *bio)
{
	struct acme_io *io = bio->bi_private;

	io->status = bio->bi_status;
	bio_put(bio);
	acme_end(io);
}

static bool acme_redirect_send(struct acme_io *io)
{
	struct blkfilter *flt = io->worker->flt;
	struct bio *bio = acme_clone_bio(io, acme_bdev(acme_redirect_of(flt)->target),
					 acme_redirect_done);

	bio->bi_iter.bi_sector = io->first;
	blkfilter_submit_other(flt, bio);
	return true;
}

static bool acme_redirect_submit_bio(struct blkfilter *flt, struct bio *bio,
				     struct blkfilter_pos pos)
{
	struct acme_redirect *redirect = acme_redirect_of(flt);

	if (!redirect->target)
		return false;
	if (!acme_take(&redirect->worker, bio, pos)) {
		/* To the device itself, whose content is old, it must not go. */
		blkfilter_take(flt, bio, pos);
		blkfilter_end(pos, bio, BLK_STS_RESOURCE);
	}
	return true;
}

/*
 * acme_redirect_takes_over() - what the predecessor's deactivate() calls
 * @flt:    its successor, whichever filter that is.
 * @target: open; ours from now on, if it returns true.
 *
 * The gate is closed: nothing is on its way, and nothing may be waited for.
 */
bool acme_redirect_takes_over(struct blkfilter *flt, struct file *target)
{
	if (flt->ops != &acme_redirect_operations)
		return false;
	acme_redirect_of(flt)->target = target;
	return true;
}

/* The device's own content is an old one: not while somebody has it open. */
static int acme_redirect_query_detach(struct blkfilter *flt,
				      enum blkfilter_reason reason)
{
	return acme_redirect_of(flt)->target &&
	       atomic_read(&flt->bdev->bd_openers) ? -EBUSY : 0;
}

static void acme_redirect_detach(struct blkfilter *flt)
{
	struct acme_redirect *redirect = acme_redirect_of(flt);

	acme_worker_exit(&redirect->worker);
	if (redirect->target)
		filp_close(redirect->target, NULL);
	kfree(redirect);
}

static struct blkfilter *acme_redirect_attach(struct block_device *bdev,
					      const struct blkfilter_attach *how)
{
	struct acme_redirect *redirect;
	int ret;

	if (how->options_size)
		return ERR_PTR(-EINVAL);
	redirect = kzalloc(sizeof(*redirect), GFP_KERNEL);
	if (!redirect)
		return ERR_PTR(-ENOMEM);
	ret = acme_worker_init(&redirect->worker, &redirect->flt,
			       acme_redirect_send, "acme-redirect");
	if (ret) {
		acme_redirect_detach(&redirect->flt);
		return ERR_PTR(ret);
	}
	return &redirect->flt;
}

static void acme_redirect_state(struct blkfilter *flt, char *buf, size_t size)
{
	strscpy(buf, acme_redirect_of(flt)->target ? "redirected" : "passing",
		size);
}

struct blkfilter_operations acme_redirect_operations = {
	.owner = THIS_MODULE,
	.name = "acme-redirect",
	.altitude = 260000 * BLKFILTER_ALTITUDE_UNIT,
	.attach = acme_redirect_attach,
	.query_detach = acme_redirect_query_detach,
	.detach = acme_redirect_detach,
	.submit_bio = acme_redirect_submit_bio,
	.state = acme_redirect_state,
};
