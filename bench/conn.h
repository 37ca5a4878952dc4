// SPDX-License-Identifier: Apache-2.0
//
// One client connection and the loop that drives all of them: one thread, epoll, no blocking.
//
// The protocol is spoken raw, so that the load costs little beside what it measures: requests are
// bytes that were encoded before, replies are cut into frames and only three things are checked:
// the length is sane, the xid is the next one in order, and what `err` says (the workload decides).
// All replies of a wake-up are handled first, then what they caused to send goes out with one
// write per connection.
//
// States: CLOSED -> CONNECTING -> GREETING (handshake sent) -> READY -> CLOSED. A server that
// closes by itself is fatal in every state but after bench_conn_hang_up_expect().
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base.h"
#include "options.h"

enum {
    FRAME_LEN_MAX = 128 << 20, // a list of a million children is about 20 MB
    READ_LEN = 256 << 10,
    PASSWORD_LEN = 16,
    XID_EVENT = -1,
    XID_PING = -2,
};

// The index of a connection that carries no load.
#define CONN_INDEX_ADMIN UINT32_MAX

enum conn_state { CONN_CLOSED, CONN_CONNECTING, CONN_GREETING, CONN_READY };

// What is remembered of a request until its reply comes.
struct sent {
    uint64_t at_ns; // latency counts from here
    int32_t op;
};

struct conn {
    int fd;
    uint32_t index; // given by the owner
    enum conn_state state;
    bool dirty;   // on the loop's list of what to write out
    bool blocked; // the socket was full: waits for EPOLLOUT
    bool leaving; // the server may close
    int32_t xid_next;
    int32_t xid_expected;
    uint32_t inflight;
    struct sent *ring; // inflight requests, by xid
    uint32_t ring_mask;
    uint32_t timeout_ms; // what the server granted
    int64_t session_id;
    uint64_t sent_last_ns;
    uint64_t heard_last_ns;
    uint64_t received; // frames, for error texts
    struct bytes out;
    struct bytes in; // a frame that came in part
    struct conn *dirty_next;
    struct conn *all_prev;
    struct conn *all_next;
};

struct reply {
    int32_t xid;
    int32_t err;
    int64_t zxid;
    int32_t op;
    uint64_t sent_ns;
    uint64_t now_ns; // when the read that brought it returned
    const uint8_t *body;
    size_t len;
};

// What the workload is told. Any may be NULL but `reply`. `ctx` is the loop's `ctx`. They may send
// on any connection and close the one at hand.
struct handler {
    void (*ready)(void *ctx, struct conn *c);
    void (*reply)(void *ctx, struct conn *c, const struct reply *r);
    void (*event)(void *ctx, struct conn *c, uint64_t now);
    void (*closed)(void *ctx, struct conn *c);
};

struct loop {
    int epoll_fd;
    struct sockaddr_in address;  // of the first server
    uint16_t ports[SERVERS_MAX]; // of all, in network order
    uint32_t port_count;
    char host[64];
    uint32_t session_timeout_ms;
    const struct handler *handler;
    void *ctx;
    uint32_t open_count; // gives each connection its source address on loopback
    uint32_t opening;    // connections in CONNECTING or GREETING
    uint64_t tick_next_ns;
    uint64_t now; // of the last wake-up
    struct conn *dirty;
    struct conn *all; // every connection that is not CLOSED
    struct bytes scratch;
};

// Connection i will go to the server i % port_count of opt's, the set-up connection to the first.
void bench_loop_init(struct loop *l, const struct options *opt);
void bench_loop_fini(struct loop *l);
// Waits for at most wait_ns, handles what came, writes what was caused. Sends pings where a session
// is idle for a third of its timeout; fatal when a connection waits for a reply for 60 s.
void bench_loop_step(struct loop *l, uint64_t wait_ns);
// Writes out what was put; bench_loop_step does it by itself for what its handlers put.
void bench_loop_flush(struct loop *l);

// `depth` is the largest number of requests in flight.
void bench_conn_init(struct conn *c, uint32_t index, uint32_t depth);
void bench_conn_fini(struct conn *c);
// Starts to connect and to make a new session; handler->ready follows.
void bench_conn_open(struct loop *l, struct conn *c);
// Closes at once, without a word to the server.
void bench_conn_close(struct loop *l, struct conn *c);
// From now on the server may close; handler->closed tells.
void bench_conn_hang_up_expect(struct conn *c);
// Queues a frame (length, xid, opcode, body) and returns where its copy lies until the next put,
// so that the caller can patch it. The xid is filled in. Latency will count from at_ns.
uint8_t *bench_conn_put(struct loop *l, struct conn *c, const void *frame, size_t len, int32_t op,
                        uint64_t at_ns);

// Text for an error code of a reply.
const char *bench_error_name(int32_t err);
