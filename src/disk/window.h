// SPDX-License-Identifier: Apache-2.0
//
// struct window: a file read from front to back in big pieces. What was not used of a piece stays
// in front of the next, so whoever parses sees whole items without copying them one by one.
// Blocking; before the loop or inside a job.
#pragma once

#include "env.h"

enum { WINDOW_BYTES = 1024 * 1024 };

struct window {
    struct env *env;
    int fd;
    uint64_t size; // of the file
    uint64_t at;   // file offset of the first unused byte
    uint8_t *p;
    size_t from, n, cap; // unused bytes: p[from..n)
};

must_check enum err window_open(struct window *w, struct env *env, const char *path);
void window_close(struct window *w); // fine on a zeroed struct

static inline struct slice window_slice(const struct window *w)
{
    return slice_of(w->p + w->from, w->n - w->from);
}

static inline void window_skip(struct window *w, size_t n)
{
    w->from += n;
    w->at += n;
}

// Reads on behind what is unused; the buffer grows if that fills it. *end: there was nothing more.
must_check enum err window_more(struct window *w, bool *end);
