#!/bin/bash
# SPDX-License-Identifier: MIT
# Snapshots of dm, md, loop and logical volumes, of what they lie on, of partitions, of slow disks with writes in flight at the take:
# one instant, always. Devices that are never at rest settle, too.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 500
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"
. "$SRC/tests/vm/lib/stacks.sh"

load_blksnap
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
rounds=$((SOAK ? 40 : 2))
null_disk a size=16 max_sectors=16 discard=1
partition "$NULL_DISK" 12
disk=$NULL_DISK part=$(basename "$(node_of "$NULL_DISK" 1)")
null_disk b size=40 discard=1
b=$NULL_DISK
null_disk store size=384
store=$NULL_DISK

check() { # UPPER LOWER...: what is written to the upper one is taken of it, and of it and what it lies on at once
    echo "--- $* ($(cat "/sys/block/$1/dm/name" "/sys/block/$1/md/level" 2> /dev/null))"
    local zeroes=() found=all
    [ "$(cat "/sys/block/$1/dm/name" 2> /dev/null)" != crypt ] || zeroes=(--only-zeroes) found=none
    [ "$(cat "/sys/block/$1/md/level" 2> /dev/null)" != raid0 ] || found=any
    snap-check --rounds $rounds --writers 3 --hold-ms 20 "${zeroes[@]}" "/dev/$store" "/dev/$1"
    both_agree $found "$@"
    detach "$1"
}

# One snapshot of all: the images of all, any or none of the lower ones have in them what the upper one's has (the order in which they
# are given does not matter).
both_agree() { # all|any|none UPPER LOWER...
    local found=$1
    shift
    python3 - "$found" "/dev/$store" "${@/#//dev/}" << 'END'
import os, sys
import blksnap
found, store, upper, *lower = sys.argv[1:]
for device in (upper, *lower):
    try:
        blksnap.attach(device)
    except OSError as error:
        if error.errno != 114: raise
snapshot = blksnap.Snapshot()
for device in (*lower, upper):
    snapshot.add(device)
snapshot.append(store, (0, 300 << 11))
content = os.urandom(1 << 20)
with open(upper, "r+b", buffering=0) as file:
    file.write(content)
    os.fsync(file.fileno())
snapshot.take()
with open(upper, "r+b", buffering=0) as file:
    file.write(os.urandom(1 << 20))
    os.fsync(file.fileno())
def image(device):
    error, name = blksnap.info(device)
    if error:
        sys.exit(f"the snapshot of {device} is corrupted: {error}")
    with open("/dev/" + name, "rb") as file:
        return file.read()
if image(upper)[: 1 << 20] != content:
    sys.exit(f"the image of {upper} has not the old data")
has_it = [content[:4096] in image(device) for device in lower]
if not {"all": all(has_it), "any": any(has_it), "none": not any(has_it)}[found]:
    sys.exit(f"the old data of {upper} is in the images of {lower}: {has_it}, expected {found}")
snapshot.destroy()
for device in lower:
    blksnap.attach(device, blksnap.DETACH)
END
}

busy() { # DEVICE
    snap-check --rounds $rounds --writers 12 --hold-ms 20 --zone 66 "/dev/$store" "/dev/$1"
    detach "$1"
}

on_linear check "$part"
on_crypt check "$part"
on_raid check 0 "$part" "$b"
on_raid check 1 "$part" "$b"
on_loop check "$part"
on_volume check "$b"

echo "--- a disk and its partition"
snap-check --rounds $rounds --writers 2 --hold-ms 20 "/dev/$store" "/dev/$part"
detach "$part"
echo "--- slow disks: writes are in flight when it is taken"
null_disk slow size=8 irqmode=2 completion_nsec=20000000 hw_queue_depth=8 discard=1
slow=$NULL_DISK
null_disk slower size=8 irqmode=2 completion_nsec=50000000 discard=1
snap-check --rounds $rounds --writers 12 --hold-ms 20 --zone 66 "/dev/$store" "/dev/$slow" "/dev/$NULL_DISK"
echo "--- a mapped device, written all the time"
on_linear busy "$slow"
: "$disk"
