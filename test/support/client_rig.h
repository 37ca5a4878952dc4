// SPDX-License-Identifier: Apache-2.0
//
// Whole clients (struct reeve) against a real server core (serve_rig.h) in one thread of one
// process. The rig is their network, clock and memory, so a test can say: the third answer never
// arrives, this allocation fails, ten seconds pass. Same calls, same run, every time.
//
//     struct crig *w = crig_new();
//     struct reeve *a = crig_client(w, NULL);
//     reeve_create_async(a, "/x", "1", 1, 0, on_done, &seen);
//     crig_run(w);                     // until nobody has anything to do at this moment
//     crig_cut_after(w, a, CRIG_TO_CLIENT, 1);
//     crig_advance(w, 5000);           // time passes; whatever happens in it happens
//     reeve_get(a, "/x", NULL, &r);    // waiting calls let time pass themselves
//     crig_free(&w);                   // closes the clients that are left; nothing may have leaked
//
// Messages move whole, in order, one at a time and alternating between clients; nothing takes time
// but what the test lets pass. Server sessions expire as a leader does it. Any server name of a
// client leads to the one server. Callbacks are made inside crig_run() and crig_advance().
#pragma once

#include "client/client.h"
#include "test/support/serve_rig.h"

enum { CRIG_CLIENTS = 64 };

struct crig;

struct crig *crig_new(void);
void crig_free(struct crig **w); // must: no memory of the clients is left

// A client; o may be NULL. Servers, seed and allocator are the rig's if o leaves them out. It must
// not fail. Its session timeout is 10 s unless o says otherwise; ticks of the server: 2 s.
struct reeve *crig_client(struct crig *w, const struct reeve_options *o);
// The same with what client_new() says; *zk NULL: that was an error.
enum reeve_error crig_client_try(struct crig *w, const struct reeve_options *o, struct reeve **zk);
void crig_close(struct crig *w, struct reeve **zk);   // as reeve_close()
void crig_abandon(struct crig *w, struct reeve **zk); // as reeve_abandon()
// Its memory goes at once, as if the program closed it while the server does not answer.
void crig_drop(struct crig *w, struct reeve **zk);

void crig_run(struct crig *w);
void crig_advance(struct crig *w, int64_t ms);
// Until *done, at most so long; false: it did not become true.
bool crig_until(struct crig *w, const bool *done, int64_t ms);
// One step: the next message of one connection, or false: nothing moves at this moment.
bool crig_step(struct crig *w);
int64_t crig_now_ms(const struct crig *w);
struct rig *crig_server(struct crig *w);

// How many children a path has as a client of its own sees it, which is closed again; without the
// node: 0.
size_t crig_children(struct crig *w, const char *path);
// Its enum node_kind (tree/node.h) at the server; the node must exist.
unsigned crig_kind(struct crig *w, const char *path);

// ---- faults -------------------------------------------------------------------------------------

enum crig_way { CRIG_TO_SERVER, CRIG_TO_CLIENT };

void crig_cut(struct crig *w, struct reeve *zk); // its connections end now, both sides hear it
// The connection ends after n more messages (or bytes) have been delivered this way, counting
// handshakes and pings, over all connections of this client. What was sent and not delivered is
// lost.
void crig_cut_after(struct crig *w, struct reeve *zk, enum crig_way way, size_t n);
void crig_cut_after_bytes(struct crig *w, struct reeve *zk, enum crig_way way, size_t n);
// True: the cut asked for last has happened.
bool crig_was_cut(const struct crig *w, const struct reeve *zk);
size_t crig_messages(const struct crig *w, const struct reeve *zk, enum crig_way way); // so far
// Dials are refused, or hear nothing.
void crig_refuse(struct crig *w, struct reeve *zk, bool refuse);
void crig_black_hole(struct crig *w, struct reeve *zk, bool silent);
// Established connections deliver nothing, and nobody is told; false: what waits is delivered.
void crig_hold(struct crig *w, struct reeve *zk, bool hold);
// The client's process is stopped: it does nothing while time passes; false: it goes on.
void crig_stop(struct crig *w, struct reeve *zk, bool stop);
// The server ends the session; the client hears of it when it asks.
void crig_expire(struct crig *w, struct reeve *zk);
// Bytes arrive in pieces of at most n; 0: as they come.
void crig_pieces(struct crig *w, size_t n);
// All that is under way on a connection arrives before the client looks at any of it.
void crig_gulp(struct crig *w, bool gulp);
// In a callback: it takes so long. The clock goes on, and nothing else.
void crig_block(struct crig *w, int64_t ms);

// ---- memory -------------------------------------------------------------------------------------

// Of all clients: allocations so far (growing counts), and how many are not freed yet.
size_t crig_allocs(const struct crig *w);
size_t crig_alive(const struct crig *w);
// The n-th from now fails (1: the next), 0: none; and that many in a row.
void crig_fail_alloc(struct crig *w, size_t n, size_t in_a_row);
bool crig_alloc_failed(const struct crig *w); // since crig_fail_alloc()
