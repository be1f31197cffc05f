#!/bin/bash
# SPDX-License-Identifier: MIT
# blksnap, cbt-only and a third party's tracker on one device: at every snapshot they agree on what the application wrote since the one
# before; and hundreds of snapshots in a row, over the wrap of the numbers at 255.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 400
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
load blkfilter-cbt
load acme-cbt
null_disk a size=40
disk=$NULL_DISK
null_disk store size=64
store=$NULL_DISK
attach "$disk" acme-cbt@460000.5 cbt-only blksnap

by_cbt() { # SINCE
    tool cbt extents "$disk" "$1" | awk '{ for (b = $1 / 128; b < ($1 + $2) / 128; b++) print b }'
}
by_acme() {
    tool command "$disk" acme-cbt 0 --room 4096 | python3 -c '
import sys
bits = bytes.fromhex(sys.stdin.read())[16:]
print(*(i for i in range(len(bits) * 8) if bits[i // 8] >> i % 8 & 1), sep="\n")'
}
snapshot() { # prints its id, and then the blocks that blksnap says have changed since the one before
    python3 - "/dev/$disk" "/dev/$store" << 'END'
import sys, uuid
import blksnap
device, store = sys.argv[1:]
snapshot = blksnap.Snapshot()
snapshot.add(device)
snapshot.append(store, (0, 131072))
snapshot.take()
print(uuid.UUID(bytes=snapshot.id))
last = blksnap.cbt_info(device)[4] - 1
print(*(i for i, number in enumerate(blksnap.cbt_map(device)) if number > last), sep="\n")
# Not what happens in images.
with open("/dev/" + blksnap.info(device)[1], "rb") as file:
    file.read(1 << 20)
snapshot.destroy()
END
}

since=$(snapshot | head -1)
for ((i = 1; i <= 6; i++)); do
    fio --name=load --filename="/dev/$disk" --direct=1 --rw=randwrite --bsrange=4k-256k --norandommap --size=40m \
        --io_size=$((RANDOM % 6000 + 1))k --randseed=$RANDOM > /dev/null
    answer=$(snapshot)
    expect "$(by_cbt "$since")" "$(by_acme)" "blocks since snapshot $((i - 1))"
    expect "$(by_acme)" "$(tail -n +2 <<< "$answer")" "blocks by blksnap since snapshot $((i - 1))"
    since=$(head -1 <<< "$answer")
    echo "snapshot $i: $(by_acme | wc -l) of 640 blocks"
done
detach "$disk"

echo "many in a row"
null_disk small size=3 discard=1
snap-check --rounds $((SOAK ? 600 : 260)) --writers 2 --hold-ms 5 --largest 64 --pause-us 20000 --storage-mib 8 "/dev/$store" "/dev/$NULL_DISK"
