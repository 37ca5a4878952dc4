// SPDX-License-Identifier: Apache-2.0
//
// Log lines on stderr: `2026-11-21 10:11:12.345 INFO  message`, local time, one write(2) each, so
// that lines of several threads do not mix. A line that stderr does not take is lost: a server does
// not stop for its log.
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "os/os.h"

void stderr_write_line(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    struct tm tm;
    localtime_r(&t.tv_sec, &tm);
    char text[2200];
    size_t n = strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    int m = snprintf(text + n, sizeof(text) - n, ".%03d %-5s %s", (int)(t.tv_nsec / 1000000),
                     log_level_name(level), line);
    must(m > 0);
    n += (size_t)m;
    if (n > sizeof(text) - 1) {
        n = sizeof(text) - 1;
    }
    text[n] = '\n'; // over the closing zero
    ssize_t put = write(STDERR_FILENO, text, n + 1);
    (void)put;
}
