#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Asks cbt-only what has changed on a device, and compares that with what was done to it and with all of its bytes.

    cbt_check.py DEVICE [--seconds N] [--seed N] [--block BYTES] [--zeroes written|discarded|either] [--lower DEVICE...]

A round makes a checkpoint, reads the device, writes, discards and zeroes at random, asks, and reads it again:

  - every block whose bytes differ is reported (never the opposite),
  - and nothing is reported but blocks that were touched,
  - a block counts as discarded when the last thing that was done to it was a discard or zeroing of all of it. Where a discard
    is cut into pieces on its way, "written" may stand for it.

A second consumer has a checkpoint from the start, which is asked in every round too. --lower are devices below that are tracked as
well: what they report is only compared with bytes.
"""

import argparse
import fcntl
import mmap
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

BLKDISCARD, BLKZEROOUT, SECTOR = 0x1277, 0x127F, 512


def tool(*arguments: str) -> str:
    return subprocess.run(["blkfilter-tool", "cbt", *arguments], check=True, capture_output=True, text=True).stdout


class Disk:
    """A device, read and written past the page cache."""

    def __init__(self, name: str):
        self.name = name
        self.fd = os.open(f"/dev/{name}", os.O_RDWR | os.O_DIRECT)
        self.size = os.lseek(self.fd, 0, os.SEEK_END)
        self.buffer = mmap.mmap(-1, 1 << 20)
        folder = Path(f"/sys/class/block/{name}").resolve()
        queue = folder if (folder / "queue").exists() else folder.parent
        self.discards = (queue / "queue/discard_max_bytes").read_text().strip() != "0"

    def read(self) -> bytes:
        parts = []
        for offset in range(0, self.size, len(self.buffer)):
            n = os.preadv(self.fd, [memoryview(self.buffer)[: min(len(self.buffer), self.size - offset)]], offset)
            parts.append(self.buffer[:n])
        return b"".join(parts)

    def write(self, offset: int, size: int, fill: bytes) -> None:
        self.buffer[:size] = fill
        assert os.pwritev(self.fd, [memoryview(self.buffer)[:size]], offset) == size

    def discard(self, offset: int, size: int) -> None:
        fcntl.ioctl(self.fd, BLKDISCARD, struct.pack("QQ", offset, size))

    def zero(self, offset: int, size: int) -> None:
        fcntl.ioctl(self.fd, BLKZEROOUT, struct.pack("QQ", offset, size))


class Model:
    """What was done to each block since a checkpoint: "written", "discarded", or "zeroed"."""

    def __init__(self, disk: Disk, block: int):
        self.size, self.block, self.touched = disk.size, block, {}

    def done(self, offset: int, size: int, kind: str) -> None:
        for i in range(offset // self.block, (offset + size - 1) // self.block + 1):
            begin, end = i * self.block, min((i + 1) * self.block, self.size)
            self.touched[i] = kind if offset <= begin and end <= offset + size else "written"


def reported(device: str, checkpoint: str, block: int) -> dict[int, str]:
    blocks: dict[int, str] = {}
    last = 0
    for line in tool("extents", device, checkpoint).splitlines():
        first, sectors, kind = line.split()
        offset, size = int(first) * SECTOR, int(sectors) * SECTOR
        assert offset >= last and size > 0 and offset % block == 0, f"extent {line} behind {last}"
        last = offset + size
        for i in range(offset // block, (last + block - 1) // block):
            blocks[i] = kind
    return blocks


def different(before: bytes, after: bytes, block: int) -> set[int]:
    return {i // block for i in range(0, len(before), block) if before[i : i + block] != after[i : i + block]}


class Failed(Exception):
    pass


def compare(what: str, got: dict[int, str], model: Model, zeroes: str) -> None:
    missing, surplus = model.touched.keys() - got.keys(), got.keys() - model.touched.keys()
    if missing or surplus:
        raise Failed(f"{what}: not reported {sorted(missing)[:9]}, reported too much {sorted(surplus)[:9]}")
    for i, kind in model.touched.items():
        allowed = {"written": {"written"}, "discarded": {"discarded", "written"}}.get(kind)
        if kind == "zeroed":
            allowed = {"written", "discarded"} if zeroes == "either" else {zeroes}
        if got[i] not in allowed:
            raise Failed(f"{what}: block {i} was {kind} last, but is reported as {got[i]}")


def workload(disk: Disk, chance: random.Random, models: list[Model]) -> None:
    for _ in range(chance.randrange(1, 120)):
        kind = chance.choice(["written", "written", "zeroed", "discarded" if disk.discards else "written"])
        size = SECTOR * min(int(chance.paretovariate(0.5)) + 7 & ~7, len(disk.buffer) // SECTOR)
        offset = 4096 * chance.randrange((disk.size - size) // 4096 + 1)
        if kind == "written":
            disk.write(offset, size, chance.randbytes(size))
        elif kind == "discarded":
            disk.discard(offset, size)
        else:
            disk.zero(offset, size)
        for model in models:
            model.done(offset, size, kind)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("device")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1")))
    parser.add_argument("--block", type=int, default=65536)
    parser.add_argument("--zeroes", default="either")
    parser.add_argument("--lower", nargs="*", default=[])
    arguments = parser.parse_args()
    chance, disk, block = random.Random(arguments.seed), Disk(arguments.device), arguments.block
    lowers = [Disk(name) for name in arguments.lower]

    tool("checkpoint", disk.name, "base")
    base, end, rounds = Model(disk, block), time.monotonic() + arguments.seconds, 0
    try:
        while rounds == 0 or time.monotonic() < end:
            rounds += 1
            tool("checkpoint", disk.name, "round")
            for lower in lowers:
                tool("checkpoint", lower.name, "round")
            model, before, below = Model(disk, block), disk.read(), [lower.read() for lower in lowers]
            workload(disk, chance, [base, model])
            got = reported(disk.name, "round", block)
            if silent := different(before, disk.read(), block) - got.keys():
                raise Failed(f"changed and not reported: {sorted(silent)[:9]}")
            compare("round", got, model, arguments.zeroes)
            compare("base", reported(disk.name, "base", block), base, arguments.zeroes)
            tool("delete", disk.name, "round")
            for lower, was in zip(lowers, below):
                got = reported(lower.name, "round", block)
                if silent := different(was, lower.read(), block) - got.keys():
                    raise Failed(f"{lower.name}: changed and not reported: {sorted(silent)[:9]}")
                tool("delete", lower.name, "round")
        tool("delete", disk.name, "base")
    except Failed as failed:
        print(f"{disk.name}, seed {arguments.seed}, round {rounds}: {failed}")
        return 1
    print(f"{disk.name}: {rounds} rounds, {len(base.touched)} of {-(-disk.size // block)} blocks touched")
    return 0


if __name__ == "__main__":
    sys.exit(main())
