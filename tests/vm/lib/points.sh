# shellcheck shell=bash
# Points over busy devices, with a filter on each that watches its instant.

# points N DEVICE...: upper before lower, each with a filter that watches its instant, and with those of ALSO.
ALSO=("test2,options=take")
points() {
    local n=$1 device i
    shift
    for device in "$@"; do
        attach "$device" test5,options=hold=60 "${ALSO[@]}"
    done
    local -A before
    for device in "$@"; do
        before[$device]=$(seen "$device" test5 instants)
    done
    fio_start --filename="/dev/$1" --ioengine=libaio --iodepth=32 --rw=randwrite --bs=4k --size=32m
    for ((i = 0; i < n; i++)); do
        tool point --limit 5000 "$@"
        sleep "0.$((RANDOM % 3))"
    done
    for device in "$@"; do
        expect $((before[$device] + n)) "$(seen "$device" test5 instants)" "$device: instants"
        expect 0 "$(seen "$device" test5 in_flight_at_instant)" "$device: writes in flight at the instant"
        expect 0 "$(seen "$device" test5 moved_during_hold)" "$device: writes that moved during the instant"
        expect "$(seen "$device" test5 prepared)" "$(seen "$device" test5 "done")" "$device: prepare and done"
    done
    fio_end
    for device in "$@"; do
        detach "$device"
    done
}
