// SPDX-License-Identifier: Apache-2.0
//
// Broadcast with one voter. A LOGGED is an acknowledgement of everything up to its zxid; proposals
// commit from the front of the window as soon as a quorum has acknowledged them.
#include "zab/zab.h"

#include "base/mem.h"
#include "zab/proposals.h"

struct zab {
    int64_t sid;
    struct members *members; // itself alone
    struct quorum voters;
    struct proposals proposals;
    struct zab_action *actions;
    size_t actions_n, actions_cap;
    struct blob **dropped; // references given up by the step in progress, released by the next one
    size_t dropped_n, dropped_cap;
};

struct zab *zab_new(int64_t sid, int64_t last_zxid)
{
    struct zab *z = mem_zalloc(sizeof(*z));
    z->sid = sid;
    z->members = members_alone(sid);
    quorum_init(&z->voters, z->members, NULL);
    proposals_init(&z->proposals, last_zxid);
    return z;
}

static void release_dropped(struct zab *z)
{
    for (size_t i = 0; i < z->dropped_n; i++) {
        blob_unref(&z->dropped[i]);
    }
    z->dropped_n = 0;
}

void zab_free(struct zab **z)
{
    if (!*z) {
        return;
    }
    release_dropped(*z);
    proposals_fini(&(*z)->proposals);
    mem_free((*z)->actions);
    mem_free((*z)->dropped);
    members_free(&(*z)->members);
    mem_free(*z);
    *z = NULL;
}

static void act(struct zab *z, struct zab_action a)
{
    mem_grow((void **)&z->actions, &z->actions_cap, z->actions_n + 1, sizeof(*z->actions));
    z->actions[z->actions_n++] = a;
}

// The txn of a proposal that leaves the window: readable until the next step.
static void drop_after_step(struct zab *z, struct blob *txn)
{
    mem_grow((void **)&z->dropped, &z->dropped_cap, z->dropped_n + 1, sizeof(*z->dropped));
    z->dropped[z->dropped_n++] = txn;
}

// Zab.tla LeaderProcessRequest; Java Leader.propose.
static void on_propose(struct zab *z, const struct zab_event *ev)
{
    must(ev->zxid == zab_next_zxid(z));
    proposals_put(&z->proposals, ev->zxid, ev->txn, &z->voters);
    act(z, (struct zab_action){ZAB_APPEND, ev->zxid, ev->txn, 0});
}

// Zab.tla LeaderProcessACK; Java Leader.processAck and tryToCommit.
static void on_logged(struct zab *z, int64_t zxid)
{
    must(zxid <= z->proposals.last_proposed);
    proposals_ack_up_to(&z->proposals, z->sid, zxid);
    struct proposal p;
    while (proposals_commit(&z->proposals, &p)) {
        act(z, (struct zab_action){ZAB_COMMIT, p.zxid, p.txn, 0});
        drop_after_step(z, p.txn);
    }
}

// The own log refused everything above zxid. Alone, no other log can hold it: the proposals are
// void and their zxids free again.
static void on_log_full(struct zab *z, int64_t zxid)
{
    must(quorum_is_alone(&z->voters, z->sid));
    on_logged(z, zxid);
    struct proposal p;
    while (proposals_abort_oldest(&z->proposals, &p)) {
        act(z, (struct zab_action){ZAB_ABORT, p.zxid, p.txn, 0});
        drop_after_step(z, p.txn);
    }
}

void zab_step(struct zab *z, const struct zab_event *ev, struct zab_out *out)
{
    release_dropped(z);
    z->actions_n = 0;
    switch (ev->type) {
    case ZAB_PROPOSE:
        on_propose(z, ev);
        break;
    case ZAB_LOGGED:
        on_logged(z, ev->zxid);
        break;
    case ZAB_LOG_FULL:
        on_log_full(z, ev->zxid);
        break;
    case ZAB_SYNC:
        act(z, (struct zab_action){ZAB_SYNCED, z->proposals.committed, NULL, ev->tag});
        break;
    }
    *out = (struct zab_out){z->actions, z->actions_n};
}

int64_t zab_next_zxid(const struct zab *z)
{
    return z->proposals.last_proposed + 1;
}

int64_t zab_committed(const struct zab *z)
{
    return z->proposals.committed;
}

size_t zab_in_flight(const struct zab *z)
{
    return z->proposals.n;
}

void zab_check(const struct zab *z)
{
    const struct proposals *p = &z->proposals;
    proposals_check(p);
    must((p->n == 0) == (p->committed == p->last_proposed));
    for (size_t i = 0; i < p->n; i++) {
        must(!quorum_reached(&z->voters, &proposals_at(p, i)->acks));
    }
}
