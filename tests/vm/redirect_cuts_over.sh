#!/bin/bash
# SPDX-License-Identifier: MIT
# Migrations that cut over at random moments under load, in both modes: nothing that was written is lost, nothing goes to the source
# afterwards. Of a mounted ext4, too. A cut-over that fails, is cancelled, or comes to nothing leaves everything as it was.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 300
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
export ROUNDS=$((SOAK ? 100 : KERNEL_IS_DEBUG ? 2 : 6))
null_disk a size=64 discard=1 max_sectors=64
a=$NULL_DISK
null_disk b size=64 irqmode=2 completion_nsec=500000 cache_size=2
b=$NULL_DISK
dmsetup create from --table "0 16384 linear /dev/$a 0"
on_exit remove_dm from
modprobe dm-delay
dmsetup create onto --table "0 131072 linear /dev/$b 0"
on_exit remove_dm onto
on_exit end_redirects

python3 "$SRC/tests/vm/redirect_cuts_over.py" "$a" "$b" "$(dm_disk from)" "$(dm_disk onto)"

echo "--- a mounted ext4"
for mode in blocking background; do
    mkfs.ext4 -q "/dev/$(dm_disk from)" 6M
    mkdir -p /tmp/mnt
    mount "/dev/$(dm_disk from)" /tmp/mnt
    fio --name=load --directory=/tmp/mnt --size=2m --rw=randwrite --bs=4k --fsync=8 --verify=crc32c --verify_backlog=32 --time_based \
        --runtime=3600 --randseed="$SEED" > /tmp/fio.out 2>&1 &
    # shellcheck disable=SC2034 # fio_end ends it
    FIO=$!
    redirect start "$(dm_disk from)" "/dev/$(dm_disk onto)" $mode
    redirect wait "$(dm_disk from)" ready
    sleep "0.$((RANDOM % 10))"
    redirect cutover "$(dm_disk from)"
    sleep 1
    fio_end
    head -c 300000 /dev/urandom > /tmp/mnt/after
    cp /tmp/mnt/after /tmp/after
    umount /tmp/mnt
    redirect finish "$(dm_disk from)"
    detach "$(dm_disk from)"
    e2fsck -fn "/dev/$(dm_disk onto)"
    mount "/dev/$(dm_disk onto)" /tmp/mnt
    cmp /tmp/after /tmp/mnt/after
    umount /tmp/mnt
done
