// SPDX-License-Identifier: Apache-2.0
//
// Paths: validation by Apache's rule, and the cuts everybody needs. A path is UTF-8 bytes.
#pragma once

#include <stdbool.h>

#include "base/slice.h"

// The rule for a created node's final name, setData, setACL and check: null, empty, relative, a
// trailing or double slash, "." or ".." as a component, control characters, surrogates, private
// use, U+FFF0..U+FFFF, anything outside the BMP, and invalid UTF-8 are refused.
bool path_is_valid(struct slice path);

// Everything before the last '/': "/a/b" -> "/a", "/a" -> "" (the root's stored name), "a" -> null.
static inline struct slice path_parent(struct slice path)
{
    for (size_t i = path.n; i > 0; i--) {
        if (path.p[i - 1] == '/') {
            return slice_head(path, i - 1);
        }
    }
    return SLICE_NULL;
}

// Everything behind the last '/'.
static inline struct slice path_base(struct slice path)
{
    size_t i = path.n;
    while (i > 0 && path.p[i - 1] != '/') {
        i--;
    }
    return slice_skip(path, i);
}

static inline bool path_has_nul(struct slice path)
{
    return path.n && memchr(path.p, 0, path.n) != NULL;
}

// True if `path` is `top` or lies below it. top "/" or "" holds everything.
bool path_is_under(struct slice path, struct slice top);
