// SPDX-License-Identifier: Apache-2.0
//
// struct serve: the client side of a server, as a function: what comes in on connections, and what
// was committed, goes in; reply bytes, writes for the leader, and orders to the network come out.
//
//   accept, bytes, closed, drained ─┐                   ┌─> sends, closes, pauses (per connection)
//   committed txn + what it fired ──┼─> conn -> order ──┼─> submits: writes, syncs, renewals
//   refused, synced, renewed, tick ─┘      |            └─> read replies straight from the const
//   tree
//                                   watches, auth, throttle
//
// It owns connections, their order of requests, watches and identities. It has no socket and no
// clock; time comes with each event. It never calls back: outputs lie in struct serve_out until the
// caller has taken them. The tree is read, never changed.
//
// Order (client-protocol.md 1.9; Apache's CommitProcessor): replies of a connection leave in the
// order of its requests. A read behind an unanswered write, sync or renewal of its own connection
// waits for it; a write is submitted at once.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/mtime.h"
#include "base/summary.h"
#include "env.h"
#include "tree/apply.h"
#include "tree/tree.h"
#include "wire/zkerr.h"

struct serve_config {
    int32_t server_id; // high byte of session ids; 0 standalone counts as 1 there
    int32_t tick_ms, session_min_ms, session_max_ms;
    size_t frame_max;         // jute.maxbuffer, inclusive
    size_t bytes_max;         // frame_max + extra: longest string or buffer
    int32_t client_cnxns_max; // maxClientCnxns per address, 0: unlimited
    int32_t cnxns_max;        // maxCnxns, 0: unlimited
    int32_t outstanding_max;  // globalOutstandingLimit
    int64_t large_request_threshold, large_request_max_bytes; // -1: off
    int32_t throttle_max_requests; // request_throttle_max_requests, 0: off
    int32_t throttled_op_wait_ms;  // throttled_op_wait_time, 0: off
    int32_t connection_tokens, connection_token_fill_ms, connection_token_fill_count; // 0: off
    int32_t sessionless_timeout_ms;
    const char *fourletter_whitelist; // 4lw.commands.whitelist: "srvr, stat" or "*"
    const char *super_digest;         // DigestAuthenticationProvider.superDigest, NULL: none
    const char *digest_alg;           // DigestAuthenticationProvider.digestAlg
    const char *ensemble_auth_name;   // NULL: provider not loaded
    bool enforce_auth;                // enforce.auth.enabled
    const char *enforce_auth_schemes; // enforce.auth.schemes
    bool read_only_enabled;           // readonlymode.enabled: isro is whitelisted
    bool local_sessions;              // localSessionsEnabled; never on a standalone server
    bool local_upgrade;               // localSessionsUpgradingEnabled
    uint64_t seed;
    // For the four letter words; text owned by the caller for serve's life.
    const char *version; // "3.9.5-<commit>, built on <date>"
};

// Whom this server serves. A new struct serve is FULL; the node of an ensemble sets OFF first.
enum serve_mode {
    SERVE_OFF,      // no role: nobody
    SERVE_FULL,     // a role, or standalone: everybody
    SERVE_READ_ONLY // no quorum in reach: reads, for clients that said they can live with that
};

// Of a server's role, as the leader sees those that follow it.
struct serve_learner {
    int64_t sid;
    const char *address, *role; // "127.0.0.1:40312", "participant" or "observer"
    bool synced;
    int64_t zxid; // the last it acknowledged
};

// What a member of an ensemble tells besides. Counts of the leader are 0 elsewhere.
struct serve_ensemble {
    int64_t server_id, epoch;
    const char *peer_state; // "leading - broadcast", "following - synchronization - diff", ...
    int64_t quorum_size;    // voters
    int64_t learners;       // connected, of whatever kind
    int64_t synced_followers, synced_non_voting_followers;
    int64_t synced_observers; // of a leader or an observer master, -1: this is neither
    int64_t pending_syncs;
    int64_t proposal_last, proposal_min, proposal_max; // bytes, -1: none yet
    int64_t role_ms;                                   // since the role began to serve
    const char *observer_master;                       // of an observer: id of whom it follows
    int64_t elections; // how often it looked for a leader; why it did last, NULL: it did not
    const char *election_reason;
    int64_t diffs, snaps; // learners brought up by DIFF and by SNAP
    int64_t learner_proposals, learner_commits, quit_leading_disloyal;
    struct summary election_ms, unavailable_ms, leader_unavailable_ms;
    struct summary follower_sync_ms, observer_sync_ms;
    const struct serve_learner *list;
    size_t list_n;
};

// What the four letter words and later the admin server tell that serve does not know itself.
// Filled by node before each command that asks for it (serve_facts_fn is called on the core thread
// only).
struct serve_facts {
    const char *mode; // "standalone", "leader", "follower", "observer", "read-only"
    bool serving;     // false: it stops. While OFF the words say that it does not serve anyway
    const struct serve_ensemble *ensemble; // NULL: standalone
    int64_t uptime_ms, data_dir_size, log_dir_size, last_snap_zxid;
    int64_t fsync_slow, snap_count, snap_errors, proposals;
    struct summary fsync_ns, batch_txns, snapshot_ms, prep_ns;
    // Of the start: all of it, its parts, and how many transactions the log gave.
    int64_t init_ms, snap_load_ms, txns_load_ms, txns_loaded;
    const char *conf_text; // what `conf` prints
    struct env_sysinfo sys;
    const struct expiry *expiry; // for dump; NULL on a learner, which does not expire sessions
};

// A request that leaves serve for the leader. Slices are good until the next call into serve.
enum submit_kind {
    SUBMIT_WRITE,   // prep, propose; comes back as serve_on_commit or serve_on_refuse
    SUBMIT_SYNC,    // comes back as serve_on_synced
    SUBMIT_RENEW,   // is this session alive? comes back as serve_on_renewed
    SUBMIT_SESSION, // create this session: a write whose body is CreateSessionTxn. Also of a local
                    // session that becomes global; it comes before the write that needs it
    SUBMIT_TOUCH    // the connection ends; its session was heard of at `heard`. No answer
};
struct submit {
    enum submit_kind kind;
    uint32_t conn;
    int64_t session;
    int32_t cxid, op; // WRITE, SESSION, SYNC
    struct slice body;
    const struct auth *auth;
    int32_t timeout_ms; // RENEW, SESSION: negotiated
    uint64_t tag;       // SYNC, RENEW: to be given back
    struct mono heard;  // TOUCH
    bool local; // WRITE, SYNC: no session of the table; it may write, but own no ephemeral node
};

enum conn_order_kind {
    CONN_SEND,  // bytes wait in serve_conn_out()
    CONN_CLOSE, // after what is sent
    CONN_PAUSE,
    CONN_RESUME
};
struct conn_order {
    enum conn_order_kind kind;
    uint32_t conn;
};

struct serve_out {
    struct submit *submits;
    size_t submits_n, submits_cap;
    struct conn_order *orders;
    size_t orders_n, orders_cap;
};

struct serve;

struct serve *serve_new(const struct serve_config *cfg, const struct tree *tree,
                        const struct logger *log, struct wall now,
                        struct serve_facts *(*facts)(void *ctx), void *facts_ctx);
void serve_free(struct serve **s);

// Outputs gathered so far. The node takes submits right after each event (they point into its
// bytes) and orders once per loop turn; serve_submits_clear() and serve_orders_clear() say that it
// has.
struct serve_out *serve_out(struct serve *s);
void serve_submits_clear(struct serve *s);
void serve_orders_clear(struct serve *s);
// The output bytes of a connection, for env_send(); and what it said is left there. The latter may
// let a connection go on, so it may add orders and submits.
struct buf *serve_conn_out(struct serve *s, uint32_t conn);
void serve_conn_unsent(struct serve *s, uint32_t conn, size_t unsent);

void serve_on_accept(struct serve *s, uint32_t conn, const struct net_addr *peer,
                     const struct net_addr *local, struct mono now, struct wall wall);
void serve_on_data(struct serve *s, uint32_t conn, struct slice bytes, struct mono now,
                   struct wall wall);
void serve_on_drained(struct serve *s, uint32_t conn, struct mono now, struct wall wall);
void serve_on_closed(struct serve *s, uint32_t conn);
// Once per round of events: connections that have had their turn go on. If some want another, the
// next round should come at once.
void serve_on_turn(struct serve *s, struct mono now, struct wall wall);
bool serve_wants_turn(const struct serve *s);
void serve_on_tick(struct serve *s, struct mono now,
                   struct wall wall); // idle connections, throttles

// A transaction was applied. Fires watches first; then, if it answers the oldest unanswered write
// of a connection here (same session and cxid), replies; then serves the reads that waited behind
// it. A closeSession closes that session's connection.
void serve_on_commit(struct serve *s, const struct txn *txn, const struct apply_out *out,
                     struct mono now, struct wall wall);
// A submitted write will not happen (full disk): it is answered with err, in order; zxid as
// applied.
void serve_on_refuse(struct serve *s, int64_t session, int32_t cxid, int32_t op, enum zkerr err,
                     struct mono now, struct wall wall);
void serve_on_synced(struct serve *s, uint64_t tag, struct mono now, struct wall wall);
void serve_on_renewed(struct serve *s, uint64_t tag, bool alive, struct mono now, struct wall wall);

// When the session's connection last sent anything, for expiry; false if it has no connection here.
bool serve_last_heard(const struct serve *s, int64_t session, struct mono *at);
// For a learner's answer to PING: calls `each` for every global session that was heard here since
// the last call (also if its connection is gone by now), with the timeout it negotiated. Costs what
// was heard, not what is connected. The first call of a role tells all that are connected.
void serve_touched(struct serve *s, void (*each)(void *ctx, int64_t session, int32_t timeout_ms),
                   void *ctx);
// This process did not run for so long: nobody could be heard, so it is no silence.
void serve_shift(struct serve *s, int64_t ms);
void serve_stop(struct serve *s); // no new connections; existing ones are closed
// While true, no write is taken: whoever sends one waits. Reads go on.
void serve_hold_writes(struct serve *s, bool hold);

// The role changes. Leaving FULL or READ_ONLY ends every connection that has a session or asked for
// one (what it was answered still leaves) and forgets all that was submitted: submits not taken are
// dropped, outcomes that come late find nobody. Connections that have not asked for a session stay,
// words are answered in every mode. While OFF the node may replace what is in the tree.
//
// While OFF a ConnectRequest is not refused at once as Apache does: after a refusal a client sleeps
// up to a second before it tries the next server, which has no leader either, while an election
// takes a fraction of that. So it is held for LIMIT_HELD_CONNECT_MS at most and taken as soon as
// the new role serves. Only in the first LIMIT_HOLD_WINDOW_MS: a server that takes longer is cut
// off or is being brought up, and its clients are better off elsewhere.
//
// Local sessions (localSessionsEnabled) outlive an election, with a full timeout after it; Apache
// forgets them. Those made while READ_ONLY end with that mode if they are not enabled otherwise.
void serve_set_mode(struct serve *s, enum serve_mode mode, struct mono now, struct wall wall);
// Nothing up to zxid is missing here, although the tree may not show one as high: a new epoch e has
// begun, and Apache's leaders tell their clients (e,0) before there is a first transaction.
void serve_set_complete_to(struct serve *s, int64_t zxid);
void serve_check(const struct serve *s);
