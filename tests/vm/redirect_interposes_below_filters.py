# SPDX-License-Identifier: MIT
"""While a command checks what filters say of a device, a mapped device comes and goes below it:  DEVICE COMMAND..."""

import os
import random
import subprocess
import sys
import time

from redirect import Redirect

device, *command = sys.argv[1:]
chance = random.Random(int(os.environ["SEED"]))
redirect = Redirect(device).attach()
below, _ = redirect.below()
with open(f"/sys/class/block/{device}/size") as size:
    table = f"0 {int(size.read())} linear /dev/{below} 0"
subprocess.check_call(["dmsetup", "create", "one", "--table", table])
print("---", *command, flush=True)
checker = subprocess.Popen(command)
rounds = 0
while checker.poll() is None:
    redirect.interpose("/dev/mapper/one")
    time.sleep(chance.random())
    redirect.take_out()
    rounds += 1
    time.sleep(chance.random() / 2)
if checker.returncode:
    sys.exit("what the filters say is wrong")
print("in and out", rounds, "times")
if rounds < 3:
    sys.exit("it came hardly ever")
subprocess.check_call(["dmsetup", "remove", "--retry", "one"])
redirect.withdraw()
