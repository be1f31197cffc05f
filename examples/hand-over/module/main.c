// SPDX-License-Identifier: GPL-2.0-only
/* The module: both filters. */
#include <linux/module.h>
#include "hand-over.h"

static int __init acme_init(void)
{
	int ret = blkfilter_register(&acme_clone_operations);

	if (ret)
		return ret;
	ret = blkfilter_register(&acme_redirect_operations);
	if (ret)
		blkfilter_unregister(&acme_clone_operations);
	return ret;
}

static void __exit acme_exit(void)
{
	blkfilter_unregister(&acme_redirect_operations);
	blkfilter_unregister(&acme_clone_operations);
}

module_init(acme_init);
module_exit(acme_exit);

MODULE_DESCRIPTION("A clone of a device, and a redirection that takes over from it");
MODULE_LICENSE("GPL");
