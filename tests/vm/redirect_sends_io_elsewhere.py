# SPDX-License-Identifier: MIT
"""The devices of redirect_sends_io_elsewhere.sh: the source, three targets, a mapped device on the third of them, and a
source with a volatile cache."""

import errno
import os
import random
import re
import subprocess
import sys
import time

from blkfilter import Events, expect, expect_errno
from redirect import STATES, Redirect, content, flushes, remap
from redirect_load import BLOCK, Load

a, b, c, d, onto, e = sys.argv[1:]
seed = int(os.environ["SEED"])
chance = random.Random(seed)
rounds = int(os.environ["ROUNDS"])


def fill(name):
    data = os.urandom(os.path.getsize("/tmp/source"))
    with open(f"/dev/{name}", "r+b") as file:
        file.write(data)
    return data


def under_load(name):
    load = Load(f"/dev/{name}", chance.randrange(10000)).start()
    time.sleep(1 + chance.random())
    load.stop()
    if load.operations < 5:
        sys.exit(f"{name}: hardly any I/O once redirected")
    return load


print("--- the whole device, from before the first write on")
events = Events()
for _ in range(rounds):
    for target in (b, onto):
        old = fill(a)
        redirect = Redirect(a).attach()
        expect("created", redirect.state, "state")
        redirect.start(f"/dev/{target}")
        expect("redirected", redirect.state, "state")
        load = under_load(a)
        # The page cache must not hide it.
        print(load.operations, "operations,", load.check(), "blocks compared")
        load.check(f"/dev/{target}")
        expect_errno(errno.EBUSY, "finish while it is open", redirect.command, 7)
        expect_errno(errno.EBUSY, "detach while it is open", redirect.detach)
        expect_errno(errno.EBUSY, "cancel", redirect.cancel)
        load.close()
        redirect.finish()
        expect("concluded", redirect.state, "state")
        # Its target is nobody's any more.
        os.close(os.open(f"/dev/{target}", os.O_RDWR | os.O_EXCL))
        if content(a) != old:
            sys.exit("the source was written to")
        redirect.detach()
changes = [STATES[event.value] for event in events.take() if event.type == "FILTER"]
expect(["redirected", "concluded"] * (2 * rounds), changes, "events")

print("--- a range of it, while it is in use")
for _ in range(rounds):
    first = chance.randrange(100, 2000) * 8
    sectors = chance.randrange(100, 1500) * 8
    at = chance.randrange(0, 2000) * 8
    fill(a)
    redirect = Redirect(a).attach()
    inside = range(first // 8, (first + sectors) // 8)
    # The target has it already.
    data = content(a)[first * 512 : (first + sectors) * 512]
    with open(f"/dev/{b}", "r+b") as file:
        file.seek(at * 512)
        file.write(data)
    redirect.start(f"/dev/{b}", first=first, sectors=sectors, target_sector=at)
    load = under_load(a)
    print(load.operations, "operations,", load.check(), "blocks compared")
    load.check(f"/dev/{b}", (at - first) * 512, inside)
    load.close()
    redirect.finish()
    now = content(a)
    if now[first * 512 : (first + sectors) * 512] != data:
        sys.exit("the range was written to on the source")
    load.check(blocks=range(0, first // 8))
    load.check(blocks=range((first + sectors) // 8, len(now) // BLOCK))
    redirect.detach()

print("--- a range of it: a flush that comes with data outside is the target's, too")

redirect = Redirect(e).attach()
redirect.start(f"/dev/{c}", first=(32 << 11) - 128, sectors=128)
subprocess.check_call(["mkfs.ext4", "-q", f"/dev/{e}"])
os.makedirs("/tmp/mnt", exist_ok=True)
subprocess.check_call(["mount", f"/dev/{e}", "/tmp/mnt"])
before = flushes(c)
for number in range(5):
    # A commit of the journal: one write with flush and FUA.
    with open(f"/tmp/mnt/{number}", "w") as file:
        file.write("committed")
        file.flush()
        os.fsync(file.fileno())
print(flushes(c) - before, "flushes of the target")
if flushes(c) < before + 5:
    sys.exit("the target was not flushed")
subprocess.check_call(["umount", "/tmp/mnt"])
redirect.finish()
redirect.detach()

print("--- zeroes that the target cannot write by itself")
fill("loop0")
redirect = Redirect("loop0").attach()
redirect.start(f"/dev/{b}")
load = under_load("loop0")
print(load.operations, "operations,", load.check(), "blocks compared")
load.check(f"/dev/{b}")
load.close()
redirect.finish()
redirect.detach()

print("--- a target with a volatile cache under a source without")
trace = "/sys/kernel/tracing"


def write(path, text):
    with open(f"{trace}/{path}", "w") as file:
        file.write(text)


redirect = Redirect(a).attach()
redirect.start(f"/dev/{c}")
expect(1, redirect.status()["flags"], "FUA in the status")
number = os.stat(f"/dev/{c}").st_rdev
write("trace", "")
write("events/block/block_bio_queue/filter", f"dev == {os.major(number) << 20 | os.minor(number)}")
write("events/block/block_bio_queue/enable", "1")
load = under_load(a)
write("events/block/block_bio_queue/enable", "0")
write("events/block/block_bio_queue/filter", "0")
kinds = {}
with open(f"{trace}/trace") as file:
    for line in file:
        found = re.search(r"block_bio_queue: \S+ (\S+) \d+ \+ (\d+)", line)
        if found:
            kind = found[1] if int(found[2]) else found[1] + " without data"
            kinds[kind] = kinds.get(kind, 0) + 1
print(kinds)
# F behind W is FUA, before it a flush.
without = [kind for kind in kinds if "W" in kind and "F" not in kind.split("W", 1)[1] and "without data" not in kind]
if without or not any("WF" in kind for kind in kinds):
    sys.exit(f"writes without FUA: {without}, of {kinds}")
load.check(f"/dev/{c}")
load.close()
redirect.finish()
redirect.detach()

print("--- the target fails: that is the application's")
redirect = Redirect(a).attach()
redirect.start(f"/dev/{onto}")


load = under_load(a)
remap("onto", "0 65536 error")
expect_errno(errno.EIO, "a write", os.pwritev, load.fd, [load.threads[0].buffer], 0)
expect_errno(errno.EIO, "a read", os.preadv, load.fd, [load.threads[0].buffer], 0)
expect("redirected", redirect.state, "state")
remap("onto", f"0 65536 linear /dev/{d} 0")
load.check()
load.close()
redirect.detach_when_closed()

print("--- one device after the other")
first, second = Redirect(a).attach(), Redirect(b).attach()
first.start(f"/dev/{b}")
expect_errno(errno.ELOOP, "back", second.start, f"/dev/{a}", sectors=32768)
second.start(f"/dev/{c}")
load = under_load(a)
load.check(f"/dev/{c}")
load.close()
first.finish()
second.finish()
first.detach()
second.detach()
