# SPDX-License-Identifier: MIT
"""The program of snapshots_stored_through_file_systems.sh: DISK and what btrfs is on, mounted at /tmp/files."""

import errno
import os
import sys

import blksnap
from blkfilter import expect, expect_errno, wait_until

MIB = 1 << 20
disk, other = sys.argv[1:]


def file(name: str, mib: int, mode: int = 0o600, allocated: bool = True) -> str:
    path = f"/tmp/files/{name}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
    os.fchmod(fd, mode)
    if allocated:
        os.posix_fallocate(fd, 0, mib * MIB)
    os.ftruncate(fd, mib * MIB)
    os.close(fd)
    return path


def write(what: str, offset: int, data: bytes) -> None:
    fd = os.open(what, os.O_WRONLY)
    os.pwrite(fd, data, offset)
    os.fsync(fd)
    os.close(fd)


def read(what: str) -> bytes:
    with open(what, "rb", buffering=0) as opened:
        return opened.read()


def snapshot_of(device: str, path: str) -> blksnap.Snapshot:
    snapshot = blksnap.Snapshot()
    snapshot.add(device)
    snapshot.append_file(path, direct=True)
    return snapshot


blksnap.attach(disk)

# What is refused, and leaves the snapshot as it was.
snapshot = blksnap.Snapshot()
snapshot.add(disk)
readable = file("readable", 1, 0o640)
expect_errno(errno.EACCES, "others may read it", snapshot.append_file, readable, direct=True)
os.chmod(readable, 0o600)
os.chown(readable, 1000, 0)
expect_errno(errno.EACCES, "another's", snapshot.append_file, readable, direct=True)
expect_errno(errno.EBADF, "read only", snapshot.append_file, readable, os.O_RDONLY, direct=True)
expect_errno(errno.EINVAL, "a block device", snapshot.append_file, other, direct=True)
expect_errno(errno.EINVAL, "empty", snapshot.append_file, file("empty", 0, allocated=False), direct=True)
good = file("good", 16)
snapshot.append_file(good, direct=True)
expect_errno(errno.EEXIST, "twice", snapshot.append_file, good, direct=True)
expect(16 * MIB // 512, snapshot.statistics()["storage_sectors"], "only what was not refused")
# A device that the file is on, before and after.
blksnap.attach(other)
expect_errno(errno.ELOOP, "a device that holds its storage", snapshot.add, other)
second = blksnap.Snapshot()
second.add(other)
expect_errno(errno.ELOOP, "storage on its device", second.append_file, file("on-it", 1), direct=True)
second.destroy()
blksnap.attach(other, blksnap.DETACH)

# It shows the instant, whatever is written to the device and to the image; the file belongs to nobody afterwards.
old = os.urandom(8 * MIB)
write(disk, 0, old)
snapshot.take()
image = "/dev/" + blksnap.info(disk)[1]
write(disk, 0, os.urandom(8 * MIB))
expect(True, read(image) == old, "the image")
mine = bytearray(old)
for offset, length in ((4096, 512), (MIB, 3 * MIB), (5 * MIB + 512, 200 * 512)):
    mine[offset : offset + length] = data = os.urandom(length)
    write(image, offset, data)
expect(True, read(image) == mine, "the image after it was written to")
snapshot.destroy()
os.unlink(good)

# A file that becomes shorter, a file system that is full: the snapshot goes, the device's data does not.
for what, path, code in (("shorter", file("shorter", 16), errno.EIO), ("full", file("full", 4096, allocated=False), errno.ENOSPC)):
    if what == "full":
        filler = file("filler", 1)
        with open(filler, "ab", buffering=0) as opened:
            try:
                while True:
                    opened.write(os.urandom(MIB))
            except OSError as error:
                expect(errno.ENOSPC, error.errno, "filling it")
        os.sync()
    snapshot = snapshot_of(disk, path)
    snapshot.take()
    image = "/dev/" + blksnap.info(disk)[1]
    new = os.urandom(8 * MIB)
    begun = 7 * MIB if what == "shorter" else len(new)
    write(disk, 0, new[:begun])
    if what == "shorter":
        wait_until("all is stored", lambda: snapshot.statistics()["in_flight"] == 0)
        os.truncate(path, MIB)
        expect_errno(errno.EIO, "a stored chunk that is gone", read, image)
        # Longer again does not bring back what was there.
        os.truncate(path, 16 * MIB)
        expect_errno(errno.EIO, "a stored chunk that was gone", read, image)
        # A read that fails says nothing about what is written: the image stays, until something is to be stored.
        expect(0, blksnap.info(disk)[0], f"{what}: the device's answer to reads only")
        write(disk, begun, new[begun:])
    while True:
        event, data = snapshot.wait(20000)
        if event == blksnap.CORRUPTED:
            break
    expect(code, int.from_bytes(data[8:12], "little"), f"{what}: why")
    expect(-code, blksnap.info(disk)[0], f"{what}: the device's answer")
    expect_errno(errno.EIO, f"{what}: reading the image", read, image)
    expect(True, read(disk) == new, f"{what}: the device")
    snapshot.destroy()
    os.unlink(path)
