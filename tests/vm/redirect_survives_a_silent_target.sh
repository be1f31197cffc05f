#!/bin/bash
# SPDX-License-Identifier: MIT
# The target does not answer, as a whole or at one place, at all or for long: the application's writes end, however many there are, and so
# do points of the source, a pause, a cancel, a cut-over. When the target answers again, it becomes the same.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 300
# lab: allow-dmesg (blocked for more than)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect target_retries=1000 target_flush=3600
null_disk a size=48 discard=1
a=$NULL_DISK
null_disk d size=48 cache_size=4
d=$NULL_DISK
modprobe dm-delay
dmsetup create onto --table "0 98304 linear /dev/$d 0"
on_exit remove_dm onto
on_exit end_redirects
on_exit dmsetup resume onto

python3 "$SRC/tests/vm/redirect_survives_a_silent_target.py" "$a" "$d" "$(dm_disk onto)"
