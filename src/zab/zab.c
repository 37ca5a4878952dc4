// SPDX-License-Identifier: Apache-2.0
//
// The leader's side of broadcast: a window of proposals, oldest first, from committed + 1 to the
// last proposed zxid. A LOGGED is an acknowledgement of everything up to its zxid; proposals commit
// from the front of the window as soon as a quorum has acknowledged them, never out of order.
#include "zab/zab.h"

#include "base/mem.h"
#include "wire/quorum.h"

struct proposal {
    int64_t zxid;
    struct blob *txn;
    struct quorum_acks acks;
};

struct zab {
    int64_t sid;
    struct members *members; // itself alone
    struct quorum voters;
    int64_t last_proposed;
    int64_t committed;
    struct proposal *window; // ring of cap (a power of two), n used from `first`
    size_t first, n, cap;
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
    z->last_proposed = last_zxid;
    z->committed = last_zxid;
    return z;
}

static void release_dropped(struct zab *z)
{
    for (size_t i = 0; i < z->dropped_n; i++) {
        blob_unref(&z->dropped[i]);
    }
    z->dropped_n = 0;
}

static struct proposal *at(const struct zab *z, size_t i)
{
    return &z->window[(z->first + i) & (z->cap - 1)];
}

void zab_free(struct zab **z)
{
    if (!*z) {
        return;
    }
    release_dropped(*z);
    for (size_t i = 0; i < (*z)->n; i++) {
        blob_unref(&at(*z, i)->txn);
    }
    mem_free((*z)->window);
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

static void grow_window(struct zab *z)
{
    size_t cap = z->cap ? z->cap * 2 : 16;
    struct proposal *w = mem_alloc(cap * sizeof(*w));
    for (size_t i = 0; i < z->n; i++) {
        w[i] = *at(z, i);
    }
    mem_free(z->window);
    z->window = w;
    z->first = 0;
    z->cap = cap;
}

// Zab.tla LeaderProcessRequest; Java Leader.propose.
static void on_propose(struct zab *z, const struct zab_event *ev)
{
    must(ev->zxid == zab_next_zxid(z));
    if (z->n == z->cap) {
        grow_window(z);
    }
    *at(z, z->n) = (struct proposal){.zxid = ev->zxid, .txn = blob_ref(ev->txn)};
    z->n++;
    z->last_proposed = ev->zxid;
    act(z, (struct zab_action){ZAB_APPEND, ev->zxid, ev->txn, 0});
}

// Zab.tla LeaderProcessACK; Java Leader.processAck and tryToCommit. Acknowledges up to zxid for
// sid.
static void on_ack(struct zab *z, int64_t sid, int64_t zxid)
{
    must(zxid <= z->last_proposed);
    for (size_t i = 0; i < z->n && at(z, i)->zxid <= zxid; i++) {
        quorum_ack(&z->voters, &at(z, i)->acks, sid);
    }
    while (z->n && quorum_reached(&z->voters, &at(z, 0)->acks)) {
        struct proposal *p = at(z, 0);
        must(p->zxid > z->committed);
        z->committed = p->zxid;
        act(z, (struct zab_action){ZAB_COMMIT, p->zxid, p->txn, 0});
        drop_after_step(z, p->txn);
        z->first = (z->first + 1) & (z->cap - 1);
        z->n--;
    }
}

// The own log refused everything above zxid. Alone, no other log can hold it: the proposals are
// void and their zxids free again. (With peers a leader would step down here instead.)
static void on_log_full(struct zab *z, int64_t zxid)
{
    must(quorum_is_alone(&z->voters, z->sid));
    on_ack(z, z->sid, zxid);
    for (size_t i = 0; i < z->n; i++) {
        struct proposal *p = at(z, i);
        act(z, (struct zab_action){ZAB_ABORT, p->zxid, p->txn, 0});
        drop_after_step(z, p->txn);
    }
    z->n = 0;
    z->last_proposed = z->committed;
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
        on_ack(z, z->sid, ev->zxid);
        break;
    case ZAB_LOG_FULL:
        on_log_full(z, ev->zxid);
        break;
    case ZAB_SYNC:
        act(z, (struct zab_action){ZAB_SYNCED, z->committed, NULL, ev->tag});
        break;
    }
    *out = (struct zab_out){z->actions, z->actions_n};
}

int64_t zab_next_zxid(const struct zab *z)
{
    return z->last_proposed + 1;
}

int64_t zab_committed(const struct zab *z)
{
    return z->committed;
}

size_t zab_in_flight(const struct zab *z)
{
    return z->n;
}

void zab_check(const struct zab *z)
{
    must(z->committed <= z->last_proposed);
    must((z->n == 0) == (z->committed == z->last_proposed));
    int64_t before = z->committed;
    for (size_t i = 0; i < z->n; i++) {
        const struct proposal *p = at(z, i);
        must(p->zxid > before);
        must(p->txn->refs > 0);
        must(!quorum_reached(&z->voters, &p->acks));
        before = p->zxid;
    }
    must(before == z->last_proposed);
}
