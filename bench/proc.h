// SPDX-License-Identifier: Apache-2.0
//
// What the server costs, as the kernel counts it: CPU time of a whole process (all threads, those
// that ended too) and its memory. CPU time per operation is the number that compares servers on a
// shared machine; rates depend on who else runs.
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct proc_sample {
    uint64_t cpu_ns;
    uint64_t rss_kb;      // resident now
    uint64_t rss_peak_kb; // largest so far
};

// The sums over these processes; fatal when one does not exist. None gives all zeros.
struct proc_sample bench_proc_read(const pid_t *pids, uint32_t count);
