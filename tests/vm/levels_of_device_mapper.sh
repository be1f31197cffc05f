#!/bin/bash
# Every bio once at every level: dm-linear on a partition that is split, and dm-crypt, whose bios come from workers.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/stacks.sh"

load_filters
null_disk a size=48 max_sectors=16 discard=1
partition "$NULL_DISK" 24
part=$(basename "$(node_of "$NULL_DISK" 1)")
. "$SRC/tests/vm/lib/levels.sh"

on_linear levels "$part"
on_crypt levels "$part"
