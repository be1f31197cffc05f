#!/bin/bash
# Attach, detach, reorder and replace in a loop, on disk, partition and the dm device above, under fio with verify: no I/O
# error, nothing lost. A filter that is in every stack sees every bio: none slips past while a transaction is going on.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe dm_mod
null_disk busy size=96 irqmode=2 completion_nsec=500000 max_sectors=64
disk=$NULL_DISK
partition "$disk" 64
part=$(basename "$(node_of "$disk" 1)")
dmsetup create linear --table "0 131072 linear /dev/$part 0"
on_exit remove_dm linear
linear=$(dm_disk linear)

# test2 and test3 are always there: one that does not count completions, one that does.
for device in "$linear" "$part" "$disk"; do
    attach "$device" test2@300000.5 test3@350000
    watch "$device" "$part"
done
WATCHED_WITH[$linear]=$linear WATCHED_WITH[$part]=$part
watch "$linear"
watch "$part"
watch "$disk" "$part"

stacks=("test2@300000.5 test3@350000"
    "test7 test3@900000 test2@10 test0@5.000001"
    "test2@800000 test5,options=take test3@350000 test1,options=two"
    "test3@1 test6 test2@2 test4,options=take"
    "test2 test3 test5,replaces=test4 test0")
fio_start --filename="/dev/$linear" --ioengine=libaio --iodepth=16 --rw=randrw --bsrange=4k-128k --size=60m \
    --verify=crc32c --verify_fatal=1 --verify_backlog=64
rounds=$((SOAK ? 2000 : KERNEL_IS_DEBUG ? 15 : 40))
for ((i = 0; i < rounds; i++)); do
    case $((RANDOM % 3)) in
    0) device=$linear ;;
    1) device=$part ;;
    2) device=$disk ;;
    esac
    stack=${stacks[RANDOM % 5]}
    # What a filter of disk or partition sends itself is the disk's bio for the tracepoint: the partition's count would not fit.
    [ "$device" = "$linear" ] || stack=${stack//,options=two/}
    # A stack with the same filters keeps their options, a new one may give others: not in one step.
    # shellcheck disable=SC2086
    tool stack "$device" set --limit 10000 ${stack} > /dev/null 2> /tmp/error || {
        status=$?
        grep -q 'options\|replaces' /tmp/error || fail "exit $status: $(cat /tmp/error)"
        tool stack "$device" set --limit 10000 test2@300000.5 test3@350000 > /dev/null
    }
done
fio_end
for device in "$linear" "$part" "$disk"; do
    tool stack "$device" set --limit 10000 test2@300000.5 test3@350000 > /dev/null
    now=$(counted "$device")
    # Sectors: a bio is two below a filter that makes two of it.
    wanted=$(since "$device" "$now" traced | cut -d' ' -f7-)
    for filter in test2 test3; do
        got=$(since "$device" "$now" $filter | cut -d' ' -f7-)
        # Writes are counted until they complete, so none is on its way over a change. The rest of a read that the queue
        # splits is shown again when its submitter slept meanwhile: more sectors, never fewer (docs/filters.md, promise 3).
        [ "${got%% *}" -ge "${wanted%% *}" ] || fail "$device $filter: reads of $wanted sectors, got $got"
        expect "${wanted#* }" "${got#* }" "$device $filter: sectors over $rounds changes"
    done
    echo "$device: sectors $wanted"
done
