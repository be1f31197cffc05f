#!/bin/bash
# SPDX-License-Identifier: MIT
# In a clean Debian (tests/install/system.sh): boot 1 installs; boot 2 has the modules by name, puts filters below the mounted root,
# takes points and snapshots with it frozen, and reboots with the filters attached while files are being written; boot 3, with
# "nofilterd", finds the files and a clean file system, and no filterd.
# lab: image
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/clean.sh"
# What is installed, not what the lab brings.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
stage=/job/install/system-$KERNEL/stage.tar
files=/var/lib/blkfilter-test
disk=vda part=vda1

# seen DEVICE FILTER FIELD
seen() {
    awk -v field="$3" '$1 == field { print $2 }' "/sys/kernel/debug/blkfilter-test/$1.$2"
}

# write_files FIRST LAST: with what they contain beside them.
write_files() {
    local i
    mkdir -p $files
    for ((i = $1; i <= $2; i++)); do
        head -c $((RANDOM * 4)) /dev/urandom > $files/$i
        (cd $files && sha256sum $i >> sums)
    done
}

# What the root was, kept in a file on it, while it is in use.
snapshot_of_root() {
    local image
    modprobe blksnap
    image=$(/job/bin/snap-take /var/lib/old-data /dev/$part)
    udevadm settle
    [ -z "$(find /dev/disk -lname "*/${image#/dev/}")" ] || fail "udev takes the image for the disk: $(find /dev/disk -lname "*/${image#/dev/}")"
    cp $files/sums /tmp/sums
    write_files 61 80
    rm $files/{1..20}
    sync
    expect_clean "the image of the root" "$image"
    mount -o ro,noload "$image" /mnt
    cmp $files/sums "/mnt/$files/sums" > /dev/null && fail "the image is not the past"
    (cd "/mnt/$files" && sha256sum --quiet --check /tmp/sums)
    [ "$(find "/mnt/$files" -name '[0-9]*' | wc -l)" = 60 ] || fail "files of another time"
    umount /mnt
    /job/bin/snap-take --destroy
    rm /var/lib/old-data
    echo "a snapshot of the mounted root, with its storage on itself"
}

first_boot() {
    expect_fail modprobe blkfilter
    expect_fail command -v blkfilter-tool
    # Debian has merged /lib into /usr.
    tar -C / --keep-directory-symlink -b 1024 -xf "$stage"
    depmod -a
    ldconfig
    printf 'blkfilter\nblkfilter-test\n' > /etc/modules-load.d/blkfilter.conf
    echo "installed into a clean system, $(uname -r)"
}

second_boot() {
    [ -d /sys/module/blkfilter_test ] || fail "modules-load did not load the filter"
    modinfo -F filename blkfilter | grep -q "/lib/modules/$(uname -r)/updates/" || fail "another blkfilter.ko was found"
    [ -e "/usr/src/blkfilter/$(uname -r)/Module.symvers" ] || fail "no Module.symvers for third parties"
    blkfilter-tool version
    blkfilter-tool filters
    # The root is mounted, its disk in use: nothing is unmounted or stopped for this.
    blkfilter-tool stack $disk set test3 test2,options=take
    blkfilter-tool stack $part set test5,options=take test4
    [ "$(seen $part test5 settled)" = 1 ] || fail "the root was not frozen for the attach"
    write_files 1 40
    sync
    blkfilter-tool point --freeze $part $part
    blkfilter-tool point --freeze $part $disk
    write_files 41 60
    sync
    snapshot_of_root
    blkfilter-tool list
    [ "$(blkfilter-tool statistics $disk | awk '$1 == "test3" { print $3 }')" -gt 50 ] || fail "no write was seen"
    # Points: the partition's attach, two by hand, blksnap's attach and its TAKE.
    [ "$(seen $disk test3 wrong_order) $(seen $disk test3 instants)" = "0 5" ] || fail "order or points: $(seen $disk test3 instants)"
    # Goes on until the system is down.
    (while :; do dd if=/dev/zero of=/var/lib/busy bs=64k count=16 conv=fsync,notrunc status=none; done) &
    disown
    systemctl --quiet enable filterd
    echo nofilterd > "$LAB_DIR/append"
    echo "reboots with the filters attached"
}

third_boot() {
    [ -d /sys/module/blkfilter ] || fail "not loaded"
    [ -z "$(blkfilter-tool devices)" ] || fail "filters out of nothing"
    [ "$(wc -l < $files/sums)" = 80 ] || fail "files are lost"
    (cd $files && tail -n +21 sums | sha256sum --quiet --check)
    ! dmesg | grep -i 'ext4.*\(error\|recover\)' || fail "the file system was not clean"
    rmmod blkfilter_test blkfilter
    echo "all files are there"
    [ "$(systemctl show --property ConditionResult --value filterd)" = no ] || fail "filterd was started: $(systemctl status filterd)"
    { filterctl doctor 2>&1 || true; } | grep nofilterd || fail "doctor does not see why filterd does not run"
    echo "nofilterd keeps filterd from starting"
}

boots first_boot second_boot third_boot
