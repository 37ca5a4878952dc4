// SPDX-License-Identifier: Apache-2.0
//
// The step and the turn of one server: env events go to the part they belong to, then what came of
// them leaves. See node_internal.h for the other files of this folder.
//
// States: RUNNING -> STOPPING (no new connections or proposals, log and output drain) -> STOPPED.
// A disk whose state is unknown goes to STOPPED at once, failed: the log decides at the next start.
#include "node/node.h"

#include <inttypes.h>

#include "base/mem.h"
#include "limits.h"
#include "node/node_internal.h"
#include "node/version.h"

enum {
    TICK_MS = 100,          // at most: expiry, idle connections, reaping, roles
    TICK_MIN_MS = 5,        // at least, however short tickTime is
    SAY_HELD_MS = 60000,    // between log lines about a slow disk
    LEAVE_AFTER_MS = 500,   // of which the ensemble is not kept waiting longer than this
    STOP_DEADLINE_MS = 8000 // a clean stop waits this long for slow readers and the disk
};

void node_fail(struct node *n)
{
    log_error(&n->env->log, "the disk failed a write of the transaction log, so what is on it "
                            "is unknown; stopping: check the disk, then start again");
    n->failed = true;
    n->state = NODE_STOPPED;
}

void node_set_conn_kind(struct node *n, uint32_t conn, enum conn_kind kind)
{
    if (conn >= n->conn_kinds_cap) {
        size_t before = n->conn_kinds_cap;
        mem_grow((void **)&n->conn_kinds, &n->conn_kinds_cap, conn + 1, sizeof(*n->conn_kinds));
        memset(n->conn_kinds + before, CONN_KIND_NONE, n->conn_kinds_cap - before);
    }
    n->conn_kinds[conn] = (uint8_t)kind;
}

enum conn_kind node_conn_kind(const struct node *n, uint32_t conn)
{
    return conn < n->conn_kinds_cap ? n->conn_kinds[conn] : CONN_KIND_NONE;
}

// ---- time ------------------------------------------------------------------------------------

static void tick(struct node *n)
{
    n->next_tick = mono_add_ms(n->env->now, n->tick_ms);
    role_step(n, (struct role_event){.type = ROLE_IN_TICK});
    observers_step(n, (struct role_event){.type = ROLE_IN_TICK});
    request_expire_sessions(n);
    request_reap(n);
    serve_on_tick(n->serve, n->env->now, n->env->wall);
}

// The clocks start with the first event, not before recovery, which may take a while.
static void start_clocks(struct node *n)
{
    n->begun = true;
    n->started = n->env->now;
    n->last_step = n->env->now;
    n->tick_ms = n->cfg->tick_ms / 4;
    n->tick_ms = n->tick_ms > TICK_MS       ? TICK_MS
                 : n->tick_ms < TICK_MIN_MS ? TICK_MIN_MS
                                            : n->tick_ms;
    n->next_tick = mono_add_ms(n->env->now, n->tick_ms);
    if (n->ens) {
        ensemble_start(n);
    } else {
        role_step(n, (struct role_event){.type = ROLE_IN_START});
    }
}

// A process that was suspended has heard nobody: that is no silence of the clients.
static void notice_pause(struct node *n)
{
    if (!n->begun) {
        start_clocks(n);
    }
    int64_t gap = mono_diff_ms(n->env->now, n->last_step);
    n->last_step = n->env->now;
    if (gap > n->cfg->tick_ms + TICK_MS) {
        log_warn(&n->env->log,
                 "this process did not run for %" PRId64 " ms; sessions get that time on top", gap);
        expiry_shift(n->expiry, gap);
        serve_shift(n->serve, gap);
    }
}

// ---- stop ------------------------------------------------------------------------------------

static void begin_stop(struct node *n)
{
    if (n->state != NODE_RUNNING) {
        return;
    }
    log_info(&n->env->log, "stopping: closing %zu connections, syncing the log", n->conns);
    n->state = NODE_STOPPING;
    n->stop_at = mono_add_ms(n->env->now, STOP_DEADLINE_MS);
    n->env->ops->unlisten(n->env, n->listener);
    serve_stop(n->serve);
}

// An orderly end of a role: what was proposed is committed first, then the others are left at once,
// so that they elect another leader while this server still closes its files.
static void leave_when_done(struct node *n)
{
    bool busy = n->leader && leader_in_flight(n->leader) > 0;
    if (!busy || mono_diff_ms(n->stop_at, n->env->now) < STOP_DEADLINE_MS - LEAVE_AFTER_MS) {
        ensemble_leave(n);
    }
}

static void continue_stop(struct node *n)
{
    bool late = n->env->now.ns >= n->stop_at.ns;
    leave_when_done(n);
    bool written = disk_idle(n->disk) && (!n->ens || dynconfig_is_idle(n->ens->dyn));
    if (written && (n->conns == 0 || late)) {
        log_info(&n->env->log, "stopped at zxid 0x%" PRIx64, (uint64_t)tree_zxid(n->tree));
        n->state = NODE_STOPPED;
    } else if (late && mono_diff_ms(n->env->now, n->stop_at) > STOP_DEADLINE_MS) {
        log_error(&n->env->log, "the disk does not answer; stopping without waiting for it");
        n->failed = true;
        n->state = NODE_STOPPED;
    }
}

// A disk that does not keep up holds writers back, instead of taking memory for what they write.
static void hold_writes(struct node *n)
{
    size_t backlog = disk_backlog(n->disk);
    bool hold = backlog > (n->writes_held ? LIMIT_LOG_BACKLOG / 2 : LIMIT_LOG_BACKLOG);
    if (hold == n->writes_held) {
        return;
    }
    if (hold && n->env->now.ns >= n->say_held.ns) {
        n->say_held = mono_add_ms(n->env->now, SAY_HELD_MS);
        log_warn(&n->env->log,
                 "the log's disk does not keep up, %zu bytes wait for it: no more writes are taken "
                 "until half of them are written; reads go on",
                 backlog);
    }
    n->writes_held = hold;
    serve_hold_writes(n->serve, hold);
    request_take_submits(n);
}

// ---- the step --------------------------------------------------------------------------------

static void on_job_done(struct node *n, struct env_job *job)
{
    if (n->ens && dynconfig_owns(n->ens->dyn, job)) {
        dynconfig_on_job(n->ens->dyn, job);
        return;
    }
    must(disk_owns(n->disk, job));
    struct disk_event events[4];
    int count = disk_on_job(n->disk, job, events);
    for (int i = 0; i < count && n->state != NODE_STOPPED; i++) {
        role_on_disk(n, &events[i]);
    }
}

static void on_client(struct node *n, const struct env_event *ev)
{
    switch ((int)ev->type) {
    case ENV_ACCEPT:
        n->conns++;
        node_set_conn_kind(n, ev->conn, CONN_KIND_CLIENT);
        serve_on_accept(n->serve, ev->conn, &ev->accept.peer, &ev->accept.local, ev->now, ev->wall);
        break;
    case ENV_DATA:
        serve_on_data(n->serve, ev->conn, ev->data, ev->now, ev->wall);
        break;
    case ENV_DRAINED:
        serve_on_drained(n->serve, ev->conn, ev->now, ev->wall);
        break;
    case ENV_CLOSED:
        must(n->conns > 0);
        n->conns--;
        node_set_conn_kind(n, ev->conn, CONN_KIND_NONE);
        serve_on_closed(n->serve, ev->conn);
        break;
    }
}

void node_step(struct node *n, const struct env_event *ev)
{
    notice_pause(n);
    if (ev->type == ENV_TIMER) {
        n->timer_set = false;
    } else if (ev->type == ENV_JOB_DONE) {
        on_job_done(n, ev->job);
    } else if (ev->type == ENV_STOP) {
        begin_stop(n);
    } else if (ensemble_takes(n, ev)) {
        ensemble_on_env(n, ev);
    } else {
        on_client(n, ev);
    }
    request_take_submits(n);
    role_end_if_over(n);
    hold_writes(n);
}

static void carry_out(struct node *n, const struct conn_order *o)
{
    const struct env_ops *ops = n->env->ops;
    switch (o->kind) {
    case CONN_SEND:
        serve_conn_unsent(n->serve, o->conn,
                          ops->send(n->env, o->conn, serve_conn_out(n->serve, o->conn)));
        break;
    case CONN_CLOSE:
        ops->close(n->env, o->conn);
        break;
    case CONN_PAUSE:
    case CONN_RESUME:
        ops->pause(n->env, o->conn, o->kind == CONN_PAUSE);
        break;
    }
}

// Output that has left may let a connection go on, which gives new requests and new output.
static void carry_out_all(struct node *n)
{
    struct serve_out *out = serve_out(n->serve);
    while (out->orders_n) {
        for (size_t i = 0; i < out->orders_n; i++) {
            carry_out(n, &out->orders[i]);
        }
        serve_orders_clear(n->serve);
        request_take_submits(n);
    }
}

static void set_timer(struct node *n, int64_t wants_ms)
{
    struct mono at = n->next_tick, t;
    if (wants_ms >= 0) {
        t = mono_add_ms(n->env->now, wants_ms);
        at = t.ns < at.ns ? t : at;
    }
    if (ensemble_next(n, &t)) {
        at = t.ns < at.ns ? t : at;
    }
    if (!n->timer_set || at.ns < n->timer_at.ns) {
        n->env->ops->timer(n->env, at);
        n->timer_at = at;
        n->timer_set = true;
    }
}

void node_turn(struct node *n)
{
    if (n->state == NODE_STOPPED) {
        return;
    }
    notice_pause(n);
    if (n->env->now.ns >= n->next_tick.ns) {
        tick(n);
        request_take_submits(n);
    }
    ensemble_on_time(n);
    serve_on_turn(n->serve, n->env->now, n->env->wall);
    request_take_submits(n);
    carry_out_all(n);
    role_end_if_over(n);
    port_flush(n); // before the log: the peers' disks work while this one does
    disk_flush(n->disk);
    if (n->state == NODE_STOPPING) {
        continue_stop(n); // begins nothing new on the disk: a snapshot under way is given up
        set_timer(n, -1);
        return;
    }
    int64_t wants_ms = disk_turn(n->disk, n->tree, n->env->now);
    set_timer(n, serve_wants_turn(n->serve) ? 0 : wants_ms);
}

// ---- life ------------------------------------------------------------------------------------

static enum err recover(struct node *n)
{
    struct tree_config tc;
    settings_tree(n->cfg, n->env->seed, &tc);
    n->tree = tree_new(&tc, &n->env->log);
    struct disk_config dc;
    settings_disk(n->cfg, &dc);
    dc.member = n->ens != NULL;
    struct mono begun = n->env->ops->clock(n->env);
    enum err e = disk_open(n->env, &dc, n->tree, &n->disk);
    n->init_ms = mono_diff_ms(n->env->ops->clock(n->env), begun);
    return e;
}

static struct serve_facts *facts(void *ctx)
{
    return status_facts(ctx);
}

static void make_parts(struct node *n)
{
    n->pending = pending_new(n->tree);
    n->expiry = expiry_new((int32_t)n->cfg->tick_ms, n->env->seed);
    struct serve_config sc;
    settings_serve(n->cfg, n->env->seed, REEVE_VERSION_LINE, &sc);
    if (n->ens) {
        sc.server_id = (int32_t)n->ens->sid;
        sc.local_sessions = n->cfg->local_sessions;
        sc.local_upgrade = n->cfg->local_sessions_upgrade;
    }
    n->serve = serve_new(&sc, n->tree, &n->env->log, n->env->wall, facts, n);
    history_init(&n->history, (size_t)n->cfg->commit_log_count, HISTORY_BYTES_MAX);
    if (!n->ens) {
        n->run = RUN_LEADING;
        role_begin_alone(n);
    }
}

static enum err start_listening(struct node *n, const struct net_addr *at)
{
    // Its failure is logged by env, which knows what the system said.
    return n->env->ops->listen(n->env, at, (int)n->cfg->backlog, &n->listener, &n->addr);
}

static bool same_addr(const struct net_addr *a, const struct net_addr *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

void node_move_client_port(struct node *n)
{
    const struct member *self = members_find(n->ens->committed, n->ens->sid);
    if (!self || !self->client.host.p || n->ens->client_is_static || n->state != NODE_RUNNING) {
        return;
    }
    struct net_addr at = {.port = self->client.port};
    uint32_t old = n->listener;
    if (n->env->ops->resolve(n->env, self->client.host, &at) || same_addr(&at, &n->asked_addr)) {
        return;
    }
    if (start_listening(n, &at)) {
        log_error(&n->env->log, "clients go on to be served at the former address only");
        n->listener = old;
        return;
    }
    n->asked_addr = at;
    n->env->ops->unlisten(n->env, old);
}

enum err node_new(struct env *env, const struct config *cfg, struct node **node)
{
    struct node *n = mem_zalloc(sizeof(*n));
    struct dynconfig_start start = {0};
    n->env = env;
    n->cfg = cfg;
    enum err e = ensemble_open(n, &start);
    if (!e) {
        e = recover(n);
    }
    if (!e) {
        make_parts(n);
        n->asked_addr = start.client;
        e = start_listening(n, &start.client);
    }
    dynconfig_start_fini(&start);
    if (e) {
        node_free(&n);
        return e;
    }
    *node = n;
    return ERR_OK;
}

void node_free(struct node **node)
{
    struct node *n = *node;
    if (!n) {
        return;
    }
    serve_free(&n->serve);
    expiry_free(&n->expiry);
    leader_free(&n->leader);
    learner_free(&n->learner);
    obsmaster_free(&n->obsmaster);
    ensemble_close(n);
    role_forget_open(n);
    history_fini(&n->history);
    members_free(&n->alone);
    pending_free(&n->pending);
    disk_free(&n->disk);
    tree_free(&n->tree);
    arena_fini(&n->arena);
    buf_fini(&n->entry);
    buf_fini(&n->conf_text);
    mem_free(n->conn_kinds);
    mem_free(n->answers);
    mem_free(n);
    *node = NULL;
}

bool node_stopped(const struct node *n, bool *failed)
{
    *failed = n->failed;
    return n->state == NODE_STOPPED;
}

const struct net_addr *node_client_addr(const struct node *n)
{
    return &n->addr;
}

const struct tree *node_tree(const struct node *n)
{
    return n->tree;
}

void node_check(const struct node *n)
{
    serve_check(n->serve);
    must(n->answers_n == 0);
    must(!(n->leader && n->learner));
    if (n->leader) {
        leader_check(n->leader);
    }
    if (n->learner) {
        learner_check(n->learner);
    }
    must(!n->obsmaster || n->learner);
    if (n->obsmaster) {
        obsmaster_check(n->obsmaster);
    }
    if (n->ens) {
        elect_check(n->ens->elect);
        history_check(&n->history);
    } else {
        must(leader_committed(n->leader) == tree_zxid(n->tree));
    }
}

struct node_view node_view(const struct node *n)
{
    struct disk_epochs e = {0};
    if (n->ens) {
        disk_get_epochs(n->disk, &e);
    }
    return (struct node_view){n->serving, n->serving && n->run == RUN_LEADING, e.current};
}
