#!/bin/bash
# SPDX-License-Identifier: MIT
# What a migration costs by the clock, for tests/bench/bench.sh: how long writes are held at the cut-over, how fast it copies, and how long a
# write takes meanwhile; beside dm-mirror. Lines "clock NAME VALUE UNIT TEXT"; nothing here is judged.
# lab: timeout 600
# lab: smp 2
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
modprobe dm-mirror
disks=()
pair() { # NAME MIB PARAMETER...
    local end
    for end in source target; do
        null_disk "$1-$end" size="$2" memory_backed=0 "${@:3}"
        disks+=("$NULL_DISK")
    done
}
# Large enough that they are copied for longer than a write is measured.
pair large 40960 irqmode=0
pair small 256 irqmode=0
pair slow 256 irqmode=2 completion_nsec=5000000
on_exit remove_dm mirror
on_exit end_redirects

python3 -u "$SRC/tests/bench/clock-redirect.py" "${disks[@]}"
