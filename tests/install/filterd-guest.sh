#!/bin/bash
# SPDX-License-Identifier: MIT
# filterd as a service of a clean Debian: boot 1 installs and enables it; boot 2 has the mounted root's partition and a hundred disks that
# are plugged in at once filtered as declared, each of them from its first bio; filterd is killed while it works, files become wrong,
# somebody else's filter stays; boot 3 finds all of it again.
# lab: image
# lab: timeout 900
. "$SRC/tests/lab/guest/lib.sh"
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
stage=/job/install/filterd-$KERNEL/stage.tar
disks=100
config=/etc/filterd/conf.d/test.yaml
partuuid=$(lsblk -ndo PARTUUID /dev/vda1)

# The numbers of scsi_debug's disks: of each host's first one, in the kernel's own words.
declare_disks() {
    local i
    for ((i = 1; i <= disks; i++)); do
        printf '  - {name: disk%d, match: {wwn: "0x3333333%09x"}, stack: [{filter: cbt-only, block_size: %s}]}\n' $i $((i * 2000)) "${1:-64KiB}"
    done
}

write_config() { # BLOCK_SIZE of the hundred
    printf 'version: 1\ndevices:\n  - {name: root, match: {partuuid: %s}, stack: [{filter: cbt-only}]}\n' "$partuuid"
    declare_disks "${1:-64KiB}"
}


# in_sync NUMBER: so many declared devices are as declared.
in_sync() {
    [ "$(filterctl status | grep -c 'in sync')" = "$1" ]
}

until_in_sync() { # NUMBER SECONDS
    local end=$((SECONDS + $2))
    until in_sync "$1"; do
        [ $SECONDS -lt $end ] || fail "only $(filterctl status | grep -c 'in sync') of $1 devices are as declared: $(filterctl status | grep -v 'in sync' | head -20)"
        sleep 1
    done
}

answers_within() { # SECONDS
    local end=$((SECONDS + $1))
    until filterctl status > /dev/null 2>&1; do
        [ $SECONDS -lt $end ] || fail "filterd is not back: $(systemctl status filterd)"
        sleep 0.2
    done
}

first_boot() {
    tar -C / --keep-directory-symlink -xf "$stage"
    depmod -a
    ldconfig
    filterd --check
    write_config > $config
    filterd --check
    systemctl --quiet enable filterd
    echo "installed into a clean system, $(uname -r)"
}

second_boot() {
    systemctl is-active filterd || fail "$(systemctl status filterd; journalctl -u filterd)"
    in_sync 1 || fail "the root is not as declared: $(filterctl status)"
    filterctl doctor || fail "doctor finds a problem"

    echo "a hundred disks at once"
    modprobe scsi_debug add_host=$disks dev_size_mb=8 delay=0
    until_in_sync $((disks + 1)) 400
    [ "$(filterctl --json status | grep -o '"from_first_bio": *true' | wc -l)" = $disks ] ||
        fail "bios were missed: $(filterctl --json status | grep -c '"from_first_bio": *false') filters were too late"

    echo "killed while it works"
    for size in 128KiB 256KiB 512KiB; do
        write_config $size > $config
        (sleep 0.$((RANDOM % 10)); systemctl kill --kill-whom=main --signal=KILL filterd) &
        filterctl apply > /dev/null 2>&1 || true
        wait $!
        answers_within 5
    done

    echo "wrong files"
    generation=$(filterctl stack show vda1)
    echo '  - {name: root, mutch: {}}' >> $config
    systemctl reload filterd
    expect_fail filterctl apply 2> /dev/null
    filterctl status > /dev/null
    [ "$(filterctl stack show vda1 | awk '{ print $1, $2 }')" = "$(awk '{ print $1, $2 }' <<< "$generation")" ] || fail "a wrong file has changed a stack"
    filterctl --json status | grep -q "mutch" || fail "nobody says what is wrong"
    write_config > $config

    echo "somebody else's"
    modprobe blkfilter-test
    blkfilter-tool attach /dev/vda1 test3
    filterctl stack show vda1 | grep -q 'test3.*foreign' || fail "test3 is not shown as foreign"
    filterctl apply --prune > /dev/null || [ $? = 10 ] || fail "apply"
    filterctl stack show vda1 | grep -q 'test3.*foreign' || fail "test3 was touched"
    blkfilter-tool detach /dev/vda1 test3

    echo "drift"
    blkfilter-tool detach /dev/vda1 cbt-only
    filterctl plan --detailed-exitcode || [ $? = 20 ] || fail "plan does not say that changes are pending"
    filterctl status | grep -q drift || fail "drift is not shown"
    filterctl apply > /dev/null || [ $? = 10 ] || fail "drift is not repaired"
    filterctl stack show vda1 | grep -q cbt-only || fail "drift is not repaired"
    filterctl cbt info vda1
    modprobe -r scsi_debug
    rmmod blkfilter_test
}

third_boot() {
    in_sync 1 || fail "the root is not as declared: $(filterctl status)"
    runuser -u nobody -- filterctl status > /dev/null || fail "nobody may not look"
    expect_fail runuser -u nobody -- filterctl apply 2> /dev/null
    systemctl stop filterd
    blkfilter-tool stack vda1 | grep -q cbt-only || fail "the filters went with filterd"
    expect_fail filterctl status 2> /dev/null
    blkfilter-tool stack vda1 set --empty
    rmmod blkfilter_cbt blkfilter
}

case $BOOT in
1) first_boot ;;
2) second_boot ;;
3) third_boot ;;
esac
[ "$BOOT" = 3 ] || exit 75
