# SPDX-License-Identifier: MIT
"""The devices of redirect_cuts_over.sh: what lies under the source and under the target, the mapped source, the mapped target."""

import errno
import os
import random
import subprocess
import sys
import threading
import time

from blkfilter import Events, expect, expect_errno
from redirect import BACKGROUND, BLOCKING, Redirect, content, remap, states_of
from redirect_load import Load

a, b, fro, onto = sys.argv[1:]
chance = random.Random(int(os.environ["SEED"]))
rounds = int(os.environ["ROUNDS"])


good = f"0 131072 linear /dev/{b} 0"

print("--- at random moments")
for round in range(rounds):
    mode, overlap = (BLOCKING, BACKGROUND)[round % 2], round % 3 == 2
    events = Events()
    redirect = Redirect(fro).attach()
    load = Load(f"/dev/{fro}", chance.randrange(10000), 6, overlap).start()
    redirect.start(f"/dev/{onto}", mode, target_sector=8 * chance.randrange(100), rate=1 << 20)
    at = redirect.status()["target_sector"]
    expect_errno(errno.EINVAL, "cut-over before it is ready", redirect.cutover)
    redirect.set(rate=0)
    redirect.wait("ready")
    time.sleep(chance.random() / 3)
    held = redirect.cutover()
    expect("redirected", redirect.state, "state")
    old = content(a, 8 << 20)
    operations = load.operations
    time.sleep(0.3 + chance.random() / 3)
    load.stop()
    if load.operations < operations + 5:
        sys.exit("hardly any I/O afterwards")
    if content(a, 8 << 20) != old:
        sys.exit("the source was written to after the cut-over")
    compared = 0 if overlap else load.check() + load.check(f"/dev/{onto}", at * 512)
    print(f"round {round}: held for {held / 1e6:.1f} ms, {load.operations} operations, {compared} blocks compared")
    load.close()
    redirect.finish()
    expect("running ready pending redirected concluded".split(), states_of(events), "events")
    redirect.detach()

print("--- a flush that takes too long, and one that fails")
redirect = Redirect(fro).attach()
load = Load(f"/dev/{fro}", chance.randrange(10000)).start()
redirect.start(f"/dev/{onto}", BLOCKING)
redirect.wait("ready")
remap("onto", f"0 131072 delay /dev/{b} 0 0 /dev/{b} 0 0 /dev/{b} 0 1500")
expect_errno(errno.ETIMEDOUT, "a slow flush", redirect.cutover, limit_ms=500)
expect("ready", redirect.wait("ready"), "state")
remap("onto", "0 131072 error")
time.sleep(0.3)
remap("onto", good)
redirect.wait("ready")
load.fail()

print("--- cancelled, paused while it waits")
remap("onto", "0 131072 error")
for what, wanted in ((redirect.pause, "standby"), (redirect.cancel, "concluded")):
    redirect.wait("ready")
    errors = []
    def cutover():
        try:
            redirect.cutover(wait_ms=30000)
        except OSError as error:
            errors.append(error.errno)
    thread = threading.Thread(target=cutover)
    thread.start()
    redirect.wait("pending")
    what()
    thread.join()
    expect([errno.ECANCELED], errors, "cut-over")
    expect(wanted, redirect.wait(wanted), "state")
    remap("onto", good)
    if wanted == "standby":
        redirect.resume()
        redirect.wait("ready")
        remap("onto", "0 131072 error")
load.stop()
load.check()
load.close()
redirect.detach()
