# SPDX-License-Identifier: MIT
"""The program of tracepoints_show_attach_take_point.sh: DISK PARTITION."""

import errno
import re
import sys
import threading
import time
from pathlib import Path

from blkfilter import Control, Entry, expect, expect_errno, number, transfer

TRACING = Path("/sys/kernel/tracing")
OF_CORE = TRACING / "events/blkfilter"
IDENT = bytes(range(1, 17))
READ, WRITE = 0, 1

disk, part = sys.argv[1:]
start = int(Path(f"/sys/class/block/{part}/start").read_text())
of_disk, of_part = ("%d,%d" % number(name) for name in (disk, part))
control = Control()


def operation(match: re.Match[str]) -> str:
    """Without the flags, which differ from kernel to kernel."""
    return f"op={int(match[1], 16) & 0xFF:#x}"


def traced(what: str, wanted: list[str]) -> None:
    """These lines were written since the last time."""
    lines = (TRACING / "trace").read_text().splitlines()
    got = [re.sub(r"op=(0x[0-9a-f]+|0)\b", operation, line.split(": ", 1)[1]) for line in lines if not line.startswith("#")]
    got = [re.sub(r"closed_ns=[1-9]\d*", "closed_ns=N", line) for line in got]
    expect(wanted, got, what)
    (TRACING / "trace").write_text("")


def bio(event: str, device: str, name: str, op: int, sector: int, sectors: int) -> str:
    name = f" filter={name}" if name else ""
    return f"blkfilter_{event}: {device}{name} op={op:#x} sector={sector} sectors={sectors}"


names = {path.name for path in OF_CORE.iterdir() if path.is_dir()}
expect({f"blkfilter_{name}" for name in ("attach", "detach", "take", "resume", "park", "point")}, names, "tracepoints")
# Without the names of tasks, for which the scheduler's own tracepoints would be switched on: code that the other CPU runs at that
# moment, and an emulated CPU can keep the breakpoint that text_poke_bp() replaces ("Oops: int3" in ttwu_do_activate() was seen).
(TRACING / "options/record-cmd").write_text("0")
(OF_CORE / "enable").write_text("1")
(TRACING / "trace").write_text("")

# Attach: the whole stack from high to low; detach says why.
control.set(disk, [Entry("test0", 0.000001), Entry("test2", 450000.5, b"take")])
traced("attach", [
    f"blkfilter_attach: {of_disk} filter=test2 altitude=450000.500000 reason=0",
    f"blkfilter_attach: {of_disk} filter=test0 altitude=0.000001 reason=0",
])  # fmt: skip
control.set(disk, [Entry("test0", 123), Entry("test2", 450000.5, b"take")])
traced("another altitude", [])
control.set(disk, [Entry("test4", options=b"take", replaces="test2")])
traced("replaced and taken off", [
    f"blkfilter_detach: {of_disk} filter=test2 altitude=450000.500000 reason=2",
    f"blkfilter_detach: {of_disk} filter=test0 altitude=123.000000 reason=1",
    f"blkfilter_attach: {of_disk} filter=test4 altitude=500000.000000 reason=0",
])  # fmt: skip
expect_errno(errno.ENOSPC, "attach() fails", control.set, disk, [Entry("test6"), Entry("test0", options=b"fail=28")])
traced("nothing happened", [])
control.set(part, [Entry("test6", options=b"take")])
traced("attach to a partition", [f"blkfilter_attach: {of_part} filter=test6 altitude=700000.000000 reason=0"])

# Take and resume: the device that the bio was sent to, absolute sectors.
transfer(disk, 32 << 20, 8192)
traced("write to the disk", [
    bio("take", of_disk, "test4", WRITE, 65536, 16),
    bio("resume", of_disk, "test4", WRITE, 65536, 16),
])  # fmt: skip
transfer(part, 4096, 512, write=False)
traced("read of the partition", [
    bio("take", of_part, "test6", READ, start + 8, 1),
    bio("resume", of_part, "test6", READ, start + 8, 1),
    bio("take", of_part, "test4", READ, start + 8, 1),
    bio("resume", of_part, "test4", READ, start + 8, 1),
])  # fmt: skip

# Points: one that takes place, one over what does not drain.
control.set(part, [])
control.set(disk, [Entry("test0")])
(TRACING / "trace").write_text("")
transfer(disk, 0, 4096)
control.point([disk], IDENT)
traced("point", ["blkfilter_point: disks=1 closed_ns=N result=0"])
control.set(disk, [Entry("test2", options=b"take delay=2000")])
(TRACING / "trace").write_text("")
writer = threading.Thread(target=transfer, args=(disk, 0, 512))
writer.start()
time.sleep(0.5)
expect_errno(errno.ETIMEDOUT, "a point in time", control.point, [disk], IDENT, 200)
writer.join()
traced("a point that ends at its limit", [
    bio("take", of_disk, "test2", WRITE, 0, 1),
    "blkfilter_point: disks=1 closed_ns=N result=-110",
    bio("resume", of_disk, "test2", WRITE, 0, 1),
])  # fmt: skip

# Park: what comes while the gate is closed waits until it opens.
control.set(disk, [Entry("test1", options=b"hold=1500")])
(TRACING / "trace").write_text("")
point = threading.Thread(target=control.point, args=([disk], IDENT))
point.start()
time.sleep(0.5)
transfer(disk, 1 << 20, 4096)
point.join()
lines = [bio("park", of_disk, "", WRITE, 2048, 8), "blkfilter_point: disks=1 closed_ns=N result=0"]
traced("park", lines)
(OF_CORE / "enable").write_text("0")
control.set(disk, [])
traced("switched off", [])
