#!/bin/bash
# Attach, transaction, point, rule and the commands of cbt-only with one allocation after the other failing: done or refused, never half, and no I/O error
# for the application that writes meanwhile.
# lab: kernels debug
# lab: timeout 300
# lab: allow-dmesg FAULT_INJECTION|fault-injection|page allocation failure|no attribute
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-cbt
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
null_disk mem size=64
disk=$NULL_DISK
for site in failslab fail_page_alloc; do
    echo N > "/sys/kernel/debug/$site/ignore-gfp-wait"
    echo 0 > "/sys/kernel/debug/$site/verbose"
done
echo N > /sys/kernel/debug/failslab/cache-filter
fio_start --filename="/dev/$disk" --ioengine=psync --rw=randrw --bs=4k --size=32m --verify=crc32c --verify_backlog=8 --rate_iops=50
IFS=: read -r major minor < "/sys/block/$disk/dev"
fail-nth "$major" "$minor" "$(cat "/sys/block/$disk/diskseq")"
fio_end
