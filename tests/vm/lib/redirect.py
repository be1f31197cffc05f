# SPDX-License-Identifier: MIT
"""redirect's interface for tests that are written in Python: thin, so that it hides nothing of what the kernel does.

As a program:  redirect.py start SOURCE TARGET [MODE [NAME=NUMBER...]]   redirect.py status SOURCE [FIELD]
               redirect.py pause|resume|cancel|finish|cutover|verify|withdraw SOURCE      redirect.py wait SOURCE STATE [SECONDS]
               redirect.py below SOURCE      redirect.py interpose SOURCE TARGET      redirect.py take_out SOURCE [no-freeze]
"""

import errno
import fcntl
import os
import struct
import subprocess
import sys
import time
import uuid

from blkfilter import Control, Entry, Failed

START, STATUS, SET, PAUSE, RESUME, CUTOVER, CANCEL, FINISH, VERIFY, BELOW = range(10)
ONLY, BLOCKING, BACKGROUND = range(3)
MODES = {"only": ONLY, "blocking": BLOCKING, "background": BACKGROUND}
STATES = "created running paused ready standby pending redirected aborting failed concluded".split()
(NOT_REFUSED, SMALLER, BLOCK_SIZE, READ_ONLY, ZONED, INTEGRITY, IN_USE, IS_SOURCE, ON_SOURCE, GONE, SOURCE_INTEGRITY, ATOMIC,
 NO_BLOCK, CRYPTO) = range(14)  # fmt: skip
(RECORD_NO_PLACE, RECORD_NO_BLOCK, RECORD_READ_ONLY, RECORD_IN_USE, RECORD_GONE, RECORD_UNSUITED, RECORD_ON_SOURCE, RECORD_IO,
 RECORD_IN_FORCE, RECORD_NONE, RECORD_DAMAGED, RECORD_VERSION, RECORD_OTHER_ID, RECORD_OTHER_SIZE, RECORD_OTHER_DEVICE,
 RECORD_CONCLUDED, RECORD_WRITTEN, NOT_BELOW) = range(14, 32)  # fmt: skip
FUA, UNSEEN, RECORDED, RECORD_BEHIND, CONTINUED, INTERPOSED = 1, 2, 4, 8, 16, 32
NO_RECORD, RECORD, CONTINUE, INTERPOSE, NO_ATOMIC = 1, 2, 4, 8, 16
WITHDRAW = 1  # flag of BELOW
NO_FREEZE = 1  # flag of FINISH
SET_RATE, SET_IN_FLIGHT, SET_MODE = 1, 2, 4

_START = struct.Struct("=IIIiQQQQII16sIIiI")
_STATUS = struct.Struct("=IIII16sIIQ9QIIQQIIQQQIIQQQII")
_BELOW = struct.Struct("=IIIIQ32s")
_FIELDS = (
    "size state mode error id major minor diskseq first_sector sectors target_sector total remaining copied dirtied mirrored rate"
    " in_flight copies waited target_errors attempts flags held_ns time_ns started_ns record_major record_minor record_diskseq"
    " record_sector record_marked record_error reserved"
).split()


BLKDISCARD = 0x1277


def suspend(name: str) -> None:
    """A mapped device does not answer any more."""
    subprocess.check_call(["dmsetup", "suspend", "--nolockfs", "--noflush", name])


def resume(name: str) -> None:
    subprocess.check_call(["dmsetup", "resume", name])


def remap(name: str, table: str) -> None:
    """Another table for a mapped device that is in use; what is on its way is not waited for."""
    suspend(name)
    subprocess.run(["dmsetup", "load", name], input=table, text=True, check=True)
    resume(name)


def parameter(name: str, value: int) -> None:
    """Of the module."""
    with open(f"/sys/module/blkfilter_redirect/parameters/{name}", "w") as file:
        file.write(str(value))


def discard(path: str, size: int, offset: int = 0) -> None:
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.ioctl(fd, BLKDISCARD, struct.pack("QQ", offset, size))
    finally:
        os.close(fd)


def content(name: str, size: int = -1) -> bytes:
    """What is on a device, not in its page cache."""
    subprocess.check_call(["blockdev", "--flushbufs", f"/dev/{name}"])
    with open(f"/dev/{name}", "rb") as file:
        return file.read(size)


def flushes(name: str) -> int:
    """That a disk, or a partition's, has done."""
    folder = os.path.realpath(f"/sys/class/block/{name}")
    if os.path.exists(f"{folder}/partition"):
        folder = os.path.dirname(folder)
    with open(f"{folder}/stat") as file:
        return int(file.read().split()[15])


def states_of(events) -> list[str]:
    """What the job was, one after the other; 'aborting' may be too short to be seen."""
    states = [STATES[event.value] for event in events.take() if event.type == "FILTER"]
    return [state for state in states if state != "aborting"]


class Refused(OSError):
    """A start that was refused; @why: what is wrong with the target."""

    why = NOT_REFUSED


class Redirect:
    """The filter on one device, by the kernel's name."""

    def __init__(self, source: str, control: Control | None = None):
        self.source, self.control = source, control or Control()

    def attach(self) -> "Redirect":
        """Attached beside whatever is there."""
        stack = self.control.stack(self.source)
        if "redirect" not in stack.names:
            entries = [Entry(entry.name, entry.altitude, entry.options) for entry in stack.entries]
            self.control.set(self.source, [*entries, Entry("redirect")])
        return self

    def detach(self) -> None:
        entries = [e for e in self.control.stack(self.source).entries if e.name != "redirect"]
        self.control.set(self.source, [Entry(e.name, e.altitude, e.options) for e in entries])

    def command(self, number: int, data: bytes = struct.pack("=II", 8, 0)) -> bytes:
        return self.control.command(self.source, "redirect", number, data)

    def start_fd(
        self, fd: int, mode: int = ONLY, first: int = 0, sectors: int = 0, target_sector: int = 0, rate: int = 0,
        in_flight: int = 0, limit_ms: int = 20000, ident: bytes | None = None, flags: int | None = None, record: int = 0,
        size: int = _START.size,
    ) -> None:  # fmt: skip
        ident = uuid.uuid4().bytes if ident is None else ident
        flags = (NO_RECORD if mode != ONLY else 0) if flags is None else flags
        data = _START.pack(
            size, flags, mode, fd, first, sectors, target_sector, rate, in_flight, limit_ms, ident, 0, 0, record, 0
        )[:size]
        room = bytearray(data)
        try:
            self.control.command_in(self.source, "redirect", START, room)
        except OSError as error:
            refused = Refused(*error.args)
            refused.why = _START.unpack(room.ljust(_START.size, b"\0"))[11]
            raise refused from None

    def start(self, target: str, mode: int = ONLY, **named: int) -> None:
        fd = os.open(target, os.O_RDWR)
        try:
            self.start_fd(fd, mode, **named)
        finally:
            os.close(fd)

    def status(self) -> dict[str, int]:
        data = self.command(STATUS, struct.pack("=I", _STATUS.size).ljust(_STATUS.size, b"\0"))
        return dict(zip(_FIELDS, _STATUS.unpack(data), strict=True))

    @property
    def state(self) -> str:
        return STATES[self.status()["state"]]

    def wait(self, *states: str, seconds: float = 60) -> str:
        limit = time.monotonic() + seconds
        while (state := self.state) not in states:
            if time.monotonic() > limit:
                sys.exit(f"{self.source}: waited for {states}: {state} {self.status()}")
            time.sleep(0.02)
        return state

    def set(self, rate: int | None = None, in_flight: int | None = None, mode: int | None = None) -> None:
        flags = (rate is not None) * SET_RATE | (in_flight is not None) * SET_IN_FLIGHT | (mode is not None) * SET_MODE
        self.command(SET, struct.pack("=IIQII", 24, flags, rate or 0, in_flight or 0, mode or 0))

    def pause(self) -> None:
        self.command(PAUSE)

    def resume(self) -> None:
        self.command(RESUME)

    def cancel(self) -> None:
        self.command(CANCEL)

    def finish(self, seconds: float = 10) -> None:
        """udev and others may have the source open for a moment."""
        self._when_closed(lambda: self.command(FINISH), seconds)

    def detach_when_closed(self, seconds: float = 10) -> None:
        self._when_closed(self.detach, seconds)

    @staticmethod
    def _when_closed(call, seconds: float) -> None:
        limit = time.monotonic() + seconds
        while True:
            try:
                return call()
            except (OSError, Failed) as error:
                if error.errno != errno.EBUSY or time.monotonic() > limit:
                    raise
                time.sleep(0.1)

    def cutover(self, limit_ms: int = 20000, wait_ms: int = 60000) -> int:
        """For how long writes were held, in ns."""
        return struct.unpack("=IIIIQ", self.command(CUTOVER, struct.pack("=IIIIQ", 24, 0, limit_ms, wait_ms, 0)))[4]

    def below(self, flags: int = 0) -> tuple[str, tuple[int, int, int]]:
        """The device below: its name, and its numbers."""
        data = self.command(BELOW, _BELOW.pack(_BELOW.size, flags, 0, 0, 0, b""))
        _, _, *numbers, name = _BELOW.unpack(data)
        return name.rstrip(b"\0").decode(), tuple(numbers)

    def withdraw(self, seconds: float = 10) -> None:
        self._when_closed(lambda: self.below(WITHDRAW), seconds)

    def interpose(self, target: str) -> None:
        self.start(target, flags=INTERPOSE)

    def take_out(self, flags: int = 0) -> None:
        self.command(FINISH, struct.pack("=II", 8, flags))

    def verify(self, sector: int = 0, sectors: int = 0) -> tuple[int, int | None, int, int]:
        """Where it has got to, first sector of a difference, bytes that were compared and left out."""
        data = self.command(VERIFY, struct.pack("=IIQQQQQ", 48, 0, sector, sectors, 0, 0, 0))
        _, _, sector, _, different, compared, skipped = struct.unpack("=IIQQQQQ", data)
        return sector, None if different == (1 << 64) - 1 else different, compared, skipped


def main() -> None:
    match sys.argv[1:]:
        case ["below", source]:
            print(Redirect(source).attach().below()[0])
        case ["interpose", source, target]:
            Redirect(source).attach().interpose(target)
        case ["take_out", source, *flags]:
            Redirect(source).take_out(NO_FREEZE if flags else 0)
        case ["start", source, target, *rest]:
            named = {name: int(value) for name, _, value in (pair.partition("=") for pair in rest[1:])}
            Redirect(source).attach().start(target, MODES[rest[0]] if rest else ONLY, **named)
        case ["status", source]:
            print(*(f"{key} {value}" for key, value in Redirect(source).status().items() if key != "id"), sep="\n")
        case ["status", source, "state"]:
            print(Redirect(source).state)
        case ["status", source, field]:
            print(Redirect(source).status()[field])
        case ["wait", source, state, *seconds]:
            Redirect(source).wait(state, seconds=float(seconds[0]) if seconds else 60)
        case ["verify", source]:
            print(*Redirect(source).verify())
        case ["pause" | "resume" | "cancel" | "finish" | "cutover" | "detach_when_closed" | "withdraw" as what, source]:
            getattr(Redirect(source), what)()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
