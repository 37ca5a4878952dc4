// SPDX-License-Identifier: Apache-2.0
//
// struct heartbeat: what a session's life hangs on, as moments of the engine's clock.
//
// - proven: when the last request was sent that was answered (handshake, ping, call). The server
//   heard it later than that and counts the timeout from there: so proven + timeout is no later
//   than the moment any server may end the session. What came in without being asked for proves
//   nothing, nor do the answers to auth packets, which do not touch the session (Apache's
//   processPacket answers them before touchSession), nor throttled requests.
// - sent: a third of the timeout later a ping is due.
// - heard: two thirds of the timeout later the connection is given up, but only if it was
// - asked something since, a third of the timeout ago, or half of what was left of the session
// then.
//   Who did not run for a while (a program whose blocking calls drive the client, an event loop
//   that was busy) did not ask, and cannot blame the server for its silence.
//
// Answers to pings come in the order of the pings; how many may be under way is bounded.
#pragma once

#include <stdbool.h>

#include "base/mtime.h"

enum { HEARTBEAT_PINGS_MAX = 8 };

struct heartbeat {
    int32_t timeout_ms; // 0: there is no session
    struct mono proven, sent, heard;
    struct mono asked; // the first that was sent after `heard`, if there is one
    struct mono pings[HEARTBEAT_PINGS_MAX]; // sent and not answered, oldest at first
    unsigned pings_first, pings_n;
};

// A handshake sent at `asked` was answered now.
void heartbeat_begin(struct heartbeat *b, int32_t timeout_ms, struct mono asked, struct mono now);
// An answer to what was sent at `asked`.
static inline void heartbeat_prove(struct heartbeat *b, struct mono asked)
{
    if (asked.ns > b->proven.ns) {
        b->proven = asked;
    }
}

// Something is sent that wants an answer.
static inline void heartbeat_ask(struct heartbeat *b, struct mono now)
{
    b->sent = now;
    if (b->asked.ns <= b->heard.ns) {
        b->asked = now;
    }
}

bool heartbeat_ping(struct heartbeat *b, struct mono now); // one is sent; false: too many under way
bool heartbeat_pong(struct heartbeat *b);                  // false: there was no ping

static inline struct mono heartbeat_lost_at(const struct heartbeat *b)
{
    return mono_add_ms(b->proven, b->timeout_ms);
}

static inline struct mono heartbeat_ping_at(const struct heartbeat *b)
{
    return (struct mono){b->sent.ns + (int64_t)b->timeout_ms * 1000000 / 3};
}

static inline struct mono heartbeat_silent_at(const struct heartbeat *b)
{
    if (b->asked.ns <= b->heard.ns) {
        return (struct mono){INT64_MAX};
    }
    int64_t third = (int64_t)b->timeout_ms * 1000000 / 3;
    int64_t half = (heartbeat_lost_at(b).ns - b->asked.ns) / 2;
    struct mono heard = {b->heard.ns + 2 * third};
    struct mono asked = {b->asked.ns + (half < third ? half : third)};
    return heard.ns > asked.ns ? heard : asked;
}
