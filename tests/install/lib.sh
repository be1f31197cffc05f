# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the tests of the installation share; sourced after tests/lab/common.sh.

fail() {
    echo "$*" >&2
    exit 1
}

# fresh FOLDER: a new, empty folder.
fresh() {
    rm -rf "$1"
    mkdir -p "$1"
}

# kernel_sources FOLDER: kernel/ as somebody gets it, without what a build left.
kernel_sources() {
    rm -rf "$1"
    cp -r "$SRC/kernel" "$1"
    find "$1" \( -name '*.o' -o -name '*.ko' -o -name '*.mod*' -o -name '.*.cmd' -o -name Module.symvers \) -delete
}

# installed MODE PATH...: each is a file with these rights.
installed() {
    local mode=$1 file
    shift
    for file in "$@"; do
        [ -f "$file" ] || fail "$file was not installed"
        [ "$(stat -L -c %a "$file")" = "$mode" ] || fail "$file has the rights $(stat -L -c %a "$file"), not $mode"
    done
}

# only_these ROOT GLOB...: every file below ROOT matches one of the globs (which are relative to it).
only_these() {
    local root=$1 file pattern
    shift
    while read -r file; do
        for pattern in "$@"; do
            # shellcheck disable=SC2053 # it is a glob
            [[ $file != $pattern ]] || continue 2
        done
        fail "$file was installed too"
    done < <(cd "$root" && find . -not -type d -printf '%P\n')
}
