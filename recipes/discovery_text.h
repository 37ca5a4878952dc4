// SPDX-License-Identifier: Apache-2.0
//
// Text that grows while it is put together, for what the naming recipes write: JSON and URLs. The
// error is sticky, so that there is a flat list of puts and one check at the end.
#pragma once

#include "reeve/reeve.h"

struct text {
    const struct reeve *zk;
    char *p; // a NUL behind n
    size_t n, cap;
    bool failed; // no memory; nothing is added any more
};

void text_init(struct text *t, const struct reeve *zk);
void text_fini(struct text *t);
void text_put(struct text *t, const void *p, size_t n);
void text_str(struct text *t, const char *s);
void text_int(struct text *t, int64_t v);
// A JSON string with its quotes, escaped as Jackson and Scala's encoder do; NULL: null.
void text_json(struct text *t, const char *s);
// The text, which is the caller's (kit_free), or NULL: there was no memory. t is empty after it.
char *text_take(struct text *t);
