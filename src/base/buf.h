// SPDX-License-Identifier: Apache-2.0
//
// struct buf: owned, growing bytes. Zero-initialised is empty and valid. Puts never fail (server
// memory, see mem.h); bounds are checked by whoever knows the limit.
#pragma once

#include <stdint.h>
#include <string.h>

#include "base/endian.h"
#include "base/mem.h"
#include "base/slice.h"

struct buf {
    uint8_t *p;
    size_t n;   // bytes in use
    size_t cap; // bytes allocated
};

void buf_grow(struct buf *b, size_t more); // makes room for `more` bytes behind n
void buf_fini(struct buf *b);              // frees, leaves an empty buf
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->p ? b->p : (const uint8_t *)"", b->n};
}

static inline void buf_clear(struct buf *b)
{
    b->n = 0;
}

// Room for n bytes, counted as used; the caller writes them.
static inline uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (b->cap - b->n < n) {
        buf_grow(b, n);
    }
    uint8_t *p = b->p + b->n;
    b->n += n;
    return p;
}

static inline void buf_put(struct buf *b, const void *p, size_t n)
{
    if (n) {
        memcpy(buf_reserve(b, n), p, n);
    }
}

static inline void buf_put_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.p, s.n);
}

static inline void buf_put_u8(struct buf *b, uint8_t v)
{
    *buf_reserve(b, 1) = v;
}

static inline void buf_put_i32(struct buf *b, int32_t v)
{
    be32_put(buf_reserve(b, 4), (uint32_t)v);
}

static inline void buf_put_i64(struct buf *b, int64_t v)
{
    be64_put(buf_reserve(b, 8), (uint64_t)v);
}

// Drops the first n bytes (moves the rest down).
void buf_consume(struct buf *b, size_t n);
