# SPDX-License-Identifier: MIT
"""blksnap's interface for tests that are written in Python: thin, so that it hides nothing of what the kernel does.

As a program:  blksnap.py destroy-all
               blksnap.py take DEVICE STORAGE SECTORS      prints the image
               blksnap.py is-stored                        no chunk of any snapshot is in memory
"""

import ctypes
import fcntl
import os
import struct
import sys
from collections.abc import Iterable

from blkfilter import identity

TYPE = ord("V")
CONTROL = "/dev/blksnap-control"
CBTINFO, CBTMAP, CBTDIRTY, SNAPSHOTADD, SNAPSHOTINFO = range(5)
LOW_FREE_SPACE, CORRUPTED = range(2)
ATTACH, DETACH, CTL = 0xC020128C, 0xC020128D, 0xC030128E


def number(nr: int, size: int, direction: int = 1) -> int:
    """direction: 1 as _IOW, 2 as _IOR, 3 both."""
    return direction << 30 | size << 16 | TYPE << 8 | nr


def control(nr: int, data: bytearray, direction: int = 1) -> None:
    """One ioctl of /dev/blksnap-control; the answer is in data."""
    fd = os.open(CONTROL, os.O_RDWR)
    try:
        fcntl.ioctl(fd, number(nr, len(data), direction), data)
    finally:
        os.close(fd)


def on_device(device: str, command: int, data: bytearray) -> None:
    """One ioctl of a block device."""
    fd = os.open(device, os.O_RDONLY)
    try:
        fcntl.ioctl(fd, command, data)
    finally:
        os.close(fd)


def attach(device: str, command: int = ATTACH) -> None:
    on_device(device, command, bytearray(b"blksnap".ljust(32, b"\0")))


def ctl(device: str, command: int, data: bytearray) -> None:
    """A command to the filter; the answer is in data."""
    buffer = (ctypes.c_char * len(data)).from_buffer(data)
    argument = bytearray(b"blksnap".ljust(32, b"\0") + struct.pack("=IIQ", command, len(data), ctypes.addressof(buffer)))
    on_device(device, CTL, argument)


class Snapshot:
    """One snapshot, a new one unless an id is given; it is not destroyed by itself."""

    def __init__(self, ident: bytes | None = None) -> None:
        if ident is None:
            fresh = bytearray(16)
            control(1, fresh)
            ident = bytes(fresh)
        self.id = ident

    def add(self, device: str) -> None:
        ctl(device, SNAPSHOTADD, bytearray(self.id))

    def append(self, path: str, *ranges: tuple[int, int]) -> None:
        """Ranges: first sector and sectors."""
        data = ctypes.create_string_buffer(b"".join(struct.pack("=QQ", *r) for r in ranges))
        name = ctypes.create_string_buffer(path.encode())
        control(
            3,
            bytearray(
                self.id
                + struct.pack("=QIIQ", ctypes.addressof(name), len(path) + 1, len(ranges), ctypes.addressof(data))
            ),
        )

    def append_file(self, path: str, flags: int = os.O_RDWR, direct: bool = False) -> None:
        fd = os.open(path, flags)
        try:
            control(32, bytearray(struct.pack("=II16siI", 32, int(direct), self.id, fd, 0)))
        finally:
            os.close(fd)

    def take(self, above: Iterable[str] = (), identities: Iterable[tuple[int, int, int]] = ()) -> None:
        """Above: names of devices that are frozen before the snapshot's own; or what they are."""
        wanted = [*(identity(name) for name in above), *identities]
        if not wanted:
            return control(4, bytearray(self.id))
        data = ctypes.create_string_buffer(b"".join(struct.pack("=IIQ", *one) for one in wanted))
        return control(34, bytearray(struct.pack("=II16sQII", 40, 0, self.id, ctypes.addressof(data), len(wanted), 0)))

    def destroy(self) -> None:
        control(2, bytearray(self.id))

    def wait(self, timeout_ms: int) -> tuple[int, bytes]:
        """Code and data of the next event."""
        data = bytearray(self.id + struct.pack("=II", timeout_ms, 0) + bytes(8) + bytes(4064))
        control(6, data)
        return struct.unpack_from("=I", data, 20)[0], bytes(data[32:64])

    def statistics(self) -> dict[str, int]:
        data = bytearray(struct.pack("=II16s", 88, 0, self.id) + bytes(64))
        control(33, data, 3)
        names = "state chunk_sectors devices storage_sectors used_sectors copied in_flight index_bytes waited closed_ns".split()
        values = [struct.unpack_from("=I", data, 4)[0], *struct.unpack_from("=II7Q", data, 24)]
        return dict(zip(names, values, strict=True))


def collect() -> list[bytes]:
    data = bytearray(16)
    control(5, data)
    count = struct.unpack_from("=I", data)[0]
    room = (ctypes.c_char * (16 * count or 1))()
    data = bytearray(struct.pack("=IIQ", count, 0, ctypes.addressof(room)))
    control(5, data)
    count = struct.unpack_from("=I", data)[0]
    return [bytes(room)[i * 16 : i * 16 + 16] for i in range(count)]


def info(device: str) -> tuple[int, str]:
    """Error and the image's name."""
    data = bytearray(36)
    ctl(device, SNAPSHOTINFO, data)
    return struct.unpack_from("=i", data)[0], bytes(data[4:]).split(b"\0", 1)[0].decode()


def cbt_info(device: str) -> tuple[int, int, int, bytes, int]:
    """Capacity and block size in bytes, blocks, generation, number."""
    data = bytearray(40)
    ctl(device, CBTINFO, data)
    capacity, size, count, generation, changes = struct.unpack_from("=QII16sB", data)
    return capacity, size, count, generation, changes


def cbt_map(device: str, offset: int = 0, length: int | None = None) -> bytes:
    length = cbt_info(device)[2] - offset if length is None else length
    room = (ctypes.c_char * (length or 1))()
    ctl(device, CBTMAP, bytearray(struct.pack("=IIQ", offset, length, ctypes.addressof(room))))
    return bytes(room)[:length]


def cbt_dirty(device: str, *ranges: tuple[int, int]) -> None:
    data = ctypes.create_string_buffer(b"".join(struct.pack("=QQ", *r) for r in ranges))
    ctl(device, CBTDIRTY, bytearray(struct.pack("=IIQ", len(ranges), 0, ctypes.addressof(data))))


def destroy_all() -> None:
    for ident in collect():
        control(2, bytearray(ident))


def take(device: str, storage: str, sectors: int) -> Snapshot:
    """A snapshot of one device, with the first sectors of another one as storage."""
    snapshot = Snapshot()
    snapshot.add(device)
    snapshot.append(storage, (0, sectors))
    snapshot.take()
    return snapshot


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["destroy-all"]:
            destroy_all()
        case ["take", device, storage, sectors]:
            take(device, storage, int(sectors))
            print("/dev/" + info(device)[1])
        case ["is-stored"]:
            sys.exit(any(Snapshot(ident).statistics()["in_flight"] for ident in collect()))
        case _:
            sys.exit("blksnap.py destroy-all | take DEVICE STORAGE SECTORS | is-stored")
