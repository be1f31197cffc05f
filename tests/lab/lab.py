#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The lab's command line: starts guests, runs tests in them, judges what came out.

  lab.py guest start --kernel K      boot the shared guest of a kernel (again, if it runs)
  lab.py guest stop [--kernel K]     end it, or all
  lab.py run --kernel K TEST         run one test in the shared guest, starting one if none runs
  lab.py once --kernel K SCRIPT      boot, run a script with its output shown, end (demo, benchmarks)
  lab.py shell --kernel K            an interactive shell on a guest's console

TEST is a name of tests/vm or the path of a script below the repository. Exit status of run and once: 0 passed, 77 skipped,
1 failed. A guest that died, was killed for a test that took too long, or printed a kernel report is never used again.
"""

import argparse
import fcntl
import functools
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import judge
import testfile
from guest import BUILD, LAB, SRC, Guest, GuestError, Options, accelerator, read

SKIPPED = 77
POWER_LOSS = 74
REBOOT = 75
EMULATOR = 76


def find_test(name: str) -> Path:
    """The script that NAME means."""
    for path in (Path(name).resolve(), SRC / name, SRC / "tests/vm" / f"{name}.sh"):
        if path.is_file() and path.is_relative_to(SRC):
            return path
    raise GuestError(f"no test '{name}' in tests/vm")


def variables(args: argparse.Namespace, test: testfile.TestFile, seed: str, boot: int) -> dict[str, str]:
    """The environment that a test sees in the guest."""
    return {
        "TEST": str(test.path.relative_to(SRC)),
        "KERNEL": args.kernel,
        "MODDIR": f"/job/modules/{args.modules or args.kernel}",
        "BINDIR": "/run/lab/bin",
        "SRC": "/src",
        "SEED": seed,
        "SOAK": os.environ.get("SOAK", "0"),
        "BOOT": str(boot),
    }


def strip_programs() -> None:
    """Makes small copies of what was built, which the guest's agent copies into its memory: 9p is slow."""
    for file in (*(BUILD / "bin").glob("*"), *(BUILD / "lib").glob("*.so*")):
        copy = LAB / "programs" / file.relative_to(BUILD)
        if file.name == "unit-tests" or (copy.exists() and copy.stat().st_mtime_ns >= file.stat().st_mtime_ns):
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        fresh = copy.with_suffix(f".{os.getpid()}")  # another lab.py may be at it too
        if file.is_symlink():
            fresh.symlink_to(file.readlink())
        else:
            subprocess.run(["strip", "--strip-debug", "-o", fresh, file], check=True)
        fresh.rename(copy)


class Show:
    """Prints a guest's output file as it grows."""

    def __init__(self, file: Path):
        self.file = file
        self.offset = 0

    def __call__(self) -> None:
        text = self.file.read_bytes()[self.offset :]
        self.offset += len(text)
        sys.stdout.buffer.write(text)
        sys.stdout.flush()


def run_in(guest: Guest, args: argparse.Namespace, test: testfile.TestFile, show: Show | None = None, boot: int = 1) -> int:
    """Runs a test in a guest whose agent answers. Stops the guest when it cannot be trusted any more."""
    strip_programs()
    seed = os.environ.get("SEED") or str(random.getrandbits(31))
    ident = f"{test.name}-{time.monotonic_ns()}"
    timeout = testfile.limit(test, args.kernel) * float(os.environ.get("LAB_TIMEOUT_SCALE", "1"))
    guest.write_job(variables(args, test, seed, boot))
    offset = guest.console.stat().st_size
    began = time.monotonic()
    problems: list[str] = []
    left = ""
    status = -1
    try:
        answer = wait(guest, ident, timeout, show)
        status_text, _, left = answer.partition(" ")
        status = int(status_text)
        if status == POWER_LOSS:
            guest.stop()
    except GuestError as error:
        problems.append(str(error))
        guest.stop()
    seconds = time.monotonic() - began
    # The console is written a moment later than the channel.
    console = read(guest.console, offset)
    while status not in (-1, POWER_LOSS) and f"lab: end {ident}" not in console and time.monotonic() - began - seconds < 5:
        time.sleep(0.02)
        console = read(guest.console, offset)

    problems += [f"kernel report: {line.strip()}" for line in judge.reports(console, test.allowed)]
    output = read(guest.output)
    if status in (POWER_LOSS, REBOOT) and not problems:
        return status
    if status == SKIPPED and not problems:
        print(f"skipped: {(output.strip().splitlines() or ['no reason given'])[-1]}")
    elif status == 0 and not problems:
        if not show:
            print(f"passed in {seconds:.1f} s")
    else:
        if status > 0:
            problems.insert(0, f"exit status {status}")
        print(f"FAILED {test.name} on {args.kernel} after {seconds:.1f} s, SEED={seed}")
        print("".join(f"  {problem}\n" for problem in problems), end="")
        if not show:
            print(f"--- output of {test.path.relative_to(SRC)}\n{output.rstrip()}")
        print("--- kernel messages\n" + "".join(f"| {line}\n" for line in console.splitlines()[-150:]), end="")
    if left:
        print(f"left behind, so the next test gets a fresh guest: {left}")
    if problems or left:
        guest.stop()
    if problems and accelerator() == "tcg" and judge.is_emulators(console):
        return EMULATOR
    return 1 if problems else status


def wait(guest: Guest, ident: str, timeout: float, show: Show | None) -> str:
    """Sends the command and waits; with SHOW, printing meanwhile."""
    if not show:
        return guest.ask(f"run {ident}", f"done {ident}", timeout)
    limit = time.monotonic() + timeout
    hear = functools.partial(guest.ask, f"run {ident}")
    while True:
        try:
            answer = hear(f"done {ident}", 0.3)
            show()
            return answer
        except GuestError as error:
            show()
            if "died" in str(error):
                raise
            if time.monotonic() > limit:
                raise GuestError(f"no answer within {timeout:.0f} s") from None
            hear = guest.hear  # the agent reads nothing until the test is over, and then all that was sent meanwhile


def options_of(args: argparse.Namespace, test: testfile.TestFile) -> Options:
    """A guest as the command line or else the test's header wants it."""
    return Options(
        append=" ".join(filter(None, [test.append, getattr(args, "append", "")])),
        smp=getattr(args, "smp", None) or test.smp,
        memory=test.memory,
        disk=test.disk,
        icount=getattr(args, "icount", False),
        image=test.image,
    )


def command_run(args: argparse.Namespace) -> int:
    test = testfile.read(find_test(args.test))
    if time.time() > float(os.environ.get("LAB_DEADLINE", "inf")):
        print("not begun: the time for tests in guests is over (LAB_MINUTES)")
        return SKIPPED
    if test.fresh:
        return private(args, test, None)
    guest = Guest(args.kernel)
    LAB.mkdir(parents=True, exist_ok=True)
    with open(LAB / f"lock-{args.kernel}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # ctest keeps tests of one guest apart; a second ctest does not
        if guest.pid():
            try:
                guest.connect(timeout=20)
            except GuestError:
                guest.stop()
        if not guest.pid():
            print(f"guest {args.kernel} booted in {guest.start():.1f} s ({accelerator()})")
        return run_in(guest, args, test)


def command_once(args: argparse.Namespace) -> int:
    return private(args, testfile.read(find_test(args.test)), "show")


def private(args: argparse.Namespace, test: testfile.TestFile, show: str | None) -> int:
    """Runs a test in a guest of its own, which ends with it."""
    guest = Guest(args.kernel, f"{args.kernel}-{test.name}-{os.getpid()}")
    passed = False
    try:
        seconds = guest.start(options_of(args, test))
        print(f"private guest {args.kernel} booted in {seconds:.1f} s", flush=True)
        status, boot = REBOOT, 0
        while status in (POWER_LOSS, REBOOT):
            if boot:
                boot_again(guest, args, test, status)
            boot += 1
            status = run_in(guest, args, test, Show(guest.output) if show else None, boot)
        passed = status in (0, SKIPPED)
        return status
    finally:
        guest.stop()
        if passed:
            shutil.rmtree(guest.dir, ignore_errors=True)


def shut_down(guest: Guest, test: testfile.TestFile) -> None:
    """In good order. Kernel messages on the way down are judged, too."""
    offset = guest.console.stat().st_size
    try:
        guest.ask("reboot 0", "done", 1)
    except GuestError:
        pass
    guest.wait_ended(120)
    problems = [f"while shutting down: {line.strip()}" for line in judge.reports(read(guest.console, offset), test.allowed)]
    if problems:
        raise GuestError("\n".join(problems))


def boot_again(guest: Guest, args: argparse.Namespace, test: testfile.TestFile, status: int) -> None:
    """As the test asked for by its exit STATUS; at a power loss the guest has ended already."""
    if status == REBOOT:
        shut_down(guest, test)
    options = options_of(args, test)
    words = guest.dir / "append"
    if words.exists():
        options.append += f" {words.read_text().strip()}"
        words.unlink()
    seconds = guest.start(options, again=True)
    print(f"booted again in {seconds:.1f} s", flush=True)


def not_for_the_emulator(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """A test whose guest died of what judge.is_emulators() knows has said nothing: it is run once more, and not a third time."""

    def run(args: argparse.Namespace) -> int:
        status = command(args)
        if status != EMULATOR:
            return status
        print("the emulator has taken an instruction for the breakpoint that was there before: once more", flush=True)
        status = command(args)
        return 1 if status == EMULATOR else status

    return run


def command_guest(args: argparse.Namespace) -> int:
    if args.action == "start":
        guest = Guest(args.kernel)
        seconds = guest.start()
        print(f"guest {args.kernel} booted in {seconds:.1f} s ({accelerator()})")
        for line in judge.reports(read(guest.console)):
            print(f"while booting: {line}")
        return 0
    names = [args.kernel] if args.kernel else [path.name for path in (LAB / "guests").glob("*")]
    for name in names:
        Guest(args.kernel or name, name).stop()
    return 0


def command_shell(args: argparse.Namespace) -> int:
    guest = Guest(args.kernel, f"shell-{os.getpid()}")
    guest.dir.mkdir(parents=True)
    try:
        command = guest.command(Options(mode="shell", append=args.append, smp=args.smp))
        return subprocess.run([*command, "-serial", "mon:stdio"], cwd=guest.dir, check=False).returncode
    finally:
        shutil.rmtree(guest.dir, ignore_errors=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)

    guest = commands.add_parser("guest")
    guest.add_argument("action", choices=["start", "stop"])
    guest.add_argument("--kernel", default=None)
    guest.set_defaults(function=command_guest)

    for name, function in (("run", command_run), ("once", command_once)):
        command = commands.add_parser(name)
        command.add_argument("--kernel", required=True)
        command.add_argument("--modules", help="folder below build/modules (default: the kernel's name)")
        if name == "once":
            command.add_argument("--icount", action="store_true", help="count instructions: one CPU, one ns each")
            command.add_argument("--smp", type=int)
            command.add_argument("--append", default="", help="for the kernel's command line")
        command.add_argument("test")
        command.set_defaults(function=not_for_the_emulator(function))

    shell = commands.add_parser("shell")
    shell.add_argument("--kernel", default="6.12")
    shell.add_argument("--smp", type=int)
    shell.add_argument("--append", default="")
    shell.set_defaults(function=command_shell)

    args = parser.parse_args()
    if args.command == "guest" and args.action == "start" and not args.kernel:
        parser.error("guest start needs --kernel")
    try:
        return args.function(args)
    except (GuestError, ValueError) as error:
        print(error)
        return 1


if __name__ == "__main__":
    BUILD.mkdir(parents=True, exist_ok=True)
    sys.exit(main())
