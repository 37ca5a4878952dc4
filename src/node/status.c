// SPDX-License-Identifier: Apache-2.0
#include "node/status.h"

#include <inttypes.h>

#include "base/mem.h"
#include "node/node_internal.h"
#include "serve/auth.h"

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

static const char *peer_state(const struct node *n)
{
    switch (n->run) {
    case RUN_LEADING:
        return n->serving ? "leading - broadcast" : "leading - synchronization";
    case RUN_FOLLOWING:
        return n->serving ? "following - broadcast" : "following - synchronization";
    case RUN_OBSERVING:
        return n->serving ? "observing - broadcast" : "observing - synchronization";
    default:
        return "looking";
    }
}

static const char *mode(const struct node *n)
{
    static const char *const modes[RUNS] = {
        [RUN_LEADING] = "leader", [RUN_FOLLOWING] = "follower", [RUN_OBSERVING] = "observer"};
    if (!n->ens) {
        return "standalone";
    }
    return n->serving && modes[n->run] ? modes[n->run] : "read-only";
}

// One line per learner for the words that list them.
static void list_learners(struct node *n, struct serve_ensemble *s)
{
    struct status *st = &n->ens->status;
    size_t count = leader_peers(n->leader);
    st->learners = mem_realloc(st->learners, (count + 1) * sizeof(*st->learners));
    buf_clear(&st->addresses);
    size_t listed = 0;
    for (size_t i = 0; i < count; i++) {
        struct leader_peer p = leader_peer_at(n->leader, i);
        const struct peer_conn *c = peers_of_sid(&n->ens->peers, p.sid);
        if (!c) {
            continue;
        }
        // An offset while the text may still move.
        st->learners[listed++] =
            (struct serve_learner){.sid = p.sid,
                                   .address = (const char *)(uintptr_t)st->addresses.n,
                                   .role = p.observer ? "observer" : "participant",
                                   .synced = p.is == LEARNER_IS_LIVE,
                                   .zxid = p.acked};
        auth_addr_fmt(&c->addr, &st->addresses);
        buf_fmt(&st->addresses, ":%u", c->addr.port);
        buf_put_u8(&st->addresses, 0);
    }
    for (size_t i = 0; i < listed; i++) {
        st->learners[i].address =
            (const char *)st->addresses.p + (uintptr_t)st->learners[i].address;
    }
    s->list = st->learners;
    s->list_n = listed;
}

static void leader_facts(struct node *n, struct serve_ensemble *s)
{
    struct leader_figures f = leader_figures(n->leader);
    s->learners = (int64_t)(f.followers + f.observers);
    s->synced_followers = (int64_t)f.synced_followers;
    s->synced_observers = (int64_t)f.synced_observers;
    s->pending_syncs = (int64_t)f.pending_syncs;
    bool any = n->proposal_bytes.n > 0;
    s->proposal_last = any ? n->proposal_last : -1;
    s->proposal_min = any ? n->proposal_bytes.min : -1;
    s->proposal_max = any ? n->proposal_bytes.max : -1;
    list_learners(n, s);
}

static const struct serve_ensemble *ensemble_facts(struct node *n)
{
    struct ensemble *e = n->ens;
    if (!e) {
        return NULL;
    }
    struct disk_epochs epochs;
    disk_get_epochs(n->disk, &epochs);
    struct serve_ensemble *s = &e->status.facts;
    *s = (struct serve_ensemble){.server_id = e->sid,
                                 .epoch = epochs.current,
                                 .peer_state = peer_state(n),
                                 .quorum_size = (int64_t)e->committed->voters_n,
                                 .synced_observers = -1,
                                 .proposal_last = -1,
                                 .proposal_min = -1,
                                 .proposal_max = -1,
                                 .role_ms =
                                     n->serving ? mono_diff_ms(n->env->now, e->role_since) : 0,
                                 .elections = e->elections,
                                 .election_reason = e->why,
                                 .election_ms = e->election_time};
    if (n->leader && n->serving) {
        leader_facts(n, s);
    } else if (n->obsmaster) {
        s->synced_observers = (int64_t)obsmaster_synced(n->obsmaster);
    } else if (n->run == RUN_OBSERVING && n->serving) {
        buf_clear(&e->status.addresses);
        buf_fmt(&e->status.addresses, "%" PRId64, e->master);
        buf_put_u8(&e->status.addresses, 0);
        s->observer_master = (const char *)e->status.addresses.p;
    }
    return s;
}

struct serve_facts *status_facts(struct node *n)
{
    struct disk_stats s;
    disk_get_stats(n->disk, &s);
    n->facts.mode = mode(n);
    n->facts.serving = n->state == NODE_RUNNING;
    n->facts.ensemble = ensemble_facts(n);
    n->facts.uptime_ms = mono_diff_ms(n->env->now, n->started);
    disk_sizes(n->disk, &n->facts.data_dir_size, &n->facts.log_dir_size);
    buf_clear(&n->conf_text);
    struct config_now now = {.client_port = n->ens ? n->asked_addr.port : n->cfg->client_port,
                             .data_bytes = n->facts.data_dir_size,
                             .log_bytes = n->facts.log_dir_size,
                             .sid = n->ens ? n->ens->sid : 0,
                             .members = n->ens ? n->ens->committed : NULL};
    config_fmt_conf(n->cfg, &now, &n->conf_text);
    buf_put_u8(&n->conf_text, 0);
    n->facts.conf_text = (const char *)n->conf_text.p;
    disk_facts(&s, &n->facts);
    n->facts.proposals = n->prep_ns.n;
    n->facts.prep_ns = n->prep_ns;
    n->facts.init_ms = n->init_ms;
    n->facts.expiry = n->leader ? n->expiry : NULL;
    n->env->ops->sysinfo(n->env, &n->facts.sys);
    return &n->facts;
}
