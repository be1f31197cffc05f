# SPDX-License-Identifier: MIT
"""The program of attribute_and_node_ioctls.sh: DISK PARTITION PARAMETERS."""

import errno
import fcntl
import os
import struct
import subprocess
import sys
from pathlib import Path

from blkfilter import Control, Entry, Node, expect, expect_errno

disk, part, parameters = sys.argv[1:]
hooked = parameters != "ioctl_hook=0"
control = Control()


def attribute(name: str) -> str:
    return (Path("/sys/class/block") / name / "filter").read_text()


def tool(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["blkfilter-tool", *arguments], capture_output=True, text=True, check=False)


# The attribute: from high to low, one a line; an empty line when there is none; read by everyone, written by nobody.
for name in disk, part:
    expect("\n", attribute(name), f"{name}: no filter")
    expect(0o100444, (Path("/sys/class/block") / name / "filter").stat().st_mode, f"{name}: mode of the attribute")
control.set(disk, [Entry("test0"), Entry("test6", 0.5), Entry("test3", 100000.000001)])
expect("test3\ntest0\ntest6\n", attribute(disk), "the disk's")
expect("\n", attribute(part), "the partition's")
control.set(part, [Entry("test5")])
expect("test3\ntest0\ntest6\n", attribute(disk), "the disk's")
expect("test5\n", attribute(part), "the partition's")
control.set(disk, [])
control.set(part, [])
expect("\n", attribute(disk), "the disk's, after")

# A disk that comes has it too.
folder = Path("/sys/kernel/config/nullb/another")


def another_disk() -> str:
    folder.mkdir()
    (folder / "power").write_text("1")
    by_name = Path("/sys/block/another").exists()
    return "another" if by_name else "nullb" + (folder / "index").read_text().strip()


another = another_disk()
expect("\n", attribute(another), "a disk that comes")
(folder / "power").write_text("0")
folder.rmdir()

# Whether the hook is there, by the kernel's own word.
functions = Path("/sys/kernel/tracing/enabled_functions").read_text()
expect(hooked, any(line.startswith("blkdev_ioctl ") for line in functions.splitlines()), "blkdev_ioctl is hooked")

expect(f"node-ioctls {'yes' if hooked else 'no'}", tool("version").stdout.splitlines()[-1], "what the tool says")

node, part_node = Node(disk), Node(part)
sectors = struct.unpack("Q", fcntl.ioctl(node.fd, 0x80081272, bytes(8)))[0] // 512
expect(int(Path(f"/sys/block/{disk}/size").read_text()), sectors, "another ioctl of the same node")
expect_errno(errno.ENOTTY, "an ioctl that nobody knows", fcntl.ioctl, node.fd, 0xC020128F, bytes(32))
if not hooked:
    expect_errno(errno.ENOTTY, "attach", node.attach, "test0")
    expect_errno(errno.ENOTTY, "detach", node.detach, "test0")
    expect_errno(errno.ENOTTY, "command", node.command, "test0", 0)
    expect(1, tool("node-attach", f"/dev/{disk}", "test0").returncode, "exit code of node-attach")
    expect("\n", attribute(disk), "nothing happened")
    sys.exit()

expect_errno(errno.ENOENT, "attach what is not known", node.attach, "test9")
expect_errno(errno.ENOENT, "detach where nothing is", node.detach, "test0")
expect_errno(errno.ENOENT, "detach what is not known", node.detach, "test9")
expect_errno(errno.ENOENT, "command where nothing is", node.command, "test0", 0)
expect("\n", attribute(disk), "nothing happened")

node.attach("test2")
expect(300000, control.stack(disk)["test2"].altitude, "default altitude")
expect_errno(errno.EALREADY, "attach again", node.attach, "test2")
expect_errno(errno.EINVAL, "detach another", node.detach, "test0")
expect_errno(errno.ENOENT, "detach from the partition", part_node.detach, "test2")
part_node.attach("test2")
expect(("test2\n", "test2\n"), (attribute(disk), attribute(part)), "disk and partition")
part_node.detach("test2")
expect(("test2\n", "\n"), (attribute(disk), attribute(part)), "disk and partition")

# Others stay as they are.
control.set(disk, [Entry("test2"), Entry("test4", 7, b"take", owner=bytes(range(16)))])
before = control.stack(disk)
node.attach("test0")
expect("test2\ntest0\ntest4\n", attribute(disk), "order")
node.detach("test0")
after = control.stack(disk)
expect(before.entries, after.entries, "those that were there before")
expect(True, after.generation > before.generation, "the generation counts up")

# An altitude that another filter has: only with two filters is that possible.
control.set(disk, [Entry("test2", 100000)])
expect_errno(errno.EBUSY, "altitude taken", node.attach, "test0")
expect("test2\n", attribute(disk), "nothing happened")

# A filter that refuses: it goes with its disk only.
another = another_disk()
control.set(another, [Entry("test0", options=b"veto")])
refusing = Node(another)
expect_errno(errno.EBUSY, "detach what refuses", refusing.detach, "test0")
expect(5, tool("node-detach", f"/dev/{another}", "test0").returncode, "exit code: refused")
expect("test0\n", attribute(another), "it stays")
refusing.close()
(folder / "power").write_text("0")
folder.rmdir()

# Commands: the answer, its length.
control.set(disk, [Entry("test0")])
expect((5, b"edcba"), node.command("test0", 0, b"abcde"), "answer")
expect((0, b""), node.command("test0", 0), "no argument, no answer")
expect((0, b"abc"), node.command("test0", 1, b"abc"), "optlen of a command without an answer")
expect_errno(errno.ENOTTY, "unknown command", node.command, "test0", 2)
expect_errno(errno.EINVAL, "longer than it takes", node.command, "test0", 0, bytes(17))
expect_errno(errno.ENOENT, "to one that is not attached", node.command, "test2", 0)
expect_errno(errno.ENOENT, "by the partition's node", part_node.command, "test0", 0)

# From a shell.
answer = tool("node-command", f"/dev/{disk}", "test0", "0", "010203")
expect((0, "030201"), (answer.returncode, answer.stdout.strip()), "node-command")
expect(4, tool("node-command", f"/dev/{part}", "test0", "0").returncode, "exit code: not attached")
expect(4, tool("node-attach", f"/dev/{disk}", "test9").returncode, "exit code: no such filter")
expect(0, tool("node-attach", f"/dev/{part}", "test1").returncode, "exit code of node-attach")
expect("test1\n", attribute(part), "node-attach")
expect(1, tool("node-attach", f"/dev/{part}", "test1").returncode, "exit code: already attached")
expect(1, tool("node-detach", f"/dev/{disk}", "test1").returncode, "exit code: another is attached")
expect(0, tool("node-detach", f"/dev/{part}", "test1").returncode, "exit code of node-detach")

# A node that is open for writing only, or for both; a file that is no device.
for flags in os.O_WRONLY, os.O_RDWR:
    other = Node(part, flags)
    other.attach("test3")
    other.detach("test3")
    other.close()
file = os.open("/dev/null", os.O_RDWR)
expect_errno(errno.ENOTTY, "what is no block device", fcntl.ioctl, file, 0xC020128C, struct.pack("32s", b"test0"))

control.set(disk, [])
