#!/bin/bash
# Eight filters at random, also fractional, altitudes: each sees each bio exactly once, from high to low; reads, writes,
# discards, write-zeroes, flushes, FUA, and bios that a queue limit splits below them. The kernel's tracepoint counts too.
# lab: kernels debug 6.12 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk once max_sectors=16 discard=1 size=64 cache_size=1   # a write cache, so that flushes come
disk=$NULL_DISK

filters=() entries=()
for i in 0 1 2 3 4 5 6 7; do
    filters+=("test$i")
    entries+=("test$i@$((RANDOM % 999999 + 1)).$((RANDOM % 1000))$i,options=record")
done
attach "$disk" "${entries[@]}"
order=$(order "$disk")
expect "$order" "$(tr '\n' ' ' < "/sys/block/$disk/filter" | sed 's/ $//')" "the attribute's order"
echo "order: $order"
watch "$disk"

dd if=/dev/urandom of=/tmp/data bs=1M count=16 status=none
dd if=/tmp/data of="/dev/$disk" bs=1M oflag=direct status=none               # each split in 128
dd if="/dev/$disk" of=/tmp/back bs=1M count=16 iflag=direct status=none
cmp /tmp/data /tmp/back
for filter in "${filters[@]}"; do
    expect 32768 "$(seen "$disk" "$filter" write_once)" "$filter: sectors written once"
    expect 0 "$(seen "$disk" "$filter" write_more)" "$filter: sectors shown twice"
done
blkdiscard -o $((20 << 20)) -l $((4 << 20)) "/dev/$disk"
blkdiscard -z -o $((24 << 20)) -l $((4 << 20)) "/dev/$disk"
dd if=/tmp/data of="/dev/$disk" bs=64k count=8 oflag=direct,dsync seek=512 status=none
sync "/dev/$disk"
fio --name=mix --filename="/dev/$disk" --direct=1 --ioengine=libaio --iodepth=16 --rw=randrw --bsrange=512-64k \
    --offset=32m --size=16m --io_size=8m --randseed="$SEED" --output-format=terse > /dev/null
saw_all "$disk"
