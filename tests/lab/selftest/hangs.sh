#!/bin/bash
# Never ends.
# lab: timeout 5
sleep 1000
