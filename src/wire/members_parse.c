// SPDX-License-Identifier: Apache-2.0
//
// Reading a membership: Java's QuorumPeerConfig.parseDynamicConfig, QuorumServer's address string,
// QuorumMaj and QuorumHierarchical. The text comes from files and from peers.
#include "base/properties.h"
#include "wire/members.h"

enum {
    ADDRESS_PARTS = 4, // host:quorum:election:type
    WEIGHT_MAX = 1 << 30
};

bool members_parse_number(struct slice s, int64_t max, int64_t *value)
{
    int64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > (max - (s.p[i] - '0')) / 10) {
            return false;
        }
        v = v * 10 + (s.p[i] - '0');
    }
    *value = v;
    return s.n > 0;
}

static bool parse_hex(struct slice s, int64_t *value)
{
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i] | 0x20;
        unsigned digit = s.p[i] >= '0' && s.p[i] <= '9' ? (unsigned)(s.p[i] - '0')
                         : c >= 'a' && c <= 'f'         ? (unsigned)(c - 'a' + 10)
                                                        : 16;
        if (digit == 16 || v > (uint64_t)INT64_MAX >> 4) {
            return false;
        }
        v = v << 4 | digit;
    }
    *value = (int64_t)v;
    return s.n > 0;
}

// Takes the text before the next `sep` off *rest.
static struct slice take_until(struct slice *rest, char sep)
{
    const uint8_t *at = rest->n ? memchr(rest->p, sep, rest->n) : NULL;
    struct slice part = slice_head(*rest, at ? (size_t)(at - rest->p) : rest->n);
    *rest = slice_skip(*rest, part.n + (at ? 1 : 0));
    return part;
}

static struct slice trim_end(struct slice s, char c)
{
    while (s.n && s.p[s.n - 1] == (uint8_t)c) {
        s.n--;
    }
    return s;
}

size_t members_split_address(struct slice s, struct slice *parts, size_t max)
{
    size_t n = 0;
    if (s.n && s.p[0] == '[') {
        const uint8_t *close = memchr(s.p, ']', s.n);
        if (!close) {
            return 0;
        }
        size_t inside = (size_t)(close - s.p) - 1;
        if (max) {
            parts[0] = slice_of(s.p + 1, inside);
        }
        n = 1;
        s = slice_skip(s, inside + 2);
        if (s.n && (s.p[0] != ':' || s.n == 1)) {
            return 0;
        }
        s = s.n ? slice_skip(s, 1) : s;
    }
    s = trim_end(s, ':');
    while (s.n) {
        struct slice part = take_until(&s, ':');
        if (n < max) {
            parts[n] = part;
        }
        n++;
    }
    return n;
}

static bool parse_port(struct slice s, uint16_t *port)
{
    int64_t v;
    bool ok = members_parse_number(s, UINT16_MAX, &v);
    *port = ok ? (uint16_t)v : 0;
    return ok;
}

static bool eq_nocase(struct slice s, const char *word)
{
    size_t i = 0;
    while (i < s.n && word[i] && (s.p[i] | 0x20) == word[i]) {
        i++;
    }
    return i == s.n && !word[i];
}

// No host has blanks or what would need an escape when it is printed.
static bool host_is_sane(struct slice host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] <= ' ' || memchr("\\[]\x7f", host.p[i], 4)) {
            return false;
        }
    }
    return host.n > 0 && host.n <= 255;
}

// host:quorumPort:electionPort[:type]. *type stays as it is if none is given.
static bool parse_addr(struct slice s, struct member_addr *a, struct slice *type)
{
    struct slice parts[ADDRESS_PARTS];
    size_t n = members_split_address(s, parts, ADDRESS_PARTS);
    if (n < 3 || n > ADDRESS_PARTS || !host_is_sane(parts[0]) ||
        !parse_port(parts[1], &a->quorum_port) || !parse_port(parts[2], &a->election_port) ||
        a->quorum_port == a->election_port) {
        return false;
    }
    a->host = parts[0];
    if (n == ADDRESS_PARTS) {
        struct slice given = slice_trim(parts[3]);
        if (type->p && eq_nocase(*type, "observer") != eq_nocase(given, "observer")) {
            return false;
        }
        *type = given;
    }
    return true;
}

// [host:]port
static bool parse_client(struct arena *arena, struct slice s, struct member_client *c)
{
    struct slice parts[2];
    size_t n = members_split_address(s, parts, 2);
    if (n < 1 || n > 2 || !parse_port(parts[n - 1], &c->port)) {
        return false;
    }
    struct slice host = n == 2 ? parts[0] : SLICE_LIT("0.0.0.0");
    if (!host_is_sane(host)) {
        return false;
    }
    c->host = arena_copy(arena, host);
    return true;
}

static int compare_addr(const struct member_addr *a, const struct member_addr *b)
{
    size_t n = a->host.n < b->host.n ? a->host.n : b->host.n;
    int c = memcmp(a->host.p, b->host.p, n);
    return c ? c : (a->host.n > b->host.n) - (a->host.n < b->host.n);
}

// Java sorts the addresses of a server by host when it prints them.
static void add_addr(struct member *s, struct member_addr a)
{
    size_t i = s->addrs_n++;
    for (; i > 0 && compare_addr(&a, &s->addrs[i - 1]) < 0; i--) {
        s->addrs[i] = s->addrs[i - 1];
    }
    s->addrs[i] = a;
}

static enum err parse_server(struct members *m, struct slice value, struct member *s)
{
    struct slice rest = trim_end(value, ';');
    struct slice addresses = trim_end(take_until(&rest, ';'), '|');
    struct slice type = SLICE_NULL;
    s->addrs = arena_alloc(&m->arena, MEMBERS_ADDRS_MAX * sizeof(*s->addrs));
    while (addresses.n) {
        struct member_addr a;
        if (!parse_addr(take_until(&addresses, '|'), &a, &type)) {
            return ERR_INVALID;
        }
        if (s->addrs_n == MEMBERS_ADDRS_MAX) {
            return ERR_LIMIT;
        }
        a.host = arena_copy(&m->arena, a.host);
        add_addr(s, a);
    }
    s->observer = type.p && eq_nocase(type, "observer");
    if (s->addrs_n == 0 || (type.p && !s->observer && !eq_nocase(type, "participant"))) {
        return ERR_INVALID;
    }
    struct member_client *to[] = {&s->client, &s->secure};
    for (size_t i = 0; rest.n; i++) {
        if (i == 2 || !parse_client(&m->arena, take_until(&rest, ';'), to[i])) {
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

void members_remove(struct members *m, int64_t sid)
{
    const struct member *s = members_find(m, sid);
    if (s) {
        size_t at = (size_t)(s - m->servers);
        memmove(&m->servers[at], &m->servers[at + 1], (m->n - at - 1) * sizeof(*s));
        m->n--;
    }
}

static enum err put_server(struct members *m, int64_t sid, struct slice value)
{
    struct member s = {.sid = sid};
    enum err e = parse_server(m, value, &s);
    if (e) {
        return e;
    }
    members_remove(m, sid);
    if (m->n == MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    mem_grow((void **)&m->servers, &m->cap, m->n + 1, sizeof(*m->servers));
    size_t at = m->n++;
    for (; at > 0 && m->servers[at - 1].sid > sid; at--) {
        m->servers[at] = m->servers[at - 1];
    }
    m->servers[at] = s;
    return ERR_OK;
}

static struct members_pair *find_pair(struct members_pair *v, size_t n, int64_t sid)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].sid == sid) {
            return &v[i];
        }
    }
    return NULL;
}

static enum err put_pair(struct members_pair **v, size_t *n, size_t *cap, struct members_pair pair)
{
    struct members_pair *old = find_pair(*v, *n, pair.sid);
    if (old) {
        *old = pair;
        return ERR_OK;
    }
    if (*n == MEMBERS_MAX) {
        return ERR_LIMIT;
    }
    mem_grow((void **)v, cap, *n + 1, sizeof(**v));
    size_t at = (*n)++;
    for (; at > 0 && (*v)[at - 1].sid > pair.sid; at--) {
        (*v)[at] = (*v)[at - 1];
    }
    (*v)[at] = pair;
    return ERR_OK;
}

static enum err put_group(struct members *m, int64_t id, struct slice value)
{
    size_t kept = 0; // a group given again replaces what it was
    for (size_t i = 0; i < m->grouped_n; i++) {
        if (m->grouped[i].value != id) {
            m->grouped[kept++] = m->grouped[i];
        }
    }
    m->grouped_n = kept;
    value = trim_end(value, ':');
    if (value.n == 0) {
        return ERR_INVALID;
    }
    while (value.n) {
        struct members_pair p = {.value = id};
        if (!members_parse_number(take_until(&value, ':'), INT64_MAX, &p.sid) ||
            find_pair(m->grouped, m->grouped_n, p.sid)) {
            return ERR_INVALID;
        }
        enum err e = put_pair(&m->grouped, &m->grouped_n, &m->grouped_cap, p);
        if (e) {
            return e;
        }
    }
    return ERR_OK;
}

static bool is_version(struct slice key)
{
    return slice_eq_str(key, "version");
}

bool members_is_key(struct slice key)
{
    return slice_has_prefix(key, SLICE_LIT("server.")) ||
           slice_has_prefix(key, SLICE_LIT("group")) ||
           slice_has_prefix(key, SLICE_LIT("weight")) || is_version(key);
}

enum err members_put(struct members *m, struct slice key, struct slice value)
{
    if (!members_is_key(key)) {
        return ERR_UNSUPPORTED;
    }
    if (is_version(key)) {
        return parse_hex(value, &m->version) ? ERR_OK : ERR_INVALID;
    }
    struct slice id_text = key;
    struct slice word = take_until(&id_text, '.');
    int64_t id;
    if (!members_parse_number(id_text, INT64_MAX, &id)) {
        return ERR_INVALID;
    }
    if (slice_eq_str(word, "server")) {
        return put_server(m, id, value);
    }
    m->hierarchical = true;
    if (slice_has_prefix(word, SLICE_LIT("group"))) {
        return put_group(m, id, value);
    }
    struct members_pair w = {.sid = id};
    if (!members_parse_number(value, WEIGHT_MAX, &w.value)) {
        return ERR_INVALID;
    }
    return put_pair(&m->weights, &m->weights_n, &m->weights_cap, w);
}

static struct members_group *group_of(struct members *m, int64_t id)
{
    for (size_t g = 0; g < m->groups_n; g++) {
        if (m->groups[g].id == id) {
            return &m->groups[g];
        }
    }
    if (m->groups_n == MEMBERS_VOTERS_MAX) {
        return NULL;
    }
    m->groups[m->groups_n] = (struct members_group){.id = id};
    return &m->groups[m->groups_n++];
}

// Java's QuorumHierarchical.computeGroupWeight. A group of no weight is no group.
static enum err end_groups(struct members *m)
{
    m->groups_n = 0;
    for (size_t i = 0; i < m->grouped_n; i++) {
        struct members_pair *w = find_pair(m->weights, m->weights_n, m->grouped[i].sid);
        if (!w) {
            return ERR_INVALID;
        }
        struct members_group *g = w->value ? group_of(m, m->grouped[i].value) : NULL;
        if (w->value && !g) {
            return ERR_LIMIT;
        }
        for (size_t v = 0; g && v < m->voters_n; v++) {
            g->voters |= (uint64_t)(m->voters[v] == w->sid) << v;
        }
        if (g) {
            g->weight += w->value;
        }
    }
    return ERR_OK;
}

static enum err end_hierarchy(struct members *m)
{
    for (size_t v = 0; v < m->voters_n; v++) {
        int64_t sid = m->voters[v];
        if (!find_pair(m->grouped, m->grouped_n, sid)) {
            return ERR_INVALID;
        }
        if (!find_pair(m->weights, m->weights_n, sid)) {
            enum err e = put_pair(&m->weights, &m->weights_n, &m->weights_cap,
                                  (struct members_pair){sid, 1});
            if (e) {
                return e;
            }
        }
        m->voter_weight[v] = members_weight(m, sid);
    }
    return end_groups(m);
}

enum err members_end(struct members *m)
{
    m->voters_n = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (m->servers[i].observer) {
            continue;
        }
        if (m->voters_n == MEMBERS_VOTERS_MAX) {
            return ERR_LIMIT;
        }
        m->voter_weight[m->voters_n] = 1;
        m->voters[m->voters_n++] = m->servers[i].sid;
    }
    if (m->voters_n == 0) {
        return ERR_INVALID;
    }
    return m->hierarchical ? end_hierarchy(m) : ERR_OK;
}

enum err members_parse(struct slice text, struct members **m)
{
    *m = NULL;
    if (text.n > MEMBERS_TEXT_MAX) {
        return ERR_LIMIT;
    }
    struct members *made = members_new();
    struct properties p;
    enum err e;
    properties_init(&p, text);
    while (properties_next(&p, &e)) {
        e = members_put(made, buf_slice(&p.key), buf_slice(&p.value));
        if (e) {
            break;
        }
    }
    properties_fini(&p);
    if (!e) {
        e = members_end(made);
    }
    if (e) {
        members_free(&made);
    }
    *m = made;
    return e;
}
