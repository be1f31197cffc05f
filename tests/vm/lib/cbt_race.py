#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checkpoints at random moments of a busy and slow device, each followed at once by a read of all of it, as a backup does it.

    cbt_race.py DEVICE [--rounds N] [--seed N] [--block BYTES]

Writes and discards are on their way all the time, each of them for many milliseconds. After each checkpoint the device is read while
they go on; then they end, the checkpoint is asked, and the device is read again. Every block that differs must be reported: a write that was
on its way at the checkpoint has either been waited for, or counts as later.
"""

import argparse
import mmap
import os
import random
import sys
import threading
import time

from cbt_check import Disk, different, reported, tool

WRITERS = 24


class Writer(threading.Thread):
    def __init__(self, disk: Disk, seed: int, stop: threading.Event):
        super().__init__()
        self.disk, self.chance, self.stop, self.error = disk, random.Random(seed), stop, None
        self.buffer, self.done = mmap.mmap(-1, 16384), 0

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                self.once()
                self.done += 1
        except OSError as error:
            self.error = error

    def once(self) -> None:
        size = self.chance.choice([512, 4096, 16384])
        offset = size * self.chance.randrange(self.disk.size // size)
        if self.disk.discards and self.chance.random() < 0.1:
            self.disk.discard(offset, size)
        else:
            self.buffer[:size] = self.chance.randbytes(size)
            os.pwritev(self.disk.fd, [memoryview(self.buffer)[:size]], offset)


def one_round(disk: Disk, chance: random.Random, block: int) -> tuple[int, int, set[int]]:
    """How many writes were made, how many blocks differ, and which of those were not reported."""
    stop = threading.Event()
    writers = [Writer(disk, chance.getrandbits(32), stop) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(chance.random() * 0.3)
    tool("checkpoint", disk.name, "race")
    before = disk.read()
    time.sleep(chance.random() * 0.1)
    stop.set()
    for writer in writers:
        writer.join()
        if writer.error:
            raise writer.error
    got = reported(disk.name, "race", block)
    changed = different(before, disk.read(), block)
    tool("delete", disk.name, "race")
    return sum(writer.done for writer in writers), len(changed), changed - got.keys()


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("device")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--block", type=int, default=4096)
    arguments = parser.parse_args()
    chance, disk = random.Random(arguments.seed), Disk(arguments.device)
    writes = changes = 0
    for number in range(arguments.rounds):
        done, changed, silent = one_round(disk, chance, arguments.block)
        writes, changes = writes + done, changes + changed
        if silent:
            print(f"{disk.name}, seed {arguments.seed}, round {number}: changed and not reported: {sorted(silent)[:9]}")
            return 1
    print(f"{disk.name}: {arguments.rounds} checkpoints, {writes} writes, {changes} blocks changed after them")
    return 0 if changes else 1


if __name__ == "__main__":
    sys.exit(main())
