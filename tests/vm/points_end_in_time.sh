#!/bin/bash
# A point whose devices do not drain (lower before upper; a device that is suspended) ends at its limit with nothing changed,
# says which device it was, and a right one straight after succeeds. The limit is kept, with a margin.
# lab: kernels debug 6.12
# lab: soak 6.1
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe dm_mod
null_disk a size=64 irqmode=2 completion_nsec=20000000 hw_queue_depth=16
a=$NULL_DISK
dmsetup create linear --table "0 131072 linear /dev/$a 0"
on_exit remove_dm linear
linear=$(dm_disk linear)
attach "$linear" test5
attach "$a" test5
instants=$(seen "$a" test5 instants)

dmsetup suspend --nolockfs linear
dd if=/dev/zero "of=/dev/$linear" bs=4k count=1 oflag=direct status=none &
writer=$!
sleep 0.5
began=$(date +%s%N)
status=0
tool point --limit 500 "$linear" "$a" 2> /tmp/error || status=$?
took=$((($(date +%s%N) - began) / 1000000))
cat /tmp/error
expect 6 $status "exit code for a point that did not end in time"
grep -q "$linear" /tmp/error || fail "the device that did not drain is not named"
((took >= 500 && took < 5000)) || fail "limit of 500 ms, ended after $took ms"
expect "$instants" "$(seen "$a" test5 instants)" "instants"
dmsetup resume linear
wait $writer
dd if=/dev/zero "of=/dev/$linear" bs=4k count=1 oflag=direct status=none
tool point --limit 5000 "$linear" "$a"
expect $((instants + 1)) "$(seen "$a" test5 instants)" "instants after the right one"

# Lower before upper, under load: what the upper has in flight needs the lower gate.
fio_start --filename="/dev/$linear" --ioengine=libaio --iodepth=32 --rw=randwrite --bs=4k --size=32m
for _ in 1 2 3; do
    status=0
    tool point --limit 300 "$a" "$linear" 2> /dev/null || status=$?
    [ $status = 6 ] || echo "wrong order succeeded: nothing was in flight"
    tool point --limit 5000 "$linear" "$a"
done
fio_end
