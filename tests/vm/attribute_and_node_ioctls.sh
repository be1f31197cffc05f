#!/bin/bash
# SPDX-License-Identifier: MIT
# The attribute `filter` of disks and partitions, while the core is loaded; attach, detach and command by ioctls on the node of
# a disk and of a partition: what they do and each errno; without them (ioctl_hook=0) all the rest works.
# lab: kernels debug 6.12 6.1
# lab: timeout 240
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

null_disk node size=64
disk=$NULL_DISK
partition "$disk" 8
part=$(basename "$(node_of "$disk" 1)")
attributes=("/sys/block/$disk/filter" "/sys/class/block/$part/filter")

with_core() { # PARAMETER...: everything once, from load to unload
    insmod "$MODDIR/blkfilter.ko" "$@"
    insmod "$MODDIR/blkfilter-test.ko"
    PYTHONPATH=$SRC/tests/vm/lib python3 "$SRC/tests/vm/attribute_and_node_ioctls.py" "$disk" "$part" "$*"
    rmmod blkfilter_test
    rmmod blkfilter
    for attribute in "${attributes[@]}"; do
        [ ! -e "$attribute" ] || fail "$attribute without the core"
    done
    expect_fail blkfilter-tool node-attach "/dev/$disk" test0 2> /dev/null
}

with_core
with_core ioctl_hook=0
with_core ioctl_hook=1
