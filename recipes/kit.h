// SPDX-License-Identifier: Apache-2.0
//
// What every recipe is made of: an object that lives until its last callback, paths, nodes made
// with their parents, a "seat" (a node of ours with a name that only we can have drawn), and
// sequence numbers.
//
// Threads: a recipe is a state machine on the loop's thread. Its public functions only pack a
// message and kit_send() it; everything else here is called on the loop's thread, unless it says
// otherwise. So recipes have no locks.
//
// Life of an object: one reference is the user's handle, one each of every message, request and
// timer under way. kit_close() (the public reeve_x_free) sends the last message: on_close() gives
// back what is held, cancels timers (kit_cancel), takes back watches (reeve_unwatch) and calls what
// callbacks of the user are outstanding. fini() frees the members when the last reference is gone.
// If the client is closed first, its end does the same as kit_close(): an object that was forgotten
// goes with its client. Watches hold no reference: on_close() must take them back.
//
// Without memory: a step that cannot be submitted is either told to the user (REEVE_NO_MEMORY) or,
// where something must be cleaned up, tried again a little later and at each change of the session.
#pragma once

#include <stdatomic.h>

#include "reeve/reeve.h"

enum { KIT_AGAIN_MS = 100 }; // before a step that found no memory is tried again

// ---- memory and paths: any thread ---------------------------------------------------------------

void *kit_alloc(const struct reeve *zk, size_t n); // n bytes of 0, or NULL
void kit_free(const struct reeve *zk, void *p);    // NULL is fine
char *kit_str(const struct reeve *zk, const char *s);
// n bytes and a NUL. p NULL: n must be 0, and one NUL comes out.
void *kit_bytes(const struct reeve *zk, const void *p, size_t n);
// "/a" and "b" make "/a/b"; "/" and "b" make "/b".
char *kit_join(const struct reeve *zk, const char *parent, const char *name);
const char *kit_name(const char *path); // what is behind the last slash
// Whether it can be a node's path: begins with a slash, has no empty part, does not end in a slash
// (but for the root itself). The server has the last word on characters.
bool kit_path_ok(const char *path);
// Whether it can be one part of a path: not empty, without a slash, not "." or "..".
bool kit_name_ok(const char *name);

// ---- objects ------------------------------------------------------------------------------------

struct kit_object;

struct kit_class {
    size_t size;                                                             // of the whole struct
    void (*on_session)(struct kit_object *o, const struct reeve_session *s); // may be NULL
    void (*on_close)(struct kit_object *o); // once; no message of the user comes after it
    void (*fini)(struct kit_object *o);     // frees members, not the object; may be NULL
};

struct kit_object { // the first member of a recipe's struct
    struct reeve *zk;
    const struct kit_class *class;
    atomic_size_t refs;
    atomic_bool closing;   // the handle is given back, or the client has ended
    atomic_bool unsent;    // kit_close() found no memory for its message
    struct reeve_acl *acl; // of every node that is made without one of its own; NULL: open to all
    size_t acl_n;
    bool closed; // on_close() was called
    bool ended;  // the client's end was told
};

// Any thread. Zeroed memory with one reference; nothing is called yet. NO_MEMORY.
enum reeve_error kit_new(struct reeve *zk, const struct kit_class *class, struct kit_object **o);
// Any thread, in a _new(): the user's options.acl, which is copied. kit_submit() gives it to all
// that is made, in transactions, too, and the parents. NULL and 0: nothing. BAD_ARGUMENTS: a list
// without entries, or entries without a scheme or id; NO_MEMORY.
enum reeve_error kit_set_acl(struct kit_object *o, const struct reeve_acl *acl, size_t n);
// Any thread, the last step of a _new(): from now on it listens to the session, and on_session and
// on_close may be called. NO_MEMORY, CLOSED: then kit_undo().
enum reeve_error kit_open(struct kit_object *o);
// Any thread, for a _new() that fails: no on_close, fini at once.
void kit_undo(struct kit_object *o);
// Any thread, never fails, returns at once. Without memory for a message the end comes with the
// next change of the session.
void kit_close(struct kit_object *o);
void kit_hold(struct kit_object *o);
void kit_drop(struct kit_object *o); // the last one frees; do not touch the object after it

typedef void kit_fn(struct kit_object *o, void *arg);
// Any thread. fn(o, arg) soon on the loop's thread, never from inside; in the order sent. It is
// always called if this is OK (perhaps with o->closed), so that arg can be freed there.
// NO_MEMORY, CLOSED.
enum reeve_error kit_send(struct kit_object *o, kit_fn *fn, void *arg);

// A timer, at most one at a time, that holds its object. Starting it again moves it; fn(o, arg) is
// not called after kit_cancel(), nor when the client closes. NO_MEMORY, CLOSED: it is not running.
struct kit_timer {
    struct kit_object *o;
    kit_fn *fn;
    void *arg;
    int64_t due_ms;
    bool on;
};
enum reeve_error kit_start(struct kit_object *o, struct kit_timer *t, int64_t ms, kit_fn *fn,
                           void *arg);
void kit_cancel(struct kit_timer *t);

// Whether the handle was given back: listeners of the user are not called any more.
bool kit_is_closing(const struct kit_object *o);
// What outstanding callbacks are told in on_close(): CLOSED at the client's end, else CANCELLED.
enum reeve_error kit_why_closed(const struct kit_object *o);
// Whether the error means that the session of the request, or the client, is over.
bool kit_is_over(enum reeve_error e);
// Whether it says nothing but that there is no answer: ask again, after looking what happened.
bool kit_is_transient(enum reeve_error e);
// Whether the server refuses, and will not for ever: SYSTEM_ERROR is how one with a full disk
// refuses writes until there is space. Also NO_MEMORY.
bool kit_is_for_now(enum reeve_error e);

// ---- waiting ------------------------------------------------------------------------------------

// A blocking call around an asynchronous one, on the waiting thread's stack:
//     struct kit_wait w;
//     enum reeve_error e = kit_wait_new(zk, &w);
//     return e ? e : kit_wait_end(&w, x_async(..., callback that calls kit_wait_open(ctx, e), &w));
struct kit_wait {
    struct reeve_gate *gate;
    enum reeve_error e;
};
enum reeve_error kit_wait_new(struct reeve *zk, struct kit_wait *w); // WRONG_THREAD, NO_MEMORY
void kit_wait_open(struct kit_wait *w, enum reeve_error e);          // the last that touches w
// begun: what the asynchronous call returned; unless OK nothing is waited for.
enum reeve_error kit_wait_end(struct kit_wait *w, enum reeve_error begun);
void kit_wait_done(void *w, enum reeve_error e); // kit_wait_open() as a callback

// ---- requests that hold their object ------------------------------------------------------------

typedef void kit_result_fn(struct kit_object *o, void *arg, const struct reeve_result *r);
// reeve_submit() that keeps o alive until fn(o, arg, r) has returned.
enum reeve_error kit_submit(struct kit_object *o, const struct reeve_request *q, kit_result_fn *fn,
                            void *arg);

// Deletes a child of parent, whatever its version.
enum reeve_error kit_delete(struct kit_object *o, const char *parent, const char *name,
                            kit_result_fn *fn, void *arg);

typedef void kit_done_fn(struct kit_object *o, void *arg, enum reeve_error e);
// Makes the node and what is missing above it, as containers (persistent ones where the server has
// none), empty. Lost connections are gone through. OK: it is there, or was. If this
// does not return OK, done is not called; it is never called from inside.
enum reeve_error kit_ensure(struct kit_object *o, const char *path, kit_done_fn *done, void *arg);
// The same with persistent nodes, for layouts of programs that do not expect their paths to go.
enum reeve_error kit_ensure_plain(struct kit_object *o, const char *path, kit_done_fn *done,
                                  void *arg);

// ---- seats --------------------------------------------------------------------------------------

// A node whose name holds a GUID. When the connection is lost while it is made, it is looked for
// by that name behind a sync, and is ours only if our session owns it (persistent seats have no
// owner and need none). While the session lives no seat is left behind: whatever is unknown is
// found out, and a seat to be left is deleted as often as it takes.
//
// A create whose connection was lost may be executed even later than that, when its bytes were
// still unread in the socket of a server that was stopped; then there are two nodes with our name.
// From the moment a create was not found until the session ends the seat is in doubt: it takes the
// same name again if it is sequential, so that whoever lists the children knows both nodes as ours
// (kit_seat_twin), and leaving it looks once more.
//
//     EMPTY --take--> TAKING --> TAKEN --leave--> LEAVING --> EMPTY
//                        \--leave: resolved first, then deleted--/
//     TAKEN --kit_seat_lost--> EMPTY
enum kit_seat_state { KIT_SEAT_EMPTY, KIT_SEAT_TAKING, KIT_SEAT_TAKEN, KIT_SEAT_LEAVING };

struct kit_seat {
    struct kit_object *o;
    enum kit_seat_state state;
    const char *parent; // borrowed while it is not EMPTY
    const void *data;   // the same
    size_t data_len;
    unsigned flags;     // REEVE_EPHEMERAL, REEVE_SEQUENTIAL
    char *name;         // what was asked for, without the digits of a sequential node
    char *path;         // TAKEN: the whole path; stays to be read until the next kit_seat_take()
    char *late;         // LEAVING: a node that was made late, to be deleted as well
    int64_t czxid;      // TAKEN: of its creation: never twice, and growing
    int64_t session;    // TAKEN: the owner, 0 of a persistent one
    int64_t doubt;      // the session in which a create was lost and not found; 0: none
    bool plain_parents; // make them with kit_ensure_plain; to be set after kit_seat_init()
    bool no_parents;    // do not make them: NO_NODE; to be set there as well
    kit_done_fn *taken, *left;
    void *taken_arg, *left_arg;
    void (*step)(struct kit_seat *s); // under way, or to be tried again
    struct kit_timer again;
    bool busy;     // a request is under way
    bool maybe;    // TAKING: the node may be there
    bool leaving;  // TAKING: leave it as soon as it is known
    bool sweeping; // LEAVING: our node is gone, and late ones are looked for
};

// Names with a fresh GUID: "_c_01234567-89ab-cdef-0123-456789abcdef-" + base (Curator's
// withProtection) and 32 digits + base (kazoo). NULL: no memory.
char *kit_name_curator(struct reeve *zk, const char *base);
char *kit_name_kazoo(struct reeve *zk, const char *base);

void kit_seat_init(struct kit_seat *s, struct kit_object *o);
void kit_seat_fini(struct kit_seat *s); // in the object's fini()

// From EMPTY. name is taken over (freed also on errors; NULL is NO_MEMORY). Missing parents are
// made. taken(o, arg, e) comes once: OK and it is TAKEN; an error and it is EMPTY: SESSION_EXPIRED,
// CLOSED, NO_MEMORY, the server's; CANCELLED after kit_seat_leave() while TAKING. If this does not
// return OK nothing happens.
enum reeve_error kit_seat_take(struct kit_seat *s, const char *parent, char *name, unsigned flags,
                               const void *data, size_t data_len, kit_done_fn *taken, void *arg);
// From any state. True: left(o, arg, e) (left may be NULL) comes once it is EMPTY: OK, or why the
// node may be there still (CLOSED, and the server's, such as NO_AUTH). False: it is EMPTY already,
// and left is not called.
bool kit_seat_leave(struct kit_seat *s, kit_done_fn *left, void *arg);
// To be called in on_session (LOST, AUTH_FAILED) for ephemeral seats, or when our node was deleted
// by somebody: TAKEN becomes EMPTY; TAKING and LEAVING come to their end by themselves.
void kit_seat_lost(struct kit_seat *s);
// TAKEN: another child with our name, which is ours as well: to be deleted, and nobody to be waited
// for. NULL: there is none.
const char *kit_seat_twin(const struct kit_seat *s, const struct reeve_result *children);
// Tries again what found no memory. The timer does so after KIT_AGAIN_MS; on_session must, at each
// state, so that the client's end ends it, too.
void kit_seat_poke(struct kit_seat *s);

// ---- sequence numbers ---------------------------------------------------------------------------

// The number a server added behind `marker`'s last occurrence: "_c_...-lock-0000000012" and "lock-"
// give 12. It wraps around to -2147483648 behind 2147483647. False: no such name.
bool kit_seq(const char *name, const char *marker, int32_t *seq);
// Below 0: a was drawn before b. Right also around the wrap, as long as not 2^31 numbers lie
// between. (Curator and kazoo compare the digits as text, and let newcomers go first after the
// wrap; no order agrees with theirs and excludes.)
int kit_seq_cmp(int32_t a, int32_t b);

struct kit_entry {
    const char *name; // borrowed
    int32_t seq;
    int marker; // which one of the markers
};
// Those of names with one of the markers (markers_n of them), oldest first. Room for n in out.
// Returns how many there are.
size_t kit_sort(const char *const *names, size_t n, const char *const *markers, size_t markers_n,
                struct kit_entry *out);
