#!/bin/bash
# SPDX-License-Identifier: MIT
# The benchmark:  bench.sh [--check] [--kernel 6.1|6.12] [--short] [--no-clock] [--json FILE] [--compare FILE]
#
#   --check         exit 1 when a row of the table of instructions is over its budget (tests/bench/budgets.json)
#   --kernel K      on this kernel (default 6.12)
#   --short         fewer reads and writes, and only what is counted in instructions: for a first look
#   --no-clock      only what is counted in instructions
#   --json FILE     where the result is kept (default: build/bench/KERNEL.json)
#   --compare FILE  beside a result that was kept earlier
#
# Everything is built before (./dev bench does it). What is by the clock is printed, never judged.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"

kernel=6.12 ios=5000 clock=1 judge=()
json=
while [ $# -gt 0 ]; do
    case $1 in
    --check) judge+=(--check) ;;
    --short) ios=1000 clock='' ;;
    --no-clock) clock='' ;;
    --kernel) kernel=${2:?--kernel needs a value} && shift ;;
    --json) json=${2:?--json needs a file} && shift ;;
    --compare) judge+=(--compare "${2:?--compare needs a file}") && shift ;;
    *) die "bench has no option '$1'" ;;
    esac
    shift
done
json=${json:-$BUILD/bench/$kernel.json}
mkdir -p "$BUILD/bench" "$(dirname "$json")"
rows=$BUILD/bench/$kernel.rows
lab=(python3 "$SRC/tests/lab/lab.py" once --kernel "$kernel")

# Rows as they come, for whoever waits; a guest that failed is shown whole.
run() { # LOG COMMAND...
    local log=$1
    shift
    if ! "$@" > >(tee "$log" | grep --line-buffered -E '^(row|clock) ' >&2); then
        cat "$log"
        die "the benchmark's guest failed"
    fi
}

step "counting instructions on $kernel, $ios reads or writes a row"
run "$rows" "${lab[@]}" --icount --append "init_on_alloc=0 bench.ios=$ios" tests/bench/instructions.sh
: > "$rows.clocks"
if [ "$clock" ]; then
    step "by the clock on $kernel"
    for script in clock clock-snapshots clock-redirect; do
        run "$rows.$script" "${lab[@]}" "tests/bench/$script.sh"
        cat "$rows.$script" >> "$rows.clocks"
    done
fi
[ ! -x "$BUILD/bin/bench-stacks" ] || "$BUILD/bin/bench-stacks"
python3 "$SRC/tests/bench/report.py" --kernel "$kernel" --ios "$ios" --json "$json" "${judge[@]}" "$rows" "$rows.clocks"
