#!/bin/bash
# Every bio once at every level: a logical volume, and a loop device on a partition.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/stacks.sh"

load_filters
null_disk b size=64 discard=1
b=$NULL_DISK
null_disk a size=48
partition "$NULL_DISK" 32
part=$(basename "$(node_of "$NULL_DISK" 1)")
. "$SRC/tests/vm/lib/levels.sh"

on_volume levels "$b"
on_loop levels "$part"
