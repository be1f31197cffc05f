#!/bin/bash
# Every bio once at every level: a logical volume, and a loop device on a partition.
# lab: kernels 6.12
# lab: soak 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe loop
null_disk b size=64 discard=1
b=$NULL_DISK
null_disk a size=48
a=$NULL_DISK
partition "$a" 32
part=$(basename "$(node_of "$a" 1)")
. "$SRC/tests/vm/lib/levels.sh"

lvm_do() { # without udev, and on a kind of disk that LVM does not know
    "$@" --config 'devices { types = ["nullb", 16] use_devicesfile = 0 } activation { udev_sync = 0 udev_rules = 0 }' > /dev/null
}
lvm_do pvcreate -ff -y "/dev/$b"
lvm_do vgcreate once "/dev/$b"
on_exit lvm_do vgremove -ff -y once
lvm_do lvcreate -Zn -Wn -L 32M -n volume once
levels "$(dm_disk once-volume)" "$b"

loop=$(losetup --find --show --direct-io=on "/dev/$part")
on_exit losetup -d "$loop"
levels "$(basename "$loop")" "$part"
