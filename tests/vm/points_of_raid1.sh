#!/bin/bash
# Points over {raid1, both legs}, upper before lower.
# lab: kernels debug
# lab: soak 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe raid1
null_disk a size=64 irqmode=2 completion_nsec=20000000 hw_queue_depth=32
a=$NULL_DISK
null_disk b size=64 irqmode=2 completion_nsec=20000000 hw_queue_depth=32
b=$NULL_DISK
. "$SRC/tests/vm/lib/points.sh"

echo "--- raid1 and both legs"
make_md 1 "$a" "$b"
points 3 md77 "$a" "$b"
