// SPDX-License-Identifier: Apache-2.0
//
// struct reeve, for client.c, inbox.c, tasks.c, listeners.c and waits.c.
//
// Three kinds of fields: those that never change after client_new() (any thread), those under the
// lock or atomic (any thread), and those of the loop's thread.
//
// The inbox is two lists, calls and notes (everything else), because a call is linked through
// itself and needs no memory of ours. A note remembers how many calls were put in before it; so
// both lists together are one row.
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/rng.h"
#include "client/call.h"
#include "client/client.h"

enum note_kind { NOTE_POST, NOTE_AFTER, NOTE_UNWATCH, NOTE_SERVERS, NOTE_CLOSE };

struct note {
    struct note *next, *prev;
    enum note_kind kind;
    uint64_t behind; // calls put in before
    void *ctx;
    reeve_task_fn *task;     // POST, AFTER
    struct mono due;         // AFTER, SERVERS when it is tried again
    reeve_watch_fn *watch;   // UNWATCH
    const char *text;        // UNWATCH: path. SERVERS: the list
    struct reeve_gate *gate; // not NULL: not ours to free; opened when the note is taken in
    bool end_session;        // CLOSE
};

struct note_list {
    struct note *first, *last;
};

struct listener {
    struct listener *next;
    reeve_session_fn *fn;
    void *ctx;
    bool fresh; // was not called yet
    bool gone;  // is not called any more
};

// The session as it was told. The strings of the time before stay for a while: another thread may
// still look at them.
struct told {
    struct reeve_session session;
    char server[300], why[256];
};

struct reeve {
    struct reeve_allocator allocator;
    struct client_driver driver;
    struct engine *engine; // loop's thread
    const char *chroot;    // "" or "/app", the engine's
    uint32_t request_max;
    bool one_session;

    // Any thread, under the lock but for the atomic ones.
    pthread_mutex_t lock;
    pthread_cond_t left;            // the last one inside has left
    size_t inside;                  // client_enter() less client_leave()
    bool closed;                    // nothing is put in any more
    enum reeve_error refuses;       // what calls are refused with, OK: they are not
    struct call *calls, **calls_to; // the inbox
    uint64_t calls_n;               // ever put in
    struct note_list notes;
    struct note close_note;
    struct listener *listeners; // only the loop's thread takes out
    bool listeners_changed;
    struct told told[2];
    unsigned told_at;
    struct rng rng[2];
    _Atomic bool has_input;   // the inbox is not empty, or there is a fresh listener
    _Atomic uintptr_t runner; // the thread inside client_run(), or 0
    _Atomic int64_t zxid;     // at the end of the last run

    // Loop's thread.
    struct mono now;        // looked at before each callback
    struct mono engine_now; // what the engine was told; see client_overslept()
    uint64_t taken_n;       // calls ever given to the engine
    struct note_list tasks; // due, in the order they are called in
    size_t tasks_n;
    struct note_list timers; // earliest first
    bool fresh;              // a listener may be fresh or gone
    bool closing;            // the engine knows
    bool sealed;             // nothing leaves any more
    bool over;
};

// client.c ---------------------------------------------------------------------------------------

// Everything there is to tell.
void client_pull(struct reeve *zk);
// Between callbacks: true: the session's time has run out, client_pull() has to tell that now.
bool client_overslept(struct reeve *zk);

// inbox.c ----------------------------------------------------------------------------------------

void note_append(struct note_list *l, struct note *n);
void note_insert_after(struct note_list *l, struct note *at, struct note *n); // NULL: as the first
void note_remove(struct note_list *l, struct note *n);
// With a copy of the text; NULL: no memory.
struct note *client_note_new(const struct reeve *zk, enum note_kind kind, const char *text);
void client_note_free(const struct reeve *zk, struct note *n); // or opens its gate

// Both take what is put in if they say OK, and wake the loop.
enum reeve_error client_put_call(struct reeve *zk, struct call *c);
enum reeve_error client_put_note(struct reeve *zk, struct note *n);
// Under the lock: there is input now. True: it is the first, for client_unlock(), which wakes the
// loop then, unless this is its thread: client_run() takes in what its callbacks have put in.
bool client_mark_input(struct reeve *zk);
void client_unlock(struct reeve *zk, bool first);
// On the loop's thread, also in callbacks: the inbox goes to the engine and to the tasks.
void client_take_in(struct reeve *zk);
void client_take_servers(struct reeve *zk, struct note *n);
bool client_on_loop(const struct reeve *zk);

// tasks.c ----------------------------------------------------------------------------------------

void client_task_add(struct reeve *zk, struct note *n);
// Those whose time has come, or all of them when the client closes, become due.
void client_tasks_ripen(struct reeve *zk);
// Calls those that are due. What becomes due meanwhile waits for the next run, lest a task that
// posts itself again stops everything else.
void client_tasks_run(struct reeve *zk);

// listeners.c ------------------------------------------------------------------------------------

void client_tell(struct reeve *zk, const struct reeve_session *s);     // a new state, to all
void client_tell_fresh(struct reeve *zk);                              // the last one, to new ones
void client_told_set(struct reeve *zk, const struct reeve_session *s); // to nobody
void client_listeners_free(struct reeve *zk);
