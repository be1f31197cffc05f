#!/bin/bash
# A consistency point over a slow, busy disk: while a filter sits in the instant, no write of the disk is issued, completed or
# queued, and none is in flight; afterwards I/O goes on and nothing was lost. Over one disk, over {dm, its disk},
# over {loop, its disk} and over {raid1, both legs}, upper before lower.
# lab: kernels debug 6.12
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe dm_mod
modprobe raid1 || true
modprobe loop
slow=(size=64 irqmode=2 completion_nsec=20000000 hw_queue_depth=32)
null_disk a "${slow[@]}"
a=$NULL_DISK
null_disk b "${slow[@]}"
b=$NULL_DISK

# points N DEVICE...: upper before lower, each with a filter that watches its instant.
points() {
    local n=$1 device i
    shift
    for device in "$@"; do
        attach "$device" test5,options=hold=60 test2,options=take
    done
    local -A before
    for device in "$@"; do
        before[$device]=$(seen "$device" test5 instants)
    done
    fio_start --filename="/dev/$1" --ioengine=libaio --iodepth=32 --rw=randwrite --bs=4k --size=32m
    for ((i = 0; i < n; i++)); do
        tool point --limit 5000 "$@"
        sleep "0.$((RANDOM % 3))"
    done
    for device in "$@"; do
        expect $((before[$device] + n)) "$(seen "$device" test5 instants)" "$device: instants"
        expect 0 "$(seen "$device" test5 in_flight_at_instant)" "$device: writes in flight at the instant"
        expect 0 "$(seen "$device" test5 moved_during_hold)" "$device: writes that moved during the instant"
        expect "$(seen "$device" test5 prepared)" "$(seen "$device" test5 "done")" "$device: prepare and done"
    done
    fio_end
    for device in "$@"; do
        detach "$device"
    done
}

echo "--- one disk"
points 5 "$a"

echo "--- dm-linear and its disk"
dmsetup create linear --table "0 131072 linear /dev/$a 0"
on_exit remove_dm linear
points 5 "$(dm_disk linear)" "$a"
remove_dm linear

echo "--- loop and its disk"
loop=$(losetup --find --show --direct-io=on "/dev/$a")
points 3 "$(basename "$loop")" "$a"
losetup -d "$loop"

echo "--- raid1 and both legs"
make_md 1 "$a" "$b"
points 3 md77 "$a" "$b"
