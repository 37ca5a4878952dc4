// SPDX-License-Identifier: Apache-2.0
//
// What a membership says, and its text. Reading the text is members_parse.c.
#include "wire/members.h"

#include <inttypes.h>
#include <stdlib.h>

struct members *members_new(void)
{
    return mem_zalloc(sizeof(struct members));
}

void members_free(struct members **m)
{
    if (*m) {
        mem_free((*m)->servers);
        mem_free((*m)->grouped);
        mem_free((*m)->weights);
        arena_fini(&(*m)->arena);
        mem_free(*m);
        *m = NULL;
    }
}

static void copy_pairs(struct members_pair **to, size_t *cap, const struct members_pair *from,
                       size_t n)
{
    *to = NULL;
    *cap = 0;
    if (n) {
        mem_grow((void **)to, cap, n, sizeof(**to));
        memcpy(*to, from, n * sizeof(**to));
    }
}

static void copy_server(struct arena *a, struct member *s)
{
    struct member_addr *addrs = arena_alloc(a, (s->addrs_n + 1) * sizeof(*addrs));
    for (size_t i = 0; i < s->addrs_n; i++) {
        addrs[i] = s->addrs[i];
        addrs[i].host = arena_copy(a, addrs[i].host);
    }
    s->addrs = addrs;
    s->client.host = arena_copy(a, s->client.host);
    s->secure.host = arena_copy(a, s->secure.host);
}

struct members *members_copy(const struct members *m)
{
    struct members *c = mem_alloc(sizeof(*c));
    *c = *m;
    c->arena = (struct arena){0};
    c->servers = NULL;
    c->cap = 0;
    mem_grow((void **)&c->servers, &c->cap, m->n + 1, sizeof(*c->servers));
    for (size_t i = 0; i < m->n; i++) {
        c->servers[i] = m->servers[i];
        copy_server(&c->arena, &c->servers[i]);
    }
    copy_pairs(&c->grouped, &c->grouped_cap, m->grouped, m->grouped_n);
    copy_pairs(&c->weights, &c->weights_cap, m->weights, m->weights_n);
    return c;
}

struct members *members_alone(int64_t sid)
{
    struct members *m = members_new();
    mem_grow((void **)&m->servers, &m->cap, 1, sizeof(*m->servers));
    m->servers[m->n++] = (struct member){.sid = sid};
    must(members_end(m) == ERR_OK);
    return m;
}

const struct member *members_find(const struct members *m, int64_t sid)
{
    size_t low = 0, high = m->n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (m->servers[mid].sid < sid) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low < m->n && m->servers[low].sid == sid ? &m->servers[low] : NULL;
}

bool members_is_voter(const struct members *m, int64_t sid)
{
    const struct member *s = members_find(m, sid);
    return s && !s->observer;
}

bool members_is_observer(const struct members *m, int64_t sid)
{
    const struct member *s = members_find(m, sid);
    return s && s->observer;
}

int64_t members_weight(const struct members *m, int64_t sid)
{
    if (!m->hierarchical) {
        return 1;
    }
    for (size_t i = 0; i < m->weights_n; i++) {
        if (m->weights[i].sid == sid) {
            return m->weights[i].value;
        }
    }
    return 0;
}

static bool is_hierarchical_quorum(const struct members *m, uint64_t voters)
{
    size_t groups = 0;
    for (size_t g = 0; g < m->groups_n; g++) {
        int64_t weight = 0;
        for (size_t i = 0; i < m->voters_n; i++) {
            if ((voters & m->groups[g].voters) >> i & 1) {
                weight += m->voter_weight[i];
            }
        }
        groups += weight > m->groups[g].weight / 2;
    }
    return groups > m->groups_n / 2;
}

bool members_is_quorum(const struct members *m, uint64_t voters)
{
    if (m->hierarchical) {
        return is_hierarchical_quorum(m, voters);
    }
    return (size_t)__builtin_popcountll(voters) > m->voters_n / 2;
}

static bool clients_equal(struct member_client a, struct member_client b)
{
    return slice_eq(a.host, b.host) && a.port == b.port;
}

static bool servers_equal(const struct member *a, const struct member *b)
{
    if (a->sid != b->sid || a->observer != b->observer || a->addrs_n != b->addrs_n ||
        !clients_equal(a->client, b->client) || !clients_equal(a->secure, b->secure)) {
        return false;
    }
    for (size_t i = 0; i < a->addrs_n; i++) {
        const struct member_addr *x = &a->addrs[i], *y = &b->addrs[i];
        if (!slice_eq(x->host, y->host) || x->quorum_port != y->quorum_port ||
            x->election_port != y->election_port) {
            return false;
        }
    }
    return true;
}

static bool pairs_equal(const struct members_pair *a, size_t an, const struct members_pair *b,
                        size_t bn)
{
    bool equal = an == bn;
    for (size_t i = 0; equal && i < an; i++) {
        equal = a[i].sid == b[i].sid && a[i].value == b[i].value;
    }
    return equal;
}

bool members_equal(const struct members *a, const struct members *b)
{
    if (a->hierarchical != b->hierarchical) {
        return false;
    }
    if (a->version == b->version) {
        return true;
    }
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++) {
        equal = servers_equal(&a->servers[i], &b->servers[i]);
    }
    return equal && pairs_equal(a->grouped, a->grouped_n, b->grouped, b->grouped_n) &&
           pairs_equal(a->weights, a->weights_n, b->weights, b->weights_n);
}

// ---- text ---------------------------------------------------------------------------------------

static void put_host(struct buf *b, struct slice host)
{
    bool v6 = memchr(host.p, ':', host.n) != NULL;
    buf_fmt(b, v6 ? "[%.*s]" : "%.*s", SLICE_ARG(host));
}

static void put_client(struct buf *b, struct member_client c)
{
    if (c.host.p) {
        buf_put_u8(b, ';');
        put_host(b, c.host);
        buf_fmt(b, ":%u", c.port);
    }
}

// Java's QuorumServer.toString.
static void put_server(struct buf *b, const struct member *s)
{
    buf_fmt(b, "server.%" PRId64 "=", s->sid);
    for (size_t i = 0; i < s->addrs_n; i++) {
        if (i) {
            buf_put_u8(b, '|');
        }
        put_host(b, s->addrs[i].host);
        buf_fmt(b, ":%u:%u", s->addrs[i].quorum_port, s->addrs[i].election_port);
    }
    buf_fmt(b, "%s", s->observer ? ":observer" : ":participant");
    put_client(b, s->client);
    put_client(b, s->secure);
    buf_put_u8(b, '\n');
}

// The sids of one group; each group is printed where its first sid stands.
static void put_group(struct buf *b, const struct members *m, size_t first)
{
    int64_t id = m->grouped[first].value;
    for (size_t i = 0; i < first; i++) {
        if (m->grouped[i].value == id) {
            return;
        }
    }
    buf_fmt(b, "group.%" PRId64 "=%" PRId64, id, m->grouped[first].sid);
    for (size_t i = first + 1; i < m->grouped_n; i++) {
        if (m->grouped[i].value == id) {
            buf_fmt(b, ":%" PRId64, m->grouped[i].sid);
        }
    }
    buf_put_u8(b, '\n');
}

static void put_lines(struct buf *b, const struct members *m)
{
    for (size_t i = 0; i < m->n; i++) {
        put_server(b, &m->servers[i]);
    }
    for (size_t i = 0; i < m->grouped_n; i++) {
        put_group(b, m, i);
    }
    for (size_t i = 0; i < m->weights_n; i++) {
        buf_fmt(b, "weight.%" PRId64 "=%" PRId64 "\n", m->weights[i].sid, m->weights[i].value);
    }
}

static int compare_lines(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int c = memcmp(x->p, y->p, n);
    return c ? c : (x->n > y->n) - (x->n < y->n);
}

static void put_sorted(struct buf *b, struct slice text)
{
    struct slice *lines = NULL;
    size_t n = 0, cap = 0;
    while (text.n) {
        size_t len = (size_t)((const uint8_t *)memchr(text.p, '\n', text.n) - text.p);
        mem_grow((void **)&lines, &cap, n + 1, sizeof(*lines));
        lines[n++] = slice_head(text, len);
        text = slice_skip(text, len + 1);
    }
    if (n) {
        qsort(lines, n, sizeof(*lines), compare_lines);
    }
    for (size_t i = 0; i < n; i++) {
        buf_put_slice(b, lines[i]);
        buf_put_u8(b, '\n');
    }
    mem_free(lines);
}

void members_fmt(struct buf *b, const struct members *m, enum members_form form)
{
    if (form == MEMBERS_WIRE) {
        put_lines(b, m);
        buf_fmt(b, "version=%" PRIx64, (uint64_t)m->version);
        return;
    }
    struct buf lines = {0};
    put_lines(&lines, m);
    if (form == MEMBERS_NEXT) {
        buf_fmt(&lines, "version=%" PRIx64 "\n", (uint64_t)m->version);
    }
    put_sorted(b, buf_slice(&lines));
    buf_fini(&lines);
}
