#!/bin/bash
# SPDX-License-Identifier: MIT
# The record of a migration, on the target and on a device of its own: whatever the power loss leaves of source, target and record at a random
# moment, copying, at rest or about the cut-over, a migration that goes on from there loses nothing that was acknowledged, makes both the
# same, and copies less than everything. A record that cannot be written, and one that is wrong.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 300
# lab: allow-dmesg (Buffer I/O error|I/O error|blk_update_request|lost async page write)
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect record_clean=1 target_flush=3600
export ROUNDS=$((SOAK ? 60 : KERNEL_IS_DEBUG ? 2 : 4))
modprobe dm-delay
# Source, target, record; and what a power loss has left of them.
names=()
for name in a:8 b:9 r:1 x:8 y:9 z:1; do
    null_disk "${name%:*}" size="${name#*:}" irqmode=2 completion_nsec=100000 cache_size=1
    names+=("$NULL_DISK")
done
for name in from onto record from2 onto2 record2; do
    on_exit remove_dm "$name"
done
on_exit end_redirects

python3 -u "$SRC/tests/vm/redirect_resumes_after_power_loss.py" "${names[@]}"
