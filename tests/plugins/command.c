/* SPDX-License-Identifier: MIT */
/*
 * A plugin in C with a noun and two commands; each case is wrong in one way (CMakeLists.txt), and
 * "with-command" in none.
 */
#include <filterd/plugin.h>

#ifndef NOUN
#define NOUN NAME
#endif
#ifndef COMMAND
#define COMMAND "say"
#endif
#ifndef COMMAND_SIZE
#define COMMAND_SIZE sizeof(struct filterd_command)
#endif
#ifndef RUN
#define RUN say
#endif
#ifndef ARGUMENT
#define ARGUMENT "word"
#endif
#ifndef TYPE
#define TYPE FILTERD_CHOICE
#endif
#ifndef CHOICES
#define CHOICES "yes|no"
#endif
#ifndef ARGUMENT_FLAGS
#define ARGUMENT_FLAGS FILTERD_POSITIONAL
#endif
#ifndef ARGUMENTS
#define ARGUMENTS 1
#endif

static const struct filterd_host* host;

int load(const struct filterd_host* services) {
    host = services;
    return 0;
}

int options(const struct filterd_node* config, struct filterd_sink* sink) {
    (void)config;
    return host->write(sink, "", 0) ? 0 : -1;
}

int say(struct filterd_call* call) {
    const char* word = host->argument(call, "word");

    return host->print(call, word ? word : "nothing") ? 0 : -1;
}

static const struct filterd_argument argument = {
    .size = sizeof(argument),
    .type = TYPE,
    .flags = ARGUMENT_FLAGS,
    .name = ARGUMENT,
    .description = "What to say",
    .choices = CHOICES,
};

static const struct filterd_argument* arguments[ARGUMENTS + 1];

static const struct filterd_command command = {
    .size = COMMAND_SIZE,
    .name = COMMAND,
    .description = "Say a word",
    .arguments = arguments,
    .run = RUN,
};

static const struct filterd_command another = {
    .size = sizeof(another),
    .name = "another",
    .description = "Say a word, too",
    .run = say,
};

static const struct filterd_command* const commands[] = {&command, &another, NULL};

const struct filterd_plugin* filterd_plugin_entry(void) {
    static const struct filterd_plugin plugin = {
        .size = sizeof(plugin),
        .interface = FILTERD_PLUGIN_INTERFACE,
        .name = NAME,
        .version = "1.0",
        .description = "A plugin for tests",
        .filter = NAME,
        .module = "test",
        .noun = NOUN,
        .load = load,
        .options = options,
        .commands = commands,
    };
    int i;

    for (i = 0; i < ARGUMENTS; i++)
        arguments[i] = &argument;
    return &plugin;
}
