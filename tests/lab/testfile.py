# SPDX-License-Identifier: MIT
"""Reads the header of a test: the comment lines "# lab: WORD VALUE" that say how it wants to be run.

# lab: kernels debug 6.12 6.1   where it runs in the full run (default: debug)
# lab: soak 6.12 6.1             where it runs in ./dev soak besides
# lab: quick                    it belongs to ./dev test --quick too
# lab: timeout SECONDS          of the host's clock (default 120)
# lab: allow-dmesg REGEX        kernel messages that it provokes; may be repeated
# lab: fresh                    in a guest of its own
# lab: append WORDS             words for the kernel's command line (implies fresh)
# lab: smp N, # lab: memory MIB the guest's size (implies fresh)
# lab: disk MIB                 a virtio disk, empty at first, /dev/vda once virtio_blk is loaded, of serial data0 (implies fresh).
#                               power_loss of guest/lib.sh ends the guest and boots it again with what is on it
# lab: image                    in a Debian of its own that boots from a disk (implies fresh). With exit status 75 it asks for
#                               a reboot and is run again, with BOOT one higher (the first time it is 1); what it has written to
#                               $LAB_DIR/append is added to the kernel's command line of that one boot

kernels, soak, quick, timeout and image are read by tests/CMakeLists.txt as well.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_TIMEOUT = 120
# KASAN and lockdep under emulation take so many times as long as a stock kernel.
DEBUG_FACTOR = 4


@dataclass
class TestFile:
    """One test and what its header asks for."""

    path: Path
    timeout: int = DEFAULT_TIMEOUT
    allowed: list[str] = field(default_factory=list)
    fresh: bool = False
    append: str = ""
    smp: int | None = None
    memory: int | None = None
    disk: int | None = None
    image: bool = False

    @property
    def name(self) -> str:
        return self.path.stem


def read(path: Path) -> TestFile:
    """Reads the header of the test at PATH. Raises ValueError for a word that does not exist."""
    test = TestFile(path)
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = re.match(r"# lab: (\S+)\s*(.*)", line)
        if not found:
            continue
        word, value = found.groups()
        match word:
            case "kernels" | "soak" | "quick":
                pass
            case "timeout":
                test.timeout = int(value)
            case "allow-dmesg":
                test.allowed.append(value)
            case "fresh":
                test.fresh = True
            case "append":
                test.fresh, test.append = True, value
            case "smp":
                test.fresh, test.smp = True, int(value)
            case "memory":
                test.fresh, test.memory = True, int(value)
            case "disk":
                test.fresh, test.disk = True, int(value)
            case "image":
                test.fresh, test.image = True, True
            case _:
                raise ValueError(f"{path}:{number}: unknown '# lab: {word}'")
    return test


def limit(test: TestFile, kernel: str) -> int:
    """Seconds of the host's clock after which the test has failed."""
    return test.timeout * (DEBUG_FACTOR if kernel == "debug" else 1)
