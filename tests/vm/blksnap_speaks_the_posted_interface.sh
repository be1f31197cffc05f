#!/bin/bash
# SPDX-License-Identifier: MIT
# A program that knows nothing but what was posted goes through all of blksnap's interface, with both variants of the ioctls'
# directions and every wrong argument. And the module's parameters.
# lab: kernels debug 6.12 6.1
# lab: timeout 120
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
null_disk a size=16
first=$NULL_DISK
null_disk store size=64
snap-client "/dev/$first" "/dev/$NULL_DISK"

for parameter in tracking_block_minimum_shift=16 tracking_block_maximum_count=2097152 tracking_block_maximum_shift=26 \
    chunk_minimum_shift=16 chunk_maximum_shift=26 chunk_maximum_count_shift=40 chunk_maximum_in_queue=256 \
    free_diff_buffer_pool_size=128 diff_storage_minimum=2097152; do
    file=/sys/module/blksnap/parameters/${parameter%=*}
    expect "${parameter#*=}" "$(cat "$file")" "$parameter"
    expect 644 "$(stat -c %a "$file")" "rights of ${parameter%=*}"
done
