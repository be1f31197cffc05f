#!/bin/bash
# SPDX-License-Identifier: MIT
# A device that appears gets the filters of the first rule that matches before its first bio: they have counted what the kernel's
# tracepoint has, they are settled at once. By name, driver, major, PARTUUID, PARTLABEL, wwid; disks and partitions. Provisional
# ones go unless confirmed; a filter that cannot be attached leaves a device that works.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

modprobe null_blk nr_devices=0
on_exit rmmod null_blk
modprobe dm_mod
on_exit remove_dm ruled
modprobe sd_mod
load_filters
on_exit modprobe -r scsi_debug
on_exit remove_null_disk ruled
on_exit remove_null_disk under
PYTHONPATH=$SRC/tests/vm/lib python3 "$SRC/tests/vm/rules_attach_before_the_first_bio.py"

# The core may be unloaded with a rule.
tool rule add --name 'never*' test0 > /dev/null
detach_all
tool rule add --name 'never*' test0 > /dev/null
rmmod blkfilter_test
rmmod blkfilter
insmod "$MODDIR/blkfilter.ko"
insmod "$MODDIR/blkfilter-test.ko"
