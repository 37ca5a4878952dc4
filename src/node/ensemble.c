// SPDX-License-Identifier: Apache-2.0
//
// From an election to a role and back: when one is looked for, what it begins with, what it leaves
// behind, and what becomes of it when the membership changes meanwhile.
#include <inttypes.h>

#include "base/mem.h"
#include "limits.h"
#include "node/dynconfig.h"
#include "node/node_internal.h"

enum {
    AGAIN_FIRST_MS = 5,  // between roles that end before they serve: from twice this ...
    AGAIN_MAX_MS = 1000, // ... to this
    READ_ONLY_AFTER_MS = 2000,
    SAY_LOOKING_FIRST_MS = 5000,
    SAY_LOOKING_MS = 60000
};

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
        port_listen(n);
    } else {
        int64_t ticks = n->cfg->connect_limit > 0 ? n->cfg->connect_limit : n->cfg->init_limit;
        e->dial_until = mono_add_ms(n->env->now, ticks * n->cfg->tick_ms);
        e->dial_fails = 0;
        port_dial(n);
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
        return e && node_conn_kind(n, ev->conn) != CONN_KIND_CLIENT;
    default:
        return false;
    }
}

void ensemble_on_env(struct node *n, const struct env_event *ev)
{
    struct elect *elect = n->ens->elect;
    bool dial = ev->type == ENV_DIALED || ev->type == ENV_DIAL_FAILED;
    if (port_on_env(n, ev)) {
        return;
    }
    if (ev->type == ENV_ACCEPT && !elect_listens(elect, ev->accept.listener)) {
        n->env->ops->close(n->env, ev->conn); // its listener is closed by now
        node_set_conn_kind(n, ev->conn, CONN_KIND_LEFT);
    } else if (dial || ev->type == ENV_ACCEPT ||
               node_conn_kind(n, ev->conn) == CONN_KIND_ELECTION) {
        elect_on_env(elect, ev);
    }
    if (ev->type == ENV_CLOSED) {
        node_set_conn_kind(n, ev->conn, CONN_KIND_NONE);
    }
}

// ---- time ---------------------------------------------------------------------------------------

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
    port_on_time(n);
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
    expiry_free(&e->speakers);
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
