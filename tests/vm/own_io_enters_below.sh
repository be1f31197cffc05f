#!/bin/bash
# A filter's own I/O is seen below it and not above it; sent to another device it enters that one's top.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk own size=64
disk=$NULL_DISK
null_disk other size=64
other=$NULL_DISK
partition "$disk" 32
part=$(basename "$(node_of "$disk" 1)")
dd if=/dev/urandom of=/tmp/data bs=1M count=4 status=none

# The partition's filter reads below itself: the partition's upper filter and its own statistics do not count that.
attach "$part" test5,options=record test4,options=read test3,options=record
attach "$disk" test6,options=record
dd if=/tmp/data of="/dev/$part" bs=64k oflag=direct status=none
expect 0 "$(seen "$part" test5 read_once)" "own reads shown above"
[ "$(seen "$part" test3 read_once)" -ge 64 ] || fail "own reads not shown below: $(seen "$part" test3 read_once)"
[ "$(seen "$disk" test6 read_once)" -ge 64 ] || fail "own reads not shown on the disk's level"
expect 0 "$(seen "$part" test3 write_more)" "writes shown twice"
expect 8192 "$(seen "$disk" test6 write_once)" "writes on the disk's level"

# A copy goes to the top of another device, through all of its filters; both devices end up the same.
detach "$part"
attach "$disk" "test5,options=copy=/dev/$other" test4,options=record
attach "$other" test7,options=record test0,options=take
watch "$other"
dd if=/tmp/data of="/dev/$disk" bs=64k oflag=direct status=none
cmp -n $((4 << 20)) /tmp/data "/dev/$disk"
cmp -n $((4 << 20)) /tmp/data "/dev/$other"
expect 8192 "$(seen "$other" test7 write_once)" "copies at the other's top"
saw_all "$other"
