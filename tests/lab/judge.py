# SPDX-License-Identifier: MIT
"""Judges a guest's console: which kernel messages fail the test during which they appear."""

import re
from collections.abc import Iterable

# Every one of these is a kernel's way to say that something is broken. Case matters.
REPORTS = re.compile(
    r"BUG:"
    r"|WARNING:"
    r"|KASAN: "
    r"|UBSAN:"
    r"|possible circular|possible recursive|inconsistent lock state|suspicious RCU usage|held lock freed"
    r"|INFO: trying to register non-static key"
    r"|sleeping function called"
    r"|INFO: task .* blocked"
    r"|rcu.*stall"
    r"|Oops"
    r"|general protection"
    r"|Kernel panic"
    r"|refcount_t"
    r"|DEBUG_LOCKS"
    r"|ODEBUG"
    r"|workqueue lockup"
    r"|list_(add|del) corruption"
    r"|kmemleak: [0-9]+ new suspected"
    r"|Unknown symbol|disagrees about version of symbol"
)


def reports(console: str, allowed: Iterable[str] = ()) -> list[str]:
    """The lines of CONSOLE that are a report and match none of the regular expressions in ALLOWED."""
    exceptions = [re.compile(pattern) for pattern in allowed]
    return [
        line
        for line in console.splitlines()
        if REPORTS.search(line) and not any(exception.search(line) for exception in exceptions)
    ]


# The kernel changes its code under a breakpoint. QEMU 7.2, with a thread for each CPU, may translate that breakpoint while it is being replaced,
# and keep the translation: whoever comes by later dies of a breakpoint that nobody has set. A stock kernel without any module of ours does so
# within seconds when function tracing is switched on and off under load; with all CPUs in one thread it does not (docs/design/decisions.md).
EMULATORS = re.compile(r"(Oops: |\] )int3: 0000 ")


def is_emulators(console: str) -> bool:
    """The guest died of a flaw of the emulator. To be asked of emulated guests only."""
    return EMULATORS.search(console) is not None
