#!/bin/bash
# A file system that is mounted with DAX writes to the medium past the block layer: a filter on its device would see nothing of
# it, so attaching is refused with one line in the log that says why. Without DAX the same device is a disk like any other.
# lab: kernels 6.12
# lab: soak 6.1
# lab: append memmap=96M!1G
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe ext4 || true
modprobe nd_e820
modprobe nd_pmem
wait_until 10 test -b /dev/pmem0
mkdir -p /tmp/mnt

mkfs.ext4 -q -b 4096 /dev/pmem0
tool stack pmem0 set test2 > /dev/null
watch pmem0
mkfs.ext4 -q -F -b 4096 /dev/pmem0
saw_all pmem0
detach pmem0

mount -o dax=always /dev/pmem0 /tmp/mnt
on_exit umount /tmp/mnt
grep -q 'pmem0 .*dax' /proc/mounts || fail "not mounted with DAX: this shows nothing"
status=0
tool stack pmem0 set test2 2> /tmp/error || status=$?
cat /tmp/error
expect 1 $status "exit code for a device that is mounted with DAX"
dmesg | grep 'blkfilter: .*DAX' || fail "the log does not say why"
expect "" "$(order pmem0)" "filters of the refused device"
dd if=/dev/zero of=/tmp/mnt/file bs=1M count=8 conv=fsync status=none
