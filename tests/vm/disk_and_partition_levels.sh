#!/bin/bash
# Disk and partition both filtered: the partition's filters come first; what is written through the disk's node is shown
# to the filters of the partition that it overlaps, split at its edges, relative to the partition.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk parted size=64 discard=1
disk=$NULL_DISK
partition "$disk" 8 8 8
first=$(basename "$(node_of "$disk" 1)") second=$(basename "$(node_of "$disk" 2)") third=$(basename "$(node_of "$disk" 3)")
attach "$disk" test7,options=record test2,options="take record"
attach "$first" test5,options=record test1,options="take record"
attach "$second" test5,options=record
start=$(cat "/sys/class/block/$first/start")
dd if=/dev/urandom of=/tmp/data bs=1M count=40 status=none

watch "$disk" "$first" "$second" "$third"
dd if=/tmp/data of="/dev/$first" bs=1M count=4 oflag=direct status=none
dd if=/tmp/data of="/dev/$third" bs=1M count=1 oflag=direct status=none
expect 8192 "$(seen "$first" test5 write_once)" "the partition's own filter"
expect 10240 "$(seen "$disk" test7 write_once)" "the disk's filter sees all partitions"
expect 0 "$(seen "$second" test5 write_once)" "a partition that was not written"
saw_all "$disk"

# Through the disk, over all of it: edges are at 1, 9, 17 and 25 MiB.
attach "$first" test5,options=record test1,options="take record"
attach "$second" test5,options=record
attach "$disk" test7,options=record test2,options="take record"
dd if=/tmp/data of="/dev/$disk" bs=4M count=10 oflag=direct conv=notrunc status=none
cmp -n $((40 << 20)) /tmp/data "/dev/$disk"
for filter in test5 test1; do
    expect 16384 "$(seen "$first" $filter write_once)" "$first $filter, through the disk"
    expect 0 "$(seen "$first" $filter write_more)" "$first $filter, through the disk, twice"
done
expect 16384 "$(seen "$second" test5 write_once)" "$second, through the disk"
expect 81920 "$(seen "$disk" test7 write_once)" "the disk's filter"
expect 0 "$(seen "$disk" test7 write_more)" "the disk's filter, twice"

# A discard over an edge, and a flush.
attach "$first" test5,options=record
blkdiscard -o $(((start - 2048) * 512)) -l $((2 << 20)) "/dev/$disk"
expect 2048 "$(seen "$first" test5 write_once)" "the part of the discard in the partition"
sync "/dev/$disk"
