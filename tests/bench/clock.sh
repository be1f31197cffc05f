#!/bin/bash
# SPDX-License-Identifier: MIT
# What is measured by the clock, for tests/bench/bench.sh: throughput with two CPUs and a deep queue as a ratio to the same
# disk without filters, and how long a consistency point keeps writers waiting. Lines "clock NAME VALUE UNIT TEXT". Both depend
# on the machine and on what else it does: nothing here is judged.
# lab: timeout 900
# lab: smp 2
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

rounds=3 seconds=1 points=15

# iops DEVICE MODE: writes a second, 16 at a time.
iops() {
    fio --name=clock --filename="/dev/$1" --rw="$2" --bs=4k --ioengine=libaio --iodepth=16 --direct=1 --norandommap --size=200m \
        --time_based --runtime=$seconds --output-format=json | jq '.jobs[0].write.iops | floor'
}

median() { # of the lines on stdin
    sort -n | awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}

# prepare WAY: bare, or with what is compared; prints nothing.
prepare() {
    case $1 in
    passing) attach "$fast" null0 ;;
    points) attach "$fast" null_points0 ;;
    cbt) attach "$fast" cbt-only ;;
    esac
}

throughput() { # MODE
    local mode=$1 way round device
    local -A ways=([passing]="1 filter that passes" [points]="1 that passes, needs points" [cbt]="cbt-only, 64 KiB"
        [linear]="dm-linear" [era]="dm-era, 64 KiB")
    local -A upper=([linear]=$linear [era]=$era)
    # In turn, so that what else the machine does disturbs all alike.
    for ((round = 0; round < rounds; round++)); do
        for way in bare passing points cbt linear era; do
            device=${upper[$way]:-$fast}
            prepare $way
            iops "$device" "$mode" >> "/tmp/$mode.$way"
            detach "$fast"
        done
    done
    echo "clock $mode-bare $(median < "/tmp/$mode.bare") iops $mode, 16 at a time: bare null_blk"
    for way in passing points cbt linear era; do
        echo "clock $mode-$way $(paste "/tmp/$mode.$way" "/tmp/$mode.bare" | awk '{ print $1 / $2 }' | median)" \
            "of bare $mode, 16 at a time: ${ways[$way]}"
    done
}

pauses() { # NAME TEXT: of the disk "slow", as it is busy now
    local i
    for ((i = 0; i < points; i++)); do
        tool point "$slow" | sed 's/.* closed \([0-9.]*\) ms.*/\1/' >> "/tmp/$1"
    done
    echo "clock $1-median $(median < "/tmp/$1") ms point, disk of 20 ms: $2, median"
    echo "clock $1-max $(sort -n "/tmp/$1" | tail -1) ms point, disk of 20 ms: $2, longest of $points"
}

load blkfilter
load blkfilter-null
load blkfilter-cbt
null_disk fast size=1024 memory_backed=0 irqmode=0
fast=$NULL_DISK
null_disk slow size=1024 memory_backed=0 irqmode=2 completion_nsec=20000000
slow=$NULL_DISK
modprobe dm_mod
dmsetup create linear --table "0 1048576 linear /dev/$fast 0"
on_exit remove_dm linear
linear=$(dm_disk linear)
modprobe dm-era
modprobe loop
truncate -s 32M /tmp/era
metadata=$(losetup --find --show /tmp/era)
on_exit losetup -d "$metadata"
dmsetup create era --table "0 1048576 era $metadata /dev/$fast 128"
on_exit remove_dm era
era=$(dm_disk era)

throughput randwrite
throughput write

attach "$slow" null_points0
pauses pause-idle "idle"
fio --name=busy --filename="/dev/$slow" --rw=randwrite --bs=4k --ioengine=psync --direct=1 --norandommap --size=900m --numjobs=32 \
    --time_based --runtime=600 > /tmp/busy 2>&1 &
busy=$!
sleep 5
pauses pause-busy "32 writers"
kill -INT $busy
wait $busy || true
detach "$slow"
