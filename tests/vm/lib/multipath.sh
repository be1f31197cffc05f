# shellcheck shell=bash
# nvme multipath over two TCP ports of the kernel's own target: multipath_up, then HEAD, and connect and disconnect of its paths.

target=/sys/kernel/config/nvmet nqn=blkfilter-test
subsystem=$target/subsystems/$nqn

# connect PATH: a controller on the port of that number.
connect() {
    echo "transport=tcp,traddr=127.0.0.1,trsvcid=442$1,nqn=$nqn,hostnqn=$nqn-host,hostid=9e5c2b80-0f5b-4a49-9a3c-5a0d0b3a6f11" > /dev/nvme-fabrics
}

# controllers: those that are connected.
controllers() {
    grep -lx "$nqn" /sys/class/nvme/nvme*/subsysnqn 2> /dev/null | xargs -r -n 1 dirname
}

# live PATH: its controller is there and usable.
live() {
    local controller
    for controller in $(controllers); do
        if grep -qx "traddr=127.0.0.1,trsvcid=442$1.*" "$controller/address" && grep -qx live "$controller/state"; then
            return
        fi
    done
    return 1
}

# disconnect PATH
disconnect() {
    local controller
    for controller in $(controllers); do
        ! grep -qx "traddr=127.0.0.1,trsvcid=442$1.*" "$controller/address" || echo 1 > "$controller/delete_controller"
    done
}

take_target_down() {
    disconnect 1
    disconnect 2
    local port
    for port in 1 2; do
        rm -f "$target/ports/$port/subsystems/$nqn"
        rmdir "$target/ports/$port"
    done
    echo 0 > "$subsystem/namespaces/1/enable"
    rmdir "$subsystem/namespaces/1" "$subsystem"
}

# multipath_up: $NULL_DISK by two paths, as $HEAD.
multipath_up() {
    local port
    modprobe nvmet-tcp
    modprobe nvme-tcp
    ip link set lo up
    mkdir "$subsystem" "$subsystem/namespaces/1"
    on_exit take_target_down
    echo 1 > "$subsystem/attr_allow_any_host"
    echo "/dev/$NULL_DISK" > "$subsystem/namespaces/1/device_path"
    echo 1 > "$subsystem/namespaces/1/enable"
    for port in 1 2; do
        mkdir "$target/ports/$port"
        echo tcp > "$target/ports/$port/addr_trtype"
        echo ipv4 > "$target/ports/$port/addr_adrfam"
        echo 127.0.0.1 > "$target/ports/$port/addr_traddr"
        echo "442$port" > "$target/ports/$port/addr_trsvcid"
        ln -s "$subsystem" "$target/ports/$port/subsystems/$nqn"
        connect "$port"
        wait_until 20 live "$port"
    done
    wait_until 20 ls /sys/class/nvme-subsystem/nvme-subsys*/nvme*n1 > /dev/null
    HEAD=$(basename "$(ls -d /sys/class/nvme-subsystem/nvme-subsys*/nvme*n1)")
    wait_until 20 test -b "/dev/$HEAD"
    [ "$(cat "/sys/block/$HEAD/hidden")" = 0 ] || fail "$HEAD is no multipath device"
    expect 2 "$(find /sys/block/ -name "${HEAD%n1}c*n1" | wc -l)" "paths"
}

# fail_over PATH: it goes away and comes back.
fail_over() {
    disconnect "$1"
    sleep 0.5
    connect "$1"
    wait_until 20 live "$1"
}
