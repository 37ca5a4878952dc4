// SPDX-License-Identifier: Apache-2.0
//
// struct config: all settings of a server, from Apache's zoo.cfg format, command line and defaults.
// The table is config.def: key (and its system property form), type, default, range, help. Text in,
// struct out; reading the file is the caller's matter.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { CONFIG_TEXT_MAX = 1024 };

struct config {
#define CONFIG_C_INT                                         int64_t
#define CONFIG_C_BOOL                                        bool
#define CONFIG_C_TEXT                                        char *
#define CONFIG(type, field, key, alias, def, min, max, help) CONFIG_C_##type field;
#include "node/config.def"
#undef CONFIG
    size_t servers_n; // server.N lines seen: an ensemble, which this version refuses clearly
};

void config_init(struct config *c); // defaults
void config_fini(struct config *c);
// One setting. Key with or without "zookeeper."; value as text. ERR_NOTFOUND: unknown key, `why`
// names the nearest known one. ERR_INVALID: `why` names key, value and what is allowed.
must_check enum err config_set(struct config *c, struct slice key, struct slice value,
                               struct buf *why);
// A whole file's text, Java properties rules (#, !, =, :, blanks, continuation lines). Unknown keys
// are appended to `warnings`, one line each; the first wrong value ends it, `why` = "file:line:
// ...".
must_check enum err config_parse(struct config *c, const char *name, struct slice text,
                                 struct buf *warnings, struct buf *why);
// Checks across settings and fills what depends on others (session timeouts from tickTime ...).
must_check enum err config_finish(struct config *c, struct buf *warnings, struct buf *why);
// What `conf` prints for a standalone server.
void config_fmt_conf(const struct config *c, struct buf *b);
void config_fmt_help(
    struct buf *b); // every key with default and help, for --help=keys and the docs
