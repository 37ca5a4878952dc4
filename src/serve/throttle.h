// SPDX-License-Identifier: Apache-2.0
//
// What a server refuses or delays to stay alive: client-protocol.md 9. Connections per address,
// connections per time (BlueThrottle's token bucket), requests in process, bytes of large requests
// in process.
#pragma once

#include "base/mtime.h"
#include "base/slab.h"
#include "env.h"
#include "limits.h"

struct throttle_config {
    int32_t per_addr_max; // 0: unlimited
    int32_t conns_max;    // 0: unlimited
    int32_t in_process_max;
    int32_t queue_max; // request_throttle_max_requests, 0: off
    int64_t large_threshold, large_max;
    int32_t tokens_max, token_fill_ms, token_fill_count;
};

struct throttle {
    struct throttle_config cfg;
    uint64_t seed;
    struct slab addrs; // struct addr_count
    uint32_t *table;
    size_t table_n; // power of two
    size_t conns;
    int64_t in_process; // requests taken and not answered, all connections
    int64_t in_process_bytes;
    int64_t large_bytes;
    int64_t tokens;
    struct mono filled;
};

void throttle_init(struct throttle *t, const struct throttle_config *cfg, uint64_t seed);
void throttle_fini(struct throttle *t);
// A connection comes: false if there are too many, of this address or at all. Either way it counts
// until throttle_leave.
bool throttle_enter(struct throttle *t, const struct net_addr *peer);
void throttle_leave(struct throttle *t, const struct net_addr *peer);
// Takes a token for one more session handshake; false: none left.
bool throttle_token(struct throttle *t, struct mono now);
// May a request of n bytes be taken while others are in flight?
bool throttle_large_fits(const struct throttle *t, size_t n);
// Bytes to count for it while it is in flight: 0 if it is not large.
uint32_t throttle_large_of(const struct throttle *t, size_t n);
void throttle_check(const struct throttle *t);

// Too many requests in process for a connection that has some itself, of whatever xid.
static inline bool throttle_is_crammed(const struct throttle *t)
{
    return t->in_process_bytes > LIMIT_IN_PROCESS_BYTES;
}

// The same for one that has some with xid > 0.
static inline bool throttle_is_full(const struct throttle *t)
{
    return t->in_process > t->cfg.in_process_max || throttle_is_crammed(t);
}

// Too many for anybody (RequestThrottler).
static inline bool throttle_queues(const struct throttle *t)
{
    return t->cfg.queue_max > 0 && t->in_process >= t->cfg.queue_max;
}
