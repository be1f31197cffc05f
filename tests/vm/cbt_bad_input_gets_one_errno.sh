#!/bin/bash
# SPDX-License-Identifier: MIT
# Every wrong argument of a command of cbt-only gets the documented errno and changes nothing; what is at the limit is accepted.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: quick
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-cbt
null_disk a size=4
attach "$NULL_DISK" cbt-only,options=block_size=4096
cbt-bad-input "/dev/$NULL_DISK"
detach "$NULL_DISK"
