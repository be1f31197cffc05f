#!/bin/bash
# SPDX-License-Identifier: MIT
# cbt-only on both levels of every kind of stacked device, against a model of what was done to the upper one and against all bytes
# of both; and on nvme multipath, whose paths fail over meanwhile.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 400
# lab: allow-dmesg nvme.*(I/O error|I/O Error|rescanning|Removing)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/stacks.sh"
. "$SRC/tests/vm/lib/multipath.sh"

load_filters
load blkfilter-cbt
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
seconds=$((SOAK ? 60 : 4))
null_disk a size=32 max_sectors=16 discard=1
partition "$NULL_DISK" 24
part=$(basename "$(node_of "$NULL_DISK" 1)")
null_disk b size=40 discard=1
b=$NULL_DISK
null_disk n size=24
n=$NULL_DISK

check() { # UPPER LOWER...
    local device
    echo "--- $* ($(cat "/sys/block/$1/dm/name" "/sys/block/$1/md/level" 2> /dev/null))"
    for device in "$@"; do
        attach "$device" cbt-only,options=block_size=4096
    done
    # The lower ones are in use.
    for device in "$@"; do
        wait_until 20 cbt_is_settled "$device"
    done
    python3 "$SRC/tests/vm/lib/cbt_check.py" "$1" --block 4096 --seconds "$seconds" --seed "$RANDOM" --lower "${@:2}"
    for device in "$@"; do
        detach "$device"
    done
}
on_linear check "$part"
on_crypt check "$part"
on_raid check 0 "$part" "$b"
on_raid check 1 "$part" "$b"
on_loop check "$part"
on_volume check "$b"

NULL_DISK=$n
multipath_up
fail_over_for_ever() {
    while :; do
        fail_over 1
        fail_over 2
    done
}
fail_over_for_ever &
on_exit end_process $!
check "$HEAD"
