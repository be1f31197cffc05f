# SPDX-License-Identifier: MIT
"""The devices of redirect_decides_undisturbed.sh: as those of redirect_resumes_after_power_loss.py."""

import subprocess
import sys
import threading
import uuid

from blkfilter import expect, wait_until
from redirect import content, remap
from redirect_migration import BLOCK, DISKS, SECTORS, Migration, devices, fresh, put, slow

devices(sys.argv[1:])


def tool(*arguments: str) -> None:
    subprocess.run(["blkfilter-tool", *arguments], check=True, stdout=subprocess.DEVNULL)


def writes(disk: str) -> int:
    return int(open(f"/sys/block/{disk}/stat").read().split()[4])


fresh()
# So that a copy would still be on its way when it is decided.
below = f"/dev/{DISKS['from']} 0"
migration = Migration("", uuid.uuid4().bytes, True, **{"from": f"0 {SECTORS} delay {below} 300 {below} 0"})
tool("stack", migration.source, "set", "redirect", "test3@350000")
migration.start()
migration.redirect.wait("ready")
old = content(DISKS["from"])
new = b"new!" * (BLOCK // 4)

# The record is written twice: as it was, and then with the target as the current one.
remap("record", slow("record", 2000))
before = writes(DISKS["record"])
cutover = threading.Thread(target=migration.redirect.cutover)
cutover.start()
wait_until("the first write of the record", lambda: writes(DISKS["record"]) > before)
writer = threading.Thread(target=put, args=(migration.source, 0, new))
writer.start()
times = 0
while cutover.is_alive():
    tool("command", migration.source, "test3", "1")
    times += 1
cutover.join()
writer.join()
print(f"the source was said to have changed {times} times meanwhile")
expect("redirected", migration.redirect.state, "state")
expect(True, times > 3, "often enough")
expect(new, content(DISKS["onto"], BLOCK), "what was held")
expect(True, content(DISKS["from"]) == old, "the source is as it was")
remap("record", f"0 2048 linear /dev/{DISKS['record']} 0")
migration.redirect.finish(30)
migration.end()
