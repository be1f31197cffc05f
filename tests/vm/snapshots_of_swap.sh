#!/bin/bash
# SPDX-License-Identifier: MIT
# A disk that the kernel swaps to while a snapshot of it is held: memory that is short waits for writes that wait for copies. A program
# has more memory than it may have, and finds in it what it wrote; the image shows the disk before.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 200
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

# The debug kernel takes a hundred times as long for a page.
mib=96
[ "$KERNEL" != debug ] || mib=40
load_blksnap chunk_maximum_in_queue=8 free_diff_buffer_pool_size=1
null_disk swap size=$((mib + 64))
disk=$NULL_DISK
null_disk store size=$((mib + 100))
head -c 20M /dev/urandom | dd of="/dev/$disk" bs=1M oflag=direct iflag=fullblock status=none
before=$(sha256sum "/dev/$disk")
attach "$disk" blksnap
image=$(python3 "$SRC/tests/vm/lib/blksnap.py" take "/dev/$disk" "/dev/$NULL_DISK" $(((mib + 100) << 11)))
written_sectors() { awk '{ print $7 }' "/sys/block/$disk/stat"; }
already=$(written_sectors)
# Before the disks go, which it has open.
on_exit python3 "$SRC/tests/vm/lib/blksnap.py" destroy-all
mkswap "/dev/$disk" > /dev/null
swapon --discard "/dev/$disk" 2> /dev/null || swapon "/dev/$disk"
swap_ends() { ! grep -q "^/dev/$disk " /proc/swaps || swapoff "/dev/$disk"; }
on_exit swap_ends

mkdir -p /tmp/cgroup
mount -t cgroup2 none /tmp/cgroup
on_exit umount /tmp/cgroup
echo +memory > /tmp/cgroup/cgroup.subtree_control
mkdir /tmp/cgroup/small
on_exit rmdir /tmp/cgroup/small
echo 24M > /tmp/cgroup/small/memory.max
(
    echo $BASHPID > /tmp/cgroup/small/cgroup.procs
    exec python3 - "$SEED" "$((SOAK ? 30 : 3))" $mib << 'END'
import mmap, random, sys
seed, rounds, mib = map(int, sys.argv[1:])
pages = (mib << 20) // 4096
memory = mmap.mmap(-1, pages * 4096)
for i in range(pages):
    memory[i * 4096 : i * 4096 + 8] = i.to_bytes(8, "little")
chance = random.Random(seed)
added = {}
for _ in range(rounds):
    for i in chance.sample(range(pages), 4000):
        added[i] = added.get(i, 0) + 1
        memory[i * 4096 : i * 4096 + 8] = (i + (added[i] << 32)).to_bytes(8, "little")
for i in range(pages):
    got = int.from_bytes(memory[i * 4096 : i * 4096 + 8], "little")
    if got != i + (added.get(i, 0) << 32):
        sys.exit(f"page {i} has {got:#x}")
END
) || fail "memory that was swapped out is not what it was"
swapped=$((($(written_sectors) - already) / 8))
[ "$swapped" -gt $((mib * 100)) ] || fail "only $swapped pages were swapped out"
swap_ends
[ "$(sha256sum < "$image")" = "${before%% *}  -" ] || fail "the image is not what the disk was"
echo "$swapped pages were swapped out beside a snapshot"
