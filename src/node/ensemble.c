// SPDX-License-Identifier: Apache-2.0
//
// From an election to a role and back. As leader this server listens on its quorum port, and every
// connection there is a learner once it has said who it is; as learner it dials the leader's. A
// connection that ends, a packet that breaks the format, silence: each is an event for the role,
// and the role alone decides when it is over.
#include <inttypes.h>

#include "base/mem.h"
#include "limits.h"
#include "node/dynconfig.h"
#include "node/node_internal.h"

enum {
    DIAL_PAUSE_FIRST_MS = 5, // an elected leader listens within moments of its followers' election
    DIAL_REFUSED_MS = 1000,  // as long as a leader's port may be closed; then there is another one
    AGAIN_FIRST_MS = 5,      // between roles that end before they serve: from twice this ...
    AGAIN_MAX_MS = 1000,     // ... to this
    CUTS_SAID = 10,          // per second, of connections that are cut
    READ_ONLY_AFTER_MS = 2000,
    SAY_LOOKING_FIRST_MS = 5000,
    SAY_LOOKING_MS = 60000,
    UNKNOWN_PEERS_MAX = 128, // connections that have not said who they are; the oldest goes
    STRANGERS_MAX = 256      // learners that no membership names
};

#define DIAL_QUORUM ((uint64_t)1 << 63) // dials of the quorum port carry it, those of links do not

static void take_conn(void *ctx, uint32_t conn)
{
    node_set_conn_kind(ctx, conn, CONN_KIND_ELECTION);
}

const struct members *ensemble_last_seen(const struct node *n)
{
    return n->ens->last_seen ? n->ens->last_seen : n->ens->committed;
}

// ---- elections ----------------------------------------------------------------------------------

static void look(struct node *n)
{
    struct ensemble *e = n->ens;
    struct disk_epochs epochs;
    disk_get_epochs(n->disk, &epochs);
    role_move(n, RUN_LOOKING);
    e->looking_since = n->env->now;
    e->say_looking = mono_add_ms(n->env->now, SAY_LOOKING_FIRST_MS);
    e->elections++;
    log_info(&n->env->log, "looking for a leader (%s): last zxid 0x%" PRIx64 ", epoch %" PRId64,
             e->why, (uint64_t)tree_zxid(n->tree), epochs.current);
    if (e->restart_election) {
        e->restart_election = false;
        elect_set_members(e->elect, e->committed, e->last_seen, true);
    }
    elect_start(e->elect, tree_zxid(n->tree), epochs.current);
}

static void listen_for_learners(struct node *n)
{
    struct ensemble *e = n->ens;
    const struct member *self = members_find(e->committed, e->sid);
    if (!self) {
        self = members_find(ensemble_last_seen(n), e->sid);
    }
    if (!self) {
        n->over = "this server is not in the membership";
        return;
    }
    struct net_addr at = {.port = self->addrs[0].quorum_port}, bound;
    enum err err =
        n->cfg->listen_all ? ERR_OK : n->env->ops->resolve(n->env, self->addrs[0].host, &at);
    if (!err) {
        err = n->env->ops->listen(n->env, &at, 0, &e->listener, &bound);
    }
    e->listening = !err;
    if (err) {
        n->over = "the quorum port could not be opened";
    }
}

// Or, as an observer, who stands in for it.
static void dial_leader(struct node *n)
{
    struct ensemble *e = n->ens;
    struct env_target to[MEMBERS_ADDRS_MAX];
    e->master = e->leader;
    bool stands_in = observers_next_master(n, &e->master);
    const struct member *m = members_find(e->committed, e->master);
    if (!m) {
        m = members_find(ensemble_last_seen(n), e->master);
    }
    e->dial_again = (struct mono){0};
    int64_t left_ms = mono_diff_ms(e->dial_until, n->env->now);
    if (!m || left_ms <= 0) {
        n->over = m ? "the leader cannot be reached" : "the leader is not in the membership";
        return;
    }
    for (size_t i = 0; i < m->addrs_n; i++) {
        uint16_t port =
            stands_in ? (uint16_t)n->cfg->observer_master_port : m->addrs[i].quorum_port;
        to[i] = (struct env_target){m->addrs[i].host, port};
    }
    if (stands_in && left_ms > n->cfg->dial_ms) {
        left_ms = n->cfg->dial_ms; // there are others to try
    }
    e->dial = DIAL_QUORUM | ++e->dials;
    n->env->ops->dial(n->env, e->dial, to, m->addrs_n,
                      left_ms > INT32_MAX ? INT32_MAX : (int32_t)left_ms);
}

static void on_dial_failed(struct node *n, enum err why)
{
    struct ensemble *e = n->ens;
    e->dial = 0;
    int64_t pause = e->dial_fails < 8 ? DIAL_PAUSE_FIRST_MS << e->dial_fails : INT32_MAX;
    pause = pause > n->cfg->connect_retry_ms ? n->cfg->connect_retry_ms : pause;
    if (e->dial_fails++ == 0 && why == ERR_REFUSED) {
        struct mono refused = mono_add_ms(n->env->now, DIAL_REFUSED_MS);
        e->dial_until = refused.ns < e->dial_until.ns ? refused : e->dial_until;
    }
    e->dial_again = mono_add_ms(n->env->now, pause);
}

static void stop_serving_readers(struct node *n)
{
    if (n->ens->read_only) {
        n->ens->read_only = false;
        serve_set_mode(n->serve, SERVE_OFF, n->env->now, n->env->wall);
    }
}

static void begin_role(struct node *n, enum run run, int64_t leader)
{
    struct ensemble *e = n->ens;
    stop_serving_readers(n);
    reconfig_bury(n);
    role_begin(n, run, leader);
    e->role_since = n->env->now;
    if (run == RUN_LEADING) {
        listen_for_learners(n);
    } else {
        int64_t ticks = n->cfg->connect_limit > 0 ? n->cfg->connect_limit : n->cfg->init_limit;
        e->dial_until = mono_add_ms(n->env->now, ticks * n->cfg->tick_ms);
        e->dial_fails = 0;
        dial_leader(n);
    }
    role_step(n, (struct role_event){.type = ROLE_IN_START});
}

static void on_elected(struct node *n, const struct elect_outcome *o)
{
    static const enum run runs[] = {[NOTE_LOOKING] = RUN_LOOKING,
                                    [NOTE_FOLLOWING] = RUN_FOLLOWING,
                                    [NOTE_LEADING] = RUN_LEADING,
                                    [NOTE_OBSERVING] = RUN_OBSERVING};
    struct ensemble *e = n->ens;
    if (n->run != RUN_LOOKING) {
        return;
    }
    e->election_ms = mono_diff_ms(n->env->now, e->looking_since);
    summary_add(&e->election_time, e->election_ms);
    log_info(&n->env->log,
             "server %" PRId64 " is elected (zxid 0x%" PRIx64 ", epoch %" PRId64 ", round %" PRId64
             ") after %" PRId64 " ms: this server is %s",
             o->vote.leader, (uint64_t)o->vote.zxid, o->vote.peer_epoch, o->vote.election_epoch,
             e->election_ms, note_state_name(o->state));
    begin_role(n, runs[o->state], o->vote.leader);
}

static bool waits_to_look(struct node *n)
{
    return n->ens->may_look_at.ns > n->env->now.ns;
}

// After a reconfiguration that named the leader there is no election.
static void take_named_role(struct node *n)
{
    struct ensemble *e = n->ens;
    int64_t leader = e->named;
    e->named = MEMBERS_NOBODY;
    const struct member *self = members_find(e->committed, e->sid);
    enum run run = leader == e->sid         ? RUN_LEADING
                   : self && self->observer ? RUN_OBSERVING
                                            : RUN_FOLLOWING;
    if (e->restart_election) {
        e->restart_election = false;
        elect_set_members(e->elect, e->committed, e->last_seen, true);
    }
    elect_set_role(e->elect, leader, e->named_zxid);
    e->looking_since = n->env->now;
    log_info(&n->env->log, "server %" PRId64 " leads by reconfiguration 0x%" PRIx64, leader,
             (uint64_t)e->named_zxid);
    begin_role(n, run, leader);
}

static void settle(struct node *n)
{
    if (waits_to_look(n) || !role_is_settled(n)) {
        return;
    }
    if (n->ens->named != MEMBERS_NOBODY) {
        take_named_role(n);
    } else {
        look(n);
    }
}

// 5.5: a newer membership in a notification, while LOOKING.
static void adopt(struct node *n, struct members *m)
{
    struct ensemble *e = n->ens;
    if (n->run != RUN_LOOKING || m->version <= e->committed->version) {
        return;
    }
    bool differs = !members_equal(e->committed, m), had_last_seen = e->last_seen != NULL;
    log_info(&n->env->log, "the membership of version 0x%" PRIx64 " is adopted from another server",
             (uint64_t)m->version);
    reconfig_commit(n, m);
    if (differs || had_last_seen != (e->last_seen != NULL)) { // other voters than before decide
        e->restart_election = true;
        e->why = "the membership changed";
        role_move(n, RUN_SETTLING);
    } else {
        elect_set_members(e->elect, e->committed, e->last_seen, false);
    }
}

// 5.9: a leader that does not serve yet, and whose voters look again. Java waits for initLimit
// unless leader.maxTimeToWaitForEpoch says otherwise; by then they may have waited for each other
// in turns. Here a tick is enough if those who are connected are no quorum.
static bool is_left(struct node *n)
{
    struct ensemble *e = n->ens;
    int64_t patience_ms =
        n->cfg->max_wait_for_epoch_ms >= 0 ? n->cfg->max_wait_for_epoch_ms : n->cfg->tick_ms;
    struct quorum quorum;
    struct quorum_acks there = {0};
    quorum_init(&quorum, e->committed, e->last_seen);
    quorum_ack(&quorum, &there, e->sid);
    for (const struct peer_conn *c = e->peers.first; c; c = c->next) {
        if (!c->closing && c->sid != PEER_UNKNOWN) {
            quorum_ack(&quorum, &there, c->sid);
        }
    }
    return !quorum_reached(&quorum, &there) &&
           mono_diff_ms(n->env->now, e->role_since) > patience_ms;
}

static void take_outcome(struct node *n)
{
    struct elect_outcome o;
    if (!elect_take(n->ens->elect, &o)) {
        return;
    }
    if (o.members) {
        adopt(n, o.members);
        members_free(&o.members);
    }
    if (o.voter_looking && n->leader && !n->serving && !n->over && is_left(n)) {
        n->over = "its voters look for another leader before it has an epoch";
    }
    if (o.elected) {
        on_elected(n, &o);
    }
}

// ---- the role begins to serve, or ends ----------------------------------------------------------

void ensemble_begin_to_serve(struct node *n, int64_t epoch)
{
    struct ensemble *e = n->ens;
    elect_established(e->elect, epoch);
    log_info(&n->env->log,
             "%s, epoch %" PRId64 ", leader %" PRId64 ", zxid 0x%" PRIx64 ": serving %" PRId64
             " ms after the search began",
             run_name(n->run), epoch, e->leader, (uint64_t)tree_zxid(n->tree),
             mono_diff_ms(n->env->now, e->looking_since));
    int64_t designated = n->leader ? leader_designated(n->leader) : MEMBERS_NOBODY;
    const struct members *m = n->leader ? e->last_seen : e->told;
    if (m && reconfig_activate(n, m, designated, zxid_of_epoch(epoch))) {
        n->over = "the membership changed with the new epoch";
    }
    members_free(&e->told);
}

bool ensemble_activate(struct node *n, int64_t zxid, int64_t designated)
{
    struct ensemble *e = n->ens;
    const struct members *m = e->last_seen;
    if (!m || m->version != zxid) {
        return false; // not a change that this server has seen coming; it will be told again
    }
    return reconfig_activate(n, m, designated, zxid);
}

void ensemble_epoch_saved(struct node *n, int64_t epoch)
{
    struct ensemble *e = n->ens;
    struct role_event ev = {.type = ROLE_IN_EPOCH_SAVED, .epoch = epoch};
    // 8.5: the first leader of an ensemble gives the membership its first version.
    if (n->leader && n->cfg->reconfig_enabled && !leader_is_serving(n->leader) &&
        e->committed->version == 0 && ensemble_last_seen(n)->version == 0) {
        struct members *m = members_copy(e->committed);
        m->version = zxid_of_epoch(epoch);
        reconfig_seen(n, m);
        ev.members = e->last_seen;
    }
    role_step(n, ev);
}

void ensemble_end_role(struct node *n, const char *why)
{
    struct ensemble *e = n->ens;
    log_warn(&n->env->log, "%s ends after %" PRId64 " ms: %s", run_name(n->run),
             mono_diff_ms(n->env->now, e->role_since), why);
    e->why = why;
    while (e->dial) {
        n->env->ops->undial(n->env, e->dial);
        e->dial = 0;
    }
    e->dial_again = (struct mono){0};
    if (e->listening) {
        n->env->ops->unlisten(n->env, e->listener);
        e->listening = false;
    }
    observers_end(n);
    for (struct peer_conn *c = e->peers.first; c; c = c->next) {
        feed_end(n, c);
        peers_close(&e->peers, c);
        c->told = true; // what ends it is not of the next role
    }
    members_free(&e->told);
    e->proposed = 0;
    if (e->taking) {
        disk_take_abandon(n->disk);
        e->taking = false;
    }

    struct rng *rng = &e->rng;
    bool observer = n->run == RUN_OBSERVING;
    int64_t wait = observer ? n->cfg->observer_reconnect_ms + n->cfg->observer_election_ms : 0;
    wait = wait > 0 ? (int64_t)rng_below(rng, (uint64_t)wait) : 0;
    // A role that never served may be had again at once, and end at once.
    e->failures = n->serving ? 0 : e->failures + 1;
    if (e->failures > 1) {
        int64_t pause = AGAIN_FIRST_MS << (e->failures < 8 ? e->failures : 8);
        pause = pause < AGAIN_MAX_MS ? pause : AGAIN_MAX_MS;
        wait = wait > pause ? wait : pause / 2 + (int64_t)rng_below(rng, (uint64_t)pause / 2 + 1);
    }
    e->may_look_at = mono_add_ms(n->env->now, wait);
    role_move(n, RUN_SETTLING);
    elect_quiet(e->elect);
}

// ---- packets in ---------------------------------------------------------------------------------

// A transaction that came from a leader is looked at once, here: what is behind this relies on it.
static bool txn_is_good(struct node *n, struct slice bytes, int64_t zxid)
{
    struct txn txn;
    bool good = txn_decode(bytes, n->ens->peers.bytes_max, &n->arena, &txn) == ERR_OK &&
                txn.hdr.zxid == zxid;
    if (good && txn.hdr.type == OP_RECONFIG) {
        reconfig_seen_text(n, txn.body.set_data.data);
    }
    arena_reset(&n->arena);
    return good;
}

// The data of a packet, as far as the role wants to know it. False: it breaks its form.
static bool read_packet(struct node *n, const struct peer_conn *c, const struct qpacket *k,
                        struct zab_packet *z)
{
    struct ack_epoch promise;
    struct activation activation;
    struct learner_info info;
    struct slice txn = k->data;
    bool from_leader = n->learner && !c->observer;
    size_t touches;
    *z = (struct zab_packet){.type = (enum qpacket_type)k->type, .zxid = k->zxid, .data = k->data};
    switch (k->type) {
    case QPACKET_FOLLOWERINFO:
    case QPACKET_OBSERVERINFO:
        if (qpacket_get_learner_info(k->data, &info)) {
            return false;
        }
        z->config_version = info.config_version;
        return info.protocol_version >= QPACKET_PROTOCOL;
    case QPACKET_ACKEPOCH:
        if (qpacket_get(k->data, &record_ack_epoch, &promise, NULL)) {
            return false;
        }
        z->current_epoch = promise.current_epoch;
        return true;
    case QPACKET_COMMITANDACTIVATE:
    case QPACKET_INFORMANDACTIVATE:
        if (qpacket_get(k->data, &record_activation, &activation, &txn)) {
            return false;
        }
        z->designated = activation.designated_leader;
        if (k->type == QPACKET_COMMITANDACTIVATE) {
            return true;
        }
        break;
    case QPACKET_PROPOSAL:
    case QPACKET_INFORM:
        break;
    case QPACKET_REQUEST:
        z->authinfo = &k->authinfo;
        return k->data.n >= QPACKET_REQUEST_LEN_MIN;
    case QPACKET_REVALIDATE:
        return k->data.n >= (from_leader ? QPACKET_VALID_LEN : QPACKET_TOUCH_LEN);
    case QPACKET_PING:
        return from_leader || qpacket_get_touches(k->data, &touches) == ERR_OK;
    default:
        return true;
    }
    if (!n->learner || c->observer || !txn_is_good(n, txn, k->zxid)) {
        return false;
    }
    z->txn = blob_new(txn);
    return true;
}

// Members always have room; so have a few whom no membership names yet.
static bool has_room(const struct node *n, int64_t sid)
{
    const struct ensemble *e = n->ens;
    size_t strangers = 0;
    for (const struct peer_conn *c = e->peers.first; c; c = c->next) {
        strangers += c->sid != PEER_UNKNOWN && !members_find(e->committed, c->sid);
    }
    return strangers < STRANGERS_MAX || members_find(e->committed, sid) ||
           members_find(ensemble_last_seen(n), sid);
}

// The first packet of a connection says whose it is.
static bool introduce(struct node *n, struct peer_conn *c, const struct qpacket *k)
{
    struct ensemble *e = n->ens;
    struct learner_info info;
    if ((k->type != QPACKET_FOLLOWERINFO && k->type != QPACKET_OBSERVERINFO) ||
        qpacket_get_learner_info(k->data, &info) || info.sid == e->sid ||
        info.sid == PEER_UNKNOWN || !has_room(n, info.sid)) {
        return false;
    }
    int64_t sid = info.sid;
    if (sid == QPACKET_SID_NONE) { // it has none: any that is not in use
        for (sid = -2; peers_of_sid(&e->peers, sid); sid--) {
        }
    }
    struct peer_conn *old = peers_of_sid(&e->peers, sid);
    if (old && old->observer != c->observer) {
        return false; // it says that it is the leader here
    }
    if (old) {
        ensemble_drop(n, old, "it has a new connection");
    }
    peers_name(&e->peers, c, sid);
    c->deadline = (struct mono){INT64_MAX};
    ensemble_peer_step(n, c, (struct role_event){.type = ROLE_IN_PEER_UP, .sid = sid});
    return true;
}

static const char *on_packet(struct node *n, struct peer_conn *c, const struct qpacket *k)
{
    if (c->sid == PEER_UNKNOWN && !introduce(n, c, k)) {
        return "it did not say who it is";
    }
    struct zab_packet z;
    if (!read_packet(n, c, k, &z)) {
        return "a packet breaks its form";
    }
    ensemble_peer_step(n, c,
                       (struct role_event){.type = ROLE_IN_PACKET, .sid = c->sid, .packet = &z});
    if (z.txn) {
        blob_unref(&z.txn);
    }
    return NULL;
}

// No more of the leader's snapshot is read than the disk takes.
static void pace_snapshot(struct node *n, struct peer_conn *c)
{
    bool pause = n->ens->taking && !n->over && disk_take_backlog(n->disk) > LIMIT_TAKE_BACKLOG;
    if (pause != c->paused) {
        c->paused = pause;
        n->env->ops->pause(n->env, c->conn, pause);
    }
}

static void expect_more(struct node *n, struct peer_conn *c)
{
    c->deadline = mono_add_ms(n->env->now, n->cfg->init_limit * n->cfg->tick_ms);
}

// The leader's stream is a snapshot. False: more bytes are needed.
static bool take_snapshot(struct node *n, struct peer_conn *c)
{
    struct ensemble *e = n->ens;
    size_t used = 0;
    expect_more(n, c);
    if (!e->taken) {
        enum disk_take r = disk_take_put(n->disk, peers_unread(c), &used);
        peers_read(c, used);
        e->taken = r == DISK_TAKE_DONE;
        if (r == DISK_TAKE_BAD) {
            n->over = "the leader's snapshot is broken";
        }
        if (r != DISK_TAKE_DONE) {
            pace_snapshot(n, c);
            return false;
        }
    }
    enum err err = qpacket_get_signature(peers_unread(c));
    if (err == ERR_OK) {
        peers_read(c, QPACKET_SIGNATURE_LEN);
        e->taking = e->taken = false;
        e->installing = true;
        c->deadline = (struct mono){INT64_MAX};
        disk_take_commit(n->disk, n->tree);
    } else if (err != ERR_CUT) {
        n->over = "the leader's snapshot has no signature";
    }
    return err == ERR_OK;
}

static void read_packets(struct node *n, struct peer_conn *c)
{
    struct ensemble *e = n->ens;
    struct arena ids = {0};
    while (!c->closing && !n->over) {
        if (n->learner && !c->observer && e->taking && !take_snapshot(n, c)) {
            break;
        }
        struct qpacket k;
        enum err err = peers_next(c, &ids, &k);
        if (err == ERR_CUT || n->over) {
            break;
        }
        const char *why = err ? "a length nobody may send" : on_packet(n, c, &k);
        arena_reset(&ids);
        if (why) {
            ensemble_drop(n, c, why);
        }
    }
    arena_fini(&ids);
}

// ---- connections --------------------------------------------------------------------------------

void ensemble_peer_step(struct node *n, const struct peer_conn *c, struct role_event ev)
{
    if (c->observer) {
        observers_step(n, ev);
    } else {
        role_step(n, ev);
    }
}

// Whoever is cut off may come again at once: a few lines a second say it as well as thousands.
static void say_cut(struct node *n, const struct peer_conn *c, const char *why)
{
    struct peers *p = &n->ens->peers;
    if (mono_diff_ms(n->env->now, p->cuts_since) >= 1000) {
        if (p->cuts > CUTS_SAID) {
            log_warn(&n->env->log, "%d more connections were cut", p->cuts - CUTS_SAID);
        }
        p->cuts_since = n->env->now;
        p->cuts = 0;
    }
    if (p->cuts++ >= CUTS_SAID) {
        return;
    }
    if (c->sid == PEER_UNKNOWN) {
        log_warn(&n->env->log, "a connection to the quorum port is cut: %s", why);
    } else {
        log_warn(&n->env->log, "the connection of server %" PRId64 " is cut: %s", c->sid, why);
    }
}

void ensemble_drop(struct node *n, struct peer_conn *c, const char *why)
{
    if (c->closing) {
        return;
    }
    say_cut(n, c, why);
    feed_end(n, c);
    peers_close(&n->ens->peers, c);
    if (c->sid != PEER_UNKNOWN && !c->told) {
        c->told = true;
        ensemble_peer_step(n, c, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = c->sid});
    }
}

static void on_accept(struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    struct peer_conn *c = peers_add(&e->peers, ev->conn, PEER_UNKNOWN);
    c->addr = ev->accept.peer;
    c->observer = observers_listens(n, ev->accept.listener);
    c->deadline = mono_add_ms(n->env->now, n->cfg->init_limit * n->cfg->tick_ms);
    node_set_conn_kind(n, ev->conn, CONN_KIND_QUORUM);
    size_t unknown = 0;
    struct peer_conn *oldest = c;
    for (struct peer_conn *x = e->peers.first; x; x = x->next) {
        if (x->sid == PEER_UNKNOWN && !x->closing) {
            unknown++;
            oldest = x; // the newest is the first
        }
    }
    bool served = c->observer ? n->obsmaster != NULL : n->leader != NULL;
    if (!served || n->over) {
        ensemble_drop(n, c, "it cannot be served");
    } else if (unknown > UNKNOWN_PEERS_MAX) {
        ensemble_drop(n, oldest, "too many do not say who they are");
    }
}

static void on_dialed(struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    struct peer_conn *c = peers_add(&e->peers, ev->conn, e->leader);
    node_set_conn_kind(n, ev->conn, CONN_KIND_QUORUM);
    c->deadline = (struct mono){INT64_MAX};
    bool wanted = ev->dialed.dial == e->dial;
    e->dial = wanted ? 0 : e->dial;
    if (!n->learner || n->over || !wanted) {
        c->told = true; // it is nothing to this role
        peers_close(&e->peers, c);
        return;
    }
    role_step(n, (struct role_event){.type = ROLE_IN_PEER_UP, .sid = e->leader});
}

static void on_closed(struct node *n, struct peer_conn *c)
{
    struct peer_conn was = *c;
    feed_end(n, c);
    node_set_conn_kind(n, c->conn, CONN_KIND_NONE);
    peers_del(&n->ens->peers, c);
    if (!was.told && was.sid != PEER_UNKNOWN && !peers_of_sid(&n->ens->peers, was.sid)) {
        ensemble_peer_step(n, &was, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = was.sid});
    }
}

static void on_quorum_conn(struct node *n, const struct env_event *ev)
{
    struct peer_conn *c = peers_of_conn(&n->ens->peers, ev->conn);
    must(c != NULL);
    switch ((int)ev->type) {
    case ENV_DATA:
        if (!c->closing && !n->over) {
            peers_put(c, ev->data);
            read_packets(n, c);
        }
        break;
    case ENV_DRAINED:
        c->unsent = 0;
        feed_on_drained(n, c);
        break;
    case ENV_CLOSED:
        on_closed(n, c);
        break;
    }
}

static enum conn_kind kind_of(const struct node *n, uint32_t conn)
{
    return conn < n->conn_kinds_cap ? n->conn_kinds[conn] : CONN_KIND_NONE;
}

bool ensemble_takes(const struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    switch (ev->type) {
    case ENV_ACCEPT:
        return e && ev->accept.listener != n->listener;
    case ENV_DIALED:
    case ENV_DIAL_FAILED:
        return e != NULL;
    case ENV_DATA:
    case ENV_DRAINED:
    case ENV_CLOSED:
        return e && kind_of(n, ev->conn) != CONN_KIND_CLIENT;
    default:
        return false;
    }
}

void ensemble_on_env(struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    bool dial = ev->type == ENV_DIALED || ev->type == ENV_DIAL_FAILED;
    if (dial && ev->dialed.dial & DIAL_QUORUM) {
        if (ev->type == ENV_DIALED) {
            on_dialed(n, ev);
        } else if (ev->dialed.dial == e->dial) {
            on_dial_failed(n, ev->dialed.why);
        }
    } else if (ev->type == ENV_ACCEPT && ((e->listening && ev->accept.listener == e->listener) ||
                                          observers_listens(n, ev->accept.listener))) {
        on_accept(n, ev);
    } else if (ev->type == ENV_ACCEPT && !elect_listens(e->elect, ev->accept.listener)) {
        n->env->ops->close(n->env, ev->conn); // its listener is closed by now
        node_set_conn_kind(n, ev->conn, CONN_KIND_LEFT);
    } else if (!dial && ev->type != ENV_ACCEPT && kind_of(n, ev->conn) == CONN_KIND_QUORUM) {
        on_quorum_conn(n, ev);
    } else if (dial || ev->type == ENV_ACCEPT || kind_of(n, ev->conn) == CONN_KIND_ELECTION) {
        elect_on_env(e->elect, ev);
    }
    if (ev->type == ENV_CLOSED) {
        node_set_conn_kind(n, ev->conn, CONN_KIND_NONE);
    }
}

void ensemble_send(struct node *n, int64_t sid, const struct zab_packet *k)
{
    struct ensemble *e = n->ens;
    struct peer_conn *c = peers_of_sid(&e->peers, sid);
    if (!c) {
        return;
    }
    struct slice text = SLICE_NULL;
    if (k->type == QPACKET_NEWLEADER) {
        buf_clear(&e->text);
        members_fmt(&e->text, n->leader ? leader_members(n->leader) : e->committed, MEMBERS_WIRE);
        text = buf_slice(&e->text);
    }
    feed_say(n, sid, k);
    peers_send(c, k, e->sid, text);
}

void ensemble_flush(struct node *n)
{
    if (n->ens) {
        peers_flush(&n->ens->peers);
    }
}

// ---- time ---------------------------------------------------------------------------------------

static void look_after_peers(struct node *n)
{
    struct ensemble *e = n->ens;
    struct peer_conn *next;
    for (struct peer_conn *c = e->peers.first; c; c = next) {
        next = c->next;
        if (c->closing) {
            continue;
        }
        if (c->paused) { // it is the disk's turn
            expect_more(n, c);
            pace_snapshot(n, c);
        }
        if (c->deadline.ns <= n->env->now.ns) {
            ensemble_drop(n, c,
                          c->sid == PEER_UNKNOWN ? "it did not say who it is in time"
                                                 : "its snapshot stands still");
        } else if (peers_backlog(c) > LIMIT_PEER_BACKLOG) {
            ensemble_drop(n, c, "it does not take what it is sent");
        }
    }
}

// Without a leader in reach for a while, clients that can live with it may read what is here. Java:
// QuorumPeer.run, ReadOnlyZooKeeperServer.
static void serve_readers(struct node *n)
{
    struct ensemble *e = n->ens;
    int64_t after_ms = n->cfg->tick_ms > READ_ONLY_AFTER_MS ? n->cfg->tick_ms : READ_ONLY_AFTER_MS;
    if (n->cfg->read_only && n->run == RUN_LOOKING && !e->read_only &&
        mono_diff_ms(n->env->now, e->looking_since) >= after_ms) {
        e->read_only = true;
        log_warn(&n->env->log, "no leader for %" PRId64 " ms: clients that ask for it may read",
                 after_ms);
        serve_set_mode(n->serve, SERVE_READ_ONLY, n->env->now, n->env->wall);
    }
}

static void say_looking(struct node *n)
{
    struct ensemble *e = n->ens;
    if (n->run != RUN_LOOKING || e->say_looking.ns > n->env->now.ns) {
        return;
    }
    e->say_looking = mono_add_ms(n->env->now, SAY_LOOKING_MS);
    log_warn(&n->env->log, "no leader for %" PRId64 " s: of %zu voters %zu others are connected",
             mono_diff_ms(n->env->now, e->looking_since) / 1000, e->committed->voters_n,
             elect_reaches(e->elect, e->committed));
}

void ensemble_on_time(struct node *n)
{
    struct ensemble *e = n->ens;
    if (!e || n->run == RUN_GONE) {
        return;
    }
    look_after_peers(n);
    if (e->dial_again.ns && e->dial_again.ns <= n->env->now.ns && n->learner && !n->over) {
        dial_leader(n);
    }
    elect_on_time(e->elect);
    take_outcome(n);
    role_end_if_over(n);
    if (n->run == RUN_SETTLING) {
        settle(n);
        take_outcome(n); // alone, it may be elected at once
        role_end_if_over(n);
    }
    serve_readers(n);
    say_looking(n);
}

static void sooner(bool *set, struct mono *at, struct mono other)
{
    if (!*set || other.ns < at->ns) {
        *at = other;
        *set = true;
    }
}

bool ensemble_next(const struct node *n, struct mono *at)
{
    const struct ensemble *e = n->ens;
    if (!e || n->run == RUN_GONE) {
        return false;
    }
    struct mono t;
    bool set = elect_next(e->elect, at);
    if (e->dial_again.ns) {
        sooner(&set, at, e->dial_again);
    }
    if (n->run == RUN_SETTLING && e->may_look_at.ns > n->env->now.ns) {
        t = e->may_look_at;
        sooner(&set, at, t);
    }
    return set;
}

// ---- life ---------------------------------------------------------------------------------------

enum err ensemble_open(struct node *n, struct dynconfig_start *start)
{
    struct buf why = {0};
    enum err err = dynconfig_load(n->env, n->cfg, start, &why);
    if (err) {
        log_error(&n->env->log, "%.*s", SLICE_ARG(buf_slice(&why)));
    }
    buf_fini(&why);
    if (err || !start->committed) {
        return err;
    }
    struct ensemble *e = mem_zalloc(sizeof(*e));
    n->ens = e;
    e->sid = start->sid;
    e->committed = members_copy(start->committed);
    e->last_seen = start->last_seen ? members_copy(start->last_seen) : NULL;
    e->named = MEMBERS_NOBODY;
    e->why = "the server has started";
    e->rng = (struct rng){n->env->seed ^ 0x656e73u};
    e->client_is_static = start->client_is_static;
    e->dyn = dynconfig_new(n->env, n->cfg, start);
    peers_init(&e->peers, n->env, (size_t)(n->cfg->frame_max + n->cfg->frame_extra));
    int64_t hello_ms =
        n->cfg->hello_ms > 0 ? n->cfg->hello_ms : n->cfg->tick_ms * n->cfg->sync_limit;
    struct elect_settings s = {
        .fle = {.sid = e->sid,
                .wait_min_ms = (int32_t)n->cfg->fle_wait_min_ms,
                .wait_max_ms = (int32_t)n->cfg->fle_wait_max_ms,
                .finalize_wait_ms = 200,
                .adopt_members = n->cfg->reconfig_enabled},
        .links = {.sid = e->sid,
                  .multi_address = n->cfg->multi_address,
                  .dial_ms = (int32_t)n->cfg->dial_ms,
                  .hello_ms = (int32_t)(hello_ms < INT32_MAX ? hello_ms : INT32_MAX)},
        .listen_all = n->cfg->listen_all,
        .conn_ctx = n,
        .conn_taken = take_conn};
    e->elect = elect_new(n->env, &s);
    return ERR_OK;
}

void ensemble_start(struct node *n)
{
    struct ensemble *e = n->ens;
    size_t tail_n;
    const struct disk_entry *tail = disk_tail(n->disk, &tail_n);
    if (!tail_n) {
        history_reset(&n->history, tree_zxid(n->tree));
    }
    for (size_t i = 0; i < tail_n; i++) {
        history_append(&n->history, tail[i].zxid, tail[i].txn);
    }
    disk_forget_tail(n->disk);
    disk_allow_snapshots(n->disk, false);
    serve_set_mode(n->serve, SERVE_OFF, n->env->now, n->env->wall);
    reconfig_seen_in_tree(n);
    reconfig_set_node(n);
    elect_set_members(e->elect, e->committed, e->last_seen, false);
}

void ensemble_leave(struct node *n)
{
    if (!n->ens || n->run == RUN_GONE) {
        return;
    }
    log_info(&n->env->log, "leaving the ensemble");
    elect_leave(n->ens->elect);
    if (n->leader || n->learner) {
        n->over = "this server stops";
        role_end_if_over(n);
    }
    role_move(n, RUN_GONE);
}

void ensemble_close(struct node *n)
{
    struct ensemble *e = n->ens;
    if (!e) {
        return;
    }
    peers_fini(&e->peers);
    elect_free(&e->elect);
    dynconfig_free(&e->dyn);
    members_free(&e->committed);
    members_free(&e->last_seen);
    members_free(&e->told);
    mem_free(e->syncs);
    mem_free(e->renewals);
    buf_fini(&e->touched);
    buf_fini(&e->text);
    buf_fini(&e->status.addresses);
    mem_free(e->status.learners);
    reconfig_bury(n);
    mem_free(e->retired);
    mem_free(e);
    n->ens = NULL;
}
