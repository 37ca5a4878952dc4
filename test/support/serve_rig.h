// SPDX-License-Identifier: Apache-2.0
//
// A server around struct serve without disk and network: the rig plays node (prep, apply), env (a
// client end per connection) and the clock. Submitted writes wait in a queue until they are
// committed: at once (auto_commit), or when the test says so. Bad use of the outputs by serve fails
// here: orders for connections that do not exist, reading orders that contradict each other.
#pragma once

#include "serve/expiry.h"
#include "serve/serve.h"
#include "tree/prep.h"

enum { RIG_CONNS = 4096 };

struct rig_client {
    bool open;   // accepted, ENV_CLOSED not delivered
    bool closed; // by the server
    bool paused;
    bool slow;         // output stays with the env
    struct buf got;    // what arrived
    size_t read;       // of it looked at by rig_next
    struct buf unsent; // what a slow one has not taken
    struct buf held;   // sent while the server did not read
};

// Answered when the writes submitted before it are committed, as the leader does.
struct rig_ask {
    uint64_t tag;
    int64_t session; // of a renewal, 0: a sync
    size_t after;    // log entries
};

struct rig {
    struct serve_config cfg;
    struct tree *tree;
    struct pending *pending;
    struct serve *serve;
    struct serve_facts facts;
    struct expiry *expiry; // NULL: sessions do not expire; see rig_expire_sessions
    struct mono now;
    struct wall wall;
    bool auto_commit;
    bool refuse;                   // the disk is full
    bool takes_locals;             // the leader lets sessions write that it does not know
    bool one_round;                // connections that have had their turn wait for the next event
    struct rig_client *clients;    // RIG_CONNS of them
    uint32_t clients_high;         // above the highest number used
    struct buf *log;               // submitted, not committed: encoded transactions
    size_t log_n, log_cap, log_at; // log_at: the next to commit
    struct rig_ask *asks;          // syncs and renewals without an answer
    size_t asks_n, asks_cap;
    size_t touches; // SUBMIT_TOUCH so far
    int64_t zxid;
    size_t logged;       // log lines
    struct buf rest_hex; // what rig_rest_hex() gave last
    struct logger logger;
};

struct rig_reply {
    int32_t xid;
    int64_t zxid;
    int32_t err;
    struct slice body; // valid until the next event
};

void rig_defaults(struct serve_config *cfg);
struct rig *rig_new(const struct serve_config *cfg); // NULL: the defaults
void rig_free(struct rig **r);
void rig_expire_sessions(struct rig *r); // from now on, as a leader does it: those that are silent

uint32_t rig_accept(struct rig *r, uint8_t last_ip_byte); // from 127.0.0.<byte>
void rig_send(struct rig *r, uint32_t conn, struct slice bytes);
void rig_send_hex(struct rig *r, uint32_t conn, const char *hex); // as captures are written down
void rig_hang_up(struct rig *r, uint32_t conn);
void rig_slow(struct rig *r, uint32_t conn, bool slow); // false: takes all that waits
void rig_advance(struct rig *r, int64_t ms);            // time, with a tick
void rig_mode(struct rig *r, enum serve_mode mode);
void rig_end_session(struct rig *r, int64_t session); // as if it had been silent for too long
bool rig_commit(struct rig *r);                       // the oldest write; false: there is none
void rig_settle(struct rig *r);                       // commits and answers until nothing is left

// A handshake, to the end. Returns the session (0: refused).
int64_t rig_connect(struct rig *r, uint32_t conn, int32_t timeout_ms);
uint32_t rig_client(struct rig *r); // accept and connect
// A connection that asks for this session with its password, for 0: for a new one. The answer may
// still be to come.
uint32_t rig_renew(struct rig *r, int64_t session, bool read_only);
// The next reply or notification; false: none. A session's connection only.
bool rig_next(struct rig *r, uint32_t conn, struct rig_reply *reply);
struct slice rig_rest(struct rig *r, uint32_t conn);    // bytes not looked at yet; taken with it
const char *rig_rest_hex(struct rig *r, uint32_t conn); // the same as text, good until the next
bool rig_eof(const struct rig *r, uint32_t conn);       // the server has closed it

// Request frames, appended.
void rig_put_connect(struct buf *b, int32_t timeout_ms, int64_t session, struct slice passwd,
                     bool read_only_byte);
// The handshake of rig_renew().
void rig_put_renew(struct buf *b, int64_t session, bool read_only);
void rig_put_head(struct buf *b, int32_t xid, int32_t op); // no body
void rig_put_path(struct buf *b, int32_t xid, int32_t op, const char *path);
void rig_put_read(struct buf *b, int32_t xid, int32_t op, const char *path, bool watch);
void rig_put_create(struct buf *b, int32_t xid, int32_t op, const char *path, struct slice data,
                    int32_t flags);
void rig_put_set(struct buf *b, int32_t xid, const char *path, struct slice data);
void rig_put_delete(struct buf *b, int32_t xid, const char *path);
void rig_put_auth(struct buf *b, int32_t xid, const char *scheme, struct slice data);
void rig_put_int(struct buf *b, int32_t xid, int32_t op, const char *path, int32_t v);
