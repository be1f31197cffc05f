#!/bin/bash
# SPDX-License-Identifier: MIT
# Says that it cannot run here.
. "$SRC/tests/lab/guest/lib.sh"
skip "not on a Tuesday"
