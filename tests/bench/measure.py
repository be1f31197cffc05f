#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""One row of the table of instructions, measured in the guest:  measure.py NAME DEVICE read|write IOS

Prints "row NAME MEAN TOTAL", both in instructions per 4 KiB (one instruction is one virtual nanosecond there):
  MEAN   what fio calls mean completion latency: from the system call to its return
  TOTAL  guest time of a loop of such calls divided by their number, with the loop's own cost: what is left to a worker
         or to an interrupt cannot hide from it
"""

import json
import mmap
import os
import subprocess
import sys
import time

BLOCK = 4096
SPAN_BLOCKS = 1 << 16  # the first 256 MiB


def mean(device: str, direction: str, ios: int) -> float:
    """Mean completion latency by fio."""
    shown = subprocess.run(
        ["fio", "--name=row", f"--filename={device}", f"--rw=rand{direction}", "--ioengine=psync", "--direct=1", "--bs=4k",
         "--norandommap", f"--number_ios={ios}", f"--size={SPAN_BLOCKS * BLOCK}", "--thread", "--output-format=json"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    job = json.loads(shown[shown.index("{") :])["jobs"][0][direction]
    if job["total_ios"] != ios:
        raise SystemExit(f"{device}: fio did {job['total_ios']} of {ios}")
    return job["clat_ns"]["mean"]


def total(device: str, direction: str, ios: int) -> float:
    """Time of the whole run by number of calls."""
    buffer = [mmap.mmap(-1, BLOCK)]  # aligned, as O_DIRECT wants it
    file = os.open(device, os.O_RDWR | os.O_DIRECT)
    call = os.pwritev if direction == "write" else os.preadv
    block = 1
    offsets = []
    for _ in range(ios):
        block = (block * 5 + 1) % SPAN_BLOCKS  # full period: any order but the ascending one
        offsets.append(block * BLOCK)
    began = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    for offset in offsets:
        call(file, buffer, offset)
    ended = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
    os.close(file)
    return (ended - began) / ios


def main() -> None:
    name, device, direction, ios = sys.argv[1:]
    print(f"row {name} {mean(device, direction, int(ios)):.0f} {total(device, direction, int(ios)):.0f}", flush=True)


main()
