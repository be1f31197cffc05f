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
 *  - A plugin is never unloaded. Its functions are called by one thread, its own, one after the other; only
 * commands with FILTERD_JOB are called by another one, also one after the other, while the first goes on; and
 * those with FILTERD_BESIDE each by one of its own.
 *  - It may have threads of its own. These may call log() and run() of the host, and nothing else.
 *  - A function that has not returned after FILTERD_DEADLINE_SECONDS is given up: its answer is thrown away,
 * and until it returns the plugin is shown as one that does not respond, and is not called.
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
#define FILTERD_DEADLINE_SECONDS 10
#define FILTERD_JOB_SECONDS 3600 /* of a command with FILTERD_JOB */
#define FILTERD_ANSWER_BYTES (1u << 20)

/* NOLINTBEGIN(readability-identifier-naming,modernize-redundant-void-arg): as C has it. */

/** A value of a configuration file, which knows where it stands. */
struct filterd_node;

/** Takes bytes that a plugin answers with: at most 1 MiB. */
struct filterd_sink;

/** One call of a command, with its arguments and its answer. */
struct filterd_call;

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
 * @argument:  an argument of a command as text, or NULL when it was not given; "cursor" is what @more left.
 * @number_argument: an argument that is a number, a number of bytes, or a truth (0 or 1); false when it was
 * not given.
 * @device:    the device that a call is about, by the kernel's name, such as "sda1"; NULL when about none.
 * @control:   sends command @number to the filter on that device. @buffer is what the filter reads and where
 * it writes its answer; @length is the answer's. 0, or a negative errno.
 * @answer:    adds a record, the text of a JSON object, to the answer of a call; false when it is none, or
 * there is no more room.
 * @print:     adds text for people, or for other programs, instead of records; false when there is no room.
 * @more:      the answer goes on: whoever asks calls again with this cursor, without any other.
 * @fail:      why a call fails: @code is an errno, positive; 0 for none that fits. Then it returns -1.
 * @progress:  how far a call has come, in thousandths, and what it does now.
 * @state_folder: a folder of the plugin's own that stays over restarts; NULL when there is none.
 * @device_at: one of the devices of a command with FILTERD_DEVICES, by the kernel's name; NULL behind the
 * last.
 * @declared_at: the same by the name that it has in the configuration; the kernel's when it has none.
 * @setting:   what the configuration says of the group that the call is about, else by default, as text:
 * "group", "storage.path", "storage.limit" in bytes or "storage.limit-thousandths" of the file system,
 * "storage.step" in bytes, "storage.warn-thousandths" of the limit, "hooks.before", "hooks.after",
 * "hooks.seconds". In attached(): "filter.KEY", a key of the filter's own whose value is a text, a number or
 * a truth. NULL when it says nothing.
 * @run:       runs a command by /bin/sh, with these variables "NAME=VALUE" (NULL behind the last) in its
 * environment and its output in the journal, for so many seconds at most: then it is killed. Its exit status
 * (128 and the signal when a signal has ended it); -ETIMEDOUT; another negative errno when it was not run.
 * Not from functions that have FILTERD_DEADLINE_SECONDS.
 *
 * @what names the value in messages, as in "'block_size'". All of an answer has room for
 * FILTERD_ANSWER_BYTES.
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
    const char* (*argument)(const struct filterd_call* call, const char* name);
    bool (*number_argument)(const struct filterd_call* call, const char* name, uint64_t* value);
    const char* (*device)(const struct filterd_call* call);
    int (*control)(struct filterd_call* call, uint32_t number, void* buffer, size_t size, size_t* length);
    bool (*answer)(struct filterd_call* call, const char* json);
    bool (*print)(struct filterd_call* call, const char* text);
    void (*more)(struct filterd_call* call, const char* cursor);
    void (*fail)(struct filterd_call* call, int code, const char* text);
    void (*progress)(struct filterd_call* call, uint32_t thousandths, const char* text);
    const char* (*state_folder)(void);
    const char* (*device_at)(const struct filterd_call* call, size_t index);
    const char* (*declared_at)(const struct filterd_call* call, size_t index);
    const char* (*setting)(const struct filterd_call* call, const char* name);
    int (*run)(const char* command, const char* const* environment, uint32_t seconds);
};

enum filterd_argument_type {
    FILTERD_TEXT = 1,
    FILTERD_NUMBER = 2,
    FILTERD_BYTES = 3,   /* a number of bytes, plain or with KiB, MiB, GiB or TiB behind it */
    FILTERD_BOOLEAN = 4, /* given or not */
    FILTERD_CHOICE = 5,  /* one of the words of @choices */
};

#define FILTERD_REQUIRED 1u   /* an argument that must be given */
#define FILTERD_POSITIONAL 2u /* given by its place, not by --NAME */
#define FILTERD_REPEATED 4u   /* the last positional one: may be given several times; joined by spaces */

/**
 * struct filterd_argument - an argument of a command, as filterctl shows and checks it
 * @size:        sizeof(struct filterd_argument) as compiled.
 * @type:        enum filterd_argument_type.
 * @flags:       FILTERD_REQUIRED, FILTERD_POSITIONAL, FILTERD_REPEATED.
 * @name:        lower-case letters, digits and '-'.
 * @description: a line for people.
 * @choices:     with FILTERD_CHOICE: the words, with '|' between them; the first is taken when none is given.
 */
struct filterd_argument {
    uint32_t size;
    uint32_t type;
    uint32_t flags;
    const char* name;
    const char* description;
    const char* choices;
};

#define FILTERD_CHANGES 1u /* a command that changes something */
#define FILTERD_DEVICE 2u  /* a command about a device that has the filter: its first argument */
/* A command about several devices: its arguments, or those of --group GROUP. They need not have the filter.
 */
#define FILTERD_DEVICES 4u
#define FILTERD_JOB 8u /* a command that may last: filterctl job shows it; may take FILTERD_JOB_SECONDS */
/*
 * A command that says how to mount something: one record with "source", "type", "options" (of mount) and
 * "offset" and "size" in bytes where it is a part of the source. filterctl mounts it on a folder, which is an
 * argument that filterctl adds.
 */
#define FILTERD_MOUNT 16u
#define FILTERD_BESIDE 32u /* with FILTERD_JOB: may run beside the plugin's other jobs */

/**
 * struct filterd_command - what a plugin adds to filterctl: filterctl NOUN NAME
 * @size:        sizeof(struct filterd_command) as compiled.
 * @flags:       FILTERD_CHANGES, FILTERD_DEVICE, FILTERD_DEVICES, FILTERD_JOB, FILTERD_MOUNT, FILTERD_BESIDE.
 * @name:        lower-case letters, digits and '-'.
 * @description: a line for people.
 * @arguments:   NULL behind the last; NULL: none.
 * @run:         answers by @answer or @print, @more, @fail of the host.
 */
struct filterd_command {
    uint32_t size;
    uint32_t flags;
    const char* name;
    const char* description;
    const struct filterd_argument* const* arguments;
    int (*run)(struct filterd_call* call);
};

#define FILTERD_KEEPS_HISTORY 1u /* what is lost when the filter goes: pruned only when named */

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
 * @flags:         FILTERD_KEEPS_HISTORY.
 * @kernel_least:  the lowest version of blkfilter's interface that the filter is known to work with; 0: any.
 * @kernel_most:   the highest one; 0: any.
 * @commands:      NULL behind the last; NULL: none.
 * @probe:         whether the filter can be used here; when not (-1), it writes why. May be NULL.
 * @status:        answers what there is to say of a device that has the filter: one record. May be NULL.
 * @event:         answers what an event of the filter on a device means: one record. May be NULL.
 * @attached:      a device has the filter as a file declares it; told when filterd has attached it, has found
 * it there, or has read the files again, and so more than once. Of setting() it has the filter's own keys.
 * May be NULL.
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
    uint32_t flags;
    uint32_t kernel_least;
    uint32_t kernel_most;
    const struct filterd_command* const* commands;
    int (*probe)(struct filterd_sink* why);
    int (*status)(struct filterd_call* call);
    int (*event)(struct filterd_call* call, uint64_t value, const void* data, size_t size);
    int (*attached)(struct filterd_call* call);
};

/* NOLINTEND(readability-identifier-naming,modernize-redundant-void-arg) */

#define FILTERD_PLUGIN_EXPORT __attribute__((visibility("default")))

FILTERD_PLUGIN_EXPORT const struct filterd_plugin* filterd_plugin_entry(void);

#ifdef __cplusplus
}
#endif

#endif /* FILTERD_PLUGIN_H */
