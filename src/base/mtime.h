// SPDX-License-Identifier: Apache-2.0
//
// Two kinds of time that must not mix, so each is a struct of one field. Monotonic time drives
// every timeout; wall time only goes into ctime, mtime and log lines.
#pragma once

#include <stdint.h>

struct mono {
    int64_t ns;
};

struct wall {
    int64_t ms; // since 1970-01-01 UTC
};

static inline struct mono mono_add_ms(struct mono t, int64_t ms)
{
    return (struct mono){t.ns + ms * 1000000};
}

// a - b in whole milliseconds, rounded down.
static inline int64_t mono_diff_ms(struct mono a, struct mono b)
{
    return (a.ns - b.ns) / 1000000;
}
