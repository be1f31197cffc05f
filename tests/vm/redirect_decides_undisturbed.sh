#!/bin/bash
# SPDX-License-Identifier: MIT
# While it is being recorded that the target is the current device, another filter says that it has changed the source: nothing is copied any
# more that could come to the target after what is held, and the redirect ends when it is asked to.
# lab: kernels 6.12
# lab: soak 6.1 debug
# lab: timeout 120
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect
load blkfilter-test
modprobe dm-delay
names=()
for name in a:8 b:9 r:1 x:1 y:1 z:1; do
    null_disk "${name%:*}" size="${name#*:}"
    names+=("$NULL_DISK")
done
for name in from onto record; do
    on_exit remove_dm "$name"
done
on_exit end_redirects

python3 -u "$SRC/tests/vm/redirect_decides_undisturbed.py" "${names[@]}"
