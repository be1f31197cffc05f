#!/bin/bash
# SPDX-License-Identifier: MIT
# Checks that need no guest:  lint.sh kernel|cpp|shell...
#   kernel  checkpatch --strict; builds with W=1 and sparse on both stock kernels, where a warning is an error
#   cpp     clang-format on all C++ and the C beside it, clang-tidy on userspace/ and examples/ (needs build/compile_commands.json)
#   shell   shellcheck on every bash script, the Python files compile
set -uo pipefail
. "$(dirname "$0")/common.sh"
cd "$SRC" || exit 1
status=0

# What git knows or would add, so that a file is checked before its first commit.
files() { # GLOB...
    git ls-files --cached --others --exclude-standard -- "$@" | while read -r file; do [ -f "$file" ] && echo "$file"; done
}

checkpatch() { # prints the path of the script, which is taken out of Debian's kernel source once
    local dir=$CACHE/checkpatch source=/usr/src/linux-source-6.12.tar.xz
    if [ ! "$dir/scripts/checkpatch.pl" -nt "$source" ]; then
        rm -rf "$dir"
        mkdir -p "$dir/include"
        tar -C "$dir" --strip-components=1 -xJmf "$source" linux-source-6.12/scripts/checkpatch.pl \
            linux-source-6.12/scripts/spelling.txt linux-source-6.12/scripts/const_structs.checkpatch
    fi
    echo "$dir/scripts/checkpatch.pl"
}

run_checkpatch() { # SCRIPT IGNORED FILE...
    local script=$1 ignored=$2
    shift 2
    (cd kernel && perl "$script" --no-tree --root="${script%/scripts/*}" --strict --terse --show-types --no-summary \
        --max-line-length=100 --ignore "$ignored" -f "$@")
}

lint_kernel() {
    local script series sources plain traces
    mapfile -t sources < <(files 'kernel/*.[ch]' 'tests/*/module/*.[ch]' 'examples/*/module/*.[ch]' 'templates/*/module/*.[ch]')
    [ "${#sources[@]}" -gt 0 ] || return 0
    script=$(checkpatch)
    # LINUX_VERSION_CODE: out of tree, a version check is how the compat header works.
    # FILE_PATH_CHANGES: asks for MAINTAINERS, which a module out of tree has not.
    # CONFIG_DESCRIPTION: there is no Kconfig.
    # COMPLEX_MACRO, MACRO_ARG_REUSE, MACRO_WITH_FLOW_CONTROL: loops over a structure, and functions that differ by
    #   kernel only in their arguments, cannot be anything but macros.
    # CAMELCASE: _Static_assert is C's own name.
    local ignored=LINUX_VERSION_CODE,FILE_PATH_CHANGES,CONFIG_DESCRIPTION,COMPLEX_MACRO,MACRO_ARG_REUSE
    ignored+=,MACRO_WITH_FLOW_CONTROL,CAMELCASE
    # In kernel/, because checkpatch knows a binary interface (no BIT() there) by a path that begins with include/uapi.
    mapfile -t sources < <(printf '%s\n' "${sources[@]}" | sed 's|^kernel/||; t; s|^|../|')
    mapfile -t plain < <(printf '%s\n' "${sources[@]}" | grep -v '/trace\.h$')
    mapfile -t traces < <(printf '%s\n' "${sources[@]}" | grep '/trace\.h$')
    run_checkpatch "$script" "$ignored" "${plain[@]}" || status=1
    # Trace events are laid out as the kernel's own trace headers are, which checkpatch does not know.
    run_checkpatch "$script" "$ignored,PARENTHESIS_ALIGNMENT,OPEN_ENDED_LINE" "${traces[@]}" || status=1

    [ -e kernel/Makefile ] || return 0
    for series in "${STOCK_KERNELS[@]}"; do
        lint_build "$series" || status=1
    done
}

lint_build() { # SERIES: everything from scratch, so that every warning is seen
    local work=$BUILD/lint/$1 log=$BUILD/lint/$1.log module
    # shellcheck source=/dev/null
    . "$BUILD/lab/headers-$1.env" || return 1
    rm -rf "$work"
    mkdir -p "$work"
    cp -r kernel "$work/kernel"
    find "$work" \( -name '*.o' -o -name '*.ko' -o -name '.*.cmd' \) -delete
    if ! make "-j$JOBS" -C "$work/kernel" "KDIR=$KDIR" W=1 C=2 CF=-D__CHECK_ENDIAN__ > "$log" 2>&1 < /dev/null; then
        tail -n 40 "$log"
        echo "kernel/ does not build on $1"
        return 1
    fi
    for module in tests/*/module examples/*/module; do
        cp -r "$module" "$work/${module//\//-}"
        make "-j$JOBS" -C "$KDIR" M="$work/${module//\//-}" KBUILD_EXTRA_SYMBOLS="$work/kernel/Module.symvers" \
            BLKFILTER_INCLUDE="$work/kernel/include" "KCFLAGS=-I$work/kernel/include" W=1 C=2 modules >> "$log" 2>&1 < /dev/null || {
            tail -n 40 "$log"
            return 1
        }
    done
    python3 tests/lab/tail-calls.py "$work/kernel/blkfilter-core/blkfilter.ko" || return 1
    # In our files only: the headers of a stock kernel are not clean with W=1 and sparse. A path below KDIR is theirs.
    if grep -E '(warning|error):' "$log" | grep -vE '^(/usr/|\./|\.\./|include/|arch/)' | sed "s|^$work/||" | sort -u | grep .; then
        echo "the above on $1"
        return 1
    fi
}

lint_cpp() {
    local sources
    mapfile -t sources < <(files '*.[ch]pp' 'userspace/*.[ch]' 'tests/*.[ch]' | grep -v '^tests/[a-z]*/module/')
    [ "${#sources[@]}" -gt 0 ] || return 0
    clang-format-19 --dry-run -Werror "${sources[@]}" || status=1
    mapfile -t sources < <(printf '%s\n' "${sources[@]}" | grep -E '^(userspace|examples)/.*\.cpp$')
    [ "${#sources[@]}" -gt 0 ] || return 0
    [ -e "$BUILD/compile_commands.json" ] || { echo "no compile_commands.json"; status=1; return; }
    tidy_changed "${sources[@]}" || status=1
}

# clang-tidy takes seconds a file: one that was clean is not looked at again until something that it includes changes.
tidy_changed() { # SOURCE...
    mkdir -p "$CACHE/tidy"
    export BUILD CACHE SRC
    printf '%s\0' "$@" | xargs -0 -n 1 -P "$JOBS" bash tests/lab/tidy.sh
}

lint_shell() {
    local sources
    mapfile -t sources < <({ files '*.sh'; files dev .ci/run; } | sort -u)
    # Followed from the repository's root; SC1090, SC1091: files that only exist in a guest or in the build.
    # SC2119, SC2120: a function may have optional arguments.
    shellcheck --source-path=SCRIPTDIR --source-path="$SRC" --exclude=SC1090,SC1091,SC2119,SC2120 "${sources[@]}" || status=1
    mapfile -t sources < <(files '*.py')
    PYTHONPYCACHEPREFIX=$BUILD/lint/pycache python3 -W error -m py_compile "${sources[@]}" || status=1
}

for part in "$@"; do
    case $part in
    kernel) lint_kernel ;;
    cpp) lint_cpp ;;
    shell) lint_shell ;;
    *) die "no lint '$part'" ;;
    esac
done
exit "$status"
