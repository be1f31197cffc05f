#!/bin/bash
# Filtered disks are removed while they are written: scsi_debug by hot removal, null_blk, zram and loop; with filters that hold
# bios, and with a mounted file system that keeps writing. Nothing hangs; the filters are told; everything unloads.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
# lab: allow-dmesg I/O error|Buffer I/O|EXT4-fs|JBD2|Aborting journal|Synchronize|rejecting I/O
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe sd_mod || true
modprobe scsi_debug dev_size_mb=64 num_parts=1 add_host=1 delay=1 || skip "no scsi_debug"
on_exit unload scsi_debug
modprobe zram num_devices=0 || true
modprobe loop

unload() {
    wait_until 20 rmmod "$1"
}

# write_to DEVICE: a writer that goes on after errors.
write_to() {
    (while dd if=/dev/zero of="/dev/$1" bs=16k count=64 oflag=direct conv=nocreat,notrunc status=none 2> /dev/null || [ -b "/dev/$1" ]; do :; done) &
    WRITER=$!
    on_exit end_process $WRITER
    sleep 0.5
}

gone() { # DEVICE
    [ ! -e "/sys/class/block/$1" ] && ! tool devices --json | grep -q "\"$1\""
}

echo "--- scsi_debug, disk and partition, taking filters"
disk=$(basename "$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*)")
wait_until 10 test -b "/dev/${disk}1"
attach "$disk" test5,options="take delay=5" test4
attach "${disk}1" test3,options="take delay=3" test2,options=two
write_to "${disk}1"
echo 1 > "/sys/block/$disk/device/delete"
wait_until 20 gone "$disk"
end_process $WRITER

echo "--- scsi_debug, a mounted file system"
echo 1 > /sys/bus/pseudo/drivers/scsi_debug/add_host
wait_until 10 sh -c 'ls /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block > /dev/null 2>&1'
disk=$(basename "$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*)")
wait_until 10 test -b "/dev/${disk}1"
mkfs.ext4 -q "/dev/${disk}1"
mkdir -p /tmp/mnt
mount "/dev/${disk}1" /tmp/mnt
on_exit sh -c '! mountpoint -q /tmp/mnt || umount /tmp/mnt'
attach "$disk" test5,options=take
attach "${disk}1" test3
(while :; do dd if=/dev/zero of=/tmp/mnt/f bs=64k count=4 conv=fsync status=none 2> /dev/null || sleep 0.05; done) &
writer=$!
on_exit end_process $writer
sleep 1
echo 1 > "/sys/block/$disk/device/delete"
wait_until 20 gone "$disk"
sleep 1
end_process $writer
umount /tmp/mnt

echo "--- null_blk"
null_disk plug size=64 irqmode=2 completion_nsec=1000000
attach "$NULL_DISK" test5,options="take delay=2" test3
write_to "$NULL_DISK"
remove_null_disk plug
wait_until 20 gone "$NULL_DISK"
end_process $WRITER

if [ -e /sys/class/zram-control/hot_add ]; then
    echo "--- zram"
    zram=zram$(cat /sys/class/zram-control/hot_add)
    echo 32M > "/sys/block/$zram/disksize"
    attach "$zram" test5,options=take test3
    dd if=/dev/urandom of="/dev/$zram" bs=64k count=64 oflag=direct status=none
    echo "${zram#zram}" > /sys/class/zram-control/hot_remove
    wait_until 20 gone "$zram"
    rmmod zram
fi

echo "--- loop"
truncate -s 16M /tmp/file
loop=$(losetup --find --show /tmp/file)
attach "$(basename "$loop")" test5,options=take test3
dd if=/dev/urandom of="$loop" bs=64k count=64 oflag=direct status=none
losetup -d "$loop"
detach "$(basename "$loop")"
