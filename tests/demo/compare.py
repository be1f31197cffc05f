#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares two images of a disk byte by byte with what was reported as changed:  compare.py BEFORE AFTER REPORT [--from OFFSET]

REPORT is what filterctl --json printed: records with offset and length, in bytes from OFFSET of the disk on."""

import argparse
import json

BLOCK = 65536


def blocks_of(report: str, origin: int) -> set[int]:
    """The disk's blocks that were reported."""
    blocks: set[int] = set()
    with open(report, encoding="utf-8") as document:
        for record in json.load(document)["records"]:
            begin = origin + record["offset"]
            blocks.update(range(begin // BLOCK, (begin + record["length"] + BLOCK - 1) // BLOCK))
    return blocks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("before", "after", "report"):
        parser.add_argument(name)
    parser.add_argument("--from", dest="origin", type=int, default=0)
    args = parser.parse_args()
    reported = blocks_of(args.report, args.origin)
    differ: set[int] = set()
    block = args.origin // BLOCK
    with open(args.before, "rb") as before, open(args.after, "rb") as after:
        before.seek(block * BLOCK)
        after.seek(block * BLOCK)
        while data := before.read(BLOCK):
            if data != after.read(BLOCK):
                differ.add(block)
            block += 1
    silent = differ - reported
    print(f"of {block} blocks {len(differ)} differ, {len(reported)} are reported; {len(silent)} differ and are not reported")
    return 1 if silent or not differ else 0


if __name__ == "__main__":
    raise SystemExit(main())
