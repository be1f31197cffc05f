#!/bin/bash
# Writes that the queue splits, and whose remainders blk-throttle holds back and sends from a worker of its own: at the instant
# of a point none is in flight, and none moves. What is left of them is written after it, and seen again.
# lab: kernels debug
# lab: soak 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

group=/sys/fs/cgroup/held-back
load_filters
null_disk a size=64 max_sectors=64
a=$NULL_DISK
echo +io > /sys/fs/cgroup/cgroup.subtree_control
mkdir $group
on_exit rmdir $group
echo "$(cat "/sys/block/$a/dev") wiops=400" > $group/io.max 2> /dev/null || skip "this kernel has no blk-throttle"

attach "$a" test5,options=hold=60
instants=$(seen "$a" test5 instants)
# Each is split in 16; the limit holds nearly all remainders back.
(echo $BASHPID > $group/cgroup.procs && exec fio --name=w --filename="/dev/$a" --direct=1 --ioengine=libaio --iodepth=8 --rw=write \
    --bs=512k --size=64m --time_based --runtime=600 > /tmp/fio.out 2>&1) &
writer=$!
sleep 2
for _ in {1..10}; do
    tool point --limit 5000 "$a"
done
expect $((instants + 10)) "$(seen "$a" test5 instants)" "instants"
expect 0 "$(seen "$a" test5 in_flight_at_instant)" "writes in flight at the instant"
expect 0 "$(seen "$a" test5 moved_during_hold)" "writes that moved during the instant"
kill -INT $writer
wait $writer || true
