/* SPDX-License-Identifier: MIT */
/*
 * The least that a snapshot takes, for guests without anything else:
 *
 *   snap-take FILE DEVICE...     FILE is made, of 64 MiB, and pinned as storage; prints each device's image
 *   snap-take --destroy          all snapshots
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/blk-filter.h>
#include <linux/blksnap.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define STORAGE_BYTES (64L << 20)

static int control;

static int open_or_die(const char* path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0600);

    if (fd < 0)
        err(1, "%s", path);
    return fd;
}

static void call(const char* what, unsigned int number, void* argument) {
    if (ioctl(control, number, argument) < 0)
        err(1, "%s", what);
}

static void command(const char* device, unsigned int cmd, void* option, unsigned int length) {
    struct blkfilter_ctl ctl = {
        .name = BLKSNAP_FILTER, .cmd = cmd, .optlen = length, .opt = (uintptr_t)option};
    int fd = open_or_die(device, O_RDONLY);

    if (ioctl(fd, BLKFILTER_CTL, &ctl) < 0)
        err(1, "%s: command %u", device, cmd);
    close(fd);
}

static void attach(const char* device) {
    struct blkfilter_name name = {.name = BLKSNAP_FILTER};
    int fd = open_or_die(device, O_RDONLY);

    if (ioctl(fd, BLKFILTER_ATTACH, &name) < 0 && errno != EALREADY)
        err(1, "%s: attach", device);
    close(fd);
}

static void append(struct blksnap_uuid id, const char* path) {
    struct blksnap_append_file file = {
        .size = sizeof(file), .id = id, .fd = open_or_die(path, O_RDWR | O_CREAT | O_EXCL)};

    if (fallocate(file.fd, 0, 0, STORAGE_BYTES) < 0)
        err(1, "%s: fallocate", path);
    call("append", IOCTL_BLKSNAP_SNAPSHOT_APPEND_FILE, &file);
    close(file.fd);
}

static void take(const char* storage, char** devices) {
    struct blksnap_snapshotinfo info;
    struct blksnap_uuid id;
    char** device;

    call("create", IOCTL_BLKSNAP_SNAPSHOT_CREATE, &id);
    for (device = devices; *device; device++) {
        attach(*device);
        command(*device, blkfilter_ctl_blksnap_snapshotadd, &id, sizeof(id));
    }
    append(id, storage);
    call("take", IOCTL_BLKSNAP_SNAPSHOT_TAKE, &id);
    for (device = devices; *device; device++) {
        command(*device, blkfilter_ctl_blksnap_snapshotinfo, &info, sizeof(info));
        if (info.error_code)
            errx(1, "%s: the snapshot is corrupted: error %d", *device, -info.error_code);
        printf("/dev/%s\n", (const char*)info.image);
    }
}

static void destroy_all(void) {
    struct blksnap_uuid ids[16];
    struct blksnap_snapshot_collect all = {.count = 16, .ids = (uintptr_t)ids};

    call("collect", IOCTL_BLKSNAP_SNAPSHOT_COLLECT, &all);
    if (!all.count)
        errx(1, "there is no snapshot");
    while (all.count--)
        call("destroy", IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &ids[all.count]);
}

int main(int argc, char** argv) {
    control = open_or_die("/dev/" BLKSNAP_CTL, O_RDWR);
    if (argc == 2 && !strcmp(argv[1], "--destroy"))
        destroy_all();
    else if (argc > 2)
        take(argv[1], argv + 2);
    else
        errx(2, "snap-take FILE DEVICE... | --destroy");
    return 0;
}
