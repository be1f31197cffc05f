#!/bin/bash
# Passes, but does not tidy up.
modprobe null_blk
