// SPDX-License-Identifier: Apache-2.0
//
// The inside of struct serve, shared by the files of this folder and nobody else. What each file
// does with it:
//
//   serve.c    events in: connections come, go, are heard; transactions, refusals, time
//   core.c     memory of an event, lists of outputs, the end of a connection
//   feed.c     bytes -> frames; holding back and going on
//   request.c  a frame -> a reply, a submit, or a place in the order
//   watchop.c  the requests that set, check and remove watches
//   handshake.c  ConnectRequest -> session
//   local.c    sessions that only this server knows
//   mode.c     roles begin and end
//   reply.c    reply frames and their accounting
//   notify.c   fired watches -> frames
//   fourletter.c, mntr.c  the four letter words
//
// Memory handed out in submits lives until the next event: `held` keeps buffers and identity lists
// that were replaced meanwhile, `arena` what was made.
#pragma once

#include "limits.h"
#include "serve/auth.h"
#include "serve/bufpool.h"
#include "serve/conn.h"
#include "serve/expiry.h"
#include "serve/orphan.h"
#include "serve/serve.h"
#include "serve/session_id.h"
#include "serve/throttle.h"
#include "tree/watch.h"

enum {
    // Reads of one connection that wait behind a write. Their replies are made at one go when the
    // write commits, so this bounds how much output one commit can make per connection.
    CORE_QUEUED_READS_MAX = 64,
    // Work for one connection before the others have their turn, in units of about a microsecond:
    // more than a full read of ordinary requests makes, but long lists and counts reach it.
    CORE_TURN_WORK_MAX = 4096,
    CORE_WORK_BYTES = 256, // of a reply, per unit
    CORE_WORK_NODES = 64,  // looked at, per unit
    // Paths whose large replies were logged lately.
    CORE_LARGE_LOGGED = 64,
};

struct large_logged {
    uint64_t path_hash;
    struct mono at;
};

// A session that was heard since its learner last told so.
struct touched {
    int64_t session;
    uint32_t conn;
    int32_t timeout_ms;
};

struct serve {
    struct serve_config cfg;
    const struct tree *tree;
    int64_t complete_to; // beyond what the tree shows
    const struct logger *log;
    struct serve_facts *(*facts)(void *ctx);
    void *facts_ctx;
    enum serve_mode mode;
    struct mono off_since; // while OFF
    bool stopped;
    bool hold_writes;
    struct auth_config auth_cfg;
    uint64_t words_enabled; // bit per row of commands.def

    struct mono now; // of the event in work
    struct wall wall;
    struct serve_out out;
    uint32_t turn; // counts emptied order lists
    struct arena arena;
    struct buf *held_bufs;
    size_t held_bufs_n, held_bufs_cap;
    void **held;
    size_t held_n, held_cap;

    struct conn_table conns;
    struct slab items; // struct order_item
    struct {
        uint32_t first, last, n;
    } waiting[WAIT_LISTS]; // stalled connections by what they wait for, first come first served
    struct orphans orphans;
    uint32_t next_tag;
    struct expiry *idle; // connections by number: when to ask whether they are silent too long
    struct session_ids ids;
    struct expiry *locals; // local sessions
    bool touching;         // somebody asks
    struct touched *touched;
    size_t touched_n, touched_cap;

    struct watches *watches;
    uint32_t *hits;
    size_t hits_cap;
    uint64_t trigger;

    struct bufpool pool;
    struct buf notice; // the notification frame in work
    struct throttle throttle;
    struct stats stats;
    int64_t trace_mask;
    struct large_logged large_logged[CORE_LARGE_LOGGED];
};

// Its client is silent because this server does not let it speak.
static inline bool core_held_back(const struct conn *c)
{
    return c->stalled && c->out.n + c->unsent <= LIMIT_CONN_UNSENT_PAUSE;
}

// When the client was last heard. While this server holds its requests back it cannot be heard, and
// that is no silence; while it does not take its replies it is.
static inline struct mono core_heard(const struct serve *s, const struct conn *c)
{
    return core_held_back(c) ? s->now : c->heard;
}

// core.c
void core_order_send(struct serve *s, struct conn *c); // its `out` has bytes to go
void core_order(struct serve *s, enum conn_order_kind kind, struct conn *c);
struct submit *core_submit(struct serve *s, enum submit_kind kind, struct conn *c);
void core_submit_session(struct serve *s, struct conn *c);  // let it be made
struct buf *core_conn_out(struct serve *s, struct conn *c); // its output buffer, with storage
// The end of a connection: its session, watches and requests are let go, what it was told still
// leaves.
void core_close(struct serve *s, struct conn *c);
void core_let_go(struct serve *s, struct conn *c);        // the same, when it is gone already
void core_forget_orders(struct serve *s, struct conn *c); // its number may be used again
void core_release(struct serve *s);                       // what is held
void core_hold(struct serve *s, void *p);                 // freed at the next event
void core_hold_buf(struct serve *s, struct buf *b);       // takes the storage
void core_pop(struct serve *s, struct conn *c);           // the oldest request is answered

// feed.c
void feed_bytes(struct serve *s, struct conn *c, struct slice in);
void feed_resume(struct serve *s, struct conn *c); // tries whether it can go on
void feed_settle(struct serve *s);                 // lets those go on that waited for throttle room
void feed_turn(struct serve *s);                   // and those that have had their turn
void feed_unlink(struct serve *s, struct conn *c); // from the list of those that wait
void feed_held(struct serve *s);                   // lets those go on that waited for a role

// handshake.c
void handshake_request(struct serve *s, struct conn *c, struct slice frame);
void handshake_answer(struct serve *s, struct conn *c, bool valid);

// mode.c
void mode_touch(struct serve *s, struct conn *c); // its client was heard
void mode_tick(struct serve *s);                  // who has waited too long for a role
void mode_check(const struct serve *s);
bool mode_holds(const struct serve *s, const struct conn *c);

// local.c
bool local_has(const struct serve *s, int64_t session);
bool local_begin(struct serve *s, struct conn *c); // its session is one now; false: too many
void local_end(struct serve *s, int64_t session);  // it is closed, or global
void local_tick(struct serve *s);                  // ends those that were silent too long
void local_renew_all(struct serve *s);             // a full timeout for everybody
void local_end_all(struct serve *s);
// Does this request need a session that all servers know? The body of a write.
bool local_needs_global(struct serve *s, int32_t op, struct slice body);
void local_upgrade(struct serve *s, struct conn *c); // submits what makes it global

// request.c
// late: it waited longer than throttled_op_wait_time and is not done any more.
void request_take(struct serve *s, struct conn *c, struct slice frame, struct mono arrived,
                  bool late);
void request_run_ready(struct serve *s, struct conn *c); // answers what can be, oldest first

// watchop.c: each returns what the reply's header says; body and events go to the output.
enum zkerr watchop_set(struct serve *s, struct conn *c, int32_t op, struct slice body);
enum zkerr watchop_add(struct serve *s, struct conn *c, struct slice body, struct buf *out);
enum zkerr watchop_check(struct serve *s, struct conn *c, struct slice body, bool remove);

// notify.c
void notify_fire(struct serve *s, int64_t zxid, const struct apply_out *out);
// One event to one connection, not filtered; zxid -1.
void notify_one(struct serve *s, struct conn *c, int32_t type, struct slice path);

// fourletter.c
enum { WORD_NONE = -1 };
uint64_t word_whitelist(const char *list, bool read_only_enabled);
int word_find(uint32_t first4);                      // row of commands.def
size_t word_length(const struct serve *s, int word); // bytes it needs to be complete
void word_serve(struct serve *s, struct conn *c, int word, struct slice bytes);
void mntr_fmt(struct serve *s, const struct serve_facts *f, struct buf *b);
