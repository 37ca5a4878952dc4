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
    *p = (struct proposals){.last_proposed = last_zxid, .committed = last_zxid};
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
void proposals_put(struct proposals *p, int64_t zxid, struct blob *txn)
{
    must(zxid > p->last_proposed);
    if (p->n == p->cap) {
        grow(p);
    }
    *at(p, p->n) = (struct proposal){.zxid = zxid, .txn = blob_ref(txn)};
    p->n++;
    p->last_proposed = zxid;
}

// Zab.tla LeaderProcessACK; Java Leader.processAck.
void proposals_ack(struct proposals *p, const struct quorum *q, int64_t sid, int64_t zxid)
{
    // Within one epoch zxids are consecutive: the place follows from the zxid.
    if (p->n && zxid >= at(p, 0)->zxid && zxid <= p->last_proposed) {
        quorum_ack(q, &at(p, (size_t)(zxid - at(p, 0)->zxid))->acks, sid);
    }
}

void proposals_ack_up_to(struct proposals *p, const struct quorum *q, int64_t sid, int64_t zxid)
{
    for (size_t i = 0; i < p->n && at(p, i)->zxid <= zxid; i++) {
        quorum_ack(q, &at(p, i)->acks, sid);
    }
}

static struct proposal take(struct proposals *p)
{
    struct proposal front = *at(p, 0);
    p->first = (p->first + 1) & (p->cap - 1);
    p->n--;
    return front;
}

// Java Leader.tryToCommit.
bool proposals_commit(struct proposals *p, const struct quorum *q, struct proposal *out)
{
    if (!p->n || !quorum_reached(q, &at(p, 0)->acks)) {
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
        return false;
    }
    *out = take(p);
    return true;
}

void proposals_check(const struct proposals *p)
{
    must(p->committed <= p->last_proposed);
    int64_t before = p->committed;
    for (size_t i = 0; i < p->n; i++) {
        const struct proposal *x = at(p, i);
        must(i == 0 ? x->zxid > before : x->zxid == before + 1);
        must(x->txn->refs > 0);
        before = x->zxid;
    }
    must(!p->n || before == p->last_proposed);
}
