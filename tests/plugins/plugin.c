/* SPDX-License-Identifier: MIT */
/* A plugin in C for tests; each case is wrong in one way (CMakeLists.txt), and "good" in none. */
#include <filterd/plugin.h>

#ifndef SIZE
#define SIZE sizeof(struct filterd_plugin)
#endif
#ifndef INTERFACE
#define INTERFACE FILTERD_PLUGIN_INTERFACE
#endif
#ifndef FILTER
#define FILTER NAME
#endif
#ifndef LOAD
#define LOAD load
#endif
#ifndef OPTIONS
#define OPTIONS options
#endif

static const struct filterd_host* host;

int load(const struct filterd_host* services) {
    host = services;
    return 0;
}

/* What a plugin does that was built for a host with more in it: it looks whether it is there. */
int load_looking_for_more(const struct filterd_host* services) {
    host = services;
    return services->size >= 2 * sizeof(struct filterd_host) ? -1 : 0;
}

int load_refusing(const struct filterd_host* services) {
    services->log(FILTERD_ERROR, "there is no such hardware");
    return -1;
}

int options(const struct filterd_node* config, struct filterd_sink* sink) {
    const struct filterd_node* level = host->find(config, "level");
    const struct filterd_node* list = host->find(config, "list");
    uint64_t number = 5;
    size_t i;

    if (level && !host->number(level, "'level'", 1, 9, &number))
        return -1;
    for (i = 0; i < host->count(list); i++) {
        const char* text = host->text(host->at(list, i), "a value of 'list'");

        if (!text)
            return -1;
        host->write(sink, text, 1);
    }
    return host->write(sink, "123456789" + number - 1, 1) ? 0 : -1;
}

int options_saying_nothing(const struct filterd_node* config, struct filterd_sink* sink) {
    (void)config;
    (void)sink;
    return -1;
}

int options_without_end(const struct filterd_node* config, struct filterd_sink* sink) {
    static char data[1 << 16];
    int i;

    (void)config;
    for (i = 0; i < 16384; i++)
        host->write(sink, data, sizeof(data));
    return 0;
}

/* Whatever is asked for with nothing must be refused, not followed. */
int options_of_nothing(const struct filterd_node* config, struct filterd_sink* sink) {
    uint64_t number = 0;
    bool truth = false;

    if (host->find(NULL, "key") || host->find(config, NULL) || host->at(config, 7) || host->at(NULL, 0) ||
        host->count(config) || host->count(NULL) || host->text(NULL, "'key'") ||
        host->text(config, "'key'") || host->number(NULL, "'key'", 0, 1, &number) ||
        host->bytes(NULL, "'key'", &number) || host->boolean(config, "'key'", &truth) ||
        host->write(NULL, "a", 1))
        return -1;
    host->error(NULL, "nowhere");
    return host->write(sink, "", 0) ? 0 : -1;
}

#ifdef UNRESOLVED
void nobody_has_this(void);
int load_calling(const struct filterd_host* services) {
    (void)services;
    nobody_has_this();
    return 0;
}
#endif

#ifdef NO_ENTRY
#define filterd_plugin_entry another_name
FILTERD_PLUGIN_EXPORT const struct filterd_plugin* another_name(void);
#endif

const struct filterd_plugin* filterd_plugin_entry(void) {
    /* As if a later header had appended something. */
    static struct {
        struct filterd_plugin plugin;
        const char* appended[8];
    } it;

    it.plugin = (struct filterd_plugin){
        .size = SIZE,
        .interface = INTERFACE,
        .name = NAME,
        .version = "1.0",
        .description = "A plugin for tests",
        .filter = FILTER,
        .module = "test",
        .load = LOAD,
        .options = OPTIONS,
    };
    return ENTRY_RETURNS;
}
