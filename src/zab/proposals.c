// SPDX-License-Identifier: Apache-2.0
#include "zab/proposals.h"

#include "base/mem.h"

static struct proposal *at(const struct proposals *p, size_t i)
{
    return &p->ring[(p->first + i) & (p->cap - 1)];
}

const struct proposal *proposals_at(const struct proposals *p, size_t i)
{
    must(i < p->n);
    return at(p, i);
}

void proposals_init(struct proposals *p, int64_t last_zxid)
{
    *p =
        (struct proposals){.last_proposed = last_zxid, .committed = last_zxid, .logged = last_zxid};
}

void proposals_fini(struct proposals *p)
{
    for (size_t i = 0; i < p->n; i++) {
        blob_unref(&at(p, i)->txn);
    }
    mem_free(p->ring);
    *p = (struct proposals){0};
}

static void grow(struct proposals *p)
{
    size_t cap = p->cap ? p->cap * 2 : 16;
    struct proposal *ring = mem_alloc(cap * sizeof(*ring));
    for (size_t i = 0; i < p->n; i++) {
        ring[i] = *at(p, i);
    }
    mem_free(p->ring);
    p->ring = ring;
    p->first = 0;
    p->cap = cap;
}

// Zab.tla LeaderProcessRequest; Java Leader.propose.
void proposals_put(struct proposals *p, int64_t zxid, struct blob *txn, const struct quorum *q)
{
    must(zxid > p->last_proposed);
    if (p->n == p->cap) {
        grow(p);
    }
    *at(p, p->n) = (struct proposal){.zxid = zxid, .txn = blob_ref(txn), .quorum = *q};
    p->n++;
    p->last_proposed = zxid;
}

// Zab.tla LeaderProcessACK; Java Leader.processAck.
void proposals_ack(struct proposals *p, int64_t sid, int64_t zxid)
{
    // Within one epoch zxids are consecutive: the place follows from the zxid.
    if (p->n && zxid >= at(p, 0)->zxid && zxid <= p->last_proposed) {
        struct proposal *x = at(p, (size_t)(zxid - at(p, 0)->zxid));
        quorum_ack(&x->quorum, &x->acks, sid);
    }
}

void proposals_ack_up_to(struct proposals *p, int64_t sid, int64_t zxid)
{
    if (!p->n || zxid <= p->logged) {
        return;
    }
    int64_t oldest = at(p, 0)->zxid;
    int64_t end = zxid < p->last_proposed ? zxid : p->last_proposed;
    for (int64_t z = p->logged < oldest ? oldest : p->logged + 1; z <= end; z++) {
        proposals_ack(p, sid, z);
    }
    p->logged = end;
}

static struct proposal take(struct proposals *p)
{
    struct proposal front = *at(p, 0);
    p->first = (p->first + 1) & (p->cap - 1);
    p->n--;
    return front;
}

// Java Leader.tryToCommit.
bool proposals_commit(struct proposals *p, struct proposal *out)
{
    if (!p->n || !quorum_reached(&at(p, 0)->quorum, &at(p, 0)->acks)) {
        return false;
    }
    *out = take(p);
    must(out->zxid > p->committed);
    p->committed = out->zxid;
    return true;
}

bool proposals_abort_oldest(struct proposals *p, struct proposal *out)
{
    if (!p->n) {
        p->last_proposed = p->committed;
        p->logged = p->logged < p->committed ? p->logged : p->committed;
        return false;
    }
    *out = take(p);
    return true;
}

void proposals_check(const struct proposals *p)
{
    must(p->committed <= p->last_proposed);
    must(p->logged <= p->last_proposed);
    int64_t before = p->committed;
    for (size_t i = 0; i < p->n; i++) {
        const struct proposal *x = at(p, i);
        must(i == 0 ? x->zxid > before : x->zxid == before + 1);
        must(x->txn->refs > 0);
        before = x->zxid;
    }
    must(!p->n || before == p->last_proposed);
}
