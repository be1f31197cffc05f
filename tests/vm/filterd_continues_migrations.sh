#!/bin/bash
# SPDX-License-Identifier: MIT
# Migrations go on after a power loss, by filterctl redirect and the kernel's record: disks that are taken away, with filterd killed, and are
# there again in what filterd takes for another boot. Copying less than everything; redirected as before, and until then the old source is
# refused; a source that was written to meanwhile; the record on the target, on a device and in a file, and where it cannot be.
# lab: kernels 6.12
# lab: timeout 300
# lab: allow-dmesg (redirect: .*refused|the record could not be concluded|[Ii]/O error|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"
. "$SRC/tests/vm/lib/filterd.sh"

mount=/tmp/mount store=/tmp/store
mkdir -p $mount $store

status() { # KEY
    filterctl --json redirect status data | jq -r ".records[0].$1"
}
is() { # KEY VALUE
    [ "$(status "$1")" = "$2" ]
}
begins() { # KEY TEXT
    [[ $(status "$1") = "$2"* ]]
}
power() { # 0|1 DISK...
    local on=$1 disk
    shift
    for disk in "$@"; do
        echo "$on" > "/sys/kernel/config/nullb/$disk/power"
    done
}
# power_loss DISK...: filterd and the disks are gone, one after the other. Of a migration that copies the target goes first, so that nothing can
# be written to its record any more.
power_loss() {
    kill_filterd
    power 0 "$@"
    sed -i 's/"boot": "[^"]*"/"boot": "an earlier one"/' $folder/state/plugins/redirect/*.json
    : > $folder/log
}
keep_marks() { # SECONDS: after the last write somewhere
    echo "$1" > /sys/module/blkfilter_redirect/parameters/record_clean
}
power_again() { # DISK...
    keep_marks 1
    power 1 "$@"
    udevadm settle --timeout=60
}
has_no_loop_device() {
    [ -z "$(losetup --associated $store/record)" ]
}
equal() {
    blockdev --flushbufs /dev/sdx1 /dev/sdy1
    cmp -n $((48 << 20)) /dev/sdx1 /dev/sdy1
}

load_redirect record_clean=1 target_flush=1
modprobe ext4
modprobe loop
# By these names, as udev gives links to disks that it knows only.
null_disk sdx size=50
null_disk sdy size=64
null_disk sdz size=16
null_disk spare size=1
null_disk store size=32
on_exit end_redirects
start_udev
partition sdx 48
partition sdy 60
partition sdz 4
udevadm settle --timeout=60
source=/dev/disk/by-partuuid/$(lsblk --nodeps --noheadings --output PARTUUID /dev/sdx1)
target=/dev/disk/by-partuuid/$(lsblk --nodeps --noheadings --output PARTUUID /dev/sdy1)
[[ -b $source && -b $target ]] || fail "no links: $(ls -l /dev/disk/by-partuuid)"
dd if=/dev/urandom of=/tmp/sample bs=1M count=4 status=none
dd if=/dev/urandom of=/dev/sdx1 bs=1M count=48 oflag=direct status=none
cat > $config << END
version: 1
devices:
  - {name: data, match: {partuuid: "${source##*/}"}, stack: [{filter: redirect}]}
END
daemon
on_exit end_filterd
wait_until 20 has_state data "in sync"

echo "where the record cannot be"
expect_exit 2 filterctl redirect start data "$target" --record record
said "--record needs a whole path"
expect_exit 1 filterctl redirect start data "$target" --record /dev/shm/record
said "is in memory, and gone after a power loss"
expect_exit 1 filterctl redirect start data "$target" --record /dev/sdx1
expect_exit 1 filterctl redirect start data /dev/sdz1
said "the target is smaller"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 /dev/sdx1
mount /dev/sdx1 $mount
expect_exit 1 filterctl redirect start data "$target" --record "$mount/record"
said "lies on the source"
[ ! -e $mount/record ] || fail "it was made"
umount $mount
mkfs.ext4 -q /dev/store
mount /dev/store $store
on_exit umount $store
echo mine > $store/mine
expect_exit 5 filterctl redirect start data "$target" --record $store/mine
said "is no record of a migration"
[ "$(cat $store/mine)" = mine ] || fail "it was overwritten"
has_no_loop_device || fail "$(losetup)"

echo "on a device, and in a file"
filterctl redirect start data "$target" --record /dev/spare --rate 1MiB --no-wait > /dev/null
is record /dev/spare || fail "$(filterctl redirect status data)"
filterctl redirect cancel data > /dev/null
filterctl redirect start data "$target" --record $store/record > /dev/null
is state ready || fail "$(filterctl redirect status data)"
begins record "$store/record by loop" || fail "$(filterctl redirect status data)"
wait_until 20 is record_marked_bytes 0
keep_marks 3600
dd if=/tmp/sample of=/dev/sdx1 bs=64k count=1 seek=100 oflag=direct status=none
[ "$(status record_marked_bytes)" = 524288 ] || fail "$(filterctl redirect status data)"
# The migration ends its record when the target is gone, as a power loss does not.
dd if=$store/record of=/tmp/record iflag=direct bs=64k status=none
power_loss sdy sdx
wait_until 20 has_no_loop_device
dd if=/tmp/record of=$store/record oflag=direct bs=64k conv=notrunc status=none
power_again sdx sdy
daemon
wait_until 60 is state ready
is continued true || fail "$(filterctl redirect status data)"
is copied_bytes 524288 || fail "it copied something else: $(filterctl redirect status data)"
is_logged "goes on" || fail "$(cat $folder/log)"
filterctl redirect continue data > /dev/null
equal
filterctl redirect cancel data > /dev/null
wait_until 20 has_no_loop_device

echo "on the target"
filterctl redirect start data "$target" > /dev/null
begins record "$target, from byte 50331648 on" || fail "$(filterctl redirect status data)"
wait_until 20 is record_marked_bytes 0
keep_marks 3600
dd if=/tmp/sample of=/dev/sdx1 bs=64k count=1 seek=200 oflag=direct status=none
power_loss sdy sdx
power_again sdx
daemon
wait_until 20 is_logged "was ended by a restart; it goes on when both are there"
wait_until 20 is_logged "is not continued: $target: No such file"
expect_exit 5 filterctl redirect start data /dev/sdz1
said "is to be continued"
power_again sdy
filterctl redirect continue data > /dev/null
is state ready || fail "$(filterctl redirect status data)"
is copied_bytes 524288 || fail "it copied something else: $(filterctl redirect status data)"
equal

echo "after the cut-over"
filterctl redirect cutover data > /dev/null
dd if=/tmp/sample of=/dev/sdx1 bs=1M oflag=direct status=none
power_loss sdx sdy
power_again sdx
daemon
wait_until 20 is_logged "is an old source"
is current "$target" || fail "$(filterctl redirect status data)"
expect_exit 5 filterctl redirect start data /dev/sdz1
said "is the old source of $target"
expect_exit 5 filterctl redirect cancel data
! cmp -s -n 4194304 /tmp/sample /dev/sdx1 || fail "it was written to the source"
power_again sdy
wait_until 60 is state redirected
is_logged "as before the restart" || fail "$(cat $folder/log)"
blockdev --flushbufs /dev/sdx1
cmp -n 4194304 /tmp/sample /dev/sdx1
wait_until 20 filterctl redirect finish data

echo "what was written to in between"
filterctl redirect start data "$target" > /dev/null
power_loss sdy sdx
power_again sdx sdy
dd if=/tmp/sample of=/dev/sdx1 bs=64k count=1 oflag=direct status=none
daemon
wait_until 20 is_logged "let nobody mount or write to it before it is continued"
begins trouble "the migration of sdx1 to $target is not continued" || fail "$(filterctl redirect status data)"
expect_exit 1 filterctl redirect continue data
said "was written to since it appeared"
filterctl redirect cancel data > /dev/null
filterctl redirect continue data | grep -q "created" || fail "something is to be continued"
filterctl redirect start data "$target" > /dev/null
equal
filterctl redirect cancel data > /dev/null
