# shellcheck shell=bash
# filterd in a guest, for tests; sourced after tests/vm/lib/blkfilter.sh. The test writes $config before it calls daemon.

folder=/tmp/filterd config=/tmp/filterd/filterd.yaml
mkdir -p $folder

daemon() { # starts it, and waits until it answers
    filterd --config $config --config-folder $folder/conf.d --plugin-folder /job/plugins --runtime-folder $folder/run \
        --state-folder $folder/state 2>> $folder/log &
    filterd=$!
    wait_until 30 filterctl status > /dev/null 2>&1
}

end_filterd() { # whichever it is by then
    end_process "$filterd"
}

kill_filterd() {
    kill -KILL "$filterd"
    wait "$filterd" || true
}

filterctl() {
    command filterctl --socket $folder/run/control.sock "$@"
}

# start_filterctl ARGUMENT...: in the background, as $client; what it says is in $folder/client.
start_filterctl() {
    command filterctl --socket $folder/run/control.sock "$@" > $folder/client 2>&1 &
    # shellcheck disable=SC2034
    client=$!
}

state() { # NAME: of a declared device
    filterctl --json status | jq -r ".devices[] | select(.name == \"$1\") | .state"
}

has_state() { # NAME STATE
    [ "$(state "$1")" = "$2" ]
}

# expect_exit CODE COMMAND...: the command ends so; what it said is in $folder/said.
expect_exit() {
    local wanted=$1 status=0
    shift
    "$@" > $folder/said 2>&1 || status=$?
    [ $status = "$wanted" ] || fail "'$*' ended with $status: $(cat $folder/said)"
}

# said TEXT: by the command that expect_exit has run.
said() {
    grep -qF -- "$1" $folder/said || fail "it does not say '$1' but: $(cat $folder/said)"
}

# is_logged TEXT: by filterd.
is_logged() {
    grep -qF -- "$1" $folder/log
}
