#!/bin/bash
# SPDX-License-Identifier: MIT
# A filter that clones is replaced by one that redirects, in one transaction, with a hand-over of what it has (examples/hand-over), while
# I/O with verify goes on and a file system is mounted: no error, nothing lost. Not before both devices are the same.
# lab: kernels 6.12
# lab: soak 6.1 debug
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load acme-hand-over
modprobe ext4
modprobe loop

hand_over() { # DEVICE
    tool stack "$1" set --limit 10000 acme-redirect,replaces=acme-clone > /dev/null 2> /tmp/said
}

is_same() { # DEVICE
    [ "$(of_filter "$1" acme-clone .state)" = same ]
}

not_yet() { # DEVICE
    if hand_over "$1"; then fail "handed over before both are the same"; fi
    grep -q "refuses to be detached" /tmp/said || fail "$(cat /tmp/said)"
}

null_disk old size=64 discard=1 irqmode=2 completion_nsec=200000
old=$NULL_DISK
null_disk new size=80 discard=1
new=$NULL_DISK

echo "refused"
null_disk small size=32
expect_fail tool stack "$old" set "acme-clone,options=/dev/$NULL_DISK"
expect_fail tool stack "$old" set "acme-clone,options=/dev/$old"
expect_fail tool stack "$old" set acme-clone,options=/dev/nothing
expect_fail tool stack "$old" set acme-clone
expect_fail tool stack "$old" set acme-redirect,options=x

echo "under load"
dd if=/dev/urandom of="/dev/$old" bs=1M oflag=direct status=none 2> /dev/null || true
tail=$(dd if="/dev/$old" bs=1M skip=48 count=16 iflag=direct status=none | sha256sum)
fio_start --filename="/dev/$old" --ioengine=libaio --iodepth=16 --rw=randrw --bsrange=4k-128k --size=32m --norandommap=0 \
    --verify=crc32c --verify_fatal=1 --verify_backlog=64
attach "$old" "acme-clone,options=/dev/$new"
not_yet "$old"
for ((i = 32; i < 48; i += 2)); do
    dd if=/dev/urandom of="/dev/$old" bs=1M seek=$i count=2 oflag=direct conv=notrunc status=none
    blkdiscard --offset $((i << 20)) --length 1MiB "/dev/$old"
done
middle=$(dd if="/dev/$old" bs=1M skip=32 count=16 iflag=direct status=none | sha256sum)
wait_until 120 is_same "$old"
# Two writes to the same place at a time put it back for a moment.
wait_until 60 hand_over "$old"
expect redirected "$(of_filter "$old" acme-redirect .state)" "state"
sleep 1
if tool stack "$old" set --empty 2> /tmp/said; then fail "detached while fio has it open"; fi
fio_end
for place in "48 $tail" "32 $middle"; do
    read -r skip sum <<< "$place"
    expect "$sum" "$(dd if="/dev/$new" bs=1M skip="$skip" count=16 iflag=direct status=none | sha256sum)" "the target from $skip MiB on"
done
all=$(dd if="/dev/$old" bs=1M count=64 iflag=direct status=none | sha256sum)
expect "$all" "$(dd if="/dev/$new" bs=1M count=64 iflag=direct status=none | sha256sum)" "what is read"
detach "$old"
[ "$(dd if="/dev/$old" bs=1M count=64 iflag=direct status=none | sha256sum)" != "$all" ] || fail "nothing was redirected"

echo "mounted"
mkfs.ext4 -q "/dev/$old"
mkdir /tmp/mnt
mount "/dev/$old" /tmp/mnt
(for ((i = 0; ; i++)); do head -c $((i * 37 % 50000)) /dev/urandom > /tmp/mnt/$((i % 500)); [ $((i % 50)) != 0 ] || sync -f /tmp/mnt; done) &
writer=$!
on_exit end_process $writer
tool stack "$old" set --limit 10000 "acme-clone,options=/dev/$new" > /dev/null
wait_until 120 is_same "$old"
wait_until 60 hand_over "$old"
sleep 2
end_process $writer
(cd /tmp/mnt && find . -type f -exec sha256sum {} + > /tmp/sums)
umount /tmp/mnt
detach "$old"
e2fsck -fn "/dev/$new" > /tmp/said || fail "$(cat /tmp/said)"
mount -o ro "/dev/$new" /tmp/mnt
(cd /tmp/mnt && sha256sum --quiet --check /tmp/sums)
umount /tmp/mnt

echo "a target that fails"
null_disk bad size=64
bad=$NULL_DISK
attach "$old" "acme-clone,options=/dev/$bad"
wait_until 120 is_same "$old"
echo "+2048-2055" > /sys/kernel/config/nullb/bad/badblocks
dd if=/dev/urandom of="/dev/$old" bs=1M count=4 oflag=direct conv=notrunc status=none
expect failed "$(of_filter "$old" acme-clone .state)" "state"
not_yet "$old"
detach "$old"
