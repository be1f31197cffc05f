#!/bin/bash
# SPDX-License-Identifier: MIT
# Mapped devices are slid under a mounted ext4 and a raw partition of one disk, and taken out again, while fio writes and verifies on both:
# linear, era, snapshot, crypt. What they do is done; nobody else can take them away; once out they get nothing any more.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 240
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
export ROUNDS=$((SOAK ? 20 : 1))
modprobe ext4
for module in dm-era dm-snapshot dm-crypt; do
    modprobe $module
done
null_disk a size=96 discard=1 cache_size=4
a=$NULL_DISK
partition "$a" 48 40
mounted=$(node_of "$a" 1)
raw=$(node_of "$a" 2)
null_disk b size=32
b=$NULL_DISK
null_disk store size=128
store=$NULL_DISK
partition "$store" 16 16 64
mkfs.ext4 -q "$mounted"
mkdir -p /tmp/mnt
mount "$mounted" /tmp/mnt
on_exit umount /tmp/mnt
on_exit end_interposed "${mounted#/dev/}" one one-lower
on_exit end_interposed "${raw#/dev/}" copy two two-lower
on_exit end_interposed "$b" two

python3 "$SRC/tests/vm/redirect_slides_devices_under.py" "${mounted#/dev/}" "${raw#/dev/}" "$b" "$(node_of "$store" 1)" "$(node_of "$store" 2)" \
    "$(node_of "$store" 3)"
