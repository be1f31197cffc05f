#!/bin/bash
# SPDX-License-Identifier: MIT
# Everything that a program can hand in wrongly, by /dev/blkfilter, its read() and the node ioctls, gets the documented errno and
# changes nothing; what is at the limit is accepted; nothing works without CAP_SYS_ADMIN.
# lab: kernels debug 6.12 6.1
# lab: timeout 240
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
null_disk bad size=32
disk=$NULL_DISK
null_disk other size=32
other=$NULL_DISK
attach "$disk" test0,options=record test1

picture() {
    tool devices --json
    tool filters --json
    tool rule list --json
    tool stack "$disk" --json | python3 -c 'import json, sys
stack = json.load(sys.stdin)
for f in stack["filters"]: del f["statistics"]
print(stack)'
}

before=$(picture)
bad-input "/dev/$disk" "/dev/$other"
expect "$before" "$(picture)" "what was there before"
watch "$disk"
dd if=/dev/urandom of=/tmp/data bs=1M count=1 status=none
dd if=/tmp/data of="/dev/$disk" bs=64k oflag=direct status=none
cmp -n $((1 << 20)) /tmp/data "/dev/$disk"
saw_all "$disk"
