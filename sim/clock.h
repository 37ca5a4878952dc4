// SPDX-License-Identifier: Apache-2.0
//
// struct clock: what one machine takes for the time. The monotonic clock starts anywhere at each
// boot and never steps; the wall clock steps back and forth.
#pragma once

#include "base/mtime.h"

struct clock {
    int64_t mono_offset_ns;
    int64_t wall_offset_ms;
    int64_t speed; // of the monotonic clock, in percent
};

enum { CLOCK_TRUE_SPEED = 100 };
#define CLOCK_EPOCH_MS ((int64_t)1700000000000)

static inline struct mono clock_mono(const struct clock *c, int64_t now_ns)
{
    return (struct mono){c->mono_offset_ns + now_ns / 100 * c->speed};
}

static inline struct wall clock_wall(const struct clock *c, int64_t now_ns)
{
    return (struct wall){CLOCK_EPOCH_MS + c->wall_offset_ms + now_ns / 1000000};
}
