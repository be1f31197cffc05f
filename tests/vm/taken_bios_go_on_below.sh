#!/bin/bash
# A bio that a filter takes is resumed from a worker below that filter; one may be ended with an error, or replaced by
# two. Nothing above sees it again, everything below sees it once.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk taken size=64 max_sectors=64
disk=$NULL_DISK
dd if=/dev/urandom of=/tmp/data bs=1M count=8 status=none

# Taken by three of five.
attach "$disk" test6,options=record test5,options=take test4,options=record "test3,options=take delay=2" test0,options="take record"
watch "$disk"
dd if=/tmp/data of="/dev/$disk" bs=256k oflag=direct status=none
cmp -n $((8 << 20)) /tmp/data "/dev/$disk"
saw_all "$disk"
for filter in test6 test4 test0; do
    expect 16384 "$(seen "$disk" $filter write_once)" "$filter"
    expect 0 "$(seen "$disk" $filter write_more)" "$filter"
done
taken=$(of_filter "$disk" test3 .statistics.taken)
resumed=$(of_filter "$disk" test3 .statistics.resumed)
[ "$taken" -gt 31 ] || fail "only $taken bios taken"
expect "$taken" "$resumed" "resumed"

# Ended with an error: the application gets it, what is below never sees the bio.
attach "$disk" test6,options=record test5,options=end test4,options=record
expect_fail dd if=/tmp/data of="/dev/$disk" bs=4k count=1 oflag=direct status=none 2> /dev/null
dd if="/dev/$disk" of=/dev/null bs=4k count=1 iflag=direct status=none
expect 0 "$(seen "$disk" test4 write_once)" "below the filter that ends"
[ "$(seen "$disk" test6 write_once)" -ge 8 ] || fail "above the filter that ends"

# Two in place of one: the parts are seen below, not above and not by the filter itself.
attach "$disk" test6,options=record test5,options="two record" test4,options=record
dd if=/tmp/data of="/dev/$disk" bs=128k oflag=direct status=none
cmp -n $((8 << 20)) /tmp/data "/dev/$disk"
expect 16384 "$(seen "$disk" test4 write_once)" "parts below"
expect 0 "$(seen "$disk" test4 write_more)" "parts below, twice"
expect 0 "$(seen "$disk" test5 write_more)" "its own parts shown to the filter"
expect 0 "$(seen "$disk" test6 write_more)" "parts shown above"
upper=$(statistics "$disk" test6 | cut -d' ' -f2) lower=$(statistics "$disk" test4 | cut -d' ' -f2)
[ "$lower" -eq $((2 * upper)) ] || fail "$upper bios above, $lower below"
