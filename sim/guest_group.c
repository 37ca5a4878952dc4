// SPDX-License-Identifier: Apache-2.0
//
// Two groups, one in each layout, that guests join and leave, each member with data that changes.
// Names in Curator's layout are fewer than guests, so some wait for another's. What must hold:
// - who is in a list was there, with this data, owner and token; the data of a member never goes
//   back as long as the session lives;
// - each call is answered once, with what the header allows; nothing comes after
//   reeve_group_free();
// - when nothing is wrong any more each member is there, once, with its last data, whatever it went
//   through; who has left is not; and the list told last is the group.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reeve/group.h"
#include "sim/guest_look.h"
#include "sim/world.h"

static const char *const paths[] = {GUESTS_PATH "/members", GUESTS_PATH "/party"};

enum { GROUPS = 2, NAMES = 3, LIST_MAX = 64, CALLS = 4 };
enum group_call { CALL_JOIN, CALL_LEAVE, CALL_SET, CALL_LIST };

struct seen {
    char name[64], data[24];
    int64_t token;
};

struct group_of { // kept to the end
    struct groups *part;
    struct group_of *next;
    struct reeve_group *group; // NULL: freed
    enum reeve_layout layout;
    const char *path;
    char id[8];          // "": looks on
    bool member, joined; // asked for, told
    bool refused;        // its last data
    size_t calls[CALLS]; // under way
    struct seen seen[LIST_MAX];
    size_t seen_n;
    bool told;
    uint64_t life; // in which it was
    int64_t wrong_ns;
};

struct groups {
    struct guest *g;
    struct rng rng;
    struct group_of *groups[GROUPS], *all;
    uint64_t numbers[GROUPS]; // of data
    uint64_t life;            // of sessions
};

static struct world *world_of(const struct group_of *h)
{
    return guest_world(h->part->g);
}

static bool chance(struct groups *k, uint64_t num, uint64_t den)
{
    return rng_chance(&k->rng, num, den);
}

static void wrong(const struct group_of *h, const char *what, const char *which)
{
    guest_fail(h->part->g, "group %s, member \"%s\": %s (%s)", h->path, h->id, what, which);
}

// "<guest>.<layout>.<number>"
static void data_text(const struct group_of *h, char text[24])
{
    snprintf(text, 24, "%u.%d.%" PRIu64, guest_index(h->part->g), (int)h->layout,
             h->part->numbers[h->layout]);
}

static bool is_own_data(const struct group_of *h, struct slice data)
{
    char text[24];
    int n = snprintf(text, sizeof(text), "%u.%d.", guest_index(h->part->g), (int)h->layout);
    return slice_has_prefix(data, slice_of(text, (size_t)n));
}

// ---- lists -----------------------------------------------------------------------------------

static void check_was_there(const struct group_of *h, const struct reeve_contender *c)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", h->path, c->name);
    const struct model_node *n = guest_look(world_of(h), path);
    for (size_t i = 0; n && i < n->n; i++) {
        const struct model_version *v = &n->v[i];
        if (v->exists && v->czxid == c->token && v->session == c->session &&
            guest_data_is(v, c->data, c->data_len)) {
            return;
        }
    }
    wrong(h, "it is told of who never was so", c->name);
}

static uint64_t number_in(const char *data)
{
    const char *dot = strrchr(data, '.');
    return dot ? strtoull(dot + 1, NULL, 10) : 0;
}

static void check_not_back(const struct group_of *h, const struct seen *now)
{
    for (size_t i = 0; i < h->seen_n; i++) {
        const struct seen *old = &h->seen[i];
        if (h->life == h->part->life && old->token == now->token &&
            number_in(old->data) > number_in(now->data)) {
            wrong(h, "its data goes back", now->name);
        }
    }
}

static void on_members(void *ctx, enum reeve_error e, const struct reeve_contenders *list)
{
    struct group_of *h = ctx;
    struct seen seen[LIST_MAX] = {0};
    if (!h->group || e) {
        wrong(h, h->group ? reeve_error_name(e) : "freed", "the list");
        return;
    }
    report_line(&world_of(h)->report, "guest %u: group %s has %zu", guest_index(h->part->g),
                h->path, list->n);
    must(list->n <= LIST_MAX);
    for (size_t i = 0; i < list->n; i++) {
        const struct reeve_contender *c = &list->list[i];
        check_was_there(h, c);
        snprintf(seen[i].name, sizeof(seen[i].name), "%s", c->name);
        snprintf(seen[i].data, sizeof(seen[i].data), "%s", (const char *)c->data);
        seen[i].token = c->token;
        check_not_back(h, &seen[i]);
    }
    memcpy(h->seen, seen, sizeof(seen));
    h->seen_n = list->n;
    h->told = true;
    h->life = h->part->life;
}

static bool took_end(struct group_of *h, enum group_call call);

static void on_asked(void *ctx, enum reeve_error e, const struct reeve_contenders *list)
{
    struct group_of *h = ctx;
    if (!took_end(h, CALL_LIST)) {
        return;
    }
    for (size_t i = 0; !e && i < list->n; i++) {
        check_was_there(h, &list->list[i]);
    }
    if (e && h->group && !guest_may_go_unanswered(h->part->g, e)) {
        wrong(h, reeve_error_name(e), "members");
    }
}

// ---- calls -----------------------------------------------------------------------------------

static bool took_end(struct group_of *h, enum group_call call)
{
    static const char *const names[] = {"join", "leave", "set_data", "members"};
    if (h->calls[call] == 0) {
        wrong(h, "a call is answered twice", names[call]);
        return false;
    }
    h->calls[call]--;
    return true;
}

static bool may_fail(const struct group_of *h, enum reeve_error e)
{
    return !h->group || guest_may_be_refused(world_of(h), e);
}

static void on_failed(void *ctx, enum reeve_error e)
{
    struct group_of *h = ctx;
    if (!h->member || !may_fail(h, e)) {
        wrong(h, "it is no member any more", reeve_error_name(e));
    }
    h->member = h->joined = false;
}

static void on_joined(void *ctx, enum reeve_error e)
{
    struct group_of *h = ctx;
    report_line(&world_of(h)->report, "guest %u: joining %s as \"%s\": %s", guest_index(h->part->g),
                h->path, h->id, reeve_error_name(e));
    if (!took_end(h, CALL_JOIN)) {
        return;
    }
    if (e == REEVE_OK && h->member) {
        h->joined = true;
    } else if (e == REEVE_OPERATION_TIMEOUT && h->member) {
        h->member = false;
    } else if (e != REEVE_CANCELLED && !may_fail(h, e)) {
        wrong(h, "joining ends so", reeve_error_name(e));
    }
}

static void on_left(void *ctx, enum reeve_error e)
{
    struct group_of *h = ctx;
    if (took_end(h, CALL_LEAVE) && e && e != REEVE_NO_NODE && !may_fail(h, e)) {
        wrong(h, "leaving ends so", reeve_error_name(e));
    }
}

static void on_set(void *ctx, enum reeve_error e)
{
    struct group_of *h = ctx;
    h->refused = h->refused || e;
    if (took_end(h, CALL_SET) && e && !may_fail(h, e)) {
        wrong(h, "setting data ends so", reeve_error_name(e));
    }
}

static void join(struct group_of *h)
{
    static const int64_t timeouts_ms[] = {-1, -1, 200, 3000};
    int64_t timeout_ms = timeouts_ms[rng_below(&h->part->rng, 4)];
    h->member = true;
    h->refused = false; // the node is made with the data it has now
    h->calls[CALL_JOIN]++;
    must(!reeve_group_join_async(h->group, timeout_ms, on_joined, h));
}

static void leave_group(struct group_of *h)
{
    h->member = h->joined = false;
    h->calls[CALL_LEAVE]++;
    must(!reeve_group_leave_async(h->group, on_left, h));
}

static void set_data(struct group_of *h)
{
    char text[24];
    h->part->numbers[h->layout]++;
    data_text(h, text);
    h->refused = false;
    h->calls[CALL_SET]++;
    must(!reeve_group_set_data_async(h->group, text, strlen(text), on_set, h));
}

// ---- its life --------------------------------------------------------------------------------

static struct group_of *group_new(struct groups *k, enum reeve_layout layout)
{
    struct group_of *h = mem_zalloc(sizeof(*h));
    char text[24];
    h->part = k;
    h->layout = layout;
    h->path = paths[layout];
    h->next = k->all;
    k->all = h;
    k->numbers[layout]++;
    data_text(h, text);
    if (layout == REEVE_LAYOUT_KAZOO || chance(k, 5, 6)) {
        snprintf(h->id, sizeof(h->id), "m%u", guest_index(k->g) % NAMES);
    }
    struct reeve_group_options o = {.layout = layout,
                                    .id = h->id[0] ? h->id : NULL,
                                    .data = text,
                                    .data_len = strlen(text),
                                    .on_members = on_members,
                                    .failed = on_failed,
                                    .ctx = h};
    must(!reeve_group_new(&h->group, k->g->zk, h->path, &o));
    return h;
}

static void group_free(struct group_of *h)
{
    h->member = h->joined = false;
    reeve_group_free(&h->group);
}

static void on_session(void *ctx, const struct reeve_session *s)
{
    struct groups *k = ctx;
    k->life += s->state == REEVE_STATE_LOST;
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct groups *k = mem_zalloc(sizeof(*k));
    (void)board;
    k->g = g;
    k->rng.state = seed;
    must(!reeve_listen(g->zk, on_session, k));
    for (size_t i = 0; i < GROUPS; i++) {
        k->groups[i] = group_new(k, (enum reeve_layout)i);
    }
    return k;
}

static void tick_group(struct groups *k, struct group_of *h)
{
    if (h->id[0] && !h->member && h->calls[CALL_JOIN] == 0 && chance(k, 1, 30)) {
        join(h);
    } else if (h->member && chance(k, 1, 250)) {
        leave_group(h);
    } else if (chance(k, 1, 60)) {
        for (uint64_t n = 1 + rng_below(&k->rng, 3); n > 0; n--) {
            set_data(h);
        }
    } else if (chance(k, 1, 200)) {
        h->calls[CALL_LIST]++;
        must(!reeve_group_members_async(h->group, on_asked, h));
    }
}

static void tick(void *part)
{
    struct groups *k = part;
    struct world *w = guest_world(k->g);
    for (size_t i = 0; i < GROUPS && !guest_is_quiet(w); i++) {
        if (w->phase == PHASE_STORM && chance(k, 1, 600)) {
            group_free(k->groups[i]);
            k->groups[i] = group_new(k, (enum reeve_layout)i);
        }
        tick_group(k, k->groups[i]);
    }
}

static void leave(void *part)
{
    struct groups *k = part;
    for (size_t i = 0; i < GROUPS; i++) {
        group_free(k->groups[i]);
    }
}

// ---- in the end ------------------------------------------------------------------------------

static const char *find_wrong_list(const struct group_of *h)
{
    size_t at = 0, n = 0;
    struct slice name;
    const struct model_version *v;
    while (guest_look_child(world_of(h), h->path, &at, &name, &v)) {
        bool found = false;
        for (size_t i = 0; i < h->seen_n; i++) {
            const struct seen *s = &h->seen[i];
            found |= slice_eq_str(name, s->name) && s->token == v->czxid &&
                     guest_data_is(v, s->data, strlen(s->data));
        }
        if (!found) {
            return "a member is not in the list, or with other data";
        }
        n++;
    }
    return !h->told || n != h->seen_n ? "the list has who is no member" : NULL;
}

static const char *find_wrong_self(const struct group_of *h)
{
    char data[24];
    size_t at = 0, mine = 0;
    struct slice name;
    const struct model_version *v;
    bool taken = false; // somebody else has the name
    data_text(h, data);
    while (guest_look_child(world_of(h), h->path, &at, &name, &v)) {
        bool own = is_own_data(h, v->data);
        taken |= !own && h->layout == REEVE_LAYOUT_CURATOR && slice_eq_str(name, h->id);
        mine += own;
        if (own && v->session != guest_session(h->part->g)) {
            return "a node of a lost session of its is there";
        } else if (own && !h->refused && !guest_data_is(v, data, strlen(data))) {
            return "it is there with other data than it set last";
        }
    }
    if (mine > (h->member ? 1 : 0)) {
        return h->member ? "it is there twice" : "it has left and is still there";
    }
    if (h->calls[CALL_LEAVE] || (mine && h->calls[CALL_SET])) {
        return "a call is not answered";
    }
    return h->member && !mine && !taken ? "it is a member and not there" : NULL;
}

static void check_calm(void *part)
{
    struct groups *k = part;
    for (size_t i = 0; i < GROUPS; i++) {
        struct group_of *h = k->groups[i];
        const char *what = find_wrong_self(h);
        what = what ? what : find_wrong_list(h);
        if (guest_is_too_long(k->g, what != NULL, &h->wrong_ns)) {
            wrong(h, "nothing is wrong any more, but", what);
        }
    }
}

static void finish(void *part)
{
    struct groups *k = part;
    while (k->all) {
        struct group_of *h = k->all;
        k->all = h->next;
        for (size_t i = 0; i < CALLS; i++) {
            if (h->calls[i]) {
                wrong(h, "a call is never answered", "in the end");
            }
        }
        mem_free(h);
    }
    mem_free(k);
}

const struct guest_part guest_group = {.name = "group",
                                       .start = start,
                                       .tick = tick,
                                       .leave = leave,
                                       .check_calm = check_calm,
                                       .free = finish};
