# shellcheck shell=bash
# Whether a copy of a file system in use is a clean one.

# expect_clean WHAT DEVICE-OR-FILE: an ext4 without any damage. What was deleted while somebody had it open is the file system's to forget at
# its next mount: e2fsck -p does that and no more, as long as the file system is not marked as damaged. All else must be right already.
expect_clean() {
    e2fsck -p "$2" > /tmp/fsck 2>&1 || [ $? = 1 ] || fail "$1 is not clean: $(cat /tmp/fsck)"
    e2fsck -fn "$2" > /tmp/fsck 2>&1 || fail "$1 is not clean: $(cat /tmp/fsck)"
}
