// SPDX-License-Identifier: Apache-2.0
//
// must(x): a condition that only a bug can break. It stays on in release builds: a coordination
// service that goes on with a broken invariant loses more than one that stops and recovers from
// its log. Never used on outside bytes: those get an enum err or an answer.
#pragma once

_Noreturn void must_fail(const char *what, const char *file, int line);

#define must(x)                                \
    do {                                       \
        if (__builtin_expect(!(x), 0)) {       \
            must_fail(#x, __FILE__, __LINE__); \
        }                                      \
    } while (0)

#define must_check __attribute__((warn_unused_result))
