#!/bin/bash
# SPDX-License-Identifier: MIT
# Shows that the tests can fail:  faults.sh [FAULT...]
#
# tests/faults.list has a line for each planted fault: FAULT KERNEL TEST [TEST...]. For each, the modules are built
# with it, the named tests run on that kernel, and at least one must fail. Without arguments: all faults.
set -uo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/install.sh"
list=$SRC/tests/faults.list
passed=0 failed=()

lines() { # the list without comments, reduced to the faults that were asked for
    local fault rest
    sed 's/#.*//; /^[[:space:]]*$/d' "$list" | while read -r fault rest; do
        if [ $# -eq 0 ] || [[ " $* " == *" $fault "* ]]; then
            echo "$fault $rest"
        fi
    done
}

try() { # FAULT KERNEL TEST...: prints the verdict
    local fault=$1 kernel=$2 test log
    shift 2
    if ! FAULT=$fault "$SRC/tests/lab/build-modules.sh" "$kernel"; then
        echo "fault $fault: NOT PLANTED, it does not build"
        return 1
    fi
    for test in "$@"; do
        log=$BUILD/lab/fault-$fault-$test.log
        python3 "$SRC/tests/lab/lab.py" guest stop --kernel "$kernel"
        python3 "$SRC/tests/lab/lab.py" run --kernel "$kernel" --modules "$kernel-fault-$fault" "$test" > "$log" 2>&1
        # The test itself must have said so: a guest that does not boot, or a test that does not exist, catches nothing.
        if grep -q "^FAILED $test " "$log"; then
            echo "fault $fault: caught by $test ($(sed -n '/^FAILED/{n;s/^ *//p;q}' "$log" | cut -c 1-100))"
            return 0
        fi
    done
    echo "fault $fault: NOT CAUGHT by $*"
    return 1
}

[ -e "$list" ] || die "there is no tests/faults.list"
mapfile -t faults < <(lines "$@")
[ "${#faults[@]}" -gt 0 ] || die "no such fault in tests/faults.list: $*"
install_group build vm guest
mapfile -t kernels < <(printf '%s\n' "${faults[@]}" | awk '{ print $2 }' | sort -u)
"$SRC/tests/lab/kernels.sh" "${kernels[@]}" || exit 1
for kernel in "${kernels[@]}"; do
    "$SRC/tests/lab/build-modules.sh" "$kernel" || exit 1
done
cmake -S "$SRC" -B "$BUILD" -G Ninja > "$BUILD/lab/cmake.log" 2>&1 && quietly "$BUILD/lab/ninja.log" ninja -C "$BUILD" || exit 1
for line in "${faults[@]}"; do
    read -ra words <<< "$line"
    if try "${words[@]}"; then
        passed=$((passed + 1))
    else
        failed+=("${words[0]}")
    fi
done
python3 "$SRC/tests/lab/lab.py" guest stop
[ "${#failed[@]}" = 0 ] || echo "not caught: ${failed[*]}"
echo "$passed passed, ${#failed[@]} failed"
[ "${#failed[@]}" = 0 ]
