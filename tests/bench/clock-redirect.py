# SPDX-License-Identifier: MIT
"""The measurements of clock-redirect.sh:  clock-redirect.py SOURCE TARGET SMALL_SOURCE SMALL_TARGET SLOW_SOURCE SLOW_TARGET."""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from redirect import BACKGROUND, BLOCKING, Redirect

source, target, *small = sys.argv[1:]
SECTORS = int(open(f"/sys/block/{source}/size").read())
ROUNDS, CUT_OVERS = 3, 9
TRACING = Path("/sys/kernel/tracing")


def writes(device: str) -> int:
    """That have completed."""
    return int(Path(f"/sys/class/block/{device.removeprefix('/dev/')}/stat").read_text().split()[4])


def fio(device: str, depth: int, seconds: int) -> subprocess.Popen:
    """Random writes of 4 KiB, in the background; they have begun."""
    before = writes(device)
    load = subprocess.Popen(
        ["fio", "--name=load", f"--filename={device}", "--ioengine=libaio", "--direct=1", "--rw=randwrite", "--bs=4k", "--norandommap",
         f"--iodepth={depth}", "--thread", "--time_based", f"--runtime={seconds}", "--output-format=json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    while writes(device) < before + depth and load.poll() is None:
        time.sleep(0.02)
    return load


def latency(load: subprocess.Popen) -> dict[str, float]:
    """Of its writes, in ns, when it has ended."""
    shown = load.communicate()[0]
    return json.loads(shown[shown.index("{") :])["jobs"][0]["write"]["clat_ns"]


class Mirror:
    """dm-mirror, which copies as soon as it is there."""

    def begin(self) -> None:
        legs = f"2 /dev/{source} 0 /dev/{target} 0"
        subprocess.run(["dmsetup", "create", "mirror"], input=f"0 {SECTORS} mirror core 1 2048 {legs}", text=True, check=True)
        name = subprocess.check_output(["dmsetup", "info", "-c", "--noheadings", "-o", "blkdevname", "mirror"], text=True)
        self.path = f"/dev/{name.strip()}"

    def is_done(self) -> bool:
        status = subprocess.check_output(["dmsetup", "status", "mirror"], text=True)
        # 0 SIZE mirror 2 MAJOR:MINOR MAJOR:MINOR IN_SYNC/REGIONS ...
        done, _, of = status.split()[6].partition("/")
        return done == of

    def end(self) -> None:
        subprocess.check_call(["dmsetup", "remove", "--retry", "mirror"])


class Migration:
    """redirect, up to ready."""

    path = f"/dev/{source}"

    def __init__(self, mode: int):
        self.mode = mode

    def begin(self) -> None:
        self.redirect = Redirect(source).attach()
        self.redirect.start(f"/dev/{target}", self.mode)

    def is_done(self) -> bool:
        return self.redirect.state == "ready"

    def end(self) -> None:
        self.redirect.cancel()
        self.redirect.detach()


def copied(way: Mirror | Migration) -> float:
    """MiB in a second, with nobody else at work."""
    began = time.monotonic()
    way.begin()
    while not way.is_done():
        time.sleep(0.02)
    rate = SECTORS / 2048 / (time.monotonic() - began)
    way.end()
    return rate


def waited(way: Mirror | Migration | None) -> float:
    """Microseconds for a write, one at a time, while it is copied."""
    if way:
        way.begin()
    mean = latency(fio(way.path if way else f"/dev/{source}", 1, 2))["mean"] / 1000
    if way and way.is_done():
        sys.exit(f"{way.path} was copied too soon to say how long a write takes meanwhile")
    if way:
        way.end()
    return mean


def gate_closed() -> int:
    """For how long the gate of the last point was, in ns."""
    *_, last = (line for line in (TRACING / "trace").read_text().splitlines() if "closed_ns=" in line)
    return int(last.partition("closed_ns=")[2].split()[0])


def cut_over(source: str, target: str) -> tuple[float, float, float]:
    """Under 32 writes at a time: how long the gate was closed, for how long writes waited in all, and the longest write, in ms."""
    redirect = Redirect(source).attach()
    redirect.start(f"/dev/{target}", BLOCKING)
    redirect.wait("ready")
    load = fio(f"/dev/{source}", 32, 2)
    time.sleep(0.5)
    held = redirect.cutover()
    closed = gate_closed()
    longest = latency(load)["max"]
    redirect.finish()
    redirect.detach()
    return closed / 1e6, (closed + held) / 1e6, longest / 1e6


WAYS: dict[str, Mirror | Migration] = {
    "write-blocking": Migration(BLOCKING), "background": Migration(BACKGROUND), "dm-mirror": Mirror(),
}  # fmt: skip


def show(name: str, value: float, unit: str, text: str) -> None:
    print(f"clock redirect-{name} {value:.4g} {unit} {text}")


# In turn, so that what else the machine does disturbs all alike.
rates: dict[str, list[float]] = {name: [] for name in WAYS}
waits: dict[str, list[float]] = {name: [] for name in ["bare", *WAYS]}
for _ in range(ROUNDS):
    waits["bare"].append(waited(None))
    for name, way in WAYS.items():
        rates[name].append(copied(way))
        waits[name].append(waited(way))
for name, values in rates.items():
    show(f"copy-{name}", statistics.median(values), "MiB/s", f"copying, nobody else at work: {name}")
for name, values in waits.items():
    show(f"write-{name}", statistics.median(values), "us", f"a write of 4 KiB, while it is copied: {name}")
(TRACING / "events/blkfilter/blkfilter_point/enable").write_text("1")
for disks, (source, target) in {"null_blk": small[:2], "disks of 5 ms": small[2:]}.items():
    cuts = [cut_over(source, target) for _ in range(CUT_OVERS)]
    name, of = disks.replace(" ", "-"), f"cut-over, 32 random writes at a time, {disks}"
    show(f"closed-{name}", statistics.median(cut[0] for cut in cuts), "ms", f"{of}: gate closed")
    show(f"held-{name}", statistics.median(cut[1] for cut in cuts), "ms", f"{of}: writes held in all")
    show(f"held-max-{name}", max(cut[1] for cut in cuts), "ms", f"the same, the most of {CUT_OVERS}")
    show(f"longest-{name}", statistics.median(cut[2] for cut in cuts), "ms", "the longest write of the load")
