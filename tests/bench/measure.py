#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One row of the table of instructions, measured in the guest:  measure.py NAME DEVICE read|write|touch IOS [STRETCH]

touch writes once to each stretch of STRETCH bytes, the even ones for MEAN, the odd ones for TOTAL; without STRETCH these are
128 MiB, and as many as the device has of them.

Prints "row NAME MEAN TOTAL", both in instructions per 4 KiB (one instruction is one virtual nanosecond there):
  MEAN   what fio calls mean completion latency: from the system call to its return
  TOTAL  guest time of a loop of such calls divided by their number, with the loop's own cost: what is left to a worker
         or to an interrupt cannot hide from it

Of ten equal parts of either run the dearest and the cheapest are left out: what the guest itself does once in that time would be
50 instructions on each of a thousand calls, and was 600 on each of 5000.
"""

import mmap
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BLOCK = 4096
SPAN_BLOCKS = 1 << 16  # the first 256 MiB
DEFAULT_STRETCH = 128 << 20
PARTS = 10


def disk_bytes(device: str) -> int:
    """Its size."""
    file = os.open(device, os.O_RDONLY)
    try:
        return os.lseek(file, 0, os.SEEK_END)
    finally:
        os.close(file)


def ordinary(parts: list[float]) -> float:
    """Mean of the equal parts of a run, without the dearest and the cheapest one."""
    return sum(sorted(parts)[1:-1]) / (len(parts) - 2)


def cut(calls: list) -> list[list]:
    """A run in its parts."""
    return [calls[len(calls) * i // PARTS : len(calls) * (i + 1) // PARTS] for i in range(PARTS)]


def mean(device: str, direction: str, ios: int, stretch: int) -> float:
    """Mean completion latency by fio."""
    where = [f"--rw=rand{direction}", "--norandommap", f"--size={SPAN_BLOCKS * BLOCK}"]
    if direction == "touch":
        direction, where = "write", [f"--rw=write:{(2 * stretch - BLOCK) // 1024}k", f"--size={2 * stretch * ios}"]
    # To fio a colon stands between names, and an image has one in its own.
    name = device.replace(":", "\\:")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["fio", "--name=row", f"--filename={name}", *where, "--ioengine=psync", "--direct=1", "--bs=4k",
             f"--number_ios={ios}", "--thread", f"--write_lat_log={folder}/row", "--output=/dev/null"],
            check=True,
        )  # fmt: skip
        lines = Path(folder, "row_clat.1.log").read_text().splitlines()
    latencies = [int(line.split(",")[1]) for line in lines]
    if len(latencies) != ios:
        raise SystemExit(f"{device}: fio did {len(latencies)} of {ios}")
    return ordinary([sum(part) / len(part) for part in cut(latencies)])


def total(device: str, direction: str, ios: int, stretch: int) -> float:
    """Time of the run by number of calls, in its ordinary parts."""
    buffer = [mmap.mmap(-1, BLOCK)]  # aligned, as O_DIRECT wants it
    file = os.open(device, os.O_RDWR | os.O_DIRECT)
    call = os.preadv if direction == "read" else os.pwritev
    block = 1
    offsets = []
    if direction == "touch":
        offsets = [(2 * i + 1) * stretch for i in range(ios)]
    for _ in range(ios - len(offsets)):
        block = (block * 5 + 1) % SPAN_BLOCKS  # full period: any order but the ascending one
        offsets.append(block * BLOCK)
    costs = []
    for part in cut(offsets):
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        for offset in part:
            call(file, buffer, offset)
        costs.append((time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - began) / len(part))
    os.close(file)
    return ordinary(costs)


def main() -> None:
    name, device, direction, count, *rest = sys.argv[1:]
    ios, stretch = int(count), int(rest[0]) if rest else DEFAULT_STRETCH
    if direction == "touch" and not rest:
        ios = disk_bytes(device) // (2 * stretch) - 1
    print(f"row {name} {mean(device, direction, ios, stretch):.0f} {total(device, direction, ios, stretch):.0f}", flush=True)


main()
