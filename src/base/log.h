// SPDX-License-Identifier: Apache-2.0
//
// Log lines. A logger is a sink handed down from env; nobody keeps a global one, and no core
// decides by it. One line says what happened and, from WARN up, what to do.
#pragma once

#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct logger {
    void (*write)(void *ctx, enum log_level level, const char *line); // line: no newline at its end
    void *ctx;
    enum log_level level; // lines above it are not formatted
};

void log_fmt(const struct logger *lg, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(lg, ...) log_fmt((lg), LOG_ERROR, __VA_ARGS__)
#define log_warn(lg, ...)  log_fmt((lg), LOG_WARN, __VA_ARGS__)
#define log_info(lg, ...)  log_fmt((lg), LOG_INFO, __VA_ARGS__)
#define log_debug(lg, ...) log_fmt((lg), LOG_DEBUG, __VA_ARGS__)

// "ERROR", "WARN", "INFO", "DEBUG".
const char *log_level_name(enum log_level level);
