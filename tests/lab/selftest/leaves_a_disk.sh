#!/bin/bash
# SPDX-License-Identifier: MIT
# Passes, but does not tidy up.
modprobe null_blk
