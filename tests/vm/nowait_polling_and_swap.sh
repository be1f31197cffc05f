#!/bin/bash
# io_uring with NOWAIT and with polling, also for bios that are split (6.12 only: 6.1 loops there by itself), through passing and
# taking filters; and swap. Every bio once, nothing lost.
# lab: kernels debug 6.12 6.1
# lab: timeout 240
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
# Not memory-backed: null_blk allocates under RCU when it is polled.
null_disk poll size=64 irqmode=2 completion_nsec=100000 submit_queues=1 poll_queues=1 max_sectors=32 memory_backed=0
disk=$NULL_DISK
sizes=4k size=4m
[ "$KERNEL" = 6.1 ] || sizes="4k 64k"

uring() { # WHAT FIO-ARGUMENT...
    local what=$1
    shift
    watch "$disk"
    fio --name=uring --filename="/dev/$disk" --direct=1 --ioengine=io_uring --iodepth=8 --size="$size" --rw=randrw --randseed="$SEED" \
        --output-format=terse --terse-version=3 "$@" > /tmp/fio.out
    expect 0 "$(cut -d';' -f5 /tmp/fio.out)" "$what: errors"
    saw_all "$disk"
}

stacks=("test5 test4 test0" "test5,options=take test4 test1,options=take")
# Each run of fio takes the debug kernel a quarter of a minute.
if ((KERNEL_IS_DEBUG)); then
    unset 'stacks[0]'
    size=1m
fi
for stack in "${stacks[@]}"; do
    # shellcheck disable=SC2086
    attach "$disk" $stack
    for bs in $sizes; do
        uring "polled $bs through $stack" --hipri=1 --bs="$bs"
    done
    uring "nowait through $stack" --nowait=1 --bs=4k
    uring "plain through $stack" --bs=16k
done

echo "--- swap"
null_disk swap size=96
disk=$NULL_DISK
attach "$disk" test5,options=record test4,options=take test1
mkswap "/dev/$disk" > /dev/null
watch "$disk"
swapon "/dev/$disk"
on_exit sh -c "swapoff /dev/$disk 2>/dev/null || true"
mkdir /sys/fs/cgroup/swapper
on_exit rmdir /sys/fs/cgroup/swapper
echo +memory > /sys/fs/cgroup/cgroup.subtree_control
echo 16M > /sys/fs/cgroup/swapper/memory.high
sh -c 'echo $$ > /sys/fs/cgroup/swapper/cgroup.procs
    exec python3 -c "
import hashlib, os
data = [os.urandom(4096) for _ in range(5000)]
def digest():
    sum = hashlib.sha256()
    for page in data:
        sum.update(page)
    return sum.digest()
assert digest() == digest()
"'
swapoff "/dev/$disk"
saw_all "$disk"
[ "$(statistics "$disk" test1 | cut -d' ' -f2)" -gt 50 ] || fail "hardly anything was swapped"
