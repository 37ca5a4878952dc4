// SPDX-License-Identifier: Apache-2.0
//
// Members of a group that share the partitions of two topics: one has always the same, the other as
// many as a node says, which guests change. Members come and go, at times two of them on one
// client. Owners read on where the last one has committed. What must hold:
// - a partition has one owner at a time among those who are awake (check_guest.c);
// - events come in order: ASSIGNED for what one has not, REVOKED or LOST for what one has, one
//   revocation at a time, nothing after reeve_partition_leave();
// - whoever has a partition reads no offset older than what was committed in it, and a commit is
//   refused only who has it no more;
// - when nothing is wrong any more each partition has its owner, and each member its even share.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reeve/partition.h"
#include "sim/guest_look.h"
#include "sim/world.h"

#define ROOT    GUESTS_PATH "/consumers"
#define IDS     ROOT "/g/ids"
#define BROKERS GUESTS_PATH "/brokers"
#define SECOND  BROKERS "/topics/u"

enum { FIRST_N = 4, SECOND_N = 6, PLACES = FIRST_N + SECOND_N, SLOTS = 2, ANSWER_MS = 1500 };
_Static_assert((int)THING_PARTITION + (int)PLACES == (int)THINGS, "a thing for each");

static const char *const topic_names[] = {"t", "u"};

struct shared { // by all guests
    int32_t streams;
    bool round_robin, twice; // two members on one client
    size_t members;
    int64_t committed[PLACES]; // the highest that was acknowledged
};

struct member_of { // kept to the end
    struct partitions *part;
    struct member_of *next;
    struct reeve_partitions *m; // NULL: it has left
    char id[24];
    struct place {
        bool owned, revoked, fetched, busy;
        int64_t czxid, offset;
    } places[PLACES];
    uint64_t answer;
    int64_t answer_ns; // 0: there is nothing to be answered
    size_t asked;      // about offsets
    int64_t wrong_ns;  // since when the division is not as it should be
};

struct partitions {
    struct guest *g;
    struct shared *shared;
    struct rng rng;
    struct member_of *slots[SLOTS], *all;
    unsigned joined;
};

struct offset_of {
    struct member_of *m;
    uint32_t place;
    int64_t czxid; // of the ownership it was asked in
    int64_t least, offset;
};

static struct world *world_of(const struct member_of *m)
{
    return guest_world(m->part->g);
}

static void wrong(const struct member_of *m, const char *what, uint32_t place)
{
    bool first = place < FIRST_N;
    guest_fail(m->part->g, "member %s: %s (partition %s/%u)", m->id, what, topic_names[!first],
               first ? place : place - FIRST_N);
}

// ---- owning ----------------------------------------------------------------------------------

static uint32_t place_of(const char *topic, int32_t partition)
{
    bool first = strcmp(topic, topic_names[0]) == 0;
    must(partition >= 0 && partition < (first ? FIRST_N : SECOND_N));
    return first ? (uint32_t)partition : (uint32_t)(FIRST_N + partition);
}

static void node_path(const char *kind, uint32_t place, char path[64])
{
    bool first = place < FIRST_N;
    snprintf(path, 64, "%s/g/%s/%s/%u", ROOT, kind, topic_names[!first],
             first ? place : place - FIRST_N);
}

static void check_is_ours(const struct member_of *m, uint32_t place, int64_t czxid)
{
    char path[64];
    node_path("owners", place, path);
    const struct model_version *v = guest_look_told(world_of(m), path, czxid, czxid);
    if (!v || v->session != guest_session(m->part->g)) {
        wrong(m, "it is told to own what is not its own", place);
    }
}

static void gain(struct member_of *m, const struct reeve_partition *p)
{
    uint32_t i = place_of(p->topic, p->partition);
    if (m->places[i].owned) {
        wrong(m, "it is given what it has", i);
    } else if (p->stream < 0 || p->stream >= m->part->shared->streams) {
        wrong(m, "there is no such stream", i);
    }
    check_is_ours(m, i, p->czxid);
    m->places[i] = (struct place){.owned = true, .czxid = p->czxid, .busy = m->places[i].busy};
    check_guest_gain(world_of(m), guest_index(m->part->g), THING_PARTITION + i, p->czxid);
}

static void lose(struct member_of *m, uint32_t i)
{
    m->places[i].owned = m->places[i].revoked = false;
    check_guest_lose(world_of(m), guest_index(m->part->g), THING_PARTITION + i);
}

static void on_assigned(struct member_of *m, const struct reeve_partition_event *ev)
{
    for (size_t i = 0; i < ev->n; i++) {
        gain(m, &ev->list[i]);
    }
}

static void on_revoked(struct member_of *m, const struct reeve_partition_event *ev)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (m->places[i].revoked) {
            wrong(m, "a revocation comes before the last one is answered", i);
        }
    }
    for (size_t i = 0; i < ev->n; i++) {
        struct place *p = &m->places[place_of(ev->list[i].topic, ev->list[i].partition)];
        if (!p->owned) {
            wrong(m, "it is to give back what it has not", (uint32_t)(p - m->places));
        }
        p->revoked = true;
    }
    m->answer = ev->answer;
    m->answer_ns = world_of(m)->now_ns + 1 + (int64_t)rng_below(&m->part->rng, ANSWER_MS) * SIM_MS;
}

static void on_lost(struct member_of *m, const struct reeve_partition_event *ev)
{
    for (size_t i = 0; i < ev->n; i++) {
        uint32_t place = place_of(ev->list[i].topic, ev->list[i].partition);
        if (!m->places[place].owned) {
            wrong(m, "it loses what it has not", place);
        }
        lose(m, place);
    }
}

static void on_event(void *ctx, const struct reeve_partition_event *ev)
{
    static const char *const names[] = {"is given", "is to give back", "loses", "fails with"};
    struct member_of *m = ctx;
    report_line(&world_of(m)->report, "guest %u: member %s %s %zu: %s", guest_index(m->part->g),
                m->id, names[ev->what], ev->n, reeve_error_name(ev->error));
    if (!m->m) {
        wrong(m, "it has left, and is told something", 0);
        return;
    }
    switch (ev->what) {
    case REEVE_PARTITIONS_ASSIGNED:
        on_assigned(m, ev);
        break;
    case REEVE_PARTITIONS_REVOKED:
        on_revoked(m, ev);
        break;
    case REEVE_PARTITIONS_LOST:
        on_lost(m, ev);
        break;
    case REEVE_PARTITIONS_FAILED:
        break; // it goes on by itself, which is seen in the end
    }
}

static void give_back(struct member_of *m)
{
    m->answer_ns = 0;
    for (uint32_t i = 0; i < PLACES; i++) {
        if (m->places[i].revoked) {
            lose(m, i);
        }
    }
    must(!reeve_partition_released(m->m, m->answer));
}

// ---- offsets ---------------------------------------------------------------------------------

// Its answer concerns the same ownership as its question.
static bool still_owned(const struct offset_of *o)
{
    const struct place *p = &o->m->places[o->place];
    return o->m->m && p->owned && p->czxid == o->czxid;
}

static void end(struct offset_of *o)
{
    o->m->places[o->place].busy = false;
    o->m->asked--;
    mem_free(o);
}

static void on_fetched(void *ctx, enum reeve_error e, int64_t offset)
{
    struct offset_of *o = ctx;
    struct place *p = &o->m->places[o->place];
    if (still_owned(o) && e == REEVE_OK) {
        if (offset < o->least) {
            wrong(o->m, "what was committed is not there", o->place);
        }
        p->fetched = true;
        p->offset = offset;
    } else if (still_owned(o) && !guest_may_go_unanswered(o->m->part->g, e)) {
        wrong(o->m, reeve_error_name(e), o->place);
    }
    end(o);
}

static void on_committed(void *ctx, enum reeve_error e, int64_t offset)
{
    struct offset_of *o = ctx;
    int64_t *committed = &o->m->part->shared->committed[o->place];
    if (e == REEVE_OK) {
        *committed = offset > *committed ? offset : *committed;
        o->m->part->g->c->w->fig.calls++;
    } else if (still_owned(o) && !o->m->places[o->place].revoked && e != REEVE_SESSION_EXPIRED &&
               !guest_may_be_refused(world_of(o->m), e) &&
               !(e == REEVE_NO_NODE && check_guest_cut_off(world_of(o->m)))) {
        wrong(o->m, reeve_error_name(e), o->place);
    }
    end(o);
}

static void ask_offset(struct member_of *m, uint32_t i)
{
    struct place *p = &m->places[i];
    struct offset_of *o = mem_zalloc(sizeof(*o));
    bool first = i < FIRST_N;
    const char *topic = topic_names[!first];
    int32_t partition = (int32_t)(first ? i : i - FIRST_N);
    *o = (struct offset_of){.m = m, .place = i, .czxid = p->czxid};
    o->least = m->part->shared->committed[i];
    p->busy = true;
    m->asked++;
    if (p->fetched) {
        must(!reeve_partition_commit_async(m->m, topic, partition, ++p->offset, on_committed, o));
    } else {
        must(!reeve_partition_fetch_async(m->m, topic, partition, on_fetched, o));
    }
}

// ---- what it does ----------------------------------------------------------------------------

static bool chance(struct partitions *k, uint64_t num, uint64_t den)
{
    return rng_chance(&k->rng, num, den);
}

static struct member_of *join(struct partitions *k, size_t slot)
{
    struct member_of *m = mem_zalloc(sizeof(*m));
    const struct shared *s = k->shared;
    struct reeve_topic topics[] = {{topic_names[0], s->streams, FIRST_N},
                                   {topic_names[1], s->streams, 0}};
    struct reeve_partition_options o = {
        .root = ROOT, .brokers = BROKERS, .id = m->id, .round_robin = s->round_robin};
    unsigned life = chance(k, 1, 2) ? ++k->joined : 0; // the same id again, or another
    snprintf(m->id, sizeof(m->id), "m%u-%zu-%u", guest_index(k->g), slot, life);
    m->part = k;
    m->next = k->all;
    k->all = m;
    k->shared->members++;
    must(!reeve_partition_join(&m->m, k->g->zk, "g", topics, 2, on_event, m, &o));
    return m;
}

static void part_with(struct partitions *k, size_t slot)
{
    struct member_of *m = k->slots[slot];
    for (uint32_t i = 0; m && i < PLACES; i++) {
        if (m->places[i].owned) {
            lose(m, i);
        }
    }
    if (m) {
        k->shared->members--;
        reeve_partition_leave(&m->m);
        k->slots[slot] = NULL;
    }
}

// The second topic is made, or gets another number of partitions.
static void change_topic(struct partitions *k)
{
    static const char *const above[] = {GUESTS_PATH, BROKERS, BROKERS "/topics"};
    struct reeve_request q = {.op = REEVE_OP_CREATE};
    for (size_t i = 0; i < 3; i++) {
        q.path = above[i];
        if (!guest_look_now(guest_world(k->g), q.path)) {
            (void)reeve_submit(k->g->zk, &q, NULL, NULL);
        }
    }
    struct buf json = {0};
    buf_fmt(&json, "{\"version\":1,\"partitions\":{");
    uint64_t n = rng_below(&k->rng, SECOND_N + 1);
    for (uint64_t i = 0; i < n; i++) {
        buf_fmt(&json, "%s\"%" PRIu64 "\":[1]", i ? "," : "", i);
    }
    buf_fmt(&json, "}}");
    q.path = SECOND;
    q.op = guest_look_now(guest_world(k->g), SECOND) ? REEVE_OP_SET : REEVE_OP_CREATE;
    q.version = q.op == REEVE_OP_SET ? REEVE_ANY_VERSION : 0;
    q.data = json.p;
    q.data_len = json.n;
    (void)reeve_submit(k->g->zk, &q, NULL, NULL);
    buf_fini(&json);
}

static void *board_new(struct world *w, uint64_t seed)
{
    struct shared *s = mem_zalloc(sizeof(*s));
    struct rng r = {seed};
    (void)w;
    s->streams = 1 + (int32_t)rng_below(&r, 2);
    s->round_robin = rng_chance(&r, 1, 3);
    s->twice = rng_chance(&r, 1, 2);
    memset(s->committed, -1, sizeof(s->committed));
    return s;
}

// Who owns a partition reads on where the last one has ended, so no commit is behind another.
static void board_end(void *board, struct world *w)
{
    (void)board;
    for (uint32_t i = 0; i < PLACES; i++) {
        char path[64];
        int64_t last = -1;
        node_path("offsets", i, path);
        const struct model_node *n = guest_look(w, path);
        for (size_t k = 0; n && k < n->n; k++) {
            char text[24];
            snprintf(text, sizeof(text), "%.*s", SLICE_ARG(n->v[k].data));
            int64_t offset = strtoll(text, NULL, 10);
            if (offset < last) {
                report_fail(&w->report, "%s goes back from %" PRId64 " to %" PRId64, path, last,
                            offset);
            }
            last = offset;
        }
    }
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct partitions *k = mem_zalloc(sizeof(*k));
    k->g = g;
    k->shared = board;
    k->rng.state = seed;
    return k;
}

static void tick_member(struct member_of *m)
{
    if (m->answer_ns && world_of(m)->now_ns >= m->answer_ns) {
        give_back(m);
    }
    uint32_t i = (uint32_t)rng_below(&m->part->rng, PLACES);
    const struct place *p = &m->places[i];
    if (p->owned && !p->revoked && !p->busy && chance(m->part, 1, 4)) {
        ask_offset(m, i);
    }
}

static void tick(void *part)
{
    struct partitions *k = part;
    struct world *w = guest_world(k->g);
    for (size_t i = 0; i < (k->shared->twice ? SLOTS : 1); i++) {
        if (!k->slots[i] && !guest_is_quiet(w) && chance(k, 1, i ? 100 : 30)) {
            k->slots[i] = join(k, i);
        } else if (k->slots[i] && w->phase == PHASE_STORM && chance(k, 1, 600)) {
            part_with(k, i);
        }
        if (k->slots[i]) {
            tick_member(k->slots[i]);
        }
    }
    if (!guest_is_quiet(w) && chance(k, 1, 200)) {
        change_topic(k);
    }
}

static void leave(void *part)
{
    struct partitions *k = part;
    for (size_t i = 0; i < SLOTS; i++) {
        part_with(k, i);
    }
}

// ---- in the end ------------------------------------------------------------------------------

static uint32_t second_n(const struct world *w)
{
    const struct model_version *v = guest_look_now(w, SECOND);
    uint32_t n = 0;
    for (size_t i = 0; v && i < v->data.n; i++) {
        n += v->data.p[i] == '[';
    }
    return n;
}

// Shares are those of streams: each has n / shares partitions of a topic (with round robin: of
// all), or one more.
static bool has_its_share(const struct member_of *m, uint32_t from, uint32_t n)
{
    const struct shared *s = m->part->shared;
    size_t shares = s->members * (size_t)s->streams, has = 0;
    for (uint32_t i = from; i < from + n; i++) {
        has += m->places[i].owned;
    }
    size_t least = n / shares * (size_t)s->streams;
    return has >= least && has <= least + (n % shares ? (size_t)s->streams : 0);
}

// What is wrong with the division, or NULL.
static const char *find_wrong(const struct member_of *m)
{
    const struct world *w = world_of(m);
    uint32_t second = second_n(w);
    for (uint32_t i = 0; i < PLACES; i++) {
        unsigned owners = (unsigned)__builtin_popcount(w->things[THING_PARTITION + i].believers);
        if (owners != (i < FIRST_N + second)) {
            return owners ? "a partition has an owner too many" : "a partition has no owner";
        }
    }
    bool even = m->part->shared->round_robin
                    ? has_its_share(m, 0, FIRST_N + second)
                    : has_its_share(m, 0, FIRST_N) && has_its_share(m, FIRST_N, second);
    return even ? NULL : "it has more or less than its share";
}

static void check_calm(void *part)
{
    struct partitions *k = part;
    for (size_t i = 0; i < SLOTS; i++) {
        struct member_of *m = k->slots[i];
        const char *what = m ? find_wrong(m) : NULL;
        if (m && guest_is_too_long(k->g, what != NULL, &m->wrong_ns)) {
            guest_fail(k->g, "nothing is wrong any more, but with member %s of %zu: %s", m->id,
                       k->shared->members, what);
        }
    }
}

static void finish(void *part)
{
    struct partitions *k = part;
    while (k->all) {
        struct member_of *m = k->all;
        k->all = m->next;
        if (m->asked) {
            wrong(m, "a callback about an offset never came", 0);
        }
        mem_free(m);
    }
    mem_free(k);
}

const struct guest_part guest_partition = {.name = "partition",
                                           .board_new = board_new,
                                           .board_end = board_end,
                                           .board_free = mem_free,
                                           .start = start,
                                           .tick = tick,
                                           .leave = leave,
                                           .check_calm = check_calm,
                                           .free = finish};
