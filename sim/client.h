// SPDX-License-Identifier: Apache-2.0
//
// struct client: a client that speaks the wire protocol by hand and hides nothing: it pipelines,
// loses its connection, comes back with id and password, registers its watches again, or leaves
// without a word. Every reply and notification goes through the checkers on arrival.
//
// States: IDLE -> CONNECTING (connection asked for) -> GREETING (ConnectRequest sent) -> LIVE ->
// IDLE. A chaos client (chaos.c) says what no client should; only its sessions are accounted for.
#pragma once

#include "sim/check_watch.h"
#include "sim/net.h"

enum client_state { CLIENT_IDLE, CLIENT_CONNECTING, CLIENT_GREETING, CLIENT_LIVE };

struct world;
struct guest;

struct client {
    struct world *w;
    uint32_t index;
    bool chaos;
    struct guest *guest; // its bytes are the library's; NULL: they are made here
    enum client_state state;
    struct arena arena;

    uint32_t link;
    uint32_t host; // it is connected to, or was last
    int64_t state_since_ns, last_sent_ns, live_since_ns;
    struct buf in;

    int64_t session;
    uint8_t passwd[16];
    int32_t timeout_ms;   // asked for
    int64_t last_zxid;    // highest seen in this session
    int64_t hello_zxid;   // what the server had applied when ConnectRequest was sent
    unsigned asked_hosts; // bits: where it has asked for this session
    bool closing;         // closeSession is sent
    bool left;            // it is over
    bool bad_passwd;      // ConnectRequest carried a wrong one

    struct ask **asks;              // in the order they were sent
    size_t asks_n, asks_cap, first; // first: the oldest without an answer
    struct ask **by_xid;
    size_t by_xid_n, by_xid_cap;
    int64_t *sessions; // all it ever had
    size_t sessions_n, sessions_cap;

    struct who who;
    unsigned users;         // identities it adds after each connect
    struct watcher watcher; // of the live connection
    struct ask *restore;    // setWatches to send after the next connect

    size_t depth; // requests in flight at most
    int64_t think_ns, next_work_ns;
    uint64_t answered;
};

enum client_kind { CLIENT_PLAIN, CLIENT_CHAOS, CLIENT_GUEST };

struct client *simclient_new(struct world *w, uint32_t index, enum client_kind kind);
void simclient_free(struct client **c);

void client_tick(struct client *c);                        // SCHED_CLIENT
void client_on_connected(struct client *c, uint32_t link); // from the net
void client_on_data(struct client *c, uint32_t link, struct slice bytes);
void client_on_closed(struct client *c, uint32_t link);

int64_t client_session(const struct client *c, uint32_t link); // 0: none on that link
void client_hang_up(struct client *c);
void client_drop(struct client *c);                // forgets the connection without closing it
void client_send(struct client *c, struct ask *q); // takes its place in line
void client_remember(struct client *c, int64_t session);
void client_forget_session(struct client *c);
// Something else has sent it: the ConnectRequest on this link, and a request.
void client_note_hello(struct client *c, uint32_t link, uint32_t host, int64_t last_zxid);
void client_note_ask(struct client *c, struct ask *q);
struct ask *client_ask(struct client *c, int32_t type); // a new one, with a fresh xid

struct ask *clients_find(struct world *w, int64_t session, int32_t cxid);
bool clients_chaos(struct world *w, int64_t session);

// check_order.c: a frame arrived behind the handshake.
void check_order_frame(struct client *c, struct slice frame);
// load.c: what to ask next.
struct ask *load_next(struct client *c);
// chaos.c: what not to. True: a word instead of a handshake was sent.
bool chaos_greet(struct client *c);
void chaos_say(struct client *c);
