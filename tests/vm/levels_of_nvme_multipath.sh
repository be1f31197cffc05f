#!/bin/bash
# nvme multipath, over two TCP ports of the kernel's own target: every bio once on the multipath device, also those that fail over
# when a path goes away under load (the same struct bio comes again). The paths themselves are hidden and not ours.
# lab: kernels 6.12 6.1
# lab: timeout 240
# lab: allow-dmesg nvme.*(I/O error|I/O Error|rescanning|Removing)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

modprobe nvmet-tcp
modprobe nvme-tcp
ip link set lo up
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

load_filters
null_disk n size=64
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
head=$(basename "$(ls -d /sys/class/nvme-subsystem/nvme-subsys*/nvme*n1)")
wait_until 20 test -b "/dev/$head"
[ "$(cat "/sys/block/$head/hidden")" = 0 ] || fail "$head is no multipath device"
expect 2 "$(find /sys/block/ -name "${head%n1}c*n1" | wc -l)" "paths"

attach "$head" test5 test4 test1,options=take
watch "$head"
fio_start --filename="/dev/$head" --ioengine=libaio --iodepth=16 --rw=randrw --bsrange=4k-64k --size=48m \
    --verify=crc32c --verify_fatal=1 --verify_backlog=64
for round in 1 2 3; do
    for port in 1 2; do
        disconnect "$port"
        sleep 0.5
        connect "$port"
        wait_until 20 live "$port"
        tool point --limit 5000 "$head" "$NULL_DISK"
        echo "round $round: path $port came back"
    done
done
fio_end
saw_all "$head"
