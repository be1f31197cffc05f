# SPDX-License-Identifier: MIT
"""The devices of redirect_loses_nothing_with_the_targets_cache.sh: what lies under the mapped source and the mapped target, and these."""

import errno
import os
import random
import subprocess
import sys
import threading
import time

from blkfilter import expect, expect_errno, wait_until
from redirect import BACKGROUND, BLOCKING, Redirect, content, flushes, parameter, remap

a, d, fro, onto, bad = sys.argv[1:]
bad = f"/dev/{bad}"
chance = random.Random(int(os.environ["SEED"]))
SECTORS, BLOCKS = 16376, 2047
good = f"0 16384 linear /dev/{d} 0"
failing = f"0 16384 flakey /dev/{d} 0 0 3600 1 error_writes"  # its flushes, too, unlike those of an error target
redirect = Redirect(fro).attach()


def put(name: str, block: int, data: bytes | None = None) -> bytes:
    """Writes a block, behind the back of who is above. Returns what it has written."""
    data = data or os.urandom(4096)
    with open(f"/dev/{name}", "r+b", buffering=0) as file:
        file.seek(block * 4096)
        file.write(data)
        os.fsync(file.fileno())
    subprocess.check_call(["blockdev", "--flushbufs", f"/dev/{name}"])
    return data


def idle() -> None:
    """Nothing is dirty any more, and the target answers."""
    wait_until(
        f"nothing dirty {redirect.status()}",
        lambda: (status := redirect.status())["remaining"] == 0 and not status["error"] and not status["copies"],
        60,
    )


def the_same() -> None:
    idle()
    size = SECTORS * 512
    if content(a, size) != content(d, size):
        sys.exit("they differ")


def begun(mode: int) -> None:
    put(fro, 0)
    redirect.start(f"/dev/{onto}", mode)
    redirect.wait("ready")
    the_same()


print("--- what it has acknowledged is lost when it fails")
for mode in BLOCKING, BACKGROUND:
    begun(mode)
    for _ in range(3):
        place = chance.randrange(16, BLOCKS)
        old = put(fro, place)
        put(fro, place)
        idle()
        remap("onto", "0 16384 error")
        put(d, place, old)
        put(fro, 0)
        wait_until("it is seen to fail", lambda: redirect.status()["error"], 20)
        remap("onto", good)
        the_same()
    redirect.cancel()

print("--- its flush fails")
for mode in BLOCKING, BACKGROUND:
    begun(mode)
    place = chance.randrange(BLOCKS)
    old = put(fro, place)
    put(fro, place)
    idle()
    remap("onto", failing)
    put(d, place, old)
    expect_errno(errno.EIO, "cut-over", redirect.cutover)
    expect("ready", redirect.wait("ready"), "state")
    remap("onto", good)
    the_same()
    redirect.cutover()
    redirect.finish()
    if content(a, SECTORS * 512) != content(d, SECTORS * 512):
        sys.exit("they were not the same at the cut-over")

print("--- it is flushed from time to time, and then nothing has to be copied")

parameter("target_flush", 1)
begun(BLOCKING)
# Of what was copied.
time.sleep(3)
before = flushes(d)
put(fro, 300)
wait_until("it is flushed", lambda: flushes(d) > before, 20)
# Until it is clear that the flush was good: looked at once a second.
time.sleep(3)
remap("onto", "0 16384 error")
put(fro, 0)
wait_until("it is seen to fail", lambda: redirect.status()["error"], 20)
time.sleep(1)
expect(64 << 10, redirect.status()["remaining"], "bytes that are to be copied again")
remap("onto", good)
the_same()
redirect.cancel()

print("--- it is lost before a flush that has nothing to do any more, and what was sent before it fails after it, in the end")
SLOW = 1500  # block, on the half that fails in 10 s
begun(BLOCKING)
place = chance.randrange(64, 1000)
old = put(fro, place)
time.sleep(3)
remap("onto", f"0 8192 linear /dev/{d} 0\n8192 8192 delay {bad} 0 0 {bad} 0 10000 {bad} 0 0")
writer = threading.Thread(target=put, args=(fro, SLOW))
writer.start()
time.sleep(0.3)
# Two flushes, of which the second one covers something else.
for block in place, 17:
    before = flushes(d)
    put(fro, block)
    wait_until("it is flushed", lambda: flushes(d) > before, 20)
put(d, place, old)
expect(0, redirect.status()["error"], "error before the slow write has failed")
writer.join()
wait_until("it is seen to fail", lambda: redirect.status()["error"], 20)
remap("onto", good)
the_same()
redirect.cancel()
parameter("target_flush", 3600)

print("--- it is lost while the source has not answered yet")
for mode in BLOCKING, BACKGROUND:
    begun(mode)
    place = chance.randrange(64, 1000)
    old = put(fro, place)
    put(fro, 17)
    idle()
    parameter("target_flush", 3600)
    remap("from", f"0 {SECTORS} delay /dev/{a} 0 0 /dev/{a} 0 5000 /dev/{a} 0 0")
    writer = threading.Thread(target=put, args=(fro, place))
    writer.start()
    time.sleep(0.5)
    remap("onto", failing)
    put(d, place, old)
    parameter("target_flush", 1)
    wait_until("it is seen to fail", lambda: redirect.status()["error"], 3)
    remap("onto", good)
    parameter("target_flush", 3600)
    writer.join()
    remap("from", f"0 {SECTORS} linear /dev/{a} 0")
    the_same()
    redirect.cancel()

print("--- only the record, which is on it, says that it has failed")
parameter("record_clean", 1)
longer = f"0 24576 linear /dev/{d} 0"
remap("onto", longer)
put(fro, 0)
redirect.start(f"/dev/{onto}", BLOCKING, flags=0)
redirect.wait("ready")
wait_until("marks have gone", lambda: redirect.status()["record_marked"] == 0, 30)
parameter("record_clean", 3600)
time.sleep(2)
# Each in a region of the record of its own.
place, other = chance.randrange(128, 256), chance.randrange(1024, 1152)
old = put(fro, place)
put(fro, place)
idle()
remap("onto", f"0 16384 linear /dev/{d} 0\n16384 8192 error")
put(d, place, old)
put(fro, other)
wait_until("the record cannot be written", lambda: redirect.status()["record_error"], 20)
remap("onto", longer)
wait_until("it can be", lambda: not redirect.status()["record_error"], 20)
# What was written without a mark has paused it.
expect("standby", redirect.state, "state")
redirect.resume()
the_same()
redirect.cancel()
remap("onto", good)

print("--- what was in its page cache")
with open(f"/dev/{onto}", "r+b", buffering=0) as cache:
    cache.write(os.urandom(1 << 20))
    put(fro, 0)
    redirect.start(f"/dev/{onto}", BLOCKING)
    redirect.wait("ready")
    the_same()
    os.fsync(cache.fileno())
    the_same()
    cache.seek(0)
    cache.read(1 << 20)
    redirect.cutover()
    new = put(fro, 3)
    redirect.finish()
    cache.seek(3 * 4096)
    expect(new, cache.read(4096), "what is read from it afterwards")

print("--- each difference is found, also at the end")
begun(BLOCKING)
places = {5, 40, 41, 2046}
for place in places:
    put(d, place)
found, sector = set(), 0
while sector < SECTORS:
    if len(found) > 4:
        sys.exit("the comparison does not end")
    sector, different, compared, _ = redirect.verify(sector)
    if different is not None:
        found.add(different // 8)
# One for each region: blocks 40 and 41 have one in common.
expect({5, 40, 2046}, found, "what differs")
expect((SECTORS, None, 0, 0), redirect.verify(SECTORS), "at the end")
redirect.cancel()
redirect.detach()

print("--- after FINISH")
redirect = Redirect("loop0").attach()
redirect.start(f"/dev/{onto}", BLOCKING)
redirect.wait("ready")
redirect.cutover()
redirect.finish()
subprocess.check_call(["losetup", "--detach", "/dev/loop0"])
subprocess.check_call(["losetup", "/dev/loop0", "/tmp/two"])
time.sleep(0.5)
put("loop0", 1)
expect("concluded", redirect.state, "state")
redirect.start(f"/dev/{onto}", BLOCKING)
redirect.wait("ready")
redirect.cancel()
redirect.detach()
