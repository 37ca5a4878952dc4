// SPDX-License-Identifier: Apache-2.0
//
// struct net: connections, between clients and hosts and from host to host, as byte streams. Bytes
// keep their order and arrive in chunks of any size after any delay; buffers are bounded. A link
// can be frozen (nothing moves), cut (each end notices in its own time, what was on the way is
// lost) or closed in order; its two ends are alike, whoever began it:
//
//   end[DIALER].out.bytes   -> (moves) -> end[ACCEPTOR].rx, read by the host
//   end[ACCEPTOR].out.bytes -> (moves) -> end[DIALER].rx (a client takes it at once)
//
// The path from one host to another can be blocked, each direction for itself, or slow: what is
// sent waits, as TCP's repeated packets do, and goes on when the path is good again.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { LINKS_MAX = 512, LINK_NONE = UINT32_MAX, NET_HOSTS_MAX = 8 };
enum side { DIALER, ACCEPTOR };

struct stream {
    struct buf bytes;
    bool moving; // a SCHED_MOVE is on its way
    bool fin;    // the sender is done; the end follows the last byte
};

struct end {
    bool is_host;
    uint32_t who;  // client or host
    uint32_t conn; // the host's number for it, LINK_NONE: not (or no longer) known there
    bool open;     // may still send and receive
    bool closing;  // it has closed; what is in out goes first
    bool paused;   // it does not read
    bool want_drained;
    bool eof;      // the other's stream ended behind rx
    bool told;     // a read event stands in the host's inbox
    struct buf rx; // arrived at a host, not read by the server
    size_t rx_max; // socket buffers
    size_t out_max;
    struct stream out; // what it sends
    bool streams;      // tamper_peer.c: a snapshot, between packets
    bool live;         // tamper_peer.c: UPTODATE was sent
    int64_t left_out;  // tamper_peer.c: a zxid
    struct buf held;   // tamper_peer.c: what others overtake
};

struct link {
    bool used;
    bool broken; // cut
    uint64_t gen;
    uint16_t port; // that the acceptor listens on
    int64_t frozen_until_ns;
    struct end end[2];
};

struct path { // from one host to another
    bool blocked;
    int64_t delay_ns; // more than elsewhere
};

struct net {
    struct link links[LINKS_MAX];
    int64_t delay_ns; // mean, drawn per seed
    struct path paths[NET_HOSTS_MAX][NET_HOSTS_MAX];
    int64_t bad_ns; // when one of them was last not good, 0: never
};

struct world;

void net_init(struct world *w);
void net_fini(struct world *w);

// A client asks for a connection; LINK_NONE: no link free.
uint32_t net_connect(struct world *w, uint32_t client, uint32_t host, uint16_t port);
// From host to host, at once: the acceptor has agreed.
uint32_t net_join(struct world *w, uint32_t dialer, uint32_t acceptor, uint16_t port);

// Client's end.
void net_client_send(struct world *w, uint32_t link, struct slice bytes);
void net_client_close(struct world *w, uint32_t link); // in order; nothing is read any more
void net_client_stall(struct world *w, uint32_t link, bool stalled);

// Host's end.
size_t net_send(struct world *w, uint32_t link, enum side s, struct slice bytes); // bytes beyond
                                                                                  // the buffer
void net_close(struct world *w, uint32_t link, enum side s);
void net_pause(struct world *w, uint32_t link, enum side s, bool paused);
void net_read(struct world *w, uint32_t link, enum side s, struct buf *into); // a piece of rx
// ENV_CLOSED was delivered.
void net_forget(struct world *w, uint32_t link, enum side s);
// The process is gone; silent: and with it the machine, which tells nobody.
void net_died(struct world *w, uint32_t link, enum side s, bool silent);

// Faults.
void net_cut(struct world *w, uint32_t link);
void net_freeze(struct world *w, uint32_t link, int64_t for_ns);
void net_block(struct world *w, uint32_t from, uint32_t to, bool blocked);
bool net_reaches(const struct world *w, uint32_t from, uint32_t to); // both ways

// From the scheduler.
void net_on_open(struct world *w, uint32_t link);
void net_on_move(struct world *w, uint32_t link, enum side from);
void net_on_linger(struct world *w, uint32_t link, enum side s);
void net_on_gone(struct world *w, uint32_t link, enum side s);
void net_on_thaw(struct world *w, uint32_t link);
