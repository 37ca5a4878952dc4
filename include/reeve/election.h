// SPDX-License-Identifier: Apache-2.0
//
// One leader among those who take part, and whoever wants to know who leads.
//
//     struct reeve_election_options o = {.id = "host-7", .gained = begin_work, .lost = stop_work};
//     struct reeve_election *e;
//     if (!reeve_election_new(&e, zk, "/app/leader", &o) && !reeve_election_join(e)) { ... }
//
// Who takes part stands in line as for a lock (reeve/lock.h): the same fairness, fencing token and
// limits. lost() is called by this client's own clock before the servers can have let anybody else
// lead; a paused process may believe to lead beyond that, therefore the token. Unlike a lock it
// goes on by itself: after lost() it stands in line again with the next session, until
// reeve_election_leave() or _free().
//
// On the server: path is a container, each participant an ephemeral sequential node in it whose
// data is its id. `_c_<guid>-latch-<number>` as Curator's LeaderLatch, `_c_<guid>-lock-<number>` as
// its LeaderSelector, `<guid>__lock__<number>` as kazoo's Election: by options.layout.
//
// Threads: any; callbacks on the loop's thread, in order. Everything given is copied. Free handles
// before reeve_close(); those forgotten are freed by it and must not be used after it.
#pragma once

#include "reeve/lock.h"

#ifdef __cplusplus
extern "C" {
#endif

enum reeve_election_layout {
    REEVE_ELECTION_LATCH,    // Curator's LeaderLatch
    REEVE_ELECTION_SELECTOR, // Curator's LeaderSelector
    REEVE_ELECTION_KAZOO
};

struct reeve_election_options {
    enum reeve_election_layout layout;
    const char *id; // NULL: ""
    void (*gained)(void *ctx, int64_t token);
    // SESSION_EXPIRED, AUTH_FAILED, CLOSED, NO_NODE (somebody deleted our node). Not called for
    // what reeve_election_leave(), _resign() or _free() gave up.
    void (*lost)(void *ctx, enum reeve_error why);
    // It takes part no longer: NO_AUTH, NO_NODE (the chroot is missing), NO_MEMORY, AUTH_FAILED,
    // CLOSED, SESSION_EXPIRED (with options.one_session), ... A server that refuses writes for a
    // while (a full disk, read-only mode) is asked again.
    void (*failed)(void *ctx, enum reeve_error why);
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

struct reeve_election;

// BAD_ARGUMENTS: the path or layout. NO_MEMORY. Nothing is asked of the servers yet.
REEVE_API enum reeve_error reeve_election_new(struct reeve_election **e, struct reeve *zk,
                                              const char *path,
                                              const struct reeve_election_options *o);
// Any thread, also from callbacks; returns at once. Leadership is given up in the background.
REEVE_API void reeve_election_free(struct reeve_election **e);

// Takes part from now on; nothing if it does already. NO_MEMORY, CLOSED.
REEVE_API enum reeve_error reeve_election_join(struct reeve_election *e);
// Gives up leadership, if it has it, and stands in line again, at the end. NO_MEMORY, CLOSED.
REEVE_API enum reeve_error reeve_election_resign(struct reeve_election *e);

typedef void reeve_election_fn(void *ctx, enum reeve_error e);
// Takes part no longer; told when our node is gone. Errors: as reeve_lock_release_async(); NO_NODE
// if it did not take part. done may be NULL.
REEVE_API enum reeve_error reeve_election_leave_async(struct reeve_election *e,
                                                      reeve_election_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_election_leave(struct reeve_election *e);

// Waits until we lead: OK and the token. timeout_ms: -1 no limit. OPERATION_TIMEOUT, NO_NODE (it
// does not take part, or not any more), CANCELLED (freed), CLOSED, NO_MEMORY, and what failed()
// says. Any number may wait.
REEVE_API enum reeve_error reeve_election_wait_async(struct reeve_election *e, int64_t timeout_ms,
                                                     reeve_lock_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_election_wait(struct reeve_election *e, int64_t timeout_ms,
                                               int64_t *token);

// Above 0 while we lead: what is known now, without asking.
REEVE_API int64_t reeve_election_token(const struct reeve_election *e);

// All who take part, the leader first; data is the id.
REEVE_API enum reeve_error reeve_election_participants_async(struct reeve_election *e,
                                                             reeve_contenders_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_election_participants(struct reeve_election *e,
                                                       struct reeve_contenders **list);

// ---- who leads ----------------------------------------------------------------------------------

struct reeve_observer;

// e OK: leader now leads (data is its id, valid during the call), NULL: nobody. Any other error:
// the last call, nothing more will be seen: NO_AUTH, AUTH_FAILED, CLOSED, NO_MEMORY,
// SESSION_EXPIRED (with options.one_session).
typedef void reeve_observer_fn(void *ctx, enum reeve_error e, const struct reeve_contender *leader);
// Calls fn soon with who leads, and at each change of leader or of its data, also across sessions.
// Changes that follow each other quickly may be told as one. It watches the leader's node only, so
// that those who wait do not wake it.
REEVE_API enum reeve_error reeve_election_observe(struct reeve_observer **ob, struct reeve *zk,
                                                  const char *path,
                                                  enum reeve_election_layout layout,
                                                  reeve_observer_fn *fn, void *ctx);
// fn is not called any more once this returns (on the loop's thread; elsewhere a call may be under
// way).
REEVE_API void reeve_observer_free(struct reeve_observer **ob);

#ifdef __cplusplus
}
#endif
