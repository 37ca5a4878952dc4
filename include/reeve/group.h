// SPDX-License-Identifier: Apache-2.0
//
// Who is there: members of a group, each with some data, and a list that follows.
//
//     struct reeve_group_options o = {.id = "host-7", .data = "10.0.0.7", .data_len = 8,
//                                     .on_members = members_changed};
//     struct reeve_group *g;
//     if (!reeve_group_new(&g, zk, "/app/workers", &o) && !reeve_group_join(g, 30000)) { ... }
//
// What it guarantees: while a member's session lives its node is there with the data it set last,
// and every list shows it; when the session ends (which the servers find after its timeout) the
// node goes, and the member joins again by itself with the next session, also when somebody deletes
// its node, until reeve_group_leave() or _free(). Lists are read one member after the other, so
// they are no picture of one moment, but the last one told is right as soon as nothing changes any
// more. Members whose nodes may not be read (NO_AUTH) are not in them.
//
// On the server: path is a node, each member an ephemeral node in it with its data.
// REEVE_LAYOUT_CURATOR: named by the id, as Curator's GroupMember. If another session has a node of
// that id, joining waits until it is gone (Curator would share it). REEVE_LAYOUT_KAZOO: named
// `<guid>__party__`, as kazoo's Party, whose identifier is the data.
//
// Threads: any; callbacks on the loop's thread. Everything given is copied. Without memory steps
// are tried again a little later, or at the next call or change of the session. Free handles before
// reeve_close(); those forgotten are freed by it and must not be used after it.
#pragma once

#include "reeve/lock.h"

#ifdef __cplusplus
extern "C" {
#endif

struct reeve_group_options {
    enum reeve_layout layout;
    const char *id; // of a member; one part of a path. NULL: only looks on. Not used by kazoo's
    const void *data;
    size_t data_len;
    // All members, soon after reeve_group_new() and at each change of a member or its data (servers
    // before 3.6: of members only). Names are ids, or kazoo's nodes. e: list is NULL and nothing
    // more will be told: CLOSED, AUTH_FAILED, NO_AUTH, SESSION_EXPIRED (options.one_session).
    reeve_contenders_fn *on_members;
    // Joining again was refused: it is no member any more. NO_AUTH, NO_NODE (the chroot is
    // missing), AUTH_FAILED, CLOSED, ...
    void (*failed)(void *ctx, enum reeve_error why);
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

struct reeve_group;

// BAD_ARGUMENTS, NO_MEMORY. *g is NULL on errors.
REEVE_API enum reeve_error reeve_group_new(struct reeve_group **g, struct reeve *zk,
                                           const char *path, const struct reeve_group_options *o);
// Any thread, also from callbacks; returns at once. Our node goes in the background. Listeners are
// not called any more once this returns (on the loop's thread; elsewhere a call may be under way).
REEVE_API void reeve_group_free(struct reeve_group **g);

typedef void reeve_group_fn(void *ctx, enum reeve_error e);
// Told when the node is there. timeout_ms -1: no limit; what was not done in time is ended as by
// reeve_group_leave(). OPERATION_TIMEOUT, CANCELLED (left or freed), BAD_ARGUMENTS (no id, or it is
// a member or joining already), and what failed() says. done may be NULL.
REEVE_API enum reeve_error reeve_group_join_async(struct reeve_group *g, int64_t timeout_ms,
                                                  reeve_group_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_group_join(struct reeve_group *g, int64_t timeout_ms);
// Told when the node is gone: OK; NO_NODE: it was no member; others: it may be there until the
// session ends.
REEVE_API enum reeve_error reeve_group_leave_async(struct reeve_group *g, reeve_group_fn *done,
                                                   void *ctx);
REEVE_API enum reeve_error reeve_group_leave(struct reeve_group *g);
// Other data, for now and whenever it joins again. Told when the servers have it, or later data of
// ours; at once if it is no member. The servers' errors (NO_AUTH ...), TOO_BIG (over the client's
// request_max), CANCELLED (freed), CLOSED.
REEVE_API enum reeve_error reeve_group_set_data_async(struct reeve_group *g, const void *data,
                                                      size_t n, reeve_group_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_group_set_data(struct reeve_group *g, const void *data, size_t n);

// Who is there now, asked of the server. *list is for reeve_contenders_free().
REEVE_API enum reeve_error reeve_group_members_async(struct reeve_group *g,
                                                     reeve_contenders_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_group_members(struct reeve_group *g,
                                               struct reeve_contenders **list);

#ifdef __cplusplus
}
#endif
