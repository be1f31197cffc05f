#!/bin/bash
# SPDX-License-Identifier: MIT
# What cbt-only makes of a disk that grows, shrinks, is too large for any memory, gets another medium, appears, or is detached while
# a checkpoint waits for it.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 240
# lab: allow-dmesg no memory to track all of a device
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-cbt

info() { # DEVICE FIELD
    tool cbt info "$1" | awk -v field="$2" '$1 == field { print $2 }'
}

changed() { # DEVICE CHECKPOINT: its extents on one line, joined where the answer was made in parts
    tool cbt extents "$1" "$2" | awk '
        $1 == end && $3 == kind { end += $2; next }
        kind { printf "%.0f %.0f %s,", first, end - first, kind }
        { first = $1; end = $1 + $2; kind = $3 }
        END { if (kind) printf "%.0f %.0f %s\n", first, end - first, kind }'
}

write_page() { # DEVICE SECTOR
    dd if=/dev/zero "of=/dev/$1" bs=4k count=1 seek=$(($2 * 512)) oflag=direct,seek_bytes conv=notrunc status=none
}

size_is() { # DEVICE SECTORS: as the tracker knows it
    [ "$(info "$1" sectors)" = "$2" ]
}

echo "--- a disk that appears without a size, and gets one"
loop_control() { # LOOP_CTL_ADD or LOOP_CTL_REMOVE, of loop77
    python3 -c 'import fcntl, sys; fcntl.ioctl(open("/dev/loop-control"), int(sys.argv[1], 16), 77)' "$1"
}
modprobe loop
loop=loop77
tool rule add --name $loop cbt-only > /dev/null
loop_control 4c80
on_exit loop_control 4c81
wait_until 10 test -b /dev/$loop
size_is $loop 0 || fail "the tracker of $loop knows a size: $(info "$loop" sectors)"
truncate -s $((10243 * 512)) /tmp/image
losetup /dev/$loop /tmp/image
on_exit losetup -d /dev/$loop
size_is "$loop" 10243 || fail "the tracker of $loop knows another size: $(info "$loop" sectors)"
cbt_is_settled "$loop" || fail "$loop appeared and is not settled"
tool cbt checkpoint "$loop" small > /dev/null
write_page "$loop" 128
expect "128 128 written" "$(changed "$loop" small)" "one write"

echo "--- it grows within a block, shrinks and grows again"
resize() { # SECTORS
    truncate -s $(($1 * 512)) /tmp/image
    losetup -c "/dev/$loop"
    size_is "$loop" "$1" || fail "the tracker of $loop knows another size: $(info "$loop" sectors)"
}
resize 12288
expect "128 128 written,10240 2048 written" "$(changed "$loop" small)" "new space counts as changed"
tool cbt checkpoint "$loop" grown > /dev/null
write_page "$loop" 12280
expect "12160 128 written" "$(changed "$loop" grown)" "a write into the new space"
resize 10240
expect "128 128 written" "$(changed "$loop" small)" "nothing behind the end"
expect "" "$(changed "$loop" grown)" "nothing behind the end"
resize 12288
expect "128 128 written,10240 2048 written" "$(changed "$loop" small)" "space that came back"
expect "10240 2048 written" "$(changed "$loop" grown)" "space that came back"

echo "--- another medium"
generation=$(info "$loop" generation)
truncate -s $((12288 * 512)) /tmp/other
losetup -d "/dev/$loop"
losetup "/dev/$loop" /tmp/other
[ "$(info "$loop" generation)" != "$generation" ] || fail "the old generation with another medium"
expect "" "$(tool cbt list "$loop" | grep small || true)" "checkpoints of the old medium"
tool cbt checkpoint "$loop" other > /dev/null
write_page "$loop" 0
expect "0 128 written" "$(changed "$loop" other)" "a write to the new medium"
detach "$loop"
tool rule remove "$(tool rule list | awk 'NR == 2 { print $1 }')"

echo "--- a disk that is larger than any map, and smaller again"
null_disk a size=32
a=$NULL_DISK
modprobe dm-zero
dmsetup create huge --table "0 65536 linear /dev/$a 0"
on_exit remove_dm huge
huge=$(dm_disk huge)
resize_huge() { # SECTORS
    printf '0 65536 linear /dev/%s 0\n65536 %d zero\n' "$a" $(($1 - 65536)) | dmsetup load huge
    dmsetup resume huge
    size_is "$huge" "$1" || fail "the tracker of $huge knows another size: $(info "$huge" sectors)"
}
attach "$huge" cbt-only,options=block_size=4096
tool cbt checkpoint "$huge" first > /dev/null
most=$((1 << 43)) far=$((1 << 31)) less=$((1 << 32))
resize_huge $most
expect "65536 $((most - 65536)) written" "$(changed "$huge" first)" "what the map does not cover"
tool cbt checkpoint "$huge" second > /dev/null
write_page "$huge" $far
resize_huge $less
# To the end of its fifth region of 16384 sectors the map covered it already.
expect "81920 $((less - 81920)) written" "$(changed "$huge" second)" "what was written while the map did not cover it"
tool cbt checkpoint "$huge" third > /dev/null
write_page "$huge" $far
expect "$far 8 written" "$(changed "$huge" third)" "covered now"
detach "$huge"

echo "--- detached while checkpoints wait"
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
modprobe dm-delay
dmsetup create slow --table "0 65536 delay /dev/$a 0 0 /dev/$a 0 300"
on_exit remove_dm slow
slow=$(dm_disk slow)
fio_start --filename="/dev/$slow" --ioengine=libaio --iodepth=8 --rw=randwrite --bs=4k
made=0 refused=0
for ((round = 0; round < (KERNEL_IS_DEBUG ? 4 : 12); round++)); do
    attach "$slow" cbt-only test1
    wait_until 20 cbt_is_settled "$slow"
    declare -A creating=()
    for name in one two three; do
        timeout 20 blkfilter-tool cbt checkpoint "$slow" $name > "/tmp/create.$name" 2>&1 &
        creating[$name]=$!
    done
    sleep "0.$((RANDOM % 8))"
    tool stack "$slow" set --limit 5000 test1 > /dev/null
    for name in one two three; do
        if wait "${creating[$name]}"; then
            made=$((made + 1))
        else
            refused=$((refused + 1))
            grep -q "is not attached\|is being detached" /tmp/create.$name || fail "round $round: $(cat /tmp/create.$name)"
        fi
    done
done
echo "$made checkpoints were made, $refused were refused"
fio_end
detach "$slow"
