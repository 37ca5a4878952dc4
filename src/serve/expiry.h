// SPDX-License-Identifier: Apache-2.0
//
// expiry: which sessions have been silent too long. Pure; monotonic time comes in. Apache's
// ExpiryQueue rule: a session dies at the first multiple of the tick after last touch + timeout.
// Runs on the leader (standalone: here). A touch per request would cost the hot path, so touches
// are lazy: when a deadline passes the caller asks its connections when they last heard of the
// session and touches it again if that was later.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/mtime.h"

struct expiry;

struct expiry *expiry_new(int32_t tick_ms, uint64_t seed);
void expiry_free(struct expiry **e);
void expiry_add(struct expiry *e, int64_t session, int32_t timeout_ms,
                struct mono now);                                     // or new timeout
void expiry_touch(struct expiry *e, int64_t session, struct mono at); // unknown: ignored
void expiry_remove(struct expiry *e, int64_t session);
bool expiry_has(const struct expiry *e, int64_t session, int32_t *timeout_ms);
// Through which server a session speaks, on the leader of an ensemble: any number of the caller's.
// False: the session is unknown.
#define EXPIRY_NO_OWNER INT64_MIN
bool expiry_owner(const struct expiry *e, int64_t session, int64_t *owner);
void expiry_set_owner(struct expiry *e, int64_t session, int64_t owner); // unknown: ignored
// Its deadline is at or before now. Unknown: false.
bool expiry_is_past(const struct expiry *e, int64_t session, struct mono now);
size_t expiry_count(const struct expiry *e);
// A session whose deadline is at or before now; false: none left. It stays in the table until
// touched or removed and is named again, but not before the next tick: the caller may ask in a
// loop.
bool expiry_due(struct expiry *e, struct mono now, int64_t *session);
// This process did not run for a while (suspended, stopped in a debugger): nobody could be heard,
// so every deadline moves on by that much.
void expiry_shift(struct expiry *e, int64_t ms);
// The "Session Sets" part of `dump`.
void expiry_fmt(const struct expiry *e, struct mono now, struct wall wall, struct buf *b);
// The same for any title; member prints one line.
void expiry_fmt_sets(const struct expiry *e, const char *title, struct mono now, struct wall wall,
                     void (*member)(void *ctx, int64_t session, struct buf *b), void *ctx,
                     struct buf *b);
// Every session with its deadline, earliest first: expiry_count() of them. The caller frees it with
// mem_free().
struct expiry_point {
    int64_t session;
    struct mono at;
};
struct expiry_point *expiry_points(const struct expiry *e);
void expiry_check(const struct expiry *e);
