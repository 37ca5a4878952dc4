// SPDX-License-Identifier: Apache-2.0
//
// struct env on Linux: sockets, files, threads, clock, timer, signals and log lines of one server.
// See env.h for what may be called when; env_uv.c says how it is made.
#pragma once

#include "env.h"

// Log lines up to `level` go to stderr. Ignores SIGPIPE for the process. ERR_IO: the system refuses
// a loop or a thread; a line has been logged.
must_check enum err env_uv_new(enum log_level level, struct env **env);

struct env_uv_user {
    void *ctx;
    void (*step)(void *ctx, const struct env_event *ev); // each event
    void (*turn)(void *ctx);                             // after each batch of events
    bool (*stopped)(void *ctx);                          // asked after each turn; true ends the run
};

// Runs the loop on the calling thread, which is the core thread from now on, until user->stopped().
// SIGTERM and SIGINT become ENV_STOP while it runs.
void env_uv_run(struct env *env, const struct env_uv_user *user);

// Waits for jobs that run, closes what is open. Events that are still on their way are not
// delivered.
void env_uv_free(struct env **env);
