// SPDX-License-Identifier: Apache-2.0
#include "serve/throttle.h"

#include "base/hash.h"
#include "base/mem.h"

enum { ADDR_LEN = 17 };

struct addr_count {
    uint32_t next; // same hash
    uint32_t n;    // connections
    uint8_t key[ADDR_LEN];
};

void throttle_init(struct throttle *t, const struct throttle_config *cfg, uint64_t seed)
{
    *t = (struct throttle){.cfg = *cfg, .seed = seed, .table_n = 16, .tokens = cfg->tokens_max};
    slab_init(&t->addrs, sizeof(struct addr_count));
    t->table = mem_zalloc(t->table_n * sizeof(*t->table));
}

void throttle_fini(struct throttle *t)
{
    slab_fini(&t->addrs);
    mem_free(t->table);
    t->table = NULL;
}

static struct addr_count *addr_at(const struct throttle *t, uint32_t h)
{
    return slab_at(&t->addrs, h);
}

// The link that holds the key's handle, or the end of its chain.
static uint32_t *find(const struct throttle *t, const uint8_t key[ADDR_LEN])
{
    uint64_t h = hash_bytes(t->seed, slice_of(key, ADDR_LEN));
    uint32_t *link = &t->table[h & (t->table_n - 1)];
    while (*link && memcmp(addr_at(t, *link)->key, key, ADDR_LEN) != 0) {
        link = &addr_at(t, *link)->next;
    }
    return link;
}

static void grow_table(struct throttle *t)
{
    uint32_t *old = t->table;
    size_t old_n = t->table_n;
    t->table_n *= 2;
    t->table = mem_zalloc(t->table_n * sizeof(*t->table));
    for (size_t i = 0; i < old_n; i++) {
        for (uint32_t h = old[i]; h;) {
            uint32_t next = addr_at(t, h)->next;
            addr_at(t, h)->next = 0;
            *find(t, addr_at(t, h)->key) = h;
            h = next;
        }
    }
    mem_free(old);
}

static void key_of(const struct net_addr *peer, uint8_t key[ADDR_LEN])
{
    memset(key, 0, ADDR_LEN);
    key[0] = peer->family;
    memcpy(key + 1, peer->ip, peer->family == 4 ? 4 : 16);
}

bool throttle_enter(struct throttle *t, const struct net_addr *peer)
{
    uint8_t key[ADDR_LEN];
    key_of(peer, key);
    uint32_t h = *find(t, key);
    if (!h) {
        if (t->addrs.live >= t->table_n) {
            grow_table(t);
        }
        h = slab_alloc(&t->addrs);
        memcpy(addr_at(t, h)->key, key, ADDR_LEN);
        *find(t, key) = h;
    }
    struct addr_count *a = addr_at(t, h);
    a->n++;
    t->conns++;
    return (t->cfg.per_addr_max <= 0 || a->n <= (uint32_t)t->cfg.per_addr_max) &&
           (t->cfg.conns_max <= 0 || t->conns <= (size_t)t->cfg.conns_max);
}

void throttle_leave(struct throttle *t, const struct net_addr *peer)
{
    uint8_t key[ADDR_LEN];
    key_of(peer, key);
    uint32_t *link = find(t, key);
    must(*link != 0);
    struct addr_count *a = addr_at(t, *link);
    must(a->n > 0);
    must(t->conns > 0);
    t->conns--;
    if (--a->n == 0) {
        uint32_t h = *link;
        *link = a->next;
        slab_free(&t->addrs, h);
    }
}

bool throttle_token(struct throttle *t, struct mono now)
{
    if (t->cfg.tokens_max <= 0) {
        return true;
    }
    if (t->cfg.token_fill_ms > 0) {
        int64_t fills = mono_diff_ms(now, t->filled) / t->cfg.token_fill_ms;
        if (fills > 0) {
            t->filled = mono_add_ms(t->filled, fills * t->cfg.token_fill_ms);
            int64_t missing = t->cfg.tokens_max - t->tokens;
            int64_t count = t->cfg.token_fill_count;
            t->tokens += fills > missing || fills * count > missing ? missing : fills * count;
        }
    }
    if (t->tokens <= 0) {
        return false;
    }
    t->tokens--;
    return true;
}

uint32_t throttle_large_of(const struct throttle *t, size_t n)
{
    bool large = t->cfg.large_threshold > 0 && (int64_t)n > t->cfg.large_threshold;
    return large ? (uint32_t)n : 0;
}

bool throttle_large_fits(const struct throttle *t, size_t n)
{
    return throttle_large_of(t, n) == 0 || t->large_bytes + (int64_t)n <= t->cfg.large_max;
}

void throttle_check(const struct throttle *t)
{
    size_t conns = 0;
    size_t addrs = 0;
    for (size_t i = 0; i < t->table_n; i++) {
        for (uint32_t h = t->table[i]; h; h = addr_at(t, h)->next) {
            must(addr_at(t, h)->n > 0);
            conns += addr_at(t, h)->n;
            addrs++;
        }
    }
    must(conns == t->conns);
    must(addrs == t->addrs.live);
    must(t->in_process >= 0);
    must(t->in_process_bytes >= 0);
    must(t->large_bytes >= 0);
    must(t->tokens >= 0);
}
