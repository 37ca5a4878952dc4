// SPDX-License-Identifier: Apache-2.0
//
// The role of this server. A role is one struct leader or struct learner, made when it begins and
// freed when it ends; here its actions become calls, and what comes of them its events. What it
// appended and never saw committed stays in n->open, so that the log can be settled without it.
#include <inttypes.h>

#include "base/mem.h"
#include "node/node_internal.h"

enum { EPOCH_AGAIN_MS = 1000 }; // an epoch had no space on the disk

static const char *const run_names[RUNS] = {
    "settling", "looking", "leading", "following", "observing", "gone",
};

const char *run_name(enum run run)
{
    return run_names[run];
}

void role_move(struct node *n, enum run to)
{
    enum { ROLES = 1 << RUN_LEADING | 1 << RUN_FOLLOWING | 1 << RUN_OBSERVING };
    static const unsigned legal[RUNS] = {
        [RUN_SETTLING] = 1 << RUN_LOOKING | ROLES | 1 << RUN_GONE,
        [RUN_LOOKING] = ROLES | 1 << RUN_SETTLING | 1 << RUN_GONE,
        [RUN_LEADING] = 1 << RUN_SETTLING | 1 << RUN_GONE,
        [RUN_FOLLOWING] = 1 << RUN_SETTLING | 1 << RUN_GONE,
        [RUN_OBSERVING] = 1 << RUN_SETTLING | 1 << RUN_GONE,
    };
    must(legal[n->run] & (1u << to));
    log_debug(&n->env->log, "%s -> %s", run_names[n->run], run_names[to]);
    n->run = to;
}

// ---- what is in the log and not committed -------------------------------------------------------

static void open_put(struct node *n, int64_t zxid, struct blob *txn)
{
    if (n->open_n == n->open_cap && n->open_first > n->open_n / 2) {
        n->open_n -= n->open_first;
        memmove(n->open, n->open + n->open_first, n->open_n * sizeof(*n->open));
        n->open_first = 0;
    }
    mem_grow((void **)&n->open, &n->open_cap, n->open_n + 1, sizeof(*n->open));
    n->open[n->open_n++] = (struct zab_entry){zxid, blob_ref(txn)};
}

static void open_pop(struct node *n, int64_t zxid)
{
    must(n->open_first < n->open_n);
    must(n->open[n->open_first].zxid == zxid);
    blob_unref(&n->open[n->open_first++].txn);
    if (n->open_first == n->open_n) {
        n->open_first = n->open_n = 0;
    }
}

// The log has nothing above zxid.
static void open_cut(struct node *n, int64_t zxid)
{
    while (n->open_n > n->open_first && n->open[n->open_n - 1].zxid > zxid) {
        blob_unref(&n->open[--n->open_n].txn);
    }
    if (n->open_first == n->open_n) {
        n->open_first = n->open_n = 0;
    }
}

void role_forget_open(struct node *n)
{
    open_cut(n, -1);
    mem_free(n->open);
}

// ---- commit: what a quorum has agreed on becomes visible ----------------------------------------

static void track_session(struct node *n, const struct txn *txn)
{
    if (txn->hdr.type == OP_CREATE_SESSION) {
        expiry_add(n->expiry, txn->hdr.client_id, txn->body.create_session.timeout_ms, n->env->now);
    } else if (txn->hdr.type == OP_CLOSE_SESSION) {
        expiry_remove(n->expiry, txn->hdr.client_id);
    }
}

static void apply(struct node *n, int64_t zxid, const struct blob *bytes, struct txn *txn,
                  struct apply_out *out)
{
    // Our own prep encoded it, or it was looked at when it came: what does not decode now would be
    // a bug, not input.
    must(txn_decode(blob_slice(bytes), SIZE_MAX, &n->arena, txn) == ERR_OK);
    must(txn->hdr.zxid == zxid);
    apply_txn(n->tree, txn, &n->arena, out);
}

static void commit(struct node *n, const struct role_action *a)
{
    struct txn txn;
    struct apply_out out = {0};
    apply(n, a->zxid, a->txn, &txn, &out);
    if (n->ens) {
        open_pop(n, a->zxid);
    }
    if (n->leader) {
        pending_applied(n->pending, a->zxid);
        track_session(n, &txn);
    }
    serve_on_commit(n->serve, &txn, &out, n->env->now, n->env->wall);
    arena_reset(&n->arena);
}

static void abort_proposal(struct node *n, const struct role_action *a)
{
    struct txn_header h;
    must(txn_decode_header(blob_slice(a->txn), &h) == ERR_OK);
    request_refuse_later(n, h.client_id, h.cxid, h.type);
}

// ---- actions ------------------------------------------------------------------------------------

static void append(struct node *n, const struct role_action *a)
{
    if (n->ens) {
        open_put(n, a->zxid, a->txn);
    }
    must(disk_append(n->disk, blob_slice(a->txn), a->zxid));
}

static void save_epoch(struct node *n, enum disk_epoch which, int64_t epoch)
{
    must(!n->saving_epoch);
    n->saving_epoch = true;
    disk_save_epoch(n->disk, which, epoch);
}

static void load_snapshot(struct node *n, int64_t zxid)
{
    n->ens->taking = true;
    n->ens->taken = false;
    disk_take_begin(n->disk, zxid);
}

static void drop(struct node *n, const struct role_action *a)
{
    struct peer_conn *c = peers_of_sid(&n->ens->peers, a->sid);
    if (c) {
        c->told = true; // it says so itself
        port_drop(n, c, a->why);
    }
}

// What would step the role again is only noted: see the end of role_step.
void role_act_on_peers(struct node *n, const struct role_action *a)
{
    switch ((int)a->type) {
    case ROLE_SEND:
        port_send(n, a->sid, &a->packet);
        break;
    case ROLE_DROP:
        drop(n, a);
        break;
    case ROLE_LAST_SEEN:
        reconfig_told(n, a->data);
        break;
    case ROLE_PING:
        request_answer_ping(n, a->zxid);
        break;
    case ROLE_TOUCHED:
        request_touched(n, a->data);
        break;
    case ROLE_ASK_DISK:
        feed_offer(n, a->sid, a->tag, a->zxid, a->fresh);
        break;
    case ROLE_READ_HISTORY:
        feed_history(n, a->sid, a->tag, a->zxid);
        break;
    case ROLE_SEND_SNAPSHOT:
        feed_snapshot(n, a->sid, a->zxid, a->file);
        break;
    }
}

static void synced(struct node *n, uint64_t tag)
{
    if (n->learner) {
        request_synced(n);
    } else {
        request_answer_sync(n, tag);
    }
}

static void act(struct node *n, const struct role_action *a)
{
    switch (a->type) {
    case ROLE_SAVE_ACCEPTED:
        save_epoch(n, DISK_EPOCH_ACCEPTED, a->epoch);
        break;
    case ROLE_SAVE_CURRENT:
        save_epoch(n, DISK_EPOCH_CURRENT, a->epoch);
        break;
    case ROLE_APPEND:
        append(n, a);
        break;
    case ROLE_COMMIT:
        commit(n, a);
        break;
    case ROLE_ABORT:
        abort_proposal(n, a);
        break;
    case ROLE_SERVE:
        n->begins_to_serve = true;
        break;
    case ROLE_STEP_DOWN:
        n->over = a->why;
        break;
    case ROLE_SYNCED:
        synced(n, a->tag);
        break;
    case ROLE_TRUNCATE:
        disk_truncate(n->disk, n->tree, a->zxid);
        break;
    case ROLE_LOAD_SNAPSHOT:
        load_snapshot(n, a->zxid);
        break;
    default:
        role_act_on_peers(n, a);
        break;
    }
}

static void begin_to_serve(struct node *n)
{
    struct ensemble *e = n->ens;
    n->begins_to_serve = false;
    n->serving = true;
    if (n->leader) {
        pending_reset(n->pending);
        request_track_all(n);
        reaper_init(&n->reaper, n->cfg->container_check_ms, n->cfg->container_per_minute,
                    n->cfg->container_never_used_ms, n->env->now);
    }
    if (e) {
        int64_t epoch = n->leader ? leader_epoch(n->leader) : learner_epoch(n->learner);
        ensemble_begin_to_serve(n, epoch);
        serve_set_complete_to(n->serve, zxid_of_epoch(epoch));
    }
    if (n->over) {
        return;
    }
    disk_allow_snapshots(n->disk, true);
    if (!n->leader || !e || n->cfg->leader_serves) {
        serve_set_mode(n->serve, SERVE_FULL, n->env->now, n->env->wall);
    }
    if (n->run == RUN_FOLLOWING) {
        observers_begin(n);
    }
    if (n->leader) {
        request_close_lost_sessions(n);
    }
}

// Java's processReconfig at the commit of a reconfiguration.
static void activate(struct node *n, int64_t zxid, int64_t designated)
{
    if (ensemble_activate(n, zxid, designated) && !n->over) {
        n->over = "the ensemble was reconfigured";
    }
}

void role_step(struct node *n, struct role_event ev)
{
    if (n->over || (!n->leader && !n->learner)) {
        return;
    }
    ev.now = n->env->now;
    struct role_out out;
    if (n->leader) {
        leader_step(n->leader, &ev, &out);
    } else {
        learner_step(n->learner, &ev, &out);
    }
    const struct role_action *request = NULL, *activation = NULL;
    for (size_t i = 0; i < out.n; i++) {
        const struct role_action *a = &out.actions[i];
        if (a->type == ROLE_REQUEST) {
            must(!request); // one packet, one request
            request = a;
        } else if (a->type == ROLE_ACTIVATE) {
            must(!activation); // one at a time
            activation = a;
        } else {
            act(n, a);
        }
        if (a->type == ROLE_COMMIT && n->obsmaster) {
            bool activates = i + 1 < out.n && a[1].type == ROLE_ACTIVATE;
            observers_committed(n, a, activates ? a + 1 : NULL);
        }
    }
    // Each of these may step the role again; what it points to is not used after that.
    if (activation) {
        activate(n, activation->zxid, activation->sid);
    } else if (request && n->leader) {
        request_of_learner(n, request->sid, &request->packet);
    } else if (request) {
        request_revalidated(n, request->packet.data);
    }
    if (n->begins_to_serve && !n->over) {
        begin_to_serve(n);
    }
}

// ---- the disk's answers -------------------------------------------------------------------------

static void on_log_full(struct node *n, int64_t zxid)
{
    log_error(
        &n->env->log,
        "the disk of the transaction log is full: %s; make space in %s and it goes on by itself",
        n->ens ? "this server takes no part in the ensemble" : "writes are refused, reads go on",
        n->cfg->data_log_dir);
    n->log_full = true;
    if (n->ens) {
        open_cut(n, zxid);
        n->ens->reload = tree_zxid(n->tree) > zxid; // others had it in their logs
        n->ens->reload_to = zxid;
        role_step(n, (struct role_event){.type = ROLE_IN_LOG_FAILED});
    } else {
        role_step(n, (struct role_event){.type = ROLE_IN_LOG_FULL, .zxid = zxid});
        pending_reset(n->pending);
    }
}

// The disk holds another history now: that becomes the tree's.
static void replace_tree(struct node *n, const struct disk_event *ev)
{
    struct tree *tree = ev->answer->tree;
    must(pending_count(n->pending) == 0);
    tree_swap(n->tree, tree);
    tree_free(&tree);
    open_cut(n, -1);
    reconfig_set_node(n);
    if (!n->learner || n->over) { // it does this itself, else
        history_reset(&n->history, ev->zxid);
    }
}

static void on_sync_failed(struct node *n)
{
    if (n->ens->reloading) {
        node_fail(n);
        return;
    }
    if (n->saving_epoch) {
        n->saving_epoch = false;
        n->ens->may_look_at = mono_add_ms(n->env->now, EPOCH_AGAIN_MS); // counts between roles
        role_step(n, (struct role_event){.type = ROLE_IN_LOG_FAILED});
        return;
    }
    bool was_snapshot = n->ens->taking || n->ens->installing;
    n->ens->taking = n->ens->installing = false;
    if (!was_snapshot) {
        log_warn(&n->env->log, "the log here cannot be cut where the leader says: a whole snapshot "
                               "will be asked for");
        n->ens->wants_snapshot = true;
    }
    role_step(n, (struct role_event){.type = ROLE_IN_SYNC_FAILED});
}

void role_on_disk(struct node *n, const struct disk_event *ev)
{
    struct role_event r = {.zxid = ev->zxid};
    switch (ev->type) {
    case DISK_LOGGED:
        r.type = ROLE_IN_LOGGED;
        role_step(n, r);
        break;
    case DISK_LOG_FULL:
        on_log_full(n, ev->zxid);
        break;
    case DISK_LOG_SPACE:
        log_info(&n->env->log, "there is space again, writes are accepted");
        n->log_full = false;
        break;
    case DISK_LOG_BROKEN:
        node_fail(n);
        break;
    case DISK_EPOCH_SAVED:
        n->saving_epoch = false;
        ensemble_epoch_saved(n, ev->zxid);
        break;
    case DISK_TRUNCATED:
        n->ens->reload = n->ens->reloading = false;
        replace_tree(n, ev);
        r.type = ROLE_IN_TRUNCATED;
        role_step(n, r);
        break;
    case DISK_INSTALLED:
        n->ens->installing = n->ens->wants_snapshot = false;
        replace_tree(n, ev);
        r.type = ROLE_IN_SNAPSHOT_LOADED;
        role_step(n, r);
        break;
    case DISK_SYNC_FAILED:
        on_sync_failed(n);
        break;
    case DISK_OFFER:
    case DISK_HISTORY:
    case DISK_STREAM:
        feed_on_disk(n, ev);
        break;
    case DISK_SNAPPED:
        feed_on_snapped(n);
        break;
    }
}

// ---- beginning and end --------------------------------------------------------------------------

static struct role_settings settings(struct node *n)
{
    struct ensemble *e = n->ens;
    struct disk_epochs epochs;
    disk_get_epochs(n->disk, &epochs);
    return (struct role_settings){.sid = e->sid,
                                  .tick_ms = n->cfg->tick_ms,
                                  .init_limit = n->cfg->init_limit,
                                  .sync_limit = n->cfg->sync_limit,
                                  .observer = n->run == RUN_OBSERVING,
                                  .wants_snapshot = e->wants_snapshot,
                                  .committed = e->committed,
                                  .last_seen = e->last_seen,
                                  .accepted_epoch = epochs.accepted,
                                  .current_epoch = epochs.current,
                                  .last_zxid = tree_zxid(n->tree),
                                  .leader = e->leader};
}

void role_begin_alone(struct node *n)
{
    n->alone = members_alone(1);
    struct role_settings s = {.sid = 1,
                              .alone = true,
                              .tick_ms = n->cfg->tick_ms,
                              .committed = n->alone,
                              .last_zxid = tree_zxid(n->tree),
                              .accepted_epoch = INT32_MAX,
                              .current_epoch = INT32_MAX};
    n->leader = leader_new(&s, NULL);
}

void role_begin(struct node *n, enum run run, int64_t leader)
{
    must(n->open_n == 0);
    must(!n->leader && !n->learner);
    role_move(n, run);
    n->ens->leader = leader;
    n->over = NULL;
    struct role_settings s = settings(n);
    if (run == RUN_LEADING) {
        n->leader = leader_new(&s, &n->history);
    } else {
        n->learner = learner_new(&s, &n->history);
    }
}

void role_end_if_over(struct node *n)
{
    if (!n->over || n->state == NODE_STOPPED) {
        return;
    }
    const char *why = n->over;
    n->over = NULL;
    must(n->ens); // a standalone server's role has no end
    ensemble_end_role(n, why);
    leader_free(&n->leader);
    learner_free(&n->learner);
    n->serving = n->begins_to_serve = false;
    disk_allow_snapshots(n->disk, false);
    serve_set_mode(n->serve, SERVE_OFF, n->env->now, n->env->wall);
    request_forget(n);
    pending_reset(n->pending);
}

static void apply_open(struct node *n)
{
    for (size_t i = n->open_first; i < n->open_n; i++) {
        struct txn txn;
        struct apply_out out = {0};
        apply(n, n->open[i].zxid, n->open[i].txn, &txn, &out);
        arena_reset(&n->arena);
        history_append(&n->history, n->open[i].zxid, n->open[i].txn);
        blob_unref(&n->open[i].txn);
    }
    n->open_first = n->open_n = 0;
}

bool role_is_settled(struct node *n)
{
    if (n->saving_epoch || n->log_full || !disk_settled(n->disk)) {
        return false;
    }
    if (n->ens->reload) { // it is settled when this is done
        n->ens->reloading = true;
        disk_truncate(n->disk, n->tree, n->ens->reload_to);
        return false;
    }
    apply_open(n);
    struct disk_epochs epochs;
    disk_get_epochs(n->disk, &epochs);
    int64_t epoch = zxid_epoch(tree_zxid(n->tree));
    if (epoch > epochs.current) { // a synchronisation was broken off behind the history it brought
        save_epoch(n, DISK_EPOCH_CURRENT, epoch);
        return false;
    }
    return true;
}
