// SPDX-License-Identifier: Apache-2.0
//
// jute, ZooKeeper's encoding: big-endian integers, length-prefixed bytes, counted vectors.
//
// Reading: struct jute_in over bytes that somebody else owns. The error is sticky: a flat list of
// gets, one check at the end; after an error every get returns zero or null. Decoded slices point
// into the input. Writing: straight into a struct buf; it cannot fail.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "wire/records.h"

struct jute_in {
    const uint8_t *p, *end;
    size_t bytes_max; // longest string or buffer accepted (jute.maxbuffer + extra)
    enum err err;     // ERR_OK, ERR_CUT, ERR_MALFORMED, ERR_LIMIT
};

static inline struct jute_in jute_in(struct slice s, size_t bytes_max)
{
    const uint8_t *p = s.p ? s.p : (const uint8_t *)""; // null has no bytes, as empty has none
    return (struct jute_in){p, p + s.n, bytes_max, ERR_OK};
}

static inline size_t jute_left(const struct jute_in *in)
{
    return (size_t)(in->end - in->p);
}

static inline void jute_fail(struct jute_in *in, enum err e)
{
    if (!in->err) {
        in->err = e;
    }
    in->p = in->end;
}

static inline const uint8_t *jute_take(struct jute_in *in, size_t n)
{
    if (jute_left(in) < n) {
        jute_fail(in, ERR_CUT);
        return NULL;
    }
    const uint8_t *p = in->p;
    in->p += n;
    return p;
}

static inline bool jute_get_bool(struct jute_in *in)
{
    const uint8_t *p = jute_take(in, 1);
    return p && *p != 0;
}

static inline int32_t jute_get_int(struct jute_in *in)
{
    const uint8_t *p = jute_take(in, 4);
    return p ? (int32_t)be32_get(p) : 0;
}

static inline int64_t jute_get_long(struct jute_in *in)
{
    const uint8_t *p = jute_take(in, 8);
    return p ? (int64_t)be64_get(p) : 0;
}

// A string or buffer. Length -1 is null; other negative lengths and lengths over bytes_max fail.
static inline struct slice jute_get_bytes(struct jute_in *in)
{
    int32_t n = jute_get_int(in);
    if (n < 0 || (size_t)n > in->bytes_max) {
        if (n != -1) {
            jute_fail(in, ERR_LIMIT);
        }
        return SLICE_NULL;
    }
    const uint8_t *p = jute_take(in, (size_t)n);
    return p ? slice_of(p, (size_t)n) : SLICE_NULL;
}

// Element count of a vector whose elements take at least elem_min bytes each: -1 for null; other
// negative counts are 0 (as Apache reads them); a count the input cannot hold fails.
int32_t jute_get_count(struct jute_in *in, size_t elem_min);

// One record: fields of `type` into the struct at `rec`, vectors into `a`. Bytes behind the last
// field are left unread. On error the struct is filled with zeros from the bad field on.
void jute_get_record(struct jute_in *in, const struct record_type *type, void *rec,
                     struct arena *a);

static inline void jute_put_bool(struct buf *b, bool v)
{
    buf_put_u8(b, v ? 1 : 0);
}

static inline void jute_put_bytes(struct buf *b, struct slice s)
{
    buf_put_i32(b, s.p ? (int32_t)s.n : -1);
    buf_put_slice(b, s);
}

void jute_put_record(struct buf *b, const struct record_type *type, const void *rec);
// How many bytes jute_put_record() will write.
size_t jute_size_record(const struct record_type *type, const void *rec);

// Text for logs and traces: name{field=value ...}, bytes escaped and cut to a readable length.
void jute_fmt_record(struct buf *b, const struct record_type *type, const void *rec);
