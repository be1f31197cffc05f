#!/bin/bash
# SPDX-License-Identifier: MIT
# Never ends.
# lab: timeout 5
sleep 1000
