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

check() { # COMMAND...: the command checks the device, and meanwhile another one comes and goes below
    local checker rounds=0
    echo "--- $*"
    "$@" > /tmp/checker.out 2>&1 &
    checker=$!
    on_exit end_process $checker
    dmsetup create one --table "0 $(blockdev --getsz "/dev/$a") linear /dev/$(redirect below "$a") 0"
    while kill -0 $checker 2> /dev/null; do
        redirect interpose "$a" /dev/mapper/one
        sleep "0.$((RANDOM % 10))"
        redirect take_out "$a"
        rounds=$((rounds + 1))
    done
    if ! wait $checker; then
        cat /tmp/checker.out
        fail "what the filters say is wrong"
    fi
    tail -n 1 /tmp/checker.out
    echo "in and out $rounds times"
    [ "$rounds" -ge 2 ] || fail "it came hardly ever"
    dmsetup remove --retry one
    redirect withdraw "$a"
}

attach "$a" cbt-only redirect
check python3 "$SRC/tests/vm/lib/cbt_check.py" "$a" --seconds $((KERNEL_IS_DEBUG ? 60 : 15)) --seed "$RANDOM"
attach "$a" redirect
SEED=$RANDOM check snap-check --rounds $((KERNEL_IS_DEBUG ? 3 : 12)) "/dev/$store" "/dev/$a"
detach "$a"
