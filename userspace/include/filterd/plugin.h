/* SPDX-License-Identifier: MIT */
/**
 * @file
 * A plugin of filterd: what it is, and what it may use.
 *
 * A plugin manages one filter of the kernel: it turns the filter's keys in a YAML file into the options that
 * the filter is attached with. It is a shared object filterd-NAME.so that exports one function,
 *
 *     const struct filterd_plugin *filterd_plugin_entry(void);
 *
 * and no other name. <filterd/plugin.hpp> makes that out of a C++ class.
 *
 * The interface lasts: structures begin with their size, fields are only ever appended, and each side takes
 * what the other does not have for zero. A plugin that was built with this header works with every later
 * filterd. Only when that cannot be kept, FILTERD_PLUGIN_INTERFACE changes, and filterd refuses the plugin by
 * name.
 *
 * Rules for plugins:
 *
 *  - A plugin is never unloaded. Its functions are called by one thread at a time, not always the same one.
 *  - No exception leaves it. It does not fork, change signal handlers, working folder, locale or limits of
 * the process.
 *  - What it is given is valid until it returns. What it returns by a pointer stays valid for ever.
 *  - Texts are UTF-8 with a NUL at the end unless a length is given.
 *  - A function returns 0, or -1 after it has said why by a function of the host.
 */
#ifndef FILTERD_PLUGIN_H
#define FILTERD_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FILTERD_PLUGIN_INTERFACE 1

/* NOLINTBEGIN(readability-identifier-naming): names as C has them. */

/** A value of a configuration file, which knows where it stands. */
struct filterd_node;

/** Takes bytes that a plugin answers with: at most 1 MiB. */
struct filterd_sink;

enum filterd_priority {
    FILTERD_ERROR = 3, /* as in <syslog.h> */
    FILTERD_WARNING = 4,
    FILTERD_NOTICE = 5,
    FILTERD_INFO = 6,
    FILTERD_DEBUG = 7,
};

/**
 * struct filterd_host - what a plugin may use of filterd
 * @size:      of the structure as filterd has it: what lies beyond is not there.
 * @interface: FILTERD_PLUGIN_INTERFACE as filterd has it.
 * @log:       a line for the journal, with the plugin's name.
 * @find:      the value of a key of a mapping, or NULL when it is not there. A key that no find() asked for
 * is reported as a misspelt one when the plugin has returned.
 * @count:     how many values a list has; 0 for what is no list.
 * @at:        one of them.
 * @error:     something is wrong with a value: shown as FILE:LINE:COLUMN: error: TEXT.
 * @text:      reads a text that is not empty; NULL after an error.
 * @boolean:   reads true or false. This and the next ones: false after an error.
 * @number:    reads a decimal number from @least to @most.
 * @bytes:     reads a number of bytes, plain or with B, KiB, MiB, GiB or TiB behind it.
 * @write:     adds to an answer; false when there is no more room.
 *
 * @what names the value in messages, as in "'block_size'".
 */
struct filterd_host {
    uint32_t size;
    uint32_t interface;
    void (*log)(enum filterd_priority priority, const char* line);
    const struct filterd_node* (*find)(const struct filterd_node* mapping, const char* key);
    size_t (*count)(const struct filterd_node* list);
    const struct filterd_node* (*at)(const struct filterd_node* list, size_t index);
    void (*error)(const struct filterd_node* node, const char* text);
    const char* (*text)(const struct filterd_node* node, const char* what);
    bool (*boolean)(const struct filterd_node* node, const char* what, bool* value);
    bool (*number)(const struct filterd_node* node, const char* what, uint64_t least, uint64_t most,
                   uint64_t* value);
    bool (*bytes)(const struct filterd_node* node, const char* what, uint64_t* value);
    bool (*write)(struct filterd_sink* sink, const void* data, size_t size);
};

/**
 * struct filterd_plugin - what a plugin is
 * @size:          sizeof(struct filterd_plugin) as compiled.
 * @interface:     FILTERD_PLUGIN_INTERFACE as compiled.
 * @name:          the file is filterd-NAME.so.
 * @version:       of the plugin, for people.
 * @description:   a line for people.
 * @filter:        the filter of the kernel that it manages.
 * @module:        the kernel module that has the filter.
 * @noun:          what filterctl calls it; NULL: the filter's name.
 * @config_schema: JSON schema of the filter's own keys, an object; NULL: it has none.
 * @load:          called once, before all others. May be NULL.
 * @options:       writes the options that the filter is attached with. @config is the mapping of its own keys
 * in a stack; it is there when no such key is. The same keys always give the same bytes: filterd compares
 * them with what the kernel has.
 * @describe:      writes options as people read them, for plans; NULL: they are shown as they are.
 */
struct filterd_plugin {
    uint32_t size;
    uint32_t interface;
    const char* name;
    const char* version;
    const char* description;
    const char* filter;
    const char* module;
    const char* noun;
    const char* config_schema;
    int (*load)(const struct filterd_host* host);
    int (*options)(const struct filterd_node* config, struct filterd_sink* options);
    int (*describe)(const void* options, size_t size, struct filterd_sink* text);
};

/* NOLINTEND(readability-identifier-naming) */

#define FILTERD_PLUGIN_EXPORT __attribute__((visibility("default")))

FILTERD_PLUGIN_EXPORT const struct filterd_plugin* filterd_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif /* FILTERD_PLUGIN_H */
