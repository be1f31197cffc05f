# shellcheck shell=bash
# What tests of the kernel modules share; sourced after tests/lab/guest/lib.sh.

SEEN=/sys/kernel/debug/blkfilter-test
HOOKED=/sys/kernel/tracing/enabled_functions
: "${SEED:=1}"
RANDOM=$((SEED % 32768))
# Tests count less there: it takes many times as long.
# shellcheck disable=SC2034
KERNEL_IS_DEBUG=$([ "$KERNEL" = debug ] && echo 1 || echo 0)

# load_filters: the core and the tests' filter. At the end everything is detached, the hook must go, and both must unload.
load_filters() {
    load blkfilter "$@"
    load blkfilter-test
    on_exit detach_all
}

tool() {
    blkfilter-tool "$@"
}

# detach_all: no filter anywhere, no gate closed, the bio hook off.
detach_all() {
    local device rule
    for rule in $(tool rule list | awk 'NR > 1 { print $1 }'); do
        tool rule remove "$rule"
    done
    for device in $(tool devices | awk 'NR > 1 { print $1 }'); do
        tool stack "$device" set --empty > /dev/null
    done
    wait_until 15 hook_is_off
}

hook_is_off() {
    ! grep -q '^submit_bio_noacct_nocheck' "$HOOKED"
}

# end_process PID: it and what it runs are gone afterwards, whatever they were doing.
end_process() {
    local children child
    kill -STOP "$1" 2> /dev/null || true
    children=$(pgrep -P "$1" || true)
    # shellcheck disable=SC2086
    kill -KILL "$1" $children 2> /dev/null || true
    # Not ours to wait for: gone when /proc says so.
    for child in $children; do
        wait_until 10 test ! -e "/proc/$child"
    done
    wait "$1" 2> /dev/null || true
}

# fio_start --filename=/dev/DEVICE ARGUMENT...: fio in the background, from its first I/O until fio_end, which fails if there was
# an I/O or verify error. One process: a job of its own would outlive a fio that is killed.
fio_start() {
    local stat before
    stat=/sys/class/block/${1#--filename=/dev/}/stat
    before=$(cat "$stat")
    fio --name=load --thread --time_based --runtime=3600 --direct=1 --randseed="$SEED" "$@" > /tmp/fio.out 2>&1 &
    FIO=$!
    on_exit end_process $FIO
    wait_until 60 fio_began "$stat" "$before"
    kill -0 $FIO 2> /dev/null || { cat /tmp/fio.out; fail "fio has ended"; }
}

fio_began() { # STAT BEFORE: it has sent something (not every driver counts, not every kernel says it of a process), or is no more
    [ "$(cat "$1")" != "$2" ] || grep -q '^write_bytes: [1-9]' "/proc/$FIO/io" 2> /dev/null || ! kill -0 "$FIO" 2> /dev/null
}

fio_end() {
    kill -INT "$FIO" || true
    wait "$FIO" || true
    if ! grep -q 'err= 0' /tmp/fio.out || grep -q 'err= *[1-9]\|verify:' /tmp/fio.out; then
        cat /tmp/fio.out
        fail "I/O failed under load"
    fi
}

# seen DEVICE FILTER FIELD: what a test filter has counted.
seen() {
    awk -v field="$3" '$1 == field { print $2 }' "$SEEN/$1.$2"
}

# expect VALUE ACTUAL WHAT
expect() {
    [ "$1" = "$2" ] || fail "$3: expected $1, got $2"
}

# of_filter DEVICE FILTER EXPRESSION: a jq expression over one entry of the tool's JSON.
of_filter() {
    tool stack "$1" --json | jq -r --arg name "$2" ".filters[] | select(.name == \$name) | $3"
}

# all_statistics DEVICE: a line for each filter from high to low: its name, bios by group, then sectors by group, as the
# traced file has them.
all_statistics() {
    tool statistics "$1" | awk 'NR > 1 { $1 = $1; print }'
}

# statistics DEVICE FILTER: one of these lines, without the name.
statistics() {
    all_statistics "$1" | sed -n "s/^$2 //p"
}

# order DEVICE: its filters from high to low.
order() {
    all_statistics "$1" | awk '{ printf "%s%s", (NR > 1 ? " " : ""), $1 } END { print "" }'
}

# traced DEVICE...: the kernel's own count, summed over the devices (a partition's bios pass its disk's filters).
traced() {
    local device numbers=()
    for device in "$@"; do
        numbers+=("$(cat "/sys/class/block/$device/dev")")
    done
    awk -v wanted="${numbers[*]}" 'BEGIN { n = split(wanted, w, " "); for (i = 1; i <= n; i++) want[w[i]] = 1
            for (i = 2; i <= 13; i++) sum[i] = 0 }
        $1 in want { for (i = 2; i <= NF; i++) sum[i] += $i }
        END { for (i = 2; i <= 13; i++) printf "%d%s", sum[i], i < 13 ? " " : "\n" }' "$SEEN/traced"
}

# subtract "A B..." "a b...": field by field.
subtract() {
    local -a left right
    read -ra left <<< "$1"
    read -ra right <<< "$2"
    local i out=()
    for i in "${!left[@]}"; do
        out+=($((left[i] - right[i])))
    done
    echo "${out[*]}"
}

# counted DEVICE: what each of its filters and the kernel's tracepoint have counted, at one moment. md writes its
# superblock when it likes, so what changes while it is read is read again.
counted() {
    local before after trace
    while :; do
        before=$(all_statistics "$1")
        # shellcheck disable=SC2086
        trace=$(traced ${WATCHED_WITH[$1]})
        after=$(all_statistics "$1")
        [ "$before" != "$after" ] || break
    done
    printf '%s\n' "traced $trace" "$after"
}

# watch DEVICE [PARTITION...]: from here on ...
declare -A WATCHED_BEFORE WATCHED_WITH
watch() {
    WATCHED_WITH[$1]=$*
    WATCHED_BEFORE[$1]=$(counted "$1")
}

# ... saw_all DEVICE: each of its filters has seen exactly what the kernel's tracepoint counted, in order.
saw_all() {
    local device=$1 now name wanted got
    now=$(counted "$device")
    wanted=$(since "$device" "$now" traced)
    while read -r name _; do
        [ "$name" != traced ] || continue
        got=$(since "$device" "$now" "$name")
        expect "$wanted" "$got" "$device $name: bios and sectors"
        expect 0 "$(seen "$device" "$name" wrong_order)" "$device $name: out of order"
    done <<< "$now"
    echo "$device: $wanted (reads writes discards zeroes flushes other, then their sectors)"
}

since() { # DEVICE NOW NAME: what the line NAME has grown by since watch
    subtract "$(awk -v n="$3" '$1 == n { $1 = ""; print }' <<< "$2")" \
        "$(awk -v n="$3" '$1 == n { $1 = ""; print }' <<< "${WATCHED_BEFORE[$1]}")"
}

# null_disk NAME [ATTRIBUTE=VALUE...]: a null_blk disk by that name, through configfs.
null_disk() {
    local name=$1 folder=/sys/kernel/config/nullb/$1 setting
    shift
    [ -d /sys/module/null_blk ] || { modprobe null_blk nr_devices=0; on_exit rmmod null_blk; }
    mkdir "$folder"
    on_exit remove_null_disk "$name"
    for setting in size=256 memory_backed=1 "$@"; do
        echo "${setting#*=}" > "$folder/${setting%%=*}"
    done
    echo 1 > "$folder/power"
    # Where the kernel is older the disk has a number of its own.
    # shellcheck disable=SC2034
    NULL_DISK=$(null_disk_name "$name")
}

null_disk_name() {
    if [ -e "/sys/block/$1" ]; then
        echo "$1"
    else
        echo "nullb$(cat "/sys/kernel/config/nullb/$1/index")"
    fi
}

remove_null_disk() {
    local folder=/sys/kernel/config/nullb/$1
    [ -d "$folder" ] || return 0
    echo 0 > "$folder/power"
    rmdir "$folder"
}

# partition DISK SIZE_MIB...: makes partitions, waits for their nodes.
partition() {
    local disk=$1 size i=0
    shift
    { echo 'label: gpt'; for size in "$@"; do echo "size=${size}MiB"; done; } |
        sfdisk --quiet --no-reread "/dev/$disk" > /dev/null
    blockdev --rereadpt "/dev/$disk" || true
    for size in "$@"; do
        i=$((i + 1))
        wait_until 10 test -b "$(node_of "$disk" $i)"
    done
}

# node_of DISK NUMBER: a partition's node.
node_of() {
    case $1 in
    *[0-9]) echo "/dev/$1p$2" ;;
    *) echo "/dev/$1$2" ;;
    esac
}

# dm_disk NAME: the kernel name of a mapped device, such as dm-0.
dm_disk() {
    dmsetup info -c --noheadings -o blkdevname "$1"
}

remove_dm() { # NAME, if it is there
    ! dmsetup info "$1" > /dev/null 2>&1 || dmsetup remove --retry "$1"
}

# make_md LEVEL LEG...: md77 on them.
make_md() {
    local level=$1 chunk=()
    shift
    [ "$level" != 0 ] || chunk=(--chunk=64)
    # --assume-clean: they are the same. Else what is read would depend on the leg that md asks just then.
    [ "$level" != 1 ] || printf '/dev/%s\n' "$@" | xargs -n 1 blkdiscard --zeroout
    mdadm --create /dev/md77 --level="$level" --metadata=1.0 --run --assume-clean "${chunk[@]}" \
        --raid-devices=$# "${@/#//dev/}" < <(yes) 2> /dev/null
    wait_until 10 test -b /dev/md77
    on_exit remove_md "$@"
}

remove_md() { # LEG..., if it is there
    [ -e /sys/block/md77 ] || return 0
    mdadm --stop /dev/md77 2> /dev/null
    mdadm --zero-superblock "${@/#//dev/}"
}

# attach DEVICE ENTRY...: the device has these filters, freshly attached.
attach() {
    local device=$1
    shift
    detach "$device"
    tool stack "$device" set "$@" > /dev/null
}

# cbt_is_settled DEVICE: checkpoints can be made.
cbt_is_settled() {
    tool cbt info "$1" | grep -qx 'settled true'
}

# detach DEVICE: it has no filter.
detach() {
    tool stack "$1" set --empty > /dev/null
}
