// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the tree share: a tree with its overlay, requests by one line each, the
// pipeline between prep and apply, and a picture of a tree as text.
#pragma once

#include "tree/apply.h"
#include "tree/load.h"
#include "tree/prep.h"
#include "tree/read.h"

enum { KIT_PIPE_MAX = 64 };

struct kit {
    struct tree_config cfg;
    struct logger log;
    int warnings; // log lines from WARN up
    char last_line[1024];
    struct tree *t;
    struct pending *p;
    int64_t zxid;
    int64_t ms; // wall clock of the next prep
    struct auth who;
    enum zkerr refuse; // of the next request alone
    struct zk_id ids[4];
    struct arena arena; // of the last answer
    struct apply_out out;
    struct buf pipe[KIT_PIPE_MAX]; // prepared and not yet applied, oldest first
    int pipe_n;
    struct buf body; // of the request being built
};

void kit_init(struct kit *k); // cfg may be changed before kit_ready()
void kit_ready(struct kit *k);
void kit_fini(struct kit *k);

// Prepares k->body and leaves the entry in the pipe; the answer prep gives.
enum zkerr kit_prep(struct kit *k, int64_t session, int32_t op);
void kit_apply(struct kit *k); // the oldest entry; k->out is what came of it
void kit_apply_all(struct kit *k);
// Prepares and applies; the answer a client gets (of a multi: always ZK_OK).
enum zkerr kit_do(struct kit *k, int64_t session, int32_t op);

// Bodies of requests, into k->body. ACL: world:anyone all.
void kit_create_body(struct kit *k, const char *path, const char *data, int32_t flags);
void kit_create_ttl_body(struct kit *k, const char *path, int32_t flags, int64_t ttl_ms);
void kit_create_acl_body(struct kit *k, const char *path, const struct acl_vec *acl, int32_t flags);
void kit_delete_body(struct kit *k, const char *path, int32_t version);
void kit_set_data_body(struct kit *k, const char *path, const char *data, int32_t version);
void kit_set_acl_body(struct kit *k, const char *path, const struct acl_vec *acl, int32_t version);
void kit_check_body(struct kit *k, const char *path, int32_t version);
void kit_path_body(struct kit *k, const char *path);
// A multi is built out of parts: clear, then type and body per part, then end.
void kit_multi_begin(struct kit *k);
void kit_multi_part(struct kit *k, int32_t op); // what was put into k->body since is its record
void kit_multi_end(struct kit *k);

// One line each, by the open session 1.
enum zkerr kit_create(struct kit *k, const char *path, const char *data, int32_t flags);
enum zkerr kit_delete(struct kit *k, const char *path, int32_t version);
enum zkerr kit_set_data(struct kit *k, const char *path, const char *data, int32_t version);
void kit_open_session(struct kit *k, int64_t session);
enum zkerr kit_close_session(struct kit *k, int64_t session);
void kit_reset_body(struct kit *k);

// Sessions, and every node with all stored fields, ACL and data, one per line, sorted.
char *kit_picture(const struct tree *t);                          // free()
struct node_stat kit_stat(const struct kit *k, const char *path); // the node must exist
bool kit_has(const struct kit *k, const char *path);
const char *kit_data(const struct kit *k, const char *path); // in the arena; "(null)" for null
// Feeds the bytes of a walk to a fresh tree.
struct tree *kit_reload(const struct kit *k, struct slice snapshot, int64_t zxid);
