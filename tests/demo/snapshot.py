#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a backup program does with blksnap, for the demo: only what was posted, without filterd.

  snapshot.py take DEVICE STORAGE       a snapshot of DEVICE, old data to the block device STORAGE; prints image and number
  snapshot.py full DEVICE COPY          copies the whole image
  snapshot.py increment DEVICE COPY NUMBER   copies the blocks that have changed since snapshot NUMBER onto COPY
  snapshot.py destroy
"""

import errno
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vm/lib"))
import blksnap  # noqa: E402


def take(device: str, storage: str) -> None:
    """Attaches the filter when it is not there yet, as every client does."""
    snapshot = blksnap.Snapshot()
    try:
        snapshot.add(device)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise
        blksnap.attach(device)
        snapshot.add(device)
    snapshot.append_file(storage)
    snapshot.take()
    print(f"/dev/{blksnap.info(device)[1]}, snapshot number {blksnap.cbt_info(device)[4]}")


def copy(device: str, to: str, since: int) -> None:
    """The blocks of the image whose number is higher."""
    _, size, _, _, _ = blksnap.cbt_info(device)
    changed = [i for i, number in enumerate(blksnap.cbt_map(device)) if number > since or since < 0]
    image = os.open("/dev/" + blksnap.info(device)[1], os.O_RDONLY)
    target = os.open(to, os.O_RDWR | os.O_CREAT)
    for block in changed:
        os.pwrite(target, os.pread(image, size, block * size), block * size)
    print(f"{len(changed)} blocks of {size >> 10} KiB copied")


match sys.argv[1:]:
    case ["take", device, storage]:
        take(device, storage)
    case ["full", device, to]:
        copy(device, to, -1)
    case ["increment", device, to, number]:
        copy(device, to, int(number))
    case ["destroy"]:
        blksnap.destroy_all()
    case _:
        sys.exit(__doc__)
