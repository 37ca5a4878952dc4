// SPDX-License-Identifier: Apache-2.0
//
// The load of `bench`: clients of the library, each on a thread of its own with `depth` requests
// under way, all on nodes below one path. A client is touched only on its own thread until it says
// that it is done.
#pragma once

#include <stdatomic.h>

#include "cli/cmd_bench_latency.h"
#include "reeve/reeve.h"

enum bench_op { BENCH_GET, BENCH_SET, BENCH_EXISTS, BENCH_CHILDREN, BENCH_CREATE, BENCH_OPS };
enum { BENCH_PATH_MAX = 512, BENCH_WHY_MAX = 256 };

extern const char *const bench_op_names[BENCH_OPS];

struct bench_client;
struct bench_load {
    // Given.
    const char *servers;
    char base[BENCH_PATH_MAX]; // nodes n0, n1, ... are there
    uint32_t clients, depth, keys, data_len;
    uint32_t share[BENCH_OPS]; // of each in the mix
    int32_t session_timeout_ms, connect_timeout_ms;

    struct bench_client *v;
    void *data;
    int event;            // readable when all clients are done with a phase
    atomic_uint working;  // clients that are not
    atomic_bool stop;     // no new requests
    atomic_bool counting; // what begins now is counted
};

// The sum of all clients.
struct bench_sum {
    struct latency latency[BENCH_OPS];
    uint64_t errors[BENCH_OPS];
    char why[BENCH_WHY_MAX]; // of the first error
};

// Connects all clients. Not OK: why says what went wrong; give it to bench_load_fini() in any case.
enum reeve_error bench_load_init(struct bench_load *l, char *why);
// Begins; ends when stop is set and all answers are there (event).
void bench_load_begin(struct bench_load *l);
// Deletes what creates have made; ends by itself (event), or when stop is set.
void bench_load_clean(struct bench_load *l);
// All clients are done with the phase: what they have counted may be read.
bool bench_load_done(const struct bench_load *l);
void bench_load_sum(const struct bench_load *l, struct bench_sum *sum);
void bench_load_fini(struct bench_load *l);
