# SPDX-License-Identifier: MIT
"""The devices of redirect_copies_under_load.sh: a fast source, a slow one, a target, one that is removed, a mapped target and what it
lies on, a mapped source."""

import errno
import os
import random
import subprocess
import sys
import time

from blkfilter import Events, expect, expect_errno, wait_until
from redirect import BACKGROUND, BLOCKING, Redirect, content, remap, states_of
from redirect_load import Load

a, slow, b, gone, d, onto, fro = sys.argv[1:]
chance = random.Random(int(os.environ["SEED"]))
rounds = int(os.environ["ROUNDS"])


def same(source, target):
    left, right = content(source, 8 << 20), content(target, 8 << 20)
    if left != right:
        at = [i for i in range(0, len(left), 4096) if left[i : i + 4096] != right[i : i + 4096]]
        sys.exit(f"{source} and {target} differ in {len(at)} blocks: {[i // 4096 for i in at[:20]]}")


def fill(name):
    with open(f"/dev/{name}", "r+b") as file:
        file.write(os.urandom(8 << 20))


def idle(redirect, seconds=60):
    """Nothing is dirty any more."""
    wait_until(f"nothing dirty {redirect.status()}", lambda: redirect.status()["remaining"] == 0, seconds)


good, bad = f"0 24576 linear /dev/{d} 0", "0 24576 error"


def retries(number):
    """After so many failures in a row it is paused."""
    with open("/sys/module/blkfilter_redirect/parameters/target_retries", "w") as file:
        file.write(str(number))


def copied(source, target, mode, overlap):
    """From the first write to the end of the load: the same."""
    redirect = Redirect(source).attach()
    load = Load(f"/dev/{source}", chance.randrange(10000), 6, overlap).start()
    time.sleep(chance.random() / 4)
    redirect.start(f"/dev/{target}", mode)
    redirect.wait("ready")
    time.sleep(0.5 + chance.random())
    load.stop()
    idle(redirect)
    same(source, target)
    status = redirect.status()
    print(source, "to", target, ["", "blocking", "background"][mode], "overlapping" if overlap else "apart", load.operations,
          {key: status[key] for key in ("copied", "dirtied", "mirrored", "waited")})
    if not overlap:
        load.check()
    load.close()
    expect("ready", redirect.state, "state")
    redirect.cancel()
    expect("concluded", redirect.state, "state")
    redirect.detach()
    os.close(os.open(f"/dev/{target}", os.O_RDWR | os.O_EXCL))
    return status


print("--- both modes")
waited = 0
for _ in range(rounds):
    for mode in (BLOCKING, BACKGROUND):
        for overlap in (False, True):
            for source in (a, slow):
                fill(source)
                waited += copied(source, b, mode, overlap)["waited"]
if not waited:
    sys.exit("no write has waited for a copy")

print("--- the target fails for a moment, and for long")
for mode in (BLOCKING, BACKGROUND):
    events = Events()
    fill(a)
    retries(1000)
    redirect = Redirect(a).attach()
    load = Load(f"/dev/{a}", chance.randrange(10000)).start()
    redirect.start(f"/dev/{onto}", mode)
    for _ in range(2):
        time.sleep(chance.random() / 4)
        remap("onto", bad)
        time.sleep(chance.random() / 2)
        remap("onto", good)
    redirect.wait("ready")
    retries(3)
    remap("onto", bad)
    redirect.wait("standby")
    expect(errno.EIO, redirect.status()["error"], "the error that is shown")
    load.fail()
    before = load.operations
    time.sleep(0.5)
    if load.operations == before:
        sys.exit("the application hangs")
    remap("onto", good)
    expect_errno(errno.EINVAL, "cut-over while it is paused", redirect.cutover)
    redirect.resume()
    redirect.wait("ready")
    time.sleep(chance.random() / 4)
    load.stop()
    idle(redirect)
    expect(0, redirect.status()["error"], "the error that is over")
    same(a, onto)
    redirect.cancel()
    load.check()
    load.close()
    expect("running ready standby ready concluded".split(), states_of(events), "events")
    redirect.detach()

print("--- the target does not answer")
fill(a)
redirect = Redirect(a).attach()
load = Load(f"/dev/{a}", chance.randrange(10000)).start()
redirect.start(f"/dev/{onto}", BLOCKING)
redirect.wait("ready")
subprocess.check_call(["dmsetup", "suspend", "--nolockfs", "--noflush", "onto"])
time.sleep(4)
before = load.operations
time.sleep(3)
if load.operations < before + 20:
    sys.exit(f"the application waits for the target: {load.operations - before} operations in 3 s")
expect(errno.ETIMEDOUT, redirect.status()["error"], "the error that is shown")
subprocess.check_call(["dmsetup", "resume", "onto"])
if redirect.wait("ready", "standby") == "standby":
    redirect.resume()
load.stop()
idle(redirect)
same(a, onto)
load.check()
load.close()

print("--- compared, with a difference")
number, different, compared, skipped = redirect.verify()
expect((16384, None, 8 << 20, 0), (number, different, compared, skipped), "verify")
place = chance.randrange(2048) * 8
with open(f"/dev/{d}", "r+b", buffering=0) as file:
    file.seek(place * 512)
    file.write(os.urandom(4096))
    os.fsync(file.fileno())
number, different, compared, skipped = redirect.verify()
expect(place, different, "what differs")
if not place < number <= 16384:
    sys.exit(f"the comparison goes on at {number}")

print("--- compared under load")
redirect.cancel()
for mode in (BLOCKING, BACKGROUND):
    redirect.start(f"/dev/{onto}", mode)
    redirect.wait("ready")
    load = Load(f"/dev/{a}", chance.randrange(10000)).start()
    for _ in range(4):
        number, different, compared, skipped = redirect.verify()
        expect((16384, None, 8 << 20), (number, different, compared + skipped), "verify under load")
        print(compared, "compared,", skipped, "not")
    load.stop()
    load.close()
    redirect.cancel()

print("--- paused, limited, cancelled")
redirect.start(f"/dev/{onto}", BLOCKING, rate=1 << 20)
time.sleep(1)
redirect.pause()
redirect.wait("paused")
expect_errno(errno.EINVAL, "pause again", redirect.pause)
copies = redirect.status()
time.sleep(0.5)
expect(copies["copied"], redirect.status()["copied"], "copied while paused")
redirect.resume()
began, before = time.monotonic(), redirect.status()
time.sleep(2)
after, took = redirect.status(), time.monotonic() - began
rate = (after["copied"] - before["copied"]) / took
print(f"{rate / 1024:.0f} KiB/s of 1024")
if not 0.7 < rate / (1 << 20) < 1.2:
    sys.exit("the rate is not held")
redirect.set(rate=0, in_flight=64)
redirect.wait("ready")
redirect.cancel()
for mode in (BLOCKING, BACKGROUND) * rounds:
    load = Load(f"/dev/{a}", chance.randrange(10000)).start()
    redirect.start(f"/dev/{onto}", mode)
    time.sleep(chance.random() / 5)
    redirect.cancel()
    expect("concluded", redirect.state, "state")
    load.stop()
    load.check()
    load.close()
redirect.detach()

print("--- the source cannot be read")
redirect = Redirect(fro).attach()
remap("from", f"0 8000 linear /dev/{slow} 0\n8000 8384 error")
redirect.start(f"/dev/{onto}", BLOCKING)
redirect.wait("failed")
expect(errno.EIO, redirect.status()["error"], "why")
remap("from", f"0 16384 linear /dev/{slow} 0")
redirect.start(f"/dev/{onto}", BLOCKING)
redirect.wait("ready")
redirect.cancel()
redirect.detach()

print("--- the target is removed, then the source")
redirect = Redirect(a).attach()
load = Load(f"/dev/{a}", chance.randrange(10000)).start()
redirect.start(f"/dev/{gone}", BLOCKING)
redirect.wait("ready")
with open("/sys/kernel/config/nullb/gone/power", "w") as file:
    file.write("0")
redirect.wait("failed")
expect(errno.ENODEV, redirect.status()["error"], "why")
time.sleep(0.2)
redirect.start(f"/dev/{onto}", BACKGROUND)
time.sleep(chance.random() / 2)
load.fail()
with open("/sys/kernel/config/nullb/a/power", "w") as file:
    file.write("0")
load.ended.set()
wait_until("the target is let go", lambda: not subprocess.run(
    ["python3", "-c", f"import os; os.open('/dev/{onto}', os.O_RDWR | os.O_EXCL)"], stderr=subprocess.DEVNULL).returncode)
