#!/bin/bash
# nvme multipath, over two TCP ports of the kernel's own target: every bio once on the multipath device, also those that fail over
# when a path goes away under load (the same struct bio comes again). The paths themselves are hidden and not ours.
# lab: kernels 6.12 6.1
# lab: timeout 240
# lab: allow-dmesg nvme.*(I/O error|I/O Error|rescanning|Removing)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/multipath.sh"

load_filters
null_disk n size=64
multipath_up
attach "$HEAD" test5 test4 test1,options=take
watch "$HEAD"
fio_start --filename="/dev/$HEAD" --ioengine=libaio --iodepth=16 --rw=randrw --bsrange=4k-64k --size=48m \
    --verify=crc32c --verify_fatal=1 --verify_backlog=64
for round in 1 2 3; do
    for port in 1 2; do
        fail_over "$port"
        tool point --limit 5000 "$HEAD" "$NULL_DISK"
        echo "round $round: path $port came back"
    done
done
fio_end
saw_all "$HEAD"
