/* SPDX-License-Identifier: MIT */
/*
 * A plugin in C that uses all of <filterd/plugin.h> as it was when the binary beside it was made: README.
 */
#include <filterd/plugin.h>
#include <string.h>

static const struct filterd_host* host;

static int load(const struct filterd_host* services) {
    if (services->size < sizeof(*services))
        return -1;
    host = services;
    host->log(FILTERD_INFO, "loaded");
    return 0;
}

/* "level=3 list=a,b": of the keys level (1 to 9, 5 without it), size, quick, and a list. */
static int options(const struct filterd_node* config, struct filterd_sink* sink) {
    const struct filterd_node* level = host->find(config, "level");
    const struct filterd_node* size = host->find(config, "size");
    const struct filterd_node* quick = host->find(config, "quick");
    const struct filterd_node* list = host->find(config, "list");
    uint64_t number = 5, bytes = 0;
    bool is_quick = false;
    size_t i;

    if ((level && !host->number(level, "'level'", 1, 9, &number)) ||
        (size && !host->bytes(size, "'size'", &bytes)) ||
        (quick && !host->boolean(quick, "'quick'", &is_quick)))
        return -1;
    if (is_quick && bytes)
        host->error(size, "'size' and 'quick: true' exclude each other");
    host->write(sink, "level=", 6);
    host->write(sink, "123456789" + number - 1, 1);
    for (i = 0; i < host->count(list); i++) {
        const char* text = host->text(host->at(list, i), "a value of 'list'");

        if (!text)
            return -1;
        host->write(sink, i ? "," : " list=", i ? 1 : 6);
        host->write(sink, text, strlen(text));
    }
    return 0;
}

static int describe(const void* data, size_t size, struct filterd_sink* text) {
    host->write(text, "kept: ", 6);
    return host->write(text, data, size) ? 0 : -1;
}

static int probe(struct filterd_sink* why) {
    (void)why;
    return 0;
}

static int status(struct filterd_call* call) {
    return host->answer(call, host->device(call) ? "{\"kept\": true}" : "{}") ? 0 : -1;
}

static int event(struct filterd_call* call, uint64_t value, const void* data, size_t size) {
    (void)value;
    (void)data;
    (void)size;
    return host->answer(call, "{\"event\": \"kept\"}") ? 0 : -1;
}

/* Says the word so many times, one a page, loudly or not. */
static int echo(struct filterd_call* call) {
    const char* word = host->argument(call, "word");
    const char* cursor = host->argument(call, "cursor");
    uint64_t times = 1, loud = 0;

    if (!cursor) {
        host->number_argument(call, "times", &times);
        host->number_argument(call, "loud", &loud);
        if (times > 1)
            host->more(call, "again");
    }
    host->progress(call, 500, "half of it");
    host->print(call, word ? word : "again");
    return host->print(call, loud ? "!\n" : "\n") ? 0 : -1;
}

/* Asks the filter for 8 bytes by command 0. */
static int ask(struct filterd_call* call) {
    uint64_t value = 0;
    size_t length = 0;
    const int error = host->control(call, 0, &value, sizeof(value), &length);

    if (error) {
        host->fail(call, -error, "the filter does not answer");
        return -1;
    }
    return host->answer(call, length == sizeof(value) ? "{\"answered\": true}" : "{\"answered\": false}")
               ? 0
               : -1;
}

static int folder(struct filterd_call* call) {
    return host->answer(call, host->state_folder() ? "{\"folder\": true}" : "{\"folder\": false}") ? 0 : -1;
}

static const struct filterd_argument word = {.size = sizeof(word),
                                             .type = FILTERD_TEXT,
                                             .flags = FILTERD_REQUIRED | FILTERD_POSITIONAL,
                                             .name = "word",
                                             .description = "What to say"};
static const struct filterd_argument times = {
    .size = sizeof(times), .type = FILTERD_NUMBER, .name = "times", .description = "How often"};
static const struct filterd_argument loud = {
    .size = sizeof(loud), .type = FILTERD_BOOLEAN, .name = "loud", .description = "Whether to shout"};
static const struct filterd_argument tone = {.size = sizeof(tone),
                                             .type = FILTERD_CHOICE,
                                             .name = "tone",
                                             .description = "How to say it",
                                             .choices = "plain|rude"};
static const struct filterd_argument* const echo_arguments[] = {&word, &times, &loud, &tone, NULL};

static const struct filterd_command echo_command = {.size = sizeof(echo_command),
                                                    .name = "echo",
                                                    .description = "Say a word",
                                                    .arguments = echo_arguments,
                                                    .run = echo};
static const struct filterd_command ask_command = {.size = sizeof(ask_command),
                                                   .flags = FILTERD_DEVICE | FILTERD_CHANGES,
                                                   .name = "ask",
                                                   .description = "Ask the filter",
                                                   .run = ask};
static const struct filterd_command folder_command = {.size = sizeof(folder_command),
                                                      .name = "folder",
                                                      .description = "Say whether there is a folder",
                                                      .run = folder};
static const struct filterd_command* const commands[] = {&echo_command, &ask_command, &folder_command, NULL};

const struct filterd_plugin* filterd_plugin_entry(void) {
    static const struct filterd_plugin plugin = {
        .size = sizeof(plugin),
        .interface = FILTERD_PLUGIN_INTERFACE,
        .name = "kept-1",
        .version = "1.0",
        .description = "Kept, to be loaded by every later filterd",
        .filter = "kept-1",
        .module = "kept",
        .noun = "kept",
        .config_schema = "{\"type\": \"object\"}",
        .load = load,
        .options = options,
        .describe = describe,
        .flags = FILTERD_KEEPS_HISTORY,
        .kernel_least = 1,
        .commands = commands,
        .probe = probe,
        .status = status,
        .event = event,
    };

    return &plugin;
}
