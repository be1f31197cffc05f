#!/bin/bash
# cbt-only against a model of what was done and against all bytes of the disk: writes, discards, zeroes, in any order, for two
# consumers; with small and large blocks, on a partition, and on the whole disk under a filtered partition.
# lab: kernels debug 6.12 6.1
# lab: timeout 240
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-cbt
check() {
    python3 "$SRC/tests/vm/lib/cbt_check.py" "$@" --seed "$RANDOM"
}

null_disk a size=20 discard=1
a=$NULL_DISK
blocks=(65536 4096 1048576)
[ "$KERNEL" != debug ] || blocks=(65536)
for block in "${blocks[@]}"; do
    echo "--- blocks of $block bytes"
    attach "$a" "cbt-only,options=block_size=$block"
    check "$a" --block "$block" --seconds 4
    detach "$a"
done

echo "--- a disk that can write zeroes"
modprobe sd_mod
modprobe scsi_debug dev_size_mb=16 lbpws=1 lbprz=1 unmap_granularity=1 max_queue=8
on_exit rmmod scsi_debug
wait_until 20 ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/* > /dev/null
s=$(basename /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*)
attach "$s" cbt-only
check "$s" --seconds 4
detach "$s"

echo "--- a partition, and its disk"
partition "$a" 8 8
part=$(basename "$(node_of "$a" 2)")
attach "$part" cbt-only
attach "$a" cbt-only
check "$part" --seconds 4 --lower "$a"
