#!/bin/bash
# SPDX-License-Identifier: MIT
# Fails if it finds anything of the tests before, itself among them.
[ ! -e /dev/nullb0 ] && [ ! -e /tmp/left ] && touch /tmp/left && [ -z "$(pgrep -x sleep)" ] && [ "$KERNEL" ] && [ "$SEED" ] && [ -z "${USER:-}" ]
