#!/bin/bash
# SPDX-License-Identifier: MIT
# filterctl backup on the real kernel: a full copy and increments of a database under load, each restored and compared; interrupted in the
# middle and gone on with; increments that do not fit, damaged files and other mistakes; over NBD for other programs; and the example
# that needs no filterd.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 900
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"
. "$SRC/tests/vm/lib/filterd.sh"
. "$SRC/tests/vm/lib/clean.sh"
. "$SRC/tests/vm/lib/database.sh"

store=/tmp/store/backups restored=/tmp/store/restored
mkdir -p /tmp/data /tmp/store /tmp/image

no_snapshot_is_left() {
    [ "$(filterctl --json snapshot list | jq '.records | length')" = 0 ] || fail "$(filterctl snapshot list)"
}

is_settled() { # DEVICE: cbt-only's history has begun
    filterctl --json cbt info "$1" | jq -e '.records[0].settled' > /dev/null
}

has_copied() { # PARTIAL BYTES: so much of the first device is noted
    [ "$(jq .offset_bytes "$1/state.json" 2> /dev/null || echo 0)" -gt "$2" ]
}

sums() { # FOLDER
    (cd "$1" && find . -type f ! -name 'db*' -exec sha256sum {} + | sort -k 2)
}

# check_backup NUMBER: restored it is a clean file system with a whole database and the files of $folder/sums-NUMBER.
check_backup() {
    rm -f $restored
    filterctl backup restore $store $restored --number "$1" > /dev/null 2> $folder/said || fail "$(cat $folder/said)"
    expect_clean "backup $1" $restored
    mount -o ro,noload,loop $restored /tmp/image
    sums /tmp/image > $folder/sums
    diff $folder/sums "$folder/sums-$1" || fail "backup $1 has other files"
    check_database /tmp/image/db
    umount /tmp/image
}

load_blksnap diff_storage_minimum=32768
load blkfilter-cbt
modprobe ext4
modprobe loop
null_disk data size=96
data=$NULL_DISK
null_disk other size=96
other=$NULL_DISK
null_disk log size=32
log=$NULL_DISK
null_disk store size=1200
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "/dev/$data"
mkfs.ext4 -q "/dev/$NULL_DISK"
mount "/dev/$NULL_DISK" /tmp/store
on_exit umount /tmp/store
on_exit python3 "$SRC/tests/vm/lib/blksnap.py" destroy-all
mount "/dev/$data" /tmp/data
on_exit umount /tmp/data
mkdir $store
start_udev
cat > $config << END
version: 1
defaults: {storage: {path: /tmp/store/difference, limit: 200MiB, step: 16MiB}}
groups: [{name: both, devices: [data, log]}]
devices:
  - {name: data, match: {node: /dev/$data}, stack: [{filter: blksnap}]}
  - {name: log, match: {node: /dev/$log}, stack: [{filter: blksnap}, {filter: cbt-only}]}
END
daemon
on_exit end_filterd
wait_until 20 has_state data "in sync"
wait_until 20 has_state log "in sync"

echo "a full copy and increments, under load"
make_database /tmp/data/db
load_database /tmp/data/db
on_exit end_database_load /tmp/data/db
rounds=$([ "$SOAK" = 1 ] && echo 20 || echo 3)
for ((i = 1; i <= rounds; i++)); do
    mkdir -p "/tmp/data/files/$i"
    head -c $((RANDOM * 20 + 70000)) /dev/urandom > "/tmp/data/files/$i/new"
    head -c 300000 /dev/zero > "/tmp/data/files/$i/zeroes"
    [ $i -le 2 ] || rm -r "/tmp/data/files/$((i - 2))"
    sums /tmp/data > "$folder/sums-$i"
    if [ $i = 1 ]; then
        filterctl backup full $store data > /dev/null
    else
        filterctl --json backup incremental $store > $folder/made
        [ "$(jq '.backups[0].copied_bytes' $folder/made)" -lt $((40 << 20)) ] || fail "an increment of everything: $(cat $folder/made)"
    fi
done
no_snapshot_is_left
for ((i = 1; i <= rounds; i++)); do
    check_backup $i
done
[ "$(filterctl backup list $store | wc -l)" = $((rounds + 1)) ] || fail "$(filterctl backup list $store)"
qemu-img check -q "$(printf "$store/%04d/data.qcow2" "$rounds")" || fail "qemu-img finds it wrong"

echo "interrupted, by a kill and by hand"
dd if=/dev/urandom of=/tmp/data/much bs=1M count=20 conv=fsync status=none
i=$((rounds + 1))
partial=$(printf "$store/%04d.partial" $i)
start_filterctl backup incremental $store --rate 1MiB
wait_until 60 has_copied "$partial" 0
copied=$(jq .offset_bytes "$partial/state.json")
kill -KILL "$client"
wait "$client" || true
expect_exit 5 filterctl backup incremental $store
said "was interrupted"
kill_filterd
daemon
# In a group of its own, which gets the signal as a terminal sends it: its programs too.
setsid filterctl --socket $folder/run/control.sock backup resume $store --rate 1MiB > $folder/client 2>&1 &
client=$!
wait_until 60 has_copied "$partial" "$copied"
kill -INT -- "-$client"
wait "$client" && fail "it was interrupted, and says nothing"
grep -q "goes on from here" $folder/client || fail "$(cat $folder/client)"
[ "$(jq .offset_bytes "$partial/state.json")" -gt "$copied" ] || fail "it began anew: $(cat "$partial/state.json")"
sums /tmp/data > $folder/sums-$i
filterctl backup resume $store > /dev/null
check_backup $i
no_snapshot_is_left
expect_exit 4 filterctl backup resume $store

echo "the last increment, of a disk at rest, is the disk to the byte"
end_database_load /tmp/data/db
umount /tmp/data
filterctl backup incremental $store > /dev/null
filterctl backup restore $store "/dev/$other" --force > /dev/null 2>&1
cmp "/dev/$data" "/dev/$other" || fail "the restored disk is another one"

echo "a disk that is restored cannot be mounted meanwhile"
mkdir $folder/programs
cat > $folder/programs/qemu-img <<EOF
#!/bin/sh
[ "\$1" = convert ] && mount /dev/$other /tmp/image 2> $folder/said && touch $folder/was-mounted
exec $(command -v qemu-img) "\$@"
EOF
chmod +x $folder/programs/qemu-img
PATH=$folder/programs:$PATH filterctl backup restore $store "/dev/$other" --force > /dev/null 2>&1
[ ! -e $folder/was-mounted ] || fail "it could be mounted"
grep -q "already mounted or mount point busy" $folder/said || fail "$(cat $folder/said)"
mount "/dev/$data" /tmp/data

echo "a group"
mkdir /tmp/store/group
dd if=/dev/urandom "of=/dev/$log" bs=1M count=2 oflag=direct status=none
filterctl backup full /tmp/store/group --group both > /dev/null
dd if=/dev/urandom "of=/dev/$log" bs=1M count=1 seek=1 oflag=direct status=none
filterctl --json backup incremental /tmp/store/group > $folder/made
[ "$(jq -c '[.backups[].device]' $folder/made)" = '["data","log"]' ] || fail "$(cat $folder/made)"
filterctl backup restore /tmp/store/group $restored --device log --force 2> /dev/null > /dev/null
cmp "/dev/$log" $restored || fail "the restored disk is another one"
no_snapshot_is_left

echo "over NBD"
filterctl snapshot create data --label nbd > /dev/null
head -c 500000 /dev/urandom > /tmp/data/later
sync -f /tmp/data
start_filterctl backup serve nbd --listen /tmp/nbd.sock
wait_until 20 test -S /tmp/nbd.sock
nbdinfo "nbd+unix:///?socket=/tmp/nbd.sock" > /dev/null || fail "nbdinfo"
image=$(filterctl --json snapshot images nbd | jq -r '.records[0].image')
qemu-img compare -q -f raw -F raw "nbd+unix:///?socket=/tmp/nbd.sock" "$image" || fail "qemu-img reads something else"
nbdcopy "nbd+unix:///?socket=/tmp/nbd.sock" /tmp/store/copied
cmp /tmp/store/copied "$image" || fail "nbdcopy reads something else"
rm /tmp/store/copied
end_process "$client"
rm -f /tmp/nbd.sock
start_filterctl backup serve nbd --since $store --listen /tmp/nbd.sock
wait_until 20 test -S /tmp/nbd.sock
last=$(printf '%04d' $((rounds + 2)))
qemu-img convert -f raw -O qcow2 -B "$store/$last/data.qcow2" -F qcow2 "nbd+unix:///?socket=/tmp/nbd.sock" /tmp/store/stock.qcow2
qemu-img compare -q /tmp/store/stock.qcow2 -F raw "$image" || fail "an increment of qemu-img is another one"
end_process "$client"
filterctl snapshot destroy nbd

echo "by checkpoints of cbt-only, whatever becomes of the history of blksnap"
mkdir /tmp/store/checkpoints
wait_until 60 is_settled log
filterctl backup full /tmp/store/checkpoints log --checkpoints > /dev/null
tool detach "$log" blksnap
filterctl apply > /dev/null
dd if=/dev/urandom "of=/dev/$log" bs=1M count=1 seek=7 oflag=direct status=none
filterctl --json backup incremental /tmp/store/checkpoints > $folder/made
[ "$(jq '.backups[0].copied_bytes' $folder/made)" = $((1 << 20)) ] || fail "$(cat $folder/made)"
filterctl backup restore /tmp/store/checkpoints $restored --device log --force 2> /dev/null > /dev/null
cmp "/dev/$log" $restored || fail "the restored disk is another one"
filterctl --json cbt list log > $folder/made
[ "$(jq '[.records[] | select(.name)] | length' $folder/made)" = 1 ] || fail "checkpoints stay: $(cat $folder/made)"
filterctl cbt delete log "$(jq -r '.records[] | select(.name) | .name' $folder/made)" > /dev/null
expect_exit 5 filterctl backup incremental /tmp/store/checkpoints
said "its checkpoint was deleted"
no_snapshot_is_left

echo "mistakes leave nothing behind"
expect_exit 4 filterctl backup full /tmp/nowhere data
expect_exit 2 filterctl backup full $store
expect_exit 4 filterctl backup full $store "$other"
expect_exit 5 filterctl backup restore $store "/dev/$other"
said "--force"
expect_exit 5 filterctl backup restore $store "/dev/$data" --force
said "is in use"
expect_exit 4 filterctl backup restore $store /tmp/x --device nothing
expect_exit 4 filterctl backup restore $store /tmp/x --number 99
[ ! -e /tmp/x ] || fail "a failed restore has left a file"
printf 'x' | dd of="$store/0002/data.qcow2" bs=1 seek=70000 conv=notrunc status=none
expect_exit 1 filterctl backup verify $store
said "0002/data.qcow2: is damaged"
no_snapshot_is_left

echo "an increment that does not fit is refused, with its reason"
tool detach "$data" blksnap
filterctl apply > /dev/null
expect_exit 5 filterctl backup incremental $store
said "its history has begun anew"
said "a full one is needed"
no_snapshot_is_left
[ -z "$(find $store -name '*.partial')" ] || fail "something is left: $(ls $store)"

echo "without filterd"
end_filterd
rm -f $restored /tmp/store/stock.qcow2
backup-example full "/dev/$data" /tmp/store/example /tmp/store > /tmp/base
head -c 700000 /dev/urandom > /tmp/data/example
umount /tmp/data
backup-example incremental "/dev/$data" /tmp/store/example /tmp/store "$(cat /tmp/base)" > /tmp/base.new
cmp "/dev/$data" /tmp/store/example || fail "the example's copy is another one"
! backup-example incremental "/dev/$data" /tmp/store/example /tmp/store "${RANDOM} 1 1 1 1" 2> $folder/said || fail "a base of nothing is taken"
mount "/dev/$data" /tmp/data
