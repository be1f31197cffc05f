#!/bin/bash
# SPDX-License-Identifier: MIT
# The tracepoints: one line each, with what it says, for attach, detach, take, resume, park and point, for a disk and a partition.
# lab: kernels debug
# lab: soak 6.12 6.1
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk trace size=64
disk=$NULL_DISK
partition "$disk" 8
PYTHONPATH=$SRC/tests/vm/lib python3 "$SRC/tests/vm/tracepoints_show_attach_take_point.py" "$disk" \
    "$(basename "$(node_of "$disk" 1)")"
