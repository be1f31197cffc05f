# SPDX-License-Identifier: MIT
"""The program of partitions_are_followed.sh: DISK."""

import os
import subprocess
import sys
from pathlib import Path

from blkfilter import Control, Entry, Events, attachments, expect, grown, identity, seen, traced, transfer, wait_until

disk = sys.argv[1]
control = Control()
events = Events()
P = disk + "p" if disk[-1].isdigit() else disk
UUID = [f"0d5a7ef2-51a5-4a3b-9d7e-00000000000{i}" for i in range(4)]


def run(*command: str, **named: object) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **named)


def rescan() -> None:
    run("blockdev", "--rereadpt", f"/dev/{disk}")


def table(*parts: str) -> None:
    """Writes a partition table and has it read: START SIZE NUMBER-OF-UUID, in MiB."""
    lines = ["label: gpt"]
    for part in parts:
        start, size, uuid = part.split()
        lines.append(f"start={int(start) * 2048}, size={int(size) * 2048}, uuid={UUID[int(uuid)]}")
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--wipe=never", f"/dev/{disk}", input="\n".join(lines).encode())
    rescan()


def what_went() -> dict[str, str]:
    """Filters that were detached since the last time, and why."""
    return {e.name: e.reason for e in events.take() if e.type == "DETACHED"}


def counts_right(what: str, name: str, before: dict[tuple[int, int], list[int]], old: list[int], filter_name: str) -> None:
    """It has counted on from @old all that the kernel has counted since @before."""
    wanted = [a + b for a, b in zip(old, grown(before, name))]
    expect(wanted, control.stack(name)[filter_name].counts, f"{what}: what {filter_name} of {name} has counted")


# --- a rescan of the same table ---

table("1 8 1", "16 8 2", "32 8 3")
names = [f"{P}{i}" for i in (1, 2, 3)]
control.set(disk, [Entry("test0")])
control.set(names[0], [Entry("test2"), Entry("test5", options=b"take")])
control.set(names[2], [Entry("test4", 5, owner=b"T" * 16)])
for name in names:
    transfer(name, 0, 8192)
events.take()
for again in range(3):
    old = {name: control.stack(name) for name in (disk, *names)}
    before = traced()
    rescan()
    for name in names:
        expect((old[name].generation, old[name].instances), (control.stack(name).generation, control.stack(name).instances), name)
    expect(b"take", control.stack(names[0])["test5"].options, "options")
    expect(b"T" * 16, control.stack(names[2])["test4"].owner, "tag")
    for name in names:
        transfer(name, 4096, 4096)
    counts_right("rescan", names[0], before, old[names[0]]["test5"].counts, "test5")
    counts_right("rescan", names[2], before, old[names[2]]["test4"].counts, "test4")
    expect("test4\n", Path(f"/sys/class/block/{names[2]}/filter").read_text(), "attribute after a rescan")
    # Through the disk too: the partition's range is known.
    many = control.stack(names[0])["test2"].bios["write"]
    transfer(disk, 2 << 20, 4096)
    expect(many + 1, control.stack(names[0])["test2"].bios["write"], "written through the disk")
expect({}, what_went(), "nothing went")
control.command(names[0], "test5", 1)
control.point([disk, *names], bytes(range(16)))

# --- one is another now: start, size, PARTUUID ---

for what, parts in (
    ("another start", ("2 8 1", "16 8 2", "32 8 3")),
    ("another size", ("1 9 1", "16 8 2", "32 8 3")),
    ("another PARTUUID", ("1 8 0", "16 8 2", "32 8 3")),
):
    third = control.stack(names[2]).instances
    table(*parts)
    wait_until(f"{what}: the filters go", lambda: not any(a.startswith(names[0] + ".") for a in attachments()))
    expect({"test2": "CHANGED", "test5": "CHANGED"}, what_went(), what)
    expect([], control.stack(names[0]).names, f"{what}: the partition has no filter")
    expect(third, control.stack(names[2]).instances, f"{what}: the other stays")
    transfer(names[0], 0, 4096)
    # Attach to what it is now; then back to what it was, which is another change.
    control.set(names[0], [Entry("test2"), Entry("test5", options=b"take")])
    table("1 8 1", "16 8 2", "32 8 3")
    wait_until(f"{what}, back", lambda: not any(a.startswith(names[0] + ".") for a in attachments()))
    expect({"test2": "CHANGED", "test5": "CHANGED"}, what_went(), f"{what}, back")
    control.set(names[0], [Entry("test2"), Entry("test5", options=b"take")])

# --- deleted: by a new table, and one of them by ioctl; then all ---

table("1 8 1", "16 8 2")
wait_until("the filters of a deleted partition go", lambda: not any(a.startswith(names[2] + ".") for a in attachments()))
expect({"test4": "REMOVED"}, what_went(), "deleted")
table("1 8 1", "16 8 2", "32 8 3")
expect([], control.stack(names[2]).names, "one that comes back later has none")
control.set(names[2], [Entry("test4")])
run("delpart", f"/dev/{disk}", "3")
wait_until("the filters of a deleted partition go", lambda: not any(a.startswith(names[2] + ".") for a in attachments()))
expect({"test4": "REMOVED"}, what_went(), "deleted by ioctl")
old = control.stack(disk).instances
run("delpart", f"/dev/{disk}", "1")
run("addpart", f"/dev/{disk}", "1", "4096", "8192")
wait_until("the filters of a deleted partition go", lambda: attachments() == [f"{disk}.test0"])
expect(2, len(what_went()), "deleted, and another one added at once")
transfer(names[0], 0, 4096)
table()
expect(old, control.stack(disk).instances, "the disk's own stay")
expect({}, what_went(), "partitions without filters")
control.set(disk, [])
events.take()

# --- a loop device that grows, shrinks, and gets another file ---

run("losetup", "/dev/loop0", "/tmp/first")
loop = identity("loop0")
control.set("loop0", [Entry("test3"), Entry("test6")])
instances = control.stack("loop0").instances


def resized(size: int) -> None:
    """The filters and userspace are told of it, once."""
    wait_until(f"size {size}", lambda: seen("loop0", "test3", "sectors") == size // 512)
    told = [(e.device, e.value) for e in events.take_count(1) if e.type == "RESIZED"]
    expect([(identity("loop0"), size // 512)], told, "events")


events.take()
for step, mib in enumerate((24, 8, 20), 1):
    os.truncate("/tmp/first", mib << 20)
    run("losetup", "-c", "/dev/loop0")
    transfer("loop0", 0, 4096)
    resized(mib << 20)
    expect([step, 0], [seen("loop0", "test3", field) for field in ("resizes", "unseen")], "resized() and unseen() were called")
# At a point without any write.
os.truncate("/tmp/first", 16 << 20)
run("losetup", "-c", "/dev/loop0")
control.point(["loop0"], bytes(range(16)))
expect(16 << 11, seen("loop0", "test3", "sectors"), "size known at the point")
expect([4, 0], [seen("loop0", "test3", field) for field in ("resizes", "unseen")], "resized() and unseen() were called")
events.take()

# Another file: another medium.
run("losetup", "-d", "/dev/loop0")
run("losetup", "/dev/loop0", "/tmp/second")
if identity("loop0") == loop:
    sys.exit("the kernel has not counted the exchange")
transfer("loop0", 0, 4096)
resized(12 << 20)
wait_until("unseen() is called", lambda: seen("loop0", "test6", "unseen"))
expect(instances, control.stack("loop0").instances, "they stay on the device")
expect(True, seen("loop0", "test3", "unseen") >= 1, "the other filter was told too")
control.set("loop0", [])
run("losetup", "-d", "/dev/loop0")
events.take()

# --- a mapped device is given another table ---

run("dmsetup", "create", "follow", "--table", f"0 16384 linear /dev/{disk} 0")
name = next(path.parts[3] for path in Path("/sys/block").glob("dm-*/dm/name") if path.read_text() == "follow\n")
control.set(name, [Entry("test5")])
before = traced()
old_counts = control.stack(name)["test5"].counts
for step, sectors in enumerate((32768, 8192), 1):
    run("dmsetup", "suspend", "follow")
    run("dmsetup", "reload", "follow", "--table", f"0 {sectors} linear /dev/{disk} 2048")
    run("dmsetup", "resume", "follow")
    transfer(name, 4096, 4096)
    wait_until("the size of a mapped device", lambda sectors=sectors: seen(name, "test5", "sectors") == sectors)
    expect([step, 0], [seen(name, "test5", field) for field in ("resizes", "unseen")], "resized() and unseen() were called")
counts_right("dm reload", name, before, old_counts, "test5")
expect([32768, 8192], [e.value for e in events.take() if e.type == "RESIZED"], "events of a mapped device")
run("dmsetup", "remove", "follow")
wait_until("its filters go", lambda: not attachments())
expect(["REMOVED"], list(what_went().values()), "why")
