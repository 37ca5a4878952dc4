// SPDX-License-Identifier: Apache-2.0
//
// The offline commands as the shell calls them, without the server's types: `reeve log` and
// `reeve snapshot`. Results go to `out`, sentences to `say`; the functions return the exit code.
// Nothing is ever written but the file that --recover names.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct offline_shell {
    FILE *out;
    bool json;
    void (*say)(void *ctx, const char *sentence); // what is wrong
    // From time to time while a file is read: `at` of `size` bytes. False: stop.
    bool (*tick)(void *ctx, const char *path, uint64_t at, uint64_t size);
    void *ctx;
};

enum offline_exit { OFFLINE_OK = 0, OFFLINE_NO = 1, OFFLINE_USAGE = 2, OFFLINE_STOPPED = 130 };

struct log_request {
    char *const *words; // files and directories
    int words_n;
    bool data, check;
    const char *recover;     // the file, or for a directory the directory, to make; NULL: none
    uint64_t from, to;       // zxids printed
    struct offline_shell sh; // how to print
};
// 1: damaged (--check: or torn), or it cannot be read.
int log_run(const struct log_request *q);

struct snap_request {
    char *const *words;
    int words_n;
    bool data, summary, compare;
    bool replay; // and the logs beside it, as a start does
    uint32_t depth;
    uint64_t nodes_min, bytes_min; // of --compare
    struct offline_shell sh;
};
// 1: damaged, or it cannot be read. --compare: 0 they are the same, 1 they differ, 2 trouble.
int snap_run(const struct snap_request *q);
