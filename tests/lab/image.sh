#!/bin/bash
# SPDX-License-Identifier: MIT
# Makes the disk that disk-image guests start from:  image.sh 6.1|6.12...
#
# A Debian 12 as an administrator has it: systemd, udev, initramfs-tools, the stock kernels from the archive with the initramfs
# that their packages make, ext4 on a GPT partition. Nothing of ours but a unit that starts the lab's agent. One disk for
# all stock kernels, in the cache; each guest writes to an overlay of its own (tests/lab/guest.py). For each kernel
# writes build/lab/image-NAME.env:  DISK, IMAGE (its kernel), INITRD, PARTUUID.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/install.sh"

install_group image
# What a server has anyway, and what the installed programs are linked with.
contents=systemd-sysv,dbus,udev,kmod,initramfs-tools,e2fsprogs,fdisk,procps,libfmt9,libsmartcols1,libstdc++6,libyaml-cpp0.7,libkmod2,libsystemd0,libnbd0
# For tests of backup.
contents+=,qemu-utils,sqlite3,jq
PARTUUID=6b6c6b66-696c-4274-a572-000000000001

releases=()
for name in "$@"; do
    # shellcheck source=/dev/null
    . "$BUILD/lab/kernel-$name.env" 2> /dev/null || die "kernel $name is not prepared: run tests/lab/kernels.sh $name"
    # shellcheck disable=SC2153 # the file sets it
    releases+=("$RELEASE")
done

# What the disk is made of: kernels, and the way we build it.
key=$({ printf '%s\n' "${releases[@]}"; cat "${BASH_SOURCE[0]}" "$SRC/tests/lab/guest/image-agent.sh"; } | sha256sum | cut -c 1-12)
target=$CACHE/images/$key

# The agent begins when a system is up; the console is the lab's.
prepare_root() { # ROOT
    local root=$1
    install -m 755 "$SRC/tests/lab/guest/image-agent.sh" "$root/usr/local/sbin/lab-agent"
    cat > "$root/etc/systemd/system/lab-agent.service" << 'END'
[Unit]
Description=Runs the lab's tests
After=basic.target
[Service]
ExecStart=/usr/local/sbin/lab-agent
KillMode=process
[Install]
WantedBy=multi-user.target
END
    chroot "$root" systemctl --quiet enable lab-agent.service
    chroot "$root" systemctl --quiet mask serial-getty@ttyS0.service apt-daily.timer apt-daily-upgrade.timer
    echo "PARTUUID=$PARTUUID / ext4 errors=remount-ro 0 1" > "$root/etc/fstab"
    echo lab > "$root/etc/hostname"
}

build_image() {
    [ ! -e "$target/complete" ] || return 0
    local work=$target/work
    rm -rf "$target"
    mkdir -p "$work"
    step "making a Debian system with ${releases[*]} (2 minutes, once)"
    quietly "$BUILD/lab/image-root.log" mmdebstrap --mode=root --variant=minbase --aptopt='Acquire::Retries "3"' \
        "--include=$contents,$(IFS=,; echo "${releases[*]/#/linux-image-}")" bookworm "$work/root"
    prepare_root "$work/root"
    cp "$work"/root/boot/vmlinuz-* "$work"/root/boot/initrd.img-* "$target/"
    truncate -s 6G "$work/disk"
    sfdisk --quiet "$work/disk" <<< "label: gpt
start=1MiB, uuid=$PARTUUID, name=root"
    quietly "$BUILD/lab/image-disk.log" mke2fs -q -t ext4 -d "$work/root" -E offset=$((1 << 20)) "$work/disk" 5G
    quietly "$BUILD/lab/image-disk.log" qemu-img convert -f raw -O qcow2 "$work/disk" "$target/disk.qcow2"
    rm -rf "$work"
    touch "$target/complete"
    # Those of other kernels, when nobody has made or renewed them for two weeks.
    find "$CACHE/images" -mindepth 1 -maxdepth 1 -mtime +14 -exec rm -rf {} +
}

with_lock "image-$key" build_image
for name in "$@"; do
    # shellcheck source=/dev/null
    . "$BUILD/lab/kernel-$name.env"
    printf '%s\n' "DISK=$target/disk.qcow2" "IMAGE=$target/vmlinuz-$RELEASE" "INITRD=$target/initrd.img-$RELEASE" \
        "PARTUUID=$PARTUUID" > "$BUILD/lab/image-$name.env"
done
