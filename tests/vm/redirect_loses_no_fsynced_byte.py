# SPDX-License-Identifier: MIT
"""One boot of redirect_loses_no_fsynced_byte.sh: what the power loss has left is looked at, and then comes the STEP, 0 to 3, at the end of
which the power may go. The application is a process of its own, and goes on."""

import mmap
import os
import random
import struct
import subprocess
import sys
import time
import uuid

import redirect as r
import redirect_record as record
from blkfilter import expect
from redirect import BACKGROUND, BLOCKING, Redirect, content

SOURCE, STORE, TOLD, TARGET, MOUNT = "vda1", "vda2", "vda3", "nbd0", "/mnt"
BLOCK, HOT = 4096, 512  # blocks of the file that is written to again and again
KEPT = 30  # small files
SIZE = int(open(f"/sys/class/block/{SOURCE}/size").read()) * 512
chance = random.Random(int(os.environ["SEED"]))


class Told:
    """What fsync has said, on a disk of its own, past all caches: a number for each block of the file, and the last small file."""

    def __init__(self) -> None:
        self.fd = os.open(f"/dev/{TOLD}", os.O_RDWR | os.O_DIRECT)
        self.buffer = mmap.mmap(-1, BLOCK)

    def clear(self) -> None:
        for slot in range(HOT + 1):
            self.write(slot, 0)

    def write(self, slot: int, number: int) -> None:
        struct.pack_into("=Q", self.buffer, 0, number)
        expect(BLOCK, os.pwrite(self.fd, self.buffer, slot * BLOCK), "bytes written")

    def read(self, slot: int) -> int:
        os.preadv(self.fd, [self.buffer], slot * BLOCK)
        return struct.unpack_from("=Q", self.buffer)[0]


def small(number: int) -> bytes:
    """What the small file has in it."""
    few = random.Random(number)
    return few.randbytes(few.randrange(1, 20000))


def synced(path: str, flags: int) -> None:
    fd = os.open(path, flags)
    os.fsync(fd)
    os.close(fd)


def application() -> None:
    """Writes, and what fsync has confirmed it notes, until the power goes."""
    told, block = Told(), mmap.mmap(-1, BLOCK)
    fd = os.open(f"{MOUNT}/hot", os.O_RDWR | os.O_DIRECT)
    number = max(told.read(slot) for slot in range(HOT))
    name = told.read(HOT)
    while True:
        for _ in range(chance.randrange(20)):
            number, slot = number + 1, chance.randrange(HOT)
            block[:] = struct.pack("=Q", number) * (BLOCK // 8)
            expect(BLOCK, os.pwrite(fd, block, slot * BLOCK), "bytes written")
            os.fdatasync(fd)
            told.write(slot, number)
        name += 1
        with open(f"{MOUNT}/{name}", "wb") as file:
            file.write(small(name))
            file.flush()
            os.fsync(file.fileno())
        synced(MOUNT, os.O_RDONLY | os.O_DIRECTORY)
        told.write(HOT, name)
        if name > KEPT and os.path.exists(f"{MOUNT}/{name - KEPT}"):
            os.unlink(f"{MOUNT}/{name - KEPT}")


def expect_all_that_was_told() -> None:
    """In the mounted file system."""
    told = Told()
    with open(f"{MOUNT}/hot", "rb") as file:
        data = file.read()
    for slot in range(HOT):
        number, block = told.read(slot), data[slot * BLOCK : (slot + 1) * BLOCK]
        got = struct.unpack_from("=Q", block)[0]
        if got < number or block != struct.pack("=Q", got) * (BLOCK // 8):
            sys.exit(f"block {slot} has {got}, and fsync said {number}")
    last = told.read(HOT)
    # The one before these may be gone: the next one was made already.
    for name in range(max(1, last - KEPT + 2), last + 1):
        with open(f"{MOUNT}/{name}", "rb") as file:
            if file.read() != small(name):
                sys.exit(f"the file {name} is not as it was written, and fsync said that it is there")
    print(f"    {sum(told.read(slot) > 0 for slot in range(HOT))} blocks, {last} files, all there")


def load_begins() -> None:
    subprocess.Popen([sys.executable, __file__, "application"], start_new_session=True)
    time.sleep(1 + chance.random())


def record_left() -> record.Record:
    left = record.read(TARGET, SIZE // 512)
    if not left:
        sys.exit("there is no record")
    return left


def expect_right(left: record.Record) -> None:
    """What differs is marked, unless the target counts."""
    states = record.STATES[left.state]
    if left.state == record.REDIRECTED:
        print(f"    found {states}")
        return
    region = left.region * 512
    source, target = content(SOURCE), content(TARGET, SIZE)
    different = {i for i in range(-(-SIZE // region)) if source[i * region :][:region] != target[i * region :][:region]}
    print(f"    found {states}: {len(left.marked)} regions are marked, {len(different)} differ")
    if different - left.marked:
        sys.exit(f"regions differ and are not marked: {sorted(different - left.marked)}")


def begin(mode: int) -> Redirect:
    """A file system, and its migration."""
    subprocess.check_call(["mkfs.ext4", "-q", "-F", f"/dev/{SOURCE}"])
    subprocess.check_call(["mount", f"/dev/{SOURCE}", MOUNT])
    with open(f"{MOUNT}/hot", "wb") as file:
        file.write(bytes(HOT * BLOCK))
    synced(f"{MOUNT}/hot", os.O_RDONLY)
    Told().clear()
    redirect = Redirect(SOURCE).attach()
    redirect.start(f"/dev/{TARGET}", mode, ident=uuid.uuid4().bytes, flags=0, rate=4 << 20)
    expect(r.FUA | r.RECORDED, redirect.status()["flags"], "flags")
    return redirect


def go_on(mode: int) -> Redirect:
    """What is left is right, the migration continues, and the file system is mounted."""
    left = record_left()
    expect_right(left)
    redirect = Redirect(SOURCE).attach()
    redirect.start(f"/dev/{TARGET}", mode, ident=left.ident, flags=r.CONTINUE)
    if left.state == record.REDIRECTED:
        expect("redirected", redirect.state, "state")
    subprocess.check_call(["mount", f"/dev/{SOURCE}", MOUNT])
    expect_all_that_was_told()
    return redirect


def main() -> None:
    mode = chance.choice([BLOCKING, BACKGROUND])
    match sys.argv[1]:
        case "application":
            application()
        case "0":
            print("--- the power goes while it is copied")
            begin(mode)
            load_begins()
        case "1":
            print("--- at the cut-over")
            redirect = go_on(mode)
            load_begins()
            redirect.wait("ready", seconds=180)
            subprocess.Popen(
                [sys.executable, f"{os.environ['SRC']}/tests/vm/lib/redirect.py", "cutover", SOURCE], start_new_session=True
            )
            time.sleep(chance.random())
        case "2":
            print("--- after the cut-over")
            redirect = go_on(mode)
            if redirect.state != "redirected":
                redirect.wait("ready", seconds=180)
                redirect.cutover()
            load_begins()
            time.sleep(1)
        case "3":
            print("--- it ends")
            left = record_left()
            expect(record.REDIRECTED, left.state, "state in the record")
            redirect = go_on(mode)
            subprocess.check_call(["umount", MOUNT])
            subprocess.check_call(["e2fsck", "-f", "-n", f"/dev/{SOURCE}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            redirect.finish()
            redirect.detach()


main()
