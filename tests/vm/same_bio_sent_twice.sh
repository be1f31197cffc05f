#!/bin/bash
# A struct bio that is used again without being reset (as dm-integrity does) is shown again.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk twice
disk=$NULL_DISK
for entries in "test2,options=record" "test3,options=record" "test3,options=take record" "test5,options=take test2,options=record"; do
    IFS=' ' read -r -a list <<< "${entries//take record/take_record}"
    attach "$disk" "${list[@]//take_record/take record}"
    watch "$disk"
    echo "/dev/$disk" > "$SEEN/twice"
    last=${list[-1]%%,*}
    expect 8 "$(seen "$disk" "$last" write_more)" "sectors shown twice"
    expect 2 "$(statistics "$disk" "$last" | cut -d' ' -f2)" "bios"
    saw_all "$disk"
done
