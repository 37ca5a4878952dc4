// SPDX-License-Identifier: Apache-2.0
//
// struct slice: a view of bytes somebody else owns. Who keeps a slice beyond the call copies it.
// jute tells null from empty, so a slice does too: null is p == NULL; empty has a pointer.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *p;
    size_t n;
};

#define SLICE_NULL   ((struct slice){NULL, 0})
#define SLICE_LIT(s) ((struct slice){(const uint8_t *)("" s), sizeof(s) - 1})
// For printf("%.*s", SLICE_ARG(s)).
#define SLICE_ARG(s) (int)(s).n, (s).p ? (const char *)(s).p : ""

static inline struct slice slice_of(const void *p, size_t n)
{
    return (struct slice){(const uint8_t *)p, n};
}

static inline struct slice slice_str(const char *s)
{
    return (struct slice){(const uint8_t *)s, s ? strlen(s) : 0};
}

static inline bool slice_is_null(struct slice s)
{
    return s.p == NULL;
}

// Equal bytes; null equals only null.
static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.n == b.n && (a.p == NULL) == (b.p == NULL) && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool slice_eq_str(struct slice a, const char *s)
{
    return a.p != NULL && a.n == strlen(s) && memcmp(a.p, s, a.n) == 0;
}

static inline bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

static inline struct slice slice_skip(struct slice s, size_t n)
{
    return (struct slice){n ? s.p + n : s.p, s.n - n}; // null stays null
}

// Without blanks and control characters at both ends, as Java's String.trim.
static inline struct slice slice_trim(struct slice s)
{
    while (s.n && s.p[0] <= ' ') {
        s = slice_skip(s, 1);
    }
    while (s.n && s.p[s.n - 1] <= ' ') {
        s.n--;
    }
    return s;
}

static inline struct slice slice_head(struct slice s, size_t n)
{
    return (struct slice){s.p, n};
}
