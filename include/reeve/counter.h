// SPDX-License-Identifier: Apache-2.0
//
// Two things kept in one node: a counter (a number that many programs add to), and a shared value
// (bytes that many programs see and replace).
//
//     struct reeve_counter *n;
//     int64_t now;
//     if (reeve_counter_new(&n, zk, "/orders/last", NULL) || reeve_counter_add(n, 1, &now)) { ... }
//
// What a counter promises
// - Every add that returns OK is counted exactly once, and `after` was the number at that moment:
//   adds of 1 by all programs return different numbers. Others' changes are noticed (a write names
//   the version it read), and then it is tried again after a pause that is drawn at random and
//   grows up to 64 ms.
// - When the connection is lost before the answer, it is found out whether the write was executed.
//   For that, each counter object that writes has an ephemeral node below the counter's, which
//   notes its last write in the same transaction. Only if the session is lost at that moment, the
//   outcome stays unknown: SESSION_EXPIRED, and `maybe_done` is true. (Also if somebody deletes
//   that node at that moment: CONNECTION_LOSS.)
// - A read may be as old as the server it asks is behind the others; an add never is.
//
// What it does not promise: numbers without gaps in the order of anything else. Who dies between an
// add and the use of its number leaves a gap.
//
// Layout: the node's data is the number.
//   REEVE_COUNTER_LONG  8 bytes, big endian: Curator's DistributedAtomicLong
//   REEVE_COUNTER_INT   4 bytes, big endian: Curator's DistributedAtomicInteger and SharedCount,
//                       kazoo's Counter with support_curator
//   REEVE_COUNTER_TEXT  decimal digits: kazoo's Counter of whole numbers
// These programs may change it at the same time. No data means options.initial, as for kazoo's
// `default`. Other data: MALFORMED. A node that a program leaves must not be deleted while a
// counter here is in use (it has children then).
//
// A shared value is the same with any bytes: Curator's SharedValue (and SharedCount, with 4 bytes).
// It follows what others write, with a callback per change; cache.h says what that promises.
//
// Threads: any function from any thread. Callbacks come on the loop's thread, one at a time, each
// exactly once; *_free() calls those outstanding (CANCELLED, or what became of a write that was
// sent already). Calls of one object are done in their order.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- counter ------------------------------------------------------------------------------------

struct reeve_counter;

enum reeve_counter_layout { REEVE_COUNTER_LONG, REEVE_COUNTER_INT, REEVE_COUNTER_TEXT };

struct reeve_counter_options {
    enum reeve_counter_layout layout;
    int64_t initial; // what a missing or empty node counts as
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

struct reeve_counter_result {
    // OK; BAD_VERSION (swap: it was another number); BAD_ARGUMENTS (it would overflow);
    // MALFORMED; SESSION_EXPIRED, CONNECTION_LOSS (see above), AUTH_FAILED, CLOSED, CANCELLED,
    // NO_MEMORY; the server's
    enum reeve_error error;
    int64_t before, after; // of OK; of BAD_VERSION both are what it was
    bool maybe_done;       // of an error: the write may have been executed
};

typedef void reeve_counter_fn(void *ctx, const struct reeve_counter_result *r);

// Nothing is asked or made yet. BAD_ARGUMENTS (a path that is no path, or the root), NO_MEMORY,
// CLOSED.
REEVE_API enum reeve_error reeve_counter_new(struct reeve_counter **c, struct reeve *zk,
                                             const char *path,
                                             const struct reeve_counter_options *o);
REEVE_API void reeve_counter_free(struct reeve_counter **c); // *c becomes NULL

// The number as it is. A missing node is not made.
REEVE_API enum reeve_error reeve_counter_get_async(struct reeve_counter *c, reeve_counter_fn *done,
                                                   void *ctx);
REEVE_API enum reeve_error reeve_counter_get(struct reeve_counter *c, int64_t *now);

// Adds delta, which may be negative. `after` may be NULL.
REEVE_API enum reeve_error reeve_counter_add_async(struct reeve_counter *c, int64_t delta,
                                                   reeve_counter_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_counter_add(struct reeve_counter *c, int64_t delta,
                                             int64_t *after);

// Makes it `number`, whatever it was.
REEVE_API enum reeve_error reeve_counter_set_async(struct reeve_counter *c, int64_t number,
                                                   reeve_counter_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_counter_set(struct reeve_counter *c, int64_t number);

// Makes it `number` if it is `expected`; BAD_VERSION if it is not. `before` may be NULL.
REEVE_API enum reeve_error reeve_counter_swap_async(struct reeve_counter *c, int64_t expected,
                                                    int64_t number, reeve_counter_fn *done,
                                                    void *ctx);
REEVE_API enum reeve_error reeve_counter_swap(struct reeve_counter *c, int64_t expected,
                                              int64_t number, int64_t *before);

// ---- shared value -------------------------------------------------------------------------------

struct reeve_value;

// A change, by whoever it was, or the first sight of it. data NULL and version -1: the node is not
// there. Valid during the callback.
typedef void reeve_value_change_fn(void *ctx, const void *data, size_t data_len, int32_t version);
// version: the node's after the write; -1: not known.
typedef void reeve_value_done_fn(void *ctx, enum reeve_error e, int32_t version);

struct reeve_value_options {
    const void *seed; // what a missing node is made with; copied
    size_t seed_len;
    reeve_value_change_fn *changed; // may be NULL
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

// Makes the node if it is missing, and follows it. BAD_ARGUMENTS, NO_MEMORY, CLOSED.
REEVE_API enum reeve_error reeve_value_new(struct reeve_value **v, struct reeve *zk,
                                           const char *path, const struct reeve_value_options *o);
REEVE_API void reeve_value_free(struct reeve_value **v); // *v becomes NULL

// A copy of what was seen last, for reeve_result_fini() whatever came out: data and stat, with the
// version. NO_NODE: nothing was seen yet; changed() comes when there is something.
REEVE_API enum reeve_error reeve_value_get(struct reeve_value *v, struct reeve_result *r);

// Replaces it, if its version is this (or REEVE_ANY_VERSION). BAD_VERSION: somebody was faster.
// Exactly once, as a counter's add. data is copied. A node that somebody deleted is made again with
// the seed first.
REEVE_API enum reeve_error reeve_value_set_async(struct reeve_value *v, const void *data,
                                                 size_t data_len, int32_t version,
                                                 reeve_value_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_value_set(struct reeve_value *v, const void *data, size_t data_len,
                                           int32_t version);

#ifdef __cplusplus
}
#endif
