#!/bin/bash
# SPDX-License-Identifier: MIT
# Each target that cannot be one is refused, with an errno and a reason of its own, also where only several devices together lead back to
# the source, and so is every argument that makes no sense; nothing has changed then, and the target is free. What only looks like that is not.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 120
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
null_disk a size=32
a=$NULL_DISK
partition "$a" 12 14
null_disk b size=32
b=$NULL_DISK
null_disk below size=32
below=$NULL_DISK
partition "$below" 12
null_disk small size=8
small=$NULL_DISK
null_disk coarse size=64 blocksize=4096
coarse=$NULL_DISK
null_disk zones size=64 zoned=1 zone_size=8
zones=$NULL_DISK
null_disk fixed size=64
fixed=$NULL_DISK
null_disk gone size=64
gone=$NULL_DISK
dmsetup create held --table "0 8192 linear /dev/$b 0"
on_exit remove_dm held
dmsetup create above --table "0 8192 linear $(node_of "$below" 1) 0"
on_exit remove_dm above
on_exit remove_dm beside
modprobe sd_mod
modprobe scsi_debug dif=1 dix=1 dev_size_mb=64
on_exit rmmod scsi_debug
wait_until 20 ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/* > /dev/null
protected=$(basename /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*)
on_exit end_redirects

python3 "$SRC/tests/vm/redirect_refuses_what_cannot_be_right.py" "$a" "$b" "$small" "$coarse" "$zones" "$fixed" "$gone" "$protected" \
    "$(basename "$(node_of "$a" 1)")" "$below" "$(dm_disk above)" \
    "$(basename "$(node_of "$a" 2)")"
