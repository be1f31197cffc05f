# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced after common.sh: installs Debian packages, only those that are missing.

export DEBIAN_FRONTEND=noninteractive

install_group() { # GROUP...: of tests/lab/packages
    local group packages=()
    for group in "$@"; do
        mapfile -t -O "${#packages[@]}" packages < <(
            awk -v group="$group" '$1 == group { for (i = 2; i <= NF; i++) print $i }' "$SRC/tests/lab/packages")
    done
    install_packages "${packages[@]}"
}

missing_packages() { # PACKAGE...: prints those that are not installed
    local package installed
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^installed //p' | sort -u)
    for package in "$@"; do
        printf '%s\n' "$package"
    done | sort -u | comm -23 - <(echo "$installed")
}

install_packages() { # PACKAGE...
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    step "installing ${#missing[@]} packages: $(cut -c 1-80 <<< "${missing[*]}")"
    [ "$(id -u)" = 0 ] || die "not root, so cannot install: ${missing[*]}"
    fresh_lists
    quietly "$BUILD/lab/apt.log" apt_get install "${missing[@]}" && return
    # The archive may have dropped a version since the lists were fetched.
    update_lists
    quietly "$BUILD/lab/apt.log" apt_get install "${missing[@]}"
}

apt_get() { # VERB ARGUMENT...: without questions, services started, or recommendations
    local policy=
    # A package's service must not start on the host because a guest needs its tools.
    if [ "$1" = install ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod +x $policy
    fi
    local status=0
    apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@" || status=$?
    [ -z "$policy" ] || rm -f $policy
    return $status
}

update_lists() {
    step "fetching the archive's package lists"
    # A failing third-party source is not ours to complain about.
    quietly "$BUILD/lab/apt-update.log" apt_get update || true
}

fresh_lists() { # fetches the lists if there are none, or old ones
    find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mtime -3 2> /dev/null | grep -q . || update_lists
}
