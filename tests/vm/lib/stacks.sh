# shellcheck shell=bash
# Stacked devices, one of each kind that people have. Each function builds one, calls COMMAND UPPER LOWER... with the kernel names,
# and takes it down again. LOWER is 48 MiB or smaller.

on_linear() { # COMMAND LOWER
    dmsetup create linear --table "0 $(blockdev --getsz "/dev/$2") linear /dev/$2 0"
    on_exit remove_dm linear
    $1 "$(dm_disk linear)" "$2"
    remove_dm linear
}

on_crypt() { # COMMAND LOWER
    modprobe dm_crypt
    dmsetup create crypt --table \
        "0 $(blockdev --getsz "/dev/$2") crypt aes-xts-plain64 $(printf '%064d' 7) 0 /dev/$2 0 1 allow_discards"
    on_exit remove_dm crypt
    $1 "$(dm_disk crypt)" "$2"
    remove_dm crypt
}

on_raid() { # COMMAND LEVEL LEG LEG
    modprobe "raid$2"
    make_md "$2" "$3" "$4"
    $1 md77 "$3" "$4"
    remove_md "$3" "$4"
}

lvm_do() { # without udev, and on a kind of disk that LVM does not know
    "$@" --config 'devices { types = ["nullb", 16] use_devicesfile = 0 } activation { udev_sync = 0 udev_rules = 0 }' > /dev/null
}

on_volume() { # COMMAND DISK
    lvm_do pvcreate -ff -y "/dev/$2"
    lvm_do vgcreate once "/dev/$2"
    on_exit lvm_do vgremove -ff -y once
    lvm_do lvcreate -Zn -Wn -L 32M -n volume once
    $1 "$(dm_disk once-volume)" "$2"
}

on_loop() { # COMMAND LOWER
    local loop
    modprobe loop
    loop=$(losetup --find --show --direct-io=on "/dev/$2")
    on_exit losetup -d "$loop"
    $1 "$(basename "$loop")" "$2"
}
