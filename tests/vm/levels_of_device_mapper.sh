#!/bin/bash
# Every bio once at every level: dm-linear on a partition that is split, and dm-crypt, whose bios come from workers.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk a size=48 max_sectors=16 discard=1
a=$NULL_DISK
partition "$a" 24
part=$(basename "$(node_of "$a" 1)")
. "$SRC/tests/vm/lib/levels.sh"

dmsetup create linear --table "0 49152 linear /dev/$part 0"
on_exit remove_dm linear
levels "$(dm_disk linear)" "$part"
remove_dm linear

modprobe dm_crypt
dmsetup create crypt --table "0 49152 crypt aes-xts-plain64 $(printf '%064d' 7) 0 /dev/$part 0"
on_exit remove_dm crypt
levels "$(dm_disk crypt)" "$part"
