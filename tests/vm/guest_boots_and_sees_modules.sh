#!/bin/bash
# SPDX-License-Identifier: MIT
# The lab itself: the guest runs the kernel that it should, finds that kernel's modules, has block devices and
# device mapper, and a clean environment.
# lab: kernels debug 6.12 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"

case $KERNEL in
debug) expected='6\.[0-9.]*-blkfilter-debug' ;;
6.1) expected='6\.1\.0-[0-9]*-amd64' ;;
*) expected="${KERNEL//./\\.}\\.[0-9]*[-+].*amd64" ;;
esac
uname -r | grep -qx "$expected" || fail "kernel $(uname -r) does not look like $KERNEL"

modprobe null_blk nr_devices=1 memory_backed=1 gb=1
on_exit rmmod null_blk
dd if=/dev/urandom of=/tmp/pattern bs=64k count=16 status=none
dd if=/tmp/pattern of=/dev/nullb0 bs=64k oflag=direct status=none
cmp -n 1048576 /tmp/pattern /dev/nullb0

dmsetup create lab --table "0 2048 linear /dev/nullb0 0"
on_exit dmsetup remove lab
cmp /tmp/pattern /dev/mapper/lab

for folder in /proc /sys/kernel/debug /sys/kernel/tracing /sys/kernel/config /sys/fs/cgroup /dev/shm /dev/pts /run /tmp; do
    mountpoint -q "$folder" || fail "$folder is not mounted"
done
touch /root/.written-in-guest /job/lab/.written-in-guest
rm /job/lab/.written-in-guest
! touch "$SRC/written-in-guest" 2>/dev/null || fail "the repository is writable"
