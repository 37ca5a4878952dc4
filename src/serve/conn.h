// SPDX-License-Identifier: Apache-2.0
//
// struct conn: one client connection, found by its number or by its session.
//
//   NEW ---- ConnectRequest ----> HANDSHAKE --- session made or renewed ---> LIVE
//    |                               |                                        |
//    |                               |             closeSession, unknown opcode
//    |                               |                                        v
//    |                               |                                     LEAVING
//    +---- word, error, peer --------+--------------------+-------------------+---> CLOSING
//
// NEW: bytes are looked at for a four letter word, else a ConnectRequest. HANDSHAKE: bytes wait.
// LIVE: requests are served. LEAVING: what comes is dropped, what was taken is still answered.
// CLOSING: nothing is done any more; env closes it once its output has left, and says so.
//
// An idle connection owns no buffer. `in` holds bytes only while a frame is cut or requests are
// held back (stalled).
#pragma once

#include "base/buf.h"
#include "base/mtime.h"
#include "env.h"
#include "serve/order.h"
#include "serve/stats.h"
#include "tree/acl.h"

enum conn_state { CONN_NEW, CONN_HANDSHAKE, CONN_LIVE, CONN_LEAVING, CONN_CLOSING };

// What a stalled connection waits for together with others. NONE: for something of its own.
enum conn_wait { WAIT_NONE, WAIT_ROOM, WAIT_TURN, WAIT_MODE, WAIT_LISTS };

struct conn {
    uint32_t id;                   // env's number
    uint32_t slot;                 // handle of this struct
    uint8_t state;                 // enum conn_state
    bool read_only_byte;           // the ConnectRequest had it, so has the answer
    bool stalled;                  // whole frames wait in `in`
    uint8_t waits;                 // enum conn_wait: which list it is in
    bool throttled;                // stalled because of request_throttle_max_requests
    bool paused;                   // env was told to stop reading
    bool auth_enough;              // enforce.auth is satisfied
    bool has_watches;              // may have: something to drop
    bool local;                    // its session is known here only
    bool touched;                  // stands in serve.touched
    int32_t timeout_ms;            // negotiated
    int64_t session;               // 0: none
    uint32_t session_next;         // same hash in the session table
    uint32_t wait_prev, wait_next; // the list it is in
    uint32_t work;                 // since its turn began, in about microseconds
    uint32_t renew_tag;      // HANDSHAKE: what serve_on_renewed must give back, 0: a new session
    uint32_t orders_turn;    // CONN_SEND was ordered in this turn
    uint32_t any_order_turn; // anything was
    struct order order;
    struct auth *auth;
    struct buf in, out;
    size_t unsent;          // with env
    size_t notices;         // bytes of notifications since everything had left
    struct mono heard;      // last bytes
    struct mono stalled_at; // HANDSHAKE: when it began
    struct wall since;
    uint64_t served; // number of the last watch trigger it was told of
    struct conn_stats stats;
    struct net_addr peer;
};

// All connections, by number and by session.
struct conn_table {
    struct slab slab;
    uint32_t *by_id; // handle, 0: none
    size_t by_id_n;
    uint32_t *by_session;
    size_t by_session_n; // power of two
    size_t sessions;
    size_t n;
    uint64_t seed;
};

void conn_table_init(struct conn_table *t, uint64_t seed);
void conn_table_fini(struct conn_table *t);
struct conn *conn_add(struct conn_table *t, uint32_t id, const struct net_addr *peer);
void conn_del(struct conn_table *t, struct conn *c); // must be out of the session table
struct conn *conn_of_session(const struct conn_table *t, int64_t session); // NULL: none
void conn_session_put(struct conn_table *t, struct conn *c, int64_t session);
void conn_session_del(struct conn_table *t, struct conn *c);
void conn_set_state(struct conn *c, enum conn_state to);
void conn_table_check(const struct conn_table *t);

static inline struct conn *conn_at(const struct conn_table *t, uint32_t slot)
{
    return slab_at(&t->slab, slot);
}

static inline struct conn *conn_get(const struct conn_table *t, uint32_t id)
{
    return id < t->by_id_n && t->by_id[id] ? conn_at(t, t->by_id[id]) : NULL;
}

// Requests are (or will be) read from it.
static inline bool conn_reads(const struct conn *c)
{
    return c->state < CONN_LEAVING;
}
