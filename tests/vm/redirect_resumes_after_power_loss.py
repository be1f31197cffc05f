# SPDX-License-Identifier: MIT
"""The devices of redirect_resumes_after_power_loss.sh: what lies under source, target and record, and copies of these."""

import errno
import mmap
import os
import random
import struct
import sys
import threading
import time
import uuid

import redirect as r
import redirect_record as record
from blkfilter import Events, expect, expect_errno, transfer, wait_until
from redirect import BACKGROUND, BLOCKING, content, remap
from redirect_migration import BLOCK, DISKS, REGION, SECTORS, Migration, devices, error, fresh, linear, put, slow

chance = random.Random(int(os.environ["SEED"]))
rounds = int(os.environ["ROUNDS"])
# Blocks that the application writes to: of 4 of the 16 regions.
HOT = 4 * REGION
devices(sys.argv[1:])


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


def begun(own: bool, mode: int = BLOCKING, **named) -> Migration:
    fresh()
    migration = Migration("", uuid.uuid4().bytes, own, 8 * chance.randrange(100))
    migration.start(mode, **named)
    return migration


def clean(migration: Migration) -> None:
    """Nothing is marked any more."""
    wait_until("nothing is marked", lambda: not migration.redirect.status()["record_marked"])
    wait_until("nor on stable storage", lambda: (left := migration.record) and not left.marked)


def recovered(migration: Migration) -> str:
    """The record can be written again; where that has taken too long the migration was paused. Returns the state."""
    wait_until("it is not behind", lambda: not migration.redirect.status()["flags"] & r.RECORD_BEHIND)
    if migration.redirect.state == "standby":
        migration.redirect.resume()
    return migration.redirect.wait("ready", "redirected")


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

before, generation = r.flushes(DISKS["record"]), migration.record.generation
sides = [r.flushes(DISKS[name]) for name in ("from", "onto")]
transfer(migration.source, 700 * BLOCK, BLOCK)
clean(migration)
grown = migration.record.generation - generation
if not 2 <= grown <= r.flushes(DISKS["record"]) - before:
    sys.exit(f"{grown} times written, {r.flushes(DISKS['record']) - before} flushes")
for name, flushed in zip(("from", "onto"), sides):
    if r.flushes(DISKS[name]) == flushed:
        sys.exit(f"{name} was not flushed before the mark went")

print("--- it cannot be written")
events = Events()
remap("record", error("record"))
transfer(migration.source, 900 * BLOCK, BLOCK)
migration.redirect.wait("standby")
status = migration.redirect.status()
expect((errno.EIO, errno.EIO), (status["error"], status["record_error"]), "errors")
expect(r.RECORDED | r.RECORD_BEHIND, status["flags"], "flags")
told = [(r.STATES[event.value], struct.unpack_from("=II", event.data, 16)[1]) for event in events.take()]
expect([("ready", errno.EIO), ("standby", errno.EIO)], told, "events")
remap("record", linear("record"))
wait_until("it is not behind any more", lambda: migration.redirect.status()["flags"] == r.RECORDED)
expect({900 // REGION}, migration.record.marked, "what is marked")
migration.redirect.resume()
migration.redirect.wait("ready")
remap("record", error("record"))
expect_errno(errno.EIO, "cut-over", migration.redirect.cutover)
expect("ready", migration.redirect.wait("ready"), "state")
transfer(migration.source, 901 * BLOCK, BLOCK)
remap("record", linear("record"))
recovered(migration)
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
    state = recovered(migration)
    expect({0: "redirected", errno.EIO: "ready"}.get(outcome[0], "ready"), state, f"state after {outcome[0]}")
    found = goes_on(migration, power_loss(application), less=False)
    expect(state == "redirected", found == "redirected", "what is found")
    if state == "redirected":
        break
application.stop()
migration.end()

print("--- at random moments")
for round in range(rounds):
    own, mode = bool(round % 2), (BLOCKING, BACKGROUND)[round // 2 % 2]
    print(f"round {round}: {'record apart' if own else 'on the target'}, {'background' if mode == BACKGROUND else 'blocking'}")
    migration = begun(own, mode, rate=2 << 20)
    application = Application(migration.source, 0.002)
    time.sleep(2.2)
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
