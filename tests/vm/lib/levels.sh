# shellcheck shell=bash
# Filters on the upper, the lower and both levels of a stacked device: every bio once at every level.

levels_mib=$((KERNEL_IS_DEBUG ? 1 : 4))
dd if=/dev/urandom of=/tmp/data bs=1M count=$levels_mib status=none

# Sectors of reads, writes, discards that a device has completed, by the kernel's own count.
completed() {
    awk '{ print $3, $7, $14 }' "/sys/class/block/$1/stat"
}

# A bio that the upper device has sent on to another device as it is comes by the kernel's tracepoint once, for the upper one: what
# the lower one got is known from its statistics.
declare -A COMPLETED_BEFORE
watch_lower() {
    watch "$1"
    COMPLETED_BEFORE[$1]=$(completed "$1")
}

saw_all_lower() {
    local wanted now name
    [ "${RETARGETED:-}" ] || { saw_all "$1"; return; }
    wanted=$(subtract "$(completed "$1")" "${COMPLETED_BEFORE[$1]}")
    now=$(counted "$1")
    for name in test1 test0; do
        expect "$wanted" "$(since "$1" "$now" $name | cut -d' ' -f7-9)" "$1 $name: sectors"
        expect 0 "$(seen "$1" $name wrong_order)" "$1 $name: out of order"
    done
    echo "$1: $wanted (sectors of reads, writes, discards)"
}

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
            [ $way = upper ] || watch_lower "$device"
        done
        dd if=/tmp/data of="/dev/$upper" bs=512k oflag=direct status=none
        dd if=/tmp/data of="/dev/$upper" bs=64k seek=80 oflag=direct count=8 status=none
        dd if="/dev/$upper" of=/tmp/back bs=512k count=$((2 * levels_mib)) iflag=direct status=none
        cmp /tmp/data /tmp/back
        if [ "$(cat "/sys/class/block/$upper/queue/discard_max_bytes")" != 0 ]; then
            blkdiscard -o $((1 << 20)) -l $((2 << 20)) "/dev/$upper"
        fi
        [ $way = lower ] || saw_all "$upper"
        for device in "$@"; do
            [ $way = upper ] || saw_all_lower "$device"
        done
        detach "$upper"
        for device in "$@"; do
            detach "$device"
        done
    done
}
