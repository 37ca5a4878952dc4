// SPDX-License-Identifier: Apache-2.0
//
// A counter that all guests add to. No two writes add the same, so the committed history of the
// node tells which were executed: each that was answered OK once and from the number it said, each
// that was said not to have happened never, each of unknown outcome at most once, and nobody
// else's.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reeve/counter.h"
#include "sim/check_tree.h"
#include "sim/guest_work.h"
#include "sim/world.h"

enum { WRITES_MAX = 4096, DEPTH = 3, PATIENCE_S = 10 };

static const char path[] = GUESTS_PATH "/counter";

// The i-th adds i.
struct write {
    enum { WRITE_UNKNOWN, WRITE_DONE, WRITE_NEVER } state;
    uint32_t executed; // times
    int64_t before;    // DONE
};

struct counters {
    struct write writes[WRITES_MAX];
    int64_t n;
};

struct counter {
    struct guest *g;
    struct counters *all;
    struct rng rng;
    struct reeve_counter *zk;
    struct counter_call *calls;
    size_t flying;
    int64_t seen; // in this session
};

struct counter_call {
    struct counter_call *next;
    struct counter *k;
    int64_t adds, seen, since_ns; // adds 0: it reads
    bool swap;
};

// ---- what the history says ----------------------------------------------------------------------

static void *board_new(struct world *w, uint64_t seed)
{
    (void)w;
    (void)seed;
    return mem_zalloc(sizeof(struct counters));
}

static void board_free(void *board)
{
    mem_free(board);
}

static int64_t decode(enum reeve_counter_layout layout, struct slice data)
{
    char text[24] = "";
    int64_t n = 0;
    if (layout == REEVE_COUNTER_TEXT) {
        memcpy(text, data.p, data.n < sizeof(text) ? data.n : sizeof(text) - 1);
        return strtoll(text, NULL, 10);
    }
    for (size_t i = 0; i < data.n; i++) {
        n = n << 8 | data.p[i];
    }
    return n;
}

static enum reeve_counter_layout layout_of(const struct world *w)
{
    return (enum reeve_counter_layout)(w->opt.seed % 3);
}

static void execute(struct counters *all, struct world *w, int64_t before, int64_t after)
{
    int64_t i = after - before;
    struct write *write = i > 0 && i <= all->n ? &all->writes[i - 1] : NULL;
    if (!write) {
        report_fail(&w->report, "the counter goes from %" PRId64 " to %" PRId64 ": nobody's add",
                    before, after);
    } else if (write->executed++) {
        report_fail(&w->report, "add %" PRId64 " is executed twice", i);
    } else if (write->state == WRITE_NEVER) {
        report_fail(&w->report, "add %" PRId64 " is executed, and said not to be", i);
    } else if (write->state == WRITE_DONE && write->before != before) {
        report_fail(&w->report, "add %" PRId64 " is said to begin at %" PRId64 ", not %" PRId64, i,
                    write->before, before);
    }
}

static void board_end(void *board, struct world *w)
{
    struct counters *all = board;
    const struct model_node *node = model_history(w->check->model, slice_str(path));
    int64_t before = 0;
    for (size_t i = 0; node && i < node->n; i++) {
        int64_t after = node->v[i].exists ? decode(layout_of(w), node->v[i].data) : 0;
        if (after != before) {
            execute(all, w, before, after);
        }
        before = after;
    }
    for (int64_t i = 0; i < all->n; i++) {
        if (all->writes[i].state == WRITE_DONE && !all->writes[i].executed) {
            report_fail(&w->report, "add %" PRId64 " was answered OK, and is lost", i + 1);
        }
    }
}

// ---- calls --------------------------------------------------------------------------------------

static void forget_call(struct counter_call *c)
{
    struct counter_call **at = &c->k->calls;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    c->k->flying--;
    mem_free(c);
}

static void on_written(void *ctx, const struct reeve_counter_result *r)
{
    struct counter_call *c = ctx;
    struct counter *k = c->k;
    struct world *w = guest_world(k->g);
    struct write *write = &k->all->writes[c->adds - 1];
    bool refused = c->swap && r->error == REEVE_BAD_VERSION;
    report_line(&w->report, "guest %u: add %" PRId64 ": %s, %" PRId64 " to %" PRId64 "%s",
                k->g->c->index, c->adds, reeve_error_name(r->error), r->before, r->after,
                r->maybe_done ? " perhaps" : "");
    if (!r->error && r->after - r->before != c->adds) {
        report_fail(&w->report, "guest %u adds %" PRId64 " to %" PRId64 " and is told %" PRId64,
                    k->g->c->index, c->adds, r->before, r->after);
    } else if (r->error && !refused && !guest_may_fail(w, r->error)) {
        report_fail(&w->report, "guest %u: add %" PRId64 " fails: %s", k->g->c->index, c->adds,
                    reeve_error_name(r->error));
    }
    if (!r->error) {
        *write = (struct write){.state = WRITE_DONE, .before = r->before};
        k->seen = r->after > k->seen ? r->after : k->seen;
    } else if (!r->maybe_done) {
        write->state = WRITE_NEVER;
    }
    forget_call(c);
}

static void on_read(void *ctx, const struct reeve_counter_result *r)
{
    struct counter_call *c = ctx;
    struct counter *k = c->k;
    struct world *w = guest_world(k->g);
    if (r->error && !guest_may_fail(w, r->error)) {
        report_fail(&w->report, "guest %u: a get fails: %s", k->g->c->index,
                    reeve_error_name(r->error));
    } else if (!r->error && r->after < c->seen) {
        report_fail(&w->report, "guest %u gets %" PRId64 " and was told %" PRId64 " before",
                    k->g->c->index, r->after, c->seen);
    }
    forget_call(c);
}

static struct counter_call *new_call(struct counter *k)
{
    struct counter_call *c = mem_zalloc(sizeof(*c));
    *c = (struct counter_call){
        .next = k->calls, .k = k, .seen = k->seen, .since_ns = guest_world(k->g)->now_ns};
    k->calls = c;
    k->flying++;
    return c;
}

static void ask(struct counter *k)
{
    struct counter_call *c = new_call(k);
    enum reeve_error e;
    if (rng_chance(&k->rng, 1, 5) || k->all->n == WRITES_MAX) {
        e = reeve_counter_get_async(k->zk, on_read, c);
    } else {
        c->adds = ++k->all->n;
        c->swap = rng_chance(&k->rng, 1, 6);
        e = c->swap ? reeve_counter_swap_async(k->zk, k->seen, k->seen + c->adds, on_written, c)
                    : reeve_counter_add_async(k->zk, c->adds, on_written, c);
    }
    if (e) {
        if (c->adds) {
            k->all->writes[c->adds - 1].state = WRITE_NEVER;
        }
        forget_call(c);
    }
}

// A new session may be with a server that is behind.
static void on_session(void *ctx, const struct reeve_session *session)
{
    struct counter *k = ctx;
    if (session->state == REEVE_STATE_LOST) {
        k->seen = 0;
    }
}

// ---- as a part ----------------------------------------------------------------------------------

static void open_counter(struct counter *k)
{
    struct reeve_counter_options o = {.layout = layout_of(guest_world(k->g))};
    must(!reeve_counter_new(&k->zk, k->g->zk, path, &o));
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct counter *k = mem_zalloc(sizeof(*k));
    *k = (struct counter){.g = g, .all = board, .rng = {seed}};
    must(!reeve_listen(g->zk, on_session, k));
    open_counter(k);
    return k;
}

static void tick(void *part)
{
    struct counter *k = part;
    if (k->flying < DEPTH && rng_chance(&k->rng, 1, 12)) {
        ask(k);
    } else if (rng_chance(&k->rng, 1, 400)) {
        reeve_counter_free(&k->zk); // whatever state it is in
        open_counter(k);
    }
}

static void leave(void *part)
{
    struct counter *k = part;
    reeve_counter_free(&k->zk);
}

static void check_calm(void *part)
{
    struct counter *k = part;
    struct world *w = guest_world(k->g);
    for (const struct counter_call *c = k->calls; c; c = c->next) {
        if (w->now_ns - c->since_ns > PATIENCE_S * SIM_S) {
            report_fail(&w->report, "guest %u has waited %" PRId64 " ms for the counter",
                        k->g->c->index, (w->now_ns - c->since_ns) / SIM_MS);
        }
    }
}

static void finish(void *part)
{
    struct counter *k = part;
    if (k->calls) {
        report_fail(&guest_world(k->g)->report, "guest %u: a call of the counter is never answered",
                    k->g->c->index);
    }
    while (k->calls) {
        forget_call(k->calls);
    }
    mem_free(k);
}

const struct guest_part guest_counter = {.name = "counter",
                                         .board_new = board_new,
                                         .board_end = board_end,
                                         .board_free = board_free,
                                         .start = start,
                                         .tick = tick,
                                         .leave = leave,
                                         .check_calm = check_calm,
                                         .free = finish};
