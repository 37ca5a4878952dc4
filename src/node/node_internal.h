// SPDX-License-Identifier: Apache-2.0
//
// The inside of struct node, shared by the files of this folder and nobody else. What each does:
//
//   node.c      env events in, turns, the timer, start and stop
//   role.c      the role of this server: what it does when its core says so; its beginning and end
//   ensemble.c  from an election to a role and back
//   elect.c     the election port    port.c   the quorum port: learners come, the leader is dialed
//   peers.c     its connections: bytes and packets
//   feed.c      history and snapshots from the disk to a learner
//   observers.c observers that come to a follower instead of the leader, and how they find it
//   request.c   what clients and learners ask: proposed, forwarded, answered
//   reconfig.c  changes of the membership    dynconfig.c  its files
//   reaper.c    containers and TTL nodes     settings.c, config.c  what the operator says
//
// Data passes in one direction:
//
//   env event -> serve -> submits -> prep -> leader -> disk, peers            on the leader
//                                \-> REQUEST to the leader                    on a learner
//   bytes of a peer -> packet -> role -> disk | commit -> apply -> serve      everywhere
//
// Rules that keep it simple:
// - serve is never called while its submits are being read (their bytes would go): what must be
//   answered at once is put on a list and answered after the pass.
// - a role's actions are run to the end before its next step; what would make one is put off.
// - output, packets and log batches leave in node_turn only, once per round of events.
#pragma once

#include "base/arena.h"
#include "base/rng.h"
#include "disk/disk.h"
#include "disk/sync.h"
#include "node/dynconfig.h"
#include "node/elect.h"
#include "node/node.h"
#include "node/peers.h"
#include "node/reaper.h"
#include "node/settings.h"
#include "node/status.h"
#include "serve/expiry.h"
#include "serve/serve.h"
#include "tree/apply.h"
#include "tree/prep.h"
#include "zab/leader.h"
#include "zab/learner.h"
#include "zab/obsmaster.h"

enum node_state { NODE_RUNNING, NODE_STOPPING, NODE_STOPPED };

// What this server is to the ensemble. A standalone server is LEADING from its start.
//
//   SETTLING -> LOOKING -> LEADING | FOLLOWING | OBSERVING -> SETTLING
//   SETTLING -> LEADING | FOLLOWING | OBSERVING   when a reconfiguration has named the leader
//   any -> GONE                                   it stops
//
// SETTLING: a role is over; what it left is made durable and applied, so that the tree is what the
// log says (ZOOKEEPER-2845), before anybody is told how far this server is.
enum run { RUN_SETTLING, RUN_LOOKING, RUN_LEADING, RUN_FOLLOWING, RUN_OBSERVING, RUN_GONE, RUNS };

// An answer that had to wait until serve's submits were read.
struct answer {
    enum { ANSWER_SYNCED, ANSWER_RENEWED, ANSWER_REFUSED, ANSWER_ASTRAY } kind;
    uint64_t tag;    // SYNCED, RENEWED
    bool alive;      // RENEWED
    int64_t session; // REFUSED
    int32_t cxid, op;
    enum zkerr err; // REFUSED
    int64_t sid;    // ASTRAY: an observer that this server and a session disagree about
};

// A sync that the leader was asked for: of an own client (tag), or of an observer below.
struct asked_sync {
    int64_t sid; // this server's, an observer's; PEER_UNKNOWN: of one that has gone
    uint64_t tag;
};

// A client's renewal that the leader is asked about.
struct renewal {
    int64_t sid; // as above
    int64_t session;
    uint64_t tag;
};

// Memory of what the words are told.
struct status {
    struct serve_ensemble facts;
    struct serve_learner *learners;
    struct buf addresses;
};

// What an ensemble needs beyond a standalone server.
struct ensemble {
    int64_t sid;
    struct members *committed, *last_seen; // last_seen NULL: the same as committed
    int64_t proposed; // learner: version of the last membership that the leader proposed; 0: none
    struct members *told;     // learner: of its leader's NEWLEADER, until it serves
    struct members **retired; // a role may still hold them
    size_t retired_n, retired_cap;
    bool client_is_static; // reconfigurations leave the client port alone
    struct buf text;       // of NEWLEADER, for one packet
    struct rng rng;
    struct dynconfig *dyn; // NULL: nothing is written
    struct elect *elect;
    struct peers peers;
    bool read_only;        // readers are served while there is no leader
    bool restart_election; // the membership really changed: before the next START

    // The present role, or what has been elected.
    int64_t leader; // sid
    int64_t named;  // leader named by a reconfiguration; NOBODY: an election decides
    int64_t named_zxid;
    const char *why; // the role ended; what the next election is for
    struct mono looking_since, role_since, may_look_at;
    struct mono say_looking; // when it is said again that there is no leader
    int64_t election_ms, elections;
    int failures; // roles in a row that ended before they served
    struct summary election_time;
    struct status status;

    // As learner.
    uint64_t dial; // in flight; 0: none
    uint64_t dials;
    int dial_fails;
    struct mono dial_again, dial_until; // 0: no dial is waited for
    bool taking;                        // the leader's stream is a snapshot now
    bool taken;                         // its body is complete, the signature is next
    bool installing;                    // and both were there
    bool reload, reloading; // the tree is ahead of a log that was full: it is read again
    int64_t reload_to;
    bool wants_snapshot;      // a TRUNC could not be done
    struct asked_sync *syncs; // that the leader has not answered, oldest first
    size_t syncs_n, syncs_cap;
    struct renewal *renewals;
    size_t renewals_n, renewals_cap;
    struct buf touched; // data of the next PING's answer

    // Observer masters: voters to dial, in random order, from masters_at on; the one of now.
    int64_t masters[MEMBERS_VOTERS_MAX];
    size_t masters_n, masters_at;
    int64_t master; // of an observer: sid it has its connection to, the leader's or another one
    uint32_t observers_listener;
    bool observers_listening;
    struct expiry *speakers; // of observers.c; only its map of owners is used

    // As leader.
    uint32_t listener;
    bool listening;
    uint64_t feeds; // tags given out
};

struct node {
    struct env *env;
    const struct config *cfg;
    enum node_state state;
    bool failed;
    bool log_full;
    bool writes_held;     // too much waits for the disk
    struct mono say_held; // when this may be logged again

    struct tree *tree;
    struct pending *pending;
    struct disk *disk;
    struct serve *serve;
    struct expiry *expiry; // of the leader: all sessions; else empty
    struct reaper reaper;

    enum run run;
    struct leader *leader; // at most one of the two
    struct learner *learner;
    struct obsmaster *obsmaster; // beside a learner that serves, if observers may come here
    const char *over; // the role has stepped down: why; it is taken apart at the end of the step
    bool submitting;  // serve's submits are being read: it must not be entered
    bool serving;     // the role serves
    bool begins_to_serve; // and what that brings is still to be done
    bool saving_epoch;
    struct history history;
    struct zab_entry *open; // appended, not committed: from open_first on, oldest first
    size_t open_first, open_n, open_cap;
    struct members *alone; // membership of a standalone server
    struct ensemble *ens;  // NULL: standalone

    uint32_t listener;
    struct net_addr addr, asked_addr;
    uint8_t *conn_kinds; // by connection, enum conn_kind
    size_t conn_kinds_cap;
    size_t conns; // client connections, until their ENV_CLOSED
    struct buf conf_text;
    struct serve_facts facts;

    struct arena arena; // of one commit or one reaping pass
    struct buf entry;   // the transaction under construction
    struct answer *answers;
    size_t answers_n, answers_cap;

    bool begun; // the clocks run
    struct mono started, last_step, next_tick, stop_at;
    int64_t tick_ms;
    bool timer_set;
    struct mono timer_at; // what the env's timer is set to

    struct summary prep_ns, proposal_bytes;
    int64_t proposal_last;
    int64_t init_ms; // of the start: files -> tree
};

enum conn_kind {
    CONN_KIND_NONE,
    CONN_KIND_CLIENT,
    CONN_KIND_ELECTION,
    CONN_KIND_QUORUM,
    CONN_KIND_LEFT // nobody's: it came in on a port that is closed by now
};

// node.c
void node_fail(struct node *n); // what is on the disk is unknown: the next start reads it
void node_set_conn_kind(struct node *n, uint32_t conn, enum conn_kind kind);
enum conn_kind node_conn_kind(const struct node *n, uint32_t conn);

// Clients are served where the membership says, if it does.
void node_move_client_port(struct node *n);

// role.c
const char *run_name(enum run run);
void role_move(struct node *n, enum run to);
void role_begin_alone(struct node *n);
void role_begin(struct node *n, enum run run, int64_t leader);
void role_step(struct node *n, struct role_event ev); // ev.now is filled in
void role_end_if_over(struct node *n);
void role_act_on_peers(struct node *n, const struct role_action *a);
void role_on_disk(struct node *n, const struct disk_event *ev);
// Everything in the log is durable and applied; false: not yet.
bool role_is_settled(struct node *n);
void role_forget_open(struct node *n);
static inline bool role_leads(const struct node *n)
{
    return n->run == RUN_LEADING && n->serving;
}

// ensemble.c: all harmless on a standalone server
// Reads who the servers are; before recovery. n->ens stays NULL on a standalone server.
must_check enum err ensemble_open(struct node *n, struct dynconfig_start *start);
void ensemble_start(struct node *n);                                   // the clocks run
void ensemble_close(struct node *n);                                   // frees
void ensemble_leave(struct node *n);                                   // stops taking part at once
bool ensemble_takes(const struct node *n, const struct env_event *ev); // is it one of its ports'?
void ensemble_on_env(struct node *n, const struct env_event *ev);
void ensemble_on_time(struct node *n); // once per turn
bool ensemble_next(const struct node *n, struct mono *at);
void ensemble_begin_to_serve(struct node *n, int64_t epoch);
bool ensemble_activate(struct node *n, int64_t zxid, int64_t designated); // true: the role ends
void ensemble_epoch_saved(struct node *n, int64_t epoch);
void ensemble_end_role(struct node *n, const char *why);
const struct members *ensemble_last_seen(const struct node *n);

// port.c
#define DIAL_QUORUM ((uint64_t)1 << 63) // dials of the quorum port carry it, those of links do not
void port_listen(struct node *n);       // the leader's, from now on
void port_dial(struct node *n);         // the leader
bool port_on_env(struct node *n, const struct env_event *ev); // false: not of this port
void port_on_time(struct node *n);
// An event of this connection, to the core it belongs to.
void port_step(struct node *n, const struct peer_conn *c, struct role_event ev);
void port_send(struct node *n, int64_t sid, const struct zab_packet *k);
void port_drop(struct node *n, struct peer_conn *c, const char *why);
void port_flush(struct node *n); // packets leave

// observers.c: the observer master of this server, if it has one
void observers_begin(struct node *n); // the follower serves
void observers_end(struct node *n);
void observers_step(struct node *n, struct role_event ev);
void observers_committed(struct node *n, const struct role_action *commit,
                         const struct role_action *activation); // NULL: it is none
bool observers_listens(const struct node *n, uint32_t listener);
// A session is being renewed by way of this server: from now on sid (this server, an observer
// below) speaks for it. The leader cannot tell them apart, it sees this server's sid.
void observers_renewed(struct node *n, int64_t session, int64_t sid);
bool observers_may_speak(const struct node *n, int64_t session, int64_t sid);
bool observers_is_settled(const struct node *n, int64_t session); // where it was renewed, long ago
// The voter that this observer is to dial next; false: the leader.
bool observers_next_master(struct node *n, int64_t *sid);

// feed.c
void feed_offer(struct node *n, int64_t sid, uint64_t role_tag, int64_t after, bool fresh);
void feed_snapshot(struct node *n, int64_t sid, int64_t zxid, int64_t file);
void feed_on_snapped(struct node *n);
void feed_history(struct node *n, int64_t sid, uint64_t role_tag, int64_t after);
void feed_on_disk(struct node *n, const struct disk_event *ev);
void feed_on_drained(struct node *n, struct peer_conn *c);
void feed_end(struct node *n, struct peer_conn *c);
void feed_say(struct node *n, int64_t sid, const struct zab_packet *k); // what the log tells of it

// request.c
void request_propose(struct node *n, const struct prep_request *req, int64_t owner);
void request_take_submits(struct node *n); // until nothing is left
void request_answer_sync(struct node *n, uint64_t tag);
void request_answer_later(struct node *n, struct answer a);
void request_refuse_later(struct node *n, int64_t session, int32_t cxid, int32_t op);
void request_of_learner(struct node *n, int64_t sid, const struct zab_packet *k);
void request_of_observer(struct node *n, int64_t sid, const struct zab_packet *k);
void request_touched_below(struct node *n, struct slice touches);
void request_forget_observer(struct node *n, int64_t sid); // it has gone
void request_touched(struct node *n, struct slice touches);
void request_answer_ping(struct node *n, int64_t zxid);
void request_synced(struct node *n); // learner: its oldest sync
void request_revalidated(struct node *n, struct slice data);
void request_forget(struct node *n); // the role is over: nothing asked will be answered
void request_expire_sessions(struct node *n);
void request_track_all(struct node *n);           // leader: every session of the tree
void request_close_lost_sessions(struct node *n); // leader
void request_reap(struct node *n);

// reconfig.c
// What a client's reconfiguration would make of the membership, or the error it gets.
enum zkerr reconfig_plan(struct node *n, struct slice body, int64_t zxid, struct members **out);
void reconfig_seen(struct node *n, struct members *m); // takes m: last seen from now on
void reconfig_seen_text(struct node *n, struct slice text);
void reconfig_told(struct node *n, struct slice text);         // by the leader's NEWLEADER
void reconfig_commit(struct node *n, const struct members *m); // copied: committed from now on
// 15.5: m is committed. designated: NOBODY if none was named. True: the role must end.
bool reconfig_activate(struct node *n, const struct members *m, int64_t designated, int64_t zxid);
void reconfig_seen_in_tree(struct node *n);
void reconfig_set_node(struct node *n); // /zookeeper/config
void reconfig_bury(struct node *n);     // frees retired memberships: there is no role
