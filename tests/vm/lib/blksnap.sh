# shellcheck shell=bash
# What tests of blksnap share; sourced after tests/vm/lib/blkfilter.sh.

export PYTHONPATH=$SRC/tests/vm/lib

# load_blksnap [PARAMETER=VALUE...]: the core and blksnap. At the end there is no snapshot and no filter.
load_blksnap() {
    load blkfilter
    on_exit detach_all
    load blksnap "$@"
    on_exit python3 "$SRC/tests/vm/lib/blksnap.py" destroy-all
}
