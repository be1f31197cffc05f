#!/bin/bash
# SPDX-License-Identifier: MIT
# Process 1 of a guest after switch_root: mounts what a Linux system has, makes the guest kernel's modules
# visible, then becomes the agent (tests), a shell, or powers off (probe). Everything it writes is in memory,
# except below /job.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME=/root LANG=C.UTF-8 TERM=linux
umask 022
cd / || exit 1

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
# Not there with devtmpfs alone; bash's <( ) needs it.
ln -sfn /proc/self/fd /dev/fd

option() { # NAME: the value of lab.NAME on the kernel's command line
    sed -n "s/.*\blab\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}
LAB_DIR=$(option dir)
MODE=$(option mode)
MODULES=$(option modules)
export LAB_DIR

# Before /tmp and /run are hidden: the cache of kernels may live there.
release=$(uname -r)
mkdir -p "/lib/modules/$release"
mount --bind "$MODULES/lib/modules/$release" "/lib/modules/$release"

mount -t tmpfs tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /run/lock /mnt
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing
modprobe configfs 2>/dev/null
mount -t configfs configfs /sys/kernel/config
mount -t cgroup2 cgroup2 /sys/fs/cgroup
hostname lab
# No udev unless a test starts it (start_udev in guest/lib.sh): libdevmapper makes its nodes itself.
export DM_DISABLE_UDEV=1
rm -rf /etc/lvm/devices /etc/mdadm /etc/multipath.conf
echo 1 > /proc/sys/kernel/printk_devkmsg 2>/dev/null

case $MODE in
shell)
    export PS1='guest:\w# '
    export SRC=/src MODDIR BINDIR=/job/bin KERNEL
    KERNEL=$(option kernel)
    MODDIR=/job/modules/$KERNEL
    echo "lab: $release, modules in \$MODDIR=$MODDIR, programs in \$BINDIR; exit or Ctrl-A X ends the guest"
    dmesg -n 4
    setsid -c bash --norc -i < /dev/ttyS0 > /dev/ttyS0 2>&1
    ;;
*)
    bash /src/tests/lab/guest/agent.sh
    echo "lab: the agent ended" > /dev/kmsg
    ;;
esac
# The host starts us with -no-reboot: this ends the virtual machine.
echo b > /proc/sysrq-trigger
