# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What every test in a guest starts with:  . "$SRC/tests/lab/guest/lib.sh"
#
# From here on a failing command fails the test (set -e), and what on_exit was given is undone at its end, last first.
#
# A test sees: KERNEL (6.1, 6.12, debug), MODDIR (our modules), BINDIR (our programs), SRC (the repository, read-only),
# SEED (of this run), SOAK (1 for the long form).
set -euo pipefail

PATH=$BINDIR:$PATH

# fail MESSAGE: ends the test as failed, saying where.
fail() {
    echo "${BASH_SOURCE[1]##*/}:${BASH_LINENO[0]}: $*"
    exit 1
}

# boots FUNCTION...: of a disk-image test, the one of this boot; but for the last one it asks for the next. Not "FUNCTION && exit 75": a
# command that fails in there would be passed over.
boots() {
    "${!BOOT}"
    [ "$BOOT" = $# ] || exit 75
}

# power_loss: the host ends the guest at once, with all that is in its memory, boots it again and runs the test again, with BOOT one
# higher. What runs in the background goes on until then; nothing of on_exit is done. What was written to "# lab: disk" stays.
power_loss() {
    trap - EXIT
    exit 74
}

# skip REASON: ends the test as skipped.
skip() {
    echo "$*"
    exit 77
}

# wait_until SECONDS COMMAND...: until the command succeeds.
wait_until() {
    local tries=$(($1 * 10))
    shift
    until "$@"; do
        [ $((tries--)) -gt 0 ] || fail "waited in vain: $*"
        sleep 0.1
    done
}

trap 'echo "${BASH_SOURCE[0]##*/}:$LINENO: \"$BASH_COMMAND\" failed"' ERR

LAB_ON_EXIT=()

# on_exit COMMAND ARGUMENT...: run at the end of the test, in reverse order, whatever happened.
on_exit() {
    LAB_ON_EXIT+=("$(printf '%q ' "$@")")
}

lab_undo() {
    local status=$? i
    trap - ERR
    set +e
    for ((i = ${#LAB_ON_EXIT[@]} - 1; i >= 0; i--)); do
        eval "${LAB_ON_EXIT[i]}" || {
            echo "at the end: ${LAB_ON_EXIT[i]}failed"
            [ "$status" != 0 ] || status=1
        }
    done
    exit "$status"
}
trap lab_undo EXIT

# expect_fail COMMAND...: the command must fail.
expect_fail() {
    ! "$@" || fail "succeeded, but should not have: $*"
}

# load MODULE [PARAMETER...]: inserts one of our modules; removed again at the end.
load() {
    local module=$1
    shift
    insmod "$MODDIR/$module.ko" "$@"
    on_exit rmmod "${module//-/_}"
}

# start_udev: from here on there are /dev/disk links and uevents are handled, as on a real system.
start_udev() {
    unset DM_DISABLE_UDEV
    /lib/systemd/systemd-udevd --daemon
    on_exit pkill -x systemd-udevd
    udevadm trigger --type=all
    udevadm settle --timeout=60
}
