#!/bin/bash
# cbt-only and a third party's tracker on one device, at two altitudes: at every point they agree on what was written since the
# one before, on a partition and with a point's worth of load in between.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 200
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-cbt
load acme-cbt
null_disk a size=64
disk=$NULL_DISK
partition "$disk" 40
part=$(basename "$(node_of "$disk" 1)")
blocks=$((40 * 16))
attach "$part" cbt-only acme-cbt@460000.5

# Blocks of 64 KiB by each of them, a line each.
by_cbt() { # SINCE
    tool cbt extents "$part" "$1" | awk '{ for (b = $1 / 128; b < ($1 + $2) / 128; b++) print b }'
}
by_acme() {
    tool command "$part" acme-cbt 0 --room 4096 | python3 -c '
import sys
bits = bytes.fromhex(sys.stdin.read())[16:]
print(*(i for i in range(len(bits) * 8) if bits[i // 8] >> i % 8 & 1), sep="\n")'
}

point() { # NUMBER: its id is left in ID
    ID=$(printf '00000000-0000-4000-8000-%012d' "$1")
    tool point --id "$ID" "$part" > /dev/null
}

point 0
for ((i = 1; i <= 8; i++)); do
    since=$ID
    fio --name=load --filename="/dev/$part" --direct=1 --rw=randwrite --bsrange=4k-256k --norandommap --size=40m \
        --io_size=$((RANDOM % 6000 + 1))k --randseed=$RANDOM > /dev/null
    point $i
    expect "$(by_cbt "$since")" "$(by_acme)" "blocks written between point $((i - 1)) and $i"
    echo "point $i: $(by_acme | wc -l) of $blocks blocks"
done
expect_fail tool command "$part" acme-cbt 1
