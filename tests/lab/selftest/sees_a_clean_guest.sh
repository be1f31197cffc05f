#!/bin/bash
# SPDX-License-Identifier: MIT
# Fails if it finds anything of the tests before.
[ ! -e /dev/nullb0 ] && [ -z "$(pgrep -x sleep)" ] && [ "$KERNEL" ] && [ "$SEED" ] && [ -z "${USER:-}" ]
