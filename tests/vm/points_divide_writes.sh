#!/bin/bash
# A consistency point over a slow, busy disk: while a filter sits in the instant, no write of the disk is issued, completed or
# queued, and none is in flight; afterwards I/O goes on and nothing was lost. Over one disk, over {dm-linear, its disk}, over
# dm-linear alone, over {dm-delay, its disk}, and over {loop, its disk}, upper before lower.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe dm_mod
modprobe loop
slow=(size=64 irqmode=2 completion_nsec=50000000 hw_queue_depth=32)
null_disk a "${slow[@]}"
a=$NULL_DISK

. "$SRC/tests/vm/lib/points.sh"

echo "--- one disk"
points 5 "$a"

echo "--- dm-linear and its disk"
dmsetup create linear --table "0 131072 linear /dev/$a 0"
on_exit remove_dm linear
points 5 "$(dm_disk linear)" "$a"

# Nothing but the count of each write until it completes shows what is in flight, as no queue is frozen: of the bios that passed,
# and of a filter's own ones that no bio waits for.
echo "--- dm-linear alone"
points 5 "$(dm_disk linear)"
taking=("${ALSO[@]}")
ALSO=("test4,options=late=20")
points 5 "$(dm_disk linear)"
ALSO=("${taking[@]}")
remove_dm linear

echo "--- dm-delay, which keeps bios itself, and its disk"
modprobe dm-delay
dmsetup create delay --table "0 131072 delay /dev/$a 0 30"
on_exit remove_dm delay
points 3 "$(dm_disk delay)" "$a"
remove_dm delay

echo "--- loop and its disk"
loop=$(losetup --find --show --direct-io=on "/dev/$a")
points 3 "$(basename "$loop")" "$a"
losetup -d "$loop"
