#!/bin/bash
# SPDX-License-Identifier: MIT
# filterd on the real kernel, with udev: a disk that is there, one that appears, a partition that has its filters before its first bio;
# a kill in mid-apply; a filter of somebody else; drift; what is declared no more; filterctl's commands for cbt-only, whose extents cover
# what was written.
# lab: kernels 6.12 6.1
# lab: timeout 600
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/filterd.sh"

filters_of() { # DEVICE: from the highest on
    tool stack "$1" --json | jq -r '[.filters[].name] | join(" ")'
}

has_filters() { # DEVICE NAMES
    [ "$(filters_of "$1")" = "$2" ]
}

declare_devices() { # BLOCK_SIZE
    cat > $config << END
version: 1
groups: [{name: all, devices: [first]}]
devices:
  - {name: first, match: {node: /dev/$first}, stack: [{filter: cbt-only, block_size: $1}]}
  - {name: second, match: {node: /dev/later}, stack: [{filter: cbt-only}]}
  - {name: part, match: {partuuid: 11111111-2222-3333-4444-555555555555}, stack: [{filter: cbt-only}]}
END
}

load_filters
load blkfilter-cbt
on_exit detach_all
null_disk one size=64 memory_backed=1 discard=1
first=$NULL_DISK
modprobe loop max_part=7
start_udev
declare_devices 64KiB
filterd --check --config $config --config-folder $folder/conf.d --plugin-folder /job/plugins
daemon
on_exit end_filterd
wait_until 10 has_state first "in sync"
[ "$(filters_of "$first")" = cbt-only ] || fail "the first disk has '$(filters_of "$first")'"
[ "$(state second) $(state part)" = "pending pending" ] || fail "what is not there is $(state second), $(state part)"

echo "filterctl cbt: what was written is in the extents"
filterctl cbt checkpoint "$first" before
dd if=/dev/urandom "of=/dev/$first" bs=64k seek=7 count=2 oflag=direct status=none
filterctl cbt extents "$first" before --format ranges > $folder/ranges
[ "$(cat $folder/ranges)" = "458752 131072" ] || fail "extents: $(cat $folder/ranges)"
filterctl cbt extents "$first" before | awk '{ $1 = $1; print }' | diff - <(printf '%s\n' "OFFSET LENGTH TYPE" "458752 131072 written")
filterctl cbt extents "$first" before --format nbdkit > $folder/nbdkit
diff $folder/nbdkit - << 'END'
0 458752 hole
458752 131072
589824 66519040 hole
END
echo "nbdkit reads it: what is unchanged is a hole, of which nobody may think that it reads as zeroes"
nbdinfo --map --json -- [ nbdkit --readonly --filter=extentlist file "/dev/$first" extentlist=$folder/nbdkit ] |
    jq -r '.[] | "\(.offset) \(.length) \(.description)"' > $folder/map
diff $folder/map - << 'END'
0 458752 hole
458752 131072 data
589824 66519040 hole
END
[ "$(filterctl --json cbt list "$first" | jq '.records | length')" -ge 1 ] || fail "no checkpoint is listed"
[ "$(filterctl group list | tail -n 1 | tr -s ' ')" = "all first" ] || fail "groups: $(filterctl group list)"
filterctl group point all

echo "a disk that appears, and a partition that has its filter before its first bio"
truncate -s 64M $folder/image
sfdisk --quiet --label gpt $folder/image <<< 'start=1MiB, uuid=11111111-2222-3333-4444-555555555555'
loop=$(losetup --find --show --partscan $folder/image)
on_exit losetup --detach "$loop"
ln -s "$loop" /dev/later
on_exit rm -f /dev/later
udevadm trigger "$loop"
wait_until 10 has_state second "in sync"
wait_until 10 has_state part "in sync"
filterctl --json status | jq -e '.devices[] | select(.name == "part") | .present[0].stack[0].from_first_bio' > /dev/null ||
    fail "the partition's first bio was missed"
filterctl --json status | jq -e '.devices[] | select(.name == "second") | .present[0].stack[0].from_first_bio | not' > /dev/null ||
    fail "a link of udev cannot be known before the first bio"

echo "somebody else's filter is not touched; drift is shown and repaired"
tool attach "$first" test3
filterctl apply --prune > /dev/null || fail "apply"
filterctl stack show "$first" | grep -q 'test3.*foreign' || fail "test3 is not foreign"
tool detach "$first" cbt-only
wait_until 10 has_state first drift
[ "$(filters_of "$first")" = test3 ] || fail "filterd has repaired unasked"
filterctl apply > /dev/null
[ "$(filters_of "$first")" = "cbt-only test3" ] || fail "not repaired: $(filters_of "$first")"

echo "wrong files change nothing"
cp $config $folder/good
echo '  - {name: first, mutch: {}}' >> $config
kill -HUP "$filterd"
wait_until 10 filterctl status > /dev/null
expect_fail filterctl apply 2> $folder/messages
grep -q mutch $folder/messages || fail "nobody says what is wrong: $(cat $folder/messages)"
[ "$(filters_of "$first")" = "cbt-only test3" ] || fail "a wrong file has changed a stack"
cp $folder/good $config

echo "killed in mid-apply"
for ((i = 0; i < (KERNEL_IS_DEBUG ? 2 : 6); i++)); do
    # Another altitude is a transaction, other options are refused: both in one apply.
    sed -i "s/stack: \[{filter: cbt-only\(, altitude: [0-9]*\)\?/stack: [{filter: cbt-only, altitude: $((450001 + i))/" $config
    filterctl apply > /dev/null 2>&1 &
    apply=$!
    sleep "0.$((RANDOM % 5))"
    kill_filterd
    wait "$apply" || true
    daemon
    wait_until 10 has_state first "in sync"
    wait_until 10 has_state part "in sync"
    [ "$(tool stack "$first" --json | jq -r '.filters[] | select(.name == "cbt-only") | .altitude')" = $((450001 + i)) ] ||
        fail "kernel and files disagree: $(tool stack "$first")"
done

echo "undone unless confirmed, and what is declared no more"
echo "version: 1" > $config
filterctl apply --prune --prune-named cbt-only --rollback-after 3s > /dev/null
[ "$(filters_of "$first")" = test3 ] || fail "not pruned: $(filters_of "$first")"
kill_filterd
daemon
wait_until 10 has_filters "$first" "cbt-only test3"
kill "$filterd"
wait "$filterd" || fail "filterd has ended with $?"
[ "$(filters_of "$first")" = "cbt-only test3" ] || fail "the filters went with filterd"
