# SPDX-License-Identifier: MIT
"""The devices of redirect_resumes_after_power_loss.sh: what lies under source, target and record, and copies of these."""

import errno
import mmap
import os
import random
import struct
import subprocess
import sys
import threading
import time
import uuid

import redirect as r
import redirect_record as record
from blkfilter import expect, expect_errno, transfer, wait_until
from redirect import BACKGROUND, BLOCKING, Redirect, content, discard, remap

DISKS = dict(zip(["from", "onto", "record", "from2", "onto2", "record2"], sys.argv[1:], strict=True))
chance = random.Random(int(os.environ["SEED"]))
rounds = int(os.environ["ROUNDS"])
BLOCK, SECTORS = 4096, 32768
BLOCKS = SECTORS // 8
# Blocks that the application writes to: of 6 of the 32 regions.
HOT = 6 * 128


def sectors(name: str) -> int:
    return int(open(f"/sys/class/block/{DISKS[name]}/size").read())


def linear(name: str) -> str:
    return f"0 {sectors(name)} linear /dev/{DISKS[name]} 0"


def error(name: str) -> str:
    return f"0 {sectors(name)} error"


def slow(name: str, ms: int) -> str:
    disk = f"/dev/{DISKS[name]} 0"
    return f"0 {sectors(name)} delay {disk} 0 {disk} {ms} {disk} {ms}"


def make(name: str, table: str | None = None) -> str:
    """A mapped device that has just appeared. Returns the kernel's name."""
    subprocess.run(["dmsetup", "create", name], input=table or linear(name), text=True, check=True)
    return subprocess.check_output(
        ["dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", name], text=True
    ).strip()


def drop(*names: str) -> None:
    for name in names:
        subprocess.check_call(["dmsetup", "remove", "--retry", name])


def put(disk: str, offset: int, data: bytes) -> None:
    with open(f"/dev/{disk}", "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), data, offset)
        os.fsync(file.fileno())
    subprocess.check_call(["blockdev", "--flushbufs", f"/dev/{disk}"])


class Application(threading.Thread):
    """Writes to random blocks numbers that grow. @acknowledged: by block, the number whose write has completed."""

    def __init__(self, name: str, pause: float = 0):
        super().__init__(daemon=True)
        self.name_of, self.pause = name, pause
        self.chance = random.Random(chance.random())
        self.acknowledged: dict[int, int] = {}
        self.ended = threading.Event()
        self.failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        fd = os.open(f"/dev/{self.name_of}", os.O_RDWR | os.O_DIRECT)
        buffer = mmap.mmap(-1, BLOCK)
        number = 0
        try:
            while not self.ended.wait(self.pause):
                number += 1
                block = self.chance.randrange(HOT)
                buffer[:] = struct.pack("=Q", number) * (BLOCK // 8)
                expect(BLOCK, os.pwrite(fd, buffer, block * BLOCK), "bytes written")
                self.acknowledged[block] = number
        except BaseException as caught:
            self.failure = caught
        finally:
            os.close(fd)

    def stop(self) -> None:
        self.ended.set()
        self.join()
        if self.failure:
            raise self.failure

    @staticmethod
    def check(name: str, acknowledged: dict[int, int]) -> None:
        """Nothing that was acknowledged until some moment is lost; what was written after it may be there."""
        data = content(name, HOT * BLOCK)
        for block, number in acknowledged.items():
            got = struct.unpack_from("=Q", data, block * BLOCK)[0]
            if got < number or data[block * BLOCK : (block + 1) * BLOCK] != struct.pack("=Q", got) * (BLOCK // 8):
                sys.exit(f"{name}: block {block} has {got} and not {number}")


class Migration:
    """One from what is under source to what is under target; its record on the target or on a device of its own."""

    def __init__(self, copy: str, ident: bytes, own: bool, target_sector: int = 0):
        self.copy, self.ident, self.own, self.at = copy, ident, own, target_sector
        self.source, self.target, self.place = (make(name + copy) for name in ("from", "onto", "record"))
        self.redirect = Redirect(self.source).attach()

    def start(self, mode: int = BLOCKING, flags: int = 0, **named) -> None:
        fd = os.open(f"/dev/{self.place}", os.O_RDWR)
        try:
            self.redirect.start(
                f"/dev/{self.target}", mode, ident=named.pop("ident", self.ident), record=fd,
                flags=flags | (r.RECORD if self.own else 0), target_sector=named.pop("target_sector", self.at), **named,
            )  # fmt: skip
        finally:
            os.close(fd)

    @property
    def record(self) -> record.Record | None:
        """What lies there."""
        if self.own:
            return record.read(DISKS["record" + self.copy])
        return record.read(DISKS["onto" + self.copy], self.at + SECTORS)

    def same(self) -> bool:
        source, target = (DISKS[name + self.copy] for name in ("from", "onto"))
        return content(source) == content(target, (self.at + SECTORS) * 512)[self.at * 512 :]

    def end(self) -> None:
        if self.redirect.state == "redirected":
            self.redirect.finish()
        elif self.redirect.state not in ("concluded", "failed", "created"):
            self.redirect.cancel()
        self.redirect.detach()
        drop("from" + self.copy, "onto" + self.copy, "record" + self.copy)


def power_loss(application: Application) -> dict[int, int]:
    """What would be left of the devices of the first migration is left of the others. Returns what must be there."""
    names = ["from", "onto", "record"]
    chance.shuffle(names)
    acknowledged = dict(application.acknowledged)
    for name in names:
        r.suspend(name)
    for name in names:
        put(DISKS[name + "2"], 0, content(DISKS[name]))
    for name in names:
        r.resume(name)
    return acknowledged


def outcome_of(call) -> int:
    """Its errno, or 0."""
    try:
        call()
    except OSError as caught:
        return caught.errno
    return 0


def goes_on(migration: Migration, acknowledged: dict[int, int], less: bool = True) -> str:
    """The second one continues. Returns the state that it was found in."""
    found = record.STATES[migration_record(migration).state]
    after = Migration("2", migration.ident, migration.own, migration.at)
    after.start(chance.choice([BLOCKING, BACKGROUND]), r.CONTINUE)
    if found == "redirected":
        expect("redirected", after.redirect.state, "state")
    else:
        after.redirect.wait("ready")
        wait_until("nothing is dirty", lambda: not after.redirect.status()["remaining"])
    status = after.redirect.status()
    expect(r.RECORDED | r.CONTINUED, status["flags"], "flags")
    Application.check(after.source, acknowledged)
    if found != "redirected" and not after.same():
        sys.exit("source and target differ")
    if less and status["copied"] >= status["total"]:
        sys.exit("everything was copied")
    print(f"    found {found}, copied {status['copied'] >> 10} KiB of {status['total'] >> 10}")
    after.end()
    return found


def migration_record(migration: Migration) -> record.Record:
    """What the power loss has left of it."""
    left = record.read(DISKS["record2"]) if migration.own else record.read(DISKS["onto2"], migration.at + SECTORS)
    if not left:
        sys.exit("there is no record")
    expect(migration.ident, left.ident, "id in the record")
    return left


def fresh() -> None:
    """Other data everywhere, and no record."""
    put(DISKS["from"], 0, os.urandom(16 << 20))
    put(DISKS["onto"], 0, bytes(sectors("onto") * 512))
    put(DISKS["record"], 0, bytes(1 << 20))


def begun(own: bool, mode: int = BLOCKING, **named) -> Migration:
    fresh()
    migration = Migration("", uuid.uuid4().bytes, own, 8 * chance.randrange(100))
    migration.start(mode, **named)
    return migration


def clean(migration: Migration) -> None:
    """Nothing is marked any more."""
    wait_until("nothing is marked", lambda: not migration.redirect.status()["record_marked"])
    wait_until("nor on stable storage", lambda: (left := migration.record) and not left.marked)


print("--- at random moments")
for round in range(rounds):
    own, mode = bool(round % 2), (BLOCKING, BACKGROUND)[round // 2 % 2]
    print(f"round {round}: {'record apart' if own else 'on the target'}, {'background' if mode == BACKGROUND else 'blocking'}")
    migration = begun(own, mode, rate=3 << 20)
    application = Application(migration.source, 0.002)
    time.sleep(2.5)
    goes_on(migration, power_loss(application))
    migration.redirect.set(rate=0)
    migration.redirect.wait("ready")
    time.sleep(2.5 + chance.random())
    goes_on(migration, power_loss(application))
    thread = threading.Thread(target=migration.redirect.cutover)
    thread.start()
    time.sleep(chance.random() / 10)
    goes_on(migration, power_loss(application))
    thread.join()
    expect("redirected", migration.redirect.state, "state")
    expect("redirected", goes_on(migration, power_loss(application)), "what is found after the cut-over")
    application.stop()
    application.check(migration.source, application.acknowledged)
    migration.redirect.finish()
    expect(record.CONCLUDED, migration.record.state, "state in the record")
    migration.end()

print("--- nothing is written before it is marked, nor unmarked before it is flushed")
migration = begun(True)
migration.redirect.wait("ready")
clean(migration)
expect(record.READY, migration.record.state, "state in the record")
old = content(DISKS["from"])
remap("record", slow("record", 1000))
writer = threading.Thread(target=transfer, args=(migration.source, 100 * BLOCK, BLOCK))
writer.start()
time.sleep(0.5)
expect(True, content(DISKS["from"]) == old, "the source is as it was")
writer.join()
expect({0}, migration.record.marked, "what is marked")
remap("record", linear("record"))


def flushes(name: str) -> int:
    return int(open(f"/sys/block/{DISKS[name]}/stat").read().split()[15])


before, generation = flushes("record"), migration.record.generation
transfer(migration.source, 1000 * BLOCK, BLOCK)
clean(migration)
grown = migration.record.generation - generation
if not 2 <= grown <= flushes("record") - before:
    sys.exit(f"{grown} times written, {flushes('record') - before} flushes")

print("--- it cannot be written")
remap("record", error("record"))
transfer(migration.source, 2000 * BLOCK, BLOCK)
migration.redirect.wait("standby")
status = migration.redirect.status()
expect((errno.EIO, errno.EIO), (status["error"], status["record_error"]), "errors")
expect(r.RECORDED | r.RECORD_BEHIND, status["flags"], "flags")
remap("record", linear("record"))
wait_until("it is not behind any more", lambda: migration.redirect.status()["flags"] == r.RECORDED)
expect({2000 // 128}, migration.record.marked, "what is marked")
migration.redirect.resume()
migration.redirect.wait("ready")
remap("record", error("record"))
expect_errno(errno.EIO, "cut-over", migration.redirect.cutover)
expect("ready", migration.redirect.wait("ready"), "state")
transfer(migration.source, 2001 * BLOCK, BLOCK)
remap("record", linear("record"))
migration.redirect.wait("ready")
clean(migration)
if not migration.same():
    sys.exit("they differ")

print("--- it fails at any moment of the cut-over")
application = Application(migration.source, 0.002)
remap("record", slow("record", 60))
for _ in range(3 * rounds):
    outcome: list[int] = []
    thread = threading.Thread(target=lambda: outcome.append(outcome_of(migration.redirect.cutover)))
    thread.start()
    time.sleep(chance.random() / 3)
    remap("record", error("record"))
    time.sleep(0.2)
    remap("record", slow("record", 60))
    thread.join()
    time.sleep(0.1)
    if migration.redirect.state == "standby":
        migration.redirect.resume()
    state = migration.redirect.wait("ready", "redirected")
    expect({0: "redirected", errno.EIO: "ready"}.get(outcome[0], "ready"), state, f"state after {outcome[0]}")
    found = goes_on(migration, power_loss(application), less=False)
    expect(state == "redirected", found == "redirected", "what is found")
    if state == "redirected":
        break
application.stop()
migration.end()
