// SPDX-License-Identifier: Apache-2.0
//
// The client's engine on random walks: any requests, any behaviour of servers and network, any
// jumps of time, memory that fails now and then. Its invariants hold after every step, every
// request is answered once, a session is never believed in longer than its servers would keep it,
// and answers of one session come in the order of the requests.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/endian.h"
#include "base/must.h"
#include "base/rng.h"
#include "test/support/engine_rig.h"
#include "wire/ops.h"

struct walk {
    struct erig *r;
    struct rng rng;
    // What the servers know: the session and when it was last touched, which is when the bytes of
    // an answered request came, so never before they were sent.
    int64_t session;
    struct mono touched;
    bool read_only; // some servers have no quorum
};

static uint64_t draw(struct walk *w, uint64_t n)
{
    return rng_below(&w->rng, n);
}

static void submit(struct walk *w)
{
    static const enum reeve_op ops[] = {
        REEVE_OP_GET,      REEVE_OP_SET,       REEVE_OP_EXISTS,
        REEVE_OP_CHILDREN, REEVE_OP_ADD_WATCH, REEVE_OP_REMOVE_WATCHES,
        REEVE_OP_ADD_AUTH, REEVE_OP_SYNC,      REEVE_OP_DELETE};
    static const char *const paths[] = {"/a", "/b", "/a/b"};
    static char data[70000];
    struct reeve_request q = {.op = ops[draw(w, sizeof(ops) / sizeof(ops[0]))],
                              .path = paths[draw(w, 3)],
                              .version = -1,
                              .scheme = "digest",
                              .data = data,
                              .data_len = 1,
                              .kind = draw(w, 2) ? REEVE_WATCH_PERSISTENT : REEVE_WATCH_RECURSIVE};
    if (q.op == REEVE_OP_SET && draw(w, 10) == 0) {
        q.data_len = sizeof(data);
    }
    q.timeout_ms = draw(w, 8) ? 0 : (int32_t)draw(w, 5000) + 1;
    if (draw(w, 2) || q.op == REEVE_OP_ADD_WATCH) {
        q.watch = (struct reeve_watch){erig_watch_fn, draw(w, 2) ? w : NULL};
    }
    if (q.op == REEVE_OP_ADD_AUTH || q.op == REEVE_OP_SET || q.op == REEVE_OP_REMOVE_WATCHES ||
        q.op == REEVE_OP_SYNC || q.op == REEVE_OP_DELETE) {
        q.watch.fn = NULL;
    }
    q.path = q.op == REEVE_OP_ADD_AUTH ? NULL : q.path;
    (void)erig_submit(w->r, &q);
}

static void answer_hello(struct walk *w, uint32_t link, const uint8_t *body)
{
    int64_t id = (int64_t)be64_get(body + 8);
    uint8_t f[41] = {0};
    be32_put(f, 37);
    bool gone = id && (id != w->session || mono_diff_ms(w->r->now, w->touched) >= 6000);
    if (!gone && draw(w, 20)) {
        w->session = id ? id : (int64_t)draw(w, 1000) + 1;
        w->touched = w->r->now;
        be32_put(f + 8, 6000);
        be64_put(f + 12, (uint64_t)w->session);
        f[40] = w->read_only && !id && draw(w, 2);
    }
    be32_put(f + 20, 16);
    erig_send(w->r, link, f, sizeof(f));
}

static void answer(struct walk *w, uint32_t link)
{
    static const uint8_t zeros[2000];
    struct erig *r = w->r;
    if (r->links[link].all == 4) { // isro
        erig_send(r, link, draw(w, 2) ? "rw" : "ro", draw(w, 2) + 1);
        return;
    }
    if (!erig_take(r, link)) {
        return;
    }
    if (r->links[link].all - r->links[link].n == 49) { // the first frame
        answer_hello(w, link, r->frame.body);
        return;
    }
    if (r->frame.op != 100) {
        w->touched = r->now;
    }
    int32_t err = draw(w, 3) ? 0 : -101;
    int32_t xid = r->frame.xid;
    if (xid < 0) {
        err = draw(w, 200) ? 0 : -115;
    }
    if (draw(w, 100) == 0) {
        xid += 1; // nonsense
    }
    size_t n = err || xid < 0 ? 0 : draw(w, 50) ? 72 : draw(w, sizeof(zeros));
    erig_answer(r, link, xid, 10, err, zeros, n);
}

static void event(struct walk *w, uint32_t link)
{
    static const char *const paths[] = {"/a", "/b", "/a/b", "/none"};
    if (w->r->links[link].all > 49) {
        erig_event(w->r, link, (int32_t)draw(w, 5) + 1, paths[draw(w, 4)]);
    }
}

static void step_link(struct walk *w)
{
    struct erig *r = w->r;
    uint32_t link = (uint32_t)draw(w, ENGINE_LINKS_MAX);
    if (!r->links[link].open) {
        return;
    }
    if (!r->links[link].up) {
        if (draw(w, 3)) {
            erig_dialed(r, link);
        } else {
            erig_gone(r, link, "connection refused");
        }
    } else if (draw(w, 40) == 0) {
        erig_gone(r, link, draw(w, 2) ? "reset" : "");
    } else if (draw(w, 8) == 0) {
        event(w, link);
    } else {
        for (uint64_t i = draw(w, 6); i > 0 && r->links[link].open; i--) {
            answer(w, link);
        }
    }
}

static void pass_time(struct walk *w)
{
    static const int64_t most[] = {10, 300, 2000, 9000};
    int64_t ms = (int64_t)draw(w, (uint64_t)most[draw(w, 20) ? draw(w, 2) : draw(w, 4)]);
    if (draw(w, 4)) {
        erig_wait(w->r, ms);
    } else {
        erig_jump(w->r, ms);
    }
}

static void step(struct walk *w)
{
    struct erig *r = w->r;
    switch (draw(w, 12)) {
    case 0:
    case 1:
    case 2:
        submit(w);
        break;
    case 3:
    case 4:
        pass_time(w);
        break;
    case 5:
        engine_unwatch(r->e, draw(w, 2) ? "/a" : "/a/b", erig_watch_fn, draw(w, 2) ? w : NULL);
        erig_run(r);
        break;
    case 6:
        if (draw(w, 20) == 0) {
            static const char *const lists[] = {"a,b,c", "d", "b,c,d,e", "not a list"};
            (void)engine_set_servers(r->e, lists[draw(w, 4)]);
            erig_run(r);
        }
        r->stuck = draw(w, 10) == 0;
        r->in_max = draw(w, 3) ? 0 : draw(w, 30) + 1;
        r->out_max = draw(w, 3) ? 0 : draw(w, 3000) + 1;
        break;
    default:
        step_link(w);
    }
    struct reeve_session s;
    engine_get_session(r->e, &s);
    if (s.state == REEVE_STATE_CONNECTED || s.state == REEVE_STATE_SUSPENDED) {
        must(s.id == w->session);
        must(mono_diff_ms(r->now, w->touched) < 6000);
    }
}

static void walk(uint64_t seed, int steps)
{
    struct walk w = {.rng = {seed}};
    struct erig *r = calloc(1, sizeof(*r));
    assert_non_null(r);
    w.r = r;
    r->fail_at = draw(&w, 2) ? draw(&w, 500) + 1 : 0;
    struct reeve_options o = {.servers = "a,b,c", .session_timeout_ms = 6000, .seed = seed + 1};
    o.request_timeout_ms = draw(&w, 3) ? 0 : 3000;
    o.one_session = draw(&w, 8) == 0;
    w.read_only = o.read_only = draw(&w, 4) == 0;
    o.answer_max = draw(&w, 2) ? 0 : 1000;
    if (erig_begin(r, o) == REEVE_OK) {
        erig_run(r);
        for (int i = 0; i < steps; i++) {
            step(&w);
            if (r->text_n > sizeof(r->text) / 2) {
                erig_forget(r);
            }
        }
        r->stuck = draw(&w, 2);
        engine_close(r->e, draw(&w, 2));
        erig_run(r);
        for (int i = 0; i < 20; i++) {
            step_link(&w);
        }
        erig_wait(r, 2000);
        assert_true(r->over);
    }
    erig_free(r);
}

static void random_walks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        walk(seed, 600);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3) { // from a seed to another
        for (uint64_t s = strtoull(argv[1], NULL, 10); s <= strtoull(argv[2], NULL, 10); s++) {
            walk(s, 600);
        }
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_walks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
