#!/bin/bash
# SPDX-License-Identifier: MIT
# A source that writes more than a logical block as a whole needs a target that does; one that does no more than any disk (as many NVMe disks,
# which all say that they do) can go anywhere, and whoever asks for such a write there still gets it. Who gives them up can go anywhere,
# too, and atomic writes fail from then on; the others do not.
# lab: kernels 6.12
# lab: timeout 120
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
null_disk target size=64
target=$NULL_DISK
modprobe sd_mod
on_exit end_redirects

atomic_disk() { # BLOCKS: one that writes so many as a whole; its name is left in DISK
    modprobe scsi_debug dev_size_mb=16 atomic_wr=1 atomic_wr_gran=1 atomic_wr_align=1 "atomic_wr_max_length=$1"
    wait_until 20 ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/* > /dev/null
    DISK=$(basename /sys/bus/pseudo/drivers/scsi_debug/adapter0/host*/target*/*/block/*)
    expect $(($1 * 512)) "$(cat "/sys/block/$DISK/queue/atomic_write_unit_max_bytes")" "bytes as a whole"
}

atomic_write() { # DISK BYTES
    python3 - "/dev/$1" "$2" << 'END'
import mmap, os, sys
data = mmap.mmap(-1, 4096)
data[:] = b"a" * 4096
fd = os.open(sys.argv[1], os.O_RDWR | os.O_DIRECT)
os.pwritev(fd, [memoryview(data)[: int(sys.argv[2])]], 4096, 0x40)  # RWF_ATOMIC
END
}

atomic_disk 8
tool stack "$DISK" set redirect > /dev/null
expect_fail redirect start "$DISK" "/dev/$target" only
no_atomic=16
redirect start "$DISK" "/dev/$target" blocking flags=$((1 + no_atomic))
redirect wait "$DISK" ready
for step in true "redirect cutover $DISK"; do
    $step
    expect_fail atomic_write "$DISK" 4096 2> /tmp/said
    grep -q "Operation not supported" /tmp/said || fail "it fails with $(cat /tmp/said)"
    atomic_write "$DISK" 512
    dd if=/dev/zero "of=/dev/$DISK" bs=4k count=1 oflag=direct status=none
done
redirect detach_when_closed "$DISK"
tool stack "$DISK" set redirect > /dev/null
redirect start "$DISK" "/dev/$target" only flags=$no_atomic
expect_fail atomic_write "$DISK" 4096 2> /dev/null
redirect finish "$DISK"
atomic_write "$DISK" 4096
detach "$DISK"
rmmod scsi_debug

atomic_disk 1
on_exit rmmod scsi_debug
tool stack "$DISK" set redirect > /dev/null
atomic_write "$DISK" 512
redirect start "$DISK" "/dev/$target" blocking
redirect wait "$DISK" ready
atomic_write "$DISK" 512
redirect cutover "$DISK"
atomic_write "$DISK" 512
cmp -n 512 -i 4096:0 "/dev/$target" <(printf 'a%.0s' {1..512}) || fail "it is not there"
redirect detach_when_closed "$DISK"
