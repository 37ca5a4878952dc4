// SPDX-License-Identifier: Apache-2.0
//
// struct config: all settings of a server, from Apache's zoo.cfg format, command line and defaults.
// The table is config.def: key, second name, type, default, range, help. Text in, struct out;
// reading the file is the caller's matter.
//
//   config_init -> config_parse (the file) -> config_set (the command line) -> config_finish -> use
//
// A later setting replaces an earlier one. config_finish is the only place that looks at several
// settings at once; before it, defaults that depend on others are -1 or NULL.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

struct members;

struct config {
#define CONFIG_C_MS                                          int64_t
#define CONFIG_C_KB                                          int64_t
#define CONFIG_C_BYTES                                       int64_t
#define CONFIG_C_COUNT                                       int64_t
#define CONFIG_C_PORT                                        int64_t
#define CONFIG_C_INTERVAL                                    int64_t
#define CONFIG_C_REAL                                        double
#define CONFIG_C_BOOL                                        bool
#define CONFIG_C_TEXT                                        char *
#define CONFIG_C_CHOICE                                      char *
#define CONFIG(type, field, key, alias, def, min, max, help) CONFIG_C_##type field;
#include "node/config.def"
    // The server.N, group.N and weight.N lines. After config_finish: NULL, or a whole membership
    // that is an ensemble. With dynamic_file it is NULL, too: node/dynconfig.h reads that file.
    struct members *servers;
    struct members *single; // of a standalone server with one server.N line: its client port counts
    char *config_path;      // the file all this came from, absolute; NULL: command line only
    bool client_port_set;   // clientPort was given, not left to its default
    struct buf later;       // "key=value (feature), ..." of what was set and is not supported yet
    struct buf refuse;      // why config_finish refuses, empty if it does not
};

void config_init(struct config *c); // defaults
void config_fini(struct config *c);
// One setting. Key with or without "zookeeper."; value as text. ERR_NOTFOUND: unknown key, `why`
// names the nearest known one. ERR_INVALID: `why` is "key=value: must be ...". `why` is appended
// to.
must_check enum err config_set(struct config *c, struct slice key, struct slice value,
                               struct buf *why);
// A whole file's text, Java properties rules (#, !, =, :, blanks, continuation lines, escapes).
// Unknown keys are appended to `warnings`, one line each; the first wrong value ends it, `why` =
// "file:line: ...". ERR_LIMIT: longer than LIMIT_CONFIG_FILE, or a line than LIMIT_CONFIG_LINE.
must_check enum err config_parse(struct config *c, const char *name, struct slice text,
                                 struct buf *warnings, struct buf *why);
// Checks across settings and fills what depends on others: session timeouts from tick_ms,
// data_log_dir from data_dir, frame_extra, snap_retain (0 when purging is off, else at least 3),
// purge_interval_ms (0: after each snapshot). ERR_INVALID: a setting is impossible;
// ERR_UNSUPPORTED: it asks for what this version cannot do.
must_check enum err config_finish(struct config *c, struct buf *warnings, struct buf *why);
// What a membership must fulfil to be served, from whichever file it came: Java's
// parseDynamicConfig and checkValidity. *ensemble: false if it is a standalone server by
// standaloneEnabled. ERR_INVALID: `why` says what is wrong.
must_check enum err config_check_members(const struct config *c, const struct members *m,
                                         bool *ensemble, struct buf *warnings, struct buf *why);
// What `conf` prints, beside the settings.
struct config_now {
    int64_t client_port;
    int64_t data_bytes, log_bytes; // of the files in the two folders
    int64_t sid;                   // 0: standalone
    const struct members *members; // committed; NULL: standalone
};
void config_fmt_conf(const struct config *c, const struct config_now *now, struct buf *b);
void config_fmt_help(
    struct buf *b); // every key with default and help, for --help=keys and the docs
