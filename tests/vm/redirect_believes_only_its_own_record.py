# SPDX-License-Identifier: MIT
"""The devices of redirect_believes_only_its_own_record.sh: as those of redirect_resumes_after_power_loss.py."""

import errno
import os
import struct
import subprocess
import sys
import uuid

import redirect as r
import redirect_record as record
from blkfilter import expect, expect_errno, transfer, wait_until
from redirect import BLOCKING, ONLY, content
from redirect_migration import BLOCK, DISKS, Migration, devices, drop, fresh, put, sectors

devices(sys.argv[1:])
SLOT = record.SLOT


def left(name: str = "record2") -> bytes:
    """What the record on a device of its own says now."""
    return content(DISKS[name], 2 * SLOT)


def newest(data: bytes) -> record.Record:
    """The slot that counts."""
    slots = [record.parse(data[i * SLOT : (i + 1) * SLOT], i) for i in range(2)]
    return max((slot for slot in slots if slot), key=lambda slot: slot.generation)


def flipped(data: bytes, *places: int) -> bytes:
    """The same with a bit changed at each place."""
    changed = bytearray(data)
    for place in places:
        changed[place] ^= 1
    return bytes(changed)


def refused(wanted: int, why: int, what: str, migration: Migration, **named) -> None:
    before = left(), content(DISKS["onto2"])
    state = migration.redirect.state
    error = expect_errno(wanted, what, migration.start, flags=named.pop("flags", r.CONTINUE), **named)
    expect(why, error.why, f"{what}: the reason")
    expect(state, migration.redirect.state, f"{what}: the state")
    expect(True, before[1] == content(DISKS["onto2"]), f"{what}: nothing was written to the target")
    if wanted != errno.EUCLEAN:
        expect(True, before[0] == left(), f"{what}: nor to the record")
        return
    # A later start of the machine could not know of it.
    was, now = newest(before[0]), newest(left())
    expect(set(range(-(-now.sectors // now.region))), now.marked, f"{what}: marks")
    expect((record.COPYING, True), (now.state, now.generation > was.generation), f"{what}: the record")
    put(DISKS["record2"], 0, good)


def continued(data: bytes, what: str) -> None:
    """It is taken."""
    put(DISKS["record2"], 0, data)
    after = Migration("2", ident, True)
    after.start(flags=r.CONTINUE)
    after.redirect.wait("ready")
    wait_until(f"{what}: nothing is dirty", lambda: not after.redirect.status()["remaining"])
    if not after.same():
        sys.exit(f"{what}: they differ")
    after.end()


fresh()
ident = uuid.uuid4().bytes
first = Migration("", ident, True)
first.start()
first.redirect.wait("ready")
wait_until("nothing is marked", lambda: not first.redirect.status()["record_marked"])
transfer(first.source, 300 * BLOCK, BLOCK)
transfer(first.source, 300 * BLOCK, BLOCK)
good = left("record")
for name in "from", "onto":
    put(DISKS[name + "2"], 0, content(DISKS[name]))
slots = [record.parse(good[i * SLOT : (i + 1) * SLOT], i) for i in range(2)]
behind = min((slot for slot in slots if slot), key=lambda slot: slot.generation).slot * SLOT

print("--- not to be believed")
second = Migration("2", ident, True)
for wanted, why, what, data in (
    (errno.ENODATA, r.RECORD_NONE, "none", bytes(2 * SLOT)),
    (errno.ENODATA, r.RECORD_NONE, "something else", os.urandom(2 * SLOT)),
    (errno.EBADMSG, r.RECORD_DAMAGED, "a bit of the map", flipped(good, record.MAP, SLOT + record.MAP)),
    (errno.EBADMSG, r.RECORD_DAMAGED, "a bit behind the map", flipped(good, 8191, SLOT + 8191)),
    (errno.EBADMSG, r.RECORD_DAMAGED, "a bit of the checksum", flipped(good, 20, SLOT + 20)),
    (errno.EBADMSG, r.RECORD_DAMAGED, "a bit of the generation", flipped(good, 40, SLOT + 40)),
    (errno.EBADMSG, r.RECORD_DAMAGED, "more regions than there may be", flipped(good, 63, SLOT + 63)),
    (errno.EPROTONOSUPPORT, r.RECORD_VERSION, "version", flipped(good, 16, SLOT + 16)),
):
    put(DISKS["record2"], 0, data)
    refused(wanted, why, what, second)
put(DISKS["record2"], 0, good)
refused(errno.ENOKEY, r.RECORD_OTHER_ID, "another migration", second, ident=uuid.uuid4().bytes)
refused(errno.EXDEV, r.RECORD_OTHER_SIZE, "elsewhere on the target", second, target_sector=8)
second.own = False
refused(errno.ENODATA, r.RECORD_NONE, "elsewhere", second)
second.own = True
second.end()
for name, less in (("from", 8), ("onto", 8)):
    second = Migration("2", ident, True, **{name: f"0 {sectors(name + '2') - less} linear /dev/{DISKS[name + '2']} 0"})
    refused(errno.EXDEV, r.RECORD_OTHER_SIZE, f"another size of {name}", second)
    second.end()

print("--- one slot is enough")
continued(good, "as it was")
continued(flipped(good, behind), "the older one damaged")


print("--- the source was written to meanwhile")
put(DISKS["record2"], 0, good)
second = Migration("2", ident, True)
transfer(second.source, 0, BLOCK)
refused(errno.EUCLEAN, r.RECORD_WRITTEN, "written", second)
second.end()
second = Migration("2", ident, True)
r.discard(f"/dev/{second.source}", BLOCK)
refused(errno.EUCLEAN, r.RECORD_WRITTEN, "discarded", second)
second.end()
if os.uname().release.startswith("6.12"):
    second = Migration("2", ident, True)
    with open(f"/sys/block/{second.source}/queue/iostats", "w") as file:
        file.write("0")
    refused(errno.EUCLEAN, r.RECORD_WRITTEN, "nothing is counted", second)
    second.end()

print("--- over, and in force")
first.redirect.cutover()
put(DISKS["record2"], 0, left("record"))
second = Migration("2", ident, True)
refused(errno.EEXIST, r.RECORD_IN_FORCE, "it is redirected", second, flags=0)
second.start(flags=r.CONTINUE)
expect("redirected", second.redirect.state, "state")
second.redirect.finish()
refused(errno.EALREADY, r.RECORD_CONCLUDED, "it was finished", second)
second.start()
second.redirect.cancel()
refused(errno.EALREADY, r.RECORD_CONCLUDED, "it was cancelled", second)

print("--- places")
place = second.place
for flags in (0, r.CONTINUE):
    second.own = False
    refused(errno.EDESTADDRREQ, r.RECORD_NO_PLACE, "no room", second, flags=flags, target_sector=2048 - 127)
    second.own = True
for wanted, why, what, path in (
    (errno.ENOTBLK, r.RECORD_NO_BLOCK, "no block device", "/dev/null"),
    (errno.EBUSY, r.RECORD_IN_USE, "in use", f"/dev/{DISKS['from']}"),
    (errno.EBUSY, r.RECORD_IN_USE, "the target", f"/dev/{second.target}"),
):
    second.place = os.path.basename(path)
    refused(wanted, why, what, second, flags=0)
subprocess.run(["dmsetup", "create", "above"], input=f"0 2048 linear /dev/{second.source} 0", text=True, check=True)
second.place = "mapper/above"
refused(errno.ELOOP, r.RECORD_ON_SOURCE, "on the source", second, flags=0)
drop("above")
second.place = place

print("--- as programs of before do it")
fd = os.open(f"/dev/{second.target}", os.O_RDWR)
second.redirect.start_fd(fd, BLOCKING, flags=r.NO_RECORD, size=80)
os.close(fd)
second.redirect.wait("ready")
answer = second.redirect.command(r.STATUS, struct.pack("=I", 176).ljust(176, b"\0"))
expect((176, 176), (len(answer), struct.unpack_from("=I", answer)[0]), "the status")
expect((0, 0), tuple(second.redirect.status()[key] for key in ("flags", "record_sector")), "without a record")
second.redirect.cancel()
second.redirect.start(f"/dev/{second.target}", ONLY)
expect(0, second.redirect.status()["flags"], "flags of a redirect alone")
second.end()
first.end()
