// SPDX-License-Identifier: Apache-2.0
//
// What a run found, and its two prints: text for people, one JSON object for programs.
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "hist.h"
#include "options.h"
#include "proc.h"

struct report {
    const char *what;    // "operation", "notification", "session", "znode", "watch"
    uint64_t count;      // of them
    double seconds;      // measured
    uint64_t unanswered; // open loop: still without an answer when the run gave up
    uint64_t client_cpu_ns;
    struct proc_sample before;
    struct proc_sample after;
    struct hist reads;
    struct hist writes;
};

// Starts and ends the measured stretch: clocks and the server's costs.
void bench_report_begin(struct report *r, const struct options *opt);
void bench_report_end(struct report *r, const struct options *opt);

void bench_report_print(const struct report *r, const struct options *opt, FILE *to);
