#!/bin/bash
# SPDX-License-Identifier: MIT
# Writes to one device for ever, while tests/bench/where.py looks on from outside. On the kernel's command line:
# where.device=nullb0|linear, where.filters=NAME,NAME..., where.on=DEVICE that they are attached to.
# lab: timeout 600
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

option() { # NAME
    sed -n "s/.*\bwhere\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}

modprobe null_blk nr_devices=2 queue_mode=2 irqmode=0
insmod "$MODDIR/blkfilter.ko"
insmod "$MODDIR/blkfilter-null.ko"
device=$(option device)
if [ "$device" = linear ]; then
    modprobe dm_mod
    dmsetup create linear --table "0 524288 linear /dev/nullb0 0"
    device=$(dm_disk linear)
fi
on=$(option on)
[ "$on" != linear ] || on=$(dm_disk linear)
IFS=, read -ra filters <<< "$(option filters)"
[ "${#filters[@]}" = 0 ] || attach "$on" "${filters[@]}"
cat /proc/kallsyms > "$LAB_DIR/kallsyms"
touch "$LAB_DIR/ready"
while :; do
    dd if=/dev/zero "of=/dev/$device" bs=4k count=100000 oflag=direct conv=notrunc status=none
done
