#!/bin/bash
# SPDX-License-Identifier: MIT
# In a disk-image guest (tests/lab/image.sh puts it there), started by systemd: mounts what the host shares, then is the agent.
option() { # NAME: the value of lab.NAME on the kernel's command line
    sed -n "s/.*\blab\.$1=\([^ ]*\).*/\1/p" /proc/cmdline
}
LAB_DIR=$(option dir)
export LAB_DIR HOME=/root LANG=C.UTF-8 SRC=/src
modprobe 9pnet_virtio
mkdir -p /src /job
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,ro src /src
mount -t 9p -o trans=virtio,version=9p2000.L,msize=524288,rw job /job
mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
mountpoint -q /sys/kernel/tracing || mount -t tracefs tracefs /sys/kernel/tracing
exec bash "$SRC/tests/lab/guest/agent.sh"
