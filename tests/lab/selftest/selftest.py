# SPDX-License-Identifier: MIT
"""The lab's own test:  selftest.py KERNEL. Runs, on one guest after the other, tests that warn, panic, hang, fail, skip and
leave things behind, and checks that each has the verdict that it should have and that the next one finds a clean guest."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from guest import accelerator  # noqa: E402

LAB = HERE.parent / "lab.py"
# Test, exit status of lab.py, what it must print.
EXPECTED = [
    ("sees_a_clean_guest", 0, "booted in"),
    ("sees_a_clean_guest", 0, "passed in"),
    ("warns", 1, "kernel report: "),
    ("warns_as_allowed", 0, "booted in"),
    ("panics", 1, "the guest died"),
    ("sees_a_clean_guest", 0, "booted in"),
    ("hits_a_breakpoint", 1, "once more" if accelerator() == "tcg" else "Oops"),
    ("hangs", 1, "no answer within 5 s"),
    ("sees_a_clean_guest", 0, "booted in"),
    ("fails", 1, "put away"),
    ("skips", 77, "skipped: not on a Tuesday"),
    ("leaves_a_disk", 0, "left behind"),
    ("sees_a_clean_guest", 0, "booted in"),
]


def main() -> int:
    # A build folder of its own, so that the guests of the other tests are left alone.
    outer = Path(os.environ["BLKFILTER_BUILD"])
    build = outer / "selftest"
    shutil.rmtree(build, ignore_errors=True)
    (build / "lab").mkdir(parents=True)
    for file in [*outer.glob("lab/kernel-*.env"), *outer.glob("lab/accelerator-*")]:
        shutil.copy(file, build / "lab")
    environment = {**os.environ, "BLKFILTER_BUILD": str(build), "LAB_TIMEOUT_SCALE": "1"}
    kernel = sys.argv[1]
    failed = 0
    for test, status, words in EXPECTED:
        command = [sys.executable, LAB, "run", "--kernel", kernel, f"tests/lab/selftest/{test}.sh"]
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        good = result.returncode == status and words in result.stdout
        print(f"{'ok  ' if good else 'FAIL'} {test}: {result.returncode}")
        if not good:
            failed += 1
            print(f"expected {status} and '{words}':\n{result.stdout}{result.stderr}")
    subprocess.run([sys.executable, LAB, "guest", "stop"], env=environment, check=False)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
