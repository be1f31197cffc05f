#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots and change tracking above a device that is migrated: images stay what they were at their instant, every change is reported,
# before, while and after the device is cut over to another one.
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
null_disk b size=16 discard=1
b=$NULL_DISK
null_disk store size=384
store=$NULL_DISK
on_exit end_redirects

migrate() { # MODE COMMAND...: the command checks the device, which is migrated meanwhile
    local mode=$1 checker before
    shift
    echo "--- $* ($mode)"
    "$@" > /tmp/checker.out 2>&1 &
    checker=$!
    on_exit end_process $checker
    before=$(awk '{ print $7 }' "/sys/block/$a/stat")
    wait_until 60 has_written "$before"
    redirect start "$a" "/dev/$b" "$mode"
    redirect wait "$a" ready
    sleep "0.$((RANDOM % 10))"
    redirect cutover "$a"
    if ! wait $checker; then
        cat /tmp/checker.out
        fail "what the filters say is wrong"
    fi
    tail -n 1 /tmp/checker.out
    expect redirected "$(redirect status "$a" state)" "state"
    redirect detach_when_closed "$a"
}

has_written() { # SECTORS
    [ "$(awk '{ print $7 }' "/sys/block/$a/stat")" -gt "$1" ]
}

for mode in blocking background; do
    attach "$a" cbt-only redirect
    migrate $mode python3 "$SRC/tests/vm/lib/cbt_check.py" "$a" --seconds $((KERNEL_IS_DEBUG ? 30 : 8)) --seed "$RANDOM"
    attach "$a" redirect
    SEED=$RANDOM migrate $mode snap-check --rounds $((KERNEL_IS_DEBUG ? 3 : 8)) "/dev/$store" "/dev/$a"
    detach "$a"
done
