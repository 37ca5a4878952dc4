// SPDX-License-Identifier: Apache-2.0
//
// An env for tests of what works on files: the simulator's crash disk below, jobs that run when the
// test says so, a clock it sets, one planted fault at a time, and the network of fake_net.h.
#pragma once

#include "env.h"
#include "sim/crashdisk.h"
#include "test/support/fake_net.h"

struct fake_env {
    struct env env;
    struct env_ops ops;
    struct rng rng;
    struct crashdisk *disk;
    struct env_job *jobs[ENV_LANES][8]; // queues, oldest first
    size_t jobs_n[ENV_LANES];
    uint64_t calls;   // file calls so far, crashes included
    uint64_t fail_at; // 0: none; the call of that number fails without doing anything
    enum err fail_with;
    enum err next_write; // ERR_OK: none; the next file_write fails so, half done
    // Write-back that fails: told once to every descriptor of the file, by its next sync.
    bool lose_next_sync;
    struct {
        char path[128];
        bool open, lost;
    } fds[64];
    char *locks[4];
    size_t locks_n;
    struct buf log; // everything logged
    struct fake_net net;
};

struct fake_env *fake_env_new(uint64_t seed);
void fake_env_free(struct fake_env **f);

// Runs the oldest job of a lane and returns it; NULL if there is none.
struct env_job *fake_env_run(struct fake_env *f, enum env_lane lane);
// The machine dies now and is up again, its locks free. Jobs that wait must have been run before.
void fake_env_reboot(struct fake_env *f, bool power);
void fake_env_fail(struct fake_env *f, uint64_t calls_from_now, enum err with);
bool fake_env_logged(const struct fake_env *f, const char *text);
void fake_env_pass_ms(struct fake_env *f, int64_t ms);

// A file with this content, durable.
void fake_env_plant(struct fake_env *f, const char *path, struct slice content);
size_t fake_env_open_fds(const struct fake_env *f);
struct slice fake_env_peek(struct fake_env *f, const char *path); // null: no such file
