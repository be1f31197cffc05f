#!/bin/bash
# SPDX-License-Identifier: MIT
# A record that is missing, damaged, of something else, over, or older than the source is not continued, and each has an errno of its own;
# one slot that is damaged does no harm. A place for a record is refused, or has to be given. Programs of before the record go on as they were.
# lab: kernels 6.12
# lab: soak debug 6.1
# lab: timeout 180
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"
. "$SRC/tests/vm/lib/redirect.sh"

load_redirect record_clean=1
names=()
for name in a:8 b:9 r:1 x:8 y:9 z:1; do
    null_disk "${name%:*}" size="${name#*:}" discard=1
    names+=("$NULL_DISK")
done
for name in above from onto record from2 onto2 record2; do
    on_exit remove_dm "$name"
done
on_exit end_redirects

python3 -u "$SRC/tests/vm/redirect_believes_only_its_own_record.py" "${names[@]}"
