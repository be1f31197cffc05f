#!/bin/bash
# SPDX-License-Identifier: MIT
# A device is copied while it is written to, in both modes, also with many writes to the same sectors at a time and slow disks: when the
# load has ended both are the same. The target fails for a moment, for long, does not answer, is removed; the source cannot be read; it is
# paused, compared, limited, cancelled. The application never notices.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 300
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect target_timeout=2 target_retries=3
export ROUNDS=$((SOAK ? 30 : 1))
null_disk a size=8 discard=1 max_sectors=64
a=$NULL_DISK
null_disk slow size=8 irqmode=2 completion_nsec=3000000 hw_queue_depth=8
slow=$NULL_DISK
null_disk b size=12 irqmode=2 completion_nsec=1000000
b=$NULL_DISK
null_disk gone size=8
gone=$NULL_DISK
null_disk d size=12 irqmode=2 completion_nsec=1000000
d=$NULL_DISK
dmsetup create onto --table "0 24576 linear /dev/$d 0"
on_exit remove_dm onto
dmsetup create from --table "0 16384 linear /dev/$slow 0"
on_exit remove_dm from
on_exit end_redirects

python3 "$SRC/tests/vm/redirect_copies_under_load.py" "$a" "$slow" "$b" "$gone" "$d" "$(dm_disk onto)" "$(dm_disk from)"
