// SPDX-License-Identifier: Apache-2.0
#include "node/reaper.h"

#include "base/must.h"

enum { MINUTE_MS = 60000, AT_ONCE_MAX = 1000 };

void reaper_init(struct reaper *r, int64_t interval_ms, int64_t per_minute, int64_t never_used_ms,
                 struct mono now)
{
    must(interval_ms > 0);
    *r = (struct reaper){.interval_ms = interval_ms,
                         .per_minute = per_minute,
                         .never_used_ms = never_used_ms,
                         .next = mono_add_ms(now, interval_ms),
                         .refilled = now};
}

// The allowance grows with time and never holds more than a minute's worth.
static void refill(struct reaper *r, struct mono now)
{
    int64_t ms = mono_diff_ms(now, r->refilled);
    if (ms > MINUTE_MS) {
        ms = MINUTE_MS;
        r->refilled = mono_add_ms(now, -MINUTE_MS);
    }
    int64_t more = r->per_minute * ms / MINUTE_MS;
    if (more <= 0) {
        return;
    }
    r->refilled = mono_add_ms(r->refilled, more * MINUTE_MS / r->per_minute);
    r->allowed = r->allowed + more > r->per_minute ? r->per_minute : r->allowed + more;
}

struct slice_vec reaper_step(struct reaper *r, const struct tree *t, struct mono now,
                             struct wall wall, struct arena *a)
{
    struct slice_vec none = {NULL, 0};
    refill(r, now);
    if (now.ns < r->next.ns && !r->behind) {
        return none;
    }
    if (r->allowed <= 0) {
        return none;
    }
    int32_t max = r->allowed < AT_ONCE_MAX ? (int32_t)r->allowed : AT_ONCE_MAX;
    struct slice_vec due = tree_reapable(t, wall.ms, r->never_used_ms, max, a);
    must(due.n <= max);
    r->behind = due.n == max;
    r->allowed -= due.n;
    if (now.ns >= r->next.ns) {
        r->next = mono_add_ms(now, r->interval_ms);
    }
    return due;
}
