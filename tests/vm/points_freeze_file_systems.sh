#!/bin/bash
# A point with a mounted, written file system that is frozen for it; the caller is killed at random moments: the file system
# is never left frozen and no gate closed.
# lab: kernels debug 6.12 6.1
# lab: timeout 300
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
modprobe ext4 || true
null_disk fs size=128 irqmode=2 completion_nsec=2000000
disk=$NULL_DISK
partition "$disk" 100
part=$(basename "$(node_of "$disk" 1)")
mkfs.ext4 -q "/dev/$part"
mkdir -p /tmp/mnt
mount "/dev/$part" /tmp/mnt
on_exit umount /tmp/mnt
attach "$disk" test5,options=hold=10
attach "$part" test3,options=take
expect 1 "$(seen "$disk" test5 settled)" "settled, as the file system was frozen for the attach"

(while :; do
    dd if=/dev/zero of=/tmp/mnt/file bs=64k count=8 conv=fsync,notrunc status=none
done) &
writer=$!
on_exit end_process $writer

tool point --freeze "$part" "$part"
tool point --freeze "$part" "$disk"
expect 0 "$(seen "$disk" test5 moved_during_hold)" "writes that moved during the instant"

prepared_is_done() {
    [ "$(seen "$disk" test5 prepared)" = "$(seen "$disk" test5 "done")" ]
}

kills=$((SOAK ? 1000 : KERNEL_IS_DEBUG ? 15 : 30))
for ((i = 0; i < kills; i++)); do
    tool point --freeze "$part" "$disk" > /dev/null 2>&1 &
    caller=$!
    sleep "0.0$((RANDOM % 60))"
    kill -KILL $caller 2> /dev/null || true
    wait $caller 2> /dev/null || true
    # Both would hang for ever otherwise.
    timeout 20 touch /tmp/mnt/alive || fail "the file system is frozen after kill $i"
    timeout 20 dd if=/dev/zero of=/tmp/mnt/direct bs=4k count=1 oflag=direct status=none || fail "a gate is closed after kill $i"
done
end_process $writer
sync -f /tmp/mnt
# The last one may still be at it: its caller is dead, not the point.
wait_until 10 prepared_is_done
