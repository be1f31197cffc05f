# SPDX-License-Identifier: MIT
"""The program of transactions_are_all_or_nothing.sh: DISK PARTITION REFUSING-DISK."""

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

from blkfilter import CONFIRM, DRY_RUN, EXPECT, NO_ENTRY, Control, Entry, Stack, expect, expect_errno, transfer, wait_until

SEEN = Path("/sys/kernel/debug/blkfilter-test")
disk, part, refusing = sys.argv[1:]
control = Control()


def picture() -> tuple[Stack, ...]:
    return tuple(control.stack(name) for name in (disk, part, refusing))


def attachments() -> list[str]:
    """What the tests' filter has allocated."""
    return sorted(path.name for path in SEEN.iterdir() if "." in path.name)


def seen(filter_name: str, field: str) -> int:
    lines = (SEEN / f"{disk}.{filter_name}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == field)


def refused(code: int, failed: int, what: str, entries: list[Entry], flags: int = 0, generation: int = 0,
            limit_ms: int = 20000, name: str = "") -> None:  # fmt: skip
    """It must be refused, with this errno and entry, and nothing must have changed."""
    before, files = picture(), attachments()
    error = expect_errno(code, what, control.set, name or disk, entries, flags, generation, limit_ms)
    expect(failed, error.failed, f"{what}: the entry")
    expect(before, picture(), f"{what}: nothing has changed")
    expect(files, attachments(), f"{what}: what the filter has allocated")


# --- what never had a filter, and a first one ---

expect(Stack(0, []), control.stack(disk), "a device that never had a filter")
refused(errno.ENOMEM, 0, "the first attach() fails", [Entry("test0", options=b"fail=12")])
expect(Stack(0, []), control.stack(disk), "a device that still never had a filter")
first = control.set(disk, [Entry("test0", options=b"take"), Entry("test2"), Entry("test4")])
expect(first, control.stack(disk).generation, "generation")
expect(["test4", "test2", "test0"], control.stack(disk).names, "order")
expect(["taking", "passing", "passing"], [control.stack(disk)[f"test{i}"].state for i in (0, 2, 4)], "states")
second = control.set(part, [Entry("test6")])
expect(True, second > first > 0, "generations count up over all devices")
transfer(disk, 0, 65536)
expect([1, 1, 1], [entry.bios["write"] for entry in control.stack(disk).entries], "statistics")

# --- attach() fails: first, in the middle, last; some go at the same time ---

failing = Entry("test1", options=b"fail=12")
keep = [Entry("test0", options=b"take"), Entry("test2"), Entry("test4")]
refused(errno.ENOMEM, 3, "the only new one fails", [*keep, failing])
refused(errno.ENOMEM, 5, "the third new one fails", [*keep, Entry("test3"), Entry("test5"), failing])
refused(errno.ENOMEM, 0, "the first of three new ones fails", [failing, Entry("test3"), Entry("test5")])
refused(errno.ENOMEM, 1, "the second fails, others go", [Entry("test3"), failing])
refused(errno.ENOMEM, 1, "the successor fails", [Entry("test0", options=b"take"), Entry("test1", 0, b"fail=12", "test2")])
refused(errno.EIO, 1, "its own errno", [Entry("test0", options=b"take"), Entry("test6", options=b"fail=5")])
refused(errno.EINVAL, 0, "options that it does not know", [Entry("test6", options=b"nonsense")])

# --- refused before anything is attached ---

refused(errno.ENOENT, 1, "unknown filter", [Entry("test6"), Entry("test8")])
refused(errno.EEXIST, 2, "twice", [Entry("test6"), Entry("test2"), Entry("test6", 5)])
refused(errno.EBUSY, 1, "two new ones at one altitude", [Entry("test6", 5), Entry("test5", 5)])
refused(errno.EBUSY, 1, "at the altitude of one that stays", [Entry("test2"), Entry("test5", 300000)])
refused(errno.EBUSY, 1, "one that stays moves to another's", [Entry("test2"), Entry("test4", 300000)])
refused(errno.ERANGE, 0, "altitude out of range", [Entry("test6", 1000000)])
refused(errno.EOPNOTSUPP, 1, "other options", [Entry("test2"), Entry("test0", options=b"record")])
refused(errno.EOPNOTSUPP, 0, "no options any more", [Entry("test0")])
refused(errno.ENOENT, 0, "replaces what is not there", [Entry("test6", replaces="test5")])
refused(errno.EINVAL, 1, "replaces what stays", [Entry("test4"), Entry("test6", replaces="test4")])

# --- expected generation ---

now = control.stack(disk).generation
refused(errno.ESTALE, NO_ENTRY, "an older generation", [], EXPECT, now - 1)
refused(errno.ESTALE, NO_ENTRY, "a newer generation", [], EXPECT, now + 1)
refused(errno.ESTALE, NO_ENTRY, "another device's generation", [], EXPECT, second)
control.set(disk, keep, EXPECT, now)
refused(errno.ESTALE, NO_ENTRY, "the one before", [], EXPECT, now)

# --- a dry run ---

before, files = picture(), attachments()
now = control.stack(disk).generation
for entries in [], [Entry("test6")], [*keep, Entry("test6", replaces="")], [Entry("test6", replaces="test0")]:
    expect(now, control.set(disk, entries, DRY_RUN), "a dry run returns the generation that there is")
expect(now, control.set(disk, keep, DRY_RUN | EXPECT | CONFIRM, now), "a dry run with all flags")
expect(before, picture(), "a dry run changes nothing")
expect(files, attachments(), "what the filter has allocated after dry runs")
refused(errno.ENOENT, 0, "a dry run of what is impossible", [Entry("test9")], DRY_RUN)
refused(errno.ESTALE, NO_ENTRY, "a dry run with a generation", keep, DRY_RUN | EXPECT, now - 1)

# --- who stays, stays: instance and statistics, wherever it is now ---

old = control.stack(disk)
control.set(disk, [Entry("test0", 700000.5, b"take"), Entry("test2", 0.000001), Entry("test4", 300000), Entry("test6", 300001)])
new = control.stack(disk)
expect(["test0", "test6", "test4", "test2"], new.names, "the new order")
for name in old.names:
    expect((old[name].instance, old[name].bios), (new[name].instance, new[name].bios), f"{name} has stayed")
expect(True, new["test6"].instance > max(old.instances.values()), "a number is never used again")
expect(0, new["test6"].bios["write"], "a new one has seen nothing")
transfer(disk, 0, 4096)
expect([2, 2, 2, 1], [control.stack(disk)[name].bios["write"] for name in ("test0", "test2", "test4", "test6")], "they count on")
expect(2, control.stack(disk)["test0"].bios["write"], "what takes is still taking")

# Two change places in one transaction.
control.set(disk, [Entry("test2", 300000), Entry("test4", 0.000001)])
expect(["test2", "test4"], control.stack(disk).names, "changed places")
expect([new["test2"].instance, new["test4"].instance], [entry.instance for entry in control.stack(disk).entries], "by instance")

# The order is really another: what one of them ends, only those above see.
control.set(disk, [Entry("test2", 300000), Entry("test4", 0.000001), Entry("test0", 200000, b"end")])
count = {name: control.stack(disk)[name].bios["write"] for name in ("test2", "test4")}
expect_errno(errno.EIO, "a write that a filter ends", transfer, disk, 0, 4096)
expect([count["test2"] + 1, count["test4"]], [control.stack(disk)[n].bios["write"] for n in ("test2", "test4")], "who saw it")
control.set(disk, [Entry("test2", 0.000001), Entry("test4", 300000), Entry("test0", 200000, b"end")])
count = {name: control.stack(disk)[name].bios["write"] for name in ("test2", "test4")}
expect_errno(errno.EIO, "a write that a filter ends", transfer, disk, 0, 4096)
expect([count["test2"], count["test4"] + 1], [control.stack(disk)[n].bios["write"] for n in ("test2", "test4")], "who saw it")

# Tag and options: the tag is replaced, the same options change nothing.
control.set(disk, [Entry("test2", 300000, owner=b"A" * 16), Entry("test0", 200000, b"end", owner=b"B" * 16)])
stack = control.stack(disk)
expect([b"A" * 16, b"B" * 16], [entry.owner for entry in stack.entries], "tags")
expect(new["test2"].instance, stack["test2"].instance, "a tag changes no instance")
expect(b"end", stack["test0"].options, "options as given")
control.set(disk, [Entry("test2", owner=b"C" * 16)])
expect((b"C" * 16, 300000), (control.stack(disk)["test2"].owner, control.stack(disk)["test2"].altitude), "another tag, same altitude")

# Off and on again is another one.
control.set(disk, [])
expect([], control.stack(disk).names, "all off")
control.set(disk, [Entry("test2")])
expect(True, control.stack(disk)["test2"].instance > stack["test0"].instance, "another instance")
expect(0, control.stack(disk)["test2"].bios["write"], "which has seen nothing")

# --- a successor, also at the altitude that becomes free ---

control.set(disk, [Entry("test4", 300000, replaces="test2")])
expect(["test4"], control.stack(disk).names, "the successor")
expect(1, seen("test4", "successors"), "the successor was handed the state")
control.set(disk, [Entry("test4"), Entry("test2", 5)])
control.set(disk, [Entry("test6", replaces="test4"), Entry("test0", replaces="test2")])
expect([1, 1], [seen("test6", "successors"), seen("test0", "successors")], "two successors at once")
control.set(disk, [Entry("test2"), Entry("test4")])
expect([0, 0], [seen("test2", "successors"), seen("test4", "successors")], "without one that is replaced")

# --- it does not drain: the limit, and nothing has changed; the write is not lost ---

control.set(disk, [Entry("test0", options=b"take delay=4000")])
writer = threading.Thread(target=transfer, args=(disk, 0, 4096))
writer.start()
wait_until("the write is taken", lambda: seen("test0", "on_their_way") == 1)
before, files = picture(), attachments()
began = time.monotonic()
error = expect_errno(errno.ETIMEDOUT, "it does not drain", control.set, disk, [], 0, 0, 300)
if not 0.3 <= time.monotonic() - began < 2:
    sys.exit(f"the limit of 0.3 s took {time.monotonic() - began:.2f} s")
expect(NO_ENTRY, error.failed, "no entry is to blame")
expect_errno(errno.ETIMEDOUT, "it still does not", control.set, disk, [Entry("test2"), Entry("test5")], 0, 0, 200)
now = picture()
expect([(s.generation, s.instances) for s in before], [(s.generation, s.instances) for s in now], "nothing has changed")
expect(files, attachments(), "what the filter has allocated")
writer.join()
now = control.stack(disk)["test0"]
expect(1, now.bios["write"], "the write")
control.set(disk, [Entry("test2")])

# --- a filter that refuses to go ---

control.set(refusing, [Entry("test0", options=b"veto"), Entry("test2")])
for what, entries in (
    ("off", []),
    ("off, another stays", [Entry("test2")]),
    ("replaced", [Entry("test2"), Entry("test4", replaces="test0")]),
):
    refused(errno.EBUSY, NO_ENTRY, f"it refuses: {what}", entries, name=refusing)
    refused(errno.EBUSY, NO_ENTRY, f"it refuses: {what}, dry run", entries, DRY_RUN, name=refusing)
control.set(refusing, [Entry("test0", 5, b"veto"), Entry("test4")])
expect(["test4", "test0"], control.stack(refusing).names, "it may be moved, and others may go")

# --- exit codes of the tool ---


def tool(code: int, *arguments: str) -> None:
    got = subprocess.run(["blkfilter-tool", *arguments], capture_output=True, text=True, check=False)
    expect(code, got.returncode, f"exit code of {' '.join(arguments)}: {got.stderr}")


tool(0, "stack", disk, "set", "--dry-run", "test0", "test5")
tool(0, "stack", disk, "set", "--expect", str(control.stack(disk).generation), "test0,options=take delay=6000")
tool(1, "stack", disk, "set", "--expect", "1", "test0")
tool(1, "stack", disk, "set", "test2@5", "test0@5,options=record")
tool(4, "stack", disk, "set", "test9")
tool(4, "stack", "no-such-disk", "set", "test0")
tool(5, "stack", refusing, "set", "--empty")
tool(5, "detach", refusing, "test0")
tool(2, "stack", disk, "set")
tool(2, "stack", disk, "set", "test0@1000000.5.5")
writer = threading.Thread(target=transfer, args=(disk, 0, 4096))
writer.start()
wait_until("the write is taken", lambda: seen("test0", "on_their_way") == 1)
tool(6, "stack", disk, "set", "--limit", "200", "test2")
writer.join()
expect(["test0"], control.stack(disk).names, "still")
control.set(disk, [])
control.set(part, [])
