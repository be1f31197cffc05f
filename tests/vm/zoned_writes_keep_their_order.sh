#!/bin/bash
# A zoned disk: writes of a zone reach it in their order, also those that were parked while points closed it and those that come
# while it opens: none fails. A filter that does not say it can handle zones is refused.
# lab: kernels debug
# lab: soak 6.12 6.1
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-null
null_disk z size=256 zoned=1 zone_size=16 irqmode=2 completion_nsec=2000000
disk=$NULL_DISK
expect host-managed "$(cat "/sys/block/$disk/queue/zoned")" "kind of disk"
echo mq-deadline > "/sys/block/$disk/queue/scheduler"

status=0
tool stack "$disk" set null0 2> /tmp/error || status=$?
cat /tmp/error
[ $status != 0 ] || fail "a filter that cannot handle zones was attached"
expect "" "$(order "$disk")" "filters after the refusal"

attach "$disk" test5,options=hold=20 test4
watch "$disk"
instants=$(seen "$disk" test5 instants)
fio_start --filename="/dev/$disk" --zonemode=zbd --max_open_zones=4 --ioengine=libaio --iodepth=8 --rw=write --bs=16k
for _ in {1..15}; do
    tool point --limit 5000 "$disk" > /dev/null
    sleep "0.$((RANDOM % 2))"
done
fio_end
expect $((instants + 15)) "$(seen "$disk" test5 instants)" "instants"
expect 0 "$(seen "$disk" test5 in_flight_at_instant)" "writes in flight at the instant"
expect 0 "$(seen "$disk" test5 moved_during_hold)" "writes that moved during the instant"
saw_all "$disk"
