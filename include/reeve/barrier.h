// SPDX-License-Identifier: Apache-2.0
//
// Two barriers: one that is closed and opened by somebody, and one that a number of members enter
// together and leave together.
//
//     struct reeve_double_barrier *b;
//     if (reeve_double_barrier_new(&b, zk, "/jobs/42", 5, NULL) ||
//         reeve_double_barrier_enter(b, 60000)) { ... }
//     work();
//     reeve_double_barrier_leave(b, -1);
//
// Barrier
// - Layout: the node exists as long as the barrier is closed; open: no node. Curator's
//   DistributedBarrier and kazoo's Barrier, which may close, open and wait at the same time.
// - Who waits is told once it was open at some moment, also if it was closed again since.
// - It is not tied to who closed it: it stays closed when that program dies.
//
// Double barrier
// - Layout: below the node one ephemeral node per member, with any name, and `ready` once enough
//   members are there: Curator's DistributedDoubleBarrier and kazoo's DoubleBarrier, which may be
//   members beside programs of this library.
// - enter: OK comes when `members` have entered, or more. Whoever comes later passes at once, as
//   long as one of them is there; a `ready` of members that were all lost inside is taken away by
//   the first of this library to come after them (foreign programs would pass at once).
// - leave: OK comes when all members have left, been lost, or given up: the one with the lowest
//   name waits for the others, the others for it, so a leave wakes few.
// - A member that is lost (its session ends) before the others entered does not count any more; one
//   that is lost later has left. A member whose own session is lost gets SESSION_EXPIRED from the
//   call it waits in, or from leave, and options.lost is called: it has left without wanting to.
// - An object that enters again after that is one member, also while the servers have its lost
//   session. (A program that is started anew is another one until they have ended the former one.)
// - It can be used again when all have left, not before.
// - kazoo's leave also waits until `ready` is gone, and kazoo never looks whether there are enough
//   members again while it waits: the member that completes the number makes `ready`, whatever
//   program it is.
//
// A paused program (stopped, swapping) may believe to be inside after its session ended: what a
// barrier orders it orders by the server's view.
//
// Threads: any function from any thread. Callbacks come on the loop's thread, one at a time, each
// exactly once; *_free() calls those outstanding (CANCELLED) and leaves in the background. Times
// are milliseconds; -1: no limit. OPERATION_TIMEOUT: it did not happen in time; a member whose
// enter timed out is out again.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void reeve_barrier_done_fn(void *ctx, enum reeve_error e);

// ---- barrier ------------------------------------------------------------------------------------

struct reeve_barrier;

struct reeve_barrier_options {
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

// BAD_ARGUMENTS (a path that is no path, or the root), NO_MEMORY, CLOSED. o may be NULL.
REEVE_API enum reeve_error reeve_barrier_new(struct reeve_barrier **b, struct reeve *zk,
                                             const char *path,
                                             const struct reeve_barrier_options *o);
REEVE_API void reeve_barrier_free(struct reeve_barrier **b); // *b becomes NULL

// OK: it is closed now, or was already. Missing parents are made.
REEVE_API enum reeve_error reeve_barrier_close_async(struct reeve_barrier *b,
                                                     reeve_barrier_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_barrier_close(struct reeve_barrier *b);
// OK: it is open now, or was already.
REEVE_API enum reeve_error reeve_barrier_open_async(struct reeve_barrier *b,
                                                    reeve_barrier_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_barrier_open(struct reeve_barrier *b);
// OK: it is, or was, open. Goes on waiting in another session when one is lost.
REEVE_API enum reeve_error reeve_barrier_wait_async(struct reeve_barrier *b, int64_t timeout_ms,
                                                    reeve_barrier_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_barrier_wait(struct reeve_barrier *b, int64_t timeout_ms);

// ---- double barrier -----------------------------------------------------------------------------

struct reeve_double_barrier;

struct reeve_double_barrier_options {
    const void *data; // of this member's node; copied. Nobody looks at it
    size_t data_len;
    void (*lost)(void *ctx); // the session was lost while inside; before failed calls are told
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

// members: how many must have entered, above 0. One object is one member, once at a time.
REEVE_API enum reeve_error reeve_double_barrier_new(struct reeve_double_barrier **b,
                                                    struct reeve *zk, const char *path,
                                                    uint32_t members,
                                                    const struct reeve_double_barrier_options *o);
REEVE_API void reeve_double_barrier_free(struct reeve_double_barrier **b);

// API_ERROR: it is inside already, or a call is under way.
REEVE_API enum reeve_error reeve_double_barrier_enter_async(struct reeve_double_barrier *b,
                                                            int64_t timeout_ms,
                                                            reeve_barrier_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_double_barrier_enter(struct reeve_double_barrier *b,
                                                      int64_t timeout_ms);
// API_ERROR: it is not inside. OPERATION_TIMEOUT: this member is out, others are not.
REEVE_API enum reeve_error reeve_double_barrier_leave_async(struct reeve_double_barrier *b,
                                                            int64_t timeout_ms,
                                                            reeve_barrier_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_double_barrier_leave(struct reeve_double_barrier *b,
                                                      int64_t timeout_ms);

#ifdef __cplusplus
}
#endif
