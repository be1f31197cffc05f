#!/bin/bash
# SPDX-License-Identifier: MIT
# What ./dev demo shows, in a guest with a disk of its own: filters come, change their order and go while files are being
# written, and nothing is lost. Any command that fails, or any file that differs, fails it.
# lab: timeout 600
# lab: disk 512
. "$SRC/tests/lab/guest/lib.sh"

sums=/tmp/sums stop=/tmp/stop

title() { # TEXT, then what is to be seen and why
    printf '\n== %s\n' "$1"
    shift
    printf '   %s\n' "$@"
    echo
}

# Shown before it runs.
run() {
    echo "\$ $*"
    "$@" 2>&1
}

# A file after the other until $stop exists; what it should contain is only kept outside of the disk, in memory.
write_files() {
    local i=0 file
    while [ ! -e $stop ]; do
        file=/mnt/files/$((i / 32))/$i
        mkdir -p "${file%/*}"
        head -c $((1024 + RANDOM * 8)) /dev/urandom > /tmp/content
        cp /tmp/content "$file"
        echo "$(sha256sum < /tmp/content | cut -c 1-64)  $file" >> $sums
        # Every tenth is there for certain before the next one is begun; some go again.
        [ $((i % 10)) != 0 ] || sync "$file"
        [ $((i % 50)) != 49 ] || { rm "$file" && sed -i '$d' $sums; }
        i=$((i + 1))
    done
}

# more_files NUMBER: until that many have been written since now.
more_files() {
    local goal=$(($(wc -l < $sums) + $1)) tries=300
    until [ "$(wc -l < $sums)" -ge $goal ]; do
        if ! kill -0 "$writer" || [ $((tries--)) = 0 ]; then
            fail "files are not being written any more"
        fi
        sleep 0.1
    done
    sync
}

# image NAME: all bytes of the disk, as they are on it; what is zero takes no memory.
image() {
    dd if=/dev/vda "of=/tmp/$1" bs=1M iflag=direct conv=sparse status=none
}

number() { # DEVICE FILTER FIELD: out of the statistics
    blkfilter-tool stack "$1" --json | jq ".filters[] | select(.name == \"$2\") | .statistics.$3"
}

title "A disk in use" \
    "A stock Debian kernel, $(uname -r). A disk with one partition, a file system on it, mounted;" \
    "from here on a program writes files there without a pause."
modprobe virtio_blk
echo ',,L' | sfdisk --quiet --label gpt /dev/vda
mkfs.ext4 -q /dev/vda1
mount /dev/vda1 /mnt
mkdir /mnt/files
touch $sums
write_files &
writer=$!
on_exit touch $stop
run findmnt --output SOURCE,TARGET,FSTYPE,SIZE /mnt
more_files 10

title "Two kernel modules" \
    "blkfilter is the core; the other one offers eight filters for tests. Those that 'take' hold every bio (a piece of I/O)" \
    "for a moment and send it on from another thread, as a filter does that has to do work before a write."
run insmod "$MODDIR/blkfilter.ko"
on_exit rmmod blkfilter
run insmod "$MODDIR/blkfilter-test.ko"
on_exit rmmod blkfilter-test
run blkfilter-tool filters

title "Filters come while files are being written" \
    "Nothing is unmounted, no device is replaced by another one. The higher altitude sees a bio first," \
    "the partition's filters before those of the disk."
run blkfilter-tool attach /dev/vda1 test5
run blkfilter-tool attach /dev/vda1 test2,options=take
run blkfilter-tool attach /dev/vda test1
more_files 25

title "Who sees what" \
    "What is written to the partition passes each filter once. TAKEN: bios that a filter has held (also those that write" \
    "zeroes, which have no column here)."
run blkfilter-tool list
[ "$(number vda1 test5 write.bios)" -gt 0 ] || fail "test5 has seen no write"
[ "$(number vda1 test2 taken)" -gt 0 ] || fail "test2 has taken nothing"

title "A consistency point" \
    "The file system is frozen, both devices are closed for an instant: no write is half done when the filters hear of it." \
    "'closed' is how long writers had to wait because of us."
before=$(wc -l < $sums)
run blkfilter-tool point --freeze /dev/vda1 /dev/vda1 /dev/vda
more_files 15
echo "files written: $before before it, $(wc -l < $sums) now"

title "The order changes in one transaction" \
    "test5 goes below test2 and test0 comes, all of it or nothing, between two bios. Its counters go on."
run blkfilter-tool stack /dev/vda1 set test5@250000 test2,options=take test0
more_files 15
run blkfilter-tool stack /dev/vda1

title "One filter goes" \
    "What test2 still holds is sent on first; the others stay as they are."
run blkfilter-tool detach /dev/vda1 test2
more_files 15
run blkfilter-tool list

title "Which blocks have changed?" \
    "cbt-only marks what is written, for any number of consumers. From a checkpoint on the whole disk is compared byte by byte:" \
    "every block of 64 KiB that differs must be among those that it reports."
head -c 16M /dev/urandom > /mnt/large
sync
run insmod "$MODDIR/blkfilter-cbt.ko"
on_exit rmmod blkfilter_cbt
run blkfilter-tool attach /dev/vda cbt-only
run blkfilter-tool cbt checkpoint /dev/vda backup
image before
more_files 15
run rm /mnt/large
run fstrim /mnt
image after
run blkfilter-tool cbt extents /dev/vda backup > /tmp/extents
sed '1d; 9,$d' /tmp/extents
echo "... $(grep -c ' written' /tmp/extents) written extents, $(grep -c ' discarded' /tmp/extents) discarded"
run python3 "$SRC/tests/demo/compare.py" /tmp/before /tmp/after /tmp/extents
rm /tmp/before /tmp/after

title "All go" \
    "Without a filter nothing of blkfilter is in the way of I/O any more."
run blkfilter-tool stack /dev/vda1 set --empty
run blkfilter-tool stack /dev/vda set --empty
more_files 10

title "Was anything lost?" \
    "The file system is unmounted and checked; then every file is compared with what was written."
touch $stop
wait "$writer"
run umount /mnt
run e2fsck -fn /dev/vda1
run mount -o ro /dev/vda1 /mnt
run sha256sum --check --quiet $sums
[ "$(find /mnt/files -type f | wc -l)" = "$(wc -l < $sums)" ] || fail "there are more files, or fewer, than were written"
files=$(wc -l < $sums) mib=$(du -sm --apparent-size /mnt/files | cut -f 1)
umount /mnt
echo
echo "demo: nothing was lost: $files files, $mib MiB, fsck clean"
