// SPDX-License-Identifier: Apache-2.0
#include "serve/conn.h"

#include "base/hash.h"

void conn_table_init(struct conn_table *t, uint64_t seed)
{
    *t = (struct conn_table){.seed = seed, .by_session_n = 64};
    slab_init(&t->slab, sizeof(struct conn));
    t->by_session = mem_zalloc(t->by_session_n * sizeof(*t->by_session));
}

void conn_table_fini(struct conn_table *t)
{
    must(t->n == 0);
    slab_fini(&t->slab);
    mem_free(t->by_id);
    mem_free(t->by_session);
    t->by_id = NULL;
    t->by_session = NULL;
}

struct conn *conn_add(struct conn_table *t, uint32_t id, const struct net_addr *peer)
{
    if (id >= t->by_id_n) {
        size_t n = t->by_id_n ? t->by_id_n : 64;
        while (n <= id) {
            n *= 2;
        }
        t->by_id = mem_realloc(t->by_id, n * sizeof(*t->by_id));
        memset(t->by_id + t->by_id_n, 0, (n - t->by_id_n) * sizeof(*t->by_id));
        t->by_id_n = n;
    }
    must(t->by_id[id] == 0);
    uint32_t slot = slab_alloc(&t->slab);
    struct conn *c = conn_at(t, slot);
    c->id = id;
    c->slot = slot;
    c->peer = *peer;
    conn_stats_init(&c->stats);
    t->by_id[id] = slot;
    t->n++;
    return c;
}

void conn_del(struct conn_table *t, struct conn *c)
{
    must(c->session == 0);
    must(t->by_id[c->id] == c->slot);
    t->by_id[c->id] = 0;
    t->n--;
    slab_free(&t->slab, c->slot);
}

// The link that holds the session's slot, or the end of its chain.
static uint32_t *find(const struct conn_table *t, int64_t session)
{
    uint64_t h = hash_bytes(t->seed, slice_of(&session, sizeof(session)));
    uint32_t *link = &t->by_session[h & (t->by_session_n - 1)];
    while (*link && conn_at(t, *link)->session != session) {
        link = &conn_at(t, *link)->session_next;
    }
    return link;
}

struct conn *conn_of_session(const struct conn_table *t, int64_t session)
{
    uint32_t slot = session ? *find(t, session) : 0;
    return slot ? conn_at(t, slot) : NULL;
}

static void grow_sessions(struct conn_table *t)
{
    uint32_t *old = t->by_session;
    size_t old_n = t->by_session_n;
    t->by_session_n *= 2;
    t->by_session = mem_zalloc(t->by_session_n * sizeof(*t->by_session));
    for (size_t i = 0; i < old_n; i++) {
        for (uint32_t h = old[i]; h;) {
            struct conn *c = conn_at(t, h);
            uint32_t next = c->session_next;
            c->session_next = 0;
            *find(t, c->session) = h;
            h = next;
        }
    }
    mem_free(old);
}

void conn_session_put(struct conn_table *t, struct conn *c, int64_t session)
{
    must(c->session == 0);
    must(session != 0);
    if (t->sessions >= t->by_session_n) {
        grow_sessions(t);
    }
    uint32_t *link = find(t, session);
    must(*link == 0);
    c->session = session;
    c->session_next = 0;
    *link = c->slot;
    t->sessions++;
}

void conn_session_del(struct conn_table *t, struct conn *c)
{
    if (c->session == 0) {
        return;
    }
    uint32_t *link = find(t, c->session);
    must(*link == c->slot);
    *link = c->session_next;
    c->session = 0;
    c->session_next = 0;
    t->sessions--;
}

void conn_set_state(struct conn *c, enum conn_state to)
{
    static const uint8_t legal[] = {
        [CONN_NEW] = 1 << CONN_HANDSHAKE | 1 << CONN_CLOSING,
        [CONN_HANDSHAKE] = 1 << CONN_LIVE | 1 << CONN_CLOSING,
        [CONN_LIVE] = 1 << CONN_LEAVING | 1 << CONN_CLOSING,
        [CONN_LEAVING] = 1 << CONN_CLOSING,
        [CONN_CLOSING] = 0,
    };
    must(legal[c->state] & 1 << to);
    c->state = (uint8_t)to;
}

void conn_table_check(const struct conn_table *t)
{
    size_t n = 0;
    size_t sessions = 0;
    for (size_t i = 0; i < t->by_id_n; i++) {
        const struct conn *c = conn_get(t, (uint32_t)i);
        if (!c) {
            continue;
        }
        n++;
        must(c->id == i);
        must(c->auth != NULL);
        must(c->state != CONN_NEW || c->session == 0);
        must(c->state != CONN_CLOSING || c->session == 0);
        must(c->state != CONN_LIVE || c->session != 0);
        must(!c->session || conn_of_session(t, c->session) == c);
        must(c->state == CONN_LIVE || c->state == CONN_LEAVING || c->order.n == 0);
        sessions += c->session != 0;
    }
    must(n == t->n);
    must(n == t->slab.live);
    must(sessions == t->sessions);
}
