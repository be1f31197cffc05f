#!/bin/bash
# SPDX-License-Identifier: MIT
# The kernel complains as the test says it would.
# lab: allow-dmesg WARNING: planted by
echo "WARNING: planted by the lab's self-test" > /dev/kmsg
