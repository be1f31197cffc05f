#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds our kernel modules for one prepared kernel:  build-modules.sh 6.1|6.12|debug [make variable...]
#
# kernel/ and the filters in tests/vm/module/, tests/bench/module/ and examples/*/module/ are copied below
# build/modules-src/ and built there; the modules end up in build/modules/KERNEL/. With FAULT=NAME in the environment the fault NAME is planted
# (make ... FAULT=NAME, -DBLKFILTER_FAULT_NAME; some-name becomes SOME_NAME) and the folder is build/modules/KERNEL-fault-NAME.
set -euo pipefail
. "$(dirname "$0")/common.sh"

kernel=$1
shift
name=$kernel${FAULT:+-fault-$FAULT}
# shellcheck source=/dev/null
. "$BUILD/lab/kernel-$kernel.env" 2> /dev/null || die "kernel $kernel is not prepared: run tests/lab/kernels.sh $kernel"
work=$BUILD/modules-src/$name
out=$BUILD/modules/$name
mkdir -p "$work" "$out"

make=(make "-j$JOBS" "KDIR=$KDIR" "$@")
flags=
if [ "${FAULT:-}" ]; then
    planted=$(tr 'a-z-' 'A-Z_' <<< "$FAULT")
    grep -rq "_fault($planted)" "$SRC/kernel" || die "nothing in kernel/ knows the fault $planted: there is no ..._fault($planted)"
    flags=-DBLKFILTER_FAULT_$planted
    make+=("FAULT=$FAULT" "KCFLAGS=$flags")
fi

# Built with another kernel, or another way: from scratch.
made_of="$RELEASE $KDIR ${make[*]}"
if [ "$(cat "$work/made-of" 2> /dev/null)" != "$made_of" ]; then
    rm -rf "$work" "$out"
    mkdir -p "$work" "$out"
fi

copy() { # FOLDER NAME: what the build made stays, so that make only does what changed; what is gone here goes there
    rsync -a --delete --filter='P *.o' --filter='P *.ko' --filter='P *.mod' --filter='P *.mod.c' --filter='P .*.cmd' \
        --filter='P *.symvers' --filter='P modules.order' --filter='P include/generated/' --filter='P .*.d' \
        --filter='P *.o.d' --filter='P compat/*.h' "$SRC/$1/" "$work/$2/"
}

if [ -e "$SRC/kernel/Makefile" ]; then
    copy kernel kernel
    quietly "$BUILD/lab/modules-$name.log" "${make[@]}" -C "$work/kernel"
else
    echo "build-modules.sh: there is no kernel/Makefile yet" >&2
fi
filters() { # FOLDER NAME: filters on the core just built
    [ -e "$SRC/$1/Kbuild" ] || return 0
    copy "$1" "$2"
    quietly "$BUILD/lab/$2-$name.log" make "-j$JOBS" -C "$KDIR" M="$work/$2" "${extra[@]}" ${FAULT:+"FAULT=$FAULT"} \
        KBUILD_EXTRA_SYMBOLS="$work/kernel/Module.symvers" BLKFILTER_INCLUDE="$work/kernel/include" \
        "KCFLAGS=$flags -I$work/kernel/include" modules
}

extra=("$@")
filters tests/vm/module test-module
filters tests/bench/module bench-module
filters examples/third-party/module acme-module
filters examples/hand-over/module hand-over-module
echo "$made_of" > "$work/made-of"
# A module whose source is gone must not be found by a test.
find "$out" -name '*.ko' -delete
find "$work" -name '*.ko' | while read -r module; do
    [ ! -e "${module%/*}/Kbuild" ] || cp -p "$module" "$out/"
done
