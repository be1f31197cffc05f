#!/bin/sh
# SPDX-License-Identifier: MIT
# First process of a shared-root guest, run by busybox out of the initramfs: make the host's root file
# system, read-only over 9p with a tmpfs laid over it, our root, and hand over to guest/init.sh.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev

# Dependency order; empty for a kernel that has everything built in.
while read -r module; do
    insmod "/modules/$module" || echo "lab: cannot load $module"
done < /modules/order

share=trans=virtio,version=9p2000.L,msize=524288
mkdir -p /lower /rw /root
# Nothing changes the host's system while a guest runs, so its pages may be cached without asking.
mount -t 9p -o "$share,ro,cache=loose" root /lower
mount -t tmpfs -o size=60% tmpfs /rw
mkdir /rw/upper /rw/work
mount -t overlay -o lowerdir=/lower,upperdir=/rw/upper,workdir=/rw/work overlay /root

# The repository and the build folder do change under a running guest: uncached.
mkdir -p /root/src /root/job
mount -t 9p -o "$share,ro" src /root/src
mount -t 9p -o "$share,rw" job /root/job

umount /dev /sys
if [ ! -x /root/bin/bash ] || [ ! -r /root/src/tests/lab/guest/init.sh ]; then
    echo "lab: cannot see the host's files"
    echo b > /proc/sysrq-trigger
fi
umount /proc
exec switch_root /root /bin/bash /src/tests/lab/guest/init.sh
