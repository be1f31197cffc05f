#!/bin/bash
# SPDX-License-Identifier: MIT
# new-filter.sh SERIES: what ./dev new-filter creates builds with what is installed and with nothing else, and its test passes as far as
# it can where blkfilter is not loaded, and as a whole in a guest (new-filter-guest.sh); a name that is none is refused.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"
. "$(dirname "$0")/lib.sh"

series=$1
work=$BUILD/install/new-filter-$series stage=$BUILD/install/new-filter-$series/stage
symvers=$BUILD/modules-src/$series/kernel/Module.symvers
[ -e "$BUILD/lab/headers-$series.env" ] || { echo "the headers of $series are not prepared: run tests/lab/kernels.sh"; exit 77; }
[ -e "$symvers" ] || { echo "the core is not built for $series: run tests/lab/build-modules.sh $series"; exit 77; }
# shellcheck source=/dev/null
. "$BUILD/lab/headers-$series.env"

# --- names ---

fresh "$work"
mkdir "$work/here"
cd "$work/here"
refused() { # ARGUMENT... MESSAGE
    ! "$SRC/dev" new-filter "${@:1:$#-1}" > "$work/refused.txt" 2>&1 || fail "./dev new-filter ${*:1:$#-1} did something"
    grep -qF -- "${*: -1}" "$work/refused.txt" || fail "./dev new-filter ${*:1:$#-1} says: $(cat "$work/refused.txt")"
    [ -z "$(ls "$work/here")" ] || fail "./dev new-filter ${*:1:$#-1} created $(ls "$work/here")"
}
for name in '' My-filter my_filter 'my filter' -my 3com mÿ ../x a/b "$(printf 'a%.0s' {1..32})"; do
    refused "$name" "is no name for a filter"
done
refused "is no name for a filter"
refused one two "one name only"

# --- what is installed ---

quietly "$work/install.log" env "DESTDIR=$stage" cmake --install "$BUILD"
quietly "$work/headers.log" make -C "$SRC/kernel" "KDIR=$KDIR" "DESTDIR=$stage" headers_install
install -D -m 644 -t "$stage/usr/src/blkfilter/$RELEASE" "$symvers"

# --- what is created ---

longest=a-23456789-123456789-123456789x
"$SRC/dev" new-filter my-filter > "$work/my-filter.log"
"$SRC/dev" new-filter $longest --dir "$work/elsewhere/filter" > "$work/longest.log"
! "$SRC/dev" new-filter my-filter > "$work/twice.log" 2>&1 || fail "a filter was created over another one"

export KDIR RELEASE DEVEL=$stage/usr/src/blkfilter CXXFLAGS=-Werror
PKG_CONFIG_PATH=$(dirname "$(find "$stage" -name filterd-plugin.pc)")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR=$stage PATH=$BUILD/bin:$PATH

builds() { # FOLDER NAME: and its test ends as it says
    local status=0
    ! grep -rE 'NAME@|NAME\.' "$1" || fail "something was not filled in"
    "$1/test.sh" > "$work/$2.log" 2>&1 < /dev/null || status=$?
    if [ -e /dev/blkfilter ] && [ "$(id -u)" = 0 ]; then
        [ $status = 0 ] || fail "$2: $(tail -n 20 "$work/$2.log")"
    else
        [ $status = 77 ] || fail "$2: $(tail -n 20 "$work/$2.log")"
    fi
    ! grep -E 'WARNING|undefined|warning:' "$work/$2.log" || fail "$2 does not find everything"
    modinfo -F depends "$1/module/$2.ko" | grep -qw blkfilter || fail "$2 does not depend on blkfilter"
    [ "$(nm -D --defined-only "$1/filterd-$2.so" | awk '{ print $3 }')" = filterd_plugin_entry ] || fail "$2 exports more than one name"
    [ "$(id -u)" = 0 ] || return 0
    chmod 644 "$1/filterd-$2.so"
    filterd --check-plugin "$1/filterd-$2.so" | grep -qF "good: $2 0.1: " || fail "$2: filterd refuses the plugin"
    filterd --check --config "$1/$2.yaml" --config-folder "$1/none.d" --plugin-folder "$1" || fail "$2: filterd refuses the YAML"
}
builds "$work/here/my-filter" my-filter
builds "$work/elsewhere/filter" $longest
quietly "$work/make-install.log" make -C "$work/here/my-filter" install "DESTDIR=$work/installed" "INSTALL_MOD_PATH=$work/installed"
[ -n "$(find "$work/installed" -name 'my-filter.ko*')" ] || fail "make install does not install the module"
installed 644 "$(find "$work/installed" -name filterd-my-filter.so)"
echo "created and built for $RELEASE"

exec python3 "$SRC/tests/lab/lab.py" once --kernel "$series" tests/install/new-filter-guest.sh
