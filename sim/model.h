// SPDX-License-Identifier: Apache-2.0
//
// struct model: the tree a second time, made for being obviously right and not for speed: a sorted
// array of paths, each with every version it ever had. So a read can be judged at the very zxid its
// reply carries, however late the reply arrives. It shares no code with src/tree.
//
//   log record + the request it came from -> decide -> versions, fired watches, the expected reply
//   read + zxid of its reply              -> answer -> the expected reply
#pragma once

#include "sim/ask.h"

enum model_kind { MODEL_PLAIN, MODEL_EPHEMERAL, MODEL_CONTAINER, MODEL_TTL };

struct model_version { // a node from zxid on
    int64_t zxid;
    bool exists;
    enum model_kind kind;
    struct slice data;
    struct acl_vec acl;
    int64_t czxid, mzxid, pzxid, ctime, mtime, session, ttl_ms;
    int32_t version, creations, aversion; // creations: the stored cversion
};

struct model_node {
    struct slice path;
    struct model_version *v;
    size_t n, cap;
};

struct model_fired { // what watches see, in order
    int64_t zxid;
    bool child_list;  // which list is asked
    bool unless_data; // not who was just served by the data list
    bool any_order;   // of a close: deletions come in any order
    int32_t type;
    struct slice path;
    struct acl_vec acl;
};

struct model_session {
    int64_t id, created, closed; // zxids; closed 0: alive
    int32_t timeout_ms;
    int32_t last_xid;         // executed
    int64_t heard_ns, gap_ns; // longest silence, in time the server ran
    uint32_t heard_host;      // where it was heard
    bool said_dead;           // a client was told that it does not exist
};

struct model {
    struct arena arena;
    struct model_node **nodes; // by path
    size_t nodes_n, nodes_cap;
    struct model_fired *fired;
    size_t fired_n, fired_cap;
    struct model_session *sessions;
    size_t sessions_n, sessions_cap;
    int64_t zxid; // last executed
};

struct model *model_new(void);
void model_free(struct model **m);

// A node as it was at a zxid; NULL if there was none.
const struct model_version *model_at(const struct model *m, struct slice path, int64_t zxid);
// All versions it ever had; NULL: it never was.
const struct model_node *model_history(const struct model *m, struct slice path);
int32_t model_children(const struct model *m, struct slice path, int64_t zxid);
void model_stat(const struct model *m, struct slice path, int64_t zxid, struct node_stat *st);
struct model_session *model_session(struct model *m, int64_t id); // NULL: never was

// A version at `zxid` to write to; the node is made if missing.
struct model_version *model_edit(struct model *m, struct slice path, int64_t zxid);
void model_fire(struct model *m, struct model_fired f);
// Forgets everything `zxid` has done: a multi that failed.
void model_undo(struct model *m, int64_t zxid);

struct slice model_parent(struct slice path); // "/" of a top-level node
bool model_path_is_valid(struct slice path);

// decide.c: execute a request that the log shows at zxid, and note what its reply must be.
void decide(struct model *m, struct ask *q, int64_t zxid, int64_t time_ms);
void decide_close(struct model *m, int64_t session, int64_t zxid);
bool decide_reap(struct model *m, struct slice path, int64_t zxid); // false: must not go

// answer.c: what a read must be answered at zxid. Appends the body. Lists of names are sorted.
int32_t answer(const struct model *m, const struct ask *q, int64_t zxid, struct arena *a,
               struct buf *body);
