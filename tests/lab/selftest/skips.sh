#!/bin/bash
# Says that it cannot run here.
. "$SRC/tests/lab/guest/lib.sh"
skip "not on a Tuesday"
