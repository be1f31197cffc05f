#!/bin/bash
# What cbt-only takes for a disk of 1 TiB: next to nothing before it is written, or after a large discard, and no more
# than 33 MiB when all of it was touched. Without memory for a region the region counts as changed and the write succeeds.
# lab: kernels debug 6.12
# lab: soak 6.1
# lab: allow-dmesg FAULT_INJECTION|page allocation failure
. "$SRC/tests/lab/guest/lib.sh"
. "$SRC/tests/vm/lib/blkfilter.sh"

load_filters
load blkfilter-cbt
null_disk a size=$((1 << 20)) discard=1
a=$NULL_DISK
region=$((2048 * 65536)) mib=$((1 << 20))

memory() {
    tool cbt info "$a" | awk '$1 == "memory_bytes" { print $2 }'
}

attach "$a" cbt-only
tool cbt checkpoint "$a" first > /dev/null
untouched=$(memory)
((untouched < mib)) || fail "untouched, it takes $untouched bytes"
blkdiscard --length 1GiB "/dev/$a"
(($(memory) == untouched)) || fail "a large discard took memory: $(memory) bytes after $untouched"
expect "0 $((1 << 21)) discarded" "$(tool cbt extents "$a" first)" "after a discard of 1 GiB"

python3 - "/dev/$a" $region << 'PYTHON'
import mmap, os, sys
file = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT)
page, size = mmap.mmap(-1, 4096), os.lseek(file, 0, os.SEEK_END)
for offset in range(0, size, int(sys.argv[2])):
    os.pwrite(file, page, offset)
PYTHON
touched=$(memory)
((touched <= 33 * mib)) || fail "with all regions touched it takes $touched bytes"
echo "untouched $untouched bytes, all of 1 TiB touched $touched bytes"
expect 8192 "$(tool cbt extents "$a" first | grep -c ' 128 written')" "blocks written, one a region"

if [ -d /sys/kernel/debug/failslab ]; then
    detach "$a"
    attach "$a" cbt-only
    tool cbt checkpoint "$a" second > /dev/null
    # Not fail_page_alloc: what the last tracker gave back may be in the slab still, and no page is needed then.
    site=/sys/kernel/debug/failslab
    # The filter first, the probability last: without the filter failures meet whoever comes, and a shell that has no memory ends. All
    # that counts is set: another test in this guest may have left something else.
    for setting in task-filter=Y cache-filter=N ignore-gfp-wait=Y verbose=0 space=0 interval=1 times=-1 probability=100; do
        echo "${setting#*=}" > "$site/${setting%%=*}"
    done
    # Nothing but the write is between the two: much else does not take a failure so lightly.
    python3 - "/dev/$a" << 'PYTHON'
import mmap, os, sys
file, page = os.open(sys.argv[1], os.O_WRONLY | os.O_DIRECT), mmap.mmap(-1, 4096)
page[0] = 1
fail = os.open("/proc/self/make-it-fail", os.O_WRONLY)
os.write(fail, b"1")
os.pwrite(file, page, 128 << 20)
os.write(fail, b"0")
PYTHON
    echo 0 > $site/probability
    expect "262144 262144 written" "$(tool cbt extents "$a" second)" "a region for which there was no memory"
    # What comes later is told apart again, above what is changed as a whole.
    tool cbt checkpoint "$a" third > /dev/null
    dd if=/dev/zero "of=/dev/$a" bs=4k count=1 seek=$((128 * 256 + 64)) oflag=direct status=none
    expect "262656 128 written" "$(tool cbt extents "$a" third)" "a block of it, with memory"
    expect "262144 262144 written" "$(tool cbt extents "$a" second)" "all of it"
fi
