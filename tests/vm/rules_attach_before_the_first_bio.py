# SPDX-License-Identifier: MIT
"""The program of rules_attach_before_the_first_bio.sh."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

from blkfilter import (
    CONFIRM, EXPECT, FROM_FIRST_BIO, PROVISIONAL, SEEN, Control, Entry, Events, attachments, expect, expect_errno, grown, number, seen,
    traced, transfer, wait_until,
)  # fmt: skip

HOOKED = Path("/sys/kernel/tracing/enabled_functions")
control = Control()


def run(*command: str, **named: object) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **named)


def hooked() -> bool:
    return "submit_bio_noacct_nocheck " in HOOKED.read_text()


class NullDisk:
    """A null_blk disk that comes and goes."""

    def __init__(self, name: str):
        self.folder = Path("/sys/kernel/config/nullb") / name
        if not self.folder.exists():
            self.folder.mkdir()
            (self.folder / "size").write_text("32")
            (self.folder / "memory_backed").write_text("1")
        (self.folder / "power").write_text("1")
        index = (self.folder / "index").read_text().strip()
        self.name = name if Path(f"/sys/block/{name}").exists() else f"nullb{index}"

    def gone(self) -> None:
        (self.folder / "power").write_text("0")


def of_driver(module: str, name: str) -> dict[str, str]:
    """A driver that is built in has no name, so its devices are known by theirs."""
    return {"driver": module} if Path(f"/sys/module/{module}/initstate").exists() else {"name": name}


def partitions(disk: str) -> list[str]:
    return sorted(path.name for path in Path(f"/sys/block/{disk}").glob(f"{disk}*") if (path / "partition").exists())


def from_first_bio(name: str, before: dict[tuple[int, int], list[int]], names: list[str], *also: str) -> None:
    """The device has these filters from its first bio on; @also: its partitions."""
    stack = control.stack(name)
    expect(names, stack.names, f"{name}: filters")
    counted = grown(before, name, *also)
    if not any(counted):
        sys.exit(f"{name}: it had no bio at all")
    for entry in stack.entries:
        expect(counted, entry.counts, f"{name} {entry.name}: bios and sectors since it appeared")
        expect(FROM_FIRST_BIO, entry.flags & FROM_FIRST_BIO, f"{name} {entry.name}: from the first bio")
        expect(1, seen(name, entry.name, "settled"), f"{name} {entry.name}: settled at once")
        expect(0, seen(name, entry.name, "unseen"), f"{name} {entry.name}: nothing was unseen")
    print(f"{name}: {' '.join(names)}: {counted}")


def use(name: str) -> None:
    """Some bios of any kind."""
    transfer(name, 0, 65536, write=False)
    transfer(name, 1 << 20, 4096)
    with open(f"/dev/{name}", "r+b") as opened:
        opened.seek(2 << 20)
        opened.write(b"buffered" * 10000)
        opened.flush()
        os.fsync(opened.fileno())


# --- a disk, by each key that the kernel knows ---

# Loading tries the hook out, and a hook that is not needed any more goes a moment later.
wait_until("the hook goes without filters and rules", lambda: not hooked())
disk = NullDisk("ruled")
own_name = disk.name
expect([], control.stack(disk.name).names, "without a rule")
major = number(disk.name)[0]
disk.gone()
two = (Entry("test2"), Entry("test5", 123456.5, b"take", owner=b"R" * 16))
for keys in (
    {"name": own_name},
    {"name": own_name[:3] + "*"},
    {"name": "?" + own_name[1:], "disk": True},
    {"driver": "null_blk"},
    {"major": major},
    {"major": major, "driver": "null_blk", "name": "*", "disk": True},
):
    rule = control.rule(*two, **keys)
    expect(True, hooked(), "the hook while there is a rule")
    before = traced()
    disk = NullDisk("ruled")
    from_first_bio(disk.name, before, ["test2", "test5"])
    shown = control.stack(disk.name)["test5"]
    expect((123456.5, b"take", b"R" * 16, "taking"), (shown.altitude, shown.options, shown.owner, shown.state), "as the rule says")
    if "name" not in keys:
        use(disk.name)
        from_first_bio(disk.name, before, ["test2", "test5"])
    control.remove_rule(rule)
    expect(["test2", "test5"], control.stack(disk.name).names, "filters stay when the rule goes")
    disk.gone()
    wait_until("what the filter has allocated is gone", lambda: not attachments())
for keys in (
    {"name": own_name + "x"}, {"name": own_name[:-1]}, {"name": own_name, "partition": True}, {"driver": "null"},
    {"driver": "null_blk", "major": major + 1}, {"name": own_name, "disk": True, "partition": True}, {"partuuid": ""},
    {"partlabel": ""}, {"wwid": "0123456789abcdef"},
):  # fmt: skip
    rule = control.rule(*two, **keys)
    disk = NullDisk("ruled")
    expect([], control.stack(disk.name).names, f"no match: {keys}")
    disk.gone()
    control.remove_rule(rule)

# --- the first rule that matches; the list ---

never = control.rule(Entry("test7"), name="never", partition=True)
first = control.rule(Entry("test0"), driver="null_blk")
second = control.rule(Entry("test2"), Entry("test1"), name=own_name, major=major, provisional_ms=777)
expect(True, never < first < second, "numbers count up")
expect([
    {"id": never, "filters": 1, "provisional_ms": 0, "partition": True, "name": "never"},
    {"id": first, "filters": 1, "provisional_ms": 0, "driver": "null_blk"},
    {"id": second, "filters": 2, "provisional_ms": 777, "name": own_name, "major": major},
], control.rules(), "list")  # fmt: skip
disk = NullDisk("ruled")
expect(["test0"], control.stack(disk.name).names, "the first rule")
disk.gone()
control.remove_rule(first)
expect_errno(errno.ENOENT, "remove a rule again", control.remove_rule, first)
disk = NullDisk("ruled")
expect(["test2", "test1"], control.stack(disk.name).names, "the next one")
disk.gone()
control.remove_rule(second)
control.remove_rule(never)
expect([], control.rules(), "list")
many = [control.rule(Entry("test0"), name="never") for _ in range(1024)]
expect_errno(errno.ENOSPC, "1025 rules", control.rule, Entry("test0"), name="never")
expect(many, [rule["id"] for rule in control.rules()], "1024 rules")
for rule in many:
    control.remove_rule(rule)
wait_until("the hook goes with the last rule", lambda: not hooked())

# --- provisional ---

events = Events()
rule = control.rule(Entry("test2"), Entry("test5"), name=own_name, provisional_ms=2000)
began = time.monotonic()
disk = NullDisk("ruled")
use(disk.name)
if time.monotonic() - began < 2:
    expect([PROVISIONAL | FROM_FIRST_BIO] * 2, [entry.flags for entry in control.stack(disk.name).entries], "provisional")
wait_until("unconfirmed filters go", lambda: not control.stack(disk.name).names)
if time.monotonic() - began < 2:
    sys.exit("unconfirmed filters went too early")
detached = {event.name: event.reason for event in events.take() if event.type == "DETACHED"}
expect({"test2": "UNCONFIRMED", "test5": "UNCONFIRMED"}, detached, "reason")
use(disk.name)
disk.gone()
control.remove_rule(rule)
rule = control.rule(Entry("test2"), Entry("test5"), name=own_name, provisional_ms=5000)
before = traced()
disk = NullDisk("ruled")
began = time.monotonic()
instances = control.stack(disk.name).instances
control.set(disk.name, [Entry("test2"), Entry("test5")], CONFIRM)
expect(instances, control.stack(disk.name).instances, "confirmed ones stay")
expect([FROM_FIRST_BIO] * 2, [entry.flags for entry in control.stack(disk.name).entries], "confirmed")
use(disk.name)
time.sleep(max(0, 6.5 - (time.monotonic() - began)))
from_first_bio(disk.name, before, ["test5", "test2"])
disk.gone()
control.remove_rule(rule)

# Confirmed in the moment at which the time is over: it comes too late and is told so, or they stay.
rule = control.rule(Entry("test2"), Entry("test5"), name=own_name, provisional_ms=100)
outcomes = {True: 0, False: 0}
for i in range(30):
    began = time.monotonic()
    disk = NullDisk("ruled")
    stack = control.stack(disk.name)
    time.sleep(max(0, 0.05 + i * 0.003 - (time.monotonic() - began)))
    try:
        control.set(disk.name, [Entry("test2"), Entry("test5")], CONFIRM | EXPECT, generation=stack.generation)
        confirmed = bool(stack.entries)
    except OSError as error:
        expect(errno.ESTALE, error.errno, "confirmed too late")
        confirmed = False
    outcomes[confirmed] += 1
    time.sleep(0.2)
    if confirmed:
        expect(["test2", "test5"], sorted(control.stack(disk.name).names), "confirmed filters")
    disk.gone()
    wait_until("what the filter has allocated is gone", lambda: not attachments())
control.remove_rule(rule)
print(f"confirmed {outcomes[True]} times in time, {outcomes[False]} times too late")

# --- what cannot be attached ---

for entries in (
    [Entry("test5", options=b"fail=12")],
    [Entry("test2"), Entry("test5", options=b"fail=12"), Entry("test0")],
    [Entry("test9")],
    [Entry("test2", 5), Entry("test5", 5)],
):
    rule = control.rule(*entries, name=own_name)
    disk = NullDisk("ruled")
    use(disk.name)
    stack = control.stack(disk.name)
    expect(sorted(f"{disk.name}.{name}" for name in stack.names), attachments(), "what the filter has allocated")
    control.set(disk.name, [Entry("test7")])
    disk.gone()
    wait_until("what the filter has allocated is gone", lambda: not attachments())
    control.remove_rule(rule)

# --- partitions: of a table that is written, by all keys ---

disk = NullDisk("ruled")
UUID = "0d5a7ef2-51a5-4a3b-9d7e-0123456789ab"
table = f"label: gpt\nsize=4MiB, uuid={UUID.upper()}, name=\"first label\"\nsize=4MiB, name=second\n"
for keys, wanted in (
    ({"partuuid": UUID}, [["test2", "test5"], []]),
    ({"partlabel": "second"}, [[], ["test2", "test5"]]),
    ({"partlabel": "first label", "partition": True, "driver": "null_blk"}, [["test2", "test5"], []]),
    ({"partition": True}, [["test2", "test5"], ["test2", "test5"]]),
    ({"name": "*2"}, [[], ["test2", "test5"]]),
    ({"disk": True}, [[], []]),
    ({"partuuid": UUID.upper()}, [[], []]),
):
    run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", f"/dev/{disk.name}", input=table.encode())
    rule = control.rule(*two, **keys)
    before = traced()
    run("blockdev", "--rereadpt", f"/dev/{disk.name}")
    for name, filters in zip(partitions(disk.name), wanted, strict=True):
        if filters:
            use(name)
            from_first_bio(name, before, filters)
        expect(filters, control.stack(name).names, f"{name}: {keys}")
    expect([], control.stack(disk.name).names, "the disk")
    control.remove_rule(rule)
    run("sfdisk", "--quiet", "--delete", f"/dev/{disk.name}", stderr=subprocess.DEVNULL)
    expect([], partitions(disk.name), "partitions after they were deleted")
    wait_until("their filters are gone", lambda: not attachments())

disk.gone()

# --- a mapped device, which is empty when it appears ---

under = NullDisk("under")
rule = control.rule(*two, **of_driver("dm_mod", "dm-*"))
before = traced()
run("dmsetup", "create", "ruled", "--table", f"0 32768 linear /dev/{under.name} 0")
name = next(path.parts[3] for path in Path("/sys/block").glob("dm-*/dm/name") if path.read_text() == "ruled\n")
use(name)
from_first_bio(name, before, ["test2", "test5"])
wait_until("its size is told", lambda: seen(name, "test5", "sectors") == 32768)
run("dmsetup", "remove", "ruled")
control.remove_rule(rule)
under.gone()

# --- SCSI disks: probed asynchronously, with partitions from the start; by wwid ---


def scsi_disk() -> str:
    run("modprobe", "scsi_debug", "dev_size_mb=16", "num_parts=2", "sector_size=512")
    disks: list[Path] = []

    def there() -> bool:
        disks[:] = Path("/sys/bus/pseudo/drivers/scsi_debug").glob("adapter*/host*/target*/*/block/*")
        return bool(disks) and len(partitions(disks[0].name)) == 2

    wait_until("a SCSI disk with partitions", there)
    return disks[0].name


of_disk = control.rule(Entry("test3"), Entry("test6", options=b"take"), disk=True, **of_driver("sd_mod", "sd*"))
of_parts = control.rule(Entry("test4", options=b"take"), Entry("test1"), partition=True, **of_driver("sd_mod", "sd*"))
before = traced()
name = scsi_disk()
parts = partitions(name)
for part in parts:
    use(part)
    from_first_bio(part, before, ["test4", "test1"])
use(name)
from_first_bio(name, before, ["test6", "test3"], *parts)
wwid = (Path("/sys/block") / name / "device/wwid").read_text().strip().split(".", 1)[1]
run("modprobe", "-r", "scsi_debug")
wait_until("all are gone", lambda: not attachments())
control.remove_rule(of_disk)
control.remove_rule(of_parts)
rule = control.rule(Entry("test3"), wwid=wwid)
before = traced()
name = scsi_disk()
from_first_bio(name, before, ["test3"], *partitions(name))
for part in partitions(name):
    # The wwid is the disk's: its partitions have it too, if it is not limited to disks.
    expect(["test3"], control.stack(part).names, part)
control.remove_rule(rule)
run("modprobe", "-r", "scsi_debug")
expect(True, SEEN.exists(), "the tests' filter is still there")
