#!/bin/bash
# SPDX-License-Identifier: MIT
# What programs meet rarely: NOWAIT, storage of other block sizes or on what is snapshotted, files that cannot be pinned, very large
# devices, a parameter that is changed, storage that several snapshots share, other trackers that are told of it.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: timeout 200
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/blksnap.sh"

load_blksnap
load blkfilter-cbt
echo 0 > /sys/module/blkfilter/parameters/settle_seconds
null_disk a size=32
a=$NULL_DISK
null_disk b size=32
b=$NULL_DISK
null_disk big size=8388608 memory_backed=0
big=$NULL_DISK
null_disk large_blocks size=32 blocksize=4096
large_blocks=$NULL_DISK
null_disk store size=128
store=$NULL_DISK
dmsetup create over --table "0 32768 linear /dev/$a 0"
on_exit dmsetup remove --retry over
dmsetup create over-b --table "0 32768 linear /dev/$b 0"
on_exit dmsetup remove --retry over-b
modprobe ext4
mkfs.ext4 -q "/dev/$store"
mkdir -p /tmp/files
mount "/dev/$store" /tmp/files
on_exit umount /tmp/files

mkdir -p /tmp/over
umount_over() {
    ! mountpoint -q /tmp/over || umount /tmp/over
}
on_exit umount_over
python3 - "$a" "$b" "$big" "$large_blocks" /tmp/files "$(dm_disk over)" "$(dm_disk over-b)" << 'END'
import errno, mmap, os, subprocess, sys, threading, time
import blksnap
from blkfilter import expect, expect_errno
names = sys.argv[1:]
a, b, big, large = ("/dev/" + name for name in names[:4])
files = names[4]
over, over_b = "/dev/" + names[5], "/dev/" + names[6]
parameters = "/sys/module/blksnap/parameters/"

def new(*devices):
    snapshot = blksnap.Snapshot()
    for device in devices:
        try:
            blksnap.attach(device)
        except OSError as error:
            if error.errno != errno.EALREADY: raise
        snapshot.add(device)
    return snapshot

def storage(name, mib):
    path = f"{files}/{name}"
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, mib << 20)
    return path

print("NOWAIT: again only where a copy is needed")
block = mmap.mmap(-1, 65536)
block.write(b"x" * 65536)
fd = os.open(a, os.O_RDWR | os.O_DIRECT)
snapshot = new(a)
pinned = storage("pinned", 16)
snapshot.append_file(pinned)
snapshot.take()
for offset in (0, 65536 * 7):
    expect_errno(errno.EAGAIN, "a NOWAIT write to a chunk that is not copied", os.pwritev, fd, [block], offset, os.RWF_NOWAIT)
    os.pwritev(fd, [block], offset)
    expect(65536, os.pwritev(fd, [block], offset, os.RWF_NOWAIT), "a NOWAIT write to one that is")
expect(2, snapshot.statistics()["copied"], "chunks copied")

print("a pinned file is nobody else's")
expect_errno(errno.ETXTBSY, "write to it", lambda: open(pinned, "r+b", buffering=0).write(b"x"))
expect_errno(errno.EPERM, "unlink it", os.unlink, pinned)
expect_errno(errno.EBUSY, "pin it twice", snapshot.append_file, pinned)
expect(b"\0" * 4096, open(pinned, "rb").read(4096), "it reads as zeroes")
snapshot.destroy()
os.unlink(pinned)

print("files that cannot be pinned")
snapshot = new(a)
with open(files + "/hole", "wb") as file:
    file.truncate(1 << 20)
with open(files + "/written", "wb") as file:
    file.write(b"secret" * 100000)
with open(files + "/short", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 100)
for name, code in ("hole", errno.EINVAL), ("written", errno.EINVAL), ("short", errno.EINVAL):
    expect_errno(code, f"a file: {name}", snapshot.append_file, f"{files}/{name}")
    os.unlink(f"{files}/{name}")
with open("/dev/shm/file", "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 1 << 20)
expect_errno(errno.EOPNOTSUPP, "a file of tmpfs", snapshot.append_file, "/dev/shm/file")
expect_errno(errno.EBADF, "a file that cannot be written", snapshot.append_file, storage("ro", 1), os.O_RDONLY)
expect_errno(errno.EINVAL, "a character device", snapshot.append_file, "/dev/zero")
expect_errno(errno.EBUSY, "a mounted device", snapshot.append_file, subprocess.check_output(["findmnt", "-no", "SOURCE", files], text=True).strip())
os.unlink(files + "/ro")

print("storage that does not fit")
expect_errno(errno.ENOTBLK, "larger blocks than the device's", snapshot.append, large, (0, 8192))
expect_errno(errno.ELOOP, "on the device by way of another one", snapshot.append, over, (0, 8192))
snapshot.destroy()
snapshot = new(large)
snapshot.append(b, (0, 32768))
expect_errno(errno.EINVAL, "not of whole blocks", snapshot.append, large, (1, 8))
snapshot.take()
with open(large, "r+b", buffering=0) as file:
    file.write(b"y" * 8192)
with open("/dev/" + blksnap.info(large)[1], "rb") as file:
    expect(b"\0" * 8192, file.read(8192), "the image of a disk with blocks of 4096, stored on one of 512")
expect_errno(errno.ELOOP, "an image as storage", lambda: new(a).append("/dev/" + blksnap.info(large)[1], (0, 8192)))
blksnap.destroy_all()

print("storing that would make more to be stored, without end")
two = new(b)
two.append(over, (0, 8192))
one = new(a)
expect_errno(errno.ELOOP, "on the device of a snapshot that is stored on this one's", one.append, over_b, (0, 8192))
one.append_file(storage("plain", 4))
one.destroy()
os.unlink(files + "/plain")
one = blksnap.Snapshot()
one.append(over_b, (0, 8192))
expect_errno(errno.ELOOP, "a device that its storage leads to", one.add, a)
two.destroy()
one.add(a)
blksnap.destroy_all()

print("a take that waits for a device to settle keeps nobody")
for device in a, b:
    blksnap.attach(device, blksnap.DETACH)
settle = "/sys/module/blkfilter/parameters/settle_seconds"
open(settle, "w").write("4")
one, two = new(a), new(b)
for snapshot, name in (one, "one"), (two, "two"):
    snapshot.append_file(storage(name, 4))
def ended():
    try:
        two.take()
    except OSError as error:
        expect(errno.ESRCH, error.errno, "a take whose snapshot is destroyed")
takes = [threading.Thread(target=one.take), threading.Thread(target=ended)]
for take in takes:
    take.start()
time.sleep(0.5)
expect((0, 1), (one.statistics()["state"], one.statistics()["devices"]), "meanwhile: state and devices")
expect_errno(errno.EALREADY, "a second take", one.take)
two.destroy()
expect(True, takes[0].is_alive(), "the take still waits")
for take in takes:
    take.join()
expect(1, one.statistics()["state"], "it is taken")
one.destroy()
for name in "one", "two":
    os.unlink(f"{files}/{name}")
open(settle, "w").write("0")

print("what lies above is frozen, too, when asked for")
subprocess.check_call(["mkfs.ext4", "-q", over])
subprocess.check_call(["mount", over, "/tmp/over"])
for above in (), (names[5],):
    with open("/tmp/over/unsynced", "w") as file:
        file.write("here" if above else "there")
    snapshot = new(a)
    snapshot.append(b, (0, 65536))
    snapshot.take(above)
    image = "/dev/" + blksnap.info(a)[1]
    said = subprocess.run(["dumpe2fs", "-h", image], capture_output=True, text=True).stdout
    expect(not above, "needs_recovery" in said, f"the file system is in use in the image, frozen: {above}")
    if above:
        expect("here", subprocess.check_output(["debugfs", "-R", "cat /unsynced", image], text=True), "what was not written yet")
    snapshot.destroy()
snapshot = new(a)
expect_errno(errno.ENXIO, "a device that there is not", snapshot.take, identities=[(1, 255, 1)])
expect_errno(errno.ENODEV, "the snapshot's own", blksnap.Snapshot().take, (names[5],))
with open("/tmp/over/unsynced", "w") as file:
    os.fsync(file.fileno())
blksnap.destroy_all()
subprocess.check_call(["umount", "/tmp/over"])

print("storage on the device itself: neither copied nor tracked, zeroes in the image; others are told")
other = "cbt-only"
subprocess.check_call(["blkfilter-tool", "attach", names[0], other])
subprocess.check_call(["blkfilter-tool", "cbt", "checkpoint", names[0], "before"])
with open(a, "r+b", buffering=0) as file:
    file.write(b"o" * (32 << 20))
    os.fsync(file.fileno())
snapshot = new(a)
snapshot.append(a, (16384 * 2 + 3, 8192), (50000, 10000))
snapshot.take()
before = blksnap.cbt_info(a)[4]
subprocess.check_call(["blkfilter-tool", "cbt", "checkpoint", names[0], "taken"])
block.seek(0)
block.write(b"n" * 65536)
for chunk in range(60):
    os.pwritev(fd, [block], chunk * 65536)
image = open("/dev/" + blksnap.info(a)[1], "rb").read()
expect(0, blksnap.info(a)[0], "error")
for begin, end, byte, what in (
    (0, (16384 * 2 + 3) * 512, b"o", "before the storage"),
    ((16384 * 2 + 3) * 512, (16384 * 2 + 3 + 8192) * 512, b"\0", "storage"),
    ((16384 * 2 + 3 + 8192) * 512, 50000 * 512, b"o", "between"),
    (50000 * 512, 60000 * 512, b"\0", "more storage"),
    (60000 * 512, 65536 * 512, b"o", "behind it"),
):
    expect(set(byte), set(image[begin:end]), f"the image: {what}")
expect(60, snapshot.statistics()["copied"], "chunks copied: none for what was stored")
snapshot.destroy()
snapshot = new(a)
snapshot.append(b, (0, 65536))
snapshot.take()
changed = [i for i, number in enumerate(blksnap.cbt_map(a)) if number > before]
expect(list(range(60)), changed, "blocks in the map: what was written, and nothing of the storage")
told = subprocess.check_output(["blkfilter-tool", "cbt", "extents", names[0], "taken"], text=True)
sectors = set()
for line in told.splitlines()[1:]:
    start, length = (int(word) for word in line.split()[:2])
    sectors.update(range(start // 128, (start + length) // 128))
expect(set(), set(range((16384 * 2 + 3) // 128, (16384 * 2 + 3 + 8191) // 128 + 1)) - sectors, "blocks that the other tracker was not told of")
snapshot.destroy()
subprocess.check_call(["blkfilter-tool", "detach", names[0], other])

print("writes to an image that finds the storage full fail alone")
snapshot = new(a)
snapshot.append(b, (0, 2 * 128))
snapshot.take()
image = os.open("/dev/" + blksnap.info(a)[1], os.O_RDWR | os.O_DIRECT)
old = os.preadv(image, [block], 2 * 65536) and bytes(block)
block.seek(0)
block.write(b"i" * 65536)
os.pwritev(image, [block], 0)
os.pwritev(image, [memoryview(block)[:4096]], 65536 + 8192)
for part in block, memoryview(block)[:4096]:
    expect_errno(errno.ENOSPC, f"{len(part)} bytes", os.pwritev, image, [part], 2 * 65536)
expect((0, 2), (blksnap.info(a)[0], snapshot.statistics()["copied"]), "error, and chunks copied")
os.preadv(image, [block], 2 * 65536)
expect(old, bytes(block), "what could not be written")
os.pwritev(fd, [block], 5 * 65536)
expect(-errno.ENOSPC, blksnap.info(a)[0], "error after a write to the device")
os.close(image)
snapshot.destroy()

print("very large devices")
snapshot = new(big)
capacity, size, count, _, _ = blksnap.cbt_info(big)
expect((8 << 40, 4 << 20, 2097152), (capacity, size, count), "capacity, block and blocks of 8 TiB")
snapshot.append(b, (0, 65536))
snapshot.take()
expect(128, snapshot.statistics()["chunk_sectors"], "sectors of a chunk")
far = os.open(big, os.O_RDWR | os.O_DIRECT)
os.pwritev(far, [block], (8 << 40) - 65536)
expect(1, snapshot.statistics()["copied"], "chunks copied at the very end")
snapshot.destroy()
open(parameters + "chunk_maximum_count_shift", "w").write("20")
snapshot = new(big)
snapshot.append(b, (0, 65536))
snapshot.take()
expect(16384, snapshot.statistics()["chunk_sectors"], "sectors of a chunk, when there may be 2^20")
snapshot.destroy()
open(parameters + "chunk_maximum_count_shift", "w").write("40")
os.close(far)

print("one storage for several devices and snapshots")
one, two = new(a), new(b)
one.append_file(storage("one", 8))
two.append_file(storage("two", 8))
one.take()
two.take()
expect(2, len(blksnap.collect()), "snapshots")
os.pwritev(fd, [block], 0)
two.destroy()
expect((0, 1), (blksnap.info(a)[0], one.statistics()["copied"]), "the other one goes on")
one.destroy()
for name in "one", "two":
    os.unlink(f"{files}/{name}")
END
for device in "$a" "$b" "$big" "$large_blocks"; do
    detach "$device"
done
