#!/bin/bash
# SPDX-License-Identifier: MIT
# The rows that are counted in instructions; runs in a guest that counts them (lab.py once --icount), for tests/bench/bench.sh.
# Each row is a line "row NAME MEAN TOTAL"; tests/bench/budgets.json says what the names mean and what they may cost.
# Nothing is put away at the end: the guest ends with this script.
# lab: timeout 1200
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

# On the kernel's command line: bench.ios=N, reads or writes a row.
ios=$(sed -n 's/.*\bbench\.ios=\([0-9]*\).*/\1/p' /proc/cmdline)
: "${ios:=5000}"

row() { # NAME DEVICE [read|touch]
    python3 "$SRC/tests/bench/measure.py" "$1" "/dev/$2" "${3:-write}" "$ios"
}

chunk_row() { # NAME DEVICE: each write is the first one to a chunk
    python3 "$SRC/tests/bench/measure.py" "$1" "/dev/$2" touch "$((ios < 2000 ? ios : 2000))" 65536
}

filters() { # PREFIX NUMBER: the names of that many
    local i
    for ((i = 0; i < $2; i++)); do
        echo "$1$i"
    done
}

# with_filters DEVICE PREFIX NUMBER: from here on it has exactly these.
with_filters() {
    # shellcheck disable=SC2046
    attach "$1" $(filters "$2" "$3")
}

modprobe null_blk nr_devices=2 queue_mode=2 irqmode=0
modprobe dm_mod
sectors=524288
dmsetup create linear --table "0 $sectors linear /dev/nullb0 0"
linear=$(dm_disk linear)

row bare-before nullb0
row bare-read-before nullb0 read
row dm-linear-before "$linear"
row dm-linear-read "$linear" read

# The peer that tracks changes too. Every block belongs to this era before it is measured, as it does nearly always.
modprobe loop
dd if=/dev/zero of=/tmp/era bs=1M count=16 status=none
metadata=$(losetup --find --show /tmp/era)
dmsetup create era --table "0 $sectors era $metadata /dev/nullb1 8192"
dd if=/dev/zero of=/dev/mapper/era bs=4M oflag=direct count=$((sectors / 8192)) status=none
row dm-era mapper/era
remove_dm era

insmod "$MODDIR/blkfilter.ko"
insmod "$MODDIR/blkfilter-null.ko"
# Loading tries the hook out; it goes a moment later.
wait_until 30 hook_is_off
row loaded nullb0

with_filters nullb1 null 1
row elsewhere nullb0
row elsewhere-read nullb0 read
detach nullb1

for n in 1 2 4 8; do
    with_filters nullb0 null $n
    row "passing-$n" nullb0
    [ $n != 1 ] || row passing-1-read nullb0 read
done
for n in 1 2; do
    with_filters nullb0 null_points $n
    row "points-$n" nullb0
    [ $n != 1 ] || row points-1-read nullb0 read
done
detach nullb0

# cbt-only: the first write to each region of 128 MiB (as many as the disk has), and then others.
insmod "$MODDIR/blkfilter-cbt.ko"
attach nullb0 cbt-only
row cbt-first nullb0 touch
row cbt nullb0
detach nullb0

# blksnap: without a snapshot; an image's unchanged blocks; with a snapshot the first write to each chunk, then others. Its peer
# copies the same chunks to the same disk, and forgets them at a restart as ours does (N).
insmod "$MODDIR/blksnap.ko"
null_disk copies size=4096 memory_backed=0 irqmode=0
copies=$NULL_DISK
snap() {
    python3 "$SRC/tests/vm/lib/blksnap.py" "$@"
}
all_copied() { # DEVICE: where rows write, and nothing of it is on its way to the storage any more
    dd if=/dev/zero of="$1" bs=1M count=256 oflag=direct status=none
    wait_until 30 snap is-stored
}
attach nullb0 blksnap
row blksnap nullb0
image=$(snap take /dev/nullb0 "/dev/$copies" 8388608)
row blksnap-image-read "${image#/dev/}" read
chunk_row blksnap-copy nullb0
all_copied /dev/nullb0
row blksnap-copied nullb0
snap destroy-all
detach nullb0
attach "$linear" blksnap
row dm-linear-blksnap "$linear"
snap take "/dev/$linear" "/dev/$copies" 8388608 > /dev/null
all_copied "/dev/$linear"
row dm-linear-blksnap-copied "$linear"
snap destroy-all
detach "$linear"
modprobe dm_snapshot
dmsetup create cow-origin --table "0 4194304 linear /dev/nullb1 0"
dmsetup create cow --table "0 4194304 snapshot /dev/nullb1 /dev/$copies N 128"
dmsetup suspend cow-origin
dmsetup load cow-origin --table "0 4194304 snapshot-origin /dev/nullb1"
dmsetup resume cow-origin
row dm-snapshot-image-read mapper/cow read
chunk_row dm-snapshot-copy mapper/cow-origin
remove_dm cow
remove_dm cow-origin

# redirect: each write goes to two disks; then, cut over, to the other one. The disks are as large as what rows write to.
insmod "$MODDIR/blkfilter-redirect.ko"
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
for disk in source target; do
    null_disk $disk size=256 memory_backed=0 irqmode=0
done
migrated=$(null_disk_name source) to=$NULL_DISK
redirect() {
    python3 "$SRC/tests/vm/lib/redirect.py" "$@"
}
redirect start "$migrated" "/dev/$to" blocking
redirect wait "$migrated" ready
row redirect-mirror "$migrated"
redirect cutover "$migrated"
row redirected "$migrated"
row redirected-read "$migrated" read
redirect finish "$migrated"
detach "$migrated"
dmsetup create source --table "0 $sectors linear /dev/$migrated 0"
migrated=$(dm_disk source)
redirect start "$migrated" "/dev/$to" only
row dm-linear-redirected "$migrated"
redirect finish "$migrated"
detach "$migrated"
remove_dm source

# On a device that is not blk-mq a completion has to be counted by wrapping it.
with_filters "$linear" null 1
row dm-linear-passing-1 "$linear"
with_filters "$linear" null_points 1
row dm-linear-points-1 "$linear"
attach "$linear" cbt-only
row dm-linear-cbt "$linear"
detach "$linear"
# Below dm the bio is not at top level: wrapped, too.
with_filters nullb0 null_points 1
row dm-linear-points-below "$linear"
detach nullb0

wait_until 15 hook_is_off
row bare-after nullb0
row bare-read-after nullb0 read

# RAM disks are the smallest there are: 1000 of them take little memory. They get their filter as they appear. Taking them
# away again would take minutes: they end with this guest.
others=1000
tool rule add --name 'ram*' null0 > /dev/null
modprobe brd rd_nr=$others rd_size=64
filtered=$(tool devices --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["devices"]))')
[ "$filtered" = $others ] || fail "$filtered of $others disks are filtered"
row elsewhere-1000 nullb0
with_filters nullb0 null 1
row passing-1-of-1000 nullb0
