#!/bin/bash
# SPDX-License-Identifier: MIT
# The origin fails or is removed while it is snapshotted, and there is little memory: the snapshot goes, with an event; what can be
# written is written.
# lab: kernels debug
# lab: soak 6.12 6.1
# lab: timeout 240
# lab: memory 768
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write|sd .*|scsi .*)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
modprobe sd_mod 2> /dev/null || true
null_disk store size=160
store=$NULL_DISK

echo "--- the origin cannot be read where old data is needed"
null_disk a size=16
origin=$NULL_DISK
dmsetup create origin --table "0 16384 linear /dev/$origin 0
16384 8 error
16392 16376 linear /dev/$origin 16392"
on_exit dmsetup remove --retry origin
upper=$(dm_disk origin)
python3 - "/dev/$upper" "/dev/$store" << 'END'
import errno, os, struct, sys
import blksnap
from blkfilter import expect
device, store = sys.argv[1:]
blksnap.attach(device)
snapshot = blksnap.Snapshot()
snapshot.add(device)
snapshot.append(store, (0, 65536))
snapshot.take()
fd = os.open(device, os.O_RDWR | os.O_SYNC)
snapshot.wait(0)
os.pwrite(fd, b"a" * 65536, 0)
expect(0, blksnap.info(device)[0], "error, before it is met")
# In the same chunk, beside it.
os.pwrite(fd, b"b" * 4096, 16392 * 512)
expect(-errno.EIO, blksnap.info(device)[0], "error")
code, data = snapshot.wait(5000)
expect((blksnap.CORRUPTED, errno.EIO), (code, struct.unpack_from("=IIi", data)[2]), "event")
os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
expect(b"b" * 4096, os.pread(fd, 4096, 16392 * 512), "what was written")
snapshot.destroy()
blksnap.attach(device, blksnap.DETACH)
END

echo "--- the origin is removed"
for ((i = 0; i < (SOAK ? 30 : 3); i++)); do
    modprobe scsi_debug dev_size_mb=16 delay=0
    wait_until 20 sh -c "ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/* > /dev/null 2>&1"
    sd=$(basename "$(ls -d /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block/*)")
    wait_until 10 test -b "/dev/$sd"
    (while dd if=/dev/urandom "of=/dev/$sd" bs=64k count=200 oflag=direct conv=nocreat status=none 2> /dev/null; do :; done) &
    writer=$!
    python3 - "/dev/$sd" "/dev/$store" "$sd" << 'END'
import errno, os, random, struct, sys, time
import blksnap
from blkfilter import expect
device, store, name = sys.argv[1:]
blksnap.attach(device)
snapshot = blksnap.Snapshot()
snapshot.add(device)
snapshot.append(store, (0, 65536))
snapshot.take()
image = os.open("/dev/" + blksnap.info(device)[1], os.O_RDONLY)
os.pread(image, 65536, 0)
number = os.stat(device).st_rdev
time.sleep(random.random() / 3)
open(f"/sys/block/{name}/device/delete", "w").write("1")
while True:
    code, data = snapshot.wait(10000)
    if code == blksnap.CORRUPTED:
        break
major, minor, why = struct.unpack_from("=IIi", data)
expect((os.major(number), os.minor(number)), (major, minor), "the device of the event")
if why not in (errno.ENODEV, errno.EIO):
    sys.exit(f"error {why}")
try:
    os.pread(image, 65536, 8 << 20)
    sys.exit("the image of a removed disk still answers")
except OSError as error:
    expect(errno.EIO, error.errno, "the image")
snapshot.destroy()
os.close(image)
END
    wait "$writer" || true
    modprobe -r scsi_debug
done

echo "--- little memory: 4 KiB anywhere, each a copy, and the storage in time"
null_disk big size=96
big=$NULL_DISK
python3 - "/dev/$big" "/dev/$store" << 'END'
import sys
import blksnap
device, store = sys.argv[1:]
blksnap.attach(device)
snapshot = blksnap.Snapshot()
snapshot.add(device)
snapshot.append(store, (65536, (160 << 11) - 65536))
snapshot.take()
END
# What is left of memory is in use, and has to be reclaimed for each page.
tail -c $(($(awk '/MemAvailable/ { print $2 }' /proc/meminfo) * 1024 - (100 << 20))) /dev/zero > /tmp/filler &
filler=$!
on_exit end_process $filler
fio --name=verified --filename="/dev/$big" --rw=randwrite --bs=4k --size=96m --io_size=$((KERNEL_IS_DEBUG ? 4 : 32))m --direct=1 --ioengine=io_uring \
    --iodepth=32 --verify=crc32c --randseed="$SEED" --output-format=terse > /tmp/fio.out || { cat /tmp/fio.out; fail "fio"; }
end_process $filler
rm -f /tmp/filler
python3 - "/dev/$big" << 'END'
import sys
import blksnap
error, name = blksnap.info(sys.argv[1])
if error not in (0, -12, -28):
    sys.exit(f"error {error}")
print("the snapshot:", error or "right to the end")
if not error:
    with open("/dev/" + name, "rb") as file:
        if any(file.read(96 << 20)):
            sys.exit("the image shows what was written later")
blksnap.destroy_all()
END
detach "$big"
