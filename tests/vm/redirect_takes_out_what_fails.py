# SPDX-License-Identifier: MIT
"""The devices of redirect_takes_out_what_fails.sh: a disk, and one with an ext4 that is not mounted."""

import errno
import os
import random
import subprocess
import sys
import threading
import time

import redirect as r
from blkfilter import expect, expect_errno, transfer, wait_until
from redirect_load import Load

a, b = sys.argv[1:]
chance = random.Random(int(os.environ["SEED"]))
MOUNT = "/tmp/mnt"


def sectors(name: str) -> int:
    with open(f"/sys/class/block/{name}/size") as file:
        return int(file.read())


def put_in(source: str, name: str) -> tuple[r.Redirect, str]:
    """A linear device; returns its table, too."""
    redirect = r.Redirect(source).attach()
    below, _ = redirect.below()
    table = f"0 {sectors(source)} linear /dev/{below} 0"
    subprocess.check_call(["dmsetup", "create", name, "--table", table])
    redirect.interpose(f"/dev/mapper/{name}")
    return redirect, table


def remove(redirect: r.Redirect, name: str) -> None:
    subprocess.check_call(["dmsetup", "remove", "--retry", name])
    redirect.withdraw()


print("--- it fails now and then")
source, table = put_in(a, "one")
load = Load(f"/dev/{a}", chance.randrange(10000)).start()
time.sleep(1)
load.stop()
r.remap("one", f"0 {sectors(a)} flakey /dev/below-{a} 0 0 1 1 error_writes")


def is_refused() -> bool:
    """A write."""
    try:
        transfer(a, 0, 4096)
        return False
    except OSError as error:
        return error.errno == errno.EIO


wait_until("an error", is_refused)
source.take_out(r.NO_FREEZE)
expect("concluded", source.state, "state")
load.threads[0].model.pop(0, None)
print(load.check(), "blocks compared")
load.close()
transfer(a, 0, 4096)
remove(source, "one")

print("--- it fails, under a file system")
subprocess.check_call(["mount", "-o", "errors=continue", f"/dev/{b}", MOUNT])
source, table = put_in(b, "two")
with open(f"{MOUNT}/before", "w") as file:
    file.write("written before")
    file.flush()
    os.fsync(file.fileno())
subprocess.run(["dmsetup", "remove", "--force", "--noudevsync", "two"], stderr=subprocess.DEVNULL, check=False)
with open(f"{MOUNT}/after", "w") as file:
    file.write("x" * 100000)
    file.flush()
    expect_errno(errno.EIO, "a write to disk", os.fsync, file.fileno())
# What freezing a file system returns that cannot write is its own business.
try:
    source.take_out()
    sys.exit("a file system that cannot write was frozen")
except OSError as error:
    print("with freezing:", error)
expect("redirected", source.state, "state")
source.take_out(r.NO_FREEZE)
expect("concluded", source.state, "state")
subprocess.check_call(["umount", MOUNT])
subprocess.run(["e2fsck", "-fy", f"/dev/{b}"], stdout=subprocess.DEVNULL, check=False)
subprocess.check_call(["e2fsck", "-fn", f"/dev/{b}"], stdout=subprocess.DEVNULL)
subprocess.check_call(["mount", f"/dev/{b}", MOUNT])
with open(f"{MOUNT}/before") as file:
    expect("written before", file.read(), "what was written before")
subprocess.check_call(["umount", MOUNT])
remove(source, "two")

print("--- it does not answer: in time, or not at all")
source, table = put_in(a, "one")
r.suspend("one")
fill = os.urandom(4096)


def write() -> None:
    """Is held by the target."""
    fd = os.open(f"/dev/{a}", os.O_RDWR)
    os.pwrite(fd, fill, 65536)
    os.fsync(fd)
    os.close(fd)


writer = threading.Thread(target=write)
writer.start()
time.sleep(1)
expect_errno(errno.ETIMEDOUT, "while a write is held", source.take_out, r.NO_FREEZE)
expect("redirected", source.state, "state")
r.resume("one")
writer.join()
source.take_out()
with open(f"/dev/{a}", "rb") as file:
    file.seek(65536)
    expect(fill, file.read(4096), "what was held")
remove(source, "one")

print("--- the source is removed")
source, table = put_in(a, "one")
load = Load(f"/dev/{a}", chance.randrange(10000)).start()
time.sleep(1)
with open("/sys/kernel/config/nullb/a/power", "w") as file:
    file.write("0")
load.ended.wait(30)
expect(True, load.ended.is_set(), "an error")
for thread in load.threads:
    thread.join()
print([str(thread.error) for thread in load.threads])
wait_until("the device below is gone", lambda: not os.path.exists(f"/sys/class/block/below-{a}"))
expect_errno(errno.EIO, "a read of what was on it", transfer, "mapper/one", 0, 4096, False)
load.close()
with open("/sys/kernel/config/nullb/a/power", "w") as file:
    file.write("1")
# Another one of its name, while the old one is still held.
other = r.Redirect(a).attach()
wait_until("the target is closed", lambda: subprocess.run(["dmsetup", "info", "-c", "--noheadings", "-o", "open", "one"],
                                                         stdout=subprocess.PIPE, text=True, check=True).stdout.strip() == "0")  # fmt: skip
other.below()
subprocess.check_call(["dmsetup", "remove", "--retry", "one"])
other.withdraw()
other.detach()
r.Redirect(b).detach()
