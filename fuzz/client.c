// SPDX-License-Identifier: Apache-2.0
//
// A server says anything to the client's engine, in pieces, with requests, lost connections and
// time between. Its invariants hold after every step, every request is answered once, memory that
// was given is given back, and nothing is a hot loop.
//
// The input is a row of commands: a byte, and what it wants behind it. Connections are accepted at
// once; frames of a command get their length and, where it says so, the xid that is expected, so
// that the fuzzer gets past the first check.
#include <stdlib.h>

#include "base/endian.h"
#include "base/must.h"
#include "client/call.h"
#include "client/engine_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FRAME_MAX = 300, CALLS_MAX = 200 };

struct world {
    struct engine *e;
    struct mono now;
    bool open[ENGINE_LINKS_MAX];
    int64_t blocks, calls;
    int32_t xid; // the oldest without an answer, as far as one can tell from outside
    uint64_t allocs, fail_at;
    bool over;
    const uint8_t *p;
    size_t n;
};

static void *alloc(void *ctx, void *p, size_t n)
{
    struct world *w = ctx;
    if (n == 0) {
        w->blocks -= p != NULL;
        free(p);
        return NULL;
    }
    if (n > (1 << 20) || ++w->allocs == w->fail_at) {
        return NULL;
    }
    w->blocks += p == NULL;
    return realloc(p, n);
}

static uint8_t byte(struct world *w)
{
    if (w->n == 0) {
        return 0;
    }
    w->n--;
    return *w->p++;
}

static void on_watch(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

static void look_at(const struct reeve_result *r)
{
    must(r->why);
    must(r->path);
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < r->data_len; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)r->data)[i]);
    }
    for (size_t i = 0; i < r->children_n; i++) {
        sum = (uint8_t)(sum + strlen(r->children[i]));
    }
    for (size_t i = 0; i < r->acl_n; i++) {
        sum = (uint8_t)(sum + strlen(r->acl[i].scheme) + strlen(r->acl[i].id));
    }
    for (size_t i = 0; i < r->parts_n; i++) {
        look_at(&r->parts[i]);
    }
}

static void take(struct world *w, struct engine_happening *h)
{
    switch (h->type) {
    case ENGINE_DIAL:
        must(!w->open[h->link]);
        w->open[h->link] = true;
        engine_on_dialed(w->e, h->link);
        break;
    case ENGINE_CUT:
        must(w->open[h->link]);
        w->open[h->link] = false;
        break;
    case ENGINE_DONE:
        look_at(&h->result);
        w->calls--;
        w->xid++;
        call_free(&h->call);
        break;
    case ENGINE_WATCH:
        must(strlen(h->event.path) < FRAME_MAX);
        break;
    case ENGINE_OVER:
        w->over = true;
        break;
    case ENGINE_STATE:
    case ENGINE_NOTHING:
        break;
    }
}

static void run(struct world *w)
{
    struct engine_happening h;
    bool any;
    do {
        while (engine_next(w->e, &h)) {
            take(w, &h);
            engine_check(w->e);
        }
        any = false;
        for (uint32_t i = 0; i < ENGINE_LINKS_MAX; i++) {
            struct slice s = w->open[i] ? engine_output(w->e, i) : SLICE_NULL;
            if (s.n) {
                engine_sent(w->e, i, s.n);
                any = true;
            }
        }
    } while (any || engine_deadline(w->e).ns <= w->now.ns);
}

static void hear(struct world *w, uint32_t link, const uint8_t *p, size_t n)
{
    while (n && w->open[link]) {
        size_t room;
        uint8_t *to = engine_recv_space(w->e, link, &room);
        must(room > 0);
        size_t k = room < n ? room : n;
        memcpy(to, p, k);
        engine_received(w->e, link, k);
        p += k;
        n -= k;
        run(w);
    }
}

static void submit(struct world *w)
{
    static const char *const paths[] = {"/", "/a", "/a/b"};
    struct reeve_request parts[] = {{.op = REEVE_OP_GET, .path = "/a"},
                                    {.op = REEVE_OP_CHILDREN, .path = "/b"}};
    uint8_t b = byte(w);
    struct reeve_request q = {.op = (enum reeve_op)(b % REEVE_OP_COUNT),
                              .path = paths[b / 32 % 3],
                              .version = -1,
                              .scheme = "digest",
                              .data = "x",
                              .data_len = 1,
                              .kind = REEVE_WATCH_RECURSIVE,
                              .watch = {b & 128 ? on_watch : NULL, w},
                              .parts = parts,
                              .parts_n = 2,
                              .timeout_ms = b == 77 ? 500 : 0};
    struct reeve_allocator a = {alloc, w};
    struct call *c;
    if (w->calls < CALLS_MAX && call_new(&a, w->e->chroot, 1000, &q, &c) == REEVE_OK) {
        c->submitted = w->now;
        w->calls++;
        engine_submit(w->e, c);
    }
}

// A frame with a good length: kind says which xid, then its bytes.
static void frame(struct world *w, uint32_t link, uint8_t kind)
{
    uint8_t f[4 + 16 + FRAME_MAX + 48] = {0};
    static const int32_t xids[] = {-1, -2, -4, -8};
    size_t n = byte(w);
    n = n < w->n ? n : w->n;
    be32_put(f, (uint32_t)(16 + n));
    be32_put(f + 4, (uint32_t)(kind < 4 ? xids[kind] : w->xid));
    f[15] = kind;
    if (kind == 5) {
        be32_put(f + 16, (uint32_t)-101);
    }
    memcpy(f + 20, w->p, n);
    w->p += n;
    w->n -= n;
    hear(w, link, f, 20 + n);
}

static void hello(struct world *w, uint32_t link)
{
    uint8_t f[41] = {[3] = 37, [10] = 10, [19] = 7, [23] = 16};
    f[40] = byte(w) & 1;
    f[19] = byte(w) & 3;
    w->xid = 1;
    hear(w, link, f, sizeof(f));
}

static void pass(struct world *w)
{
    static const int64_t ms[] = {1, 50, 300, 1000, 2600, 7000};
    w->now = mono_add_ms(w->now, ms[byte(w) % 6]);
    engine_set_now(w->e, w->now);
}

static void command(struct world *w)
{
    uint8_t b = byte(w);
    uint32_t link = b >> 6;
    uint8_t n;
    switch (b % 16) {
    case 0:
    case 1:
        submit(w);
        break;
    case 2:
        hello(w, link);
        break;
    case 3:
        pass(w);
        break;
    case 4:
        if (w->open[link]) {
            w->open[link] = false;
            engine_on_gone(w->e, link, "gone");
        }
        break;
    case 5:
        n = byte(w);
        n = n < w->n ? n : (uint8_t)w->n;
        w->p += n;
        w->n -= n;
        hear(w, link, w->p - n, n);
        break;
    case 6:
        engine_unwatch(w->e, "/a", on_watch, w);
        break;
    case 7:
        (void)engine_set_servers(w->e, byte(w) & 1 ? "x,y" : "a");
        break;
    case 8:
        w->xid = byte(w);
        break;
    case 9:
        w->fail_at = w->allocs + byte(w);
        break;
    default:
        frame(w, link, b % 16 - 10);
    }
    run(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.now = {1}, .p = data, .n = size};
    uint8_t b = byte(&w);
    struct reeve_options o = {.servers = b & 1 ? "a" : "a,b,c/a",
                              .session_timeout_ms = 4000,
                              .answer_max = b & 2 ? 200 : 0,
                              .read_only = b & 4,
                              .one_session = b & 8,
                              .seed = 1,
                              .allocator = {alloc, &w}};
    must(engine_new(&w.e, &o) == REEVE_OK);
    engine_set_now(w.e, w.now);
    run(&w);
    while (w.n) {
        command(&w);
    }
    engine_close(w.e, b & 16);
    run(&w); // its time begins when it is looked at
    w.now = mono_add_ms(w.now, 2000);
    engine_set_now(w.e, w.now);
    run(&w);
    must(w.over);
    must(w.calls == 0);
    engine_free(&w.e);
    must(w.blocks == 0);
    return 0;
}
