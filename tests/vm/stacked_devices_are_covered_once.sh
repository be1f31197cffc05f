#!/bin/bash
# Filters on the upper, the lower and both levels of dm-linear, dm-crypt, md raid0 (on disks and on partitions; with
# queue/iostats 0 md sends the same bio to its leg), raid1, LVM and loop: every bio once at every level.
# lab: kernels debug 6.12 6.1
# lab: timeout 400
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
for module in dm_mod dm_crypt raid0 raid1 loop; do modprobe $module || true; done
null_disk a size=64 max_sectors=16 discard=1
a=$NULL_DISK
null_disk b size=64 discard=1
b=$NULL_DISK
partition "$a" 24 24
a1=$(basename "$(node_of "$a" 1)")
a2=$(basename "$(node_of "$a" 2)")
dd if=/dev/urandom of=/tmp/data bs=1M count=8 status=none

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
        dd if=/tmp/data of="/dev/$upper" bs=1M oflag=direct status=none
        dd if=/tmp/data of="/dev/$upper" bs=64k seek=160 oflag=direct count=16 status=none
        dd if="/dev/$upper" of=/tmp/back bs=1M count=8 iflag=direct status=none
        cmp /tmp/data /tmp/back
        if [ "$(cat "/sys/class/block/$upper/queue/discard_max_bytes")" != 0 ]; then
            blkdiscard -o $((1 << 20)) -l $((2 << 20)) "/dev/$upper"
        fi
        [ $way = lower ] || saw_all "$upper" test5 test4
        for device in "$@"; do
            [ $way = upper ] || saw_all "$device" test1 test0
        done
        detach "$upper"
        for device in "$@"; do
            detach "$device"
        done
    done
}

echo "--- dm-linear on a partition"
dmsetup create linear --table "0 49152 linear /dev/$a1 0"
on_exit remove_dm linear
linear=$(dm_disk linear)
levels "$linear" "$a1"
remove_dm linear

echo "--- dm-crypt"
if dmsetup create crypt --table "0 49152 crypt aes-xts-plain64 $(printf '%064d' 7) 0 /dev/$b 0"; then
    on_exit remove_dm crypt
    levels "$(dm_disk crypt)" "$b"
    remove_dm crypt
else
    [ "$KERNEL" != debug ] || fail "no dm-crypt"
fi

raid() { # LEVEL IOSTATS LEG...
    local level=$1 iostats=$2
    shift 2
    echo "--- md raid$level, iostats $iostats, on $*"
    make_md "$level" "$@"
    echo "$iostats" > /sys/block/md77/queue/iostats
    levels md77 "$@"
    remove_md "$@"
}
raid 0 1 "$b" "$a1"
raid 0 0 "$a1" "$a2"

raid 1 1 "$a1" "$b"

echo "--- LVM"
export LVM_SUPPRESS_FD_WARNINGS=1
pvcreate -qq -ff -y "/dev/$b" && vgcreate -qq once "/dev/$b" > /dev/null && lvcreate -qq -Zn -Wn -L 32M -n volume once > /dev/null
on_exit vgremove -qq -ff -y once
volume=$(dm_disk once-volume)
levels "$volume" "$b"
vgremove -qq -ff -y once

echo "--- loop on a disk"
loop=$(losetup --find --show --direct-io=on "/dev/$a2")
on_exit sh -c "losetup -d $loop 2>/dev/null || true"
levels "$(basename "$loop")" "$a2"
losetup -d "$loop"
