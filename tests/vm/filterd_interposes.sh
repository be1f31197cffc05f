#!/bin/bash
# SPDX-License-Identifier: MIT
# filterctl redirect with what is slid under a mounted device: a linear mapping on the device below, while files are written; taken out again,
# and the device below withdrawn; with a target that returns errors; and what people do wrong.
# lab: kernels 6.12
# lab: timeout 200
# lab: allow-dmesg (redirect: .*refused|[Ii]/O error|lost async page write|EXT4-fs)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"
. "$SRC/tests/vm/lib/filterd.sh"

mount=/tmp/mount
mkdir -p $mount

is() { # KEY VALUE
    [ "$(filterctl --json redirect status data | jq -r ".records[0].$1")" = "$2" ]
}
writes() { # of the mapped device, as the kernel counts them
    awk '{ print $5 }' "/sys/block/$(dm_disk slid)/stat"
}
write_a_file() {
    dd if=/tmp/sample of=$mount/file bs=1M conv=fsync status=none
}

load_redirect
modprobe ext4
null_disk data size=48
data=$NULL_DISK
null_disk other size=48
other=$NULL_DISK
on_exit end_redirects
start_udev
on_exit remove_dm slid
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "/dev/$data"
mount "/dev/$data" $mount
on_exit umount $mount
dd if=/dev/urandom of=/tmp/sample bs=1M count=4 status=none
cat > $config << END
version: 1
devices:
  - {name: data, match: {node: /dev/$data}, stack: [{filter: redirect}]}
END
daemon
on_exit end_filterd
wait_until 20 has_state data "in sync"

echo "it is slid under"
expect_exit 4 filterctl redirect below data --withdraw
below=$(filterctl redirect below data)
[ "$below" = "/dev/below-$data" ] || fail "$below"
[ "$(filterctl redirect below data)" = "$below" ] || fail "it is another one"
wait_until 10 test -b "$below"
dmsetup create slid --table "0 $(blockdev --getsz "$below") linear $below 0"
expect_exit 5 filterctl redirect below data --withdraw
said "the device below is open or held"
expect_exit 2 filterctl redirect start data "/dev/$other" --mode interpose
said "does not lie on the source's device below"
expect_exit 1 filterctl redirect start data /dev/mapper/slid --mode only
filterctl redirect start data /dev/mapper/slid --mode interpose > /dev/null
is state redirected || fail "$(filterctl redirect status data)"
is mode interpose || fail "$(filterctl redirect status data)"
is current "/dev/$data" || fail "$(filterctl redirect status data)"
before=$(writes)
write_a_file
[ "$(writes)" -gt "$before" ] || fail "nothing was written through it"
[ -z "$(ls $folder/state/plugins/redirect)" ] || fail "a restart needs to know nothing: $(ls $folder/state/plugins/redirect)"

echo "and taken out again"
filterctl redirect finish data
is state concluded || fail "$(filterctl redirect status data)"
before=$(writes)
write_a_file
[ "$(writes)" = "$before" ] || fail "it is still written through it"
cmp /tmp/sample $mount/file

echo "also when it returns errors"
filterctl redirect start data /dev/mapper/slid --mode interpose > /dev/null
dmsetup suspend --nolockfs --noflush slid
dmsetup load slid --table "0 $(blockdev --getsz "$below") error"
dmsetup resume slid
filterctl redirect finish data --no-freeze
dmsetup remove --retry slid
wait_until 10 filterctl redirect below data --withdraw
wait_until 10 test ! -b "$below"
echo 3 > /proc/sys/vm/drop_caches
cmp /tmp/sample $mount/file
expect_exit 2 filterctl redirect finish data --no-freeze
