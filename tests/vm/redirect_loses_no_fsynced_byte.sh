#!/bin/bash
# SPDX-License-Identifier: MIT
# A file system migrates to an NBD server, and the power goes, of the guest and of the server, whose memory has the target's unflushed
# writes: while it is copied, at the cut-over, after it. Each time the record is right, and every byte is there that fsync said was. The
# source has no volatile cache, so that no flush of the application ever reaches the filter.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: disk 128
# lab: timeout 240
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

migrations=$((SOAK ? 20 : 1))
modprobe virtio_blk
modprobe nbd nbds_max=1
# Of the source, the server's store, and what the application has been told.
if [ "$BOOT" = 1 ]; then
    printf 'size=%s\n' 32MiB 40MiB 8MiB | sfdisk --quiet /dev/vda
fi
echo "write through" > /sys/block/vda/cache_type
grep -qx "write through" /sys/block/vda/queue/write_cache || fail "the source has a volatile cache"
nbdkit --unix /run/nbd.sock "$BINDIR/../lib/nbdkit-volatile-plugin.so" store=/dev/vda2
nbd-client -unix /run/nbd.sock /dev/nbd0 -block-size 512 &> /dev/null
on_exit nbd-client -d /dev/nbd0
load_redirect
on_exit end_redirects

# Of each boot: what the last one has left is looked at, and another step of the migration is taken, in which the power goes.
python3 -u "$SRC/tests/vm/redirect_loses_no_fsynced_byte.py" $(((BOOT - 1) % 4))
[ "$BOOT" = $((4 * migrations)) ] || power_loss
