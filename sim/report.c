// SPDX-License-Identifier: Apache-2.0
#include "sim/report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void report_line(struct report *r, const char *fmt, ...)
{
    if (r->silent) {
        return;
    }
    char *line = r->ring[r->lines++ % REPORT_LINES];
    int n = snprintf(line, REPORT_LINE_MAX, "%4" PRId64 ".%06" PRId64 " ", r->now_ns / 1000000000,
                     r->now_ns / 1000 % 1000000);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + n, (size_t)(REPORT_LINE_MAX - n), fmt, args);
    va_end(args);
    if (r->trace) {
        printf("%s\n", line);
    }
}

void report_fail(struct report *r, const char *fmt, ...)
{
    if (r->failed) {
        return;
    }
    r->failed = true;
    va_list args;
    va_start(args, fmt);
    vsnprintf(r->why, sizeof(r->why), fmt, args);
    va_end(args);
    report_line(r, "FAILED: %s", r->why);
}

void report_print(const struct report *r, uint64_t seed, uint64_t steps)
{
    if (!r->trace) {
        uint64_t from = r->lines > REPORT_LINES ? r->lines - REPORT_LINES : 0;
        for (uint64_t i = from; i < r->lines; i++) {
            printf("%s\n", r->ring[i % REPORT_LINES]);
        }
    }
    printf("seed %" PRIu64 " failed at step %" PRIu64 ": %s\n", seed, steps, r->why);
    printf("the whole history: reeve-sim --seed %" PRIu64 " --trace\n", seed);
}
