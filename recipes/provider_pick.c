// SPDX-License-Identifier: Apache-2.0
#include "recipes/provider_pick.h"

#include <stdlib.h>
#include <string.h>

#include "recipes/instance.h"
#include "recipes/kit.h"

void pick_fini(struct pick *p)
{
    reeve_instance_release(&p->stuck);
    for (size_t i = 0; i < p->downs_n; i++) {
        reeve_instance_release(&p->downs[i].instance);
    }
    kit_free(p->zk, p->downs);
    kit_free(p->zk, p->weights);
    reeve_instances_fini(&p->set);
}

// ---- failing instances --------------------------------------------------------------------------

static void forget(struct pick *p, size_t at)
{
    reeve_instance_release(&p->downs[at].instance);
    memmove(&p->downs[at], &p->downs[at + 1], (p->downs_n - at - 1) * sizeof(*p->downs));
    p->downs_n--;
}

static const struct down *find_down(const struct pick *p, const struct reeve_instance *i,
                                    int64_t now_ms)
{
    for (size_t k = 0; k < p->downs_n; k++) {
        const struct down *d = &p->downs[k];
        if (now_ms - d->first_ms < p->down_ms && instance_same(d->instance, i)) {
            return d;
        }
    }
    return NULL;
}

bool pick_is_up(const struct pick *p, const struct reeve_instance *i, int64_t now_ms)
{
    const struct down *d = p->downs_n > 0 ? find_down(p, i, now_ms) : NULL;
    return !i->disabled && (!d || d->errors < p->down_errors);
}

void pick_note_error(struct pick *p, const struct reeve_instance *i, int64_t now_ms)
{
    for (size_t k = p->downs_n; k > 0; k--) {
        if (now_ms - p->downs[k - 1].first_ms >= p->down_ms) {
            forget(p, k - 1);
        }
    }
    if (!p->downs) {
        p->downs = kit_alloc(p->zk, DOWN_MAX * sizeof(*p->downs));
    }
    if (!p->downs) {
        return; // an instance too many is tried
    }
    const struct down *old = find_down(p, i, now_ms);
    if (!old && p->downs_n == DOWN_MAX) {
        forget(p, 0);
    }
    struct down *d = old ? &p->downs[old - p->downs] : &p->downs[p->downs_n++];
    if (!old) {
        *d = (struct down){.instance = reeve_instance_keep(i), .first_ms = now_ms};
    }
    d->errors += d->errors < UINT32_MAX;
    d->last_ms = now_ms;
}

// ---- the set ------------------------------------------------------------------------------------

static uint32_t weight_of(const struct pick *p, const struct reeve_instance *i)
{
    const char *s = reeve_instance_get(i, p->weight_key);
    char *end = NULL;
    double w = s && *s ? strtod(s, &end) : 1;
    if (end && *end) {
        return 1;
    }
    return w >= 1 ? (w < WEIGHT_MAX ? (uint32_t)w : WEIGHT_MAX) : w > 0 || w != w ? 1 : 0;
}

enum reeve_error pick_set(struct pick *p, struct reeve_instances *set)
{
    uint32_t *weights = kit_alloc(p->zk, (set->n ? set->n : 1) * sizeof(*weights));
    if (!weights) {
        return REEVE_NO_MEMORY;
    }
    for (size_t i = 0; i < set->n; i++) {
        weights[i] = weight_of(p, set->list[i]);
    }
    reeve_instances_fini(&p->set);
    kit_free(p->zk, p->weights);
    p->set = *set;
    p->weights = weights;
    *set = (struct reeve_instances){.zk = p->zk};
    return REEVE_OK;
}

// ---- picking ------------------------------------------------------------------------------------

// splitmix64: small, and good enough to spread calls.
static uint64_t draw(struct pick *p)
{
    uint64_t z = (p->rng += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

// Evenly from 0 to n - 1: the high half of the product, whose bias is below n / 2^64.
static uint64_t draw_below(struct pick *p, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)draw(p) * n) >> 64);
}

// Which one of the `up` instances that can be picked is next, counted among those; or by weight,
// counted along the weights of those.
static uint64_t next_number(struct pick *p, uint64_t up, uint64_t weight)
{
    if (p->balance == REEVE_ROUND_ROBIN) {
        return p->turn++ % up;
    }
    return draw_below(p, p->balance == REEVE_WEIGHTED && weight > 0 ? weight : up);
}

// When all are failing.
static const struct reeve_instance *least_failing(const struct pick *p, int64_t now_ms)
{
    const struct reeve_instance *best = NULL;
    int64_t best_ms = INT64_MAX;
    for (size_t i = 0; i < p->set.n; i++) {
        const struct down *d = find_down(p, p->set.list[i], now_ms);
        if (!p->set.list[i]->disabled && d && d->last_ms < best_ms) {
            best = p->set.list[i];
            best_ms = d->last_ms;
        }
    }
    return best;
}

static const struct reeve_instance *choose(struct pick *p, int64_t now_ms)
{
    uint64_t up = 0;
    uint64_t weight = 0;
    for (size_t i = 0; i < p->set.n; i++) {
        if (pick_is_up(p, p->set.list[i], now_ms)) {
            up++;
            weight += p->weights[i];
        }
    }
    if (up == 0) {
        return p->least_failing ? least_failing(p, now_ms) : NULL;
    }
    bool weighted = p->balance == REEVE_WEIGHTED && weight > 0;
    uint64_t number = next_number(p, up, weight);
    for (size_t i = 0; i < p->set.n; i++) {
        uint64_t share = weighted ? p->weights[i] : 1;
        if (!pick_is_up(p, p->set.list[i], now_ms)) {
            continue;
        }
        if (number < share) {
            return p->set.list[i];
        }
        number -= share;
    }
    return NULL;
}

static bool is_there(const struct pick *p, const struct reeve_instance *i)
{
    for (size_t k = 0; k < p->set.n; k++) {
        if (instance_same(p->set.list[k], i)) {
            return true;
        }
    }
    return false;
}

const struct reeve_instance *pick_next(struct pick *p, int64_t now_ms)
{
    if (!p->sticky) {
        return reeve_instance_keep(choose(p, now_ms));
    }
    if (p->stuck && !(is_there(p, p->stuck) && pick_is_up(p, p->stuck, now_ms))) {
        reeve_instance_release(&p->stuck);
    }
    if (!p->stuck) {
        p->stuck = reeve_instance_keep(choose(p, now_ms));
    }
    return reeve_instance_keep(p->stuck);
}
