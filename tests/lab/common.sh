# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by ./dev and the lab's scripts: where things are, and one line a step.

SRC=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BLKFILTER_BUILD:-$SRC/build}
CACHE=${BLKFILTER_CACHE:-/var/cache/blkfilter}
export BLKFILTER_BUILD=$BUILD BLKFILTER_CACHE=$CACHE
JOBS=$(nproc)
export JOBS
# shellcheck disable=SC2034 # used where this is sourced
STOCK_KERNELS=(6.1 6.12)
# sbin is not in everyone's PATH.
PATH=$PATH:/usr/sbin:/sbin

# Seconds since the first of our scripts began, over all that it calls.
export LAB_BEGAN=${LAB_BEGAN:-$EPOCHSECONDS}

step() { # MESSAGE: what is being done now
    printf 'dev: [%4d s] %s\n' $((EPOCHSECONDS - LAB_BEGAN)) "$*" >&2
}

die() {
    printf 'dev: %s\n' "$*" >&2
    exit 1
}

# quietly LOG COMMAND...: the command's output goes to a file; shown only if it fails.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    if ! "$@" > "$log" 2>&1 < /dev/null; then
        tail -n 60 "$log" >&2
        printf 'dev: failed: %s\n     (all of it: %s)\n' "$*" "$log" >&2
        return 1
    fi
}

# with_lock NAME COMMAND...: one at a time, over all builds on this machine.
with_lock() {
    local name=$1
    shift
    mkdir -p "$CACHE"
    (
        flock 9
        "$@"
    ) 9> "$CACHE/lock-$name"
}
