# SPDX-License-Identifier: MIT
"""The devices of redirect_slides_devices_under.sh: a partition with a mounted ext4, another one of the same disk, a blank disk, and three
partitions for what mapped devices store elsewhere."""

import errno
import os
import random
import re
import subprocess
import sys
import time

from blkfilter import expect, expect_errno, wait_until
from redirect import INTERPOSED, Redirect, content, flushes
from redirect_load import BLOCK, Load

mounted, raw, blank, *stores = sys.argv[1:]
seed = int(os.environ["SEED"])
chance = random.Random(seed)
MIB = 1 << 20


def run(*command: str, **named) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **named).stdout


def sectors_of(name: str) -> int:
    with open(f"/sys/class/block/{name}/size") as file:
        return int(file.read())


def written(name: str) -> int:
    """Writes of a device, as the kernel counts them."""
    with open(f"/sys/class/block/{name}/stat") as file:
        return int(file.read().split()[4])


class Fio:
    """Writes and verifies for as long as it is there, on several files at a time."""

    def __init__(self, *jobs: tuple[str, int]):
        command = ["fio"]
        for number, (path, size) in enumerate(jobs):
            command += [
                f"--name={number}", f"--filename={path}", f"--size={size}", "--thread", "--time_based", "--runtime=3600", "--direct=1",
                f"--randseed={seed + number}", "--ioengine=libaio", "--iodepth=4", "--rw=randwrite", "--bsrange=4k-64k", "--bs_unaligned=0",
                "--verify=crc32c", "--verify_backlog=64", "--verify_fatal=1", "--fsync=32", "--blockalign=4k",
            ]  # fmt: skip
        self.out = open("/tmp/fio.out", "w")  # noqa: SIM115
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.out)

    def running(self) -> None:
        if self.process.poll() is not None:
            sys.exit("fio has ended:\n" + open("/tmp/fio.out").read())

    def end(self) -> None:
        self.running()
        self.process.send_signal(2)
        self.process.wait()
        text = open("/tmp/fio.out").read()
        if len(re.findall(r"err= 0", text)) != 2 or "verify:" in text or re.search(r"err= *[1-9]", text):
            sys.exit("I/O failed under load:\n" + text)


class Slid:
    """A mapped device between a source and what is below it, from the table that a function makes of the node below."""

    def __init__(self, source: str, name: str, table):
        self.name, self.redirect = name, Redirect(source).attach()
        below, numbers = self.redirect.below()
        expect((below, numbers), self.redirect.below(), "asked once more")
        expect(sectors_of(source), sectors_of(below), "sectors of the device below")
        self.below = below
        run("dmsetup", "create", name, "--table", f"0 {sectors_of(source)} {table(f'/dev/{below}')}")
        self.disk = run("dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", name).strip()

    def put_in(self) -> "Slid":
        self.redirect.interpose(f"/dev/mapper/{self.name}")
        status = self.redirect.status()
        expect(INTERPOSED, status["flags"] & INTERPOSED, "the flag in the status")
        expect("redirected", self.redirect.state, "state")
        if subprocess.run(["dmsetup", "remove", self.name], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            sys.exit(f"{self.name} was removed")
        expect_errno(errno.EBUSY, "somebody else's", os.open, f"/dev/mapper/{self.name}", os.O_RDWR | os.O_EXCL)
        return self

    def is_used(self) -> None:
        before = written(self.disk)
        wait_until(f"writes to {self.name}", lambda: written(self.disk) > before + 3, 60)

    def take_out(self) -> None:
        self.redirect.take_out()
        expect("concluded", self.redirect.state, "state")
        # It is nobody's any more, and nothing gets there.
        os.close(os.open(f"/dev/mapper/{self.name}", os.O_RDWR | os.O_EXCL))
        before = written(self.disk)
        time.sleep(0.3)
        expect(before, written(self.disk), "writes to what was taken out")

    def remove(self) -> None:
        run("dmsetup", "remove", "--retry", self.name)
        if os.path.exists(f"/dev/mapper/{self.name}-lower"):
            run("dmsetup", "remove", "--retry", f"{self.name}-lower")
        self.redirect.withdraw()


def era_table(store: str):
    return lambda below: f"era {store} {below} 128"


def crypt_table(below: str, cipher: str = "aes-xts-plain64", key: str = "11" * 32 + "22" * 32) -> str:
    return f"crypt {cipher} {key} 0 {below} 0"


def linear_table(below: str) -> str:
    return f"linear {below} 0"


def twice_table(name: str, source: str):
    """Two levels: what is encrypted twice by the same stream is what it was."""

    def table(below: str) -> str:
        lower = crypt_table(below, "aes-ctr-plain64", "33" * 32)
        run("dmsetup", "create", f"{name}-lower", "--table", f"0 {sectors_of(source)} {lower}")
        return crypt_table(f"/dev/mapper/{name}-lower", "aes-ctr-plain64", "33" * 32)

    return table


print("--- under fio: whatever leaves the content as it is")
fio = Fio(("/tmp/mnt/file", 16 * MIB), (f"/dev/{raw}", 32 * MIB))
wait_until("fio's writes", lambda: written(raw) > 20 and written(mounted) > 20, 60)
kinds = [
    ("linear", linear_table, linear_table),
    ("era", era_table(stores[0]), era_table(stores[1])),
    ("snapshot", lambda below: f"snapshot-origin {below}", lambda below: f"snapshot-origin {below}"),
    ("crypt", twice_table("one", mounted), twice_table("two", raw)),
]
for kind, *tables in kinds * int(os.environ["ROUNDS"]):
    print(kind)
    for store in stores[:2]:
        with open(store, "r+b") as file:
            file.write(bytes(MIB))
    slid = [Slid(mounted, "one", tables[0]), Slid(raw, "two", tables[1])]
    for each in slid:
        each.put_in()
    for each in slid:
        each.is_used()
    if kind == "snapshot":
        # Of a device that is under load, from now on.
        run("dmsetup", "suspend", "two")
        run("dmsetup", "create", "copy", "--table", f"0 {sectors_of(raw)} snapshot /dev/{slid[1].below} {stores[2]} N 16")
        run("dmsetup", "resume", "two")
        first = content("mapper/copy")
        slid[1].is_used()
        if content("mapper/copy") != first:
            sys.exit("the snapshot has changed")
        if first == content(raw):
            sys.exit("nothing but the snapshot has changed")
        run("dmsetup", "remove", "--retry", "copy")
    if kind == "era":
        run("dmsetup", "message", "two", "0", "checkpoint")
        run("dmsetup", "message", "two", "0", "take_metadata_snap")
        blocks = run("era_invalidate", "--metadata-snapshot", "--written-since", "0", stores[1])
        run("dmsetup", "message", "two", "0", "drop_metadata_snap")
        if "range" not in blocks and "block" not in blocks:
            sys.exit(f"era has seen nothing: {blocks}")
    fio.running()
    for each in slid:
        each.take_out()
        each.remove()
    fio.running()
time.sleep(1)
fio.end()

print("--- flushes get through")

slid = [Slid(mounted, "one", linear_table).put_in()]
before = flushes(mounted)
for number in range(5):
    with open(f"/tmp/mnt/{number}", "w") as file:
        file.write("committed")
        file.flush()
        os.fsync(file.fileno())
print(flushes(mounted) - before, "flushes of the disk")
if flushes(mounted) < before + 5:
    sys.exit("the disk was not flushed")
slid[0].take_out()
slid[0].remove()

print("--- crypt: what is written is not what is on the device")
slid = [Slid(blank, "two", crypt_table).put_in()]
load = Load(f"/dev/{blank}", chance.randrange(10000)).start()
slid[0].is_used()
load.stop()
print(load.operations, "operations,", load.check(), "blocks compared")
block, fill = next((block, fill) for thread in load.threads for block, fill in thread.model.items() if fill)
plain = content(blank)
slid[0].take_out()
cipher = content(blank)
if cipher[block * BLOCK : (block + 1) * BLOCK] == fill * (BLOCK // 16):
    sys.exit("the device has what was written")
if content(slid[0].below) != cipher:
    sys.exit("the device below has something else")
slid[0].put_in()
if content(blank) != plain:
    sys.exit("it is not decrypted any more")
load.check()
load.close()
slid[0].take_out()
slid[0].remove()
for name in mounted, raw, blank:
    Redirect(name).detach()
