// SPDX-License-Identifier: Apache-2.0
//
// What an engine is made of; for engine.c (states, order of happenings), engine_links.c (dials,
// handshakes, ends), engine_ports.c (bytes), engine_calls.c (requests) and engine_answers.c. Nobody
// else includes this.
//
// How it moves: the entry points only note what came (a flag, a byte, a call in the queue).
// engine_next() first tells all there is to tell; only when nothing is left, engine_advance() takes
// one more step: one frame, one timeout, one lost link. So whatever a step brings about is told
// before the next step can change it, one buffer of text for "why" is enough, and the order is the
// one promised: state, failed calls, watches.
#pragma once

#include "client/answer.h"
#include "client/auths.h"
#include "client/call.h"
#include "client/engine.h"
#include "client/heartbeat.h"
#include "client/hosts.h"
#include "client/port.h"
#include "client/restore.h"
#include "client/watchers.h"

enum {
    ENGINE_DIALS_MAX = 3,      // at once
    ENGINE_DIAL_NEXT_MS = 250, // so long a dial is alone
    ENGINE_PATIENCE_MIN_MS = 250,
    ENGINE_PATIENCE_FIRST_MS = 10000, // for all servers together, in the first round
    ENGINE_HANDSHAKE_FIRST_MS = 2000, // so long for the first answer, see engine_links.c
    ENGINE_SETTLED_MS = 1000,         // a connection that lived so long was of use
    ENGINE_READS_MAX = 3,             // so often a read is sent
    ENGINE_PROBE_MIN_MS = 100,
    ENGINE_PROBE_MAX_MS = 30000,
    ENGINE_PROBE_WAIT_MS = 2000,
    ENGINE_PROBE_BYTES = 32,
    ENGINE_SCAN_MS = 10, // timeouts of requests are looked at no more often
    ENGINE_WHY_MAX = 256,
    ENGINE_EVENT_BYTES_MAX = 4 * 1024 * 1024, // a path is never longer
    ENGINE_HEADER_BYTES = 16,                 // xid, zxid, error
    ENGINE_HELLO_BYTES = 1024                 // an answer to a handshake is shorter
};

enum link_use {
    LINK_FREE,
    LINK_DIAL,      // for the session
    LINK_HANDSHAKE, // connected, and asked
    LINK_SESSION,
    LINK_PROBE_DIAL,
    LINK_PROBE, // "isro" asked
    LINK_CUT    // to be told
};

struct link {
    enum link_use use;
    bool untold;              // the dial
    bool connected;           // engine_on_dialed() came, not looked at yet
    bool gone;                // engine_on_gone() came, not looked at yet
    struct mono since, until; // until: how long it may take to connect, to answer
    char name[HOST_NAME_MAX + 1];
    uint16_t port;
    char why[HOST_WHY_MAX];
};

struct call_list {
    struct call *first, *last;
    size_t n;
};

struct engine {
    struct reeve_allocator allocator;
    struct reeve_options options; // defaults filled in; servers is NULL
    char *chroot;
    struct rng rng;
    struct hosts hosts;
    struct mono now;
    bool dirty; // something came in since engine_next() was false

    enum reeve_state state;
    bool state_untold;
    int64_t id; // of the session; 0: none
    uint8_t passwd[16];
    int64_t zxid;
    bool alive;   // there is a session that counts down
    bool renewed; // see reeve_session
    bool full;    // the session is one of a server with a quorum, or shall be
    char server[HOST_TEXT_MAX], why[ENGINE_WHY_MAX];
    struct heartbeat beat;

    struct link links[ENGINE_LINKS_MAX];
    bool links_untold;     // some link has a dial or a cut to be told
    int main;              // link of handshake or session, -1: none
    struct mono dialed_at; // the last time
    struct mono dial_after;
    size_t unanswered; // waits for a server that were in vain, since the last that was not
    struct port_in in; // of main
    struct port_out out;

    int probe; // link, -1: none
    struct mono probe_at;
    int64_t probe_ms;
    size_t probe_cursor;
    unsigned probe_sent, probe_got;
    char probe_text[ENGINE_PROBE_BYTES];

    struct call_list queue;  // not sent
    struct call_list sent;   // without an answer, in order
    struct call_list failed; // to be told, see call->failed
    char fail_why[1024];
    int32_t xid;         // last used
    struct mono scan_at; // some request's time may be over then
    struct answer_room room;
    struct auths auths;
    struct restore restore;
    struct watchers *watches;
    bool watches_due;
    char *scratch; // a path with chroot; as long as the longest that was ever watched
    size_t scratch_n;

    // An answer that is to be told now.
    struct call *answered;
    struct reeve_result result;
    char result_why[ENGINE_WHY_MAX];

    bool leaving; // for another server, as soon as everything sent is answered
    char leaving_why[ENGINE_WHY_MAX];
    bool close_asked, closing, close_end_session, close_sent;
    int32_t close_xid;
    uint64_t close_end;
    struct mono close_by;
    bool over_told;
};

void call_list_add(struct call_list *l, struct call *c);
struct call *call_list_take(struct call_list *l); // NULL: empty

// ---- engine.c -----------------------------------------------------------------------------------

void engine_move(struct engine *e, enum reeve_state to, const char *why);
void engine_log(struct engine *e, enum reeve_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
// The session is over. error: what requests and watches are told.
void engine_lose(struct engine *e, enum reeve_state to, enum reeve_error error, const char *why);
// The client is closed, and the session is to be ended by the next server.
bool engine_seeks_end(const struct engine *e);

// ---- engine_links.c -----------------------------------------------------------------------------

bool links_tell(struct engine *e, struct engine_happening *h);
bool links_advance(struct engine *e); // connected, gone, silent links; handshakes; dials; probe
bool links_read(struct engine *e);    // a frame of main
void links_cut_all(struct engine *e);
// The connection of main is given up: a failed attempt, or the session is suspended.
void links_drop(struct engine *e, enum reeve_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
struct mono links_deadline(const struct engine *e);

// ---- engine_calls.c -----------------------------------------------------------------------------

bool calls_tell(struct engine *e, struct engine_happening *h);
// The connection was lost.
void calls_lost(struct engine *e, const char *why);
void calls_fail_all(struct engine *e, enum reeve_error error, const char *why);
bool calls_expire(struct engine *e); // requests whose time is over
void calls_fill(struct engine *e);   // the send buffer

// ---- engine_answers.c ---------------------------------------------------------------------------

// One frame of the session's connection. False: there is none.
bool answers_read(struct engine *e);
