// SPDX-License-Identifier: Apache-2.0
//
// Memberships in the little world: what node does about them, in short. A reconfiguration is a
// record with a negative value, the number of its membership. Last seen and committed ones are on
// disk at once, the last seen one before the record is logged.
#include "test/support/zab_net.h"

static const struct members *committed_of(const struct world *w, const struct server *v)
{
    return w->configs[v->committed].m;
}

static int add(struct world *w, struct members *m)
{
    must(w->configs_n < CONFIGS);
    struct config *c = &w->configs[w->configs_n];
    c->m = m;
    members_fmt(&c->text, m, MEMBERS_WIRE);
    return w->configs_n++;
}

void net_first_config(struct world *w, int members)
{
    struct buf b = {0};
    struct members *m;
    for (int s = 1; s <= members; s++) {
        buf_fmt(&b, "server.%d=h%d:1:2:%s\n", s, s, s <= w->voters ? "participant" : "observer");
    }
    must(members_parse(buf_slice(&b), &m) == ERR_OK);
    buf_fini(&b);
    add(w, m);
}

void net_configs_fini(struct world *w)
{
    for (int i = 0; i < w->configs_n; i++) {
        members_free(&w->configs[i].m);
        buf_fini(&w->configs[i].text);
    }
}

int net_config_of_version(const struct world *w, int64_t version)
{
    for (int i = 0; i < w->configs_n; i++) {
        if (w->configs[i].m->version == version) {
            return i;
        }
    }
    must(false);
    return 0;
}

struct slice net_committed_text(const struct world *w, const struct server *v)
{
    return buf_slice(&w->configs[v->committed].text);
}

void net_tell_members(struct world *w, int s, bool restart)
{
    struct server *v = &w->servers[s];
    net_elect(w, s,
              (struct fle_event){.type = FLE_MEMBERS,
                                 .members = {.committed = committed_of(w, v),
                                             .last_seen = w->configs[v->seen].m,
                                             .restart = restart}});
}

void net_seen(struct world *w, int s, int config)
{
    struct server *v = &w->servers[s];
    if (w->configs[config].m->version > w->configs[v->seen].m->version) {
        v->seen = config;
        net_tell_members(w, s, false);
    }
}

static void commit(struct world *w, struct server *v, int config)
{
    v->committed = config;
    if (w->configs[v->seen].m->version < w->configs[config].m->version) {
        v->seen = config;
    }
}

void net_adopt(struct world *w, int s, int config)
{
    struct server *v = &w->servers[s];
    // The voters differ, too, if one that was only seen goes.
    bool differs =
        v->seen != v->committed || !members_equal(committed_of(w, v), w->configs[config].m);
    commit(w, v, config);
    net_tell_members(w, s, differs);
    if (differs) {
        v->elected = false;
        net_look(w, s);
    }
}

// The leader of the role is one in both, at the same place.
static bool leader_stays(const struct members *a, const struct members *b, int64_t sid)
{
    return members_is_voter(a, sid) && members_is_voter(b, sid) &&
           members_find(a, sid)->addrs[0].quorum_port == members_find(b, sid)->addrs[0].quorum_port;
}

// Planted: what was outstanding commits, though another server leads on.
static void commit_the_rest(struct world *w, struct server *v)
{
    for (; v->applied < v->n && w->truth_n < LOG; v->applied++) {
        net_check_commit(w, v, &v->log[v->applied]);
        w->truth[w->truth_n++] = v->log[v->applied];
    }
}

bool net_activate(struct world *w, int s, int config, int64_t designated)
{
    struct server *v = &w->servers[s];
    const struct members *before = committed_of(w, v), *after = w->configs[config].m;
    int64_t leader = v->leader ? s : v->follows;
    if (v->leader && designated != s) {
        v->handed_over = true;
        w->handovers++;
        if (w->plant == PLANT_COMMITS_AFTER_LEAVE) {
            commit_the_rest(w, v);
        }
    }
    if (after->version <= before->version) {
        return false;
    }
    w->activations++;
    bool differs = !members_equal(before, after);
    bool observer = members_is_observer(after, s);
    bool leaves =
        designated != NET_NOBODY ? designated != leader : !leader_stays(before, after, leader);
    bool major = observer != members_is_observer(before, s) || leaves;
    commit(w, v, config);
    if (major && designated != NET_NOBODY) {
        v->named = designated;
        v->named_zxid = after->version;
    }
    if (major) {
        v->restart = differs;
    } else {
        net_tell_members(w, s, differs);
    }
    return major;
}

void net_next_role(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    if (v->restart) {
        v->restart = false;
        net_tell_members(w, s, true);
    }
    if (v->named == NET_NOBODY) {
        net_look(w, s);
        return;
    }
    net_elect(
        w, s,
        (struct fle_event){.type = FLE_ROLE, .role = {.leader = v->named, .zxid = v->named_zxid}});
    v->elected = true;
    v->role = fle_state(v->fle);
    v->follows = v->named;
    v->named = NET_NOBODY;
}

const struct members *net_first_version(struct world *w, int s, int64_t epoch)
{
    struct server *v = &w->servers[s];
    if (w->configs[v->seen].m->version || w->configs_n == CONFIGS || !w->reconfig_every) {
        return NULL;
    }
    int config = -1;
    for (int i = 0; i < w->configs_n; i++) {
        config = w->configs[i].m->version == zxid_of_epoch(epoch) ? i : config;
    }
    if (config < 0) {
        struct members *m = members_copy(committed_of(w, v));
        m->version = zxid_of_epoch(epoch);
        config = add(w, m);
    }
    net_seen(w, s, config);
    return w->configs[config].m;
}

// One server comes, goes, changes what it is or where; NULL: that is no ensemble, or none that may
// be tried.
static struct members *change(struct world *w, const struct members *from, int64_t leader)
{
    struct buf b = {0};
    struct members *m;
    int one = rng_chance(&w->rng, 1, 4) ? (int)leader : 1 + (int)rng_below(&w->rng, (uint64_t)w->n);
    uint64_t what = rng_below(&w->rng, 4);
    for (int s = 1; s <= w->n; s++) {
        const struct member *x = members_find(from, s);
        bool observer = x && x->observer;
        int port = x ? x->addrs[0].quorum_port : 1;
        if (s == one && what == 0) {
            continue;
        }
        if (s == one) {
            observer = what == 1;
            port += what == 2;
        } else if (!x) {
            continue;
        }
        buf_fmt(&b, "server.%d=h%d:%d:2:%s\n", s, s, port, observer ? "observer" : "participant");
    }
    enum err e = members_parse(buf_slice(&b), &m);
    buf_fini(&b);
    if (!e && m->voters_n < 2) {
        members_free(&m);
    }
    return e ? NULL : m;
}

void net_reconfigure(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    if (!net_can_propose(w, s) || v->seen != v->committed || w->configs_n > CONFIGS - 20) {
        return;
    }
    struct members *m = change(w, committed_of(w, v), s);
    if (!m) {
        return;
    }
    m->version = leader_next_zxid(v->leader);
    if (!leader_has_quorum(v->leader, m)) {
        members_free(&m);
        return;
    }
    int config = add(w, m);
    struct members *told = members_copy(w->plant == PLANT_OLD_QUORUM ? committed_of(w, v) : m);
    told->version = m->version;
    net_seen(w, s, config);
    net_propose_record(w, s, -config, told);
    members_free(&told);
}

static bool is_durable(const struct world *w, const struct members *m, const struct record *r,
                       size_t place)
{
    struct quorum q = {.of = {m}, .n = 1};
    struct quorum_acks there = {0};
    for (int s = 1; s <= w->n; s++) {
        const struct server *v = &w->servers[s];
        if (place < v->synced && v->log[place].zxid == r->zxid && v->log[place].value == r->value) {
            quorum_ack(&q, &there, s);
        }
    }
    return quorum_reached(&q, &there);
}

void net_check_commit(struct world *w, const struct server *v, const struct record *r)
{
    if (v->handed_over) {
        net_fault(w, "a commit by a leader that named another one");
    }
    if (!is_durable(w, committed_of(w, v), r, v->applied)) {
        net_fault(w, "a commit without a quorum");
    }
    w->reconfigs += r->value < 0;
    if (r->value < 0 && !is_durable(w, w->configs[-r->value].m, r, v->applied)) {
        net_fault(w, "a reconfiguration without a quorum of its new members");
    }
}
