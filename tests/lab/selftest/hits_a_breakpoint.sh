#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel says what it says when the emulator was wrong; and again, which counts.
echo "Oops: int3: 0000 [#1] planted by the lab's self-test" > /dev/kmsg
