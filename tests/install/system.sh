#!/bin/bash
# SPDX-License-Identifier: MIT
# system.sh SERIES: what "make install" and "cmake --install" put in place makes a clean Debian work, over reboots: system-guest.sh
# goes on in a guest that boots from a disk. The tests' filter is installed as a third party's would be.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"
. "$(dirname "$0")/lib.sh"

series=$1
[ -e "$BUILD/lab/image-$series.env" ] || { echo "the disk image of $series is not prepared: run tests/lab/image.sh"; exit 77; }
# shellcheck source=/dev/null
. "$BUILD/lab/kernel-$series.env"
work=$BUILD/install/system-$series stage=$BUILD/install/system-$series/stage

fresh "$stage"
kernel_sources "$work/kernel"
# As a package does it: depmod and ldconfig are its scripts' business, on the machine that it is installed on.
quietly "$work/modules.log" make -C "$work/kernel" "-j$JOBS" "KDIR=$KDIR" "DESTDIR=$stage" install
quietly "$work/library.log" env "DESTDIR=$stage" cmake --install "$BUILD" --prefix /usr --strip
install -D -m 644 "$BUILD/modules/$series/blkfilter-test.ko" "$stage/lib/modules/$RELEASE/updates/blkfilter-test.ko"
find "$stage" -name '*.ko' -exec strip --strip-debug {} +
tar -C "$stage" -cf "$work/stage.tar" .

exec python3 "$SRC/tests/lab/lab.py" once --kernel "$series" tests/install/system-guest.sh
