# SPDX-License-Identifier: MIT
"""Migrations with a record, for tests: source, target and the record's device are mapped devices, and so are a second set of these, for what a power loss has left."""

import os
import subprocess
import sys
import uuid

import redirect as r
import redirect_record as record
from redirect import BLOCKING, Redirect, content

NAMES = ["from", "onto", "record", "from2", "onto2", "record2"]
BLOCK, SECTORS = 4096, 16384
# Blocks of a region of the record.
REGION = 128
DISKS: dict[str, str] = {}


def devices(disks: list[str]) -> None:
    """What lies under NAMES."""
    DISKS.update(zip(NAMES, disks, strict=True))


def sectors(name: str) -> int:
    return int(open(f"/sys/class/block/{DISKS[name]}/size").read())


def linear(name: str) -> str:
    return f"0 {sectors(name)} linear /dev/{DISKS[name]} 0"


def error(name: str) -> str:
    return f"0 {sectors(name)} error"


def slow(name: str, ms: int) -> str:
    disk = f"/dev/{DISKS[name]} 0"
    return f"0 {sectors(name)} delay {disk} 0 {disk} {ms} {disk} {ms}"


def make(name: str, table: str | None = None) -> str:
    """A mapped device that has just appeared. Returns the kernel's name."""
    subprocess.run(["dmsetup", "create", name], input=table or linear(name), text=True, check=True)
    return subprocess.check_output(
        ["dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", name], text=True
    ).strip()


def drop(*names: str) -> None:
    for name in names:
        subprocess.check_call(["dmsetup", "remove", "--retry", name])


def put(disk: str, offset: int, data: bytes) -> None:
    with open(f"/dev/{disk}", "r+b", buffering=0) as file:
        os.pwrite(file.fileno(), data, offset)
        os.fsync(file.fileno())
    subprocess.check_call(["blockdev", "--flushbufs", f"/dev/{disk}"])


class Migration:
    """One from what is under source to what is under target; its record on the target or on a device of its own."""

    def __init__(self, copy: str, ident: bytes, own: bool, target_sector: int = 0, **tables: str):
        self.copy, self.ident, self.own, self.at = copy, ident, own, target_sector
        self.source, self.target, self.place = (make(name + copy, tables.get(name)) for name in ("from", "onto", "record"))
        self.redirect = Redirect(self.source).attach()

    def start(self, mode: int = BLOCKING, flags: int = 0, **named) -> None:
        fd = os.open(f"/dev/{self.place}", os.O_RDWR)
        try:
            self.redirect.start(
                f"/dev/{self.target}", mode, ident=named.pop("ident", self.ident), record=fd,
                flags=flags | (r.RECORD if self.own else 0), target_sector=named.pop("target_sector", self.at), **named,
            )  # fmt: skip
        finally:
            os.close(fd)

    @property
    def record(self) -> record.Record | None:
        """What lies there."""
        if self.own:
            return record.read(DISKS["record" + self.copy])
        return record.read(DISKS["onto" + self.copy], self.at + SECTORS)

    def same(self) -> bool:
        source, target = (DISKS[name + self.copy] for name in ("from", "onto"))
        return content(source) == content(target, (self.at + SECTORS) * 512)[self.at * 512 :]

    def end(self) -> None:
        if self.redirect.state == "redirected":
            self.redirect.finish()
        elif self.redirect.state not in ("concluded", "failed", "created"):
            self.redirect.cancel()
        self.redirect.detach()
        drop("from" + self.copy, "onto" + self.copy, "record" + self.copy)


def fresh() -> None:
    """Other data everywhere, and no record."""
    put(DISKS["from"], 0, os.urandom(SECTORS * 512))
    put(DISKS["onto"], 0, bytes(sectors("onto") * 512))
    put(DISKS["record"], 0, bytes(1 << 20))
