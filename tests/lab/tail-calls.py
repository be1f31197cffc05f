#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that the bio path of a built blkfilter.ko leaves our code by tail calls:  tail-calls.py blkfilter.ko...

Unloading the module does not wait for tasks that sleep below us without a reference (kernel/blkfilter-core/hook.c), so
nothing of ours may be on their stack. The calls that return to us, and hold a reference meanwhile, are counted here.
"""

import re
import subprocess
import sys

# bf_send() (in bf_submit and bf_walk) and bf_admitted call the original with a reference held.
CALLS_WITH_A_REFERENCE = {"bf_walk": 1, "bf_admitted": 1, "bf_submit": 1}


def calls(module: str) -> dict[str, list[str]]:
    """For each function the targets of its call instructions."""
    text = subprocess.run(["objdump", "-dr", "--no-show-raw-insn", module], check=True, capture_output=True, text=True).stdout
    found: dict[str, list[str]] = {}
    function, last = "", ""
    for line in text.splitlines():
        if match := re.match(r"^[0-9a-f]+ <(\w+)(?:\.\w+)*>:", line):
            function = match[1]
            found.setdefault(function, [])
        elif match := re.search(r"\t(call|jmp|j\w+) +", line):
            last = match[1]
            if last == "call" and (named := re.search(r"<(bf_\w+)(?:\.\w+)*>$", line)) and named[1] != function:
                found[function].append(named[1])
        elif (match := re.search(r"R_X86_64_P\w+32\t(\w+)", line)) and last == "call":
            found[function].append(match[1])
    return found


def main() -> int:
    status = 0
    for module in sys.argv[1:]:
        found = calls(module)
        originals = {f: t.count("__SCT__bf_original") for f, t in found.items() if "__SCT__bf_original" in t}
        for function, number in originals.items():
            if function not in ("bf_run_parked", "bf_worker") and number > CALLS_WITH_A_REFERENCE.get(function, 0):
                print(f"{module}: {function} calls the original {number} times and comes back")
                status = 1
        inner = [t for t in found.get("bf_submit", []) if re.fullmatch("bf_submit_any|bf_admitted|bf_enter|bf_enter_own|bf_walk|bf_send_wrapped", t)]
        if inner:
            print(f"{module}: bf_submit calls {', '.join(inner)} and comes back")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
