// SPDX-License-Identifier: Apache-2.0
//
// struct ask: one request of a simulated client: what was asked, by whom, what the model says must
// come of it, and what came. It lives in the client's arena to the end of the run.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "wire/ops.h"
#include "wire/records.h"
#include "wire/zkerr.h"

enum { XID_EVENT = -1, XID_PING = -2, XID_AUTH = -4, XID_SET_WATCHES = -8 };

// Who asks, as ACLs see it: the client (its address) and a bit per identity added.
enum { USERS = 2 };
struct who {
    uint32_t client;
    unsigned users;
};

enum ask_state { ASK_SENT, ASK_ANSWERED, ASK_LOST };

struct ask {
    int32_t xid, type;
    struct slice path, data;
    int32_t version, flags, mode; // mode: of addWatch; type of check- and removeWatches
    int32_t acl;                  // row of acls.c
    int64_t ttl_ms;
    bool watch;
    struct ask *parts; // of multi
    int32_t parts_n;
    struct set_watches2 set; // of setWatches2 (and, without its last two, setWatches)
    struct who who;
    int64_t session;

    enum ask_state state;
    int64_t sent_ns, sent_zxid; // when, and what the server had applied then
    int64_t after_zxid;         // the newest write that anybody had an answer to then
    bool full_then;             // the disk had a limit at some time between request and reply

    bool decided; // the model has executed it, at zxid
    bool refused; // answered as not executed
    int64_t zxid;
    int32_t err;
    struct slice body;
};

bool ask_is_write(const struct ask *q);
void ask_encode(const struct ask *q, struct buf *frame); // appends the whole frame
// One frame behind its length; slices point into it. False: it is none of what clients here ask.
bool ask_decode(struct slice frame, struct arena *a, struct ask *q);
void ask_fmt(const struct ask *q, char *text, size_t n);

// The ACL lists clients use, by number; and the identities they may add.
enum { ACLS = 10 };
struct acl_vec acls_list(int32_t row);
int32_t acls_find(struct acl_vec list);  // its row, -1: none
const char *acls_user(uint32_t user);    // "user:password"
struct slice acls_digest(uint32_t user); // "user:hash"
struct slice acls_ip(uint32_t client);   // "10.0.0.1"

// What is stored of a list that `who` asks for; n == -1: INVALIDACL.
struct acl_vec acls_fix(int32_t row, struct who who, struct arena *a);
bool acls_allow(struct acl_vec stored, int32_t perms, struct who who);
// As getACL shows it to somebody without ADMIN.
struct acl_vec acls_mask(struct acl_vec stored, struct arena *a);
