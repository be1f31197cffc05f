# SPDX-License-Identifier: MIT
"""The devices of redirect_refuses_to_interpose.sh: a disk, its two partitions, and another disk with a file system on it."""

import errno
import os
import struct
import subprocess
import sys

import redirect as r
from blkfilter import Control, Entry, expect, expect_errno, identity, transfer, wait_until

a, first, second, b = sys.argv[1:]
control = Control()
source = r.Redirect(first, control).attach()
disk = r.Redirect(a, control).attach()
other = r.Redirect(b, control).attach()


def dm(name: str, *lines: str) -> str:
    subprocess.run(["dmsetup", "create", name], input="\n".join(lines), text=True, check=True)
    return f"/dev/mapper/{name}"


def remove(*names: str) -> None:
    for name in names:
        subprocess.check_call(["dmsetup", "remove", "--retry", name])


def refused(wanted: int, why: int, what: str, by: r.Redirect, target: str, **named: int) -> None:
    named = {"flags": r.INTERPOSE, **named}
    error = expect_errno(wanted, what, by.start, target, **named)
    expect(why, error.why, f"{what}: the reason")


def size(name: str) -> int:
    with open(f"/sys/class/block/{name}/size") as file:
        return int(file.read())


print("--- the device below")
expect_errno(errno.EINVAL, "flags", source.below, 2)
expect_errno(errno.ENOENT, "withdraw none", source.below, r.WITHDRAW)
refused(errno.EINVAL, r.NOT_BELOW, "without a device below", source, f"/dev/{second}")
below, numbers = source.below()
expect(f"below-{first}", below, "its name")
expect(identity(below), numbers, "its numbers")
expect((below, numbers), source.below(), "asked once more")
expect(size(first), size(below), "its size")
fd = os.open(f"/dev/{below}", os.O_RDWR)
expect_errno(errno.EBUSY, "withdraw while it is open", source.below, r.WITHDRAW)
expect(errno.EBUSY, expect_errno(errno.EBUSY, "detach while it is open", source.detach).errno, "detach")
os.close(fd)
source.withdraw()
expect(False, os.path.exists(f"/sys/class/block/{below}"), "it is there")
source.below()

print("--- its link, and nothing that it shares with the source")
name, _ = other.below()
subprocess.check_call(["udevadm", "settle", "--timeout=60"])
expect(f"/dev/{name}", os.path.realpath(f"/dev/disk/by-blkfilter/{name}"), "its link")
known = subprocess.run(["udevadm", "info", f"/dev/{name}"], check=True, stdout=subprocess.PIPE, text=True).stdout
expect(True, "SYSTEMD_READY=0" in known, "nothing depends on it")
expect(False, "ID_FS_UUID" in known, "it is taken for the file system")

print("--- it has what the source has, and is a partition's only")
content = os.urandom(4096)
with open(f"/dev/{first}", "r+b") as file:
    file.write(content)
expect(content, r.content(below, 4096), "what is below")
with open(f"/dev/{below}", "rb") as file:
    file.seek(0, os.SEEK_END)
    expect(size(first) * 512, file.tell(), "its end")
with open(f"/sys/class/block/{first}/ro") as mine, open(f"/sys/class/block/{below}/ro") as its:
    expect(mine.read(), its.read(), "read-only")

print("--- arguments")
for name, arguments in {
    "a range": {"first": 8, "sectors": 8},
    "a migration": {"mode": r.BLOCKING, "flags": r.INTERPOSE | r.NO_RECORD},
    "a record": {"flags": r.INTERPOSE | r.RECORD},
}.items():
    error = expect_errno(errno.EINVAL, name, source.start, f"/dev/{below}", **{"flags": r.INTERPOSE, **arguments})
    expect(r.NOT_REFUSED, error.why, f"{name}: the reason")
expect_errno(errno.EBUSY, "a migration beside a device below", source.start, f"/dev/{b}", mode=r.BLOCKING)

print("--- targets")
half = size(first) // 2
half -= half % 8
onto = dm("onto", f"0 {size(first)} linear /dev/{below} 0")
refused(errno.ELOOP, r.ON_SOURCE, "on the device below, not interposed", source, onto, flags=0)
refused(errno.ELOOP, r.IS_SOURCE, "the source", source, f"/dev/{first}")
refused(errno.EINVAL, r.NOT_BELOW, "elsewhere", source, f"/dev/{second}")
refused(errno.EBUSY, r.IN_USE, "held by dm", source, f"/dev/{below}")
remove("onto")
two = dm("two", f"0 {size(second)} linear /dev/{second} 0")
refused(errno.EINVAL, r.NOT_BELOW, "on another partition", source, two)
remove("two")
two = dm("two", f"0 {half} linear /dev/{below} 0", f"{half} {size(first) - half} linear /dev/{first} {half}")
refused(errno.ELOOP, r.ON_SOURCE, "half of it on the source", source, two)
remove("two")
two = dm("two", f"0 {half} linear /dev/{below} 0")
refused(errno.ENOSPC, r.SMALLER, "smaller", source, two)
remove("two")

print("--- circles: the partition's filters come before the disk's")
onto = dm("onto", f"0 {size(first)} linear /dev/{below} 0")
over = dm("over", f"0 {size(first)} linear {onto} 0", f"{size(first)} {size(a)} zero")
refused(errno.ELOOP, r.ON_SOURCE, "the disk onto what is below its partition", disk, over, flags=0)
refused(errno.ELOOP, r.ON_SOURCE, "the same, interposed", disk, over)
other.start(over, first=0, sectors=8192)
refused(errno.ELOOP, r.ON_SOURCE, "round about", disk, f"/dev/{b}", flags=0, first=2048, sectors=8192)
other.finish()
remove("over", "onto")
name, _ = disk.below()
onto = dm("onto", f"0 {size(a)} linear /dev/{name} 0")
disk.interpose(onto)
expect(r.INTERPOSED, disk.status()["flags"] & r.INTERPOSED, "the whole disk: interposed")
two = dm("two", f"0 {size(first)} linear /dev/{below} 0")
source.interpose(two)
transfer(first, 8192, 4096)
expect(r.content(first), r.content(below), "two levels")
for redirect in disk, source:
    expect_errno(errno.EINVAL, "a flag of another", redirect.command, r.CANCEL, struct.pack("=II", 8, 1))
    expect_errno(errno.EINVAL, "an unknown flag", redirect.take_out, 2)
    expect_errno(errno.EBUSY, "cancel", redirect.cancel)
    expect_errno(errno.EBUSY, "withdraw what is held", redirect.below, r.WITHDRAW)
    expect_errno(errno.EBUSY, "detach what is interposed", redirect.detach)
    redirect.take_out()
    expect_errno(errno.EINVAL, "twice", redirect.take_out)
remove("two", "onto")
disk.withdraw()

print("--- the device below alone; what follows the source")
source.interpose(f"/dev/{below}")
expect_errno(errno.EBUSY, "withdraw what is the target", source.below, r.WITHDRAW)
source.take_out()
other.withdraw()
base = os.path.basename(os.path.realpath(dm("base", f"0 8192 linear /dev/{b} 0")))
resized = r.Redirect(base, control).attach()
name, _ = resized.below()
expect(8192, size(name), "its size")
r.remap("base", f"0 16384 linear /dev/{b} 0")
expect("created", resized.state, "state")
wait_until("it is as large as the source", lambda: size(name) == 16384)
subprocess.check_call(["blockdev", "--setro", f"/dev/{base}"])
subprocess.check_call(["blockdev", "--flushbufs", f"/dev/{name}"])
with open(f"/sys/class/block/{name}/ro") as file:
    expect("1", file.read().strip(), "read-only")
resized.withdraw()
resized.detach_when_closed()
remove("base")

print("--- a redirect that is not interposed")
other.start(f"/dev/{second}", sectors=8192)
expect_errno(errno.EINVAL, "without freezing", other.take_out, r.NO_FREEZE)
other.finish()
other.start(f"/dev/{second}", r.BLOCKING, sectors=0, rate=1 << 20, flags=r.NO_RECORD)
expect_errno(errno.EBUSY, "a device below a migration", other.below)
other.cancel()

print("--- others hear of what is written below while nothing is interposed")
control.set(first, [Entry("cbt-only"), Entry("redirect")])


def tool(*arguments: str) -> str:
    command = ["blkfilter-tool", "cbt", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def changed(since: str) -> list[str]:
    return tool("extents", first, since).splitlines()


checkpoint = "base"
tool("checkpoint", first, checkpoint)
expect([], changed(checkpoint), "what has changed")
transfer(below, 4 << 20, 65536)
expect(["8192 128 written"], changed(checkpoint), "what has changed")

source.withdraw()
print("--- a detach takes it away")
name, _ = source.below()
subprocess.check_call(["udevadm", "settle", "--timeout=60"])
source.detach_when_closed()
expect(False, os.path.exists(f"/sys/class/block/{name}"), "it is there")
for redirect in disk, other:
    redirect.detach_when_closed()
