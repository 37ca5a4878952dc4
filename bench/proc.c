// SPDX-License-Identifier: Apache-2.0
//
// See proc.h. The CPU clock of another process is read with clock_getcpuclockid: it has nanosecond
// steps, where /proc/PID/stat has ticks of 10 ms and /proc/PID/task loses threads that ended.
#include "proc.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base.h"

static uint64_t read_cpu(pid_t pid)
{
    clockid_t clock;
    struct timespec ts;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        bench_fatal("no process %d: is --pid the server's?", (int)pid);
    }
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void add_process(struct proc_sample *sample, pid_t pid)
{
    sample->cpu_ns += read_cpu(pid);
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        bench_fatal("cannot read %s", path);
    }
    char line[256];
    while (fgets(line, sizeof line, f) != NULL) {
        uint64_t kb = 0;
        if (sscanf(line, "VmRSS: %" SCNu64, &kb) == 1) {
            sample->rss_kb += kb;
        } else if (sscanf(line, "VmHWM: %" SCNu64, &kb) == 1) {
            sample->rss_peak_kb += kb;
        }
    }
    fclose(f);
}

struct proc_sample bench_proc_read(const pid_t *pids, uint32_t count)
{
    struct proc_sample sample = {0};
    for (uint32_t i = 0; i < count; i++) {
        add_process(&sample, pids[i]);
    }
    return sample;
}
