#!/bin/bash
# SPDX-License-Identifier: MIT
# Storage that is a file of a file system that moves blocks (btrfs), or knows no pinning (vfat), or is not asked for it (ext4): read and
# written through it. Under load; file systems that are full, files that become shorter; what is refused.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 400
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
null_disk a size=8 discard=1
a=$NULL_DISK
null_disk b size=200
b=$NULL_DISK
mkdir -p /tmp/files
umount_files() {
    ! mountpoint -q /tmp/files || umount /tmp/files
}
on_exit umount_files

under_load() { # OPTION...
    snap-check --direct --storage-mib 48 --writers 3 --hold-ms 20 "$@" /tmp/files "/dev/$a"
    detach "$a"
}

echo "--- ext4"
modprobe ext4
mkfs.ext4 -q "/dev/$b"
mount "/dev/$b" /tmp/files
under_load --rounds 2
python3 "$SRC/tests/vm/snapshots_stored_through_file_systems.py" "/dev/$a" "/dev/$b"
umount /tmp/files
e2fsck -fn "/dev/$b" > /tmp/check 2>&1 || { cat /tmp/check; fail "the file system is not clean"; }
# The debug kernel has neither of the others.
[ "$KERNEL" != debug ] || exit 0

echo "--- btrfs"
modprobe btrfs
mkfs.btrfs -q -f "/dev/$b"
mount "/dev/$b" /tmp/files
under_load --rounds $((SOAK ? 40 : 4)) --image-writes
python3 "$SRC/tests/vm/snapshots_stored_through_file_systems.py" "/dev/$a" "/dev/$b"
umount /tmp/files
btrfs check "/dev/$b" > /tmp/check 2>&1 || { cat /tmp/check; fail "the file system is not clean"; }

echo "--- vfat"
modprobe vfat
modprobe nls_ascii
mkfs.vfat "/dev/$b" > /dev/null
mount -o umask=077 "/dev/$b" /tmp/files
under_load --rounds 2
umount /tmp/files
