// SPDX-License-Identifier: Apache-2.0
//
// struct engine: one client without I/O, clock, thread or callback. It decides where to connect,
// when to ping, when the session is lost, what is sent again, whom an answer belongs to.
//
// In: time (engine_set_now, before everything else), calls (engine_submit and its kin), what became
// of dials and links, received bytes. Out: engine_next() tells one happening after the other until
// there is none; engine_output() has the bytes to be sent on a link; engine_deadline() says when to
// come again.
//
// It pulls: a frame stays undecoded in the receive buffer until engine_next() comes to it, and what
// a happening points to lives until the next engine_next(). So there is no queue of results,
// nothing is copied, and nothing can fail for want of memory in the middle: all that a call may
// need later is allocated when it is submitted.
//
// Links are the connections and dials of this engine, small numbers that it gives out in
// ENGINE_DIAL and may use again only after it has heard of the link's end (engine_on_gone) or has
// asked for it (ENGINE_CUT). What comes for a link it has cut is ignored by whoever drives it. At
// most one link is the session's; others are dials under way (a second server is tried while the
// first is silent) and the probe for a server with a quorum while the present one is read-only.
//
// States: as enum reeve_state, changed by one function with a table of legal moves.
//
// Who drives it: client.c, and beneath it loop_*.c on Linux, sim/guest.c in the simulator.
#pragma once

#include "base/err.h"
#include "base/mtime.h"
#include "base/slice.h"
#include "reeve/reeve.h"

enum { ENGINE_LINKS_MAX = 4 };

struct call; // one request, encoded: call.h
struct engine;

enum engine_happening_type {
    ENGINE_NOTHING,
    ENGINE_DIAL,  // connect to host:port; engine_on_dialed() or engine_on_gone() follows
    ENGINE_CUT,   // close this link now, or forget its dial; nothing of it is wanted any more
    ENGINE_STATE, // tell the listeners
    ENGINE_DONE,  // this call has its result; its memory is the driver's (call_free)
    ENGINE_WATCH, // call this watch
    ENGINE_OVER   // after engine_close(): there is nothing left to wait for
};

struct engine_happening {
    enum engine_happening_type type;
    uint32_t link;                // DIAL, CUT
    const char *host;             // DIAL: a name or an address without brackets
    uint16_t port;                // DIAL
    struct reeve_session session; // STATE
    struct call *call;            // DONE
    struct reeve_result result;   // DONE
    struct reeve_watch watch;     // WATCH
    struct reeve_event event;     // WATCH
};

// The options are copied. REEVE_BAD_ARGUMENTS, REEVE_NO_MEMORY. seed must not be 0 by now.
enum reeve_error engine_new(struct engine **e, const struct reeve_options *o);
void engine_free(struct engine **e); // calls without an answer are freed unheard

void engine_set_now(struct engine *e, struct mono now);
// When engine_next() will have something to say even if nothing comes in. Never: INT64_MAX ns.
struct mono engine_deadline(const struct engine *e);
// When the session is over unless an answer comes; INT64_MAX ns: there is none.
struct mono engine_lost_at(const struct engine *e);
// True while there was a happening; *h is filled in. Until it is false the engine has more to say.
bool engine_next(struct engine *e, struct engine_happening *h);

// Takes the call (call.h). Its ENGINE_DONE will come, also when the state says no more can be
// asked.
void engine_submit(struct engine *e, struct call *c);
// reeve_set_servers, reeve_unwatch; reeve_close (end_session) and reeve_abandon (not).
enum reeve_error engine_set_servers(struct engine *e, const char *servers);
void engine_unwatch(struct engine *e, const char *path, reeve_watch_fn *fn, void *ctx);
void engine_close(struct engine *e, bool end_session);
void engine_get_session(const struct engine *e, struct reeve_session *s);
// "" or "/app": the same string for the engine's whole life.
const char *engine_chroot(const struct engine *e);

void engine_on_dialed(struct engine *e, uint32_t link);
// The dial has failed, or the connection has ended. why: a short cause ("connection refused"), ""
// for an orderly end.
void engine_on_gone(struct engine *e, uint32_t link, const char *why);
// Where received bytes go, and how many have come. Between the two no other call. n 0: the buffer
// is full of frames that engine_next() has not come to yet; as soon as that was false there is
// room. What a happening points to ends here, too.
uint8_t *engine_recv_space(struct engine *e, uint32_t link, size_t *n);
void engine_received(struct engine *e, uint32_t link, size_t n);
// What is to be sent now, n 0: nothing; and how much of it is gone, to be told before anything that
// may have come back for it. Valid until the next call.
struct slice engine_output(struct engine *e, uint32_t link);
void engine_sent(struct engine *e, uint32_t link, size_t n);

// Invariants, after every step in tests and in the simulator.
void engine_check(const struct engine *e);
