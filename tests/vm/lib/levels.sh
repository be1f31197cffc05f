# shellcheck shell=bash
# Filters on the upper, the lower and both levels of a stacked device: every bio once at every level.

dd if=/dev/urandom of=/tmp/data bs=1M count=4 status=none

# levels UPPER LOWER...: the three ways of filtering them, under direct writes of several sizes, reads and discards.
levels() {
    local upper=$1 device way
    shift
    for way in upper lower both; do
        [ $way = lower ] || attach "$upper" test5,options=record test4
        for device in "$@"; do
            [ $way = upper ] || attach "$device" test1,options=record test0
        done
        [ $way = lower ] || watch "$upper"
        for device in "$@"; do
            [ $way = upper ] || watch "$device"
        done
        dd if=/tmp/data of="/dev/$upper" bs=512k oflag=direct status=none
        dd if=/tmp/data of="/dev/$upper" bs=64k seek=80 oflag=direct count=8 status=none
        dd if="/dev/$upper" of=/tmp/back bs=512k count=8 iflag=direct status=none
        cmp /tmp/data /tmp/back
        if [ "$(cat "/sys/class/block/$upper/queue/discard_max_bytes")" != 0 ]; then
            blkdiscard -o $((1 << 20)) -l $((2 << 20)) "/dev/$upper"
        fi
        [ $way = lower ] || saw_all "$upper"
        for device in "$@"; do
            [ $way = upper ] || saw_all "$device"
        done
        detach "$upper"
        for device in "$@"; do
            detach "$device"
        done
    done
}
