#!/bin/bash
# SPDX-License-Identifier: MIT
# Backup in a clean Debian with filterd as its service (tests/install/system.sh): boot 1 installs; boot 2 takes snapshots of the mounted
# root and of a data disk at one instant, with a database under load on each, and backs them up, in full and by increments, each of which is
# restored and compared, while filterd is killed and upgraded; boot 3 says why the next increment must be a full copy, and makes that.
# lab: image
# lab: disk 6000
# lab: timeout 1500
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/clean.sh"
. "$SRC/tests/vm/lib/database.sh"
# What is installed, not what the lab brings.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
RANDOM=$((SEED % 32768))
stage=/job/install/backup-$KERNEL/stage.tar
config=/etc/filterd/conf.d/backup.yaml
disk=/dev/disk/by-id/virtio-data0
data=/srv/data store=/srv/backup image=/mnt
rounds=$([ "$SOAK" = 0 ] && echo 2 || echo 20)

phase() {
    printf '[%3d s] %s\n' $SECONDS "$*"
}

in_sync() {
    [ "$(filterctl --json status | jq '[.devices[] | select(.state == "in sync")] | length')" = 2 ]
}

wait_in_sync() {
    wait_until 120 in_sync
}

sums() { # FOLDER
    (cd "$1" && find . -type f -exec sha256sum {} + | sort -k 2)
}

mount_disk() {
    mkdir -p $data $store
    mount $disk-part1 $data
    mount $disk-part2 $store
}

first_boot() {
    tar -C / --keep-directory-symlink -b 1024 -xf "$stage"
    ldconfig
    modprobe loop
    sfdisk --quiet $disk <<< $'label: gpt\n,192MiB,,\n,,,'
    udevadm settle
    mkfs.ext4 -q $disk-part1
    mkfs.ext4 -q $disk-part2
    cat > $config << END
version: 1
defaults: {storage: {path: $store/.difference, limit: 2GiB, step: 128MiB}}
groups:
  - name: machine
    devices: [root, data]
    hooks: {before: 'echo before >> /run/hooks', after: 'echo "after \$FILTERD_RESULT" >> /run/hooks', seconds: 30}
devices:
  - {name: root, match: {partuuid: $(lsblk -ndo PARTUUID /dev/disk/by-partlabel/root)}, stack: [{filter: blksnap}]}
  - {name: data, match: {partuuid: $(lsblk -ndo PARTUUID $disk-part1)}, stack: [{filter: blksnap}]}
END
    filterd --check
    systemctl --quiet enable filterd
    mount_disk
    make_database $data/db
    make_database /var/lib/db
    mkdir $store/all $store/data
    echo "installed into a clean system, $(uname -r)"
}

# As a group, each mounted: both databases are whole, and the file systems clean.
snapshots_of_all() {
    filterctl snapshot create --group machine --label "round$1" > /dev/null
    [ "$(sort -u /run/hooks | tr '\n' ,)" = "after taken,before," ] || fail "hooks: $(cat /run/hooks)"
    udevadm settle
    local name database
    for name in root data; do
        expect_clean "the image of $name" "/dev/disk/by-blkfilter/round$1/$name"
        filterctl snapshot mount "round$1" --device $name --on $image > /dev/null
        database=$image/db
        [ $name = data ] || database=$image/var/lib/db
        check_database $database
        umount $image
    done
    # A snapshot outlives filterd's crash and its upgrade.
    if [ "$1" = 1 ]; then systemctl restart filterd; else systemctl kill --signal KILL filterd; fi
    wait_in_sync
    filterctl snapshot destroy "round$1"
}

# Of the data disk, in a row; what is there is noted beforehand.
copies_of_data() {
    mkdir -p "$data/files/$1"
    head -c $((RANDOM * 20 + 70000)) /dev/urandom > "$data/files/$1/new"
    [ "$1" -le 2 ] || rm -r "$data/files/$(($1 - 2))"
    sums $data/files > "/run/sums-$1"
    if [ "$1" = 1 ]; then
        filterctl backup full $store/data data > /dev/null
    else
        filterctl --json backup incremental $store/data > /run/made
        [ "$(jq '.backups[0].copied_bytes' /run/made)" -lt $((64 << 20)) ] || fail "an increment of everything: $(cat /run/made)"
    fi
}

expect_restored() { # NUMBER
    filterctl backup restore $store/data $store/restored --number "$1" > /dev/null 2> /run/said || fail "$(cat /run/said)"
    expect_clean "backup $1" $store/restored
    mount -o ro,noload,loop $store/restored $image
    diff <(sums $image/files) "/run/sums-$1" || fail "backup $1 has other files"
    check_database $image/db
    umount $image
    rm $store/restored
}

# The root with what it is booted from, and the data disk, at one instant.
copy_of_all() {
    sums /etc > /run/sums-etc
    filterctl backup full $store/all --group machine > /dev/null
    head -c 3000000 /dev/urandom > /var/lib/later
    filterctl backup incremental $store/all > /dev/null
    filterctl backup restore $store/all $store/restored --device root > /dev/null 2>&1
    expect_clean "the restored root" $store/restored
    mount -o ro,noload,loop $store/restored $image
    cmp /var/lib/later $image/var/lib/later
    diff <(sums $image/etc) /run/sums-etc || fail "the restored root has another /etc"
    check_database $image/var/lib/db
    umount $image
    rm -r $store/restored $store/all /var/lib/later
}

second_boot() {
    local i
    mount_disk
    wait_in_sync
    systemctl --quiet is-active filterd || fail "$(systemctl status filterd)"
    load_database $data/db
    data_load=$database_load
    load_database /var/lib/db
    for ((i = 1; i <= rounds; i++)); do
        phase "round $i"
        snapshots_of_all $i
        copies_of_data $i
    done
    phase "restored"
    for ((i = 1; i <= rounds; i++)); do
        expect_restored $i
    done
    phase "the root, too"
    copy_of_all
    touch $data/db.stop
    wait "$data_load" || true
    end_database_load /var/lib/db
    [ "$(filterctl --json snapshot list | jq '.records | length')" = 0 ] || fail "$(filterctl snapshot list)"
    fsfreeze --freeze $data && fsfreeze --unfreeze $data
    filterctl doctor > /run/doctor 2>&1 || fail "$(cat /run/doctor)"
    phase "the system goes down"
}

third_boot() {
    local status=0
    mount_disk
    wait_in_sync
    filterctl backup incremental $store/data 2> /run/said || status=$?
    [ $status = 5 ] || fail "an increment over a restart: $status, $(cat /run/said)"
    grep -q "a full one is needed" /run/said || fail "it does not say why: $(cat /run/said)"
    [ -z "$(find $store -name '*.partial')" ] || fail "something is left"
    filterctl backup verify $store/data > /dev/null
    mkdir $store/new
    filterctl backup full $store/new data > /dev/null
    filterctl backup restore $store/new $store/restored > /dev/null 2>&1
    expect_clean "what was restored" $store/restored
    echo "an increment is refused after a restart: $(cat /run/said)"
    hidden_mount
    umount $store
}

# Where only others see it. The service's restrictions must not keep filterd from it.
hidden_mount() {
    umount $data
    unshare --mount --propagation private sh -c "mount $disk-part1 $data && exec sleep 1000" &
    local hidden=$!
    wait_until 30 is_seen_frozen
    filterctl snapshot create data --label hidden > /dev/null
    udevadm settle
    e2fsck -fn /dev/disk/by-blkfilter/hidden/data > /dev/null || fail "what is mounted elsewhere was not frozen"
    filterctl snapshot destroy hidden
    kill $hidden
}

is_seen_frozen() {
    filterctl --json snapshot check data | jq -e ".records[] | select(.mounted_on == \"$data\" and .frozen)"
} > /dev/null

boots first_boot second_boot third_boot
