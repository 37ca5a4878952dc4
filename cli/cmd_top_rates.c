// SPDX-License-Identifier: Apache-2.0
#include "cli/cmd_top_rates.h"

#include <stdlib.h>
#include <string.h>

#include "cli/mem.h"

static int by_place(const void *a, const void *b)
{
    const struct top_conn *x = a, *y = b;
    if (x->server != y->server) {
        return x->server < y->server ? -1 : 1;
    }
    return strcmp(x->now.peer, y->now.peer);
}

static void take_conns(struct top_look *l, size_t *cap, const char *text, size_t server)
{
    struct facts_conn conn;
    while (facts_next_conn(&text, &conn)) {
        if (conn.session == 0) {
            continue; // a four letter word, perhaps this very one
        }
        if (l->conns_n == *cap) {
            *cap = *cap ? 2 * *cap : 64;
            l->conns = cli_grow(l->conns, *cap * sizeof(*l->conns));
        }
        l->conns[l->conns_n++] = (struct top_conn){.now = conn, .server = server};
    }
}

void top_look_take(struct top_look *l, const struct ensemble *e, int64_t now_ms)
{
    *l = (struct top_look){.at_ms = now_ms};
    size_t cap = 0;
    for (size_t i = 0; i < e->n; i++) {
        l->facts[i] = e->v[i].facts;
        l->answered[i] = e->v[i].answered && e->v[i].facts.serving;
        if (l->answered[i] && e->v[i].cons) {
            take_conns(l, &cap, e->v[i].cons, i);
        }
    }
    if (l->conns_n) {
        qsort(l->conns, l->conns_n, sizeof(*l->conns), by_place);
    }
}

void top_look_fini(struct top_look *l)
{
    free(l->conns);
    *l = (struct top_look){0};
}

static double seconds(const struct top_look *before, const struct top_look *now)
{
    double s = (double)(now->at_ms - before->at_ms) / 1000;
    return s > 0.001 ? s : 0.001;
}

struct top_rates top_server_rates(const struct top_look *before, const struct top_look *now,
                                  size_t server)
{
    const struct facts *a = &before->facts[server], *b = &now->facts[server];
    struct top_rates r = {.latency_ms = -1};
    r.known = before->answered[server] && now->answered[server] && a->received >= 0 &&
              b->received >= a->received && b->sent >= a->sent;
    if (!r.known) {
        return r;
    }
    double s = seconds(before, now);
    r.received_s = (double)(b->received - a->received) / s;
    r.sent_s = (double)(b->sent - a->sent) / s;
    // Within an epoch zxids are counted without gaps.
    bool same_epoch = a->zxid >= 0 && a->zxid >> 32 == b->zxid >> 32 && b->zxid >= a->zxid;
    r.txns_s = same_epoch ? (double)(b->zxid - a->zxid) / s : 0;
    if (a->reads >= 0 && b->reads >= a->reads && b->updates >= a->updates) {
        double n = (double)(b->reads - a->reads + b->updates - a->updates);
        double ms = b->reads_ms - a->reads_ms + b->updates_ms - a->updates_ms;
        r.latency_ms = n > 0 && ms >= 0 ? ms / n : 0;
    }
    return r;
}

void top_conn_rates(const struct top_look *before, struct top_look *now)
{
    double s = seconds(before, now);
    for (size_t i = 0; i < now->conns_n; i++) {
        struct top_conn *c = &now->conns[i];
        const struct top_conn *old = NULL;
        if (before->conns_n) {
            old = bsearch(c, before->conns, before->conns_n, sizeof(*c), by_place);
        }
        bool same = old && old->now.session == c->now.session &&
                    old->now.received <= c->now.received && old->now.sent <= c->now.sent;
        c->received_s = (double)(c->now.received - (same ? old->now.received : 0)) / s;
        c->sent_s = (double)(c->now.sent - (same ? old->now.sent : 0)) / s;
    }
}

static bool is_busier(const struct top_conn *a, const struct top_conn *b)
{
    double x = a->received_s + a->sent_s, y = b->received_s + b->sent_s;
    return x > y || (x >= y && a->now.received > b->now.received);
}

size_t top_busiest(const struct top_look *now, const struct top_conn **v, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i < now->conns_n; i++) {
        const struct top_conn *c = &now->conns[i];
        size_t at = found;
        while (at > 0 && is_busier(c, v[at - 1])) {
            at--;
        }
        if (at >= n) {
            continue;
        }
        found += found < n;
        memmove(&v[at + 1], &v[at], (found - at - 1) * sizeof(*v));
        v[at] = c;
    }
    return found;
}
