#!/bin/bash
# SPDX-License-Identifier: MIT
# Mounted ext4 and xfs under load: each image is clean, has the files that were written before the take, and stays so; the storage
# is a file of the snapshotted file system itself, of another one, or a whole device; also with the whole disk as the device.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 400
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
modprobe ext4
modprobe xfs
null_disk a size=400 discard=1
partition "$NULL_DISK" 390
disk=$NULL_DISK part=$(basename "$(node_of "$NULL_DISK" 1)")
mkdir -p /tmp/mnt /tmp/image

snapshot() { # create|add|file|take|destroy|status ARGUMENT: on the snapshot whose id is in /tmp/snapshot
    python3 - "$@" << 'END'
import sys
import blksnap
what, *rest = sys.argv[1:]
def known():
    snapshot = blksnap.Snapshot.__new__(blksnap.Snapshot)
    snapshot.id = open("/tmp/snapshot", "rb").read()
    return snapshot
if what == "create":
    open("/tmp/snapshot", "wb").write(blksnap.Snapshot().id)
elif what == "add":
    try:
        blksnap.attach(rest[0])
    except OSError as error:
        if error.errno != 114: raise
    known().add(rest[0])
elif what == "file":
    known().append_file(rest[0])
elif what == "take":
    known().take()
elif what == "destroy":
    known().destroy()
elif what == "image":
    error, name = blksnap.info(rest[0])
    if error:
        sys.exit(f"the snapshot of {rest[0]} is corrupted: {error}")
    print("/dev/" + name)
elif what == "statistics":
    print(known().statistics())
END
}

write_files() { # until /tmp/stop exists
    local i=0
    while [ ! -e /tmp/stop ]; do
        i=$((i + 1))
        head -c $((RANDOM * 6)) /dev/urandom > "/tmp/mnt/busy/$((i % 200))"
        [ $((i % 7)) != 0 ] || rm "/tmp/mnt/busy/$((i % 200))"
        [ $((i % 31)) != 0 ] || sync -f /tmp/mnt
    done
}

check_file_system() { # NODE TYPE
    case $2 in
    ext4) e2fsck -fn "$1" > /tmp/fsck 2>&1 || { cat /tmp/fsck; fail "the image is not clean"; } ;;
    xfs) xfs_repair -n "$1" > /tmp/fsck 2>&1 || { cat /tmp/fsck; fail "the image is not clean"; } ;;
    esac
}

try() { # TYPE DEVICE STORAGE-FILE: two snapshots under load
    local type=$1 device=$2 storage=$3 image i writer offset=0
    echo "--- $type, snapshots of $device, old data in $storage"
    "mkfs.$type" "$([ "$type" = xfs ] && echo -f || echo -F)" -q "/dev/$part"
    mount "/dev/$part" /tmp/mnt
    mkdir /tmp/mnt/busy /tmp/mnt/kept
    rm -f /tmp/stop
    write_files &
    writer=$!
    for i in 1 2; do
        head -c 300000 /dev/urandom > /tmp/mnt/kept/$i
        (cd /tmp/mnt/kept && sha256sum $i >> /tmp/sums)
        [ -b "$storage" ] || { rm -f "$storage" && fallocate -l 120M "$storage"; }
        snapshot create
        snapshot add "/dev/$device"
        snapshot file "$storage"
        snapshot take
        image=$(snapshot image "/dev/$device")
        if [ "$device" != "$part" ]; then
            offset=$(($(cat "/sys/class/block/$part/start") * 512))
            image=$(losetup --find --show --read-only --offset $offset --sizelimit $(($(cat "/sys/class/block/$part/size") * 512)) "$image")
        fi
        # A frozen file system has its log written, but not emptied: mounted as it is, without writing.
        check_mounted "$type" "$image"
        # What was written meanwhile changes nothing in it.
        head -c 3000000 /dev/urandom > /tmp/mnt/kept/more
        sync -f /tmp/mnt
        check_mounted "$type" "$image"
        snapshot statistics
        [ "$device" = "$part" ] || losetup --detach "$image"
        snapshot destroy
    done
    touch /tmp/stop
    wait "$writer"
    (cd /tmp/mnt/kept && sha256sum --quiet --check /tmp/sums)
    umount /tmp/mnt
    check_file_system "/dev/$part" "$type"
    rm /tmp/sums
    detach "$device"
}

check_mounted() { # TYPE IMAGE
    local options=ro
    [ "$1" != xfs ] || options=ro,nouuid,norecovery
    [ "$1" != ext4 ] || options=ro,noload
    mount -o $options "$2" /tmp/image
    (cd /tmp/image/kept && sha256sum --quiet --check /tmp/sums)
    find /tmp/image/busy -type f -exec cat {} + > /dev/null
    umount /tmp/image
    [ "$1" != ext4 ] || check_file_system "$2" ext4
}

modprobe loop
null_disk other size=200
other=$NULL_DISK
mkfs.ext4 -q "/dev/$other"
mkdir -p /tmp/other
mount "/dev/$other" /tmp/other
on_exit umount /tmp/other
try ext4 "$part" /tmp/mnt/storage
try xfs "$part" /tmp/mnt/storage
try ext4 "$disk" /tmp/mnt/storage
try xfs "$part" /tmp/other/storage
umount /tmp/other
try ext4 "$part" "/dev/$other"
mount "/dev/$other" /tmp/other || { mkfs.ext4 -qF "/dev/$other" && mount "/dev/$other" /tmp/other; }
