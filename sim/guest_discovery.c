// SPDX-License-Identifier: Apache-2.0
//
// Instances of one service: guests register, update and unregister them, some that outlive their
// session, and follow the service with a provider. What must hold:
// - who is found was registered so; what is told of an instance never goes back as long as the
//   session lives;
// - each call is answered once, with what the header allows; registrations are told as lost and as
//   there again in turns; nothing comes after an object was freed;
// - when nothing is wrong any more what is registered is there, once, as it was registered last,
// and
//   nothing else; and the provider has exactly that.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reeve/discovery.h"
#include "sim/guest_look.h"
#include "sim/world.h"

#define BASE    GUESTS_PATH "/services"
#define SERVICE BASE "/shop"

enum { SLOTS = 3, SEEN_MAX = 64 };

// One name that this guest registers instances under: a DYNAMIC one, or (the last) a STATIC one.
struct slot {
    struct registrar *of;
    char id[16];
    bool busy;   // a call is under way
    bool wanted; // registered, or asked for and not refused
    bool known;  // told as registered; `lost` since
    bool lost;
    bool unknown; // what became of the last call is not sure
    enum { SLOT_PUT, SLOT_UPDATE, SLOT_TAKE_OFF } call;
    uint64_t number; // of the last data
    int64_t wrong_ns;
};

struct registrar { // a reeve_discovery; kept to the end
    struct services *part;
    struct registrar *next;
    struct reeve_discovery *d; // NULL: freed
    struct slot slots[SLOTS];
    size_t finding;
};

struct follower { // a provider; kept to the end
    struct services *part;
    struct follower *next;
    struct reeve_provider *p;
    struct seen_one {
        char id[16];
        int64_t number;
    } seen[SEEN_MAX];
    size_t seen_n;
    uint64_t life;
    int64_t wrong_ns;
};

struct services {
    struct guest *g;
    struct rng rng;
    struct registrar *registrar, *registrars;
    struct follower *follower, *followers;
    uint64_t number, life;
    unsigned registered; // registrars
};

static bool chance(struct services *k, uint64_t num, uint64_t den)
{
    return rng_chance(&k->rng, num, den);
}

static struct world *world_of(const struct services *k)
{
    return guest_world(k->g);
}

static void wrong(const struct slot *s, const char *what, const char *which)
{
    guest_fail(s->of->part->g, "instance %s: %s (%s)", s->id, what, which);
}

// ---- what is found ---------------------------------------------------------------------------

static int64_t number_of(const struct reeve_instance *i)
{
    const char *text = reeve_instance_get(i, "n");
    return text ? strtoll(text, NULL, 10) : -1;
}

// The number is in each instance's data, and no other one has it.
static bool has_number(const struct model_version *v, int64_t number)
{
    char text[40];
    int n = snprintf(text, sizeof(text), "\"n\":\"%" PRId64 "\"", number);
    for (size_t at = 0; at + (size_t)n <= v->data.n; at++) {
        if (memcmp(v->data.p + at, text, (size_t)n) == 0) {
            return true;
        }
    }
    return false;
}

static bool had_number(const struct world *w, const char *id, int64_t number)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", SERVICE, id);
    const struct model_node *n = guest_look(w, path);
    for (size_t k = 0; n && k < n->n; k++) {
        if (n->v[k].exists && has_number(&n->v[k], number)) {
            return true;
        }
    }
    return false;
}

static bool was_there(const struct world *w, const struct reeve_instance *i)
{
    return had_number(w, i->id, number_of(i));
}

static void check_all(struct follower *f, const struct reeve_instances *all)
{
    struct seen_one seen[SEEN_MAX] = {0};
    must(all->n <= SEEN_MAX);
    for (size_t i = 0; i < all->n; i++) {
        const struct reeve_instance *one = all->list[i];
        if (!was_there(world_of(f->part), one)) {
            guest_fail(f->part->g, "a provider has %s number %" PRId64 ", which never was", one->id,
                       number_of(one));
        }
        snprintf(seen[i].id, sizeof(seen[i].id), "%s", one->id);
        seen[i].number = number_of(one);
        for (size_t k = 0; k < f->seen_n; k++) {
            if (f->life == f->part->life && strcmp(f->seen[k].id, one->id) == 0 &&
                f->seen[k].number > seen[i].number) {
                guest_fail(f->part->g, "a provider's %s goes back in time", one->id);
            }
        }
    }
    memcpy(f->seen, seen, sizeof(seen));
    f->seen_n = all->n;
    f->life = f->part->life;
}

static void on_provider(void *ctx, struct reeve_provider *p)
{
    struct follower *f = ctx;
    struct reeve_instances all;
    const struct reeve_instance *i;
    if (!f->p) {
        guest_fail(f->part->g, "a provider that was freed tells something");
        return;
    }
    must(!reeve_provider_all(p, &all));
    report_line(&world_of(f->part)->report, "guest %u: provider has %zu%s", guest_index(f->part->g),
                all.n, reeve_provider_stale(p, NULL) ? ", stale" : "");
    check_all(f, &all);
    if ((reeve_provider_get(p, &i) == REEVE_OK) != (all.n > 0)) {
        guest_fail(f->part->g, "a provider of %zu gives out none, or one that it has not", all.n);
    }
    if (i) {
        reeve_instance_release(&i);
    }
    reeve_instances_fini(&all);
}

static void on_found(void *ctx, enum reeve_error e, const struct reeve_instances *all)
{
    struct registrar *r = ctx;
    const struct services *k = r->part;
    if (r->finding-- == 0) {
        guest_fail(k->g, "a find is answered twice");
    }
    if (e && r->d && !guest_may_go_unanswered(k->g, e)) {
        guest_fail(k->g, "a find ends so: %s", reeve_error_name(e));
    }
    for (size_t i = 0; !e && i < all->n; i++) {
        if (!was_there(world_of(k), all->list[i])) {
            guest_fail(k->g, "%s is found, and was never so", all->list[i]->id);
        }
    }
}

// ---- calls -----------------------------------------------------------------------------------

static void on_changed(void *ctx, const struct reeve_instance *i, enum reeve_registration what,
                       enum reeve_error e)
{
    static const char *const names[] = {"there again", "lost", "failed"};
    struct registrar *r = ctx;
    struct slot *s = r->slots;
    while (s < r->slots + SLOTS && strcmp(s->id, i->id) != 0) {
        s++;
    }
    must(s < r->slots + SLOTS);
    report_line(&world_of(r->part)->report, "guest %u: instance %s is %s: %s",
                guest_index(r->part->g), s->id, names[what], reeve_error_name(e));
    if (!r->d || !s->known) {
        wrong(s, "news of what is not registered", names[what]);
    } else if (what == REEVE_REGISTRATION_LOST && (s->lost || s == &r->slots[SLOTS - 1])) {
        wrong(s, "it is lost twice, or cannot be", names[what]);
    } else if (what == REEVE_REGISTRATION_FAILED && !guest_may_be_refused(world_of(r->part), e)) {
        wrong(s, "it fails", reeve_error_name(e));
    }
    s->lost = what == REEVE_REGISTRATION_LOST || (s->lost && what != REEVE_REGISTERED);
}

static const char *const call_names[] = {"register", "update", "unregister"};

static void on_done(void *ctx, enum reeve_error e)
{
    struct slot *s = ctx;
    const struct registrar *r = s->of;
    report_line(&world_of(r->part)->report, "guest %u: instance %s: %s: %s",
                guest_index(r->part->g), s->id, call_names[s->call], reeve_error_name(e));
    if (!s->busy) {
        wrong(s, "a call is answered twice", call_names[s->call]);
        return;
    }
    s->busy = false;
    if (!e && s->wanted && !had_number(world_of(r->part), s->id, (int64_t)s->number)) {
        wrong(s, "it is said to be there, and never was", call_names[s->call]);
    } else if (!e) {
        s->known = s->wanted;
        s->lost = s->lost && s->known;
        s->unknown = false;
    } else if (r->d && !guest_may_be_refused(world_of(r->part), e)) {
        wrong(s, call_names[s->call], reeve_error_name(e));
    } else if (s->call == SLOT_PUT) {
        s->wanted = false; // nothing is kept
    } else {
        s->unknown = true;
    }
}

static void put(struct slot *s)
{
    struct services *k = s->of->part;
    char number[24];
    snprintf(number, sizeof(number), "%" PRIu64, ++k->number * CLIENTS_MAX + guest_index(k->g));
    s->number = strtoull(number, NULL, 10);
    struct reeve_pair pair = {"n", number};
    struct reeve_instance i = {.name = "shop",
                               .id = s->id,
                               .address = "10.0.0.1",
                               .port = 80,
                               .metadata = &pair,
                               .metadata_n = 1,
                               .type = s == &s->of->slots[SLOTS - 1] ? REEVE_SERVICE_STATIC
                                                                     : REEVE_SERVICE_DYNAMIC};
    s->call = s->wanted ? SLOT_UPDATE : SLOT_PUT;
    s->wanted = true;
    s->busy = true;
    if (s->call == SLOT_UPDATE) {
        must(!reeve_discovery_update_async(s->of->d, &i, on_done, s));
    } else {
        must(!reeve_discovery_register_async(s->of->d, &i, NULL, on_done, s));
    }
}

static void take_off(struct slot *s)
{
    s->call = SLOT_TAKE_OFF;
    s->wanted = s->known = false;
    s->busy = true;
    must(!reeve_discovery_unregister_async(s->of->d, "shop", s->id, on_done, s));
}

// ---- its life --------------------------------------------------------------------------------

static struct registrar *registrar_new(struct services *k)
{
    struct registrar *r = mem_zalloc(sizeof(*r));
    report_line(&world_of(k)->report, "guest %u: a new registrar", guest_index(k->g));
    struct reeve_discovery_options o = {.changed = on_changed, .ctx = r};
    r->part = k;
    r->next = k->registrars;
    k->registrars = r;
    for (unsigned i = 0; i < SLOTS; i++) {
        r->slots[i].of = r;
        // Of what outlives sessions nobody can tell which of two objects has made it.
        unsigned life = i == SLOTS - 1 ? ++k->registered : 0;
        snprintf(r->slots[i].id, sizeof(r->slots[i].id), "g%u-%u.%u", guest_index(k->g), i, life);
    }
    must(!reeve_discovery_new(&r->d, k->g->zk, BASE, &o));
    return r;
}

static struct follower *follower_new(struct services *k)
{
    struct follower *f = mem_zalloc(sizeof(*f));
    struct reeve_provider_options o = {.balance = (enum reeve_balance)rng_below(&k->rng, 3),
                                       .sticky = chance(k, 1, 2),
                                       .changed = on_provider,
                                       .ctx = f};
    f->part = k;
    f->next = k->followers;
    k->followers = f;
    must(!reeve_provider_new(&f->p, k->g->zk, BASE, "shop", &o));
    return f;
}

static void on_session(void *ctx, const struct reeve_session *s)
{
    struct services *k = ctx;
    k->life += s->state == REEVE_STATE_LOST;
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct services *k = mem_zalloc(sizeof(*k));
    (void)board;
    k->g = g;
    k->rng.state = seed;
    must(!reeve_listen(g->zk, on_session, k));
    k->registrar = registrar_new(k);
    k->follower = follower_new(k);
    return k;
}

static void tick_slot(struct services *k, struct slot *s)
{
    if (s->busy) {
        return;
    }
    if (!s->unknown && chance(k, 1, s->wanted ? 60 : 40)) {
        put(s);
    } else if ((s->wanted || s->unknown) && chance(k, 1, 150)) {
        take_off(s);
    }
}

static void tick(void *part)
{
    struct services *k = part;
    struct world *w = world_of(k);
    if (guest_is_quiet(w)) {
        return;
    }
    if (w->phase == PHASE_STORM && chance(k, 1, 600)) {
        reeve_discovery_free(&k->registrar->d);
        k->registrar = registrar_new(k);
    }
    if (w->phase == PHASE_STORM && chance(k, 1, 500)) {
        reeve_provider_free(&k->follower->p);
        k->follower = follower_new(k);
    }
    for (size_t i = 0; i < SLOTS; i++) {
        tick_slot(k, &k->registrar->slots[i]);
    }
    if (chance(k, 1, 200)) {
        k->registrar->finding++;
        must(!reeve_discovery_find_async(k->registrar->d, "shop", on_found, k->registrar));
    }
}

static void leave(void *part)
{
    struct services *k = part;
    reeve_discovery_free(&k->registrar->d);
    reeve_provider_free(&k->follower->p);
}

// ---- in the end ------------------------------------------------------------------------------

static const char *find_wrong_slot(const struct slot *s)
{
    const struct services *k = s->of->part;
    char path[64];
    snprintf(path, sizeof(path), "%s/%s", SERVICE, s->id);
    const struct model_version *v = guest_look_now(world_of(k), path);
    bool is_static = s == &s->of->slots[SLOTS - 1];
    if (s->busy) {
        return "a call is not answered";
    } else if (s->unknown) {
        return NULL;
    } else if ((v != NULL) != s->wanted) {
        return v ? "it is there, and is not registered" : "it is registered, and not there";
    } else if (v && !has_number(v, (int64_t)s->number)) {
        return "it is not as it was registered last";
    } else if (v && v->session != (is_static ? 0 : guest_session(k->g))) {
        return "it belongs to another session";
    }
    return s->wanted && (s->lost || !s->known) ? "it is there, and that was not told" : NULL;
}

static const char *find_wrong_view(const struct follower *f)
{
    size_t at = 0, n = 0;
    struct slice name;
    const struct model_version *v;
    if (reeve_provider_stale(f->p, NULL)) {
        return "it is stale";
    }
    while (guest_look_child(world_of(f->part), SERVICE, &at, &name, &v)) {
        bool found = false;
        for (size_t i = 0; i < f->seen_n; i++) {
            found |= slice_eq_str(name, f->seen[i].id) && has_number(v, f->seen[i].number);
        }
        if (!found) {
            return "an instance is missing, or an old one";
        }
        n++;
    }
    return n == f->seen_n ? NULL : "it has who is not registered";
}

static void check_calm(void *part)
{
    struct services *k = part;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &k->registrar->slots[i];
        const char *what = find_wrong_slot(s);
        if (guest_is_too_long(k->g, what != NULL, &s->wrong_ns)) {
            wrong(s, "nothing is wrong any more, but", what);
        }
    }
    const char *what = find_wrong_view(k->follower);
    if (guest_is_too_long(k->g, what != NULL, &k->follower->wrong_ns)) {
        guest_fail(k->g, "nothing is wrong any more, but with the provider: %s", what);
    }
}

static void finish(void *part)
{
    struct services *k = part;
    while (k->registrars) {
        struct registrar *r = k->registrars;
        k->registrars = r->next;
        for (size_t i = 0; i < SLOTS; i++) {
            if (r->slots[i].busy) {
                wrong(&r->slots[i], "never answered", call_names[r->slots[i].call]);
            }
        }
        if (r->finding) {
            guest_fail(k->g, "a find is never answered");
        }
        mem_free(r);
    }
    while (k->followers) {
        struct follower *f = k->followers;
        k->followers = f->next;
        mem_free(f);
    }
    mem_free(k);
}

const struct guest_part guest_discovery = {.name = "discovery",
                                           .start = start,
                                           .tick = tick,
                                           .leave = leave,
                                           .check_calm = check_calm,
                                           .free = finish};
