// SPDX-License-Identifier: Apache-2.0
//
// What both load programs of bench/clients.py share: arguments, clocks, the line of JSON at the
// end.
//   PROGRAM HOST:PORT get|set|children COUNT DEPTH
// One client keeps DEPTH requests for /bench/load (1 KB) outstanding until COUNT have been
// answered. CPU is that of the whole process after a tenth of the requests, which warm up.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { LOAD_DATA_SIZE = 1024 };
#define LOAD_TOP  "/bench"
#define LOAD_PATH "/bench/load"

struct load {
    const char *servers, *op;
    long count, depth;
    long sent, answered, failed;
    double cpu_from_us, wall_from_us;
    char data[LOAD_DATA_SIZE];
};

static inline double load_cpu_us(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static inline double load_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static inline void load_parse(struct load *l, int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: %s HOST:PORT get|set|children COUNT DEPTH\n", argv[0]);
        exit(2);
    }
    *l = (struct load){.servers = argv[1], .op = argv[2]};
    l->count = strtol(argv[3], NULL, 10);
    l->depth = strtol(argv[4], NULL, 10);
    memset(l->data, 'x', sizeof(l->data));
}

// An answer has come. True: ask again.
static inline int load_answered(struct load *l, int error)
{
    l->failed += error != 0;
    if (++l->answered == l->count / 10) {
        l->cpu_from_us = load_cpu_us();
        l->wall_from_us = load_wall_us();
    }
    return l->sent < l->count;
}

static inline void load_print(const struct load *l)
{
    double n = (double)(l->count - l->count / 10);
    printf("{\"cpu_us\": %.4f, \"wall_us\": %.4f, \"failed\": %ld}\n",
           (load_cpu_us() - l->cpu_from_us) / n, (load_wall_us() - l->wall_from_us) / n, l->failed);
}
