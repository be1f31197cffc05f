#!/bin/bash
# SPDX-License-Identifier: MIT
# filterctl redirect on the real kernel, with udev: a mounted ext4 that is written to moves to another disk by itself, with its progress
# shown, compared, and the line for fstab; others stop when they are ready, are paused, compared, cancelled, cut over and finished; filterd is
# killed meanwhile; a redirect that a file declares; the old source after a restart; and what people do wrong.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 600
# lab: allow-dmesg redirect: .*refused
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"
. "$SRC/tests/vm/lib/filterd.sh"

mount=/tmp/mount
mkdir -p $mount
status() { # DEVICE KEY
    filterctl --json redirect status "$1" | jq -r ".records[0].$2"
}
is() { # DEVICE KEY VALUE
    [ "$(status "$1" "$2")" = "$3" ]
}
shows_progress() {
    grep -qE '[0-9.]+ % [0-9.]+ MiB of 96.0 MiB, [0-9.]+ [KM]iB/s' $folder/client
}
knows_when_it_ends() { # DEVICE
    [ "$(status "$1" outlook)" = converges ] && [ "$(status "$1" seconds_left)" -gt 0 ]
}
write_files() { # each is on the disk before the next one is begun
    local n
    for ((n = 0; ; n++)); do
        head -c $((RANDOM * 3)) /dev/urandom > $mount/file-$((n % 40))
        sync $mount/file-$((n % 40))
        sleep 0.05
    done
}
sums() {
    (cd $mount && find . -type f -exec sha256sum {} + | sort -k 2)
}
finish() { # DEVICE: udev may have it open for a moment
    wait_until 20 filterctl redirect finish "$1"
}

load_redirect
modprobe ext4
null_disk data size=96
data=$NULL_DISK
null_disk new size=128
new=$NULL_DISK
null_disk raw size=48
raw=$NULL_DISK
null_disk copy size=48
copy=$NULL_DISK
null_disk small size=16
small=$NULL_DISK
null_disk old size=32
old=$NULL_DISK
null_disk other size=32
other=$NULL_DISK
on_exit end_redirects
start_udev
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "/dev/$data"
mount "/dev/$data" $mount
on_exit umount $mount
dd if=/dev/urandom "of=/dev/$raw" bs=1M count=48 oflag=direct status=none

cat > $config << END
version: 1
devices:
  - {name: data, match: {node: /dev/$data}, stack: [{filter: redirect}]}
  - {name: raw, match: {node: /dev/$raw}, stack: [{filter: redirect}]}
  - {name: old, match: {node: /dev/$old}, stack: [{filter: redirect, target: /dev/$other}]}
END
daemon
on_exit end_filterd
wait_until 20 has_state data "in sync"
wait_until 20 has_state raw "in sync"

echo "a redirect that a file declares"
wait_until 30 is old state redirected
dd if=/dev/urandom of=/tmp/sample bs=1M count=4 status=none
dd if=/tmp/sample "of=/dev/$old" bs=1M oflag=direct status=none
cmp -n 4194304 /tmp/sample "/dev/$other"
filterctl apply > /dev/null
is old state redirected || fail "$(filterctl redirect status old)"
finish old
! cmp -s -n 4194304 /tmp/sample "/dev/$old" || fail "it was written to the source"

echo "what people do wrong"
expect_exit 2 filterctl redirect start raw
expect_exit 1 filterctl redirect start raw "/dev/$copy"
said "Say --record with a device or a file, or --no-record"
expect_exit 2 filterctl redirect start raw "/dev/$copy" --mode sideways
expect_exit 2 filterctl redirect start raw "/dev/$copy" --mode only --rate 1MiB
said "--rate is for migrations"
expect_exit 2 filterctl redirect start raw "/dev/$copy" --no-record --in-flight 65
said "--in-flight must be from 1 to 64"
expect_exit 4 filterctl redirect start raw /dev/nowhere --no-record
said "/dev/nowhere: No such file"
expect_exit 4 filterctl redirect start "$small" "/dev/$copy" --no-record
said "has no filter redirect"
expect_exit 1 filterctl redirect start raw "/dev/$small" --no-record
said "the target is smaller than the source"
expect_exit 1 filterctl redirect start raw "/dev/$raw" --no-record
said "the target is the source"
expect_exit 5 filterctl redirect start raw "/dev/$data" --no-record
said "the target is in use"
expect_exit 1 filterctl redirect start raw /dev/null --no-record
said "the target is no block device"
expect_exit 2 filterctl redirect cutover raw
said "only what is ready can be cut over"
for verb in pause resume cancel verify; do
    expect_exit 4 filterctl redirect $verb raw
    said "nothing was started"
done
[ -z "$(ls $folder/state/plugins/redirect)" ] || fail "something is left: $(ls $folder/state/plugins/redirect)"

echo "a mounted file system that is written to"
write_files &
writer=$!
on_exit end_process $writer
start_filterctl redirect start data "/dev/$new" --no-record --auto-cutover --rate 4MiB
wait_until 30 shows_progress
wait_until 30 knows_when_it_ends data
is data total_bytes $((96 << 20)) || fail "$(filterctl redirect status data)"
filterctl --json redirect verify data > $folder/verified
[ "$(jq -r '.records[0].result' $folder/verified)" = equal ] || fail "$(cat $folder/verified)"
expect_exit 5 filterctl redirect start data "/dev/$copy" --no-record
said "is under way"
filterctl job list | grep -q 'redirect start' || fail "$(filterctl job list)"
filterctl redirect set-rate data 0 > /dev/null
wait "$client" || fail "the migration has failed: $(cat $folder/client)"
is data state redirected || fail "$(filterctl redirect status data)"
is data current "/dev/$new" || fail "$(filterctl redirect status data)"
[ "$(status data 'fstab[0]' | cut -d ' ' -f -3)" = "/dev/$new $mount ext4" ] || fail "$(status data fstab)"
status data reboot | grep -qF "put the line 'fstab' into /etc/fstab, for /dev/$new" || fail "$(status data reboot)"
wait_until 10 is_logged "all I/O goes to /dev/$new"
sleep 1
end_process $writer
expect_exit 5 filterctl redirect cancel data
said "it is redirected, which cannot be cancelled"
expect_exit 5 filterctl redirect finish data
said "somebody has the source open"
expect_exit 5 filterctl stack detach data redirect --force
sync
sums > $folder/sums
umount $mount
finish data
e2fsck -fn "/dev/$new" > /dev/null || fail "the target's file system is not clean"
mount "/dev/$new" $mount
sums | diff $folder/sums - || fail "the target has other files"

echo "one that stops when it is ready"
filterctl redirect start raw "/dev/$copy" --no-record --mode background > /dev/null
is raw state ready || fail "$(filterctl redirect status raw)"
is raw current "/dev/$raw" || fail "$(filterctl redirect status raw)"
filterctl redirect verify raw | grep -q equal || fail "they differ"
filterctl redirect pause raw > /dev/null
is raw state standby || fail "$(filterctl redirect status raw)"
expect_exit 2 filterctl redirect pause raw
expect_exit 5 filterctl redirect verify raw
expect_exit 2 filterctl redirect cutover raw
filterctl redirect resume raw > /dev/null
is raw state ready || fail "$(filterctl redirect status raw)"
filterctl redirect list | grep "^$raw" | grep -q background || fail "$(filterctl redirect list)"
filterctl redirect cancel raw > /dev/null
is raw state concluded || fail "$(filterctl redirect status raw)"
expect_exit 2 filterctl redirect finish raw
said "it is not redirected"

echo "whoever waits hears that it was cancelled"
start_filterctl redirect start raw "/dev/$copy" --no-record --rate 1MiB
wait_until 20 is raw state running
filterctl redirect cancel raw > /dev/null
status=0
wait "$client" || status=$?
[ $status = 1 ] || fail "$status: $(cat $folder/client)"
grep -q "it was cancelled" $folder/client || fail "$(cat $folder/client)"

echo "filterd is killed, and the next one goes on"
filterctl redirect start raw "/dev/$copy" --no-record --auto-cutover --no-wait --rate 8MiB > /dev/null
kill_filterd
daemon
wait_until 60 is raw state redirected
is raw auto_cutover true || fail "$(filterctl redirect status raw)"
dd if=/tmp/sample "of=/dev/$raw" bs=1M oflag=direct status=none
cmp -n 4194304 /tmp/sample "/dev/$copy"

echo "after a restart the old source is not taken for the current device"
kill_filterd
wait_until 20 redirect finish "$raw"
sed -i 's/"boot": "[^"]*"/"boot": "an earlier one"/' $folder/state/plugins/redirect/*.json
daemon
wait_until 20 is_logged "$raw is an old source"
wait_until 20 is raw current "/dev/$copy"
expect_exit 5 filterctl redirect start raw "/dev/$copy" --no-record
said "is the old source of /dev/$copy"
filterctl redirect finish raw > /dev/null
filterctl redirect start raw "/dev/$copy" --no-record > /dev/null
same "$raw" "$copy"
filterctl redirect cancel raw > /dev/null
