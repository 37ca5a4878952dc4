// SPDX-License-Identifier: Apache-2.0
//
// One pair of functions for each operation: reeve_x() waits and returns the error of the result,
// reeve_x_async() submits. They fill in a struct reeve_request and nothing else; reeve.h says what
// holds for all of them. Included by reeve.h.
//
// `r` of the waiting ones may be NULL; otherwise give it to reeve_result_fini(), whatever came out.
#pragma once

#include <string.h>

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

// What the functions below fill in. No designated initialisers: this is read by C++ as well.
static inline struct reeve_request reeve_request_of(enum reeve_op op, const char *path)
{
    struct reeve_request q;
    memset(&q, 0, sizeof(q));
    q.op = op;
    q.path = path;
    return q;
}

// A CREATE: as reeve_create() fills it in.
static inline struct reeve_request reeve_request_create(const char *path, const void *data,
                                                        size_t data_len, unsigned flags)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CREATE, path);
    q.data = data;
    q.data_len = data_len;
    q.flags = flags;
    return q;
}

// A SET: as reeve_set() fills it in.
static inline struct reeve_request reeve_request_set(const char *path, const void *data,
                                                     size_t data_len, int32_t version)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_SET, path);
    q.data = data;
    q.data_len = data_len;
    q.version = version;
    return q;
}

// *w, or no watch where w is NULL.
static inline struct reeve_watch reeve_watch_or_none(const struct reeve_watch *w)
{
    struct reeve_watch none = {NULL, NULL};
    return w ? *w : none;
}

// A node. The result's `created` is its path, with the digits of a sequential one.
static inline enum reeve_error reeve_create(struct reeve *zk, const char *path, const void *data,
                                            size_t data_len, unsigned flags, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_create_async(struct reeve *zk, const char *path,
                                                  const void *data, size_t data_len, unsigned flags,
                                                  reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    return reeve_submit(zk, &q, done, ctx);
}

// The same with an access control list; NULL: everybody may do everything.
static inline enum reeve_error reeve_create_acl(struct reeve *zk, const char *path,
                                                const void *data, size_t data_len, unsigned flags,
                                                const struct reeve_acl *acl, size_t acl_n,
                                                struct reeve_result *r)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    q.acl = acl;
    q.acl_n = acl_n;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_create_acl_async(struct reeve *zk, const char *path,
                                                      const void *data, size_t data_len,
                                                      unsigned flags, const struct reeve_acl *acl,
                                                      size_t acl_n, reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    q.acl = acl;
    q.acl_n = acl_n;
    return reeve_submit(zk, &q, done, ctx);
}

// A node that goes when it had neither changes nor children for ttl_ms. flags:
// REEVE_PERSISTENT or REEVE_SEQUENTIAL.
static inline enum reeve_error reeve_create_ttl(struct reeve *zk, const char *path,
                                                const void *data, size_t data_len, unsigned flags,
                                                int64_t ttl_ms, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    q.ttl_ms = ttl_ms > 0 ? ttl_ms : -1; // 0 in a request: lives for ever
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_create_ttl_async(struct reeve *zk, const char *path,
                                                      const void *data, size_t data_len,
                                                      unsigned flags, int64_t ttl_ms,
                                                      reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    q.ttl_ms = ttl_ms > 0 ? ttl_ms : -1; // 0 in a request: lives for ever
    return reeve_submit(zk, &q, done, ctx);
}

// version: stat.version, or REEVE_ANY_VERSION. NO_NODE, BAD_VERSION, NOT_EMPTY.
static inline enum reeve_error reeve_delete(struct reeve *zk, const char *path, int32_t version,
                                            struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_DELETE, path);
    q.version = version;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_delete_async(struct reeve *zk, const char *path,
                                                  int32_t version, reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_DELETE, path);
    q.version = version;
    return reeve_submit(zk, &q, done, ctx);
}

// Its stat, or NO_NODE. The watch is set in both cases. watch (here and below) may be NULL.
static inline enum reeve_error reeve_exists(struct reeve *zk, const char *path,
                                            const struct reeve_watch *watch, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_EXISTS, path);
    q.watch = reeve_watch_or_none(watch);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_exists_async(struct reeve *zk, const char *path,
                                                  const struct reeve_watch *watch,
                                                  reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_EXISTS, path);
    q.watch = reeve_watch_or_none(watch);
    return reeve_submit(zk, &q, done, ctx);
}

// Data and stat.
static inline enum reeve_error reeve_get(struct reeve *zk, const char *path,
                                         const struct reeve_watch *watch, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET, path);
    q.watch = reeve_watch_or_none(watch);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_get_async(struct reeve *zk, const char *path,
                                               const struct reeve_watch *watch, reeve_done_fn *done,
                                               void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET, path);
    q.watch = reeve_watch_or_none(watch);
    return reeve_submit(zk, &q, done, ctx);
}

// Other data; stat is the new one. version: stat.version, or REEVE_ANY_VERSION. NO_NODE,
// BAD_VERSION.
static inline enum reeve_error reeve_set(struct reeve *zk, const char *path, const void *data,
                                         size_t data_len, int32_t version, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_set(path, data, data_len, version);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_set_async(struct reeve *zk, const char *path, const void *data,
                                               size_t data_len, int32_t version,
                                               reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_set(path, data, data_len, version);
    return reeve_submit(zk, &q, done, ctx);
}

// Names, in no order, and stat.
static inline enum reeve_error reeve_children(struct reeve *zk, const char *path,
                                              const struct reeve_watch *watch,
                                              struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CHILDREN, path);
    q.watch = reeve_watch_or_none(watch);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_children_async(struct reeve *zk, const char *path,
                                                    const struct reeve_watch *watch,
                                                    reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CHILDREN, path);
    q.watch = reeve_watch_or_none(watch);
    return reeve_submit(zk, &q, done, ctx);
}

// `acl` and stat. Who has no ADMIN permission sees no digests.
static inline enum reeve_error reeve_get_acl(struct reeve *zk, const char *path,
                                             struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET_ACL, path);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_get_acl_async(struct reeve *zk, const char *path,
                                                   reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET_ACL, path);
    return reeve_submit(zk, &q, done, ctx);
}

// acl may not be NULL. version: stat.aversion, or REEVE_ANY_VERSION; stat is the new one.
static inline enum reeve_error reeve_set_acl(struct reeve *zk, const char *path,
                                             const struct reeve_acl *acl, size_t acl_n,
                                             int32_t version, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_SET_ACL, path);
    q.acl = acl;
    q.acl_n = acl_n;
    q.version = version;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_set_acl_async(struct reeve *zk, const char *path,
                                                   const struct reeve_acl *acl, size_t acl_n,
                                                   int32_t version, reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_SET_ACL, path);
    q.acl = acl;
    q.acl_n = acl_n;
    q.version = version;
    return reeve_submit(zk, &q, done, ctx);
}

// What was committed anywhere before is seen by reads after this.
static inline enum reeve_error reeve_sync(struct reeve *zk, const char *path,
                                          struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_SYNC, path);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_sync_async(struct reeve *zk, const char *path,
                                                reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_SYNC, path);
    return reeve_submit(zk, &q, done, ctx);
}

// kind: REEVE_WATCH_PERSISTENT or REEVE_WATCH_RECURSIVE. UNIMPLEMENTED: a server before 3.6. Until
// 3.8 a server keeps one watch of a client at a path, whatever its kind: a one-shot watch that is
// set there later takes the place of this one, which hears nothing more after its event. Use a
// second client, or none of the other kind there.
static inline enum reeve_error reeve_add_watch(struct reeve *zk, const char *path,
                                               enum reeve_watch_kind kind,
                                               const struct reeve_watch *watch,
                                               struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_ADD_WATCH, path);
    q.kind = kind;
    q.watch = reeve_watch_or_none(watch);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_add_watch_async(struct reeve *zk, const char *path,
                                                     enum reeve_watch_kind kind,
                                                     const struct reeve_watch *watch,
                                                     reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_ADD_WATCH, path);
    q.kind = kind;
    q.watch = reeve_watch_or_none(watch);
    return reeve_submit(zk, &q, done, ctx);
}

// All of this client's watches of this kind at path end; see also reeve_unwatch(). The kinds
// PERSISTENT and RECURSIVE by themselves need a server from 3.9 on: MARSHALLING_ERROR before.
static inline enum reeve_error reeve_remove_watches(struct reeve *zk, const char *path,
                                                    enum reeve_watch_kind kind,
                                                    struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_REMOVE_WATCHES, path);
    q.kind = kind;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_remove_watches_async(struct reeve *zk, const char *path,
                                                          enum reeve_watch_kind kind,
                                                          reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_REMOVE_WATCHES, path);
    q.kind = kind;
    return reeve_submit(zk, &q, done, ctx);
}

// Whether the server has such a watch of this client: OK or NO_WATCHER.
static inline enum reeve_error reeve_check_watches(struct reeve *zk, const char *path,
                                                   enum reeve_watch_kind kind,
                                                   struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CHECK_WATCHES, path);
    q.kind = kind;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_check_watches_async(struct reeve *zk, const char *path,
                                                         enum reeve_watch_kind kind,
                                                         reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CHECK_WATCHES, path);
    q.kind = kind;
    return reeve_submit(zk, &q, done, ctx);
}

// Whole paths of this session's ephemeral nodes that begin with prefix; `children`.
static inline enum reeve_error reeve_ephemerals(struct reeve *zk, const char *prefix,
                                                struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_EPHEMERALS, prefix);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_ephemerals_async(struct reeve *zk, const char *prefix,
                                                      reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_EPHEMERALS, prefix);
    return reeve_submit(zk, &q, done, ctx);
}

// How many nodes there are below path: `number`.
static inline enum reeve_error reeve_all_children_number(struct reeve *zk, const char *path,
                                                         struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_ALL_CHILDREN, path);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_all_children_number_async(struct reeve *zk, const char *path,
                                                               reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_ALL_CHILDREN, path);
    return reeve_submit(zk, &q, done, ctx);
}

// The identities of this session: `acl`, without permissions.
static inline enum reeve_error reeve_who_am_i(struct reeve *zk, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_WHO_AM_I, NULL);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_who_am_i_async(struct reeve *zk, reeve_done_fn *done,
                                                    void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_WHO_AM_I, NULL);
    return reeve_submit(zk, &q, done, ctx);
}

// AUTH_FAILED ends the client. It is told to every server the client comes to.
static inline enum reeve_error reeve_add_auth(struct reeve *zk, const char *scheme,
                                              const void *auth, size_t auth_len,
                                              struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_ADD_AUTH, NULL);
    q.scheme = scheme;
    q.data = auth;
    q.data_len = auth_len;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_add_auth_async(struct reeve *zk, const char *scheme,
                                                    const void *auth, size_t auth_len,
                                                    reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_ADD_AUTH, NULL);
    q.scheme = scheme;
    q.data = auth;
    q.data_len = auth_len;
    return reeve_submit(zk, &q, done, ctx);
}

// The ensemble's members as text: `data`.
static inline enum reeve_error reeve_get_config(struct reeve *zk, const struct reeve_watch *watch,
                                                struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET_CONFIG, NULL);
    q.watch = reeve_watch_or_none(watch);
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_get_config_async(struct reeve *zk,
                                                      const struct reeve_watch *watch,
                                                      reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET_CONFIG, NULL);
    q.watch = reeve_watch_or_none(watch);
    return reeve_submit(zk, &q, done, ctx);
}

// joining and leaving, or all members; the others NULL. version -1: any. `data` is what became of
// it.
static inline enum reeve_error reeve_reconfig(struct reeve *zk, const char *joining,
                                              const char *leaving, const char *members,
                                              int64_t version, struct reeve_result *r)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_RECONFIG, NULL);
    q.joining = joining;
    q.leaving = leaving;
    q.members = members;
    q.config_version = version;
    return reeve_call(zk, &q, r);
}

static inline enum reeve_error reeve_reconfig_async(struct reeve *zk, const char *joining,
                                                    const char *leaving, const char *members,
                                                    int64_t version, reeve_done_fn *done, void *ctx)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_RECONFIG, NULL);
    q.joining = joining;
    q.leaving = leaving;
    q.members = members;
    q.config_version = version;
    return reeve_submit(zk, &q, done, ctx);
}

// ---- multi --------------------------------------------------------------------------------------

// All or nothing, built part by part. An error while building (NO_MEMORY) is kept and told by
// commit. Paths and data are borrowed until then. One multi is either of writes or of reads.
//
//     struct reeve_multi *m = reeve_multi_new(zk);
//     reeve_multi_check(m, "/leader", 7);
//     reeve_multi_set(m, "/a", "1", 1, REEVE_ANY_VERSION);
//     if (reeve_multi_commit(m, &r)) { ... r.parts[i].error says which one it was ... }
//     reeve_multi_free(&m);
struct reeve_multi;
REEVE_API struct reeve_multi *reeve_multi_new(struct reeve *zk); // NULL is accepted by all below
REEVE_API void reeve_multi_add(struct reeve_multi *m, const struct reeve_request *part);
REEVE_API enum reeve_error reeve_multi_commit(struct reeve_multi *m, struct reeve_result *r);
REEVE_API enum reeve_error reeve_multi_commit_async(struct reeve_multi *m, reeve_done_fn *done,
                                                    void *ctx);
REEVE_API void reeve_multi_free(struct reeve_multi **m);

// As reeve_create(). A TTL or an access control list: reeve_multi_add().
static inline void reeve_multi_create(struct reeve_multi *m, const char *path, const void *data,
                                      size_t data_len, unsigned flags)
{
    struct reeve_request q = reeve_request_create(path, data, data_len, flags);
    reeve_multi_add(m, &q);
}

// As reeve_delete().
static inline void reeve_multi_delete(struct reeve_multi *m, const char *path, int32_t version)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_DELETE, path);
    q.version = version;
    reeve_multi_add(m, &q);
}

// As reeve_set().
static inline void reeve_multi_set(struct reeve_multi *m, const char *path, const void *data,
                                   size_t data_len, int32_t version)
{
    struct reeve_request q = reeve_request_set(path, data, data_len, version);
    reeve_multi_add(m, &q);
}

// Nothing is done unless the node exists and has this version (or REEVE_ANY_VERSION).
static inline void reeve_multi_check(struct reeve_multi *m, const char *path, int32_t version)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CHECK, path);
    q.version = version;
    reeve_multi_add(m, &q);
}

// As reeve_get(), without a watch. Each part has its own error.
static inline void reeve_multi_get(struct reeve_multi *m, const char *path)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_GET, path);
    reeve_multi_add(m, &q);
}

// As reeve_children(), without a watch and without stat.
static inline void reeve_multi_children(struct reeve_multi *m, const char *path)
{
    struct reeve_request q = reeve_request_of(REEVE_OP_CHILDREN, path);
    reeve_multi_add(m, &q);
}

#ifdef __cplusplus
}
#endif
