// SPDX-License-Identifier: Apache-2.0
//
// Many servers that elect: a small deterministic world of struct fle and a stand-in for what comes
// after an election. Messages take their time, connections break and say their last word again,
// servers crash and come back with what they had on disk, pairs are cut off from each other.
//
// In each step: fle_check() of whoever moved. At each election that was won by votes: a quorum of
// voters has cast exactly that vote, and none of them had anything better of its own. When all is
// healed, everybody has a role under one leader within a bound of virtual time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "fle/fle.h"

enum {
    SIDS = 10, // 1 .. SIDS - 1
    CASTS = 400,
    FLIGHTS = 1024,
    INIT_MS = 2000 // a leader without followers gives up after this; so does a follower
};

struct cast { // a vote, and what its caster had itself
    struct fle_vote vote;
    bool joined; // not by voting: it is what others had come to
    int64_t own_zxid, own_epoch;
};

struct server {
    struct fle *fle;           // NULL: down
    int64_t last_zxid, epoch;  // on disk
    struct mono role_deadline; // in a role: look after it
    bool established;
    struct cast casts[CASTS];
    size_t casts_n;
    struct mono up_at;
};

struct flight {
    bool used;
    int from, to;
    struct mono at;
    struct note note;
};

struct world {
    struct rng rng;
    struct mono now;
    struct members *members;
    struct buf text;
    int n;
    struct server servers[SIDS];
    bool cut[SIDS][SIDS];       // both ways at once
    bool connected[SIDS][SIDS]; // both ways at once
    struct note last[SIDS][SIDS];
    bool spoken[SIDS][SIDS], waits[SIDS][SIDS];
    struct mono not_before[SIDS][SIDS]; // order is kept within a connection
    struct flight flights[FLIGHTS];
    int elections;
    int64_t delay_max_ms;
};

static void happen(struct world *w, int s, struct fle_event ev);

// ---- messages -----------------------------------------------------------------------------------

static void fly(struct world *w, int from, int to)
{
    struct mono at = mono_add_ms(w->now, (int64_t)rng_below(&w->rng, (uint64_t)w->delay_max_ms));
    if (at.ns < w->not_before[from][to].ns) {
        at = w->not_before[from][to];
    }
    w->not_before[from][to] = at;
    w->waits[from][to] = false;
    w->spoken[from][to] = true;
    for (int i = 0; i < FLIGHTS; i++) {
        if (!w->flights[i].used) {
            w->flights[i] = (struct flight){true, from, to, at, w->last[from][to]};
            return;
        }
    }
    fail_msg("too many messages on their way");
}

static void disconnect(struct world *w, int a, int b)
{
    w->connected[a][b] = w->connected[b][a] = false;
    for (int i = 0; i < FLIGHTS; i++) {
        struct flight *f = &w->flights[i];
        if ((f->from == a && f->to == b) || (f->from == b && f->to == a)) {
            f->used = false;
        }
    }
}

// As fle/links.h: one message waits; a new connection begins with it or with the last one.
static void send(struct world *w, int from, int to, const struct note *n)
{
    w->last[from][to] = *n;
    w->last[from][to].config = buf_slice(&w->text); // outlives the sender
    w->waits[from][to] = true;
    if (w->connected[from][to]) {
        fly(w, from, to);
        return;
    }
    if (w->cut[from][to]) {
        return;
    }
    if (!w->servers[to].fle) {
        if (rng_chance(&w->rng, 1, 2)) { // refused; or the machine is gone, too
            happen(w, from, (struct fle_event){.type = FLE_DOWN, .sid = to});
        }
        return;
    }
    w->connected[from][to] = w->connected[to][from] = true;
    fly(w, from, to);
    if (w->waits[to][from] || w->spoken[to][from]) {
        fly(w, to, from);
    }
}

// ---- what comes after an election ---------------------------------------------------------------

static void look(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    v->established = false;
    happen(w, s,
           (struct fle_event){.type = FLE_START,
                              .start = {.last_zxid = v->last_zxid, .current_epoch = v->epoch}});
}

static bool follows(const struct world *w, int s, int leader)
{
    const struct server *v = &w->servers[s];
    return v->fle && fle_state(v->fle) != NOTE_LOOKING && fle_current(v->fle)->leader == leader &&
           (s == leader || !w->cut[s][leader]);
}

static bool has_quorum(const struct world *w, int leader)
{
    struct quorum q;
    struct quorum_acks acks = {0};
    quorum_init(&q, w->members, NULL);
    for (int s = 1; s <= w->n; s++) {
        if (follows(w, s, leader)) {
            quorum_ack(&q, &acks, s);
        }
    }
    return quorum_reached(&q, &acks);
}

static bool leads(const struct world *w, int s)
{
    return w->servers[s].fle && fle_state(w->servers[s].fle) == NOTE_LEADING;
}

// A server joins the epoch of its leader: it has the leader's history from now on.
static void establish(struct world *w, int s, int64_t epoch, int64_t zxid)
{
    struct server *v = &w->servers[s];
    v->epoch = epoch;
    v->last_zxid = zxid;
    v->established = true;
    happen(w, s, (struct fle_event){.type = FLE_ESTABLISHED, .epoch = epoch});
}

static void lead(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    if (!has_quorum(w, s)) {
        if (v->established || v->role_deadline.ns <= w->now.ns) {
            look(w, s);
        }
        return;
    }
    if (!v->established) {
        int64_t epoch = v->epoch;
        for (int i = 1; i <= w->n; i++) {
            if (follows(w, i, s) && w->servers[i].epoch > epoch) {
                epoch = w->servers[i].epoch;
            }
        }
        establish(w, s, epoch + 1, (epoch + 1) << 32);
    }
    if (rng_chance(&w->rng, 1, 4)) {
        v->last_zxid++;
    }
}

static void follow(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    int leader = (int)fle_current(v->fle)->leader;
    struct server *l = &w->servers[leader];
    // It may also lead again, in a life after the one that was followed.
    bool same = !v->established || (l->established && v->epoch == l->epoch);
    if (!leads(w, leader) || w->cut[s][leader] || !same) {
        if (v->established || v->role_deadline.ns <= w->now.ns) {
            look(w, s);
        }
    } else if (l->established && !v->established) {
        establish(w, s, l->epoch, l->last_zxid);
    } else if (l->established && rng_chance(&w->rng, 1, 2)) {
        v->last_zxid = l->last_zxid;
    }
}

static void look_after_roles(struct world *w)
{
    for (int s = 1; s <= w->n; s++) {
        if (w->servers[s].fle && fle_state(w->servers[s].fle) != NOTE_LOOKING) {
            (leads(w, s) ? lead : follow)(w, s);
        }
    }
}

// ---- steps, and what must be true of them -------------------------------------------------------

static void record_vote(struct server *v, const struct fle_vote *p, bool joined)
{
    struct cast c = {*p, joined, v->last_zxid, v->epoch};
    struct cast *last = v->casts_n ? &v->casts[v->casts_n - 1] : NULL;
    if (!last || last->joined || joined || memcmp(&last->vote, p, sizeof(*p)) != 0) {
        assert_true(v->casts_n < CASTS);
        v->casts[v->casts_n++] = c;
    }
}

static bool has_cast(const struct server *v, const struct fle_vote *vote)
{
    for (size_t i = 0; i < v->casts_n; i++) {
        const struct cast *c = &v->casts[i];
        if (memcmp(&c->vote, vote, sizeof(*vote)) == 0) {
            assert_true(c->joined || vote->peer_epoch > c->own_epoch ||
                        (vote->peer_epoch == c->own_epoch && vote->zxid >= c->own_zxid));
            return true;
        }
    }
    return false;
}

// A leader that comes out of votes has a quorum of them, each of which knew nothing better.
static void check_won(struct world *w, const struct fle_vote *vote)
{
    struct quorum q;
    struct quorum_acks acks = {0};
    quorum_init(&q, w->members, NULL);
    for (int s = 1; s <= w->n; s++) {
        if (members_is_voter(w->members, s) && has_cast(&w->servers[s], vote)) {
            quorum_ack(&q, &acks, s);
        }
    }
    assert_true(quorum_reached(&q, &acks));
    assert_true(members_is_voter(w->members, vote->leader));
    assert_true(members_weight(w->members, vote->leader) > 0);
}

static void happen(struct world *w, int s, struct fle_event ev)
{
    struct server *v = &w->servers[s];
    struct fle_out out;
    struct fle_action copy[32];
    struct note notes[32];
    bool was_looking = fle_state(v->fle) == NOTE_LOOKING;
    int64_t round = fle_round(v->fle);
    ev.now = w->now;
    fle_step(v->fle, &ev, &out);
    fle_check(v->fle);
    assert_true(out.n <= 32);
    assert_true(fle_round(v->fle) >= round || !was_looking || fle_state(v->fle) != NOTE_LOOKING);
    if (ev.type != FLE_MEMBERS && (was_looking || fle_state(v->fle) == NOTE_LOOKING)) {
        record_vote(v, fle_proposal(v->fle), false);
    }
    for (size_t i = 0; i < out.n; i++) {
        copy[i] = out.actions[i];
        notes[i] = copy[i].note ? *copy[i].note : (struct note){0};
    }
    for (size_t i = 0, n = out.n; i < n; i++) {
        if (copy[i].type == FLE_SEND) {
            send(w, s, (int)copy[i].sid, &notes[i]);
        } else if (copy[i].type == FLE_ELECTED) {
            w->elections++;
            v->role_deadline = mono_add_ms(w->now, INIT_MS);
            if (ev.type == FLE_NOTE && ev.note.note->state != NOTE_LOOKING) {
                record_vote(v, &copy[i].vote, true);
            } else {
                check_won(w, &copy[i].vote);
            }
        }
    }
}

static void start_server(struct world *w, int s)
{
    struct fle_settings settings = {s, 200, 60000, 200, true};
    w->servers[s].fle = fle_new(&settings);
    w->servers[s].up_at = (struct mono){0};
    happen(w, s, (struct fle_event){.type = FLE_MEMBERS, .members = {.committed = w->members}});
    look(w, s);
}

static void crash_server(struct world *w, int s)
{
    for (int i = 1; i <= w->n; i++) {
        disconnect(w, s, i);
        w->spoken[s][i] = w->waits[s][i] = false;
    }
    fle_free(&w->servers[s].fle);
    w->servers[s].up_at = mono_add_ms(w->now, (int64_t)rng_below(&w->rng, 3000));
}

static void run_ms(struct world *w, int64_t ms)
{
    struct mono end = mono_add_ms(w->now, ms);
    for (; w->now.ns < end.ns; w->now = mono_add_ms(w->now, 10)) {
        for (int i = 0; i < FLIGHTS; i++) {
            struct flight *f = &w->flights[i];
            if (f->used && f->at.ns <= w->now.ns) {
                struct note n = f->note;
                f->used = false;
                happen(w, f->to,
                       (struct fle_event){.type = FLE_NOTE, .note = {.sid = f->from, .note = &n}});
            }
        }
        for (int s = 1; s <= w->n; s++) {
            struct mono at;
            if (!w->servers[s].fle && w->servers[s].up_at.ns <= w->now.ns) {
                start_server(w, s);
            } else if (w->servers[s].fle && fle_next(w->servers[s].fle, &at) &&
                       at.ns <= w->now.ns) {
                happen(w, s, (struct fle_event){.type = FLE_TIMER});
            }
        }
        if (w->now.ns % 50000000 == 0) {
            look_after_roles(w);
        }
    }
}

// ---- worlds -------------------------------------------------------------------------------------

static void open_world(struct world *w, uint64_t seed, int voters, int observers, bool groups)
{
    memset(w, 0, sizeof(*w));
    w->rng.state = seed;
    w->n = voters + observers;
    w->delay_max_ms = 1 + (int64_t)rng_below(&w->rng, 60);
    struct buf b = {0};
    for (int s = 1; s <= w->n; s++) {
        buf_fmt(&b, "server.%d=h%d:1:2:%s\n", s, s, s <= voters ? "participant" : "observer");
    }
    if (groups) {
        buf_fmt(&b, "group.1=1:2:3\ngroup.2=4:5:6\ngroup.3=7\nweight.3=0\nweight.4=2\n");
    }
    assert_int_equal(members_parse(buf_slice(&b), &w->members), ERR_OK);
    buf_fini(&b);
    members_fmt(&w->text, w->members, MEMBERS_WIRE);
    for (int s = 1; s <= w->n; s++) {
        w->servers[s].epoch = (int64_t)rng_below(&w->rng, 3);
        w->servers[s].last_zxid = w->servers[s].epoch << 32 | (int64_t)rng_below(&w->rng, 4);
        w->servers[s].up_at = mono_add_ms(w->now, (int64_t)rng_below(&w->rng, 800));
    }
}

static void close_world(struct world *w)
{
    for (int s = 1; s <= w->n; s++) {
        fle_free(&w->servers[s].fle);
    }
    members_free(&w->members);
    buf_fini(&w->text);
}

static void heal(struct world *w)
{
    memset(w->cut, 0, sizeof(w->cut));
    for (int s = 1; s <= w->n; s++) {
        if (!w->servers[s].fle) {
            w->servers[s].up_at = w->now;
        }
    }
}

static void trouble(struct world *w)
{
    int a = 1 + (int)rng_below(&w->rng, (uint64_t)w->n);
    int b = 1 + (int)rng_below(&w->rng, (uint64_t)w->n);
    switch (rng_below(&w->rng, 6)) {
    case 0:
        if (w->servers[a].fle) {
            crash_server(w, a);
        }
        break;
    case 1: // cut off from some
        for (int i = 1; i <= w->n; i++) {
            if (i != a && rng_chance(&w->rng, 1, 2)) {
                w->cut[a][i] = w->cut[i][a] = true;
                disconnect(w, a, i);
            }
        }
        break;
    case 2:
        memset(w->cut, 0, sizeof(w->cut));
        break;
    default: // a connection is lost, and what was on its way
        if (a != b) {
            disconnect(w, a, b);
        }
    }
}

// The sid of the leader whom all follow that are up, and who has made an epoch; 0: not so.
static int leader_of_all(const struct world *w)
{
    int leader = 0;
    for (int s = 1; s <= w->n; s++) {
        leader = leads(w, s) ? s : leader;
    }
    for (int s = 1; s <= w->n && leader; s++) {
        const struct server *v = &w->servers[s];
        if (v->fle &&
            !(follows(w, s, leader) && v->established && v->epoch == w->servers[leader].epoch)) {
            leader = 0;
        }
    }
    return leader;
}

static int settle_within_ms(struct world *w, int64_t bound)
{
    int leader = 0;
    for (int64_t t = 0; t < bound && !leader; t += 100) {
        run_ms(w, 100);
        leader = leader_of_all(w);
    }
    return leader;
}

static void troubled_ensembles_elect_when_healed(void **state)
{
    (void)state;
    static struct world w;
    int elections = 0;
    for (uint64_t seed = 1; seed <= 2400; seed++) {
        int voters = 3 + (int)(seed % 5);
        open_world(&w, seed, voters, (int)(seed % 3), seed % 5 == 4 && seed % 2);
        for (int i = 0; i < 12; i++) {
            run_ms(&w, (int64_t)rng_below(&w.rng, 500));
            trouble(&w);
        }
        heal(&w);
        int leader = settle_within_ms(&w, 8000);
        if (!leader) {
            print_error("seed %d does not settle\n", (int)seed);
        }
        assert_true(leader > 0);
        elections += w.elections;
        close_world(&w);
    }
    assert_true(elections > 20000);
}

// With nothing in the way the best of those who are there wins in the time of finalizing.
static void quiet_ensembles_elect_the_best(void **state)
{
    (void)state;
    static struct world w;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        open_world(&w, seed, 3 + (int)(seed % 5), 0, false);
        int best = 1;
        for (int s = 1; s <= w.n; s++) {
            struct server *v = &w.servers[s], *b = &w.servers[best];
            v->up_at = w.now;
            if (v->epoch > b->epoch || (v->epoch == b->epoch && v->last_zxid >= b->last_zxid)) {
                best = s;
            }
        }
        assert_int_equal(settle_within_ms(&w, 1000), best);
        close_world(&w);
    }
}

// Whoever comes later joins who leads, be its sid or its history larger.
static void late_servers_join_a_standing_leader(void **state)
{
    (void)state;
    static struct world w;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        int voters = 3 + 2 * (int)(seed % 3);
        open_world(&w, seed, voters, 1, false);
        struct mono never = {INT64_MAX};
        for (int s = 1; s <= w.n; s++) {
            w.servers[s].up_at = never;
        }
        for (int i = 0; i < voters / 2 + 1;) {
            struct server *v = &w.servers[1 + rng_below(&w.rng, (uint64_t)voters)];
            i += v->up_at.ns == never.ns;
            v->up_at = w.now;
        }
        int leader = settle_within_ms(&w, 4000);
        assert_true(leader > 0);
        int64_t epoch = w.servers[leader].epoch;
        for (int s = 1; s <= w.n; s++) {
            w.servers[s].up_at = w.servers[s].fle ? w.servers[s].up_at : w.now;
        }
        run_ms(&w, 100);
        assert_int_equal(settle_within_ms(&w, 2000), leader);
        assert_int_equal(w.servers[leader].epoch, epoch); // it never stopped leading
        close_world(&w);
    }
}

// The leader's process dies: nobody waits for its vote.
static void a_dead_leader_is_replaced_at_once(void **state)
{
    (void)state;
    static struct world w;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        open_world(&w, seed, 3, 0, false);
        w.delay_max_ms = 1;
        int leader = settle_within_ms(&w, 4000);
        assert_true(leader > 0);
        crash_server(&w, leader);
        w.servers[leader].up_at = (struct mono){INT64_MAX};
        for (int s = 1; s <= w.n; s++) {
            if (w.servers[s].fle) {
                look(&w, s);
            }
        }
        run_ms(&w, 800); // half of the dials to it hang, the other half are refused
        int next = leader_of_all(&w);
        assert_true(next > 0);
        assert_int_not_equal(next, leader);
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(troubled_ensembles_elect_when_healed),
        cmocka_unit_test(quiet_ensembles_elect_the_best),
        cmocka_unit_test(late_servers_join_a_standing_leader),
        cmocka_unit_test(a_dead_leader_is_replaced_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
