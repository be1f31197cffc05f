#!/bin/bash
# SPDX-License-Identifier: MIT
# What ./dev demo shows, in a guest with a disk of its own: a YAML file puts change trackers of two vendors on a disk that is in use, what
# they report is held against the disk's bytes, a third filter comes above, one is taken off behind filterd's back, two snapshots are backed
# up, the mounted file system moves to another disk and to one of another machine, and nothing is lost; nor is it when the disk is destroyed.
# Any command that fails, any changed block that is not reported, and any file that differs, fails it.
# lab: timeout 600
# lab: disk 128
. "$SRC/tests/lab/guest/lib.sh"

config=/etc/filterd/filterd.yaml sums=/tmp/sums stop=/tmp/stop

title() { # TEXT, then what is to be seen and why
    printf '\n== %s\n' "$1"
    shift
    printf '   %s\n' "$@"
    echo
}

# run 'COMMAND': as typed into a shell, and shown before it runs.
run() {
    echo "\$ $1"
    eval "$1" 2>&1
}

# run_when_closed 'COMMAND': udev may have its device open for a moment.
run_when_closed() {
    echo "\$ $1"
    wait_for eval "$1"
}

# A file after the other until $stop exists; what it should contain is only kept outside of the disk, in memory.
write_files() {
    local i=0 file
    while [ ! -e $stop ]; do
        file=/mnt/files/$((i / 32))/$i
        mkdir -p "${file%/*}"
        head -c $((1024 + RANDOM * 8)) /dev/urandom > /tmp/content
        cp /tmp/content "$file"
        echo "$(sha256sum < /tmp/content | cut -c 1-64)  $file" >> $sums
        # Every tenth is there for certain before the next one is begun; some go again.
        [ $((i % 10)) != 0 ] || sync "$file"
        [ $((i % 50)) != 49 ] || { rm "$file" && sed -i '$d' $sums; }
        i=$((i + 1))
    done
}

# more_files NUMBER: until that many have been written since now.
more_files() {
    local goal=$(($(wc -l < $sums) + $1)) tries=300
    until [ "$(wc -l < $sums)" -ge $goal ]; do
        if ! kill -0 "$writer" || [ $((tries--)) = 0 ]; then
            fail "files are not being written any more"
        fi
        sleep 0.1
    done
    sync
}

# wait_for COMMAND...
wait_for() {
    local tries=300
    until "$@" > /dev/null 2>&1; do
        [ $((tries--)) -gt 0 ] || fail "waited in vain: $*"
        sleep 0.1
    done
}

is_settled() { # DEVICE: cbt-only's history has begun
    filterctl --json cbt info "$1" | jq -e '.records[0].settled'
}

# states WORDS: of the devices, as they are declared.
states() {
    [ "$(filterctl --json status | jq -r '[.devices[].state] | join(", ")')" = "$1" ]
}

# What is there for certain, not the last one, which may be taken back.
note_files() {
    sync
    sed '$d' $sums > /tmp/sums-then
}

# image NAME: all bytes of the disk, as they are on it; what is zero takes no memory.
image() {
    dd if=/dev/vda "of=/tmp/$1" bs=1M iflag=direct conv=sparse status=none
}

# Before it there is what snapshots need.
defaults=

# declare_stacks FILTERS: of the partition
declare_stacks() {
    cat > $config << END
version: 1
${defaults}devices:
  - name: disk
    match: {id: virtio-data0}     # /dev/disk/by-id/virtio-data0
    stack:
      - filter: cbt-only
  - name: data
    match: {partlabel: data}      # a partition of it
    stack:
$1
groups:
  - name: backup
    devices: [data, disk]
END
}

take_all_off() {
    blkfilter-tool stack /dev/vda1 set --empty
    blkfilter-tool stack /dev/vda set --empty
} > /dev/null

end_filterd() { # which keeps the core from being unloaded
    kill "$filterd"
    wait "$filterd"
}

title "A disk in use" \
    "A stock Debian kernel, and a disk with a partition and a mounted file system. From here to the end a program writes files there."
modprobe virtio_blk
start_udev > /dev/null 2>&1
echo 'start=1MiB, name=data' | sfdisk --quiet --label gpt /dev/vda
udevadm settle
mkfs.ext4 -q /dev/vda1
mount /dev/vda1 /mnt
mkdir /mnt/files
touch $sums
write_files &
writer=$!
on_exit touch $stop
run "uname -r"
run "findmnt --output SOURCE,TARGET,FSTYPE,SIZE /mnt"
more_files 10

title "blkfilter: a core, two filters, a daemon" \
    "cbt-only is ours, acme-cbt a third party's (examples/third-party). Both note which blocks of a device are written." \
    "filterd keeps the filters as a file declares them; as yet the file declares none."
for module in blkfilter blkfilter-cbt acme-cbt; do
    run "insmod $MODDIR/$module.ko"
    on_exit rmmod ${module//-/_}
done
on_exit take_all_off
mkdir -p /etc/filterd
echo "version: 1" > $config
echo "\$ filterd --plugin-folder /job/plugins &      # or: systemctl start filterd"
filterd --plugin-folder /job/plugins 2> /tmp/filterd.log &
filterd=$!
on_exit end_filterd
wait_for filterctl status
run "filterctl filter list"

title "A file says which filters shall be where" \
    "cbt-only on the disk, acme-cbt on its partition. 'plan' says what would be done, and does nothing."
declare_stacks "      - filter: acme-cbt"
run "cat $config"
run "filterctl plan"

title "They are attached while files are being written" \
    "Nothing is unmounted, no device takes the place of another one."
run "filterctl apply"
more_files 15
run "filterctl status"
states "in sync, in sync" || fail "not as declared"

title "From here on: what changes?" \
    "A consistency point divides all writes into before and after, at the same instant for both devices: the file system is frozen for" \
    "a moment. A checkpoint is a name for an instant. Then a copy of the disk is made, as a backup would."
head -c 8M /dev/urandom > /mnt/large
sync
fstrim /mnt # so that the next one trims what is deleted from now on
wait_for is_settled disk
run "filterctl group point backup"
run "filterctl cbt checkpoint disk monday"
image before

title "Files are written, deleted, and their space is trimmed" \
    "Then both filters are asked; offsets and lengths are bytes."
more_files 15
run "rm /mnt/large && sync"
run "fstrim -v /mnt"
image after
run "filterctl group point backup"
run "filterctl cbt extents disk monday | head -n 6"
run "filterctl acme-cbt changed data | head -n 4"

title "The proof" \
    "The copy and the disk as it is now are compared byte by byte. Every block of 64 KiB that differs must be among those that" \
    "were reported: else a backup of the reported ones would lack it."
filterctl --json cbt extents disk monday > /tmp/by-cbt-only
filterctl --json acme-cbt changed data > /tmp/by-acme-cbt
grep -q discarded /tmp/by-cbt-only || fail "nobody reports what was trimmed"
run "python3 $SRC/tests/demo/compare.py /tmp/before /tmp/after /tmp/by-cbt-only"
run "python3 $SRC/tests/demo/compare.py /tmp/before /tmp/after /tmp/by-acme-cbt --from $((1 << 20))   # where the partition begins"
rm /tmp/before /tmp/after

title "A second filter above the first" \
    "The file gets two more lines. A higher altitude sees a write earlier; the partition's filters come before those of its disk."
declare_stacks "      - filter: acme-cbt
      - filter: cbt-only
        altitude: 470000"
run "filterctl plan"
run "filterctl apply"
more_files 15
run "filterctl stack show data"
states "in sync, in sync" || fail "not as declared"

title "Somebody takes a filter off" \
    "Another program does it, without asking. filterd sees that the kernel and the file differ, and says so; 'apply' repairs it."
run "blkfilter-tool detach /dev/vda1 cbt-only"
wait_for states "in sync, drift"
run "filterctl status"
run "filterctl apply"
states "in sync, in sync" || fail "not repaired"
more_files 15

title "A snapshot" \
    "What the partition is at this instant, as a block device of its own; old data goes to another disk before it is overwritten." \
    "The file system in it is clean, and has every file that was written until then."
modprobe loop
truncate -s 64M /tmp/storage
storage=$(losetup --find --show /tmp/storage)
run "insmod $MODDIR/blksnap.ko"
on_exit rmmod blksnap
snapshot="python3 $SRC/tests/demo/snapshot.py"
on_exit python3 "$SRC/tests/demo/snapshot.py" destroy
note_files
run "$snapshot take /dev/vda1 $storage"
image_node=/dev/blksnap-image_$(mountpoint -x /dev/vda1)
mkdir -p /tmp/then
run "mount -o ro,noload $image_node /tmp/then"
more_files 15
sed 's# /mnt/# /tmp/then/#' /tmp/sums-then > /tmp/sums-there
run "sha256sum --check --quiet /tmp/sums-there"
run "umount /tmp/then && e2fsck -fn $image_node"

title "A full backup, and an increment" \
    "The first snapshot is copied whole. Of the second one only the blocks are copied that have changed since: then the copy is" \
    "the second snapshot, byte for byte."
run "$snapshot full /dev/vda1 /tmp/backup"
run "$snapshot destroy"
more_files 15
run "$snapshot take /dev/vda1 $storage"
run "$snapshot increment /dev/vda1 /tmp/backup 1"
more_files 10
run "cmp /tmp/backup $image_node && echo equal"
run "$snapshot destroy"
rm /tmp/backup

title "The same by filterctl" \
    "blksnap is declared, too, with a place for old data. A backup is a qcow2 file that any program can read, with the one before behind it."
defaults="defaults: {storage: {path: $storage}}
"
declare_stacks "      - filter: acme-cbt
      - filter: cbt-only
        altitude: 470000
      - filter: blksnap"
run "blkfilter-tool detach /dev/vda1 blksnap      # what that program has attached is not filterd's"
run "filterctl apply"
mkdir /tmp/backups
run "filterctl backup full /tmp/backups data"
more_files 15
note_files
run "filterctl backup incremental /tmp/backups"
more_files 10
run "qemu-img info --backing-chain /tmp/backups/0002/data.qcow2 | grep -E '^(image|backing file|virtual size|disk size)'"

title "Another disk under it" \
    "The filter redirect copies the partition to a new disk (here a loop device) while files are being written, and compares both. From one" \
    "instant on all I/O goes to the new one; nobody notices. Behind the copy is the record of how far it is, for a power loss."
truncate -s 128M /tmp/new-disk
new=$(losetup --find --show /tmp/new-disk)
run "insmod $MODDIR/blkfilter-redirect.ko"
on_exit rmmod blkfilter_redirect
declare_stacks "      - filter: acme-cbt
      - filter: cbt-only
        altitude: 470000
      - filter: blksnap
      - filter: redirect"
run "filterctl apply"
run "filterctl redirect start data $new | grep -E '^(state|copied_bytes|record):'"
more_files 10
run "filterctl redirect verify data"
run "filterctl redirect cutover data | grep -E '^(state|current|held_ms):'"
more_files 10

title "Was anything lost?" \
    "The file system is unmounted, and checked on the new disk; then every file is compared with what was written."
touch $stop
wait "$writer"
run "umount /mnt"
run_when_closed "filterctl redirect finish data"
run "e2fsck -fn $new"
run "mount -o ro $new /mnt"
run "sha256sum --check --quiet $sums"
files=$(wc -l < $sums) mib=$(du -sm --apparent-size /mnt/files | cut -f 1)
[ "$(find /mnt/files -type f | wc -l)" = "$files" ] || fail "there are more files, or fewer, than were written"

title "A disk of another machine" \
    "nbd-server offers one; here it is on this machine. The mounted file system goes there, and then the files are read from there."
modprobe nbd
ip link set lo up
truncate -s 136M /tmp/far-disk
nbd-server 127.0.0.1:10809 /tmp/far-disk --config-file /dev/null 2> /dev/null
on_exit pkill -x nbd-server
run "nbd-client 127.0.0.1 10809 /dev/nbd0 2> /dev/null"
on_exit nbd-client -d /dev/nbd0
run "filterctl stack attach ${new#/dev/} redirect"
run "filterctl redirect start ${new#/dev/} /dev/nbd0 --auto-cutover | grep -E '^(state|copied_bytes|current):'"
run "echo 3 > /proc/sys/vm/drop_caches; sha256sum --check --quiet $sums && echo $files files are there"
run "umount /mnt"
run_when_closed "filterctl redirect finish ${new#/dev/}"

title "All filters go" \
    "The file declares none any more. What they know would be lost, so they have to be named."
echo "version: 1" > $config
run "filterctl stack detach ${new#/dev/} redirect"
run "filterctl apply --prune-named cbt-only --prune-named acme-cbt --prune-named blksnap --prune-named redirect"
losetup --detach "$storage" "$new"
rm /tmp/storage /tmp/new-disk
[ -z "$(blkfilter-tool devices)" ] || fail "filters are left: $(blkfilter-tool devices)"

title "The disk is destroyed, and comes back" \
    "Zeroes over all of the old partition; the increment is written back, with what is behind it. Every file that was there when it was made is there."
run "blkdiscard --force --zeroout /dev/vda1 && ! mount -t ext4 /dev/vda1 /mnt"
run "filterctl backup restore /tmp/backups /dev/vda1 --force"
run "e2fsck -fn /dev/vda1"
run "mount -o ro /dev/vda1 /mnt"
run "sha256sum --check --quiet /tmp/sums-then && echo \$(wc -l < /tmp/sums-then) files are as they were"
umount /mnt
echo
echo "demo: nothing was lost: $files files, $mib MiB, fsck clean"
