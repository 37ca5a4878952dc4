// SPDX-License-Identifier: Apache-2.0
//
// Changes of the membership. Two memberships are known: the committed one, and the last seen one,
// which was proposed and may not be committed. A client's request becomes the next membership here
// (on the leader), travels as a transaction, and is activated on every server when it commits:
// written to the files, shown in /zookeeper/config, and followed by a new role if it means one.
//
// Java: PrepRequestProcessor (reconfig), QuorumPeer.processReconfig.
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "node/node_internal.h"
#include "wire/jute.h"

// ---- what is known ------------------------------------------------------------------------------

static void retire(struct ensemble *e, struct members *m)
{
    if (m) {
        mem_grow((void **)&e->retired, &e->retired_cap, e->retired_n + 1, sizeof(struct members *));
        e->retired[e->retired_n++] = m;
    }
}

void reconfig_bury(struct node *n)
{
    struct ensemble *e = n->ens;
    for (size_t i = 0; i < e->retired_n; i++) {
        members_free(&e->retired[i]);
    }
    e->retired_n = 0;
}

void reconfig_seen(struct node *n, struct members *m)
{
    struct ensemble *e = n->ens;
    if (!n->cfg->reconfig_enabled || m->version <= ensemble_last_seen(n)->version) {
        members_free(&m);
        return;
    }
    retire(e, e->last_seen);
    e->last_seen = m;
    dynconfig_save_next(e->dyn, m);
    elect_set_members(e->elect, e->committed, e->last_seen, false);
}

static struct members *parse(struct node *n, struct slice text)
{
    struct members *m = NULL;
    if (n->cfg->reconfig_enabled && text.p && members_parse(text, &m)) {
        log_warn(&n->env->log, "a membership cannot be read: it is left aside");
    }
    return m;
}

void reconfig_seen_text(struct node *n, struct slice text)
{
    struct members *m = parse(n, text);
    if (m) {
        n->ens->proposed = m->version;
        reconfig_seen(n, m);
    }
}

// What was seen last is neither established nor proposed: it was cut off the log, where it never
// got a quorum. A later role must not make it come true.
static void forget_lost(struct node *n, const struct members *told)
{
    struct ensemble *e = n->ens;
    if (!e->last_seen || e->last_seen->version <= told->version ||
        e->last_seen->version == e->proposed) {
        return;
    }
    log_info(&n->env->log,
             "the membership of version 0x%" PRIx64 " is forgotten: it was never committed",
             (uint64_t)e->last_seen->version);
    retire(e, e->last_seen);
    e->last_seen = NULL;
    dynconfig_forget_next(e->dyn);
    elect_set_members(e->elect, e->committed, NULL, false);
}

// What the learner activates when it serves: not the last seen one, which may be of a proposal that
// is still open. Java: Learner.syncWithLeader, newLeaderQV.
void reconfig_told(struct node *n, struct slice text)
{
    struct members *m = parse(n, text);
    if (m) {
        members_free(&n->ens->told);
        n->ens->told = members_copy(m);
        forget_lost(n, m);
        reconfig_seen(n, m);
    }
}

// The log may hold a reconfiguration that the files do not know yet: they are written beside it.
// Whether it has committed is not known, so it counts as seen.
void reconfig_seen_in_tree(struct node *n)
{
    uint32_t node = tree_find(n->tree, SLICE_LIT("/zookeeper/config"));
    if (node) {
        reconfig_seen_text(n, tree_node_data(n->tree, node));
    }
}

void reconfig_set_node(struct node *n)
{
    struct buf text = {0};
    const struct members *m = n->ens->committed;
    members_fmt(&text, m, MEMBERS_WIRE);
    tree_set_config(n->tree, buf_slice(&text), m->version, n->env->wall.ms);
    buf_fini(&text);
}

void reconfig_commit(struct node *n, const struct members *m)
{
    struct ensemble *e = n->ens;
    struct members *copy = members_copy(m);
    retire(e, e->committed);
    e->committed = copy;
    if (e->last_seen && e->last_seen->version <= copy->version) {
        retire(e, e->last_seen);
        e->last_seen = NULL;
    }
    dynconfig_activate(e->dyn, copy, e->sid);
    reconfig_set_node(n);
    node_move_client_port(n);
}

// ---- a client's request -------------------------------------------------------------------------

static enum err put_line(struct members *m, struct slice line)
{
    const uint8_t *equals = memchr(line.p, '=', line.n);
    if (!equals) {
        return ERR_INVALID;
    }
    size_t at = (size_t)(equals - line.p);
    return members_put(m, slice_of(line.p, at), slice_skip(line, at + 1));
}

// Calls f for each part of a list; the first error ends it.
static enum err for_parts(struct slice list, char separator,
                          enum err (*f)(struct members *m, struct slice part), struct members *m)
{
    while (list.n) {
        const uint8_t *end = memchr(list.p, separator, list.n);
        size_t n = end ? (size_t)(end - list.p) : list.n;
        struct slice part = slice_trim(slice_of(list.p, n));
        enum err e = part.n ? f(m, part) : ERR_OK;
        if (e) {
            return e;
        }
        list = slice_skip(list, n + (end != NULL));
    }
    return ERR_OK;
}

static enum err put_known(struct members *m, struct slice line)
{
    static const char version[] = "version=";
    bool is_version =
        line.n >= sizeof(version) - 1 && memcmp(line.p, version, sizeof(version) - 1) == 0;
    return is_version ? ERR_OK : put_line(m, line);
}

static enum err leave(struct members *m, struct slice sid)
{
    int64_t id;
    if (!members_parse_number(sid, INT64_MAX, &id)) {
        return ERR_INVALID;
    }
    members_remove(m, id);
    return ERR_OK;
}

static bool is_everywhere(struct slice host) // such addresses may be given twice
{
    return host.n == 0 || slice_eq_str(host, "0.0.0.0") || slice_eq_str(host, "::") ||
           slice_eq_str(host, "localhost") || slice_eq_str(host, "::1") ||
           (host.n > 4 && memcmp(host.p, "127.", 4) == 0);
}

static bool share_address(const struct member *a, const struct member *b)
{
    for (size_t i = 0; i < a->addrs_n; i++) {
        for (size_t j = 0; j < b->addrs_n; j++) {
            const struct member_addr *x = &a->addrs[i], *y = &b->addrs[j];
            if (slice_eq(x->host, y->host) && !is_everywhere(x->host) &&
                (x->quorum_port == y->quorum_port || x->election_port == y->election_port ||
                 x->quorum_port == y->election_port || x->election_port == y->quorum_port)) {
                return true;
            }
        }
    }
    return a->client.host.p && b->client.host.p && !is_everywhere(a->client.host) &&
           slice_eq(a->client.host, b->client.host) && a->client.port == b->client.port;
}

// A server that joins must say where it serves clients, and take nobody's place.
static bool joiner_is_good(const struct members *m, const struct member *x)
{
    if (!x->client.host.p) {
        return false;
    }
    for (size_t i = 0; i < m->n; i++) {
        if (m->servers[i].sid != x->sid && share_address(&m->servers[i], x)) {
            return false;
        }
    }
    return true;
}

static enum err change(const struct members *from, const struct reconfig_request *r,
                       struct members *m)
{
    struct buf text = {0};
    struct members *joining = members_new();
    members_fmt(&text, from, MEMBERS_WIRE);
    enum err e = for_parts(buf_slice(&text), '\n', put_known, m);
    if (!e) {
        e = for_parts(r->leaving, ',', leave, m);
    }
    if (!e) {
        e = for_parts(r->joining, ',', put_line, joining);
    }
    if (!e) {
        e = for_parts(r->joining, ',', put_line, m);
    }
    if (!e) {
        e = members_end(m);
    }
    for (size_t i = 0; !e && i < joining->n; i++) {
        const struct member *x = members_find(m, joining->servers[i].sid);
        e = x && joiner_is_good(m, x) ? ERR_OK : ERR_INVALID;
    }
    members_free(&joining);
    buf_fini(&text);
    return e;
}

static enum err replace(const struct reconfig_request *r, struct members *m)
{
    struct buf text = {0};
    buf_put_slice(&text, r->new_members);
    for (size_t i = 0; i < text.n; i++) {
        text.p[i] = text.p[i] == ',' ? '\n' : text.p[i];
    }
    enum err e = for_parts(buf_slice(&text), '\n', put_known, m);
    buf_fini(&text);
    return e ? e : members_end(m);
}

enum zkerr reconfig_plan(struct node *n, struct slice body, int64_t zxid, struct members **out)
{
    struct ensemble *e = n->ens;
    const struct members *seen = ensemble_last_seen(n);
    struct reconfig_request r = {0};
    struct jute_in in = jute_in(body, body.n);
    jute_get_record(&in, &record_reconfig_request, &r, NULL);
    if (in.err) {
        return ZK_MARSHALLINGERROR;
    }
    if (seen->version != e->committed->version) {
        return ZK_RECONFIGINPROGRESS;
    }
    if (r.config_id != -1 && r.config_id != seen->version) {
        return ZK_BADVERSION;
    }
    bool whole = r.new_members.p && r.new_members.n;
    if (!whole && seen->hierarchical) {
        return ZK_BADARGUMENTS;
    }
    struct members *m = members_new();
    enum err err = whole ? replace(&r, m) : change(seen, &r, m);
    if (err || m->voters_n < (n->cfg->standalone ? 2u : 1u)) {
        members_free(&m);
        return ZK_BADARGUMENTS;
    }
    m->version = zxid;
    if (!leader_has_quorum(n->leader, m)) {
        members_free(&m);
        return ZK_NEWCONFIGNOQUORUM;
    }
    *out = m;
    return ZK_OK;
}

// ---- activation ---------------------------------------------------------------------------------

static bool same_quorum_address(const struct member *a, const struct member *b)
{
    if (!a || !b || a->addrs_n != b->addrs_n) {
        return false;
    }
    for (size_t i = 0; i < a->addrs_n; i++) {
        if (!slice_eq(a->addrs[i].host, b->addrs[i].host) ||
            a->addrs[i].quorum_port != b->addrs[i].quorum_port) {
            return false;
        }
    }
    return true;
}

// Whether the present leader is one in both memberships, and at the same place.
static bool leader_stays(const struct members *a, const struct members *b, int64_t sid)
{
    return members_is_voter(a, sid) && members_is_voter(b, sid) &&
           same_quorum_address(members_find(a, sid), members_find(b, sid));
}

bool reconfig_activate(struct node *n, const struct members *m, int64_t designated, int64_t zxid)
{
    struct ensemble *e = n->ens;
    if (!n->cfg->reconfig_enabled || m->version <= e->committed->version) {
        return false;
    }
    const struct members *before = e->committed;
    bool differs = !members_equal(before, m);
    bool was_observer = n->run == RUN_OBSERVING;
    reconfig_commit(n, m); // retires `before`, and m if it is the last seen one; both stay readable
    log_info(&n->env->log, "the membership of version 0x%" PRIx64 " is active: %zu voters of %zu",
             (uint64_t)e->committed->version, e->committed->voters_n, e->committed->n);
    bool observer = members_is_observer(e->committed, e->sid);
    bool leader_changes = designated != MEMBERS_NOBODY
                              ? designated != e->leader
                              : !leader_stays(before, e->committed, e->leader);
    bool major = observer != was_observer || leader_changes;
    if (major && designated != MEMBERS_NOBODY) {
        e->named = designated;
        e->named_zxid = zxid;
    }
    e->restart_election = differs && major;
    if (!e->restart_election) { // at least the version is another one
        elect_set_members(e->elect, e->committed, e->last_seen, differs);
    }
    return major;
}
