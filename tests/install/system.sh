#!/bin/bash
# SPDX-License-Identifier: MIT
# system.sh SERIES WHAT: what "make install" and "cmake --install" put in place makes a clean Debian work, over reboots: WHAT-guest.sh
# goes on in a guest that boots from a disk. The tests' filter is installed as a third party's would be.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"
. "$(dirname "$0")/lib.sh"

series=$1 what=$2
[ -e "$BUILD/lab/image-$series.env" ] || { echo "the disk image of $series is not prepared: run tests/lab/image.sh"; exit 77; }
# shellcheck source=/dev/null
. "$BUILD/lab/kernel-$series.env"
work=$BUILD/install/$what-$series stage=$BUILD/install/$what-$series/stage

# What depmod makes of Debian's modules and ours: in a guest it takes a minute, and one test that it works there is enough. Kept for the
# next one with the same modules.
index_modules() {
    local tree=$work/tree/lib/modules/$RELEASE index
    index=$BUILD/install/index-$series-$(cd "$stage" && find lib/modules -name '*.ko*' -exec sha256sum {} + | sort | sha256sum | cut -c 1-12)
    if [ ! -e "$index/complete" ]; then
        rm -rf "$BUILD/install/index-$series-"*
        fresh "$tree"
        ln -s "$MODULES/lib/modules/$RELEASE/kernel" "$stage/lib/modules/$RELEASE/updates" "$tree/"
        cp "$MODULES/lib/modules/$RELEASE"/modules.{order,builtin,builtin.modinfo} "$tree/"
        depmod -b "$work/tree" "$RELEASE"
        fresh "$index"
        cp "$tree"/modules.* "$index/"
        touch "$index/complete"
    fi
    cp "$index"/modules.* "$stage/lib/modules/$RELEASE/"
}

# The modules from where they were built already: modules.sh shows that they build from the sources alone. ldconfig is the business of a
# package's scripts, on the machine that it is installed on.
make_stage() {
    local updates=$stage/lib/modules/$RELEASE/updates
    fresh "$stage"
    quietly "$work/modules.log" make -C "$BUILD/modules-src/$series/kernel" "-j$JOBS" "KDIR=$KDIR" "DESTDIR=$stage" INSTALL_MOD_STRIP=1 install
    quietly "$work/library.log" env "DESTDIR=$stage" cmake --install "$BUILD" --strip
    install -D -m 644 "$BUILD/modules/$series/blkfilter-test.ko" "$updates/blkfilter-test.ko"
    strip --strip-debug "$updates/blkfilter-test.ko"
    index_modules
    # In large blocks: what the host shares is slow to read.
    tar -C "$stage" -b 1024 -cf "$work/stage.tar" .
}

# Another test of this series may do the same in the same folders.
with_lock "install-$series" make_stage
exec python3 "$SRC/tests/lab/lab.py" once --kernel "$series" "tests/install/$what-guest.sh"
