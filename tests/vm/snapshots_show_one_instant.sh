#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots in a row under writers of many sizes, over chunk edges, with discards: each image is the instant of its take and stays
# so, the change map has every difference, two devices have one instant, images are written to.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
null_disk a size=12 discard=1
first=$NULL_DISK
null_disk b size=8 discard=1
second=$NULL_DISK
null_disk store size=384
store=$NULL_DISK
rounds=$((SOAK ? 300 : KERNEL_IS_DEBUG ? 4 : 12))

echo "one device"
SEED=$SEED snap-check --rounds $rounds "/dev/$store" "/dev/$first"
echo "two devices, images are written to"
SEED=$SEED snap-check --rounds $rounds --image-writes --writers 3 "/dev/$store" "/dev/$first" "/dev/$second"
