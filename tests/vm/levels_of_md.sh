#!/bin/bash
# Every bio once at every level: md raid0 on disks and on partitions, also with queue/iostats 0, where md sends the very same
# bio to its leg; and raid1.
# lab: kernels 6.12 6.1
# lab: soak debug
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/stacks.sh"

load_filters
null_disk a size=64 max_sectors=16 discard=1
a=$NULL_DISK
null_disk b size=64 discard=1
b=$NULL_DISK
partition "$a" 24 24
a1=$(basename "$(node_of "$a" 1)") a2=$(basename "$(node_of "$a" 2)")
. "$SRC/tests/vm/lib/levels.sh"

# Does md send the very same bio to its leg?
in_place() {
    echo 0 > "/sys/block/$1/queue/iostats"
    RETARGETED=$([ "$KERNEL" != 6.1 ] || echo 1)
    levels "$@"
    RETARGETED=
}
on_raid levels 0 "$b" "$a1"
# 6.12 makes a clone for its accounting whatever iostats says; so the debug kernel, a 6.12, need not do the same twice.
[ "$KERNEL" = debug ] || on_raid in_place 0 "$a1" "$a2"
on_raid levels 1 "$a1" "$b"
