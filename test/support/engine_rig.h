// SPDX-License-Identifier: Apache-2.0
//
// One engine of the client library and the servers it talks to, played by a test: happenings become
// lines of text, bytes go in and out in pieces of any size, memory fails when asked to. After every
// step the engine's invariants are checked.
#pragma once

#include "client/call.h"
#include "client/engine.h"

enum { RIG_STREAM_MAX = 1 << 21, RIG_TEXT_MAX = 1 << 16 };

struct rig_link {
    bool open;          // dialed, or a dial is under way
    bool up;            // dialed
    char host[300];     // "host:port"
    uint8_t *p;         // what the client sent and the test has not taken yet
    size_t n, cap, all; // all: ever, on this connection
};

struct rig_frame { // a frame of the client, within the stream until the next is taken
    int32_t xid, op;
    const uint8_t *body;
    size_t n;
};

struct rig {
    struct engine *e;
    struct mono now;
    struct rig_link links[ENGINE_LINKS_MAX];
    char text[RIG_TEXT_MAX]; // happenings since rig_expect()
    size_t text_n;
    size_t in_max, out_max; // bytes at once; 0: all
    bool stuck;             // nothing can be sent
    bool over, auto_dial;   // auto_dial: each dial succeeds at once
    uint64_t fail_at;       // the allocation that fails, counted from 1; 0: none
    uint64_t allocs;        // so far
    int64_t blocks;         // not freed yet
    bool fail_all_behind;   // and all that follow
    uint64_t submitted, done;
    struct rig_frame frame;
};

struct reeve_allocator rig_allocator(struct rig *r);
// options.servers and what else is wanted; the allocator and the seed are set here if they are not.
enum reeve_error rig_begin(struct rig *r, struct reeve_options o);
void rig_end(struct rig *r); // and nothing is left allocated

void rig_run(struct rig *r);              // until nothing moves
void rig_wait(struct rig *r, int64_t ms); // time passes step by step, as deadlines say
void rig_jump(struct rig *r, int64_t ms); // time passes at once
// The happenings since the last time, one per line. Fails the test if they are others.
void rig_expect(struct rig *r, const char *text);
bool rig_saw(const struct rig *r, const char *part);
void rig_forget(struct rig *r);

void rig_dialed(struct rig *r, uint32_t link);
void rig_gone(struct rig *r, uint32_t link, const char *why);
void rig_send(struct rig *r, uint32_t link, const void *p, size_t n); // the server says
// The next frame of the client; false: there is none.
bool rig_take(struct rig *r, uint32_t link);
// Takes the handshake and answers it.
void rig_accept(struct rig *r, uint32_t link, int64_t id, int32_t timeout_ms, bool read_only);
void rig_answer(struct rig *r, uint32_t link, int32_t xid, int64_t zxid, int32_t err,
                const void *body, size_t n);
void rig_event(struct rig *r, uint32_t link, int32_t type, const char *path);
// Takes the next frame, which must be this operation, and answers it with a body of zeros.
void rig_serve(struct rig *r, uint32_t link, int32_t op, int64_t zxid, int32_t err);
// The first link that is in use by a dial to this host, or any with NULL; fails if there is none.
uint32_t rig_link(const struct rig *r, const char *host);

// False: it could not be submitted (no memory).
bool rig_submit(struct rig *r, const struct reeve_request *q);
void rig_get(struct rig *r, const char *path);
void rig_get_watch(struct rig *r, const char *path);
void rig_set(struct rig *r, const char *path);
// The watch of all of these, so that it can be taken back.
void rig_watch_fn(void *ctx, const struct reeve_event *ev);

// The list "a,b" in this order, unless another is given.
struct rig *rig_new(struct reeve_options o);
// Connected to a:2181 on link 0 with session 7 and a timeout of 6 s; nothing said yet.
struct rig *rig_connected(struct reeve_options o);
void rig_reconnect(struct rig *r);             // the dial under way succeeds, the session goes on
void rig_free(struct rig *r);                  // every request was answered, nothing leaks
void rig_set_xid(struct rig *r, int32_t last); // the xid used last

// Servers that answer everything there is in the streams of all links: dials are accepted, sessions
// taken up. Data are of data_n bytes.
void rig_play(struct rig *r, size_t data_n);
