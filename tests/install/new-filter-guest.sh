#!/bin/bash
# SPDX-License-Identifier: MIT
# In a guest, for tests/install/new-filter.sh: the filter that ./dev new-filter has created outside of the repository, as it was created,
# passes its own test; filterd attaches it as its YAML says, and it counts what is written.
# lab: disk 64
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
folder=/job/install/new-filter-$KERNEL/here/my-filter

writes() { # that the filter has seen
    filterctl --json my-filter writes data | jq '.records[0].writes'
}

end_filterd() { # which keeps the core from being unloaded
    kill "$filterd"
    wait "$filterd"
}

load blkfilter

echo "its own test"
"$folder/test.sh" --built

echo "filterd and filterctl, with its YAML"
modprobe virtio_blk
start_udev
insmod "$folder/module/my-filter.ko"
on_exit rmmod my_filter
filterd --config "$folder/my-filter.yaml" --config-folder /tmp/none.d --plugin-folder "$folder" 2> /tmp/log &
filterd=$!
on_exit end_filterd
on_exit blkfilter-tool stack vda set --empty
tries=300
until filterctl --json status 2> /dev/null | jq -e '.devices[0].state == "in sync"' > /dev/null; do
    [ $((tries--)) -gt 0 ] || fail "not attached: $(filterctl status) $(cat /tmp/log)"
    sleep 0.1
done
before=$(writes)
dd if=/dev/urandom of=/dev/vda bs=4k count=25 oflag=direct status=none
dd if=/dev/vda of=/dev/null bs=4k count=10 iflag=direct status=none
counted=$(($(writes) - before))
[ "$counted" = 25 ] || fail "25 writes, and it has counted $counted"
filterctl my-filter writes data
