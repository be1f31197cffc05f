#!/bin/bash
# SPDX-License-Identifier: MIT
# The exact sequence of events for whatever raises one: type, device, name, value, reason, who caused it; numbered without a
# gap. What changes nothing raises none. A reader that is too slow is told how many it lost; O_NONBLOCK, poll, a blocking read.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

modprobe loop
load blkfilter settle_seconds=1
truncate -s 16M /tmp/image
PYTHONPATH=$SRC/tests/vm/lib python3 "$SRC/tests/vm/events_tell_what_happened.py"
