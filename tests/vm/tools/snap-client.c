/* SPDX-License-Identifier: MIT */
/*
 * A client of blksnap written from the posted documentation alone: no library of ours, no filterd.
 *
 *   snap-client DEVICE STORAGE          goes through the whole interface, with every wrong argument
 *
 * DEVICE and STORAGE are block devices whose contents are lost; of STORAGE the first 64 MiB are used. Nothing
 * is attached to DEVICE yet. Prints how many checks there were; exits with 1 when one has failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/blk-filter.h>
#include <linux/blksnap.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define BLOCK 65536

static int checks, failures;
static int control, device;
static const char *device_path, *storage_path;
static uint64_t device_bytes;

static const char* name_of(int code) {
    return code ? strerrorname_np(code) : "success";
}

static void expect(int wanted, int got, const char* what) {
    checks++;
    if (wanted == got)
        return;
    failures++;
    printf("FAILED: %s: expected %s, got %s\n", what, name_of(wanted), name_of(got));
}

static void check(int holds, const char* what) {
    checks++;
    if (holds)
        return;
    failures++;
    printf("FAILED: %s\n", what);
}

/* As posted, with the directions the wrong way round, or with the right ones. */
static int right_directions;

static unsigned int number(unsigned int posted) {
    unsigned int direction = _IOC_DIR(posted);

    if (right_directions)
        direction = direction == _IOC_READ ? _IOC_WRITE : _IOC_READ;
    return _IOC(direction, _IOC_TYPE(posted), _IOC_NR(posted), _IOC_SIZE(posted));
}

static int call(unsigned int posted, void* argument) {
    return ioctl(control, number(posted), argument) < 0 ? errno : 0;
}

static int filter_call(unsigned long what) {
    struct blkfilter_name name = {{0}};

    strcpy((char*)name.name, "blksnap");
    return ioctl(device, what, &name) < 0 ? errno : 0;
}

static unsigned int answer_length;

static int command_of(unsigned int cmd, void* option, unsigned int length) {
    struct blkfilter_ctl ctl = {.cmd = cmd, .optlen = length, .opt = (uintptr_t)option};
    int ret;

    strcpy((char*)ctl.name, "blksnap");
    ret = ioctl(device, BLKFILTER_CTL, &ctl) < 0 ? errno : 0;
    answer_length = ctl.optlen;
    return ret;
}

static int add(struct blksnap_uuid id) {
    struct blksnap_snapshotadd option = {id};

    return command_of(blkfilter_ctl_blksnap_snapshotadd, &option, sizeof(option));
}

static int append(struct blksnap_uuid id, const char* path, struct blksnap_sectors* ranges,
                  unsigned int count) {
    struct blksnap_snapshot_append_storage argument = {
        .id = id,
        .bdev_path = (uintptr_t)path,
        .bdev_path_size = (unsigned int)strlen(path) + 1,
        .count = count,
        .ranges = (uintptr_t)ranges,
    };

    return call(IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE, &argument);
}

static int append_one(struct blksnap_uuid id, uint64_t offset, uint64_t count) {
    struct blksnap_sectors range = {offset, count};

    return append(id, storage_path, &range, 1);
}

static struct blksnap_snapshotinfo info(void) {
    struct blksnap_snapshotinfo answer = {0};

    expect(0, command_of(blkfilter_ctl_blksnap_snapshotinfo, &answer, sizeof(answer)), "snapshotinfo");
    return answer;
}

static struct blksnap_cbtinfo cbt(void) {
    struct blksnap_cbtinfo answer = {0};

    expect(0, command_of(blkfilter_ctl_blksnap_cbtinfo, &answer, sizeof(answer)), "cbtinfo");
    check(answer_length == sizeof(answer), "optlen of cbtinfo is the answer's size");
    return answer;
}

static int map_part(uint32_t offset, uint32_t length, void* buffer) {
    struct blksnap_cbtmap option = {offset, length, (uintptr_t)buffer};
    int ret = command_of(blkfilter_ctl_blksnap_cbtmap, &option, sizeof(option));

    check(ret || answer_length == 0, "optlen of cbtmap is 0");
    return ret;
}

static int dirty(struct blksnap_sectors* ranges, uint32_t count) {
    struct blksnap_cbtdirty option = {count, (uintptr_t)ranges};

    return command_of(blkfilter_ctl_blksnap_cbtdirty, &option, sizeof(option));
}

static struct blksnap_uuid create(void) {
    struct blksnap_uuid id = {{0}};

    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_CREATE, &id), "create");
    return id;
}

static struct blksnap_snapshot_event event_of(struct blksnap_uuid id, unsigned int timeout_ms, int* ret) {
    struct blksnap_snapshot_event event = {.id = id, .timeout_ms = timeout_ms};

    *ret = call(IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT, &event);
    return event;
}

static void fill(int fd, uint64_t offset, int value) {
    static _Alignas(4096) unsigned char data[BLOCK];

    memset(data, value, sizeof(data));
    check(pwrite(fd, data, sizeof(data), (off_t)offset) == BLOCK, "a block is written");
}

static int filled_with(int fd, uint64_t offset) {
    static _Alignas(4096) unsigned char data[BLOCK];
    unsigned int i;

    if (pread(fd, data, sizeof(data), (off_t)offset) != BLOCK)
        return -1;
    for (i = 1; i < sizeof(data); i++)
        if (data[i] != data[0])
            return -2;
    return data[0];
}

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* --- the parts --- */

static void test_numbers(void) {
    struct blksnap_version version;
    unsigned char room[4096] = {0};
    unsigned int nr;

    expect(0, call(IOCTL_BLKSNAP_VERSION, &version), "version");
    check(version.major == 2 && !version.minor && !version.revision && !version.build,
          "the version is 2.0.0.0");
    expect(ENODATA, call(IOCTL_BLKSNAP_VERSION, NULL), "version to nowhere");
    for (nr = 7; nr < 32; nr++)
        expect(ENOTTY, ioctl(control, _IOC(_IOC_READ, BLKSNAP, nr, 16), room) < 0 ? errno : 0,
               "a number that is not there");
    expect(ENOTTY, ioctl(control, 0xc0205601, room) < 0 ? errno : 0, "create of a later version");
    expect(ENOTTY, ioctl(control, 0x40105603, room) < 0 ? errno : 0, "take of a later version");
    expect(ENOTTY, ioctl(control, 0x90005605, room) < 0 ? errno : 0, "wait of a later version");
    expect(ENOTTY, ioctl(control, _IOC(_IOC_READ, 'W', 0, 8), room) < 0 ? errno : 0, "another type");
}

static void test_attach(struct blksnap_uuid id) {
    struct blkfilter_name wrong = {{0}};

    expect(ENOENT, add(id), "snapshotadd of a device without the filter");
    strcpy((char*)wrong.name, "blksnapp");
    expect(ENOENT, ioctl(device, BLKFILTER_ATTACH, &wrong) < 0 ? errno : 0,
           "attach of a filter that is not there");
    expect(ENOENT, filter_call(BLKFILTER_DETACH), "detach of nothing");
    expect(0, filter_call(BLKFILTER_ATTACH), "attach");
    expect(EALREADY, filter_call(BLKFILTER_ATTACH), "attach again");
    expect(EINVAL, ioctl(device, BLKFILTER_DETACH, &wrong) < 0 ? errno : 0, "detach of another one");
    expect(ENOTTY, command_of(5, NULL, 0), "a command that is not there");
    expect(ENOTTY, command_of(~0U, NULL, 0), "the last number");
}

static void test_add(struct blksnap_uuid id, struct blksnap_uuid other) {
    struct blksnap_uuid unknown = {{1, 2, 3}};

    expect(EINVAL, command_of(blkfilter_ctl_blksnap_snapshotadd, &id, sizeof(id) - 1),
           "snapshotadd that is too short");
    expect(ENODATA, command_of(blkfilter_ctl_blksnap_snapshotadd, NULL, sizeof(id)),
           "snapshotadd from nowhere");
    expect(ESRCH, add(unknown), "snapshotadd to a snapshot that is not there");
    expect(0, add(id), "snapshotadd");
    expect(EALREADY, add(id), "snapshotadd again");
    expect(EBUSY, add(other), "snapshotadd to another one");
    expect(EBUSY, filter_call(BLKFILTER_DETACH), "detach of a device that takes part");
    check(info().error_code == 0 && info().image[0] == 0, "no image yet");
}

static void test_append(struct blksnap_uuid id) {
    struct blksnap_uuid unknown = {{1, 2, 3}};
    struct blksnap_sectors several[] = {{0, 8192}, {16384, 8192}, {8192, 8192}};
    struct blksnap_sectors crossing[] = {{32768, 64}, {32800, 64}};
    struct blksnap_snapshot_append_storage argument = {.id = id, .bdev_path = 0, .bdev_path_size = 10};

    expect(ESRCH, append_one(unknown, 0, 8), "storage for a snapshot that is not there");
    expect(ENOENT, append(id, "/dev/nothing", several, 1), "storage that is not there");
    expect(ENOTBLK, append(id, "/dev/null", several, 1), "storage that is not a block device");
    expect(EFAULT, call(IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE, &argument), "a path from nowhere");
    expect(EINVAL, call(IOCTL_BLKSNAP_SNAPSHOT_APPEND_STORAGE, NULL), "storage from nowhere");
    expect(EINVAL, append(id, storage_path, NULL, 1), "ranges from nowhere");
    expect(EINVAL, append_one(id, 0, 0), "an empty range");
    expect(EINVAL, append_one(id, 1ULL << 60, 8), "a range beyond the end");
    expect(EINVAL, append_one(id, 8, ~0ULL - 4), "a range that wraps");
    expect(EINVAL, append_one(id, ~0ULL, 2), "a range that wraps at once");
    expect(EEXIST, append(id, storage_path, crossing, 2), "ranges that overlap each other");
    expect(0, append(id, storage_path, several, 3), "storage");
    expect(EEXIST, append_one(id, 24575, 2), "a range that overlaps the end of one");
    expect(EEXIST, append_one(id, 0, 1), "a range that overlaps the beginning of one");
    expect(0, append(id, storage_path, NULL, 0), "no range");
}

static void test_take(struct blksnap_uuid id, struct blksnap_uuid empty) {
    struct blksnap_uuid unknown = {{1, 2, 3}};

    expect(ENODATA, call(IOCTL_BLKSNAP_SNAPSHOT_TAKE, NULL), "take of nowhere");
    expect(ESRCH, call(IOCTL_BLKSNAP_SNAPSHOT_TAKE, &unknown), "take of a snapshot that is not there");
    expect(ENODEV, call(IOCTL_BLKSNAP_SNAPSHOT_TAKE, &empty), "take without devices");
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_TAKE, &id), "take");
    expect(EALREADY, call(IOCTL_BLKSNAP_SNAPSHOT_TAKE, &id), "take again");
}

static int open_image(void) {
    char path[64];
    struct stat status;
    unsigned int major, minor;
    struct blksnap_snapshotinfo what = info();
    int fd;

    snprintf(path, sizeof(path), "/dev/%s", (char*)what.image);
    check(sscanf((char*)what.image, "blksnap-image_%u:%u", &major, &minor) == 2,
          "the image has the name that was posted");
    stat(device_path, &status);
    check(status.st_rdev == (dev_t)(((uint64_t)major << 8) | minor) || major > 255 || minor > 255,
          "and the device's number in it");
    fd = open(path, O_RDWR | O_DIRECT);
    check(fd >= 0, "the image can be opened");
    return fd;
}

static void test_image(void) {
    int fd = open(device_path, O_RDWR | O_DIRECT), image = open_image(), sector, image_sector;
    uint64_t bytes = 0;

    check(ioctl(image, BLKGETSIZE64, &bytes) == 0 && bytes == device_bytes,
          "the image has the device's size");
    check(ioctl(image, BLKSSZGET, &image_sector) == 0 && ioctl(fd, BLKSSZGET, &sector) == 0 &&
              sector == image_sector,
          "and its block size");
    fill(fd, 3 * BLOCK, 'n');
    check(filled_with(image, 3 * BLOCK) == 'o', "the image shows old data where the device was written");
    check(filled_with(image, 4 * BLOCK) == 'o', "and where it was not");
    fill(image, 5 * BLOCK, 'i');
    check(filled_with(image, 5 * BLOCK) == 'i' && filled_with(fd, 5 * BLOCK) == 'o',
          "the image is written, the device is not");
    fill(fd, 5 * BLOCK, 'n');
    check(filled_with(image, 5 * BLOCK) == 'i' && filled_with(fd, 5 * BLOCK) == 'n', "and both");
    close(fd);
    close(image);
}

static void test_map(void) {
    struct blksnap_cbtinfo what = cbt();
    unsigned char* map = malloc(what.block_count + 1);
    struct blksnap_sectors ranges[] = {{20 * 128 + 127, 2}, {30 * 128, 0}, {40 * 128, 128}, {0, 1}};
    struct blksnap_sectors last = {device_bytes / 512 - 1, 1}, beyond = {device_bytes / 512 - 1, 2};
    struct blksnap_sectors half[] = {{50 * 128, 1}, {1ULL << 63, 1ULL << 63}};
    uint32_t i;

    check(what.device_capacity == device_bytes && what.block_size == BLOCK, "size and blocks of the map");
    check(what.block_count == (device_bytes + BLOCK - 1) / BLOCK, "how many blocks");
    check(what.changes_number == 1, "the first snapshot is number 1");
    expect(0, map_part(0, what.block_count, map), "the whole map");
    check(map[5] == 1 && map[3] == 1, "what was written to device and image since the attach");
    check(map[45] == 0, "what nobody has written");
    expect(0, map_part(what.block_count - 1, 1, map), "the last block");
    expect(0, map_part(what.block_count, 0, map), "nothing at the end");
    expect(ENODATA, map_part(what.block_count, 1, map), "behind the end");
    expect(ENODATA, map_part(1, what.block_count, map), "over the end");
    expect(ENODATA, map_part(~0U, 2, map), "an offset that wraps");
    expect(ENODATA, map_part(2, ~0U, map), "a length that wraps");
    expect(EINVAL, map_part(0, 1, NULL), "a map to nowhere");
    expect(EINVAL, command_of(blkfilter_ctl_blksnap_cbtmap, map, 15), "cbtmap that is too short");
    expect(ENODATA, command_of(blkfilter_ctl_blksnap_cbtmap, NULL, 16), "cbtmap from nowhere");
    expect(EINVAL, command_of(blkfilter_ctl_blksnap_cbtinfo, map, 39), "cbtinfo without room");
    expect(ENODATA, command_of(blkfilter_ctl_blksnap_cbtinfo, NULL, 40), "cbtinfo to nowhere");
    expect(EINVAL, command_of(blkfilter_ctl_blksnap_snapshotinfo, map, 35), "snapshotinfo without room");
    expect(ENODATA, command_of(blkfilter_ctl_blksnap_snapshotinfo, NULL, 36), "snapshotinfo to nowhere");

    expect(0, dirty(ranges, 4), "cbtdirty");
    expect(0, dirty(&last, 1), "cbtdirty of the last sector");
    expect(EINVAL, dirty(&beyond, 1), "cbtdirty beyond the end");
    expect(EINVAL, dirty(half, 2), "cbtdirty with one range that wraps");
    expect(ENODATA, dirty(NULL, 1), "cbtdirty from nowhere");
    expect(0, dirty(NULL, 0), "cbtdirty of nothing");
    expect(EINVAL, command_of(blkfilter_ctl_blksnap_cbtdirty, ranges, 8), "cbtdirty that is too short");
    expect(0, map_part(0, what.block_count, map), "the map again");
    for (i = 0; i < what.block_count; i++) {
        int marked = i == 20 || i == 21 || i == 40 || i == 0 || i == 3 || i == 5 || i == what.block_count - 1;

        if (i < 8 && i != 0 && i != 3 && i != 5)
            continue;
        if ((map[i] != 0) != marked)
            printf("block %u has %u\n", i, map[i]);
        check((map[i] != 0) == marked, "every range is marked, and nothing else");
    }
    free(map);
}

static void test_collect(unsigned int wanted, struct blksnap_uuid one) {
    struct blksnap_uuid ids[16];
    struct blksnap_snapshot_collect argument = {.count = 0, .ids = 0};
    unsigned int i, found = 0;

    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_COLLECT, &argument), "collect without room");
    check(argument.count == wanted, "counts them");
    memset(ids, 0xee, sizeof(ids));
    argument = (struct blksnap_snapshot_collect){.count = wanted - 1, .ids = (uintptr_t)ids};
    expect(ENODATA, call(IOCTL_BLKSNAP_SNAPSHOT_COLLECT, &argument), "collect with too little room");
    check(argument.count == wanted && ids[0].b[0] == 0xee, "says how much, and fills in nothing");
    argument = (struct blksnap_snapshot_collect){.count = ~0U, .ids = (uintptr_t)ids};
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_COLLECT, &argument), "collect with more room than there is");
    for (i = 0; i < argument.count && i < 16; i++)
        found += !memcmp(&ids[i], &one, sizeof(one));
    check(found == 1 && argument.count == wanted, "all of them, each once");
    check(ids[wanted].b[0] == 0xee, "and nothing behind them");
    expect(ENODATA, call(IOCTL_BLKSNAP_SNAPSHOT_COLLECT, NULL), "collect to nowhere");
    argument = (struct blksnap_snapshot_collect){.count = wanted, .ids = 8};
    expect(ENODATA, call(IOCTL_BLKSNAP_SNAPSHOT_COLLECT, &argument), "collect to where nothing is");
}

struct waiter {
    pthread_t thread;
    struct blksnap_uuid id;
    int ret;
    struct blksnap_snapshot_event event;
};

static void* wait_for(void* data) {
    struct waiter* waiter = data;

    waiter->event = event_of(waiter->id, 20000, &waiter->ret);
    return NULL;
}

static void nothing(int signal_number) {
    (void)signal_number;
}

static void test_events(struct blksnap_uuid id) {
    struct blksnap_uuid unknown = {{1, 2, 3}}, gone = create();
    struct itimerval soon = {.it_value = {.tv_usec = 100000}};
    struct sigaction action = {.sa_handler = nothing};
    struct waiter two[2];
    struct blksnap_snapshot_event event;
    struct blksnap_event_low_free_space low;
    double begin;
    int ret, i;

    event = event_of(gone, 0, &ret);
    expect(0, ret, "a new snapshot asks for storage, at once");
    memcpy(&low, event.data, sizeof(low));
    check(event.code == blksnap_event_code_low_free_space && low.requested_nr_sect > 0 &&
              event.time_label > 0,
          "how much, and when");
    event_of(gone, 0, &ret);
    expect(ENOENT, ret, "timeout 0 with nothing to tell");
    begin = now();
    event_of(gone, 300, &ret);
    expect(ENOENT, ret, "a timeout");
    check(now() - begin > 0.25 && now() - begin < 3, "which is in milliseconds");
    event_of(unknown, 0, &ret);
    expect(ESRCH, ret, "a snapshot that is not there");
    expect(EINVAL, call(IOCTL_BLKSNAP_SNAPSHOT_WAIT_EVENT, NULL), "wait from nowhere");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    event_of(gone, 5000, &ret);
    expect(EINTR, ret, "a signal");

    for (i = 0; i < 2; i++) {
        two[i].id = gone;
        pthread_create(&two[i].thread, NULL, wait_for, &two[i]);
    }
    usleep(200000);
    begin = now();
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &gone), "destroy while two wait");
    for (i = 0; i < 2; i++) {
        pthread_join(two[i].thread, NULL);
        expect(ESRCH, two[i].ret, "whoever waits is told that it is gone");
    }
    check(now() - begin < 5, "at once");
    expect(ENODEV, call(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &gone), "destroy again");
    event_of(gone, 0, &ret);
    expect(ESRCH, ret, "wait afterwards");
    event_of(id, 0, &ret);
    expect(0, ret, "the other one's first event");
}

/* The storage is too small: the image goes, the device does not. */
static void test_overflow(void) {
    struct blksnap_uuid id = create();
    struct blksnap_event_corrupted corrupted;
    struct blksnap_snapshot_event event;
    int fd = open(device_path, O_RDWR | O_DIRECT), image, ret, tries = 0;
    unsigned int i;

    expect(0, add(id), "snapshotadd");
    check(info().error_code == 0, "the error of before is forgotten");
    expect(0, append_one(id, 40000, 5 * 128), "storage for five chunks");
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_TAKE, &id), "take");
    image = open_image();
    for (i = 0; i < 12; i++)
        fill(fd, i * BLOCK, 'v');
    for (i = 0; i < 12; i++)
        check(filled_with(fd, i * BLOCK) == 'v', "the application's writes are unharmed");
    do
        event = event_of(id, 1000, &ret);
    while (!ret && event.code == blksnap_event_code_low_free_space && tries++ < 10);
    expect(0, ret, "an event tells it");
    memcpy(&corrupted, event.data, sizeof(corrupted));
    check(event.code == blksnap_event_code_corrupted && corrupted.err_code == ENOSPC,
          "with a positive errno");
    check(info().error_code == -ENOSPC, "snapshotinfo has a negative one");
    check(filled_with(image, 0) == -1 && filled_with(image, 40 * BLOCK) == -1, "the image returns errors");
    check(cbt().changes_number == 2, "tracking goes on");
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &id), "destroy with the image open");
    check(filled_with(image, 0) == -1, "which returns errors");
    close(image);
    check(info().error_code == -ENOSPC && info().image[0] == 0, "the error stays, the image does not");
    close(fd);
}

static void test_without_rights(void) {
    struct blksnap_version version;

    if (seteuid(65534) < 0)
        exit(1);
    expect(EPERM, call(IOCTL_BLKSNAP_VERSION, &version), "without rights");
    expect(EPERM, filter_call(BLKFILTER_ATTACH), "attach without rights");
    expect(EPERM, command_of(blkfilter_ctl_blksnap_cbtinfo, &version, sizeof(version)),
           "a command without rights");
    if (seteuid(0) < 0)
        exit(1);
}

static void whole_interface(void) {
    int fd = open(device_path, O_RDWR | O_DIRECT);
    struct blksnap_uuid id, other;
    uint64_t offset;

    for (offset = 0; offset < 10 * BLOCK; offset += BLOCK)
        fill(fd, offset, 'o');
    close(fd);
    test_numbers();
    id = create();
    other = create();
    expect(ENODATA, call(IOCTL_BLKSNAP_SNAPSHOT_CREATE, NULL), "create to nowhere");
    test_attach(id);
    test_add(id, other);
    test_append(id);
    test_collect(2, id);
    /* Until the instant: one block is written, one is not. */
    fd = open(device_path, O_RDWR | O_DIRECT);
    fill(fd, 3 * BLOCK, 'o');
    fill(fd, 5 * BLOCK, 'o');
    close(fd);
    test_take(id, other);
    test_image();
    test_map();
    test_events(id);
    test_without_rights();
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &id), "destroy");
    expect(0, call(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, &other), "destroy the empty one");
    expect(ENODATA, call(IOCTL_BLKSNAP_SNAPSHOT_DESTROY, NULL), "destroy of nowhere");
    check(info().image[0] == 0, "the image is gone");
    test_overflow();
    expect(0, filter_call(BLKFILTER_DETACH), "detach");
}

int main(int argc, char** argv) {
    if (argc != 3)
        return 2;
    device_path = argv[1];
    storage_path = argv[2];
    control = open("/dev/" BLKSNAP_CTL, O_RDWR);
    device = open(device_path, O_RDONLY);
    if (control < 0 || device < 0 || ioctl(device, BLKGETSIZE64, &device_bytes) < 0) {
        perror(argv[1]);
        return 1;
    }
    for (right_directions = 0; right_directions < 2; right_directions++)
        whole_interface();
    printf("%d checks, %d failed\n", checks, failures);
    return failures ? 1 : 0;
}
