#!/bin/bash
# SPDX-License-Identifier: MIT
# Whatever happens to a snapshot, at any moment, under load: storage full, storage failing, one of three of them, storage that never
# answers or lies on what waits for it, the origin failing or removed, destroyed in use, little memory. The application's data is
# verified, the image returns errors and goes, an event says which device and why.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 400
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
mib=16
# The last part of it is nobody's but a loop device's, see below.
null_disk a size=$((mib + 12))
a=$NULL_DISK
for name in one two three; do
    null_disk $name size=32
    declare "$name=$NULL_DISK"
done
rounds=$((SOAK ? 50 : KERNEL_IS_DEBUG ? 1 : 2))

fio_load() { # of the first part, verified as it is read again, and at the end as a whole
    fio_start "--filename=/dev/$a" --size=${mib}m --rw=randwrite --bsrange=4k-256k --bs_unaligned=0 --blockalign=4k --ioengine=io_uring \
        --iodepth=8 --verify=crc32c --verify_backlog=64 --norandommap=0 "$@"
}

snapshots() { # WHAT: one round in Python; what is wanted of it is in its own code below
    python3 - "$1" "/dev/$a" "/dev/${one:?}" "/dev/${two:?}" "/dev/${three:?}" "$RANDOM" << 'END'
import errno, mmap, os, random, struct, subprocess, sys, threading, time
import blksnap
from blkfilter import expect, wait_until
what, device, one, two, three, seed = sys.argv[1:]
chance = random.Random(int(seed))

def take(*storage):
    snapshot = blksnap.Snapshot()
    try:
        blksnap.attach(device)
    except OSError as error:
        if error.errno != errno.EALREADY: raise
    snapshot.add(device)
    for path, *range in storage:
        snapshot.append(path, range)
    snapshot.take()
    return snapshot

def image():
    return os.open("/dev/" + blksnap.info(device)[1], os.O_RDWR)

def corrupted(snapshot, *codes, seconds=60):
    """The event comes, and says what snapshotinfo says; the image returns errors, and goes."""
    end = time.monotonic() + seconds
    while True:
        if time.monotonic() > end:
            sys.exit(f"{what}: no event; {blksnap.info(device)} {snapshot.statistics()}")
        try:
            code, data = snapshot.wait(1000)
        except OSError as error:
            if error.errno != errno.ENOENT: raise
            continue
        if code == blksnap.CORRUPTED:
            break
    major, minor, why = struct.unpack_from("=IIi", data)
    number = os.stat(device).st_rdev
    expect((os.major(number), os.minor(number)), (major, minor), "the device of the event")
    if why not in codes:
        sys.exit(f"{what}: error {why}, not one of {codes}")
    expect(-why, blksnap.info(device)[0], "snapshotinfo")
    fd = image()
    for call in (lambda: os.pread(fd, 4096, 0), lambda: os.pwrite(fd, bytes(4096), 0) and os.fsync(fd)):
        try:
            call()
        except OSError as error:
            expect(errno.EIO, error.errno, "the image")
        else:
            sys.exit(f"{what}: the image still answers")
    os.close(fd)
    snapshot.destroy()

def table(name, line):
    subprocess.check_call(["dmsetup", "suspend", "--nolockfs", "--noflush", name])
    subprocess.run(["dmsetup", "load", name], input=line, text=True, check=True)
    subprocess.check_call(["dmsetup", "resume", name])

time.sleep(chance.random() / 2)
if what == "full":
    corrupted(take((one, 0, 2048 + chance.randrange(4096))), errno.ENOSPC)
elif what == "storage":
    good = chance.randrange(1000) * 8
    table("bad", f"0 {good} linear {three} 0\n{good} {32768 - good} error" if good else "0 32768 error")
    snapshot = take((one, 0, 3000), ("/dev/mapper/bad", 0, 20000), (two, 0, 20000))
    corrupted(snapshot, errno.EIO)
    table("bad", f"0 32768 linear {three} 0")
elif what == "destroy":
    snapshot = take((one, 0, 60000), (two, 0, 60000), (three, 40000, 20000))
    fd = image()
    # Past the page cache, which may have what was read before.
    direct = os.open("/dev/" + blksnap.info(device)[1], os.O_RDONLY | os.O_DIRECT)
    stop = threading.Event()
    def read():
        while not stop.is_set():
            try:
                os.pread(fd, 65536, chance.randrange(100) * 65536)
            except OSError:
                return
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    time.sleep(chance.random())
    snapshot.destroy()
    stop.set()
    for reader in readers:
        reader.join()
    try:
        # As of any disk that was removed: it has no sectors any more.
        if os.preadv(direct, [mmap.mmap(-1, 4096)], 0):
            sys.exit("destroyed, and the image still answers")
    except OSError as error:
        expect(errno.EIO, error.errno, "the image")
    os.close(direct)
    os.close(fd)
elif what == "stuck":
    open("/sys/module/blksnap/parameters/store_timeout", "w").write("2")
    open("/sys/module/blksnap/parameters/chunk_maximum_in_queue", "w").write("8")
    snapshot = take(("/dev/mapper/bad", 0, 32768))
    # Suspended: it takes I/O and never answers.
    subprocess.check_call(["dmsetup", "suspend", "--nolockfs", "--noflush", "bad"])
    code = [None]
    def event():
        while code[0] != blksnap.CORRUPTED:
            try:
                code[0] = snapshot.wait(20000)[0]
            except OSError:
                return
    waiter = threading.Thread(target=event)
    waiter.start()
    waiter.join()
    expect(blksnap.CORRUPTED, code[0], "an event")
    expect(-errno.ETIMEDOUT, blksnap.info(device)[0], "error")
    subprocess.check_call(["dmsetup", "resume", "bad"])
    snapshot.destroy()
    open("/sys/module/blksnap/parameters/store_timeout", "w").write("30")
    open("/sys/module/blksnap/parameters/chunk_maximum_in_queue", "w").write("256")
elif what == "itself":
    # A loop device on the device: the kernel does not tell how they are stacked.
    open("/sys/module/blksnap/parameters/store_timeout", "w").write("2")
    open("/sys/module/blksnap/parameters/chunk_maximum_in_queue", "w").write("4")
    snapshot = take(("/dev/loop0", 0, 20000))
    corrupted(snapshot, errno.ETIMEDOUT, errno.ENOSPC)
    open("/sys/module/blksnap/parameters/store_timeout", "w").write("30")
    open("/sys/module/blksnap/parameters/chunk_maximum_in_queue", "w").write("256")
END
}

dmsetup create bad --table "0 32768 linear /dev/$three 0"
on_exit remove_dm bad
modprobe loop
for what in full storage destroy stuck; do
    echo "--- $what"
    fio_load
    for ((i = 0; i < rounds; i++)); do
        snapshots $what
    done
    fio_end
done

echo "--- itself"
losetup --direct-io=on --offset $((mib << 20)) /dev/loop0 "/dev/$a"
fio_load
snapshots itself
fio_end
losetup --detach /dev/loop0
detach "$a"
