#!/bin/bash
# SPDX-License-Identifier: MIT
# A transaction that is refused, fails in the middle, does not drain or is only a dry run leaves everything as it was: order,
# generation, instance numbers, statistics, state. One that succeeds touches only what it names: who stays, stays, wherever its
# altitude is. With the exit codes of the tool.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 240
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk main size=64
disk=$NULL_DISK
partition "$disk" 8
null_disk refuses size=32
PYTHONPATH=$SRC/tests/vm/lib python3 "$SRC/tests/vm/transactions_are_all_or_nothing.py" "$disk" \
    "$(basename "$(node_of "$disk" 1)")" "$NULL_DISK"
# A filter that refuses goes with its disk.
remove_null_disk refuses
