// SPDX-License-Identifier: Apache-2.0
//
// struct blob: immutable bytes with a reference count, the only counted type. A transaction's bytes
// are one blob, shared by the log batch, the proposal queue and every peer's queue. One thread (the
// core) takes and drops references; other threads only read the bytes while the core holds one.
#pragma once

#include <stdint.h>

#include "base/slice.h"

struct blob {
    uint32_t refs;
    uint32_t n;
    uint8_t bytes[];
};

struct blob *blob_new(struct slice s); // copies; one reference
struct blob *blob_ref(struct blob *b); // one more; returns b
void blob_unref(struct blob **b);      // one less, frees the last; *b = NULL; NULL is fine

static inline struct slice blob_slice(const struct blob *b)
{
    return (struct slice){b->bytes, b->n};
}
