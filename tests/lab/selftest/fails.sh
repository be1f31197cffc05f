#!/bin/bash
# SPDX-License-Identifier: MIT
# Fails at a command in the middle, and still puts away what it made.
. "$SRC/tests/lab/guest/lib.sh"
on_exit echo "put away"
false
echo "not reached"
