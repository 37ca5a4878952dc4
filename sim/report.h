// SPDX-License-Identifier: Apache-2.0
//
// struct report: what a run says. It keeps the last lines of the history, so that a failure can
// show how it came about, and holds the failure itself: the first one counts, the run then ends.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { REPORT_LINES = 64, REPORT_LINE_MAX = 240 };

struct report {
    bool silent; // keep no lines: a run that fails can be run again
    bool trace;  // print every line as it comes
    bool failed;
    int64_t now_ns;
    uint64_t lines;
    char ring[REPORT_LINES][REPORT_LINE_MAX];
    char why[1024];
};

// One line of history, stamped with the simulated time.
void report_line(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// A checker found something wrong. What it expected belongs into the text.
void report_fail(struct report *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
// The failure and the history before it, on stdout.
void report_print(const struct report *r, uint64_t seed, uint64_t steps);
