/* SPDX-License-Identifier: MIT */
/*
 * A plugin in C that does what plugins must not do: a command for each, and two keys of its filter,
 * "hang: true" and "crash: true". filterd must live with it.
 */
#include <errno.h>
#include <filterd/plugin.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct filterd_host* host;

static int load(const struct filterd_host* services) {
    host = services;
    return 0;
}

static void hang(void) {
    unsigned left = 60;

    while (left)
        left = sleep(left);
}

static void crash(void) {
    *(volatile char*)NULL = 1;
}

static bool is_set(const struct filterd_node* config, const char* key) {
    const struct filterd_node* node = host->find(config, key);
    bool value = false;

    return node && host->boolean(node, key, &value) && value;
}

static int options(const struct filterd_node* config, struct filterd_sink* sink) {
    if (is_set(config, "hang"))
        hang();
    if (is_set(config, "crash"))
        crash();
    return host->write(sink, "", 0) ? 0 : -1;
}

/* Nothing, although a record is expected. */
static int status(struct filterd_call* call) {
    (void)call;
    return 0;
}

/* --- commands --- */

static int run_sleep(struct filterd_call* call) {
    hang();
    return host->answer(call, "{\"slept\": true}") ? 0 : -1;
}

static int run_crash(struct filterd_call* call) {
    (void)call;
    crash();
    return 0;
}

static int run_abort(struct filterd_call* call) {
    (void)call;
    abort();
}

static int run_exit(struct filterd_call* call) {
    (void)call;
    exit(3);
}

/* 1 GiB of it, whatever the host says. */
static int flood(struct filterd_call* call, bool (*add)(struct filterd_call* call, const char* text),
                 const char* begin, const char* end) {
    static char text[1 << 16];
    int i;

    memset(text, 'x', sizeof(text) - 1);
    memcpy(text, begin, strlen(begin));
    memcpy(text + sizeof(text) - 1 - strlen(end), end, strlen(end));
    for (i = 0; i < 1 << 14; i++)
        add(call, text);
    return 0;
}

static int run_flood(struct filterd_call* call) {
    return flood(call, host->answer, "{\"x\": \"", "\"}");
}

static int run_flood_text(struct filterd_call* call) {
    return flood(call, host->print, "", "\n");
}

static int run_not_json(struct filterd_call* call) {
    return host->answer(call, "{\"a\": ") ? 0 : -1;
}

static int run_no_object(struct filterd_call* call) {
    return host->answer(call, "[1, 2]") ? 0 : -1;
}

static int run_not_utf8(struct filterd_call* call) {
    host->answer(call, "{\"a\": \"\xff\"}");
    host->print(call, "\xff\n");
    host->progress(call, 1, "\xff");
    host->fail(call, EIO, "\xff");
    return -1;
}

static int run_both(struct filterd_call* call) {
    host->answer(call, "{}");
    host->print(call, "text\n");
    return 0;
}

static int run_says_nothing(struct filterd_call* call) {
    (void)call;
    return -1;
}

static int run_fails_and_succeeds(struct filterd_call* call) {
    host->fail(call, -5, "first");
    host->fail(call, 1 << 30, "second");
    return 0;
}

static int run_odd_result(struct filterd_call* call) {
    (void)call;
    return 7;
}

/* Goes on for ever. */
static int run_without_end(struct filterd_call* call) {
    host->more(call, "again");
    return host->answer(call, "{\"a\": 1}") ? 0 : -1;
}

static int run_long_cursor(struct filterd_call* call) {
    static char cursor[1 << 20];

    memset(cursor, 'x', sizeof(cursor) - 1);
    host->more(call, cursor);
    return 0;
}

static int run_odd_progress(struct filterd_call* call) {
    int i;

    for (i = 0; i < 100000; i++)
        host->progress(call, 4000000000u - i, i % 2 ? "now" : NULL);
    return 0;
}

/* Whatever is asked for with nothing must be refused, not followed. */
static int run_asks_nothing(struct filterd_call* call) {
    uint64_t number = 0;
    size_t length = 0;

    if (host->argument(call, NULL) || host->argument(NULL, "a") || host->argument(call, "not-declared") ||
        host->number_argument(call, NULL, &number) || host->number_argument(call, "a", NULL) ||
        host->device(NULL) || host->control(NULL, 0, NULL, 0, &length) == 0 ||
        host->control(call, 0, NULL, 1, &length) == 0 || host->answer(call, NULL) ||
        host->answer(NULL, "{}") || host->print(call, NULL) || host->print(NULL, "a"))
        return -1;
    host->more(call, NULL);
    host->more(NULL, "a");
    host->progress(NULL, 0, "a");
    host->log(FILTERD_INFO, NULL);
    host->log((enum filterd_priority)99, "of no known priority");
    host->fail(NULL, 0, "a");
    host->fail(call, 0, NULL);
    return -1;
}

/* --- what it is --- */

#define COMMAND(VARIABLE, NAME, RUN)                                                                         \
    static const struct filterd_command VARIABLE = {.size = sizeof(struct filterd_command),                  \
                                                    .name = NAME,                                            \
                                                    .description = "Do what a plugin must not do",           \
                                                    .run = RUN}

COMMAND(sleep_command, "sleep", run_sleep);
COMMAND(crash_command, "crash", run_crash);
COMMAND(abort_command, "abort", run_abort);
COMMAND(exit_command, "exit", run_exit);
COMMAND(flood_command, "flood", run_flood);
COMMAND(flood_text_command, "flood-text", run_flood_text);
COMMAND(not_json_command, "not-json", run_not_json);
COMMAND(no_object_command, "no-object", run_no_object);
COMMAND(not_utf8_command, "not-utf8", run_not_utf8);
COMMAND(both_command, "both", run_both);
COMMAND(says_nothing_command, "says-nothing", run_says_nothing);
COMMAND(fails_and_succeeds_command, "fails-and-succeeds", run_fails_and_succeeds);
COMMAND(odd_result_command, "odd-result", run_odd_result);
COMMAND(without_end_command, "without-end", run_without_end);
COMMAND(long_cursor_command, "long-cursor", run_long_cursor);
COMMAND(odd_progress_command, "odd-progress", run_odd_progress);
COMMAND(asks_nothing_command, "asks-nothing", run_asks_nothing);

static const struct filterd_command* const commands[] = {
    &sleep_command,        &crash_command,        &abort_command,
    &exit_command,         &flood_command,        &flood_text_command,
    &not_json_command,     &no_object_command,    &not_utf8_command,
    &both_command,         &says_nothing_command, &fails_and_succeeds_command,
    &odd_result_command,   &without_end_command,  &long_cursor_command,
    &odd_progress_command, &asks_nothing_command, NULL};

const struct filterd_plugin* filterd_plugin_entry(void) {
    static const struct filterd_plugin plugin = {
        .size = sizeof(plugin),
        .interface = FILTERD_PLUGIN_INTERFACE,
        .name = "misbehaves",
        .version = "1.0",
        .description = "Does what a plugin must not do",
        .filter = "misbehaves",
        .module = "test",
        .noun = "misbehaves",
        .load = load,
        .options = options,
        .commands = commands,
        .status = status,
    };

    return &plugin;
}
