#!/bin/bash
# SPDX-License-Identifier: MIT
# cbt-only on slow and busy devices: checkpoints at random moments, each followed at once by a full read while writes go on. On
# dm-delay, whose writes arrive long after they were sent, and on a loop device with a queue above it.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/stacks.sh"

load_filters
load blkfilter-cbt
rounds=$((SOAK ? 500 : KERNEL_IS_DEBUG ? 3 : 12))
null_disk a size=4 discard=1
modprobe dm-delay
dmsetup create slow --table "0 8192 delay /dev/$NULL_DISK 0 0 /dev/$NULL_DISK 0 60"
on_exit remove_dm slow

race() { # DEVICE...
    attach "$1" cbt-only,options=block_size=4096
    python3 "$SRC/tests/vm/lib/cbt_race.py" "$1" --rounds "$rounds" --seed "$RANDOM"
    detach "$1"
}
race "$(dm_disk slow)"
on_loop race "$(dm_disk slow)"
