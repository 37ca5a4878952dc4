// SPDX-License-Identifier: Apache-2.0
//
// One engine of the client library and the servers it talks to, played by a test: happenings become
// lines of text, bytes go in and out in pieces of any size, memory fails when asked to. After every
// step the engine's invariants are checked.
#pragma once

#include "client/call.h"
#include "client/engine.h"

enum { ERIG_STREAM_MAX = 1 << 21, ERIG_TEXT_MAX = 1 << 16 };

struct erig_link {
    bool open;          // dialed, or a dial is under way
    bool up;            // dialed
    char host[300];     // "host:port"
    uint8_t *p;         // what the client sent and the test has not taken yet
    size_t n, cap, all; // all: ever, on this connection
};

struct erig_frame { // a frame of the client, within the stream until the next is taken
    int32_t xid, op;
    const uint8_t *body;
    size_t n;
};

struct erig {
    struct engine *e;
    struct mono now;
    struct erig_link links[ENGINE_LINKS_MAX];
    char text[ERIG_TEXT_MAX]; // happenings since erig_expect()
    size_t text_n;
    size_t in_max, out_max; // bytes at once; 0: all
    bool stuck;             // nothing can be sent
    bool over, auto_dial;   // auto_dial: each dial succeeds at once
    uint64_t fail_at;       // the allocation that fails, counted from 1; 0: none
    uint64_t allocs;        // so far
    int64_t blocks;         // not freed yet
    bool fail_all_behind;   // and all that follow
    uint64_t submitted, done;
    struct erig_frame frame;
    char log[2000];
    size_t log_n;
};

struct reeve_allocator erig_allocator(struct erig *r);
// options.servers and what else is wanted; the allocator and the seed are set here if they are not.
enum reeve_error erig_begin(struct erig *r, struct reeve_options o);
void erig_end(struct erig *r); // and nothing is left allocated

void erig_run(struct erig *r);              // until nothing moves
void erig_wait(struct erig *r, int64_t ms); // time passes step by step, as deadlines say
void erig_jump(struct erig *r, int64_t ms); // time passes at once
// The happenings since the last time, one per line. Fails the test if they are others.
void erig_expect(struct erig *r, const char *text);
bool erig_saw(const struct erig *r, const char *part);
void erig_forget(struct erig *r);

void erig_dialed(struct erig *r, uint32_t link);
void erig_gone(struct erig *r, uint32_t link, const char *why);
void erig_send(struct erig *r, uint32_t link, const void *p, size_t n); // the server says
// The next frame of the client; false: there is none.
bool erig_take(struct erig *r, uint32_t link);
// Takes the handshake and answers it.
void erig_accept(struct erig *r, uint32_t link, int64_t id, int32_t timeout_ms, bool read_only);
void erig_answer(struct erig *r, uint32_t link, int32_t xid, int64_t zxid, int32_t err,
                 const void *body, size_t n);
void erig_event(struct erig *r, uint32_t link, int32_t type, const char *path);
// Takes the next frame, which must be this operation, and answers it with a body of zeros.
void erig_serve(struct erig *r, uint32_t link, int32_t op, int64_t zxid, int32_t err);
// The first link that is in use by a dial to this host, or any with NULL; fails if there is none.
uint32_t erig_link(const struct erig *r, const char *host);

// False: it could not be submitted (no memory).
bool erig_submit(struct erig *r, const struct reeve_request *q);
void erig_get(struct erig *r, const char *path);
void erig_get_watch(struct erig *r, const char *path);
void erig_set(struct erig *r, const char *path);
// The watch of all of these, so that it can be taken back.
void erig_watch_fn(void *ctx, const struct reeve_event *ev);

// The list "a,b" in this order, unless another is given.
struct erig *erig_new(struct reeve_options o);
// Connected to a:2181 on link 0 with session 7 and a timeout of 6 s; nothing said yet.
struct erig *erig_connected(struct reeve_options o);
void erig_reconnect(struct erig *r);             // the dial under way succeeds, the session goes on
void erig_free(struct erig *r);                  // every request was answered, nothing leaks
void erig_set_xid(struct erig *r, int32_t last); // the xid used last

// Servers that answer everything there is in the streams of all links: dials are accepted, sessions
// taken up. Data are of data_n bytes.
void erig_play(struct erig *r, size_t data_n);
