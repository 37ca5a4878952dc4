// SPDX-License-Identifier: Apache-2.0
//
// struct net: connections between clients and hosts as byte streams. Bytes keep their order and
// arrive in chunks of any size after any delay; buffers are bounded; a link can be frozen (nothing
// moves), cut (each end notices in its own time, what was on the way is lost) or closed in order.
//
//   client -> up.bytes -> (moves) -> rx, read by the host        down.bytes -> (moves) -> client
#pragma once

#include "base/buf.h"
#include "base/slice.h"

enum { LINKS_MAX = 256, LINK_NONE = UINT32_MAX };
enum link_dir { LINK_UP, LINK_DOWN };

struct stream {
    struct buf bytes;
    bool moving; // a SCHED_MOVE is on its way
    bool fin;    // the sender is done; the end follows the last byte
};

struct link {
    bool used;
    uint64_t gen;
    uint32_t client, host;
    uint32_t conn; // the host's number for it, LINK_NONE: not (or no longer) known there
    struct stream dir[2];
    struct buf rx; // arrived at the host, not read by the server
    size_t rx_max; // socket buffers
    size_t down_max;
    bool refused; // nobody listens: the client will be told
    bool client_open;
    bool host_open;    // the server may still send and receive
    bool host_closing; // the server has closed; what is in dir[DOWN] goes out first
    bool paused;       // by the server
    bool want_drained;
    bool broken;  // cut
    bool eof;     // up stream ended behind rx
    bool stalled; // the client does not read
    bool told;    // a read event stands in the host's inbox
    int64_t frozen_until_ns;
};

struct net {
    struct link links[LINKS_MAX];
    int64_t delay_ns; // mean, drawn per seed
};

struct world;

void net_init(struct world *w);
void net_fini(struct world *w);

// Client's end.
uint32_t net_connect(struct world *w, uint32_t client, uint32_t host); // LINK_NONE: no link free
void net_client_send(struct world *w, uint32_t link, struct slice bytes);
void net_client_close(struct world *w, uint32_t link); // in order; nothing is read any more
void net_client_stall(struct world *w, uint32_t link, bool stalled);

// Faults.
void net_cut(struct world *w, uint32_t link);
void net_freeze(struct world *w, uint32_t link, int64_t for_ns);

// Host's end.
size_t net_host_send(struct world *w, uint32_t link, struct slice bytes); // bytes beyond the buffer
void net_host_close(struct world *w, uint32_t link);
void net_host_pause(struct world *w, uint32_t link, bool paused);
void net_host_read(struct world *w, uint32_t link, struct buf *into); // a random piece of rx
void net_host_forget(struct world *w, uint32_t link); // ENV_CLOSED was delivered, or the host died
void net_host_died(struct world *w, uint32_t link);

// From the scheduler.
void net_on_open(struct world *w, uint32_t link);
void net_on_move(struct world *w, uint32_t link, enum link_dir dir);
void net_on_linger(struct world *w, uint32_t link);
void net_on_gone(struct world *w, uint32_t link, enum link_dir end);
void net_on_thaw(struct world *w, uint32_t link);
