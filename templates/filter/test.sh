#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds module and plugin; then, as root where blkfilter is loaded, attaches @NAME@ to a disk in memory, writes, and compares.
#   ./test.sh          exit code 77: built, but not tried
#   ./test.sh --built  without building
# The variables of the Makefile may be in the environment.
set -euo pipefail
cd "$(dirname "$0")"

fail() {
    echo "$*" >&2
    exit 1
}

[ "${1:-}" = --built ] || make
if [ "$(id -u)" != 0 ] || [ ! -e /dev/blkfilter ]; then
    echo "built, but not tried: that takes root, and the core: modprobe blkfilter"
    exit 77
fi

# --- what filterd says of plugin and YAML ---

if command -v filterd > /dev/null; then
    chmod 644 filterd-@NAME@.so
    filterd --check-plugin "$PWD/filterd-@NAME@.so"
    filterd --check --config @NAME@.yaml --config-folder none.d --plugin-folder "$PWD"
fi

# --- a disk in memory ---

config=/sys/kernel/config/nullb/filter-test
loaded=

undo() { # as far as it was done
    [ -z "${disk:-}" ] || blkfilter-tool stack "/dev/$disk" set --empty > /dev/null || true
    [ -z "$loaded" ] || rmmod @NAME@
    [ ! -d "$config" ] || { echo 0 > "$config/power" && rmdir "$config"; }
}
trap undo EXIT

[ -d /sys/module/null_blk ] || modprobe null_blk nr_devices=0
mkdir "$config"
echo 64 > "$config/size"
echo 1 > "$config/memory_backed"
echo 1 > "$config/power"
disk=filter-test
# An older kernel gives it a number.
[ -b /dev/$disk ] || disk=nullb$(cat "$config/index")

# --- what the filter counts ---

insmod module/@NAME@.ko
loaded=1
blkfilter-tool attach "/dev/$disk" @NAME@ > /dev/null
dd if=/dev/zero "of=/dev/$disk" bs=4k count=10 oflag=direct status=none
dd if="/dev/$disk" of=/dev/null bs=4k count=3 iflag=direct status=none
answer=$(blkfilter-tool command "/dev/$disk" @NAME@ 0 --room 8)
[ "$answer" = 0a00000000000000 ] || fail "10 writes, but the filter says $answer"
echo "good: 10 writes counted"
