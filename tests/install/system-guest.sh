#!/bin/bash
# SPDX-License-Identifier: MIT
# In a clean Debian (tests/install/system.sh): boot 1 installs; boot 2 has the modules by name, puts filters below the mounted root,
# takes points with it frozen, and reboots with the filters attached while files are being written; boot 3 finds the files
# and a clean file system.
# lab: image
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
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

first_boot() {
    expect_fail modprobe blkfilter
    expect_fail command -v blkfilter-tool
    # Debian has merged /lib into /usr.
    tar -C / --keep-directory-symlink -xf "$stage"
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
    blkfilter-tool list
    [ "$(blkfilter-tool statistics $disk | awk '$1 == "test3" { print $3 }')" -gt 50 ] || fail "no write was seen"
    [ "$(seen $disk test3 wrong_order) $(seen $disk test3 instants)" = "0 3" ] || fail "order or points: $(seen $disk test3 instants)"
    # Goes on until the system is down.
    (while :; do dd if=/dev/zero of=/var/lib/busy bs=64k count=16 conv=fsync,notrunc status=none; done) &
    disown
    echo "reboots with the filters attached"
}

third_boot() {
    [ -d /sys/module/blkfilter ] || fail "not loaded"
    [ -z "$(blkfilter-tool devices)" ] || fail "filters out of nothing"
    [ "$(wc -l < $files/sums)" = 60 ] || fail "files are lost"
    (cd $files && sha256sum --quiet --check sums)
    ! dmesg | grep -i 'ext4.*\(error\|recover\)' || fail "the file system was not clean"
    rmmod blkfilter_test blkfilter
    echo "all files are there"
}

# Not "first_boot && exit 75": a command that fails in there would be passed over.
case $BOOT in
1) first_boot ;;
2) second_boot ;;
3) third_boot ;;
esac
[ "$BOOT" = 3 ] || exit 75
