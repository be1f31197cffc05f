# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion of filterctl: it says itself what may come next.

_filterctl() {
    mapfile -t COMPREPLY < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null)
}
complete -o default -F _filterctl filterctl
