# SPDX-License-Identifier: MIT
"""The program of events_tell_what_happened.sh."""

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from blkfilter import DRY_RUN, EVENT_BYTES, EXPECT, UNIT, Control, Entry, Events, expect, expect_errno, identity

events = Events()
last = None

def told(what, wanted, pid=None, comm="python3", seconds=20):
    """The events since the last time are exactly these: type, device, name, value, reason."""
    global last
    got = events.take_count(len(wanted), seconds)
    expect(wanted, [(e.type, e.device, e.name, e.value, e.reason) for e in got], what)
    for event in got:
        if last:
            expect(last.seq + 1, event.seq, f"{what}: number of {event.type}")
            if event.time_ns < last.time_ns:
                sys.exit(f"{what}: time went back")
        if comm is not None:
            expect(comm, event.comm, f"{what}: who caused {event.type}")
            expect(os.getpid() if pid is None else pid, event.pid, f"{what}: pid that caused {event.type}")
        if event.type not in ("POINT", "FILTER"):
            expect(bytes(64), event.data, f"{what}: data of {event.type}")
        last = event
    return got

def run(*command):
    """Returns the pid that it had."""
    process = subprocess.Popen(command)
    expect(0, process.wait(), " ".join(command))
    return process.pid

NOWHERE = (0, 0, 0)
ALTITUDE = {f"test{i}": (i + 1) * 100000 * UNIT for i in range(7)} | {"test7": 700000 * UNIT + 1}

told("nothing yet", [])
pid = run("insmod", f"{os.environ['MODDIR']}/blkfilter-test.ko")
told("filters come", [("REGISTERED", NOWHERE, f"test{i}", ALTITUDE[f"test{i}"], "") for i in range(8)], pid, "insmod")

# A disk comes: the name and number that it has. The writer of "power" caused it.
run("modprobe", "null_blk", "nr_devices=0")
folder = Path("/sys/kernel/config/nullb/told")
folder.mkdir()
(folder / "size").write_text("32")
(folder / "memory_backed").write_text("1")
(folder / "power").write_text("1")
disk = "told" if Path("/sys/block/told").exists() else "nullb" + (folder / "index").read_text().strip()
device = identity(disk)
told("a disk comes", [("DEVICE_ADDED", device, disk, 0, "")])

control = Control()
generation = control.set(disk, [Entry("test0"), Entry("test6"), Entry("test2", 250000.5)])
told("attach", [
    ("ATTACHED", device, "test6", ALTITUDE["test6"], ""),
    ("ATTACHED", device, "test2", 250000500000, ""),
    ("ATTACHED", device, "test0", ALTITUDE["test0"], ""),
    ("STACK", device, "", generation, ""),
])
generation = control.set(disk, [Entry("test0"), Entry("test4", replaces="test2")])
told("replace one, take one off", [
    ("DETACHED", device, "test6", ALTITUDE["test6"], "REQUEST"),
    ("DETACHED", device, "test2", 250000500000, "REPLACED"),
    ("ATTACHED", device, "test4", ALTITUDE["test4"], ""),
    ("STACK", device, "", generation, ""),
])
generation = control.set(disk, [Entry("test0", 600001), Entry("test4")])
told("another order", [("STACK", device, "", generation, "")])

# What changes nothing.
control.set(disk, [Entry("test1")], DRY_RUN)
expect_errno(errno.ENOENT, "no such filter", control.set, disk, [Entry("test9")])
expect_errno(errno.ENOSPC, "attach() fails", control.set, disk,
             [Entry("test0"), Entry("test4"), Entry("test2"), Entry("test6", options=b"fail=28")])
expect_errno(errno.ESTALE, "generation", control.set, disk, [], EXPECT, generation + 1)
told("nothing happened", [])

# Points: one event for each device, with the id.
ident = bytes(range(1, 17))
control.point([disk], ident)
(event,) = told("point", [("POINT", device, "", 0, "")])
expect(ident + bytes(48), event.data, "id of the point")

# A filter's own.
control.command(disk, "test0", 1)
(event,) = told("filter's own", [("FILTER", device, "test0", 42, "")])
expect(b"changed\0" + bytes(56), event.data, "data of the filter")

# By the node, from another program.
process = subprocess.Popen(["blkfilter-tool", "node-attach", f"/dev/{disk}", "test6"])
expect(0, process.wait(), "node-attach")
generation = control.stack(disk).generation
told("node attach", [("ATTACHED", device, "test6", ALTITUDE["test6"], ""), ("STACK", device, "", generation, "")],
     process.pid, "blkfilter-tool")

# Partitions of the disk.
subprocess.run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", f"/dev/{disk}"], input=b"label: gpt\nsize=4MiB\nsize=4MiB\n",
               check=True, stdout=subprocess.DEVNULL)
told("writing a table", [])
pid = run("blockdev", "--rereadpt", f"/dev/{disk}")
names = [path.name for path in sorted(Path(f"/sys/block/{disk}").glob(f"{disk}*[12]")) if (path / "partition").exists()]
parts = [identity(name) for name in names]
expect(2, len(parts), "partitions")
told("partitions come", [("DEVICE_ADDED", part, name, 0, "") for part, name in zip(parts, names)], pid, "blockdev")
generation = control.set(names[0], [Entry("test3")])
told("attach to a partition", [("ATTACHED", parts[0], "test3", ALTITUDE["test3"], ""), ("STACK", parts[0], "", generation, "")])
control.point([disk, names[0]], ident)
told("point of both", [("POINT", device, "", 0, ""), ("POINT", parts[0], "", 0, "")])

# A device that is open for writing settles; then it grows. Both are told by a worker.
run("losetup", "/dev/loop0", "/tmp/image")
loop = identity("loop0")
with open("/dev/loop0", "r+b", buffering=0) as opened:
    generation = control.set("loop0", [Entry("test5")])
    told("attach to what is open", [("ATTACHED", loop, "test5", ALTITUDE["test5"], ""), ("STACK", loop, "", generation, "")])
    told("settled", [("SETTLED", loop, "", 0, "")], 0, "")
    os.truncate("/tmp/image", 24 << 20)
    run("losetup", "-c", "/dev/loop0")
    opened.write(bytes(4096))
    os.fsync(opened.fileno())
    told("resized", [("RESIZED", loop, "", 24 << 11, "")], 0, "")
generation = control.set("loop0", [])
told("detach", [("DETACHED", loop, "test5", ALTITUDE["test5"], "REQUEST"), ("STACK", loop, "", generation, "")])
run("losetup", "-d", "/dev/loop0")
told("a loop device without a file", [])

# The disk goes, partitions first. A partition's filters go when it is sure that no rescan brings it back: by a worker, or with
# the disk.
(folder / "power").write_text("0")
got = events.take_count(7)
of_part = [e for e in got if e.type == "DETACHED" and e.device == parts[0]]
expect([("test3", ALTITUDE["test3"], "REMOVED")], [(e.name, e.value, e.reason) for e in of_part], "the partition's filter")
if got.index(of_part[0]) < [e.name for e in got].index(names[0]):
    sys.exit("the partition's filter went before the partition")
expect(
    [
        ("DEVICE_REMOVED", parts[0], names[0], 0, ""),
        ("DEVICE_REMOVED", parts[1], names[1], 0, ""),
        ("DETACHED", device, "test6", ALTITUDE["test6"], "REMOVED"),
        ("DETACHED", device, "test0", 600001 * UNIT, "REMOVED"),
        ("DETACHED", device, "test4", ALTITUDE["test4"], "REMOVED"),
        ("DEVICE_REMOVED", device, disk, 0, ""),
    ],
    [(e.type, e.device, e.name, e.value, e.reason) for e in got if e not in of_part],
    "the disk goes",
)
expect(list(range(last.seq + 1, last.seq + 8)), [e.seq for e in got], "numbers")
expect({os.getpid()}, {e.pid for e in got if e not in of_part}, "who took it away")

# Slow readers.
(folder / "power").write_text("1")
disk = "told" if Path("/sys/block/told").exists() else "nullb" + (folder / "index").read_text().strip()
control.set(disk, [Entry("test0")])
last = events.take(20)[-1]
slow = Events()
for _ in range(1024):
    control.command(disk, "test0", 1)
    last = events.read()[-1]
first = last.seq - 1023
expect([], events.take(), "a reader that keeps up")
got = [slow.read(1)[0] for _ in range(10)]
expect([first + i for i in range(10)], [e.seq for e in got], "1024 fit")
for _ in range(310):
    control.command(disk, "test0", 1)
got = slow.take()
expect(("LOST", 300, first + 309, NOWHERE, 0), (got[0].type, got[0].value, got[0].seq, got[0].device, got[0].pid), "300 too many")
expect([first + 310 + i for i in range(1024)], [e.seq for e in got[1:]], "after what was lost")
control.command(disk, "test0", 1)
expect(["FILTER"], [e.type for e in slow.take()], "after that")
expect(1 + 311, len(events.take()) + 1, "the other reader")

# A reader that comes later sees nothing of before; without room, with room for two, blocking.
late = Events()
expect(False, late.readable(), "poll, nothing to read")
expect_errno(errno.EAGAIN, "O_NONBLOCK, nothing to read", late.read)
for _ in range(3):
    control.command(disk, "test0", 1)
expect(True, late.readable(), "poll")
expect_errno(errno.EINVAL, "too little room", os.read, late.fd, EVENT_BYTES - 1)
expect(2 * EVENT_BYTES, len(os.read(late.fd, 3 * EVENT_BYTES - 1)), "room for two")
expect(EVENT_BYTES, len(os.read(late.fd, 64 * EVENT_BYTES)), "one is left")
blocking = Events(os.O_RDONLY)
answers = []
reader = threading.Thread(target=lambda: answers.extend(blocking.read()))
reader.start()
poller = threading.Thread(target=lambda: answers.append(late.readable(20)))
poller.start()
time.sleep(0.5)
expect([], answers, "nothing to read yet")
control.command(disk, "test0", 1)
reader.join(20)
poller.join(20)
expect(["FILTER", True], sorted((a if a is True else a.type for a in answers), key=str), "woken")

class Alarm(Exception):
    pass

def alarm(*_):
    raise Alarm
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    blocking.read()
    sys.exit("a read without an event returned")
except Alarm:
    pass

(folder / "power").write_text("0")
folder.rmdir()
run("rmmod", "null_blk")
last = events.take(5)[-1]
pid = run("rmmod", "blkfilter-test")
told("filters go", [("UNREGISTERED", NOWHERE, f"test{i}", 0, "") for i in reversed(range(8))], pid, "rmmod")
print(f"{last.seq} events")
