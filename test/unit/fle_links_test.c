// SPDX-License-Identifier: Apache-2.0
//
// The connections of the election port: rule by rule for one server, then several servers with
// everything that can happen to connections between them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "fle/links.h"

static const char text[] = "server.1=h1:21831:21841\nserver.2=h2:21832:21842\n"
                           "server.3=h3:21833:21843\nserver.4=h4:21834:21844:observer\nversion=1";

static struct members *parse(const char *s)
{
    struct members *m;
    assert_int_equal(members_parse(slice_str(s), &m), ERR_OK);
    return m;
}

// ---- one server ---------------------------------------------------------------------------------

struct rig {
    struct links *links;
    struct mono now;
    struct links_out out;
};

static void step(struct rig *r, struct links_event ev)
{
    ev.now = r->now;
    links_step(r->links, &ev, &r->out);
    links_check(r->links);
}

static void set_members(struct rig *r, const char *committed, const char *last_seen)
{
    struct members *c = parse(committed), *l = last_seen ? parse(last_seen) : NULL;
    step(r,
         (struct links_event){.type = LINKS_MEMBERS, .members = {.committed = c, .last_seen = l}});
    members_free(&c);
    members_free(&l);
}

static void open_rig(struct rig *r, int64_t sid)
{
    struct links_settings s = {sid, false, 5000, 10000};
    *r = (struct rig){.links = links_new(&s)};
    set_members(r, text, NULL);
}

static void send(struct rig *r, int64_t sid, const char *message)
{
    step(r, (struct links_event){.type = LINKS_SEND,
                                 .send = {.sid = sid, .bytes = slice_str(message)}});
}

static void accept(struct rig *r, uint32_t conn)
{
    step(r, (struct links_event){.type = LINKS_ACCEPTED, .conn = conn});
    assert_int_equal(r->out.n, 0);
}

static void data(struct rig *r, uint32_t conn, struct slice s)
{
    step(r, (struct links_event){.type = LINKS_DATA, .conn = conn, .data = s});
}

static void hello_from(struct rig *r, uint32_t conn, int64_t sid, const char *addresses)
{
    struct buf b = {0};
    note_hello_encode(&b, sid, false, slice_str(addresses));
    data(r, conn, buf_slice(&b));
    buf_fini(&b);
}

static void conn_event(struct rig *r, enum links_event_type type, uint32_t conn)
{
    step(r, (struct links_event){.type = type, .conn = conn});
}

static void dialed(struct rig *r, uint64_t dial, uint32_t conn)
{
    step(r, (struct links_event){.type = LINKS_DIALED, .dial = dial, .conn = conn});
}

static const struct links_action *action(const struct rig *r, size_t i, enum links_action_type type)
{
    assert_true(i < r->out.n);
    assert_int_equal(r->out.actions[i].type, type);
    return &r->out.actions[i];
}

static uint64_t check_dial(const struct rig *r, size_t i, int64_t sid, const char *host,
                           uint16_t port)
{
    const struct links_action *a = action(r, i, LINKS_DIAL);
    assert_int_equal(a->sid, sid);
    assert_true(slice_eq_str(a->addrs[0].host, host));
    assert_int_equal(a->addrs[0].port, port);
    return a->dial;
}

static void check_write(const struct rig *r, size_t i, uint32_t conn, const char *message)
{
    const struct links_action *a = action(r, i, LINKS_WRITE);
    assert_int_equal(a->conn, conn);
    assert_int_equal(be32_get(a->bytes.p), strlen(message));
    assert_true(slice_eq_str(slice_skip(a->bytes, 4), message));
}

static void check_close(const struct rig *r, size_t i, uint32_t conn)
{
    assert_int_equal(action(r, i, LINKS_CLOSE)->conn, conn);
}

static void the_larger_keeps_what_it_dialed(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 2);
    send(&r, 1, "one");
    assert_int_equal(r.out.n, 1);
    uint64_t d = check_dial(&r, 0, 1, "h1", 21841);
    send(&r, 1, "two"); // takes the place of what waits; one dial is enough
    assert_int_equal(r.out.n, 0);
    dialed(&r, d, 7);
    assert_int_equal(r.out.n, 2);
    // The initial message of server 2 as captured, but for the host.
    static const char hello[] = "\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\2\0\0\0\10h2:21842";
    assert_true(slice_eq(action(&r, 0, LINKS_WRITE)->bytes, slice_of(hello, sizeof(hello) - 1)));
    check_write(&r, 1, 7, "two");
    assert_true(links_is_up(r.links, 1));
    send(&r, 1, "three"); // the one before has not left yet
    assert_int_equal(r.out.n, 0);
    send(&r, 1, "four");
    conn_event(&r, LINKS_DRAINED, 7);
    assert_int_equal(r.out.n, 1);
    check_write(&r, 0, 7, "four");
    conn_event(&r, LINKS_DRAINED, 7);
    assert_int_equal(r.out.n, 0);
    conn_event(&r, LINKS_CLOSED, 7);
    d = check_dial(&r, 0, 1, "h1", 21841); // it may not have heard the last one
    dialed(&r, d, 8);
    check_write(&r, 1, 8, "four");
    conn_event(&r, LINKS_DRAINED, 8);
    conn_event(&r, LINKS_CLOSED, 8);
    assert_int_equal(r.out.n, 0); // but is told so only once; the next message mends it
    send(&r, 1, "five");
    d = check_dial(&r, 0, 1, "h1", 21841);
    step(&r, (struct links_event){.type = LINKS_DIAL_FAILED, .dial = d});
    assert_int_equal(action(&r, 0, LINKS_DOWN)->sid, 1);
    links_free(&r.links);
}

static void the_smaller_knocks_and_is_dialed_back(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 1);
    send(&r, 2, "one");
    dialed(&r, check_dial(&r, 0, 2, "h2", 21842), 7);
    assert_int_equal(r.out.n, 2);
    action(&r, 0, LINKS_WRITE);
    check_close(&r, 1, 7);
    assert_int_equal(links_conns(r.links), 0);
    accept(&r, 8);
    hello_from(&r, 8, 2, "h2:21842");
    assert_int_equal(r.out.n, 1);
    check_write(&r, 0, 8, "one");
    conn_event(&r, LINKS_DRAINED, 8);
    accept(&r, 9); // it has come back: what it may not have heard goes out again
    hello_from(&r, 9, 2, "h2:21842");
    assert_int_equal(r.out.n, 2);
    check_close(&r, 0, 8);
    check_write(&r, 1, 9, "one");
    conn_event(&r, LINKS_CLOSED, 8); // late, and about the old one
    assert_true(links_is_up(r.links, 2));
    send(&r, 3, "x");
    uint64_t d = check_dial(&r, 0, 3, "h3", 21843);
    accept(&r, 10);
    hello_from(&r, 10, 3, "h3:21843"); // it dials by itself: knocking would end that again
    assert_int_equal(r.out.n, 2);
    assert_int_equal(action(&r, 0, LINKS_UNDIAL)->dial, d);
    check_write(&r, 1, 10, "x");
    links_free(&r.links);
}

// A process that was just killed: the system still took the connection, then nobody dials back.
static void a_knock_that_nobody_answers_is_repeated_once(void **state)
{
    (void)state;
    struct rig r;
    struct mono at;
    open_rig(&r, 1);
    send(&r, 2, "one");
    dialed(&r, check_dial(&r, 0, 2, "h2", 21842), 7);
    check_close(&r, 1, 7);
    assert_true(links_next(r.links, &at));
    assert_int_equal(mono_diff_ms(at, r.now), LINKS_RETRY_MS);
    r.now = at;
    step(&r, (struct links_event){.type = LINKS_TIMER});
    uint64_t d = check_dial(&r, 0, 2, "h2", 21842);
    step(&r, (struct links_event){.type = LINKS_DIAL_FAILED, .dial = d});
    assert_int_equal(action(&r, 0, LINKS_DOWN)->sid, 2);
    assert_false(links_next(r.links, &at));
    send(&r, 2, "two"); // it is there again, but slow: two knocks, no third
    for (uint32_t conn = 8; conn < 10; conn++) {
        dialed(&r, check_dial(&r, 0, 2, "h2", 21842), conn);
        r.now = mono_add_ms(r.now, LINKS_RETRY_MS);
        step(&r, (struct links_event){.type = LINKS_TIMER});
    }
    assert_int_equal(r.out.n, 0);
    accept(&r, 10);
    hello_from(&r, 10, 2, "h2:21842");
    check_write(&r, 0, 10, "two");
    assert_false(links_next(r.links, &at));
    links_free(&r.links);
}

static void a_smaller_one_that_knocks_is_dialed_where_it_says(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 3);
    send(&r, 1, "one");
    dialed(&r, check_dial(&r, 0, 1, "h1", 21841), 4);
    accept(&r, 5); // server 1 is new, the old connection is not
    hello_from(&r, 5, 1, "elsewhere:9");
    assert_int_equal(r.out.n, 3);
    check_close(&r, 0, 5);
    check_close(&r, 1, 4);
    uint64_t d = check_dial(&r, 2, 1, "elsewhere", 9);
    accept(&r, 6); // once more: that dial is on its way
    hello_from(&r, 6, 1, "elsewhere:9");
    assert_int_equal(r.out.n, 1);
    accept(&r, 7); // but a dial to where it is no more is given up
    hello_from(&r, 7, 1, "0.0.0.0:9");
    assert_int_equal(r.out.n, 3);
    assert_int_equal(action(&r, 1, LINKS_UNDIAL)->dial, d);
    uint64_t again = check_dial(&r, 2, 1, "h1", 21841);
    dialed(&r, d, 10); // the one given up came through
    assert_int_equal(r.out.n, 1);
    check_close(&r, 0, 10);
    dialed(&r, again, 11);
    check_write(&r, 1, 11, "one");
    links_free(&r.links);
}

static void strangers(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 3);
    accept(&r, 1);
    hello_from(&r, 1, 9, "x:1"); // larger and unknown: served
    assert_true(links_is_up(r.links, 9));
    send(&r, 9, "hi");
    check_write(&r, 0, 1, "hi");
    conn_event(&r, LINKS_CLOSED, 1);
    send(&r, 9, "hi"); // but not dialed: nobody knows where it is
    assert_int_equal(r.out.n, 0);
    accept(&r, 2);
    hello_from(&r, 2, NOTE_ANONYMOUS, "x:1"); // gets a name, and is dialed
    check_close(&r, 0, 2);
    check_dial(&r, 1, -1, "x", 1);
    accept(&r, 3);
    hello_from(&r, 3, NOTE_ANONYMOUS, "x:1");
    dialed(&r, check_dial(&r, 1, -2, "x", 1), 30);
    assert_true(links_is_up(r.links, -2));
    accept(&r, 4);
    hello_from(&r, 4, 3, "x:1"); // says it is us
    check_close(&r, 0, 4);
    accept(&r, 5);
    hello_from(&r, 5, -5, "x:1");
    check_close(&r, 0, 5);
    accept(&r, 6);
    data(&r, 6, slice_of("\xff\xff\xff\xff\xff\xff\0\5", 8)); // no protocol we know
    check_close(&r, 0, 6);
    accept(&r, 7);
    data(&r, 7, slice_of("\0\0\0\0\0\0\0\2", 8)); // before 3.5
    check_close(&r, 0, 7);
    check_dial(&r, 1, 2, "h2", 21842);
    uint32_t conn = 40; // dials to where strangers say have a bound
    for (int dials = 1; dials < LINKS_STRANGER_DIALS_MAX; dials++) {
        accept(&r, ++conn);
        hello_from(&r, conn, NOTE_ANONYMOUS, "x:1");
        assert_int_equal(r.out.n, 2);
    }
    accept(&r, ++conn);
    hello_from(&r, conn, NOTE_ANONYMOUS, "x:1");
    assert_int_equal(r.out.n, 1);
    check_close(&r, 0, conn);
    links_free(&r.links);
}

static void any_cut_of_the_bytes_is_the_same(void **state)
{
    (void)state;
    struct buf b = {0};
    note_hello_encode(&b, 3, false, slice_str("h3:21843"));
    buf_put(&b, "\0\0\0\3abc\0\0\0\1d", 12);
    for (size_t size = 1; size <= b.n; size++) {
        struct rig r;
        struct buf got = {0};
        open_rig(&r, 1);
        accept(&r, 5);
        for (size_t at = 0; at < b.n; at += size) {
            size_t n = b.n - at < size ? b.n - at : size;
            data(&r, 5, slice_of(b.p + at, n));
            for (size_t i = 0; i < r.out.n; i++) {
                const struct links_action *a = action(&r, i, LINKS_DELIVER);
                assert_int_equal(a->sid, 3);
                buf_put_slice(&got, a->bytes);
                buf_put_u8(&got, '.');
            }
        }
        assert_true(slice_eq_str(buf_slice(&got), "abc.d."));
        buf_fini(&got);
        links_free(&r.links);
    }
    buf_fini(&b);
}

static void a_frame_beyond_its_bound_ends_the_connection(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 1);
    accept(&r, 5);
    hello_from(&r, 5, 3, "h3:21843");
    data(&r, 5, slice_of("\0\0\0\1x\0\10\0\1", 9));
    assert_int_equal(r.out.n, 2);
    action(&r, 0, LINKS_DELIVER);
    check_close(&r, 1, 5);
    assert_false(links_is_up(r.links, 3));
    data(&r, 5, slice_of("x", 1)); // was on its way
    assert_int_equal(r.out.n, 0);
    conn_event(&r, LINKS_DRAINED, 5);
    conn_event(&r, LINKS_CLOSED, 5);
    assert_int_equal(r.out.n, 0);
    links_free(&r.links);
}

static void the_silent_time_out_alone(void **state)
{
    (void)state;
    struct rig r;
    struct mono at;
    open_rig(&r, 3);
    assert_false(links_next(r.links, &at));
    send(&r, 1, "x"); // a black hole
    uint64_t d = check_dial(&r, 0, 1, "h1", 21841);
    r.now = mono_add_ms(r.now, 1000);
    accept(&r, 5); // says nothing
    send(&r, 2, "y");
    dialed(&r, check_dial(&r, 0, 2, "h2", 21842), 6);
    check_write(&r, 1, 6, "y"); // not held up by either
    assert_true(links_next(r.links, &at));
    assert_int_equal(mono_diff_ms(at, r.now), 4000);
    r.now = at;
    conn_event(&r, LINKS_TIMER, 0);
    assert_int_equal(r.out.n, 2);
    assert_int_equal(action(&r, 0, LINKS_UNDIAL)->dial, d);
    assert_int_equal(action(&r, 1, LINKS_DOWN)->sid, 1);
    send(&r, 1, "z");
    check_dial(&r, 0, 1, "h1", 21841);
    r.now = mono_add_ms(r.now, 6000);
    conn_event(&r, LINKS_TIMER, 0);
    assert_int_equal(r.out.n, 3);
    check_close(&r, 0, 5);
    assert_false(links_next(r.links, &at));
    for (uint32_t i = 0; i < LINKS_HELLOS_MAX; i++) {
        accept(&r, 100 + i);
    }
    conn_event(&r, LINKS_ACCEPTED, 99); // one more: the oldest goes
    assert_int_equal(r.out.n, 1);
    check_close(&r, 0, 100);
    links_free(&r.links);
}

static void memberships(void **state)
{
    (void)state;
    struct rig r;
    open_rig(&r, 3);
    set_members(&r, text, "server.3=h3:1:2\nserver.1=h1:1:2\nserver.5=h5:1:2|i5:3:4\nversion=2");
    assert_int_equal(r.out.n, 1); // the new one is dialed at once
    uint64_t five = check_dial(&r, 0, 5, "h5", 2);
    assert_int_equal(r.out.actions[0].addrs_n, 2);
    send(&r, 1, "x");
    uint64_t one = check_dial(&r, 0, 1, "h1", 21841);
    assert_int_equal(r.out.actions[0].addrs_n, 2); // where it is, and where it will be
    assert_int_equal(r.out.actions[0].addrs[1].port, 2);
    send(&r, 2, "x");
    dialed(&r, check_dial(&r, 0, 2, "h2", 21842), 9);
    accept(&r, 10);
    conn_event(&r, LINKS_RESET, 0);
    assert_int_equal(r.out.n, 4);
    check_close(&r, 0, 9);
    check_close(&r, 1, 10);
    assert_int_equal(action(&r, 2, LINKS_UNDIAL)->dial, five);
    assert_int_equal(action(&r, 3, LINKS_UNDIAL)->dial, one);
    accept(&r, 11); // nothing of before is said again
    hello_from(&r, 11, 5, "h5:2");
    assert_int_equal(r.out.n, 0);
    links_free(&r.links);
    struct links_settings s = {1, true, 5000, 10000};
    r = (struct rig){.links = links_new(&s)};
    set_members(&r, "server.1=[::1]:1:2|b:3:4\nserver.2=c:5:6", NULL);
    send(&r, 2, "x");
    dialed(&r, check_dial(&r, 0, 2, "c", 6), 1);
    struct slice hello = action(&r, 0, LINKS_WRITE)->bytes;
    assert_true(slice_eq_str(slice_skip(hello, 20), "[::1]:2|b:4"));
    assert_int_equal(hello.p[7], 1);
    links_free(&r.links);
}

// ---- several servers ----------------------------------------------------------------------------

enum { SERVERS = 4, WIRES = 512, DIALS = 512 };

// A connection, both ends of it. Bytes on their way are whole writes; they arrive cut anywhere.
struct wire {
    bool used;
    int end[2];           // servers
    bool open[2];         // that end has neither closed nor heard of the end
    bool fin[2];          // that end will write no more
    struct buf on_way[2]; // from that end
};

struct attempt {
    bool used;
    int from, to;
    uint64_t dial;
};

struct world {
    struct links *links[SERVERS + 1];
    struct wire wires[WIRES];
    struct attempt dials[DIALS];
    struct rng rng;
    struct mono now;
    bool cut[SERVERS + 1][SERVERS + 1];  // packets vanish
    int heard[SERVERS + 1][SERVERS + 1]; // the last number [to] heard of [from]
    bool calm;
};

static void happen(struct world *w, int server, struct links_event ev);

static int other(const struct wire *x, int server)
{
    return x->end[0] == server ? 1 : 0;
}

static void take_dial(struct world *w, int server, const struct links_action *a)
{
    for (int i = 0; i < DIALS; i++) {
        if (!w->dials[i].used) {
            int to = a->addrs[0].host.p[1] - '0';
            w->dials[i] = (struct attempt){true, server, to, a->dial};
            return;
        }
    }
    fail_msg("too many dials in flight");
}

static void take(struct world *w, int server, const struct links_action *a)
{
    struct wire *x = a->type == LINKS_WRITE || a->type == LINKS_CLOSE ? &w->wires[a->conn] : NULL;
    int side = x ? 1 - other(x, server) : 0;
    switch (a->type) {
    case LINKS_DIAL:
        take_dial(w, server, a);
        break;
    case LINKS_UNDIAL:
        for (int i = 0; i < DIALS; i++) {
            if (w->dials[i].from == server && w->dials[i].dial == a->dial) {
                w->dials[i].used = false;
            }
        }
        break;
    case LINKS_WRITE:
        assert_true(x->used);
        if (x->open[side]) {
            buf_put_slice(&x->on_way[side], a->bytes);
        }
        break;
    case LINKS_CLOSE:
        assert_true(x->used);
        x->fin[side] = true;
        break;
    case LINKS_DELIVER:
        assert_int_equal(a->bytes.n, 4);
        assert_in_range(a->sid, 1, SERVERS);
        w->heard[server][a->sid] = (int)be32_get(a->bytes.p);
        break;
    case LINKS_DOWN:
        break;
    }
}

static void happen(struct world *w, int server, struct links_event ev)
{
    struct links_out out;
    struct links_action copy[64];
    ev.now = w->now;
    links_step(w->links[server], &ev, &out);
    links_check(w->links[server]);
    assert_true(out.n <= 64);
    for (size_t i = 0; i < out.n; i++) {
        copy[i] = out.actions[i];
        take(w, server, &copy[i]);
    }
}

static void say(struct world *w, int from, int to, int number)
{
    uint8_t b[4];
    be32_put(b, (uint32_t)number);
    happen(w, from,
           (struct links_event){.type = LINKS_SEND, .send = {.sid = to, .bytes = slice_of(b, 4)}});
}

static void connect_wire(struct world *w, struct attempt *d)
{
    struct attempt a = *d;
    for (uint32_t i = 1; i < WIRES; i++) {
        struct wire *x = &w->wires[i];
        if (!x->used) {
            *x = (struct wire){.used = true, .end = {a.from, a.to}, .open = {true, true}};
            d->used = false;
            happen(w, a.to, (struct links_event){.type = LINKS_ACCEPTED, .conn = i});
            happen(w, a.from,
                   (struct links_event){.type = LINKS_DIALED, .dial = a.dial, .conn = i});
            return;
        }
    }
    fail_msg("too many connections");
}

// Progress of one dial: it comes through, is refused, or is left waiting.
static void move_dial(struct world *w, struct attempt *d)
{
    bool refused = !w->calm && rng_chance(&w->rng, 1, 8);
    if (refused) {
        d->used = false;
        happen(w, d->from, (struct links_event){.type = LINKS_DIAL_FAILED, .dial = d->dial});
    } else if (!w->cut[d->from][d->to] && !w->cut[d->to][d->from]) {
        connect_wire(w, d);
    }
}

static void end_wire(struct world *w, uint32_t id, int side)
{
    struct wire *x = &w->wires[id];
    if (x->open[side]) {
        x->open[side] = false;
        happen(w, x->end[side], (struct links_event){.type = LINKS_CLOSED, .conn = id});
    }
    if (!x->open[0] && !x->open[1]) {
        buf_fini(&x->on_way[0]);
        buf_fini(&x->on_way[1]);
        x->used = false;
    }
}

// Some bytes from one side arrive, or its end does.
static void move_wire(struct world *w, uint32_t id, int side)
{
    struct wire *x = &w->wires[id];
    struct buf *b = &x->on_way[side];
    if (w->cut[x->end[side]][x->end[1 - side]]) {
        return;
    }
    if (b->n) {
        uint8_t bytes[64];
        size_t n = 1 + rng_below(&w->rng, b->n < sizeof(bytes) ? b->n : sizeof(bytes));
        n = n > b->n ? b->n : n;
        memcpy(bytes, b->p, n);
        buf_consume(b, n);
        bool drained = b->n == 0;
        if (x->open[1 - side] && !x->fin[1 - side]) {
            happen(
                w, x->end[1 - side],
                (struct links_event){.type = LINKS_DATA, .conn = id, .data = slice_of(bytes, n)});
        }
        if (drained && x->open[side]) {
            happen(w, x->end[side], (struct links_event){.type = LINKS_DRAINED, .conn = id});
        }
    } else if (x->fin[side] || !x->open[side]) {
        end_wire(w, id, 1 - side);
        if (x->used) {
            end_wire(w, id, side);
        }
    }
}

static void run(struct world *w, int steps)
{
    for (int i = 0; i < steps; i++) {
        w->now = mono_add_ms(w->now, (int64_t)rng_below(&w->rng, 20));
        for (int k = 0; k < DIALS; k++) {
            if (w->dials[k].used && rng_chance(&w->rng, 1, 2)) {
                move_dial(w, &w->dials[k]);
            }
        }
        for (uint32_t k = 0; k < WIRES; k++) {
            for (int side = 0; side < 2; side++) {
                if (w->wires[k].used && rng_chance(&w->rng, 1, 2)) {
                    move_wire(w, k, side);
                }
            }
        }
        for (int s = 1; s <= SERVERS; s++) {
            struct mono at;
            if (links_next(w->links[s], &at) && at.ns <= w->now.ns) {
                happen(w, s, (struct links_event){.type = LINKS_TIMER});
            }
        }
    }
}

static void start_server(struct world *w, int s)
{
    struct links_settings settings = {s, false, 5000, 10000};
    w->links[s] = links_new(&settings);
    struct members *m = parse(text);
    happen(w, s, (struct links_event){.type = LINKS_MEMBERS, .members = {.committed = m}});
    members_free(&m);
}

// All it had is gone; its peers hear of it one by one.
static void restart_server(struct world *w, int s)
{
    links_free(&w->links[s]);
    for (int k = 0; k < DIALS; k++) {
        w->dials[k].used = w->dials[k].used && w->dials[k].from != s;
    }
    for (uint32_t k = 0; k < WIRES; k++) {
        struct wire *x = &w->wires[k];
        if (x->used && (x->end[0] == s || x->end[1] == s)) {
            int side = 1 - other(x, s);
            x->open[side] = false;
            if (!x->open[1 - side]) {
                buf_fini(&x->on_way[0]);
                buf_fini(&x->on_way[1]);
                x->used = false;
            }
        }
    }
    start_server(w, s);
}

static void trouble(struct world *w, int *number)
{
    int a = 1 + (int)rng_below(&w->rng, SERVERS), b = 1 + (int)rng_below(&w->rng, SERVERS);
    uint32_t k = (uint32_t)rng_below(&w->rng, WIRES);
    switch (rng_below(&w->rng, 12)) {
    case 0:
        restart_server(w, a);
        break;
    case 1:
        w->cut[a][b] = true;
        break;
    case 2:
        memset(w->cut, 0, sizeof(w->cut));
        break;
    case 3:
        if (w->wires[k].used) {
            end_wire(w, k, (int)rng_below(&w->rng, 2));
        }
        break;
    case 4:
        happen(w, a, (struct links_event){.type = LINKS_RESET});
        break;
    default:
        if (a != b) {
            say(w, a, b, ++*number);
        }
    }
}

// Every pair hears the last word of the other, over the one connection the larger has dialed.
static void check_mesh(struct world *w, int number)
{
    for (int a = 1; a <= SERVERS; a++) {
        assert_int_equal(links_conns(w->links[a]), SERVERS - 1);
        for (int b = 1; b <= SERVERS; b++) {
            if (a != b) {
                assert_true(links_is_up(w->links[a], b));
                assert_int_equal(w->heard[a][b], number);
            }
        }
    }
    for (uint32_t k = 0; k < WIRES; k++) {
        if (w->wires[k].used) {
            assert_true(w->wires[k].end[0] > w->wires[k].end[1]);
        }
    }
}

static void one_connection_per_pair_whatever_happens(void **state)
{
    (void)state;
    static struct world w;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        int number = 0;
        memset(&w, 0, sizeof(w));
        w.rng.state = seed;
        for (int s = 1; s <= SERVERS; s++) {
            start_server(&w, s);
        }
        for (int i = 0; i < 100; i++) {
            trouble(&w, &number);
            run(&w, (int)rng_below(&w.rng, 12));
        }
        memset(w.cut, 0, sizeof(w.cut));
        w.calm = true;
        run(&w, 1200); // dials into the void time out, ends of connections arrive
        for (int round = 0; round < 3; round++) {
            number++;
            for (int a = 1; a <= SERVERS; a++) {
                for (int b = 1; b <= SERVERS; b++) {
                    if (a != b) {
                        say(&w, a, b, number);
                    }
                }
            }
            run(&w, 600);
        }
        check_mesh(&w, number);
        for (int s = 1; s <= SERVERS; s++) {
            links_free(&w.links[s]);
        }
        for (int k = 0; k < WIRES; k++) {
            buf_fini(&w.wires[k].on_way[0]);
            buf_fini(&w.wires[k].on_way[1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_larger_keeps_what_it_dialed),
        cmocka_unit_test(the_smaller_knocks_and_is_dialed_back),
        cmocka_unit_test(a_knock_that_nobody_answers_is_repeated_once),
        cmocka_unit_test(a_smaller_one_that_knocks_is_dialed_where_it_says),
        cmocka_unit_test(strangers),
        cmocka_unit_test(any_cut_of_the_bytes_is_the_same),
        cmocka_unit_test(a_frame_beyond_its_bound_ends_the_connection),
        cmocka_unit_test(the_silent_time_out_alone),
        cmocka_unit_test(memberships),
        cmocka_unit_test(one_connection_per_pair_whatever_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
