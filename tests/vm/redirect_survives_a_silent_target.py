# SPDX-License-Identifier: MIT
"""The devices of redirect_survives_a_silent_target.sh: the source, and what the mapped target lies on."""

import errno
import mmap
import os
import random
import sys
import threading
import time
import uuid

from blkfilter import Control, expect, wait_until
from redirect import BLOCKING, Redirect, content, discard, parameter, remap, resume, suspend
from redirect_load import Load

a, d, onto = sys.argv[1:]
chance = random.Random(int(os.environ["SEED"]))
NEVER, SIZE, MIB = 3600, 48 << 20, 1 << 20
good = f"0 98304 linear /dev/{d} 0"
fd = os.open(f"/dev/{a}", os.O_RDWR | os.O_DIRECT)


class Task(threading.Thread):
    """A call in a thread of its own; @error: its errno, 0 when it has succeeded."""

    def __init__(self, call, *arguments, **named):
        super().__init__(daemon=True)
        self.call, self.arguments, self.named = call, arguments, named
        self.error = 0
        self.began = time.monotonic()
        self.start()

    def run(self):
        try:
            self.call(*self.arguments, **self.named)
        except OSError as error:
            self.error = error.errno

    def ends(self, what: str, seconds: float, error: int = 0) -> None:
        self.join(seconds)
        if self.is_alive():
            # A process cannot end while one of its threads waits for I/O.
            resume("onto")
            sys.exit(f"{what} still waits, after {time.monotonic() - self.began:.1f} s")
        expect(error, self.error, what)


def write(place: int, size: int = 4096) -> None:
    buffer = mmap.mmap(-1, size)
    buffer[:] = os.urandom(size)
    expect(size, os.pwritev(fd, [buffer], place), "bytes written")


def writes(count: int, size: int) -> list[Task]:
    """Many at a time, each at a place of its own; they are on their way when it returns."""
    tasks = [Task(write, number * size, size) for number in range(count)]
    time.sleep(1)
    return tasks


def begun(**named) -> Redirect:
    redirect = Redirect(a).attach()
    redirect.start(f"/dev/{onto}", BLOCKING, **named)
    redirect.wait("ready")
    idle(redirect)
    return redirect


def idle(redirect: Redirect) -> None:
    wait_until(f"nothing dirty {redirect.status()}", lambda: redirect.status()["remaining"] == 0, 120)


def the_same(redirect: Redirect) -> None:
    """Whatever has happened: once the target answers, it gets there."""
    if redirect.wait("ready", "standby") == "standby":
        redirect.resume()
    redirect.wait("ready")
    wait_until("the target answers", lambda: not redirect.status()["error"], 60)
    idle(redirect)
    if content(a, SIZE) != content(onto, SIZE):
        sys.exit("they differ")


print("--- more writes than there is memory for: they end when the target is late")
parameter("target_timeout", 4)
redirect = begun()
suspend("onto")
for task in writes(40, MIB):
    task.ends("a write", 30)
resume("onto")
the_same(redirect)

print("--- and at a pause, and at the end")
parameter("target_timeout", NEVER)
for what, state in (redirect.pause, "standby"), (redirect.cancel, "aborting"):
    suspend("onto")
    tasks = writes(40, MIB)
    ending = Task(what)
    for task in tasks:
        task.ends(f"a write, {state}", 20)
    expect(state, redirect.wait(state, seconds=5), "state")
    # New ones do not wait at all.
    Task(write, 0).ends("a write afterwards", 5)
    if not ending.is_alive():
        sys.exit("the target owes answers, and yet it was not waited for")
    resume("onto")
    ending.ends(state, 20)
    if state == "standby":
        redirect.resume()
        the_same(redirect)
expect("concluded", redirect.state, "state")

print("--- a point of the source does not wait for it")
redirect = begun()
load = Load(f"/dev/{a}", chance.randrange(10000)).start()
time.sleep(0.3)
suspend("onto")
for _ in range(3):
    time.sleep(0.5)
    Control().point([a], uuid.uuid4().bytes, limit_ms=8000)
resume("onto")
load.stop()
the_same(redirect)
load.check()
load.close()

print("--- nor does a cut-over that is paused or cancelled, and nothing is held then")
suspend("onto")
cutting = Task(redirect.cutover, limit_ms=NEVER * 1000)
redirect.wait("pending")
time.sleep(0.5)
pause = Task(redirect.pause)
cutting.ends("the cut-over", 10, errno.ECANCELED)
resume("onto")
pause.ends("the pause", 20)
expect("standby", redirect.state, "state")
redirect.resume()
the_same(redirect)


class Writer(threading.Thread):
    """One write after the other; @since: when the one that is on its way was sent."""

    def __init__(self):
        super().__init__(daemon=True)
        self.since, self.ended = time.monotonic(), False
        self.start()

    def run(self):
        while not self.ended:
            self.since = time.monotonic()
            write(chance.randrange(0, SIZE, 4096))
            time.sleep(0.01)


print("--- paused while writes are held")
remap("onto", f"0 98304 delay /dev/{d} 0 0 /dev/{d} 0 0 /dev/{d} 0 6000")
writer = Writer()
cutting = Task(redirect.cutover, limit_ms=40000)
wait_until("writes are held", lambda: time.monotonic() - writer.since > 1.5, 30)
expect("pending", redirect.state, "state")
redirect.pause()
cutting.ends("the cut-over", 10, errno.ECANCELED)
expect("standby", redirect.state, "state")
before = content(d, SIZE)
time.sleep(1)
if time.monotonic() - writer.since > 0.9:
    sys.exit("writes are still held")
if content(d, SIZE) != before:
    sys.exit("it is written to the target though it is paused")
remap("onto", good)
redirect.resume()
writer.ended = True
writer.join()
the_same(redirect)

print("--- one place of it does not answer: other writes of that region end")
parameter("target_timeout", 2)
# So that nothing there is to be copied again when the target is late.
parameter("target_flush", 1)
time.sleep(3)
remap("onto", f"0 8 delay /dev/{d} 0 0 /dev/{d} 0 60000\n8 98296 linear /dev/{d} 8")
Task(write, 0).ends("the write to that place", 20)
wait_until("it is late", lambda: redirect.status()["error"], 10)
write(MIB)
wait_until("the target answers elsewhere", lambda: not redirect.status()["error"], 20)
Task(write, 4096).ends("a write to the region", 10)
# Of the region is to be copied what only the source has, over the write that is still on its way.
discard(f"/dev/{a}", 4096, 8192)
for place in (4096, 12288, 4096):
    time.sleep(0.5)
    Task(write, place).ends("a write to the region that is being copied", 10)
remap("onto", good)
the_same(redirect)

print("--- nothing goes there once a pause has returned")
parameter("target_timeout", 30)
redirect.cancel()
redirect.start(f"/dev/{onto}", BLOCKING, in_flight=64)
load = Load(f"/dev/{a}", chance.randrange(10000)).start()
for _ in range(6):
    time.sleep(chance.random() / 10)
    redirect.pause()
    before = open(f"/sys/block/{d}/stat").read()
    time.sleep(0.3)
    expect(before, open(f"/sys/block/{d}/stat").read(), "what the target has seen")
    redirect.resume()
load.stop()
load.close()
redirect.cancel()

print("--- a discard of everything waits for no copy")
remap("onto", f"0 98304 delay /dev/{d} 0 0 /dev/{d} 0 1000")
redirect.start(f"/dev/{onto}", BLOCKING, in_flight=1)
time.sleep(0.5)
Task(discard, f"/dev/{a}", SIZE).ends("a discard", 8)
expect("running", redirect.state, "state")
redirect.cancel()
remap("onto", good)
redirect.detach()
