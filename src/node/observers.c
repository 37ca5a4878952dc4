// SPDX-License-Identifier: Apache-2.0
//
// Observer masters (observerMasterPort): a follower that serves opens that port and runs a struct
// obsmaster beside its learner; an observer dials the voters at it, in random order, instead of the
// leader, and goes to the next one when that fails. Connections and packets are those of the quorum
// port; peer_conn.observer tells them from the one to the leader.
#include <inttypes.h>

#include "node/node_internal.h"

// ---- a follower ---------------------------------------------------------------------------------

static bool open_port(struct node *n)
{
    struct ensemble *e = n->ens;
    const struct member *self = members_find(e->committed, e->sid);
    struct net_addr at = {.port = (uint16_t)n->cfg->observer_master_port}, bound;
    if (!self) {
        return false;
    }
    if (!n->cfg->listen_all && n->env->ops->resolve(n->env, self->addrs[0].host, &at)) {
        return false;
    }
    return n->env->ops->listen(n->env, &at, 0, &e->observers_listener, &bound) == ERR_OK;
}

void observers_begin(struct node *n)
{
    struct ensemble *e = n->ens;
    must(n->learner && !n->obsmaster);
    if (!n->cfg->observer_master_port) {
        return;
    }
    e->observers_listening = open_port(n);
    if (!e->observers_listening) {
        log_warn(&n->env->log,
                 "observerMasterPort %" PRId64 " could not be opened: observers cannot come to "
                 "this follower",
                 n->cfg->observer_master_port);
        return;
    }
    struct obsmaster_settings s = {.tick_ms = n->cfg->tick_ms,
                                   .init_limit = n->cfg->init_limit,
                                   .sync_limit = n->cfg->sync_limit,
                                   .epoch = learner_epoch(n->learner),
                                   .committed = learner_committed(n->learner),
                                   .config_version = e->committed->version};
    n->obsmaster = obsmaster_new(&s, &n->history);
    e->speakers = expiry_new((int32_t)n->cfg->tick_ms, n->env->seed);
    log_info(&n->env->log, "observers are taken on port %" PRId64, n->cfg->observer_master_port);
}

void observers_end(struct node *n)
{
    if (n->ens->observers_listening) {
        n->env->ops->unlisten(n->env, n->ens->observers_listener);
        n->ens->observers_listening = false;
    }
    obsmaster_free(&n->obsmaster);
    expiry_free(&n->ens->speakers);
}

bool observers_listens(const struct node *n, uint32_t listener)
{
    return n->ens->observers_listening && listener == n->ens->observers_listener;
}

// None of these steps a core again, so it may be called from inside a step of the learner.
static void act(struct node *n, const struct role_action *a)
{
    switch ((int)a->type) {
    case ROLE_REQUEST:
        request_of_observer(n, a->sid, &a->packet);
        break;
    case ROLE_TOUCHED:
        request_touched_below(n, a->data);
        break;
    case ROLE_DROP:
        request_forget_observer(n, a->sid);
        role_act_on_peers(n, a);
        break;
    default:
        role_act_on_peers(n, a);
        break;
    }
}

void observers_step(struct node *n, struct role_event ev)
{
    if (n->over || !n->obsmaster) {
        return;
    }
    ev.now = n->env->now;
    if (ev.type == ROLE_IN_PEER_DOWN || ev.type == ROLE_IN_PEER_UP) {
        request_forget_observer(n, ev.sid);
    }
    struct role_out out;
    obsmaster_step(n->obsmaster, &ev, &out);
    for (size_t i = 0; i < out.n; i++) {
        act(n, &out.actions[i]);
    }
}

// ---- who speaks for a session -------------------------------------------------------------------

void observers_renewed(struct node *n, int64_t session, int64_t sid)
{
    if (n->obsmaster) {
        expiry_add(n->ens->speakers, session, (int32_t)n->cfg->tick_ms, n->env->now);
        expiry_set_owner(n->ens->speakers, session, sid);
    }
}

bool observers_may_speak(const struct node *n, int64_t session, int64_t sid)
{
    int64_t speaker;
    return !n->obsmaster || !expiry_owner(n->ens->speakers, session, &speaker) || speaker == sid;
}

bool observers_is_settled(const struct node *n, int64_t session)
{
    return n->obsmaster && expiry_is_past(n->ens->speakers, session, n->env->now);
}

static void forget_closed(struct node *n, const struct blob *txn)
{
    struct txn_header h;
    if (expiry_count(n->ens->speakers) && !txn_decode_header(blob_slice(txn), &h) &&
        h.type == OP_CLOSE_SESSION) {
        expiry_remove(n->ens->speakers, h.client_id);
    }
}

void observers_committed(struct node *n, const struct role_action *commit,
                         const struct role_action *activation)
{
    struct zab_packet k = {.type = activation ? QPACKET_INFORMANDACTIVATE : QPACKET_INFORM,
                           .zxid = commit->zxid,
                           .txn = commit->txn,
                           .designated = activation ? activation->sid : 0};
    observers_step(n, (struct role_event){.type = ROLE_IN_COMMITTED, .packet = &k});
    forget_closed(n, commit->txn);
}

// ---- an observer --------------------------------------------------------------------------------

// All voters but the leader, which has no such port, in random order.
static void shuffle_masters(struct node *n)
{
    struct ensemble *e = n->ens;
    const struct members *m = e->committed;
    e->masters_n = e->masters_at = 0;
    for (size_t i = 0; i < m->voters_n; i++) {
        if (m->voters[i] != e->leader) {
            size_t at = (size_t)rng_below(&e->rng, e->masters_n + 1);
            e->masters[e->masters_n] = e->masters[at];
            e->masters[at] = m->voters[i];
            e->masters_n++;
        }
    }
}

bool observers_next_master(struct node *n, int64_t *sid)
{
    struct ensemble *e = n->ens;
    if (!n->cfg->observer_master_port || n->run != RUN_OBSERVING) {
        return false;
    }
    for (int round = 0; round < 2; round++) {
        while (e->masters_at < e->masters_n) {
            *sid = e->masters[e->masters_at++];
            if (members_is_voter(e->committed, *sid) && *sid != e->leader) {
                log_info(&n->env->log, "going to server %" PRId64 " instead of the leader", *sid);
                return true;
            }
        }
        shuffle_masters(n);
    }
    return false; // the leader is the only voter
}
