#!/bin/bash
# SPDX-License-Identifier: MIT
# What a held snapshot costs by the clock, for tests/bench/bench.sh: writes of which nearly each one is the first to its chunk, large
# sequential writes, and a backup that reads the image; as a ratio to the same disk without a snapshot. blksnap with chunks of several
# sizes, and dm-snapshot. Lines "clock NAME VALUE UNIT TEXT"; nothing here is judged.
# lab: timeout 900
# lab: smp 2
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

rounds=3
ways=(blksnap-16K blksnap-64K blksnap-256K dm-snapshot-4K dm-snapshot-64K)

load_blksnap
null_disk origin size=4096 memory_backed=0 irqmode=0
origin=$NULL_DISK
null_disk storage size=4096 memory_backed=0 irqmode=0
storage=$NULL_DISK
modprobe dm_snapshot
attach "$origin" blksnap

# mebibytes DEVICE FIO-OPTION...: a second. To fio a colon stands between names, and an image has one in its own.
mebibytes() {
    local device=${1//:/\\:}
    shift
    fio --name=clock --filename="$device" --ioengine=libaio --direct=1 --norandommap "$@" --output-format=json |
        jq '.jobs[0] | (.read.bw_bytes + .write.bw_bytes) / 1048576'
}

measure() { # WHAT DEVICE
    case $1 in
    random) mebibytes "$2" --rw=randwrite --bs=4k --iodepth=16 --size=1g --number_ios=2000 ;;
    sequential) mebibytes "$2" --rw=write --bs=1m --iodepth=4 --size=1g --number_ios=300 ;;
    backup) mebibytes "$2" --rw=read --bs=1m --iodepth=4 --size=1g --number_ios=300 ;;
    esac
}

# with_snapshot WAY: sets $upper, what is written, and $image.
with_snapshot() {
    local size=${1##*-}
    if [[ $1 = blksnap-* ]]; then
        case $size in 16K) size=14 ;; 64K) size=16 ;; 256K) size=18 ;; esac
        echo "$size" > /sys/module/blksnap/parameters/chunk_minimum_shift
        image=$(python3 "$SRC/tests/vm/lib/blksnap.py" take "/dev/$origin" "/dev/$storage" 8388608)
        upper=/dev/$origin
    else
        dmsetup create origin --table "0 8388608 snapshot-origin /dev/$origin"
        dmsetup suspend origin
        dmsetup create image --table "0 8388608 snapshot /dev/$origin /dev/$storage N $((${size%K} * 2))"
        dmsetup resume origin
        upper=/dev/mapper/origin image=/dev/mapper/image
    fi
}

without_snapshot() {
    python3 "$SRC/tests/vm/lib/blksnap.py" destroy-all
    [ ! -e /dev/mapper/image ] || { remove_dm origin && remove_dm image; }
}

median() { # of the lines on stdin
    sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}

# In turn, so that what else the machine does disturbs all alike.
for ((round = 0; round < rounds; round++)); do
    for what in random sequential backup; do
        measure $what "/dev/$origin" >> "/tmp/$what.bare"
        for way in "${ways[@]}"; do
            with_snapshot "$way"
            device=$upper
            [ $what != backup ] || device=$image
            measure $what "$device" >> "/tmp/$what.$way"
            without_snapshot
        done
    done
done

declare -A texts=([random]="4 KiB writes, 16 at a time" [sequential]="1 MiB writes in a row" [backup]="reading the image by 1 MiB")
for what in random sequential backup; do
    echo "clock snapshot-$what-bare $(median < "/tmp/$what.bare") MiB/s ${texts[$what]}: no snapshot"
    for way in "${ways[@]}"; do
        echo "clock snapshot-$what-$way $(paste "/tmp/$what.$way" "/tmp/$what.bare" | awk '{ print $1 / $2 }' | median)" \
            "of it ${texts[$what]}: ${way%-*}, ${way##*-}iB"
    done
done
