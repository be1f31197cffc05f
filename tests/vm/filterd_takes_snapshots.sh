#!/bin/bash
# SPDX-License-Identifier: MIT
# filterctl snapshot on the real kernel, with udev: a group of two disks with a database under load at one instant, links and mounts of
# the images, hooks, storage that grows, warns and ends at its limit, filterd killed while snapshots are made and kept, and what people do
# wrong.
# lab: kernels none
# lab: soak 6.12 6.1
# lab: timeout 600
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"
. "$SRC/tests/vm/lib/filterd.sh"
. "$SRC/tests/vm/lib/clean.sh"
. "$SRC/tests/vm/lib/database.sh"

image=/tmp/image
mkdir -p /tmp/data /tmp/log /tmp/store $image /tmp/partition
snapshots() { # how many there are
    filterctl --json snapshot list | jq '.records | length'
}
has_snapshots() { # COUNT
    [ "$(snapshots)" = "$1" ]
}
has_room() { # SNAPSHOT MEBIBYTES: of storage that is not used yet
    [ $(($(field "$1" storage_bytes) - $(field "$1" used_bytes))) -ge $(($2 << 20)) ]
}
field() { # SNAPSHOT KEY
    filterctl --json snapshot status "$1" | jq ".records[0].$2"
}
write_slowly() { # SNAPSHOT FILE MEBIBYTES: no faster than its storage grows, on a machine that is slow in everything
    local i
    for ((i = 0; i < $3; i += 5)); do
        wait_until 60 has_room "$1" 15
        dd if=/dev/urandom "of=$2" bs=1M count=5 seek=$i oflag=direct conv=notrunc status=none
    done
}

is_not_frozen() { # FOLDER
    fsfreeze --freeze "$1" || fail "$1 was left frozen"
    fsfreeze --unfreeze "$1"
}

load_blksnap diff_storage_minimum=98304
modprobe ext4
modprobe xfs
modprobe loop
null_disk data size=160
data=$NULL_DISK
null_disk log size=480
log=$NULL_DISK
null_disk store size=400
store=$NULL_DISK
null_disk other size=64
other=$NULL_DISK
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "/dev/$data"
mkfs.xfs -q "/dev/$log"
mkfs.ext4 -q "/dev/$store"
mount "/dev/$data" /tmp/data
on_exit umount /tmp/data
mount "/dev/$log" /tmp/log
on_exit umount /tmp/log
mount "/dev/$store" /tmp/store
on_exit umount /tmp/store
on_exit python3 "$SRC/tests/vm/lib/blksnap.py" destroy-all

mkdir -p /run/udev/rules.d
cp "$SRC/config/udev/59-blksnap.rules" /run/udev/rules.d/
start_udev
cat > $config << END
version: 1
defaults: {storage: {path: /tmp/store/difference, limit: 200MiB, step: 48MiB, warn: 50%}}
groups:
  - name: database
    devices: [data, log]
    hooks: {before: 'echo "before \$FILTERD_GROUP" >> /tmp/hooks', after: 'echo "after \$FILTERD_RESULT" >> /tmp/hooks', seconds: 20}
  - name: forbidden
    devices: [data]
    hooks: {before: 'echo no >&2; exit 3'}
  - name: late
    devices: [data]
    hooks: {before: 'sleep 60', seconds: 1}
devices:
  - {name: data, match: {node: /dev/$data}, stack: [{filter: blksnap}]}
  - {name: log, match: {node: /dev/$log}, stack: [{filter: blksnap}]}
END
daemon
on_exit end_filterd
wait_until 20 has_state data "in sync"
wait_until 20 has_state log "in sync"

echo "what a snapshot would be of"
filterctl --json snapshot check --group database | jq -r '.records[] | "\(.type) \(.frozen)"' | sort > $folder/check
diff $folder/check - << 'END'
ext4 true
xfs true
END

echo "two disks at one instant, under load"
make_database /tmp/data/db
load_database /tmp/data/db
on_exit end_database_load /tmp/data/db
for i in 1 2; do
    # The number is on one disk before it is on the other: at no instant is it the other way round.
    # In place: a file that is cut off before it is written may be empty at the instant.
    (for ((n = 1000; n < 2000; n++)); do echo $n 1<> /tmp/data/first; sync /tmp/data/first; echo $n 1<> /tmp/log/second; sync /tmp/log/second; done) &
    writer=$!
    wait_until 30 test -s /tmp/log/second
    filterctl snapshot create --group database --label one > /dev/null
    udevadm settle --timeout=20
    for name in data log; do
        [ -b "/dev/disk/by-blkfilter/one/$name" ] || fail "no links: $(find /dev/disk/by-blkfilter)"
    done
    filterctl snapshot mount one --device data --on $image > /dev/null
    check_database $image/db
    first=$(cat $image/first)
    expect_exit 5 filterctl snapshot destroy one
    said "is mounted on $image"
    umount $image
    filterctl snapshot mount one --device log --on $image > /dev/null
    second=$(cat $image/second)
    umount $image
    [ "$first" = "$second" ] || [ "$first" = $((second + 1)) ] || fail "$first on one disk, $second on the other"
    expect_clean "the image of data" /dev/disk/by-blkfilter/one/data
    filterctl snapshot destroy one
    has_snapshots 0 || fail "it was destroyed, and is there"
    end_process $writer
    rm /tmp/log/second
done
[ "$(sort -u /tmp/hooks | tr '\n' ,)" = "after taken,before database," ] || fail "hooks: $(cat /tmp/hooks)"

echo "what people do wrong leaves nothing"
expect_exit 2 filterctl snapshot create
expect_exit 4 filterctl snapshot create "$other"
said "has no filter blksnap"
expect_exit 4 filterctl snapshot create --group nowhere
expect_exit 1 filterctl snapshot create --group forbidden
said "has ended with 3"
expect_exit 1 filterctl snapshot create --group late
said "has not ended after 1 s"
expect_exit 2 filterctl snapshot create data --label ../x
expect_exit 1 filterctl snapshot create data --storage /proc/nowhere
expect_exit 4 filterctl snapshot status one
expect_exit 4 filterctl snapshot destroy one
has_snapshots 0 || fail "something is left: $(filterctl snapshot list)"
filterctl snapshot create data --label two > /dev/null
expect_exit 5 filterctl snapshot create log --label two
expect_exit 5 filterctl snapshot create data --label three
has_snapshots 1 || fail "$(filterctl snapshot list)"
expect_exit 1 filterctl snapshot mount two --on /tmp/nowhere
[ -e "/run/blkfilter/images/blksnap-image_$(cat "/sys/class/block/$data/dev")" ] || fail "the note of snapshot two is lost"
filterctl snapshot destroy two
is_not_frozen /tmp/data

echo "storage grows, is warned of, and ends at its limit"
filterctl snapshot create data log --label grows > /dev/null
before=$(field grows storage_bytes)
write_slowly grows /tmp/log/much 60
[ "$(field grows state)" = '"taken"' ] || fail "it did not grow in time: $(filterctl snapshot status grows)"
[ "$(field grows storage_bytes)" -gt "$before" ] || fail "it has not grown"
write_slowly grows /tmp/log/more 60
wait_until 20 is_logged "50% of what"
[ "$(field grows full_in_seconds)" != null ] || fail "nobody says when it is full"
filterctl snapshot extend grows --by 1MiB
for i in 1 2 3 4; do
    dd if=/dev/urandom of="/tmp/log/all$i" bs=1M count=30 conv=fsync status=none
done
wait_until 20 is_logged "cannot grow beyond"
wait_until 20 is_logged "is not to be used any more"
filterctl snapshot images grows | grep -q "No space left" || fail "$(filterctl snapshot images grows)"
filterctl snapshot destroy grows
rm -r /tmp/log/much /tmp/log/more /tmp/log/all?

echo "a block device as storage"
filterctl snapshot create data --label device --storage "/dev/$other" > /dev/null
[ "$(field device storage_bytes)" = $((64 << 20)) ] || fail "$(filterctl snapshot status device)"
expect_exit 1 filterctl snapshot extend device --by 1MiB
filterctl snapshot destroy device

echo "filterd is killed while snapshots are made and kept"
filterctl snapshot create data --label kept > /dev/null
for delay in 0.1 0.3 0.5 1 2; do
    start_filterctl snapshot create log --label "made-$delay"
    sleep $delay
    kill_filterd
    wait "$client" || true
    daemon
    wait_until 10 filterctl snapshot status kept > /dev/null
    # It was made, or nothing is left of it.
    if filterctl snapshot status "made-$delay" > /dev/null 2>&1; then
        [ "$(field "made-$delay" state)" = '"taken"' ] || fail "half made: $(filterctl snapshot list)"
        filterctl snapshot destroy "made-$delay"
    fi
    wait_until 10 has_snapshots 1
    is_not_frozen /tmp/log
done
before=$(field kept storage_bytes)
write_slowly kept /tmp/data/much 50
[ "$(field kept storage_bytes)" -gt "$before" ] || fail "what was found again does not grow"
filterctl snapshot mount kept --on $image > /dev/null
check_database $image/db
umount $image
filterctl snapshot destroy kept
[ ! -e /dev/disk/by-blkfilter/kept ] || { udevadm settle; [ ! -e /dev/disk/by-blkfilter/kept/data ]; } || fail "its link stays"
end_database_load /tmp/data/db
