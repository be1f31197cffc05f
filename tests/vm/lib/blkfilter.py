# SPDX-License-Identifier: MIT
"""/dev/blkfilter for tests that are written in Python: thin, without libblkfilter, which must not hide what the kernel does.

In a test:  PYTHONPATH=$SRC/tests/vm/lib python3 - ARGUMENT... << 'END'
"""

import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

UNIT = 1_000_000  # of altitudes
DRY_RUN, EXPECT, CONFIRM = 1, 2, 4
PROVISIONAL, FROM_FIRST_BIO = 1, 2  # flags of an entry
NO_ENTRY = 0xFFFFFFFF

EVENTS = (
    "LOST REGISTERED UNREGISTERED DEVICE_ADDED DEVICE_REMOVED ATTACHED DETACHED STACK POINT RESIZED SETTLED HOOK_LOST FILTER"
).split()
REASONS = ["", "REQUEST", "REPLACED", "REMOVED", "CHANGED", "UNCONFIRMED", "FAILED"]
RULE_KEYS = ["disk", "partition", "name", "driver", "major", "partuuid", "partlabel", "wwid"]
GROUPS = ["read", "write", "discard", "zeroes", "flush", "other"]

_ENTRY = struct.Struct("=32s32s16sQQIIQ32s16Q")
_STACK = struct.Struct("=IIIIQQQIIII")
_POINT = struct.Struct("=II16sQQIIIIQQ")
_COMMAND = struct.Struct("=IIIIQ32sIIQ")
_RULE = struct.Struct("=IIIIII32s32s40s72s40sQII")
_EVENT = struct.Struct("=IIQQIIQQII32s16s64s")
EVENT_BYTES = _EVENT.size


def _number(nr: int, size: int) -> int:
    return 3 << 30 | size << 16 | 0xBF << 8 | nr


def _text(data: bytes) -> str:
    return data.split(b"\0", 1)[0].decode()


def expect(wanted: object, got: object, what: str) -> None:
    """Ends the test when they differ."""
    if wanted != got:
        sys.exit(f"{what}:\n  expected {wanted!r}\n  got      {got!r}")


def expect_errno(wanted: int, what: str, call: Callable[..., object], *arguments: object, **named: object) -> OSError | None:
    """The call must fail so; 0: it must succeed."""
    try:
        call(*arguments, **named)
        error = None
    except OSError as caught:
        error = caught
    got = error.errno if error else 0
    expect(errno.errorcode.get(wanted, wanted), errno.errorcode.get(got, got), what)
    return error


def wait_until(what: str, condition: Callable[[], object], seconds: float = 20) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            sys.exit(f"waited in vain: {what}")
        time.sleep(0.05)


def number(name: str) -> tuple[int, int]:
    """Major and minor of a device by its kernel name."""
    major, minor = (Path("/sys/class/block") / name / "dev").read_text().split(":")
    return int(major), int(minor)


def identity(name: str) -> tuple[int, int, int]:
    """Major, minor and diskseq of a device by its kernel name."""
    folder = (Path("/sys/class/block") / name).resolve()
    if not (folder / "diskseq").exists():
        folder = folder.parent
    return *number(name), int((folder / "diskseq").read_text())


SEEN = Path("/sys/kernel/debug/blkfilter-test")


def seen(name: str, filter_name: str, what: str) -> int:
    """What a test filter has counted."""
    lines = (SEEN / f"{name}.{filter_name}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.split()[0] == what)


def attachments() -> list[str]:
    """What the tests' filter has allocated: DEVICE.FILTER."""
    return sorted(path.name for path in SEEN.iterdir() if "." in path.name)


Traced = dict[tuple[int, int], list[int]]


def traced() -> Traced:
    """The kernel's own count since blkfilter-test was loaded: bios and sectors of each device, by group."""
    result = {}
    for line in (SEEN / "traced").read_text().splitlines():
        device, *counts = line.split()
        major, minor = device.split(":")
        result[int(major), int(minor)] = [int(count) for count in counts]
    return result


def grown(before: Traced, *names: str) -> list[int]:
    """What the kernel has counted of some devices since then, summed up."""
    now, none = traced(), [0] * 12
    numbers = [number(name) for name in names]
    return [sum(now.get(n, none)[i] - before.get(n, none)[i] for n in numbers) for i in range(12)]


def transfer(name: str, offset: int, size: int, write: bool = True, flags: int = 0) -> None:
    """One direct read or write, in bytes, past the page cache."""
    fd = os.open(f"/dev/{name}", os.O_RDWR | os.O_DIRECT | flags)
    buffer = mmap.mmap(-1, size)
    try:
        expect(size, (os.pwritev if write else os.preadv)(fd, [buffer], offset), "bytes transferred")
    finally:
        os.close(fd)


@dataclass
class Entry:
    """One filter of a stack, as it is shown and as it is asked for."""

    name: str
    altitude: float = 0
    options: bytes = b""
    replaces: str = ""
    owner: bytes = bytes(16)
    instance: int = 0
    state: str = ""
    flags: int = 0
    counts: list[int] = field(default_factory=list)  # as traced() has them
    bios: dict[str, int] = field(default_factory=dict)


@dataclass
class Stack:
    """A device's stack, from high to low."""

    generation: int
    entries: list[Entry]

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.entries]

    @property
    def instances(self) -> dict[str, int]:
        return {entry.name: entry.instance for entry in self.entries}

    def __getitem__(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)


def _packed(entries: Iterable[Entry]) -> tuple[ctypes.Array, list[ctypes.Array]]:
    """Entries as the kernel reads them, and what their addresses point to."""
    data, keep = b"", []
    for entry in entries:
        keep.append(ctypes.create_string_buffer(entry.options, max(len(entry.options), 1)))
        data += _ENTRY.pack(
            entry.name.encode(), entry.replaces.encode(), entry.owner, round(entry.altitude * UNIT),
            ctypes.addressof(keep[-1]), len(entry.options), 0, 0, b"", *[0] * 16,
        )  # fmt: skip
    return ctypes.create_string_buffer(data, max(len(data), 1)), keep


class Failed(OSError):
    """A transaction that was refused; @failed: index of the entry, or NO_ENTRY."""

    failed = NO_ENTRY


class Control:
    """/dev/blkfilter."""

    def __init__(self, flags: int = os.O_WRONLY):
        self.fd = os.open("/dev/blkfilter", flags | os.O_CLOEXEC)

    def _ioctl(self, nr: int, argument: bytearray) -> None:
        fcntl.ioctl(self.fd, _number(nr, len(argument)), argument, True)

    def rule(self, *names: Entry, provisional_ms: int = 0, **keys: str | int | bool) -> int:
        """Adds a rule; keys: disk, partition, name, driver, major, partuuid, partlabel, wwid. Returns its number."""
        flags = sum(1 << bit for bit, key in enumerate(RULE_KEYS) if key in keys)
        text = [str(keys.get(key, "")).encode() for key in ("name", "driver", "partuuid", "partlabel", "wwid")]
        buffer, _keep = _packed(names)
        argument = bytearray(
            _RULE.pack(
                _RULE.size, flags, 0, len(names), _ENTRY.size, int(keys.get("major", 0)), *text, ctypes.addressof(buffer),
                provisional_ms, 0,
            )
        )  # fmt: skip
        self._ioctl(6, argument)
        return _RULE.unpack(argument)[2]

    def remove_rule(self, ident: int) -> None:
        self._ioctl(7, bytearray(struct.pack("=IIII", 16, 0, ident, 0)))

    def rules(self) -> list[dict[str, object]]:
        """Number, keys and count of filters of each, in their order."""
        entries = bytearray(1024 * _RULE.size)
        address = ctypes.addressof((ctypes.c_char * len(entries)).from_buffer(entries))
        argument = bytearray(struct.pack("=IIQII", 24, 0, address, 1024, _RULE.size))
        self._ioctl(8, argument)
        result = []
        for i in range(struct.unpack("=IIQII", argument)[3]):
            _, flags, ident, count, _, major, *text, _, provisional, _ = _RULE.unpack_from(entries, i * _RULE.size)
            values = [True, True, _text(text[0]), _text(text[1]), major, *map(_text, text[2:])]
            keys = {key: value for bit, (key, value) in enumerate(zip(RULE_KEYS, values)) if flags & 1 << bit}
            result.append({"id": ident, "filters": count, "provisional_ms": provisional, **keys})
        return result

    def stack(self, name: str) -> Stack:
        """What is attached to a device."""
        room = [ctypes.create_string_buffer(4096) for _ in range(32)]
        entries = bytearray(32 * _ENTRY.size)
        for i, buffer in enumerate(room):
            _ENTRY.pack_into(
                entries, i * _ENTRY.size, b"", b"", b"", 0, ctypes.addressof(buffer), 4096, 0, 0, b"", *[0] * 16
            )
        address = ctypes.addressof((ctypes.c_char * len(entries)).from_buffer(entries))
        argument = bytearray(_STACK.pack(_STACK.size, 0, *identity(name), 0, address, 32, _ENTRY.size, 0, 0))
        self._ioctl(3, argument)
        generation, count = (_STACK.unpack(argument)[i] for i in (5, 7))
        return Stack(generation, [self._entry(entries, i, room[i]) for i in range(count)])

    @staticmethod
    def _entry(entries: bytearray, i: int, room: ctypes.Array) -> Entry:
        name, _, owner, altitude, _, size, flags, instance, state, *numbers = _ENTRY.unpack_from(entries, i * _ENTRY.size)
        return Entry(
            _text(name), altitude / UNIT, room.raw[:size], "", owner, instance, _text(state), flags,
            list(numbers[:12]), dict(zip(GROUPS, numbers)),
        )  # fmt: skip

    def set(self, name: str, entries: Iterable[Entry], flags: int = 0, generation: int = 0, limit_ms: int = 20000) -> int:
        """A transaction. Returns the new generation; Failed says which entry was refused."""
        buffer, keep = _packed(entries)
        argument = bytearray(
            _STACK.pack(
                _STACK.size, flags, *identity(name), generation, ctypes.addressof(buffer), len(keep), _ENTRY.size, limit_ms, 99
            )
        )
        try:
            self._ioctl(4, argument)
        except OSError as error:
            failed = Failed(*error.args)
            failed.failed = _STACK.unpack(argument)[10]
            raise failed from None
        return _STACK.unpack(argument)[5]

    def point(self, names: Iterable[str], ident: bytes, limit_ms: int = 20000) -> None:
        """A consistency point without file systems."""
        close = b"".join(struct.pack("=IIQ", *identity(name)) for name in names)
        buffer = ctypes.create_string_buffer(close, len(close))
        address = ctypes.addressof(buffer)
        self._ioctl(
            5, bytearray(_POINT.pack(_POINT.size, 0, ident, 0, address, 0, len(close) // 16, limit_ms, 0, 0, 0))
        )

    def command(self, name: str, filter_name: str, command: int, data: bytes = b"") -> bytes:
        """A filter's command; returns the answer."""
        room = bytearray(data or b"\0")
        return bytes(room[: self.command_in(name, filter_name, command, room, len(data))])

    def command_in(self, name: str, filter_name: str, command: int, room: bytearray, size: int | None = None) -> int:
        """The same; the answer is in @room, also where it is an error. Returns its size."""
        buffer = (ctypes.c_char * len(room)).from_buffer(room)
        argument = bytearray(
            _COMMAND.pack(
                _COMMAND.size, 0, *identity(name), filter_name.encode(), command, len(room) if size is None else size,
                ctypes.addressof(buffer),
            )
        )  # fmt: skip
        self._ioctl(9, argument)
        return _COMMAND.unpack(argument)[7]


class Node:
    """The ioctls of a device node."""

    def __init__(self, name: str, flags: int = os.O_RDONLY):
        self.fd = os.open(f"/dev/{name}", flags | os.O_CLOEXEC)

    def close(self) -> None:
        os.close(self.fd)

    def attach(self, name: str) -> None:
        fcntl.ioctl(self.fd, 0xC020128C, struct.pack("32s", name.encode()))

    def detach(self, name: str) -> None:
        fcntl.ioctl(self.fd, 0xC020128D, struct.pack("32s", name.encode()))

    def command(self, name: str, command: int, data: bytes = b"") -> tuple[int, bytes]:
        """Returns optlen and what is then in the whole buffer."""
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        argument = bytearray(struct.pack("=32sIIQ", name.encode(), command, len(data), ctypes.addressof(buffer)))
        fcntl.ioctl(self.fd, 0xC030128E, argument, True)
        return struct.unpack_from("=I", argument, 36)[0], buffer.raw[: len(data)]


@dataclass
class Event:
    """What read() returns."""

    type: str
    seq: int
    time_ns: int
    device: tuple[int, int, int]
    value: int
    reason: str
    pid: int
    name: str
    comm: str
    data: bytes

    @staticmethod
    def of(data: bytes) -> "Event":
        size, kind, seq, when, major, minor, diskseq, value, reason, pid, name, comm, rest = _EVENT.unpack(data)
        expect(EVENT_BYTES, size, "size in an event")
        return Event(
            EVENTS[kind - 1], seq, when, (major, minor, diskseq), value, REASONS[reason], pid, _text(name), _text(comm), rest
        )


class Events:
    """A reader of events."""

    def __init__(self, flags: int = os.O_RDONLY | os.O_NONBLOCK):
        self.fd = os.open("/dev/blkfilter", flags | os.O_CLOEXEC)

    def read(self, room: int = 16) -> list[Event]:
        """One read() with room for so many."""
        data = os.read(self.fd, room * EVENT_BYTES)
        expect(0, len(data) % EVENT_BYTES, "part of an event")
        return [Event.of(data[i : i + EVENT_BYTES]) for i in range(0, len(data), EVENT_BYTES)]

    def readable(self, seconds: float = 0) -> bool:
        """poll()."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def take(self, seconds: float = 0) -> list[Event]:
        """All that are there; waits for the first."""
        events: list[Event] = []
        while self.readable(seconds):
            events += self.read()
            seconds = 0
        return events

    def take_count(self, count: int, seconds: float = 20) -> list[Event]:
        """So many, and then whatever is there too."""
        events: list[Event] = []
        limit = time.monotonic() + seconds
        while len(events) < count and self.readable(max(0, limit - time.monotonic())):
            events += self.read()
        return events + self.take()
