// SPDX-License-Identifier: Apache-2.0
#include "sim/guest_look.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/check_tree.h"
#include "sim/world.h"

enum {
    BUSY_S = 8, // of the calm
    PATIENCE_S = 4
};

static int compare(struct slice a, struct slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static size_t place(const struct model *m, struct slice path)
{
    size_t lo = 0, hi = m->nodes_n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (compare(m->nodes[mid]->path, path) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

const struct model_node *guest_look(const struct world *w, const char *path)
{
    const struct model *m = w->check->model;
    struct slice p = slice_str(path);
    size_t i = place(m, p);
    return i < m->nodes_n && slice_eq(m->nodes[i]->path, p) ? m->nodes[i] : NULL;
}

static const struct model_version *newest(const struct model_node *n)
{
    return n && n->n && n->v[n->n - 1].exists ? &n->v[n->n - 1] : NULL;
}

const struct model_version *guest_look_now(const struct world *w, const char *path)
{
    return newest(guest_look(w, path));
}

const struct model_version *guest_look_told(const struct world *w, const char *path, int64_t czxid,
                                            int64_t mzxid)
{
    const struct model_node *n = guest_look(w, path);
    for (size_t i = 0; n && i < n->n; i++) {
        if (n->v[i].exists && n->v[i].czxid == czxid && n->v[i].mzxid == mzxid) {
            return &n->v[i];
        }
    }
    return NULL;
}

const struct model_node *guest_look_below(const struct world *w, const char *path, size_t *at)
{
    const struct model *m = w->check->model;
    struct slice p = slice_str(path);
    *at = *at ? *at : place(m, p);
    while (*at < m->nodes_n && slice_has_prefix(m->nodes[*at]->path, p)) {
        const struct model_node *n = m->nodes[(*at)++];
        if (n->path.n > p.n && n->path.p[p.n] == '/') {
            return n;
        }
    }
    return NULL;
}

bool guest_look_child(const struct world *w, const char *path, size_t *at, struct slice *name,
                      const struct model_version **v)
{
    struct slice p = slice_str(path);
    const struct model_node *n;
    while ((n = guest_look_below(w, path, at))) {
        *v = newest(n);
        *name = slice_skip(n->path, p.n + 1);
        if (*v && slice_eq(model_parent(n->path), p)) {
            return true;
        }
    }
    return false;
}

bool guest_data_is(const struct model_version *v, const void *data, size_t n)
{
    return v->data.n == n && (n == 0 || memcmp(v->data.p, data, n) == 0);
}

// ---- the guests ------------------------------------------------------------------------------

// In every other world nothing new hides what the faults have left behind.
bool guest_is_quiet(const struct world *w)
{
    int64_t busy_ns = w->opt.seed % 2 ? 0 : BUSY_S * SIM_S;
    return w->phase > PHASE_CALM ||
           (w->phase == PHASE_CALM && w->now_ns - w->faults.healed_ns >= busy_ns);
}

uint32_t guest_index(const struct guest *g)
{
    return g->c->index;
}

int64_t guest_session(const struct guest *g)
{
    struct reeve_session s = {0};
    if (g->zk) {
        reeve_get_session(g->zk, &s);
    }
    return s.id;
}

bool guest_may_go_unanswered(const struct guest *g, enum reeve_error e)
{
    struct reeve_session s = {0};
    if (g->zk) {
        reeve_get_session(g->zk, &s);
    }
    return !g->zk || e == REEVE_SESSION_EXPIRED ||
           (e == REEVE_CONNECTION_LOSS && s.state != REEVE_STATE_CONNECTED);
}

bool guest_may_be_refused(const struct world *w, enum reeve_error e)
{
    return e == REEVE_SYSTEM_ERROR || (e == REEVE_BAD_ARGUMENTS && w->conf.observer_masters);
}

bool guest_is_too_long(const struct guest *g, bool bad, int64_t *since_ns)
{
    int64_t now_ns = g->c->w->now_ns;
    *since_ns = !bad ? 0 : *since_ns ? *since_ns : now_ns;
    return bad && now_ns - *since_ns > PATIENCE_S * SIM_S;
}

void guest_fail(const struct guest *g, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    report_fail(&g->c->w->report, "guest %u: %s", g->c->index, text);
}
