#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots and change tracking above a device that others are slid under: images stay what they were at their instant, and every change is
# reported, and no more, before, while and after.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 240
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_redirect
load blkfilter-cbt
load blksnap
on_exit python3 "$SRC/tests/vm/lib/blksnap.py" destroy-all
null_disk a size=12 discard=1
a=$NULL_DISK
null_disk store size=384
store=$NULL_DISK
on_exit end_redirects
on_exit end_interposed "$a" one

check() { # COMMAND...
    SEED=$RANDOM python3 "$SRC/tests/vm/redirect_interposes_below_filters.py" "$a" "$@"
}

attach "$a" cbt-only redirect
check python3 "$SRC/tests/vm/lib/cbt_check.py" "$a" --seconds $((KERNEL_IS_DEBUG ? 60 : 20)) --seed "$RANDOM"
attach "$a" redirect
check snap-check --rounds $((KERNEL_IS_DEBUG ? 3 : 12)) "/dev/$store" "/dev/$a"
detach "$a"
