# shellcheck shell=bash
# What tests of redirect share; sourced after tests/vm/lib/blkfilter.sh.

export PYTHONPATH=$SRC/tests/vm/lib

# load_redirect [PARAMETER=VALUE...]: the core and redirect; when the devices are there, on_exit end_redirects, as they are needed until then.
load_redirect() {
    load blkfilter
    # As nobody else writes to the tests' disks.
    echo 0 > /sys/module/blkfilter/parameters/settle_seconds
    on_exit detach_all
    load blkfilter-redirect "$@"
}

redirect() {
    python3 "$SRC/tests/vm/lib/redirect.py" "$@"
}

end_redirects() {
    local device
    for device in $(tool devices | awk 'NR > 1 { print $1 }'); do
        case $(redirect status "$device" state 2> /dev/null) in
        redirected) redirect detach_when_closed "$device" ;;
        running | paused | ready | standby | pending) redirect cancel "$device" ;;
        *) ;;
        esac
    done
}

# end_interposed SOURCE DM...: it is taken out, if it is still in, and the mapped devices go, the uppermost first.
end_interposed() {
    redirect take_out "$1" no-freeze 2> /dev/null || true
    shift
    local name
    for name in "$@"; do
        remove_dm "$name"
    done
}

# same SOURCE TARGET [BYTES]: what is on them, past the page cache.
same() {
    blockdev --flushbufs "/dev/$1" "/dev/$2"
    cmp ${3:+-n "$3"} "/dev/$1" "/dev/$2"
}
