// SPDX-License-Identifier: Apache-2.0
//
// A lock that one client of all has at a time, first come, first served.
//
//     struct reeve_lock *lock;
//     struct reeve_lock_options o = {.payload = "host-7", .payload_len = 6, .on_lost = stop};
//     int64_t token;
//     if (!reeve_lock_new(&lock, zk, "/app/lock", &o) &&
//         !reeve_lock_acquire(lock, 30000, &token)) {
//         ... write to the storage, with the token ...
//         reeve_lock_release(lock);
//     }
//     reeve_lock_free(&lock);
//
// What it guarantees: a handle is told that it has the lock only while no other client has it by
// the servers' word, in the order in which the clients came. If the session is lost, on_lost() is
// called by this client's own clock, connected or not, before the servers can have given the lock
// to anybody else; also when somebody deletes our node, then as soon as the servers tell.
//
// What it cannot guarantee: that the server it is connected to is not itself cut off from the
// others (reeve.h, Sessions), and that this process runs. One that is paused (a stopped process, a
// suspended machine) goes on behind its deadline without having been told, and is told then, first
// of all; what it did in between, others may have done as well. Where that must not be, give the
// token along with each write, and let the storage refuse a token lower than one it has seen.
// Tokens grow from holder to holder, whatever program it is: the czxid of its node.
//
// On the server: path is a container, each contender an ephemeral sequential node in it, whose data
// is the payload. REEVE_LAYOUT_CURATOR: `_c_<guid>-lock-<number>`, as Curator's InterProcessMutex;
// REEVE_LAYOUT_KAZOO: `<guid>__lock__<number>`, as kazoo's Lock. Each contends with its program,
// and the two with each other (a kazoo program that is to contend with Curator's layout needs
// extra_lock_patterns=["-lock-"]). Each contender watches the one before it, and only that one: a
// release wakes one client, whatever number waits.
//
// Without memory an acquire fails with NO_MEMORY, and what is to be cleaned up is tried again a
// little later; if there is none even for that, at the next call or change of the session.
//
// Lost connections are gone through unseen; a contender whose session is lost while it waits stands
// in line anew, at the end. Threads: any; callbacks on the loop's thread. Payload, path and options
// are copied. One handle is one contender: threads that want to exclude each other have one each.
//
// Free handles before reeve_close(); those forgotten are freed by it and must not be used after it.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

enum reeve_layout { REEVE_LAYOUT_CURATOR, REEVE_LAYOUT_KAZOO };

struct reeve_lock_options {
    enum reeve_layout layout;
    const void *payload; // who we are, for reeve_lock_holders(); kazoo shows it as text
    size_t payload_len;
    // The lock that was held is held no more: SESSION_EXPIRED, AUTH_FAILED, CLOSED, NO_NODE
    // (somebody deleted our node). Not called for what reeve_lock_release() or _free() gave back.
    void (*on_lost)(void *ctx, enum reeve_error why);
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

struct reeve_lock;

// BAD_ARGUMENTS: the path. NO_MEMORY. *l is NULL on errors. Nothing is asked of the servers yet.
REEVE_API enum reeve_error reeve_lock_new(struct reeve_lock **l, struct reeve *zk, const char *path,
                                          const struct reeve_lock_options *o);
// Any thread, also from callbacks; returns at once. What is held is given back in the background,
// who waits is called with CANCELLED.
REEVE_API void reeve_lock_free(struct reeve_lock **l);

// OK and the token (above 0), or an error and 0.
typedef void reeve_lock_fn(void *ctx, enum reeve_error e, int64_t token);
// timeout_ms: how long to wait at most; 0: only if nobody is before us, however long it takes to
// ask (without a connection until there is one); -1: no limit. Errors: OPERATION_TIMEOUT, CANCELLED
// (reeve_lock_cancel, reeve_lock_free), BAD_ARGUMENTS (this handle has it, or is asking for it),
// NO_MEMORY, CLOSED, AUTH_FAILED, SESSION_EXPIRED (only with options.one_session), the servers'
// (NO_AUTH, NO_NODE: the chroot is missing, QUOTA_EXCEEDED ...).
REEVE_API enum reeve_error reeve_lock_acquire_async(struct reeve_lock *l, int64_t timeout_ms,
                                                    reeve_lock_fn *done, void *ctx);
// token may be NULL. WRONG_THREAD: from a callback.
REEVE_API enum reeve_error reeve_lock_acquire(struct reeve_lock *l, int64_t timeout_ms,
                                              int64_t *token);
// Ends an acquire that is under way with CANCELLED; nothing if there is none, or it is done.
// NO_MEMORY, CLOSED: it was not ended.
REEVE_API enum reeve_error reeve_lock_cancel(struct reeve_lock *l);

typedef void reeve_lock_released_fn(void *ctx, enum reeve_error e);
// Told when the node is gone. It is deleted as often as connections are lost. NO_NODE: it was not
// held (any more); others: it may be there until the session ends. done may be NULL.
REEVE_API enum reeve_error reeve_lock_release_async(struct reeve_lock *l,
                                                    reeve_lock_released_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_lock_release(struct reeve_lock *l);

// The token while it is held, 0 else: what is known now, without asking.
REEVE_API int64_t reeve_lock_token(const struct reeve_lock *l);

// ---- who contends -------------------------------------------------------------------------------

// Of a node that may not be read (NO_AUTH) only the name is known.
struct reeve_contender {
    const char *name; // of its node
    const void *data; // its payload, and a NUL that does not count
    size_t data_len;
    int64_t token;   // of its node; what it has, or will have
    int64_t session; // its owner
    bool shared;     // read/write locks: a reader
};

struct reeve_contenders {
    struct reeve_contender *list; // the holder first, then in the order in which they wait
    size_t n;
    struct reeve *zk;
};

// list is valid during the callback, NULL with errors.
typedef void reeve_contenders_fn(void *ctx, enum reeve_error e,
                                 const struct reeve_contenders *list);
REEVE_API enum reeve_error reeve_lock_holders_async(struct reeve_lock *l, reeve_contenders_fn *done,
                                                    void *ctx);
// *list is for reeve_contenders_free(), before the client is closed.
REEVE_API enum reeve_error reeve_lock_holders(struct reeve_lock *l, struct reeve_contenders **list);
REEVE_API void reeve_contenders_free(struct reeve_contenders **list);

#ifdef __cplusplus
}
#endif
