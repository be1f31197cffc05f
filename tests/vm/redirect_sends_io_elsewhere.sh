#!/bin/bash
# SPDX-License-Identifier: MIT
# A device, or a range of one, onto another under load: what is written is on the target and nowhere else, also where bios cross
# the range's edges; a flush with data outside of it; zeroes and discards that the target cannot do; FUA for a target with a volatile cache; errors of the target; what
# ends it.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 240
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
export ROUNDS=$((SOAK ? 40 : KERNEL_IS_DEBUG ? 1 : 2))
null_disk a size=16 discard=1 max_sectors=64
a=$NULL_DISK
null_disk b size=32
b=$NULL_DISK
null_disk c size=32 memory_backed=1 cache_size=4
c=$NULL_DISK
null_disk d size=32
d=$NULL_DISK
dmsetup create onto --table "0 65536 linear /dev/$d 0"
on_exit remove_dm onto
null_disk e size=32 cache_size=4
e=$NULL_DISK
modprobe loop
truncate -s 16M /tmp/source
losetup --direct-io=on /dev/loop0 /tmp/source || losetup /dev/loop0 /tmp/source
on_exit losetup --detach /dev/loop0
on_exit end_redirects

python3 "$SRC/tests/vm/redirect_sends_io_elsewhere.py" "$a" "$b" "$c" "$d" "$(dm_disk onto)" "$e"
