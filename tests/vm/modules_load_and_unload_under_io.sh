#!/bin/bash
# Load, attach, detach and unload, again and again, while disks are busy, with writers asleep inside the block layer; unload is
# refused while a filter is attached. With kmemleak (debug): nothing is leaked.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
# lab: append kmemleak=on
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

null_disk slow size=64 irqmode=2 completion_nsec=30000000 hw_queue_depth=1
slow=$NULL_DISK
null_disk fast size=64
fast=$NULL_DISK
fio_start --filename="/dev/$slow" --ioengine=psync --rw=randwrite --bs=4k --size=32m --numjobs=4 --thread \
    --name=fast --filename="/dev/$fast" --ioengine=libaio --iodepth=8 --rw=randrw --bs=4k --size=32m
rounds=$((SOAK ? 100 : KERNEL_IS_DEBUG ? 2 : 6))
for ((i = 0; i < rounds; i++)); do
    insmod "$MODDIR/blkfilter.ko"
    insmod "$MODDIR/blkfilter-test.ko"
    tool stack "$slow" set --limit 5000 test5 test2 > /dev/null
    tool stack "$fast" set test4,options=take test3 test1,options=two > /dev/null
    expect_fail rmmod blkfilter-test 2> /dev/null
    expect_fail rmmod blkfilter 2> /dev/null
    tool stack "$fast" set --empty > /dev/null
    tool stack "$slow" set --empty --limit 5000 > /dev/null
    expect_fail rmmod blkfilter 2> /dev/null
    rmmod blkfilter_test
    rmmod blkfilter
    ! grep -q '^submit_bio_noacct_nocheck' "$HOOKED" || fail "the hook is there without the module"
done
fio_end
if [ -e /sys/kernel/debug/kmemleak ]; then
    echo scan > /sys/kernel/debug/kmemleak
    sleep 6
    echo scan > /sys/kernel/debug/kmemleak
    ! grep -A 20 'bf_\|blkfilter' /sys/kernel/debug/kmemleak || fail "leaked memory"
fi
