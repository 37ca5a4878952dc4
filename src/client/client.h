// SPDX-License-Identifier: Apache-2.0
//
// struct reeve: an engine, what other threads have put in for it, and whom to tell. This is the
// whole library but for the system: client.c has no socket and no clock either. What drives it is a
// row of functions: loop_*.c on Linux, sim/guest.c in the simulator, test/support/client_rig.c in
// tests.
//
// Data flow: public calls (any thread) -> inbox, under a lock, and driver->wake() -> client_run()
// on the loop's thread moves the inbox into the engine, delivers happenings as callbacks, gives
// dials and cuts to the driver -> the driver moves bytes between sockets and engine. The lock
// guards the inbox, the copy of the session and nothing else: it is never held during a callback or
// a call of the engine.
#pragma once

#include "client/engine.h"
#include "client/gate.h"

struct client_driver {
    // Any thread: client_run() is wanted soon. Never called inside client_run(), and once only for
    // all that is put in between two runs.
    void (*wake)(struct reeve *zk, void *ctx);
    // Inside client_run().
    void (*dial)(struct reeve *zk, void *ctx, uint32_t link, const char *host, uint16_t port);
    void (*cut)(struct reeve *zk, void *ctx, uint32_t link);
    // Blocks until the gate is open, driving the client if nobody else does. Not used in the
    // simulator, where nothing waits: NULL there.
    void (*wait)(struct reeve *zk, void *ctx, struct reeve_gate *g);
    // The gate is open now, and a thread that called gate_may_sleep() is asleep. The gate's memory
    // may be gone: only its address may be used. May be NULL.
    void (*opened)(void *ctx, struct reeve_gate *g);
    // The monotonic clock, any thread.
    struct mono (*clock)(void *ctx);
    void *ctx;
};

// What reeve_new() is made of. o->seed must be set; the driver is copied.
enum reeve_error client_new(struct reeve **zk, const struct reeve_options *o,
                            const struct client_driver *d);
// Callbacks first get the end (as reeve_close says); nothing is sent any more. Then waits until no
// other thread is inside a waiting call.
void client_free(struct reeve **zk);

struct engine *client_engine(struct reeve *zk); // for moving bytes; loop's thread only
// Takes in what was put in, and tells everything there is to tell. Afterwards the driver sends
// engine_output() of each link.
void client_run(struct reeve *zk, struct mono now);
// When client_run() has something to do even if nothing comes in on a link: 0 ns: now. Loop's
// thread. Who is going to sleep announces that (so that wake() wakes it) before it asks.
struct mono client_deadline(const struct reeve *zk);
// Begins the end: after it client_run() is driven until client_is_over(). Any thread, once.
void client_begin_close(struct reeve *zk, bool end_session);
bool client_is_over(const struct reeve *zk); // loop's thread

// A thread is about to wait inside this client, or has done so and will not touch it again:
// client_free() waits in between.
void client_enter(struct reeve *zk);
void client_leave(struct reeve *zk);
