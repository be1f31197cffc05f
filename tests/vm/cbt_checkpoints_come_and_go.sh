#!/bin/bash
# Checkpoints of cbt-only: a thousand alive at once, many thousands one after the other while old ones stay, the limit, names of
# points, two generations, marks by hand. With few slots all of it is merged again and again. SOAK=1: 70000.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk a size=16
a=$NULL_DISK

# A point takes some grace periods of RCU, which is nearly all of the time here: they shall begin at once.
echo 0 > /sys/module/rcutree/parameters/jiffies_till_first_fqs
echo 1 > /sys/module/rcutree/parameters/jiffies_till_next_fqs
few=200 many=1000
[ "$KERNEL" != debug ] || few=60 many=20
echo "--- few slots, which are merged all the time"
insmod "$MODDIR/blkfilter-cbt.ko" slots=32
attach "$a" cbt-only,options=block_size=4096
cbt-checkpoints "/dev/$a" 4096 20 $few 31
detach "$a"
rmmod blkfilter_cbt

load blkfilter-cbt
echo "--- many at once"
attach "$a" cbt-only,options=block_size=4096
if ((SOAK)); then
    cbt-checkpoints "/dev/$a" 4096 1000 70000 4096
else
    cbt-checkpoints "/dev/$a" 4096 $many 20
fi

echo "--- those of points"
ids=()
for i in {1..18}; do
    id=$(printf '00000000-0000-4000-8000-%012d' "$i")
    ids+=("$id")
    tool point --id "$id" "$a" > /dev/null
    dd if=/dev/zero "of=/dev/$a" bs=4k count=1 "seek=$i" oflag=direct status=none
done
expect 16 "$(tool cbt list "$a" | grep -c 00000000-0000-4000)" "unnamed checkpoints that are kept"
expect "136 16 written" "$(tool cbt extents "$a" "${ids[16]}")" "changed since the last point but one"
expect "144 8 written" "$(tool cbt extents "$a" "${ids[17]}")" "changed since the last point"
tool cbt checkpoint "$a" named --point "${ids[10]}" > /dev/null
expect "$(tool cbt extents "$a" "${ids[10]}")" "$(tool cbt extents "$a" named)" "the same point, by id and by name"
expect_fail tool cbt checkpoint "$a" gone --point "${ids[0]}"
expect_fail tool cbt checkpoint "$a" "no name"
expect_fail tool cbt delete "$a" "${ids[17]}"

echo "--- marked by hand"
tool cbt checkpoint "$a" hand > /dev/null
tool cbt dirty "$a" 64+8 200+1 32760+8
expect "64 8 written,200 8 written,32760 8 written" "$(tool cbt extents "$a" hand | paste -sd,)" "marked by hand"
expect_fail tool cbt dirty "$a" 0+8 32768+1
expect_fail tool cbt dirty "$a" 0+8 8+0
expect 3 "$(tool cbt extents "$a" hand | wc -l)" "extents after a refused mark"

echo "--- another generation"
generation=$(tool cbt info "$a" | awk '$1 == "generation" { print $2 }')
detach "$a"
attach "$a" cbt-only,options=block_size=4096
[ "$generation" != "$(tool cbt info "$a" | awk '$1 == "generation" { print $2 }')" ] || fail "the old generation after a new attach"
expect "" "$(tool cbt list "$a")" "checkpoints of the new generation"
for wrong in block_size=4095 block_size=2048 block_size=134217728 block_size= nonsense "block_size=65536 x"; do
    expect_fail tool stack "$a" set "cbt-only,options=$wrong" 2> /dev/null
done
detach "$a"
