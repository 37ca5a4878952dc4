// SPDX-License-Identifier: Apache-2.0
//
// The wiring of one server. Data passes through here from part to part, always in this direction:
//
//   env event -> serve -> submits -> prep -> zab -> disk (batch)          node_step, then node_turn
//   job done  -> disk  -> zab -> commit -> apply -> serve -> replies      node_step, then node_turn
//
// Owned here: every part, the entry under construction, the timer. Rules that keep it simple:
// - serve is never called while its submits are being read (their bytes would go): what must be
//   answered at once (sync, renewal, refusal) is put on a list and answered after the pass.
// - zab's actions are run to the end before the next zab_step.
// - Output and log batches leave in node_turn only, once per round of events.
//
// States: RUNNING -> STOPPING (no new connections or proposals, log and output drain) -> STOPPED.
// A disk whose state is unknown goes to STOPPED at once, failed: the log decides at the next start.
#include "node/node.h"

#include <inttypes.h>

#include "base/arena.h"
#include "base/blob.h"
#include "disk/disk.h"
#include "limits.h"
#include "node/reaper.h"
#include "node/settings.h"
#include "node/version.h"
#include "serve/expiry.h"
#include "serve/serve.h"
#include "tree/apply.h"
#include "tree/prep.h"
#include "wire/jute.h"
#include "zab/zab.h"

enum {
    SID = 1,                // of the only voter; any will do, it is nowhere on disk or wire
    TICK_MS = 100,          // expiry, idle connections, reaping
    SAY_HELD_MS = 60000,    // between log lines about a slow disk
    STOP_DEADLINE_MS = 8000 // a clean stop waits this long for slow readers and the disk
};

enum node_state { NODE_RUNNING, NODE_STOPPING, NODE_STOPPED };

// An answer that had to wait until serve's submits were read.
struct answer {
    enum { ANSWER_SYNCED, ANSWER_RENEWED, ANSWER_REFUSED } kind;
    uint64_t tag;    // SYNCED, RENEWED
    bool alive;      // RENEWED
    int64_t session; // REFUSED
    int32_t cxid, op;
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
    struct zab *zab;
    struct disk *disk;
    struct serve *serve;
    struct expiry *expiry;
    struct reaper reaper;

    uint32_t listener;
    struct net_addr addr;
    size_t conns; // open connections, until their ENV_CLOSED
    struct buf conf_text;
    struct serve_facts facts;

    struct arena arena; // of one commit or one reaping pass
    struct buf entry;   // the transaction under construction
    struct answer *answers;
    size_t answers_n, answers_cap;

    bool begun; // the clocks run
    struct mono started, last_step, next_tick, stop_at;
    bool timer_set;
    struct mono timer_at; // what the env's timer is set to

    struct summary prep_ns;
    int64_t init_ms; // of the start: files -> tree
};

static const struct auth server_itself = {NULL, 0};

// ---- commit: what a quorum has agreed on becomes visible --------------------------------------

static void track_session(struct node *n, const struct txn *txn)
{
    if (txn->hdr.type == OP_CREATE_SESSION) {
        expiry_add(n->expiry, txn->hdr.client_id, txn->body.create_session.timeout_ms, n->env->now);
    } else if (txn->hdr.type == OP_CLOSE_SESSION) {
        expiry_remove(n->expiry, txn->hdr.client_id);
    }
}

static void commit(struct node *n, const struct zab_action *a)
{
    struct txn txn;
    struct apply_out out = {0};
    // Our own prep encoded it: bytes that do not decode would be a bug, not input.
    must(txn_decode(blob_slice(a->txn), SIZE_MAX, &n->arena, &txn) == ERR_OK);
    must(txn.hdr.zxid == a->zxid);
    apply_txn(n->tree, &txn, &n->arena, &out);
    pending_applied(n->pending, a->zxid);
    track_session(n, &txn);
    serve_on_commit(n->serve, &txn, &out, n->env->now, n->env->wall);
    arena_reset(&n->arena);
}

static void answer_later(struct node *n, struct answer a)
{
    mem_grow((void **)&n->answers, &n->answers_cap, n->answers_n + 1, sizeof(*n->answers));
    n->answers[n->answers_n++] = a;
}

static void refuse_later(struct node *n, int64_t session, int32_t cxid, int32_t op)
{
    answer_later(
        n, (struct answer){.kind = ANSWER_REFUSED, .session = session, .cxid = cxid, .op = op});
}

static void abort_proposal(struct node *n, const struct zab_action *a)
{
    struct txn_header h;
    must(txn_decode_header(blob_slice(a->txn), &h) == ERR_OK);
    refuse_later(n, h.client_id, h.cxid, h.type);
}

static void zab_do(struct node *n, const struct zab_event *ev)
{
    struct zab_out out;
    zab_step(n->zab, ev, &out);
    for (size_t i = 0; i < out.n; i++) {
        const struct zab_action *a = &out.actions[i];
        switch (a->type) {
        case ZAB_APPEND:
            must(disk_append(n->disk, blob_slice(a->txn), a->zxid));
            break;
        case ZAB_COMMIT:
            commit(n, a);
            break;
        case ZAB_ABORT:
            abort_proposal(n, a);
            break;
        case ZAB_SYNCED:
            answer_later(n, (struct answer){.kind = ANSWER_SYNCED, .tag = a->tag});
            break;
        }
    }
}

// ---- submit: what clients ask becomes proposals -----------------------------------------------

static void propose(struct node *n, const struct prep_request *req)
{
    if (n->log_full || n->state != NODE_RUNNING) {
        refuse_later(n, req->session, req->cxid, req->op);
        return;
    }
    int64_t zxid = zab_next_zxid(n->zab);
    buf_clear(&n->entry);
    struct mono begun = n->env->ops->clock(n->env);
    (void)prep_txn(n->pending, req, zxid, n->env->wall, &n->entry);
    summary_add(&n->prep_ns, n->env->ops->clock(n->env).ns - begun.ns);
    struct blob *txn = blob_new(buf_slice(&n->entry));
    zab_do(n, &(struct zab_event){.type = ZAB_PROPOSE, .zxid = zxid, .txn = txn});
    blob_unref(&txn);
}

// A renewal is answered by whoever expires sessions: here.
static void renew(struct node *n, const struct submit *s)
{
    bool alive = expiry_has(n->expiry, s->session, NULL) &&
                 !pending_session_is_closing(n->pending, s->session);
    if (alive) {
        expiry_add(n->expiry, s->session, s->timeout_ms, n->env->now);
    }
    answer_later(n, (struct answer){.kind = ANSWER_RENEWED, .tag = s->tag, .alive = alive});
}

static void submit(struct node *n, const struct submit *s)
{
    switch (s->kind) {
    case SUBMIT_WRITE:
    case SUBMIT_SESSION:
        propose(n, &(struct prep_request){.session = s->session,
                                          .cxid = s->cxid,
                                          .op = s->op,
                                          .body = s->body,
                                          .auth = s->auth});
        break;
    case SUBMIT_SYNC:
        zab_do(n, &(struct zab_event){.type = ZAB_SYNC, .tag = s->tag});
        break;
    case SUBMIT_RENEW:
        renew(n, s);
        break;
    case SUBMIT_TOUCH:
        expiry_touch(n->expiry, s->session, s->heard);
        break;
    }
}

static void answer(struct node *n, const struct answer *a)
{
    struct mono now = n->env->now;
    struct wall wall = n->env->wall;
    switch (a->kind) {
    case ANSWER_SYNCED:
        serve_on_synced(n->serve, a->tag, now, wall);
        break;
    case ANSWER_RENEWED:
        serve_on_renewed(n->serve, a->tag, a->alive, now, wall);
        break;
    case ANSWER_REFUSED:
        serve_on_refuse(n->serve, a->session, a->cxid, a->op, ZK_SYSTEMERROR, now, wall);
        break;
    }
}

// Takes what serve has submitted until nothing is left: an answer may release requests that waited.
static void take_submits(struct node *n)
{
    struct serve_out *out = serve_out(n->serve);
    while (out->submits_n || n->answers_n) {
        for (size_t i = 0; i < out->submits_n; i++) {
            submit(n, &out->submits[i]);
        }
        serve_submits_clear(n->serve);
        for (size_t i = 0; i < n->answers_n; i++) {
            answer(n, &n->answers[i]);
        }
        n->answers_n = 0;
    }
}

// ---- disk ------------------------------------------------------------------------------------

static void on_log_full(struct node *n, int64_t zxid)
{
    log_error(&n->env->log,
              "the disk of the transaction log is full: writes are refused, reads go on; "
              "make space in %s and writes resume by themselves",
              n->cfg->data_log_dir);
    n->log_full = true;
    zab_do(n, &(struct zab_event){.type = ZAB_LOG_FULL, .zxid = zxid});
    pending_reset(n->pending);
}

static void on_disk_event(struct node *n, const struct disk_event *ev)
{
    switch (ev->type) {
    case DISK_LOGGED:
        zab_do(n, &(struct zab_event){.type = ZAB_LOGGED, .zxid = ev->zxid});
        break;
    case DISK_LOG_FULL:
        on_log_full(n, ev->zxid);
        break;
    case DISK_LOG_SPACE:
        log_info(&n->env->log, "there is space again, writes are accepted");
        n->log_full = false;
        break;
    case DISK_LOG_BROKEN:
        log_error(&n->env->log, "the disk failed a write of the transaction log, so what is on it "
                                "is unknown; stopping: check the disk, then start again");
        n->failed = true;
        n->state = NODE_STOPPED;
        break;
    case DISK_SNAPPED:
        break;
    default:
        break;
    }
}

static void on_job_done(struct node *n, struct env_job *job)
{
    must(disk_owns(n->disk, job));
    struct disk_event events[4];
    int count = disk_on_job(n->disk, job, events);
    for (int i = 0; i < count; i++) {
        on_disk_event(n, &events[i]);
    }
}

// ---- time ------------------------------------------------------------------------------------

// Sessions whose deadline has passed: those heard of in the meantime live on, the others are
// closed. Touching a closed one delays the next attempt, should this close not commit (full disk).
static void expire_sessions(struct node *n)
{
    int64_t session;
    while (expiry_due(n->expiry, n->env->now, &session)) {
        struct mono heard;
        int32_t timeout_ms = 0;
        must(expiry_has(n->expiry, session, &timeout_ms));
        if (serve_last_heard(n->serve, session, &heard) &&
            mono_diff_ms(n->env->now, heard) < timeout_ms) {
            expiry_touch(n->expiry, session, heard);
            continue;
        }
        expiry_touch(n->expiry, session, n->env->now);
        if (n->log_full || n->state != NODE_RUNNING ||
            pending_session_is_closing(n->pending, session)) {
            continue;
        }
        log_info(&n->env->log, "session 0x%" PRIx64 " expired after %" PRId32 " ms of silence",
                 (uint64_t)session, timeout_ms);
        propose(n, &(struct prep_request){
                       .session = session, .op = OP_CLOSE_SESSION, .auth = &server_itself});
    }
}

static void reap(struct node *n)
{
    if (n->log_full || n->writes_held || n->state != NODE_RUNNING) {
        return;
    }
    struct arena a = {0};
    struct slice_vec due = reaper_step(&n->reaper, n->tree, n->env->now, n->env->wall, &a);
    for (int32_t i = 0; i < due.n; i++) {
        struct buf body = {0};
        jute_put_bytes(&body, due.v[i]);
        propose(n, &(struct prep_request){.op = OP_DELETE_CONTAINER,
                                          .body = buf_slice(&body),
                                          .auth = &server_itself});
        buf_fini(&body);
    }
    arena_fini(&a);
}

static void tick(struct node *n)
{
    n->next_tick = mono_add_ms(n->env->now, TICK_MS);
    expire_sessions(n);
    reap(n);
    serve_on_tick(n->serve, n->env->now, n->env->wall);
}

// Sessions of the recovered tree start with a full timeout: nobody could reach this server before.
static void track_recovered_sessions(struct node *n)
{
    size_t cursor = 0;
    int64_t id;
    int32_t timeout_ms;
    while (session_next(tree_sessions_const(n->tree), &cursor, &id, &timeout_ms)) {
        expiry_add(n->expiry, id, timeout_ms, n->env->now);
    }
}

// Ephemerals of sessions that the recovered table does not hold would never go (a foreign server's
// fuzzy snapshot can leave such). They go by transactions, so that the log tells it to every later
// start, unlike Apache's silent removal.
static void close_lost_sessions(struct node *n)
{
    size_t cursor = 0;
    int64_t session;
    while (tree_ephemeral_owner_next(n->tree, &cursor, &session)) {
        if (!session_get(tree_sessions_const(n->tree), session, NULL)) {
            log_info(&n->env->log, "session 0x%" PRIx64 " is unknown: its ephemeral nodes go",
                     (uint64_t)session);
            propose(n, &(struct prep_request){
                           .session = session, .op = OP_CLOSE_SESSION, .auth = &server_itself});
        }
    }
}

// The clocks start with the first event, not before recovery, which may take a while.
static void start_clocks(struct node *n)
{
    n->begun = true;
    n->started = n->env->now;
    n->last_step = n->env->now;
    n->next_tick = mono_add_ms(n->env->now, TICK_MS);
    track_recovered_sessions(n);
    close_lost_sessions(n);
    reaper_init(&n->reaper, n->cfg->container_check_ms, n->cfg->container_per_minute,
                n->cfg->container_never_used_ms, n->env->now);
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

static void continue_stop(struct node *n)
{
    bool late = n->env->now.ns >= n->stop_at.ns;
    if (disk_idle(n->disk) && (n->conns == 0 || late)) {
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
    take_submits(n);
}

// ---- the step --------------------------------------------------------------------------------

void node_step(struct node *n, const struct env_event *ev)
{
    notice_pause(n);
    switch (ev->type) {
    case ENV_DIALED:
    case ENV_DIAL_FAILED:
        break;
    case ENV_ACCEPT:
        n->conns++;
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
        serve_on_closed(n->serve, ev->conn);
        break;
    case ENV_TIMER:
        n->timer_set = false;
        break;
    case ENV_JOB_DONE:
        on_job_done(n, ev->job);
        break;
    case ENV_STOP:
        begin_stop(n);
        break;
    }
    take_submits(n);
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
        take_submits(n);
    }
}

static void set_timer(struct node *n, int64_t disk_wants_ms)
{
    struct mono at = n->next_tick;
    if (disk_wants_ms >= 0) {
        struct mono d = mono_add_ms(n->env->now, disk_wants_ms);
        at = d.ns < at.ns ? d : at;
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
        take_submits(n);
    }
    serve_on_turn(n->serve, n->env->now, n->env->wall);
    take_submits(n);
    carry_out_all(n);
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

static void disk_facts(const struct disk_stats *s, struct serve_facts *f)
{
    f->last_snap_zxid = s->last_snap_zxid;
    f->fsync_slow = s->fsync_slow;
    f->fsync_ns = s->fsync_ns;
    f->batch_txns = s->batch_txns;
    f->snap_count = s->snap_count;
    f->snap_errors = s->snap_errors;
    f->snapshot_ms = s->snapshot_ms;
    f->snap_load_ms = s->snap_load_ms;
    f->txns_load_ms = s->replay_ms;
    f->txns_loaded = s->recovered_txns;
}

static struct serve_facts *facts(void *ctx)
{
    struct node *n = ctx;
    struct disk_stats s;
    disk_get_stats(n->disk, &s);
    n->facts.mode = "standalone";
    n->facts.serving = n->state == NODE_RUNNING;
    n->facts.uptime_ms = mono_diff_ms(n->env->now, n->started);
    disk_sizes(n->disk, &n->facts.data_dir_size, &n->facts.log_dir_size);
    buf_clear(&n->conf_text);
    config_fmt_conf(n->cfg, n->facts.data_dir_size, n->facts.log_dir_size, &n->conf_text);
    buf_put_u8(&n->conf_text, 0);
    n->facts.conf_text = (const char *)n->conf_text.p;
    disk_facts(&s, &n->facts);
    n->facts.proposals = n->prep_ns.n;
    n->facts.prep_ns = n->prep_ns;
    n->facts.init_ms = n->init_ms;
    n->facts.expiry = n->expiry;
    n->env->ops->sysinfo(n->env, &n->facts.sys);
    return &n->facts;
}

static enum err recover(struct node *n)
{
    struct tree_config tc;
    settings_tree(n->cfg, n->env->seed, &tc);
    n->tree = tree_new(&tc, &n->env->log);
    struct disk_config dc;
    settings_disk(n->cfg, &dc);
    struct mono begun = n->env->ops->clock(n->env);
    enum err e = disk_open(n->env, &dc, n->tree, &n->disk);
    n->init_ms = mono_diff_ms(n->env->ops->clock(n->env), begun);
    return e;
}

static void make_parts(struct node *n)
{
    n->pending = pending_new(n->tree);
    n->zab = zab_new(SID, tree_zxid(n->tree));
    n->expiry = expiry_new((int32_t)n->cfg->tick_ms, n->env->seed);
    struct serve_config sc;
    settings_serve(n->cfg, n->env->seed, REEVE_VERSION_LINE, &sc);
    n->serve = serve_new(&sc, n->tree, &n->env->log, n->env->wall, facts, n);
}

static enum err start_listening(struct node *n)
{
    struct net_addr at;
    enum err e = settings_client_addr(n->cfg, &at);
    if (e) {
        log_error(&n->env->log, "clientPortAddress=%s is not an IP address",
                  n->cfg->client_address);
        return e;
    }
    // Its failure is logged by env, which knows what the system said.
    return n->env->ops->listen(n->env, &at, (int)n->cfg->backlog, &n->listener, &n->addr);
}

enum err node_new(struct env *env, const struct config *cfg, struct node **node)
{
    struct node *n = mem_zalloc(sizeof(*n));
    n->env = env;
    n->cfg = cfg;
    enum err e = recover(n);
    if (e) {
        node_free(&n);
        return e;
    }
    make_parts(n);
    e = start_listening(n);
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
    zab_free(&n->zab);
    pending_free(&n->pending);
    disk_free(&n->disk);
    tree_free(&n->tree);
    arena_fini(&n->arena);
    buf_fini(&n->entry);
    buf_fini(&n->conf_text);
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
    zab_check(n->zab);
    serve_check(n->serve);
    must(zab_committed(n->zab) == tree_zxid(n->tree));
    must(n->answers_n == 0);
}
