# SPDX-License-Identifier: MIT
"""The record of a migration as it lies on a device, read as <linux/blkfilter-redirect.h> says, without the kernel's help."""

import os
import struct
import subprocess
from dataclasses import dataclass

SLOT, MAP, SLOTS = 32768, 4096, 2
MAGIC, VERSION = b"blkfilter-record", 1
COPYING, READY, REDIRECTED, CONCLUDED = range(1, 5)
STATES = "none copying ready redirected concluded".split()

_HEAD = struct.Struct("<16sII16sQIIQQQQQ40s40s")


def _table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _table()


def crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


@dataclass
class Record:
    """The slot that counts."""

    slot: int
    ident: bytes
    generation: int
    state: int
    region: int
    sectors: int
    marked: set[int]


def parse(data: bytes, slot: int) -> Record | None:
    """A slot, or None where it is not as it should be."""
    magic, version, checksum, ident, generation, state, region, regions, sectors, *_ = _HEAD.unpack_from(data)
    if magic != MAGIC or version != VERSION:
        return None
    length = MAP + (regions + 32767) // 32768 * 4096
    if crc32c(data[:20] + bytes(4) + data[24:length]) != checksum:
        return None
    bits = int.from_bytes(data[MAP:length], "little")
    return Record(slot, ident, generation, state, region, sectors, {i for i in range(regions) if bits >> i & 1})


def read(name: str, sector: int = 0) -> Record | None:
    """What the record on a device says."""
    subprocess.check_call(["blockdev", "--flushbufs", f"/dev/{name}"])
    with open(f"/dev/{name}", "rb") as file:
        found = [parse(os.pread(file.fileno(), SLOT, sector * 512 + i * SLOT), i) for i in range(SLOTS)]
    return max((record for record in found if record), key=lambda record: record.generation, default=None)
