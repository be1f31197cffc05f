#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares two images of a disk byte by byte with what was reported as changed:  compare.py BEFORE AFTER EXTENTS"""

import sys

SECTOR, BLOCK = 512, 65536


def main() -> int:
    reported: set[int] = set()
    with open(sys.argv[3], encoding="ascii") as lines:
        for line in lines:
            if not line.startswith("$"):
                first, sectors, _ = line.split()
                begin, end = int(first) * SECTOR, (int(first) + int(sectors)) * SECTOR
                reported.update(range(begin // BLOCK, (end + BLOCK - 1) // BLOCK))
    differ: set[int] = set()
    block = 0
    with open(sys.argv[1], "rb") as before, open(sys.argv[2], "rb") as after:
        while data := before.read(BLOCK):
            if data != after.read(BLOCK):
                differ.add(block)
            block += 1
    silent = differ - reported
    print(f"of {block} blocks {len(differ)} differ, {len(reported)} are reported, {len(silent)} differ and are not")
    return 1 if silent or not differ else 0


if __name__ == "__main__":
    sys.exit(main())
