// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

enum { LINE_MAX_BYTES = 2048 };

// Client bytes end up in log lines: whatever could start a new line or move a terminal is replaced.
static void clean(char *line)
{
    for (char *p = line; *p; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
}

void log_fmt(const struct logger *lg, enum log_level level, const char *fmt, ...)
{
    if (!lg || !lg->write || level > lg->level) {
        return;
    }
    char line[LINE_MAX_BYTES];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    clean(line);
    lg->write(lg->ctx, level, line);
}

const char *log_level_name(enum log_level level)
{
    static const char *const names[] = {"ERROR", "WARN", "INFO", "DEBUG"};
    return (unsigned)level < 4 ? names[level] : "?";
}
