// SPDX-License-Identifier: GPL-2.0-only
/* class_interface.add_dev() takes the device alone (6.4) */
#include <linux/device/class.h>

static int add(struct device *dev)
{
	return 0;
}

struct class_interface probe = { .add_dev = add };
