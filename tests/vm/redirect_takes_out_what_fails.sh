#!/bin/bash
# SPDX-License-Identifier: MIT
# What was slid under a device is taken out while it returns errors, at times or always, or does not answer; the file system above goes on as
# far as it could by itself. The source is removed with a device slid under it: errors, and nothing that is left behind.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 180
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write|EXT4-fs|JBD2|Aborting journal)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
modprobe ext4
modprobe dm-flakey
null_disk a size=32
a=$NULL_DISK
null_disk b size=48
b=$NULL_DISK
mkfs.ext4 -q "/dev/$b"
mkdir -p /tmp/mnt
on_exit end_interposed "$b" two
on_exit end_interposed "$a" one

python3 "$SRC/tests/vm/redirect_takes_out_what_fails.py" "$a" "$b"
