#!/bin/bash
# Every bio once at every level: md raid0 on disks and on partitions, also with queue/iostats 0, where md sends the very same
# bio to its leg; and raid1.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe raid0
modprobe raid1
null_disk a size=64 max_sectors=16 discard=1
a=$NULL_DISK
null_disk b size=64 discard=1
b=$NULL_DISK
partition "$a" 24 24
a1=$(basename "$(node_of "$a" 1)") a2=$(basename "$(node_of "$a" 2)")
. "$SRC/tests/vm/lib/levels.sh"

raid() { # LEVEL IOSTATS LEG...
    local level=$1 iostats=$2
    shift 2
    echo "--- raid$level, iostats $iostats, on $*"
    make_md "$level" "$@"
    echo "$iostats" > /sys/block/md77/queue/iostats
    levels md77 "$@"
    remove_md "$@"
}
raid 0 1 "$b" "$a1"
# 6.12 makes a clone for its accounting whatever iostats says.
[ "$KERNEL" != 6.1 ] || RETARGETED=1
# So the debug kernel, a 6.12, need not do the same twice.
[ "$KERNEL" = debug ] || raid 0 0 "$a1" "$a2"
RETARGETED=
raid 1 1 "$a1" "$b"
