#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""An application that knows what must be on its device: threads that write, zero, discard, flush and read what they have written.

    redirect_load.py DEVICE [--seconds N] [--threads N] [--seed N] [--overlap]

Each thread has every n-th piece of 128 KiB for itself, so that what must be there is known at any time. With --overlap all write
everywhere, many at a time to the same sectors, and nothing is read. As a module: Load(...).start() ... stop() ... check().
"""

import argparse
import errno
import fcntl
import mmap
import os
import random
import struct
import sys
import threading
import time
from pathlib import Path

BLKDISCARD, BLKZEROOUT = 0x1277, 0x127F
BLOCK, PIECE = 4096, 128 << 10
RWF_DSYNC, RWF_NOWAIT = os.RWF_DSYNC, os.RWF_NOWAIT
ZERO = bytes(16)


class Thread(threading.Thread):
    """One of the writers. @model: by block, the 16 bytes that it is full of; None: whatever a discard has left."""

    def __init__(self, load: "Load", number: int):
        super().__init__(daemon=True)
        self.load, self.number = load, number
        self.chance = random.Random(load.seed * 1000 + number)
        self.model: dict[int, bytes | None] = {}
        self.buffer = mmap.mmap(-1, PIECE)
        self.error: BaseException | None = None
        self.operations = 0

    def run(self) -> None:
        try:
            while not self.load.ended.is_set():
                self.once()
                self.operations += 1
        except BaseException as error:
            self.error = error
            self.load.ended.set()

    def place(self) -> tuple[int, int]:
        """A random range of blocks of our own."""
        load = self.load
        if load.overlap:
            first = self.chance.randrange(load.blocks) if self.chance.random() < 0.5 else self.chance.randrange(8)
            return first, min(self.chance.choice([1, 1, 2, 4, 16]), load.blocks - first)
        each = PIECE // BLOCK
        pieces = range(self.number, load.blocks // each, load.count)
        first = self.chance.choice(pieces) * each + self.chance.randrange(each)
        return first, self.chance.randrange(1, each - first % each + 1)

    def once(self) -> None:
        first, count = self.place()
        kind = self.chance.choices(["write", "read", "zero", "discard", "flush"], [12, 6, 1, 1, 1])[0]
        if kind == "write":
            self.write(first, count)
        elif kind == "read":
            self.read(first, count)
        elif kind == "flush":
            os.fsync(self.load.fd)
        elif kind == "zero" or self.load.discards:
            fcntl.ioctl(self.load.fd, BLKZEROOUT if kind == "zero" else BLKDISCARD, struct.pack("QQ", first * BLOCK, count * BLOCK))
            for block in range(first, first + count):
                self.model[block] = ZERO if kind == "zero" else None

    def write(self, first: int, count: int) -> None:
        fills = [self.chance.randbytes(16) for _ in range(count)]
        self.buffer[: count * BLOCK] = b"".join(fill * (BLOCK // 16) for fill in fills)
        flags = self.chance.choice([0, 0, RWF_DSYNC, RWF_NOWAIT])
        view = memoryview(self.buffer)[: count * BLOCK]
        while True:
            try:
                done = os.pwritev(self.load.fd, [view], first * BLOCK, flags)
            except BlockingIOError:
                flags = 0
                continue
            # A NOWAIT write may be cut short.
            if done == count * BLOCK:
                break
            if not flags & RWF_NOWAIT:
                raise OSError(errno.EIO, f"{done} bytes of {count * BLOCK} written")
            flags = 0
        self.model.update(zip(range(first, first + count), fills))

    def read(self, first: int, count: int) -> None:
        """What is read is what was written last."""
        view = memoryview(self.buffer)[: count * BLOCK]
        if os.preadv(self.load.fd, [view], first * BLOCK) != count * BLOCK:
            raise OSError(errno.EIO, "short read")
        if self.load.overlap:
            return
        for i in range(count):
            wanted = self.model.get(first + i)
            if wanted is not None and self.buffer[i * BLOCK : (i + 1) * BLOCK] != wanted * (BLOCK // 16):
                got = self.buffer[i * BLOCK : i * BLOCK + 16]
                raise AssertionError(f"{self.load.path}: block {first + i} has {got!r} and not {wanted!r}")


class Load:
    def __init__(self, path: str, seed: int = 1, threads: int = 4, overlap: bool = False, blocks: int | None = None):
        self.path, self.seed, self.count, self.overlap = path, seed, threads, overlap
        self.fd = os.open(path, os.O_RDWR | os.O_DIRECT)
        self.blocks = blocks or os.lseek(self.fd, 0, os.SEEK_END) // BLOCK
        folder = Path(f"/sys/class/block/{Path(path).resolve().name}").resolve()
        queue = folder if (folder / "queue").exists() else folder.parent
        self.discards = (queue / "queue/discard_max_bytes").read_text().strip() != "0"
        self.ended = threading.Event()
        self.threads = [Thread(self, number) for number in range(threads)]

    def start(self) -> "Load":
        for thread in self.threads:
            thread.start()
        return self

    @property
    def operations(self) -> int:
        return sum(thread.operations for thread in self.threads)

    def fail(self) -> None:
        for thread in self.threads:
            if thread.error:
                raise thread.error

    def stop(self) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()
        self.fail()

    def check(self, path: str | None = None, offset: int = 0, blocks: range | None = None) -> int:
        """Everything that was written is on a device, the load's own or another one. Returns how many blocks were compared."""
        compared = 0
        with open(path or self.path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            for thread in self.threads:
                for block, fill in thread.model.items():
                    if fill is None or (blocks is not None and block not in blocks):
                        continue
                    got = os.pread(file.fileno(), BLOCK, block * BLOCK + offset)
                    if got != fill * (BLOCK // 16):
                        raise AssertionError(f"{path or self.path}: block {block} has {got[:16]!r} and not {fill!r}")
                    compared += 1
        return compared

    def close(self) -> None:
        os.close(self.fd)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("device")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "1")))
    parser.add_argument("--overlap", action="store_true")
    arguments = parser.parse_args()
    load = Load(arguments.device, arguments.seed, arguments.threads, arguments.overlap).start()
    load.ended.wait(arguments.seconds)
    load.stop()
    print(f"{load.path}: {load.operations} operations, {load.check()} blocks compared")
    return 0


if __name__ == "__main__":
    sys.exit(main())
