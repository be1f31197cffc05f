#!/bin/bash
# SPDX-License-Identifier: MIT
# Finds or makes the kernels that guests run:  kernels.sh [--headers-only] 6.1|6.12|debug...
#
# 6.1 and 6.12 are the newest stock kernels of their series in the archive, unpacked (not installed) in the cache;
# their headers are installed. debug is built from Debian's source with debug-kernel.config. For each, writes
# build/lab/kernel-NAME.env:
#   RELEASE  what uname -r says        IMAGE  the file to boot
#   MODULES  holds lib/modules/RELEASE KDIR   what external modules are built against
# With --headers-only writes build/lab/headers-NAME.env, which has RELEASE and KDIR.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/install.sh"

newest_stock() { # SERIES: prints the release of the newest generic amd64 kernel
    local series=${1//./\\.} release
    release=$(apt-cache pkgnames "linux-image-$1" |
        sed -nE "s/^linux-image-($series\.[0-9]+([-+][a-z0-9]+)?-amd64)-unsigned\$/\1/p" | sort -V | tail -n 1)
    # No archive within reach: what an earlier run left.
    [ -n "$release" ] || release=$(find "$CACHE/kernels" -maxdepth 1 -name "$1.*-amd64" -printf '%f\n' 2> /dev/null |
        sort -V | tail -n 1)
    [ -n "$release" ] || return 1
    echo "$release"
}

write_env() { # FILE NAME=VALUE...
    mkdir -p "$BUILD/lab"
    local file=$BUILD/lab/$1
    shift
    printf '%s\n' "$@" > "$file.new"
    mv "$file.new" "$file"
}

fetch_stock() { # RELEASE: unpacks its package into the cache
    local release=$1 target=$CACHE/kernels/$1 work
    [ -e "$target/lib/modules/$release/modules.dep" ] && return
    step "fetching kernel $release"
    work=$(mktemp -d "$CACHE/fetch.XXXXXX")
    # apt drops root for a download into a folder that it may write.
    chmod 755 "$work"
    (cd "$work" && quietly "$BUILD/lab/fetch-$release.log" apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=3 \
        download "linux-image-$release-unsigned") || { rm -rf "$work"; return 1; }
    mkdir -p "$CACHE/kernels"
    rm -rf "$target"
    # Said with && because set -e is off below an "if".
    dpkg -x "$work"/linux-image-*.deb "$work/tree" &&
        depmod -b "$work/tree" "$release" &&
        mv "$work/tree" "$target" &&
        rm -rf "$work"
}

prepare_headers() { # SERIES: leaves the release in $release
    fresh_lists
    release=$(newest_stock "$1") || { update_lists; release=$(newest_stock "$1"); } || die "the archive has no stock kernel $1"
    install_packages "linux-headers-$release"
    write_env "headers-$1.env" "RELEASE=$release" "KDIR=/lib/modules/$release/build"
}

prepare_stock() { # SERIES
    prepare_headers "$1"
    if ! with_lock "$release" fetch_stock "$release"; then
        update_lists
        prepare_headers "$1"
        with_lock "$release" fetch_stock "$release" || die "cannot fetch kernel $release"
    fi
    write_env "kernel-$1.env" "RELEASE=$release" "IMAGE=$CACHE/kernels/$release/boot/vmlinuz-$release" \
        "MODULES=$CACHE/kernels/$release" "KDIR=/lib/modules/$release/build"
}

build_debug() { # DIR: builds there; DIR/complete is its last act
    local dir=$1 log=$BUILD/lab/debug-kernel began=$EPOCHSECONDS
    [ -e "$dir/complete" ] && return
    # Absolute paths would keep ccache from recognising files under another key. CCACHE_DEPEND: without a run of the preprocessor
    # for each file first, as a cold cache is what CI has.
    export CCACHE_DIR=$CACHE/ccache CCACHE_BASEDIR=$dir CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE=3G
    export CCACHE_DEPEND=1
    local make=(make -C "$dir/source" O="$dir/build" "CC=ccache gcc" "-j$JOBS" KBUILD_BUILD_USER=lab KBUILD_BUILD_HOST=lab
        KBUILD_BUILD_VERSION=1 KBUILD_BUILD_TIMESTAMP=2025-01-01)
    rm -rf "$dir"
    mkdir -p "$dir/source" "$dir/build"
    cp "$SRC/tests/lab/debug-kernel.config" "$dir/"
    step "unpacking linux-source-6.12"
    tar -C "$dir/source" --strip-components=1 -xJf /usr/src/linux-source-6.12.tar.xz
    step "building the debug kernel (10 to 30 minutes on 2 cores, once)"
    quietly "$log-config.log" "${make[@]}" tinyconfig
    (cd "$dir/build" && quietly "$log-merge.log" "$dir/source/scripts/kconfig/merge_config.sh" -m .config "$dir/debug-kernel.config")
    quietly "$log-olddef.log" "${make[@]}" olddefconfig
    quietly "$log.log" "${make[@]}" bzImage modules
    quietly "$log-install.log" "${make[@]}" INSTALL_MOD_PATH="$dir" INSTALL_MOD_STRIP=1 modules_install
    cp "$dir/build/arch/x86/boot/bzImage" "$dir/bzImage"
    prune_debug "$dir"
    touch "$dir/complete"
    step "built the debug kernel in $((EPOCHSECONDS - began)) s"
}

prune_debug() { # DIR: 2.5 GB less; what building external modules takes stays, and vmlinux for addr2line
    local source=$1/source build=$1/build folder
    for folder in Documentation LICENSES block crypto drivers fs init io_uring ipc kernel lib mm net rust samples security sound \
        tools/testing tools/perf usr virt; do
        rm -rf "${source:?}/$folder"
    done
    find "$source/arch" -mindepth 1 -maxdepth 1 ! -name x86 ! -name Kconfig -exec rm -rf {} +
    find "$build" \( -path "$build/scripts" -o -path "$build/tools" \) -prune -o \
        -type f \( -name '*.o' -o -name '*.a' -o -name '*.ko' -o -name '*.cmd' -o -name '*.mod*' -o -name 'vmlinux.*' \) \
        ! -name '*.symvers' -path "$build/*" ! -path "$build/include/*" -exec rm -f {} +
}

prepare_debug() {
    local dir key release version
    install_group build debug
    version=$(dpkg-query -W -f '${Version}' linux-source-6.12)
    # What the kernel is made of: source, configuration, and the way we build it.
    key=$({ echo "$version"; gcc --version | head -n 1; cat "$SRC/tests/lab/debug-kernel.config"; } | sha256sum | cut -c 1-12)
    dir=$CACHE/kernels/debug-$key
    with_lock "debug-$key" build_debug "$dir"
    release=$(cat "$dir/build/include/config/kernel.release")
    write_env kernel-debug.env "RELEASE=$release" "IMAGE=$dir/bzImage" "MODULES=$dir" "KDIR=$dir/build"
}

headers_only=
for name in "$@"; do
    case $name in
    --headers-only) headers_only=1 ;;
    6.*) if [ "$headers_only" ]; then prepare_headers "$name"; else prepare_stock "$name"; fi ;;
    debug) prepare_debug ;;
    *) die "no kernel '$name': there are 6.1, 6.12 and debug" ;;
    esac
done
