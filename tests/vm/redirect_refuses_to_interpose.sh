#!/bin/bash
# SPDX-License-Identifier: MIT
# What cannot be slid under a device is refused, with an errno and a reason: what does not lie on the device below, what lies elsewhere on the
# source, I/O that would go around. The device below: its links, its size, who has it open, when it goes.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 180
# lab: allow-dmesg (Buffer I/O error|I/O error|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
load blkfilter-cbt
null_disk a size=48
a=$NULL_DISK
partition "$a" 20 20
null_disk b size=18
b=$NULL_DISK
on_exit end_redirects
on_exit end_interposed "$(basename "$(node_of "$a" 1)")" over two onto base
mkfs.ext4 -q "/dev/$b"
mkdir -p /run/udev/rules.d
cp "$SRC/config/udev/59-blkfilter-redirect.rules" /run/udev/rules.d/
start_udev

python3 "$SRC/tests/vm/redirect_refuses_to_interpose.py" "$a" "$(basename "$(node_of "$a" 1)")" "$(basename "$(node_of "$a" 2)")" "$b"
