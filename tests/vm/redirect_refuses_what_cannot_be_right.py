# SPDX-License-Identifier: MIT
"""The devices of redirect_refuses_what_cannot_be_right.sh: the source, targets with one thing wrong each, a
partition of the source, another disk with a mapped device on its partition, and another partition of the source's disk."""

import errno
import fcntl
import os
import struct
import subprocess
import sys

import redirect as r
from blkfilter import Control, expect, expect_errno

BLKROSET = 0x125D
a, b, small, coarse, zones, fixed, gone, protected, first, below, above, second = sys.argv[1:]
control = Control()
source = r.Redirect(first, control).attach()
whole = r.Redirect(a, control).attach()
lower = r.Redirect(below, control).attach()


def refused(wanted: int, why: int, what: str, by: r.Redirect, target: str, **named: int) -> None:
    for mode in r.ONLY, r.BLOCKING, r.BACKGROUND:
        if mode != r.ONLY and "first" in named:
            continue
        error = expect_errno(wanted, what, by.start, f"/dev/{target}", mode, **named)
        expect(why, error.why, f"{what}: the reason")
        expect("created", by.state, f"{what}: the state")


print("--- targets")
refused(errno.ENOSPC, r.SMALLER, "smaller", source, small)
refused(errno.ENOSPC, r.SMALLER, "too far behind", source, gone, target_sector=(64 << 11) - 8)
refused(errno.EOPNOTSUPP, r.BLOCK_SIZE, "other blocks", source, coarse)
refused(errno.EOPNOTSUPP, r.ZONED, "zones", source, zones)
refused(errno.EOPNOTSUPP, r.INTEGRITY, "integrity data", source, protected)
refused(errno.EBUSY, r.IN_USE, "held by dm", source, b)
refused(errno.ELOOP, r.IS_SOURCE, "itself", source, first)
refused(errno.ELOOP, r.IS_SOURCE, "its disk", source, a)
refused(errno.ELOOP, r.IS_SOURCE, "its partition", whole, first)
refused(errno.ELOOP, r.ON_SOURCE, "what lies on it", lower, above, sectors=8192, first=0)
fd = os.open(f"/dev/{fixed}", os.O_RDONLY)
expect_errno(errno.EBADF, "not open for writing", source.start_fd, fd)
os.close(fd)
expect_errno(errno.EBADF, "no descriptor", source.start_fd, 999)
fd = os.open("/dev/null", os.O_RDWR)
expect(r.NO_BLOCK, expect_errno(errno.ENOTBLK, "no block device", source.start_fd, fd).why, "the reason")
os.close(fd)
fd = os.open(f"/dev/{gone}", os.O_RDWR)
with open("/sys/kernel/config/nullb/gone/power", "w") as file:
    file.write("0")
error = expect_errno(errno.ENODEV, "removed", source.start_fd, fd)
expect(r.GONE, error.why, "the reason")
os.close(fd)

fd = os.open(f"/dev/{fixed}", os.O_RDWR)
fcntl.ioctl(fd, BLKROSET, struct.pack("=i", 1))
expect(r.READ_ONLY, expect_errno(errno.EROFS, "read-only", source.start_fd, fd).why, "the reason")
os.close(fd)

print("--- arguments")
target = f"/dev/{coarse}"
expect_errno(errno.EINVAL, "flags", source.start, target, flags=r.CONTINUE)
expect_errno(errno.EINVAL, "mode", source.start, target, 3, flags=1)
expect_errno(errno.EINVAL, "in flight", source.start, target, r.BLOCKING, in_flight=65)
expect_errno(errno.EINVAL, "id", source.start, target, ident=bytes(16))
for flags in r.NO_RECORD | r.RECORD, r.NO_RECORD | r.CONTINUE, 8:
    expect_errno(errno.EINVAL, f"flags {flags}", source.start, target, r.BLOCKING, flags=flags)
expect_errno(errno.EINVAL, "a range that is copied", source.start, target, r.BLOCKING, first=8, sectors=8)
expect_errno(errno.EINVAL, "a beginning without an end", source.start, target, first=8)
expect_errno(errno.EINVAL, "beyond the end", source.start, target, first=12 << 11, sectors=8)
expect_errno(errno.EINVAL, "beyond the end", source.start, target, first=8, sectors=12 << 11)
expect_errno(errno.EINVAL, "overflow", source.start, target, first=8, sectors=(1 << 64) - 8)
for number in range(10):
    for data, wanted in ((b"", errno.EINVAL), (b"\4\0\0\0", errno.EINVAL), (struct.pack("=I", 1 << 20) + bytes(60), errno.E2BIG)):
        if number not in (r.START, r.STATUS, r.BELOW) and wanted:
            wanted = errno.ENOENT
        expect_errno(wanted, f"command {number} with {len(data)} bytes", source.command, number, data)
expect_errno(errno.ENOENT, "an unknown command, nothing started", source.command, 99)

print("--- with something started")
other = r.Redirect(small, control).attach()
with open("/sys/kernel/config/nullb/gone/power", "w") as file:
    file.write("1")
other.start(f"/dev/{gone}", r.BLOCKING, rate=1 << 20)
expect_errno(errno.EBUSY, "a second one", other.start, f"/dev/{gone}")
expect(r.IN_USE, expect_errno(errno.EBUSY, "its target is another's", source.start, f"/dev/{gone}").why, "the reason")
expect_errno(errno.EBUSY, "detaching", other.detach)
expect_errno(errno.ENOTTY, "an unknown command", other.command, 99)
expect_errno(errno.EINVAL, "finish before it is redirected", other.finish)
expect_errno(errno.EINVAL, "resume when it is not paused", other.resume)
expect_errno(errno.EINVAL, "in flight", other.set, in_flight=65)
expect_errno(errno.EINVAL, "mode", other.set, mode=0)
expect_errno(errno.EINVAL, "flags", other.command, r.PAUSE, struct.pack("=II", 8, 1))
expect_errno(errno.EINVAL, "verify behind the end", other.verify, 1 << 40)
other.cancel()
expect_errno(errno.EINVAL, "verify nothing", other.verify)
expect_errno(errno.ENOENT, "set nothing", other.set, rate=1)
other.detach()

print("--- what only looks like it, and what does not")
subprocess.check_call(["dmsetup", "create", "beside", "--table", f"0 28672 linear /dev/{second} 0"])
source.start("/dev/mapper/beside", r.BLOCKING)
source.wait("ready")
source.cancel()
subprocess.check_call(["dmsetup", "remove", "--retry", "beside"])
upper = r.Redirect(small, control).attach()
lower.start(f"/dev/{small}", sectors=8192, first=2048)
error = expect_errno(errno.ELOOP, "round about", upper.start, f"/dev/{above}", sectors=4096, first=0)
expect(r.ON_SOURCE, error.why, "the reason")
subprocess.check_call(["dmsetup", "remove", "--retry", "above"])
lower.finish()
upper.detach()
for redirect in source, whole, lower:
    redirect.detach()
