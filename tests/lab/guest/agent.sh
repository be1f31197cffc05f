#!/bin/bash
# SPDX-License-Identifier: MIT
# The agent: runs one test after the other for the host (tests/lab/guest.py).
#
# Protocol on the second serial port, one line each way:
#   ping ID         -> pong ID
#   run ID          -> done ID STATUS [what the test left behind]; with status 74 at once, as the host cuts the power then
#   reboot ID       an orderly one, in a disk-image guest
# What to run stands in $LAB_DIR/job.env; the test's output goes to $LAB_DIR/output. Kernel messages go to the
# console, between the marks "lab: begin ID" and "lab: end ID"; the host judges them.

left_behind() { # what a test should have put away again, one word an item
    awk '$1 !~ /^[0-9]+$/ { print "mount:" $2 }' /proc/mounts | sort
    awk '/^(blkfilter|blksnap|blk_snap)/ { print "module:" $1 }' /proc/modules | sort
    find /sys/block -maxdepth 1 \( -name 'dm-*' -o -name 'md*' -o -name 'nullb*' -o -name 'zram*' \) -printf 'disk:%f\n' | sort
    find /sys/block/loop*/loop /sys/kernel/config/nullb -mindepth 1 -maxdepth 1 \( -name backing_file -o -type d \) \
        -printf 'disk:%P:%h\n' 2>/dev/null | sort
}

# From memory: /job is not cached in the guest, and a test starts our programs a hundred times. Only what is newer.
programs() {
    mkdir -p /run/lab
    cp --update --archive /job/lab/programs/* /run/lab/
}

run() { # ID
    local id=$1 status session before after
    programs
    # What the one before has left there is nothing that this one should meet.
    find /tmp -xdev -mindepth 1 -delete
    before=$(left_behind)
    echo "lab: begin $id" > /dev/kmsg
    (
        set -a
        # shellcheck source=/dev/null
        . "$LAB_DIR/job.env"
        cd /tmp || exit 1
        exec setsid bash "$SRC/$TEST"
    ) < /dev/null > "$LAB_DIR/output" 2>&1 3>&- &
    session=$!
    wait "$session"
    status=$?
    if [ "$status" = 74 ]; then
        echo "done $id $status" >&3
        return
    fi
    # What it left running would disturb the next one.
    pkill -KILL -s "$session"
    after=$(left_behind)
    echo "lab: end $id" > /dev/kmsg
    echo "done $id $status" "$(comm -13 <(echo "$before") <(echo "$after") | tr '\n' ' ')" >&3
}

stty -F /dev/ttyS1 raw -echo clocal -hupcl
exec 3<>/dev/ttyS1
while read -r verb id <&3; do
    case $verb in
    ping) echo "pong $id" >&3 ;;
    run) run "$id" ;;
    reboot) systemctl reboot ;;
    esac
done
