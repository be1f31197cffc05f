#!/bin/bash
# SPDX-License-Identifier: MIT
# Filters stay, with what they have counted, on partitions that a rescan brings back the same; on one that is another now they go
# as CHANGED, on one that was deleted as REMOVED. A device that grows or shrinks (loop, dm) or gets another medium (loop) tells
# its filters. Whoever has a deleted partition open still finds no chain, and no crash.
# lab: kernels debug 6.12 6.1
# lab: timeout 240
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

modprobe loop
modprobe dm_mod
load_filters
null_disk follow size=64
disk=$NULL_DISK
truncate -s 16M /tmp/first
truncate -s 12M /tmp/second
on_exit remove_dm follow
PYTHONPATH=$SRC/tests/vm/lib python3 "$SRC/tests/vm/partitions_are_followed.py" "$disk"
