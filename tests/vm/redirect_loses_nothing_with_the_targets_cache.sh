#!/bin/bash
# SPDX-License-Identifier: MIT
# Whatever the target has not got onto stable storage is copied once more when it has failed, or its flush has, and it is flushed from time
# to time. What its page cache contained does not come through. Differences are found, each of them, and the end. What comes after FINISH
# finds nothing.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 240
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect target_retries=1000 target_flush=3600
null_disk a size=8
a=$NULL_DISK
null_disk d size=16 cache_size=4
d=$NULL_DISK
modprobe dm-flakey
# Not of whole regions.
dmsetup create from --table "0 16376 linear /dev/$a 0"
on_exit remove_dm from
dmsetup create onto --table "0 16384 linear /dev/$d 0"
on_exit remove_dm onto
modprobe dm-delay
dmsetup create bad --table "0 16384 error"
on_exit remove_dm bad
modprobe loop
truncate -s 8M /tmp/one /tmp/two
losetup /dev/loop0 /tmp/one
on_exit losetup --detach /dev/loop0
on_exit end_redirects

python3 "$SRC/tests/vm/redirect_loses_nothing_with_the_targets_cache.py" "$a" "$d" "$(dm_disk from)" "$(dm_disk onto)" "$(dm_disk bad)"
