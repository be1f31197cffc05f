#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where the instructions of a write go: single-steps one in a guest, and counts by function.

  where.py [--kernel 6.12] [--device nullb0|linear] [--on nullb0|nullb1|linear] [--pcs FILE] [FILTER...]

Prints, for one call of submit_bio_noacct() by a direct write, what each function executed itself, and with --pcs every address
in order, with its symbol. Two runs beside each other (diff -y) show what a filter costs. The modules must have been built.
"""

import argparse
import bisect
import socket
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
from guest import Guest, GuestError, Options  # noqa: E402

ENTRY = "submit_bio_noacct"
RIP, RSP = 16, 7  # numbers of registers in gdb's protocol for x86-64
TRAMPOLINE = "ftrace_trampoline"
PAGE = 4096
WARM_UP = 200  # writes before the one that is looked at: caches of memory are warm


class SteppedGuest(Guest):
    """A guest with a door for a debugger."""

    def command(self, options: Options) -> list[str]:
        return [*super().command(options), "-gdb", "unix:gdb.sock,server=on,wait=off"]


class Debugger:
    """As much of gdb's remote protocol as is needed."""

    def __init__(self, path: Path):
        self.stream = socket.socket(socket.AF_UNIX)
        self.stream.connect(str(path))
        self.stream.settimeout(60)
        self.received = b""
        # Connecting stops the guest; it says so without being asked.
        time.sleep(0.5)
        self.stream.recv(65536)

    def ask(self, question: str) -> str:
        self.stream.sendall(b"+$" + question.encode() + b"#%02x" % (sum(question.encode()) % 256))
        while True:
            begin, end = self.received.find(b"$"), self.received.find(b"#")
            if 0 <= begin < end and len(self.received) >= end + 3:
                answer, self.received = self.received[begin + 1 : end], self.received[end + 3 :]
                return answer.decode()
            self.received += self.stream.recv(65536)

    def register(self, number: int) -> int:
        start = number * 16
        return int.from_bytes(bytes.fromhex(self.ask("g")[start : start + 16]), "little")

    def word(self, address: int) -> int:
        return int.from_bytes(bytes.fromhex(self.ask(f"m{address:x},8")), "little")

    def breakpoint(self, address: int, there: bool) -> None:
        self.ask(f"{'Z' if there else 'z'}1,{address:x},1")


class Symbols:
    """The guest's kallsyms."""

    def __init__(self, text: str):
        entries = sorted((int(word[0], 16), word[2]) for word in map(str.split, text.splitlines()) if word[1] in "tTwW")
        self.addresses = [address for address, _ in entries]
        self.names = [name for _, name in entries]
        self.trampoline = self.address(TRAMPOLINE) if TRAMPOLINE in self.names else 0

    def address(self, name: str) -> int:
        return self.addresses[self.names.index(name)]

    def place(self, pc: int) -> tuple[str, int]:
        """The function that PC is in, and how far. Where ftrace has its code a module's init may have been before."""
        begin = bisect.bisect_right(self.addresses, pc) - 1
        trampoline = self.trampoline
        if trampoline and trampoline <= pc < trampoline + PAGE:
            return TRAMPOLINE, pc - trampoline
        return self.names[begin], pc - self.addresses[begin]


def step_through(debugger: Debugger, symbols: Symbols) -> list[int]:
    """Every address of one call of ENTRY."""
    entry = symbols.address(ENTRY)
    debugger.breakpoint(entry, True)
    debugger.ask("c")
    for _ in range(WARM_UP):
        debugger.breakpoint(entry, False)
        debugger.ask("s")
        debugger.breakpoint(entry, True)
        debugger.ask("c")
    debugger.breakpoint(entry, False)
    stack = debugger.register(RSP)
    back = debugger.word(stack)
    pcs = [entry]
    while True:
        debugger.ask("s")
        pc = debugger.register(RIP)
        if pc == back and debugger.register(RSP) > stack:
            return pcs
        pcs.append(pc)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernel", default="6.12")
    parser.add_argument("--device", default="nullb0")
    parser.add_argument("--on")
    parser.add_argument("--pcs", type=Path)
    parser.add_argument("filter", nargs="*")
    args = parser.parse_args()

    guest = SteppedGuest(args.kernel, f"{args.kernel}-where")
    try:
        append = f"init_on_alloc=0 nokaslr where.device={args.device} where.on={args.on or args.device} "
        guest.start(Options(icount=True, append=append + f"where.filters={','.join(args.filter)} "))
        guest.write_job({"TEST": "tests/bench/where.sh", "KERNEL": args.kernel, "MODDIR": f"/job/modules/{args.kernel}",
                         "BINDIR": "/job/bin", "SRC": "/src", "SEED": "1"})  # fmt: skip
        assert guest.channel
        guest.channel.sendall(b"run where\n")
        limit = time.monotonic() + 120
        while not (guest.dir / "ready").exists():
            if time.monotonic() > limit:
                raise GuestError(f"the guest is not ready\n{guest.output.read_text()}")
            time.sleep(0.2)
        symbols = Symbols((guest.dir / "kallsyms").read_text())
        pcs = step_through(Debugger(guest.dir / "gdb.sock"), symbols)
    except GuestError as error:
        print(error)
        return 1
    finally:
        guest.stop()
    for name, count in Counter(symbols.place(pc)[0] for pc in pcs).items():
        print(f"{count:6} {name}")
    print(f"{len(pcs):6} in all")
    if args.pcs:
        args.pcs.write_text("".join("{}+{:#x}\n".format(*symbols.place(pc)) for pc in pcs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
