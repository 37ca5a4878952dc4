// SPDX-License-Identifier: Apache-2.0
//
// Writing what is sound of a damaged transaction log into a new file. The original is only read.
// Sound is a record whose checksum and frame are right and whose content can be read, with a zxid
// above that of the last one written: one that goes back is no part of this history.
#pragma once

#include "cli/log_scan.h"

struct log_recover {
    struct env *env;
    char *path;
    int fd; // -1: not open
    uint64_t at;
    struct buf out;
    int64_t first, last; // zxids written, -1: none
    uint64_t written, left_out;
    bool whole;
};

// Makes the file; ERR_EXISTS: there is one already, it is left alone.
must_check enum err log_recover_begin(struct log_recover *r, struct env *env, const char *path);
must_check enum err log_recover_item(struct log_recover *r, const struct log_item *item);
// Writes and syncs the rest. Without it log_recover_fini() takes the file away again: half a log
// looks like a whole one.
must_check enum err log_recover_end(struct log_recover *r);
void log_recover_fini(struct log_recover *r); // fine on a zeroed struct
