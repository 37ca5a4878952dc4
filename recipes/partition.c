// SPDX-License-Identifier: Apache-2.0
//
// A member of a group. Three things come together in divide(): the members with what they subscribe
// to (kids of ids), the topics' partitions (kids of the brokers' topics), and what this member
// holds (claims, each a keep of an owner node). The division says what it should hold; what is
// missing is claimed at once and comes when its owner lets go, what is too much is revoked and then
// let go.
//
// Nothing here decides who owns a partition but the owner nodes: divisions of members that know
// different things may overlap for a while, two nodes of one name cannot be.
//
// The order of events: a partition is told ASSIGNED once its node is there, then REVOKED or LOST
// before anything is done about the node, and not again before the node was made anew. One
// revocation is under way at a time; what else is to be revoked waits for its answer.
#include "recipes/partition_member.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recipes/discovery_text.h"
#include "recipes/instance.h"
#include "recipes/partition_assign.h"

static void divide(struct member *m);

static struct member *member_of(struct reeve_partitions *m)
{
    return (struct member *)(void *)m;
}

char *member_path(const struct member *m, const char *base, const char *topic, int32_t partition)
{
    struct text t;
    text_init(&t, m->o.zk);
    text_str(&t, base);
    text_str(&t, "/");
    text_str(&t, topic);
    text_str(&t, "/");
    text_int(&t, partition);
    return text_take(&t);
}

// ---- telling ------------------------------------------------------------------------------------

static void tell(struct member *m, struct reeve_partition_event *ev)
{
    if (!atomic_load(&m->o.closing)) {
        m->fn(m->ctx, ev);
    }
}

static void fail(struct member *m, enum reeve_error e)
{
    if (m->failed != e) {
        m->failed = e;
        struct reeve_partition_event ev = {.what = REEVE_PARTITIONS_FAILED, .error = e};
        tell(m, &ev);
    }
}

static void put(struct member *m, struct reeve_partition_event *ev, const struct claim *c)
{
    m->list[ev->n++] = (struct reeve_partition){.topic = m->topics[c->topic].name,
                                                .partition = c->partition,
                                                .stream = c->stream,
                                                .czxid = c->keep.czxid};
    ev->list = m->list;
}

static bool holds(const struct claim *c)
{
    return c->state == CLAIM_OWNED || c->state == CLAIM_REVOKED;
}

// Those that are there and not told yet, once the fate of all that were asked for is known: so one
// event has what one division brought.
static void tell_assigned(struct member *m)
{
    struct reeve_partition_event ev = {.what = REEVE_PARTITIONS_ASSIGNED};
    for (struct claim *c = m->claims; c; c = c->next) {
        if (c->state == CLAIM_WANTED && c->wanted && !c->settled) {
            return;
        }
    }
    for (struct claim *c = m->claims; c; c = c->next) {
        if (c->state == CLAIM_HELD && c->wanted) {
            c->state = CLAIM_OWNED;
            put(m, &ev, c);
        }
    }
    if (ev.n > 0) {
        m->failed = REEVE_OK;
        tell(m, &ev);
    }
}

static void tell_revoked(struct member *m)
{
    struct reeve_partition_event ev = {.what = REEVE_PARTITIONS_REVOKED};
    if (m->revoking) {
        return;
    }
    for (struct claim *c = m->claims; c; c = c->next) {
        if (c->state == CLAIM_OWNED && !c->wanted) {
            c->state = CLAIM_REVOKED;
            put(m, &ev, c);
        }
    }
    if (ev.n > 0) {
        m->revoking = true;
        ev.answer = ++m->answer;
        tell(m, &ev);
    }
}

// ---- claims -------------------------------------------------------------------------------------

struct claim *member_owned(struct member *m, const char *topic, int32_t partition)
{
    struct claim *c = m->claims;
    while (c &&
           !(holds(c) && c->partition == partition && !strcmp(m->topics[c->topic].name, topic))) {
        c = c->next;
    }
    return c;
}

static void let_go(struct claim *c)
{
    if (c->state != CLAIM_LEAVING) {
        c->state = CLAIM_LEAVING;
        keep_stop(&c->keep); // c may be gone after it
    }
}

static void on_claim_lost(struct member *m, struct claim *c)
{
    struct reeve_partition_event ev = {.what = REEVE_PARTITIONS_LOST};
    if (holds(c)) {
        put(m, &ev, c);
    }
    let_go(c);
    if (ev.n > 0) {
        tell(m, &ev);
    }
}

static void on_claim_gone(struct member *m, struct claim *c, enum reeve_error e)
{
    struct claim **at = &m->claims;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    keep_fini(&c->keep);
    kit_free(m->o.zk, c);
    m->due = true;
    if (e && !m->o.closed && !m->o.ended) {
        fail(m, e);
    }
}

// What a claim's news means for the others is seen to from a message, never from inside.
static void on_message(struct kit_object *o, void *arg)
{
    (void)arg;
    ((struct member *)o)->soon = false;
    divide((struct member *)o);
}

static void divide_again(struct kit_object *o, void *arg);

static void divide_soon(struct member *m)
{
    if (m->o.closed || m->soon) {
        return;
    }
    m->soon = !kit_send(&m->o, on_message, NULL);
    if (!m->soon) {
        kit_start(&m->o, &m->again, KIT_AGAIN_MS, divide_again, NULL);
    }
}

static void divide_again(struct kit_object *o, void *arg)
{
    (void)arg;
    divide((struct member *)o);
}

static void on_claim(struct kit_object *o, struct keep *k, enum keep_news news, enum reeve_error e)
{
    struct member *m = (struct member *)o;
    struct claim *c = (struct claim *)k;
    switch (news) {
    case KEEP_THERE:
        if (c->state == CLAIM_WANTED) {
            c->state = CLAIM_HELD;
        }
        break;
    case KEEP_LOST:
        on_claim_lost(m, c);
        break;
    case KEEP_OTHERS:
        c->settled = true;
        break;
    case KEEP_FAILED:
        c->settled = true;
        fail(m, e);
        break;
    case KEEP_GONE:
        on_claim_gone(m, c, e);
        break;
    }
    divide_soon(m);
}

static struct claim *find(struct member *m, const struct assign_one *one)
{
    struct claim *c = m->claims;
    while (c && !(c->topic == one->topic && c->partition == one->partition)) {
        c = c->next;
    }
    return c;
}

// The owner's data is the share: "<member>-<stream>".
static enum reeve_error claim_one(struct member *m, const struct assign_one *one)
{
    struct text t;
    text_init(&t, m->o.zk);
    text_str(&t, m->id);
    text_str(&t, "-");
    text_int(&t, one->stream);
    char *share = text_take(&t);
    char *path = member_path(m, m->owners_path, m->topics[one->topic].name, one->partition);
    struct claim *c = kit_alloc(m->o.zk, sizeof(*c));
    enum reeve_error e = REEVE_NO_MEMORY;
    if (share && path && c) {
        e = keep_init(&c->keep, &m->o, path,
                      KEEP_EPHEMERAL | KEEP_PLAIN_PARENTS | KEEP_ONCE | KEEP_GUARD | KEEP_MINE,
                      on_claim);
        e = e ? e : keep_set(&c->keep, share, strlen(share));
        if (e) {
            keep_fini(&c->keep);
        }
    }
    kit_free(m->o.zk, share);
    kit_free(m->o.zk, path);
    if (e) {
        kit_free(m->o.zk, c);
        return e;
    }
    c->topic = one->topic;
    c->partition = one->partition;
    c->stream = one->stream;
    c->wanted = true;
    c->next = m->claims;
    m->claims = c;
    keep_start(&c->keep);
    return REEVE_OK;
}

// ---- dividing -----------------------------------------------------------------------------------

static enum reeve_error read_topics(struct member *m, struct assign *a)
{
    enum reeve_error e = REEVE_OK;
    for (size_t i = 0; i < m->topics_n && !e; i++) {
        if (m->topics[i].partitions > 0) {
            e = assign_count(a, i, m->topics[i].partitions);
            continue;
        }
        const struct kid *k = kids_find(&m->brokers, m->topics[i].name);
        if (k && k->data) {
            e = assign_brokers(a, i, k->data, k->data_len);
        }
    }
    return e;
}

static enum reeve_error read_members(struct member *m, struct assign *a)
{
    enum reeve_error e = REEVE_OK;
    for (size_t i = 0; i < m->members.n && !e; i++) {
        const struct kid *k = m->members.list[i];
        if (k->change > 0) {
            e = assign_member(a, k->name, k->data, k->data_len);
        }
        if (e == REEVE_MALFORMED) {
            e = REEVE_OK; // a registration that nobody can read has no part
        }
    }
    return e;
}

// What this member should hold now. For kit_free().
static enum reeve_error reckon(struct member *m, struct assign_one **list, size_t *n)
{
    struct assign a;
    *list = NULL;
    *n = 0;
    enum reeve_error e = assign_init(&a, m->o.zk, m->id, m->topics, m->topics_n);
    e = e ? e : read_topics(m, &a);
    e = e ? e : read_members(m, &a);
    if (!e) {
        e = assign_divide(&a, m->round_robin, list, n);
    }
    assign_fini(&a);
    return e;
}

static enum reeve_error room_for_events(struct member *m, size_t more)
{
    size_t n = more;
    for (struct claim *c = m->claims; c; c = c->next) {
        n++;
    }
    if (n <= m->list_cap) {
        return REEVE_OK;
    }
    struct reeve_partition *list = reeve_realloc(m->o.zk, m->list, n * sizeof(*list));
    if (!list) {
        return REEVE_NO_MEMORY;
    }
    m->list = list;
    m->list_cap = n;
    return REEVE_OK;
}

// Takes the division: marks what is wanted, and claims what is missing.
static enum reeve_error take(struct member *m, const struct assign_one *list, size_t n)
{
    enum reeve_error e = room_for_events(m, n);
    if (e) {
        return e;
    }
    for (struct claim *c = m->claims; c; c = c->next) {
        c->wanted = false;
    }
    for (size_t i = 0; i < n && !e; i++) {
        struct claim *c = find(m, &list[i]);
        if (!c) {
            e = claim_one(m, &list[i]);
        } else if (c->stream == list[i].stream) {
            c->wanted = true;
        }
    }
    return e;
}

static void drop_unwanted(struct member *m)
{
    struct claim *c = m->claims;
    while (c) {
        struct claim *next = c->next;
        if (!c->wanted && (c->state == CLAIM_WANTED || c->state == CLAIM_HELD)) {
            let_go(c);
        }
        c = next;
    }
}

static enum reeve_error reckon_and_take(struct member *m)
{
    struct assign_one *list;
    size_t n;
    enum reeve_error e = reckon(m, &list, &n);
    if (e == REEVE_BAD_ARGUMENTS) { // no division: nothing is anybody's, as with Kafka
        fail(m, e);
        e = REEVE_OK;
    }
    e = e ? e : take(m, list, n);
    kit_free(m->o.zk, list);
    return e;
}

// Brings what is held closer to what should be. Also good when there is nothing to do.
static void divide(struct member *m)
{
    if (m->o.closed || !m->self_there || m->members.stale || m->brokers.stale) {
        return; // what is held stays until more is known
    }
    if (m->due) {
        enum reeve_error e = reckon_and_take(m);
        if (e == REEVE_NO_MEMORY) {
            kit_start(&m->o, &m->again, KIT_AGAIN_MS, divide_again, NULL);
        }
        if (e) {
            fail(m, e);
            return;
        }
        m->due = false;
    }
    drop_unwanted(m);
    tell_revoked(m);
    tell_assigned(m);
}

static void on_view(struct kit_object *o, void *arg)
{
    (void)arg;
    struct member *m = (struct member *)o;
    enum reeve_error e = m->members.error ? m->members.error : m->brokers.error;
    if (e) {
        fail(m, e);
    }
    m->due = true;
    divide_soon(m);
}

static void on_self(struct kit_object *o, struct keep *k, enum keep_news news, enum reeve_error e)
{
    (void)k;
    struct member *m = (struct member *)o;
    m->self_there = news == KEEP_THERE;
    if (news == KEEP_FAILED) {
        fail(m, e);
    } else if (news == KEEP_OTHERS && !m->self_known) {
        fail(m, REEVE_NODE_EXISTS); // later it is our own from a lost session
    }
    m->self_known = m->self_known || m->self_there;
    m->due = true;
    divide_soon(m);
}

// ---- the object ---------------------------------------------------------------------------------

// The session is over: the owner is told first, and once for all; then the claims are given up.
static void lose_all(struct member *m)
{
    struct reeve_partition_event ev = {.what = REEVE_PARTITIONS_LOST};
    for (struct claim *c = m->claims; c; c = c->next) {
        if (holds(c)) {
            put(m, &ev, c);
            c->state = CLAIM_HELD; // told
        }
    }
    m->revoking = false;
    m->self_there = false;
    if (ev.n > 0) {
        tell(m, &ev);
    }
}

static void on_session(struct kit_object *o, const struct reeve_session *s)
{
    struct member *m = (struct member *)o;
    bool over = s->state == REEVE_STATE_LOST || s->state == REEVE_STATE_AUTH_FAILED ||
                s->state == REEVE_STATE_ENDED;
    if (over) {
        lose_all(m);
    }
    struct claim *c = m->claims;
    while (c) {
        struct claim *next = c->next;
        keep_on_session(&c->keep, s);
        c = next;
    }
    for (c = over ? m->claims : NULL; c;) {
        struct claim *next = c->next;
        let_go(c);
        c = next;
    }
    if (!m->self.wanted && !m->o.closed && !over) {
        keep_start(&m->self);
    }
    keep_on_session(&m->self, s);
    kids_on_session(&m->members, s);
    kids_on_session(&m->brokers, s);
}

static void on_close(struct kit_object *o)
{
    struct member *m = (struct member *)o;
    kids_stop(&m->members);
    kids_stop(&m->brokers);
    kit_cancel(&m->again);
    struct claim *c = m->claims;
    while (c) { // owners first: who divides anew without us finds them free
        struct claim *next = c->next;
        let_go(c);
        c = next;
    }
    keep_stop(&m->self);
}

static void fini(struct kit_object *o)
{
    struct member *m = (struct member *)o;
    keep_fini(&m->self);
    kids_fini(&m->members);
    kids_fini(&m->brokers);
    for (size_t i = 0; i < m->topics_n; i++) {
        kit_free(o->zk, (void *)(uintptr_t)m->topics[i].name);
    }
    kit_free(o->zk, m->topics);
    kit_free(o->zk, m->group);
    kit_free(o->zk, m->id);
    kit_free(o->zk, m->ids_path);
    kit_free(o->zk, m->owners_path);
    kit_free(o->zk, m->offsets_path);
    kit_free(o->zk, m->list);
}

static const struct kit_class member_class = {
    .size = sizeof(struct member), .on_session = on_session, .on_close = on_close, .fini = fini};

// ---- joining ------------------------------------------------------------------------------------

static char *draw_id(struct reeve *zk, const char *group)
{
    char host[128] = "";
    char guid[33];
    if (gethostname(host, sizeof(host) - 1) || !host[0]) {
        snprintf(host, sizeof(host), "localhost");
    }
    reeve_guid(zk, guid);
    struct text t;
    text_init(&t, zk);
    text_str(&t, group);
    text_str(&t, "_");
    text_str(&t, host);
    text_str(&t, "-");
    text_int(&t, instance_wall_ms());
    text_str(&t, "-");
    text_put(&t, guid, 8);
    return text_take(&t);
}

static enum reeve_error copy_topics(struct member *m, const struct reeve_topic *topics, size_t n)
{
    m->topics = kit_alloc(m->o.zk, n * sizeof(*m->topics));
    if (!m->topics) {
        return REEVE_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        m->topics[i] = topics[i];
        m->topics[i].streams = topics[i].streams ? topics[i].streams : 1;
        m->topics[i].name = kit_str(m->o.zk, topics[i].name);
        m->topics_n++;
        if (!m->topics[i].name) {
            return REEVE_NO_MEMORY;
        }
    }
    return REEVE_OK;
}

static enum reeve_error make_paths(struct member *m, const char *root)
{
    const struct reeve *zk = m->o.zk;
    char *group = kit_join(zk, root, m->group);
    if (group) {
        m->ids_path = kit_join(zk, group, "ids");
        m->owners_path = kit_join(zk, group, "owners");
        m->offsets_path = kit_join(zk, group, "offsets");
    }
    kit_free(zk, group);
    return m->ids_path && m->owners_path && m->offsets_path ? REEVE_OK : REEVE_NO_MEMORY;
}

static enum reeve_error init_self(struct member *m)
{
    const struct reeve *zk = m->o.zk;
    char *path = kit_join(zk, m->ids_path, m->id);
    char *data = assign_registration(zk, m->topics, m->topics_n, instance_wall_ms());
    enum reeve_error e = REEVE_NO_MEMORY;
    if (path && data) {
        e = keep_init(&m->self, &m->o, path,
                      KEEP_EPHEMERAL | KEEP_PLAIN_PARENTS | KEEP_GUARD | KEEP_MINE, on_self);
        e = e ? e : keep_set(&m->self, data, strlen(data));
    }
    kit_free(zk, path);
    kit_free(zk, data);
    return e;
}

static enum reeve_error init_views(struct member *m, const char *brokers)
{
    char *path = kit_join(m->o.zk, brokers, "topics");
    enum reeve_error e = REEVE_NO_MEMORY;
    if (path) {
        e = kids_init(&m->members, &m->o, m->ids_path, KIDS_DATA, on_view, NULL);
        e = e ? e : kids_init(&m->brokers, &m->o, path, KIDS_DATA | KIDS_NAMED, on_view, NULL);
    }
    kit_free(m->o.zk, path);
    for (size_t i = 0; i < m->topics_n && !e; i++) {
        if (m->topics[i].partitions == 0) {
            e = kids_add(&m->brokers, m->topics[i].name);
        }
    }
    return e;
}

static enum reeve_error set_up(struct member *m, const char *group,
                               const struct reeve_topic *topics, size_t n,
                               const struct reeve_partition_options *o)
{
    m->round_robin = o->round_robin;
    m->group = kit_str(m->o.zk, group);
    m->id = o->id ? kit_str(m->o.zk, o->id) : draw_id(m->o.zk, group);
    enum reeve_error e = m->group && m->id ? REEVE_OK : REEVE_NO_MEMORY;
    e = e ? e : kit_set_acl(&m->o, o->acl, o->acl_n);
    e = e ? e : copy_topics(m, topics, n);
    e = e ? e : make_paths(m, o->root ? o->root : "/consumers");
    e = e ? e : init_self(m);
    e = e ? e : init_views(m, o->brokers ? o->brokers : "/brokers");
    return e ? e : kit_open(&m->o);
}

static bool topics_ok(const struct reeve_topic *topics, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct reeve_topic *t = &topics[i];
        if (!kit_name_ok(t->name) || t->streams < 0 || t->streams > ASSIGN_STREAMS_MAX ||
            t->partitions < 0 || t->partitions > ASSIGN_PARTITIONS_MAX) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (!strcmp(t->name, topics[j].name)) {
                return false;
            }
        }
    }
    return n > 0;
}

enum reeve_error reeve_partition_join(struct reeve_partitions **out, struct reeve *zk,
                                      const char *group, const struct reeve_topic *topics, size_t n,
                                      reeve_partition_fn *fn, void *ctx,
                                      const struct reeve_partition_options *o)
{
    static const struct reeve_partition_options none = {0};
    *out = NULL;
    o = o ? o : &none;
    if (!kit_name_ok(group) || !topics_ok(topics, n) || !fn || (o->id && !kit_name_ok(o->id)) ||
        (o->root && !kit_path_ok(o->root)) || (o->brokers && !kit_path_ok(o->brokers))) {
        return REEVE_BAD_ARGUMENTS;
    }
    struct kit_object *object;
    enum reeve_error e = kit_new(zk, &member_class, &object);
    if (e) {
        return e;
    }
    struct member *m = (struct member *)object;
    m->fn = fn;
    m->ctx = ctx;
    e = set_up(m, group, topics, n, o);
    if (e) {
        kit_undo(object);
        return e;
    }
    *out = (struct reeve_partitions *)(void *)m;
    return REEVE_OK;
}

void reeve_partition_leave(struct reeve_partitions **m)
{
    if (*m) {
        kit_close(&member_of(*m)->o);
        *m = NULL;
    }
}

const char *reeve_partition_id(const struct reeve_partitions *m)
{
    return ((const struct member *)(const void *)m)->id;
}

// ---- the answer to a revocation -----------------------------------------------------------------

struct answer {
    uint64_t number;
};

static void on_answer(struct kit_object *o, void *arg)
{
    struct member *m = (struct member *)o;
    uint64_t number = ((struct answer *)arg)->number;
    kit_free(o->zk, arg);
    if (o->closed || !m->revoking || number != m->answer) {
        return; // of one that a lost session has answered
    }
    m->revoking = false;
    struct claim *c = m->claims;
    while (c) {
        struct claim *next = c->next;
        if (c->state == CLAIM_REVOKED) {
            let_go(c);
        }
        c = next;
    }
    divide(m);
}

enum reeve_error reeve_partition_released(struct reeve_partitions *handle, uint64_t number)
{
    struct member *m = member_of(handle);
    struct answer *a = kit_alloc(m->o.zk, sizeof(*a));
    if (!a) {
        return REEVE_NO_MEMORY;
    }
    a->number = number;
    enum reeve_error e = kit_send(&m->o, on_answer, a);
    if (e) {
        kit_free(m->o.zk, a);
    }
    return e;
}
