#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One row of the table of instructions, measured in the guest:  measure.py NAME DEVICE read|write|touch IOS [STRETCH]

touch writes once to each stretch of STRETCH bytes, the even ones for MEAN, the odd ones for TOTAL; without STRETCH these are
128 MiB, and as many as the device has of them.

Prints "row NAME MEAN TOTAL", both in instructions per 4 KiB (one instruction is one virtual nanosecond there):
  MEAN   what fio calls mean completion latency: from the system call to its return
  TOTAL  guest time of a loop of such calls divided by their number, with the loop's own cost: what is left to a worker
         or to an interrupt cannot hide from it. Of ten equal parts of the loop the dearest and the cheapest are left out:
         what the guest itself does once in that time would be 50 instructions on each of a thousand calls.
"""

import json
import mmap
import os
import subprocess
import sys
import time

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


def mean(device: str, direction: str, ios: int, stretch: int) -> float:
    """Mean completion latency by fio."""
    where = [f"--rw=rand{direction}", "--norandommap", f"--size={SPAN_BLOCKS * BLOCK}"]
    if direction == "touch":
        direction, where = "write", [f"--rw=write:{(2 * stretch - BLOCK) // 1024}k", f"--size={2 * stretch * ios}"]
    # To fio a colon stands between names, and an image has one in its own.
    name = device.replace(":", "\\:")
    shown = subprocess.run(
        ["fio", "--name=row", f"--filename={name}", *where, "--ioengine=psync", "--direct=1", "--bs=4k",
         f"--number_ios={ios}", "--thread", "--output-format=json"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    job = json.loads(shown[shown.index("{") :])["jobs"][0][direction]
    if job["total_ios"] != ios:
        raise SystemExit(f"{device}: fio did {job['total_ios']} of {ios}")
    return job["clat_ns"]["mean"]


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
    for part in (offsets[ios * i // PARTS : ios * (i + 1) // PARTS] for i in range(PARTS)):
        began = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        for offset in part:
            call(file, buffer, offset)
        costs.append((time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - began) / len(part))
    os.close(file)
    return sum(sorted(costs)[1:-1]) / (PARTS - 2)


def main() -> None:
    name, device, direction, count, *rest = sys.argv[1:]
    ios, stretch = int(count), int(rest[0]) if rest else DEFAULT_STRETCH
    if direction == "touch" and not rest:
        ios = disk_bytes(device) // (2 * stretch) - 1
    print(f"row {name} {mean(device, direction, ios, stretch):.0f} {total(device, direction, ios, stretch):.0f}", flush=True)


main()
