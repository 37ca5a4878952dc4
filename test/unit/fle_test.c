// SPDX-License-Identifier: Apache-2.0
//
// The election of one server, rule by rule, and against captures of Apache's servers: given what
// its peers said, it sends the same bytes and comes to the same end. Many servers together:
// fle_net_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fle/fle.h"
#include "test/support/capture.h"

// ---- one server ---------------------------------------------------------------------------------

enum { PEERS = 10 };

struct server {
    struct fle *fle;
    struct mono now;
    struct buf sent[PEERS]; // encoded, the last one to each sid
    int sends;              // since clear_actions()
    bool elected;
    enum note_state state;
    struct fle_vote vote;
    struct members *heard;
    int64_t voter_looking;
};

static void clear_actions(struct server *s)
{
    s->sends = 0;
    s->elected = false;
    s->voter_looking = 0;
    members_free(&s->heard);
    for (int i = 0; i < PEERS; i++) {
        buf_clear(&s->sent[i]);
    }
}

static void take_action(struct server *s, const struct fle_action *a)
{
    switch (a->type) {
    case FLE_SEND:
        assert_in_range(a->sid, 0, PEERS - 1);
        buf_clear(&s->sent[a->sid]);
        note_encode(&s->sent[a->sid], a->note);
        s->sends++;
        break;
    case FLE_ELECTED:
        s->elected = true;
        s->state = a->state;
        s->vote = a->vote;
        break;
    case FLE_NEW_MEMBERS:
        s->heard = members_copy(a->members);
        break;
    case FLE_VOTER_LOOKING:
        s->voter_looking = a->sid;
        break;
    }
}

static void step(struct server *s, struct fle_event ev)
{
    struct fle_out out;
    ev.now = s->now;
    clear_actions(s);
    fle_step(s->fle, &ev, &out);
    fle_check(s->fle);
    for (size_t i = 0; i < out.n; i++) {
        take_action(s, &out.actions[i]);
    }
}

static void set_members(struct server *s, const char *committed, const char *last_seen,
                        bool restart)
{
    struct members *c, *l = NULL;
    assert_int_equal(members_parse(slice_str(committed), &c), ERR_OK);
    if (last_seen) {
        assert_int_equal(members_parse(slice_str(last_seen), &l), ERR_OK);
    }
    step(s, (struct fle_event){.type = FLE_MEMBERS,
                               .members = {.committed = c, .last_seen = l, .restart = restart}});
    members_free(&c);
    members_free(&l);
}

static void open_server(struct server *s, int64_t sid, const char *members)
{
    struct fle_settings settings = {sid, 200, 60000, 200, true};
    *s = (struct server){.fle = fle_new(&settings), .now = {5000}};
    set_members(s, members, NULL, false);
}

static void close_server(struct server *s)
{
    clear_actions(s);
    for (int i = 0; i < PEERS; i++) {
        buf_fini(&s->sent[i]);
    }
    fle_free(&s->fle);
    assert_null(s->fle);
}

static void start(struct server *s, int64_t last_zxid, int64_t current_epoch)
{
    step(s, (struct fle_event){.type = FLE_START,
                               .start = {.last_zxid = last_zxid, .current_epoch = current_epoch}});
}

static void hear_note(struct server *s, int64_t sid, struct note n)
{
    step(s, (struct fle_event){.type = FLE_NOTE, .note = {.sid = sid, .note = &n}});
}

// A notification without a membership in it.
static void hear(struct server *s, int64_t sid, enum note_state state, int64_t leader, int64_t zxid,
                 int64_t round, int64_t epoch)
{
    hear_note(s, sid, (struct note){state, leader, zxid, round, epoch, 2, SLICE_NULL});
}

static void down(struct server *s, int64_t sid)
{
    step(s, (struct fle_event){.type = FLE_DOWN, .sid = sid});
}

static void pass_ms(struct server *s, int64_t ms)
{
    s->now = mono_add_ms(s->now, ms);
    step(s, (struct fle_event){.type = FLE_TIMER});
}

static int64_t wait_ms(const struct server *s)
{
    struct mono at;
    assert_true(fle_next(s->fle, &at));
    return mono_diff_ms(at, s->now);
}

static struct note sent_to(struct server *s, int64_t sid)
{
    struct note n;
    assert_int_equal(note_decode(buf_slice(&s->sent[sid]), &n), ERR_OK);
    return n;
}

static void check_sent(struct server *s, int64_t sid, enum note_state state, int64_t leader,
                       int64_t zxid, int64_t round, int64_t epoch)
{
    struct note n = sent_to(s, sid);
    assert_int_equal(n.state, state);
    assert_int_equal(n.leader, leader);
    assert_int_equal(n.zxid, zxid);
    assert_int_equal(n.election_epoch, round);
    assert_int_equal(n.peer_epoch, epoch);
}

static void check_elected(const struct server *s, enum note_state state, int64_t leader)
{
    assert_true(s->elected);
    assert_int_equal(s->state, state);
    assert_int_equal(s->vote.leader, leader);
    assert_int_equal(fle_state(s->fle), state);
}

static const char three[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=0";
static const char five[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
                           "server.5=e:1:2\nserver.6=f:1:2:observer\nversion=0";

// ---- captures -----------------------------------------------------------------------------------

struct replay {
    struct server server;
    int64_t sid;
    int64_t dialer[32]; // by connection
    struct buf last[PEERS];
    int compared, first_connection;
    int64_t zxid, epoch;
    bool elected;
};

// What stands in the last notification of a kind, to begin with what that server began with.
static struct note find_note(const char *path, int connection, bool by_dialer, struct buf *keep)
{
    struct capture c;
    struct note n = {0};
    capture_open(&c, path);
    bool found = false;
    while (!found && capture_next(&c)) {
        if (c.bytes.p[0] == 0 && c.connection == connection && c.by_dialer == by_dialer) {
            buf_put(keep, c.bytes.p + 4, c.bytes.n - 4);
            assert_int_equal(note_decode(buf_slice(keep), &n), ERR_OK);
            found = true;
        }
    }
    assert_true(found);
    capture_close(&c);
    return n;
}

static void keep_sent(struct replay *r)
{
    for (int i = 0; i < PEERS; i++) {
        if (r->server.sent[i].n) {
            buf_clear(&r->last[i]);
            buf_put_slice(&r->last[i], buf_slice(&r->server.sent[i]));
        }
    }
    r->elected |= r->server.elected;
}

static void adopt(struct replay *r, int connection)
{
    struct buf text = {0};
    members_fmt(&text, r->server.heard, MEMBERS_WIRE);
    buf_put_u8(&text, 0);
    set_members(&r->server, (const char *)text.p, NULL, true);
    assert_int_equal(fle_round(r->server.fle), 0);
    buf_fini(&text);
    start(&r->server, r->zxid, r->epoch);
    keep_sent(r);
    r->first_connection = connection + 3; // the three before are closed
}

static void replay_message(struct replay *r, const struct capture *c)
{
    const char *port_text = strstr(c->head, "server ");
    int64_t port = port_text[strlen("server ")] - '0';
    int64_t dialer = r->dialer[c->connection];
    bool own = c->by_dialer ? dialer == r->sid : port == r->sid;
    int64_t peer = port == r->sid ? dialer : port;
    struct slice body = slice_skip(buf_slice(&c->bytes), 4);
    if ((port != r->sid && dialer != r->sid) || c->connection < r->first_connection) {
        return;
    }
    if (own) {
        assert_true(slice_eq(body, buf_slice(&r->last[peer])));
        r->compared++;
        return;
    }
    struct note n;
    assert_int_equal(note_decode(body, &n), ERR_OK);
    hear_note(&r->server, peer, n);
    keep_sent(r);
    if (r->server.heard) {
        adopt(r, c->connection);
    }
}

static void replay(struct replay *r, const char *path)
{
    struct capture c;
    capture_open(&c, path);
    start(&r->server, r->zxid, r->epoch);
    keep_sent(r);
    while (capture_next(&c)) {
        if (c.bytes.p[0] == 0xff) {
            r->dialer[c.connection] = (int64_t)be64_get(c.bytes.p + 8);
        } else {
            replay_message(r, &c);
        }
    }
    capture_close(&c);
    for (int i = 0; i < PEERS; i++) {
        buf_fini(&r->last[i]);
    }
}

static void open_replay(struct replay *r, int64_t sid, const struct note *first)
{
    char text[1024];
    snprintf(text, sizeof(text), "%.*s", SLICE_ARG(first->config));
    *r = (struct replay){.sid = sid};
    open_server(&r->server, sid, text);
}

// Each of the two: what it says first, what it says having heard the other, and the end.
static void golden_two_fresh_servers(void **state)
{
    (void)state;
    static const char path[] = "test/golden/disk/wire/election-fresh.txt";
    for (int64_t sid = 1; sid <= 2; sid++) {
        struct buf first = {0};
        struct note n = find_note(path, 10, sid == 2, &first), m;
        struct replay r;
        open_replay(&r, sid, &n);
        start(&r.server, 0, 0);
        keep_sent(&r);
        assert_true(slice_eq(buf_slice(&r.last[3 - sid]), buf_slice(&first)));
        struct capture c;
        capture_open(&c, path);
        struct slice said = SLICE_NULL;
        while (capture_next(&c)) {
            struct slice body = slice_skip(buf_slice(&c.bytes), 4);
            bool own = c.by_dialer == (sid == 2);
            if (c.bytes.p[0] != 0xff && own) {
                buf_clear(&first);
                buf_put_slice(&first, body);
                said = buf_slice(&first);
            } else if (c.bytes.p[0] != 0xff) {
                assert_int_equal(note_decode(body, &m), ERR_OK);
                hear_note(&r.server, 3 - sid, m);
                keep_sent(&r);
            }
        }
        capture_close(&c);
        assert_true(slice_eq(said, buf_slice(&r.last[3 - sid])));
        assert_int_equal(wait_ms(&r.server), 200);
        pass_ms(&r.server, 200);
        check_elected(&r.server, sid == 1 ? NOTE_FOLLOWING : NOTE_LEADING, 2);
        for (int i = 0; i < PEERS; i++) {
            buf_fini(&r.last[i]);
        }
        close_server(&r.server);
        buf_fini(&first);
    }
}

static void golden_a_larger_server_joins(void **state)
{
    (void)state;
    static const char path[] = "test/golden/disk/wire/election-join-larger.txt";
    struct buf b = {0};
    struct note n = find_note(path, 14, true, &b);
    struct replay r;
    open_replay(&r, 3, &n);
    replay(&r, path);
    assert_int_equal(r.compared, 2);
    assert_true(r.elected);
    assert_int_equal(fle_state(r.server.fle), NOTE_FOLLOWING);
    assert_int_equal(fle_current(r.server.fle)->leader, 2);
    close_server(&r.server);
    buf_fini(&b);
}

static void golden_a_smaller_server_comes_back(void **state)
{
    (void)state;
    static const char path[] = "test/golden/disk/wire/election-restart-smaller.txt";
    struct buf b = {0};
    struct note n = find_note(path, 4, false, &b);
    struct replay r;
    open_replay(&r, 1, &n);
    r.zxid = n.zxid;
    r.epoch = n.peer_epoch;
    replay(&r, path);
    assert_int_equal(r.compared, 2);
    assert_true(r.elected);
    assert_int_equal(fle_state(r.server.fle), NOTE_FOLLOWING);
    assert_int_equal(fle_current(r.server.fle)->leader, 2);
    close_server(&r.server);
    buf_fini(&b);
}

static void golden_a_stranger_learns_the_membership(void **state)
{
    (void)state;
    static const char path[] = "test/golden/disk/wire/election-observer.txt";
    struct buf b = {0};
    struct note n = find_note(path, 3, true, &b);
    struct replay r;
    open_replay(&r, 4, &n);
    replay(&r, path);
    assert_int_equal(r.compared, 6);
    assert_true(r.elected);
    assert_int_equal(fle_state(r.server.fle), NOTE_FOLLOWING); // as one that does not vote
    assert_int_equal(fle_committed(r.server.fle)->version, 0x100000000);
    close_server(&r.server);
    buf_fini(&b);
}

// The answers of servers 1 and 2 with their roles to a voter and to a stranger.
static void golden_answers_with_a_role(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int64_t from, to;
        int connection; // of an answer, the second message of its sender
    } cases[] = {{"test/golden/disk/wire/election-observer.txt", 1, 4, 2},
                 {"test/golden/disk/wire/election-observer.txt", 2, 4, 3}};
    for (size_t i = 0; i < 2; i++) {
        struct buf b = {0};
        struct note n = find_note(cases[i].path, cases[i].connection, false, &b);
        struct replay r;
        open_replay(&r, cases[i].from, &n);
        struct server *s = &r.server;
        start(s, 0, 0);
        hear(s, 3 - cases[i].from, NOTE_LOOKING, 2, 0, 1, 0);
        pass_ms(s, 200);
        check_elected(s, cases[i].from == 2 ? NOTE_LEADING : NOTE_FOLLOWING, 2);
        step(s, (struct fle_event){.type = FLE_ESTABLISHED, .epoch = 1});
        hear(s, 4, NOTE_LOOKING, MEMBERS_NOBODY, MEMBERS_NOBODY, 1, MEMBERS_NOBODY);
        assert_true(slice_eq(buf_slice(&s->sent[4]), buf_slice(&b)));
        hear(s, 3, NOTE_LOOKING, 3, 0, 1, 0);
        assert_true(slice_eq(buf_slice(&s->sent[3]), buf_slice(&b)));
        hear(s, 3, NOTE_FOLLOWING, 2, 0, 1, 1);
        assert_int_equal(s->sends, 0); // a voter with a role wants no answer
        close_server(s);
        buf_fini(&b);
    }
}

// ---- rules --------------------------------------------------------------------------------------

static void a_server_alone_elects_itself_at_once(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 1, "server.1=a:1:2");
    start(&s, 7, 0);
    check_elected(&s, NOTE_LEADING, 1);
    assert_int_equal(s.sends, 0);
    assert_int_equal(s.vote.election_epoch, 1);
    struct mono at;
    assert_false(fle_next(s.fle, &at));
    close_server(&s);
}

static void epoch_then_zxid_then_sid_decides(void **state)
{
    (void)state;
    static const struct {
        int64_t leader, zxid, epoch;
        bool better;
    } cases[] = {
        {1, 0x500000001, 5, false}, {3, 0x500000001, 5, true},  {1, 0x500000002, 5, true},
        {3, 0x500000000, 5, false}, {3, 0x500000009, 4, false}, {1, 1, 6, true},
        {1, INT64_MIN, 6, true},    {2, 0x500000001, 5, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct server s;
        open_server(&s, 2, five);
        start(&s, 0x500000001, 5);
        assert_int_equal(s.sends, 4);
        check_sent(&s, 5, NOTE_LOOKING, 2, 0x500000001, 1, 5);
        hear(&s, 1, NOTE_LOOKING, cases[i].leader, cases[i].zxid, 1, cases[i].epoch);
        assert_int_equal(s.sends, cases[i].better ? 4 : 0);
        if (cases[i].better) {
            check_sent(&s, 3, NOTE_LOOKING, cases[i].leader, cases[i].zxid, 1, cases[i].epoch);
        }
        close_server(&s);
    }
}

static void rounds(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 2, five);
    start(&s, 9, 0);
    hear(&s, 1, NOTE_LOOKING, 1, 5, 4, 0); // newer, but a worse vote: own vote in that round
    assert_int_equal(fle_round(s.fle), 4);
    assert_int_equal(s.sends, 4);
    check_sent(&s, 1, NOTE_LOOKING, 2, 9, 4, 0);
    hear(&s, 3, NOTE_LOOKING, 3, 9, 3, 0); // older: told what this round says, otherwise ignored
    assert_int_equal(s.sends, 1);
    check_sent(&s, 3, NOTE_LOOKING, 2, 9, 4, 0);
    hear(&s, 3, NOTE_LOOKING, 3, 9, 6, 0); // newer and better
    assert_int_equal(s.sends, 4);
    check_sent(&s, 1, NOTE_LOOKING, 3, 9, 6, 0);
    hear(&s, 1, NOTE_LOOKING, 3, 9, 6, 0); // 1, 2 and 3 agree
    pass_ms(&s, 199);
    assert_false(s.elected);
    pass_ms(&s, 1);
    check_elected(&s, NOTE_FOLLOWING, 3);
    assert_int_equal(s.vote.election_epoch, 6);
    start(&s, 9, 0);
    assert_int_equal(fle_round(s.fle), 7);
    close_server(&s);
}

static void a_better_vote_while_finalizing_reopens_the_election(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 3, five);
    start(&s, 9, 0);
    hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    hear(&s, 2, NOTE_LOOKING, 3, 9, 1, 0);
    assert_int_equal(wait_ms(&s), 200);
    pass_ms(&s, 150);
    hear(&s, 4, NOTE_LOOKING, 1, 9, 1, 0); // worse
    hear(&s, 4, NOTE_LOOKING, 1, 9, 3, 0); // worse, of a newer round: not now
    assert_int_equal(wait_ms(&s), 50);
    hear(&s, 5, NOTE_LOOKING, 5, 9, 1, 0);
    assert_int_equal(s.sends, 4);
    pass_ms(&s, 200);
    assert_false(s.elected);
    hear(&s, 1, NOTE_LOOKING, 5, 9, 1, 0);
    hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0); // a stale word does not undo what it said since
    pass_ms(&s, 200);
    check_elected(&s, NOTE_FOLLOWING, 5);
    close_server(&s);
}

static void nobody_waits_for_a_better_vote_that_cannot_come(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 2, three);
    start(&s, 9, 0);
    down(&s, 3); // not there yet
    hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    assert_false(s.elected);
    hear(&s, 3, NOTE_LOOKING, 3, 9, 1, 0);
    check_elected(&s, NOTE_FOLLOWING, 3); // all agree
    start(&s, 9, 0);
    hear(&s, 1, NOTE_LOOKING, 2, 9, 2, 0);
    assert_false(s.elected);
    down(&s, 1); // has spoken in this round: its word stands
    assert_false(s.elected);
    down(&s, 3); // the leader that was lost
    check_elected(&s, NOTE_LEADING, 2);
    start(&s, 9, 0);
    hear(&s, 1, NOTE_LOOKING, 2, 9, 3, 0);
    down(&s, 3); // it was not followed before this election
    assert_false(s.elected);
    pass_ms(&s, 200);
    check_elected(&s, NOTE_LEADING, 2);
    close_server(&s);
    open_server(&s, 2, three);
    start(&s, 9, 0);
    hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    hear(&s, 3, NOTE_LOOKING, 3, 9, 1, 0);
    start(&s, 9, 0);
    down(&s, 3);
    assert_false(s.elected); // alone is no quorum
    hear(&s, 3, NOTE_LOOKING, 3, 8, 2, 0);
    hear(&s, 1, NOTE_LOOKING, 2, 9, 2, 0);
    assert_false(s.elected); // it is back, and has not agreed
    hear(&s, 3, NOTE_LOOKING, 2, 9, 2, 0);
    check_elected(&s, NOTE_LEADING, 2);
    close_server(&s);
}

static void it_asks_again_less_and_less_often(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 1, three);
    start(&s, 0, 0);
    for (int64_t want = 200; want < 60000; want *= 2) {
        assert_int_equal(wait_ms(&s), want);
        pass_ms(&s, want - 1);
        assert_int_equal(s.sends, 0);
        pass_ms(&s, 1);
        assert_int_equal(s.sends, 2);
    }
    assert_int_equal(wait_ms(&s), 60000);
    pass_ms(&s, 60000);
    assert_int_equal(wait_ms(&s), 60000);
    hear(&s, 2, NOTE_LOOKING, 2, 0, 9, 0); // it gets on: the next lost message costs little
    hear(&s, 3, NOTE_LOOKING, 3, 0, 9, 0);
    assert_int_equal(wait_ms(&s), 200);
    close_server(&s);
}

static void a_joiner_needs_the_leaders_own_word(void **state)
{
    (void)state;
    struct server s;
    for (int64_t round = 1; round <= 7; round += 6) { // that of its own, and another
        open_server(&s, 5, five);
        start(&s, 0x900000000, 9);
        hear(&s, 1, NOTE_FOLLOWING, 2, 0, round, 7);
        hear(&s, 3, NOTE_FOLLOWING, 2, 1, round, 7);
        hear(&s, 4, NOTE_FOLLOWING, 2, 2, round, 7);
        assert_false(s.elected);
        hear(&s, 2, NOTE_LOOKING, 2, 0, round, 6);
        assert_false(s.elected);
        hear(&s, 2, NOTE_LEADING, 2, 0, round, 7);
        check_elected(&s, NOTE_FOLLOWING, 2);
        assert_int_equal(fle_round(s.fle), round);
        close_server(&s);
    }
    open_server(&s, 5, five);
    start(&s, 0, 0);
    hear(&s, 2, NOTE_LEADING, 2, 0, 7, 7); // and a quorum
    hear(&s, 1, NOTE_FOLLOWING, 2, 0, 7, 7);
    assert_false(s.elected);
    hear(&s, 3, NOTE_FOLLOWING, 2, 0, 7, 6); // of one epoch
    assert_false(s.elected);
    hear(&s, 3, NOTE_OBSERVING, 2, 0, 7, 7);
    hear(&s, 3, NOTE_STATE_UNKNOWN, 2, 0, 7, 7);
    assert_false(s.elected);
    hear(&s, 4, NOTE_FOLLOWING, 2, 0, 7, 7);
    check_elected(&s, NOTE_FOLLOWING, 2);
    assert_int_equal(fle_round(s.fle), 7); // that of the ensemble from now on
    close_server(&s);
}

static void a_word_without_version_needs_no_epoch(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 3, three);
    start(&s, 0, 0);
    hear_note(&s, 1, (struct note){NOTE_FOLLOWING, 2, 0, 7, 0, 0, SLICE_NULL});
    hear(&s, 2, NOTE_LEADING, 2, 0, 8, 5);
    check_elected(&s, NOTE_FOLLOWING, 2);
    close_server(&s);
    open_server(&s, 3, three);
    start(&s, 0, 0);
    hear_note(&s, 1, (struct note){NOTE_FOLLOWING, 2, 0, 7, 0, 0, SLICE_NULL});
    hear_note(&s, 2, (struct note){NOTE_LEADING, 2, 0, 7, 5, 0, SLICE_NULL});
    assert_false(s.elected);
    close_server(&s);
}

static void its_own_old_followers_take_it_back_only_in_its_round(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 3, three);
    start(&s, 0, 0);
    hear(&s, 1, NOTE_FOLLOWING, 3, 0, 2, 1);
    hear(&s, 2, NOTE_FOLLOWING, 3, 0, 2, 1);
    assert_false(s.elected);
    hear(&s, 1, NOTE_FOLLOWING, 3, 0, 1, 1);
    check_elected(&s, NOTE_LEADING, 3);
    close_server(&s);
}

static void who_lost_data_neither_votes_nor_is_voted_for(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 1, three);
    start(&s, -1, 0);
    hear(&s, 2, NOTE_LOOKING, 2, 5, 1, 0);
    hear(&s, 3, NOTE_LOOKING, 2, 5, 1, 0);
    pass_ms(&s, 150);
    assert_false(s.elected);
    assert_int_equal(s.sends, 0);
    hear(&s, 2, NOTE_LEADING, 2, 5, 1, 1);
    hear(&s, 3, NOTE_FOLLOWING, 2, 5, 1, 1);
    check_elected(&s, NOTE_FOLLOWING, 2);
    close_server(&s);
    open_server(&s, 1, three);
    start(&s, 3, 0);
    hear(&s, 2, NOTE_LOOKING, 2, -1, 5, 9);
    assert_int_equal(s.sends, 0);
    assert_int_equal(fle_round(s.fle), 1);
    close_server(&s);
}

static void observers_and_strangers_are_answered_and_not_counted(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 2, five);
    hear(&s, 6, NOTE_LOOKING, 6, 99, 9, 9);
    assert_int_equal(s.sends, 0); // not before it knows anything
    start(&s, 9, 4);
    for (int64_t sid = 6; sid < PEERS; sid++) {
        hear(&s, sid, (enum note_state)(sid - 6), 6, 99, 9, 9);
        assert_int_equal(s.sends, 1);
        check_sent(&s, sid, NOTE_LOOKING, 2, 9, 1, 4);
    }
    hear(&s, 8, NOTE_STATE_UNKNOWN, 6, 99, 9, 9);
    assert_int_equal(s.sends, 1);
    hear(&s, 1, NOTE_LOOKING, 6, 99, 9, 9); // a voter for one that is not: ignored
    assert_int_equal(s.sends, 0);
    assert_int_equal(fle_round(s.fle), 1);
    hear(&s, 5, NOTE_LOOKING, 5, 9, 3, 4);
    hear(&s, 6, NOTE_LOOKING, 6, 99, 9, 9);
    check_sent(&s, 6, NOTE_LOOKING, 5, 9, 3, 4); // what it would vote for now
    close_server(&s);
}

static void an_observer_follows_what_the_voters_agree_on(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 6, five);
    start(&s, 9, 4);
    assert_int_equal(s.sends, 5);
    check_sent(&s, 1, NOTE_LOOKING, MEMBERS_NOBODY, MEMBERS_NOBODY, 1, MEMBERS_NOBODY);
    hear(&s, 1, NOTE_LOOKING, 5, 3, 1, 0);
    hear(&s, 2, NOTE_LOOKING, 5, 3, 1, 0);
    pass_ms(&s, 150);
    assert_int_equal(s.sends, 0);
    hear(&s, 5, NOTE_LOOKING, 5, 3, 1, 0);
    pass_ms(&s, 200);
    check_elected(&s, NOTE_OBSERVING, 5);
    start(&s, 9, 4);
    hear(&s, 1, NOTE_FOLLOWING, 5, 3, 1, 1);
    hear(&s, 2, NOTE_FOLLOWING, 5, 3, 1, 1);
    hear(&s, 5, NOTE_LEADING, 5, 3, 1, 1);
    check_elected(&s, NOTE_OBSERVING, 5);
    close_server(&s);
}

static void groups_and_weights_decide(void **state)
{
    (void)state;
    static const char text[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2\n"
                               "server.5=e:1:2\ngroup.1=1:2:3\ngroup.2=4:5\nweight.5=0\nversion=0";
    struct server s;
    open_server(&s, 1, text);
    start(&s, 5, 0);
    hear(&s, 5, NOTE_LOOKING, 5, 99, 1, 0); // has no weight: never better
    assert_int_equal(s.sends, 0);
    hear(&s, 2, NOTE_LOOKING, 3, 5, 1, 0);
    hear(&s, 3, NOTE_LOOKING, 3, 5, 1, 0);
    pass_ms(&s, 150);
    assert_false(s.elected); // only one of two groups
    hear(&s, 4, NOTE_LOOKING, 3, 5, 1, 0);
    pass_ms(&s, 200);
    check_elected(&s, NOTE_FOLLOWING, 3);
    close_server(&s);
}

static void both_memberships_must_agree(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 3, three);
    set_members(&s, three, "server.3=c:1:2\nserver.4=d:1:2\nserver.5=e:1:2\nversion=7", false);
    start(&s, 9, 0);
    assert_int_equal(s.sends, 4);
    hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    pass_ms(&s, 150);
    hear(&s, 4, NOTE_LOOKING, 3, 9, 1, 0);
    assert_false(s.elected);
    pass_ms(&s, 200);
    check_elected(&s, NOTE_LEADING, 3);
    close_server(&s);
}

static const char newer[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=9";
static const char other[] = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:9\nversion=a";

static struct note with_members(const char *text)
{
    return (struct note){NOTE_LOOKING, 2, 9, 5, 0, 2, slice_str(text)};
}

static void a_newer_membership_is_news_only_while_looking(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 1, three);
    start(&s, 0, 0);
    hear_note(&s, 2, with_members("server.1=nonsense\nversion=9"));
    assert_null(s.heard);
    assert_int_equal(fle_round(s.fle), 5); // the rest of the message counts
    hear_note(&s, 2, with_members(newer));
    assert_int_equal(s.heard->version, 9);
    set_members(&s, newer, NULL, false); // the same servers: it goes on
    assert_int_equal(fle_round(s.fle), 5);
    hear_note(&s, 2, with_members(three)); // older
    assert_null(s.heard);
    hear_note(&s, 2, with_members(other));
    assert_int_equal(s.heard->version, 10);
    hear(&s, 2, NOTE_LOOKING, 2, 9, 5, 0);
    assert_int_equal(s.sends, 0); // it stands still
    struct mono at;
    assert_false(fle_next(s.fle, &at));
    set_members(&s, other, NULL, true);
    start(&s, 0, 0);
    assert_int_equal(fle_round(s.fle), 1);
    hear(&s, 2, NOTE_LOOKING, 2, 9, 1, 0);
    hear(&s, 3, NOTE_LOOKING, 2, 9, 1, 0);
    check_elected(&s, NOTE_FOLLOWING, 2);
    hear_note(&s, 2, with_members("server.1=z:1:2\nversion=ff"));
    assert_null(s.heard);
    close_server(&s);
    struct fle_settings deaf = {1, 200, 60000, 200, false};
    s = (struct server){.fle = fle_new(&deaf)};
    set_members(&s, three, NULL, false);
    start(&s, 0, 0);
    hear_note(&s, 2, with_members(other));
    assert_null(s.heard);
    assert_int_equal(fle_round(s.fle), 5);
    close_server(&s);
}

static void a_designated_leader_needs_no_election(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 1, three);
    start(&s, 0, 0);
    hear(&s, 2, NOTE_LOOKING, 3, 0, 1, 0);
    hear(&s, 3, NOTE_LOOKING, 3, 0, 1, 0);
    check_elected(&s, NOTE_FOLLOWING, 3);
    set_members(&s, other, NULL, true);
    step(&s, (struct fle_event){.type = FLE_ROLE, .role = {.leader = 1, .zxid = 0x100000005}});
    assert_int_equal(fle_state(s.fle), NOTE_LEADING);
    hear(&s, 2, NOTE_LOOKING, 2, 0, 1, 0);
    check_sent(&s, 2, NOTE_LEADING, 1, 0x100000005, -1, -1);
    step(&s, (struct fle_event){.type = FLE_ESTABLISHED, .epoch = 2});
    hear(&s, 2, NOTE_LOOKING, 2, 0, 1, 0);
    check_sent(&s, 2, NOTE_LEADING, 1, 0x100000005, -1, 2);
    hear(&s, 7, NOTE_LOOKING, MEMBERS_NOBODY, 0, 1, 0);
    check_sent(&s, 7, NOTE_LEADING, 1, 0x100000005, 0, 2); // the round, for who does not vote
    step(&s, (struct fle_event){.type = FLE_ROLE, .role = {.leader = 2, .zxid = 0x100000006}});
    assert_int_equal(fle_state(s.fle), NOTE_FOLLOWING);
    close_server(&s);
}

static void a_leader_hears_that_its_voter_looks_again(void **state)
{
    (void)state;
    struct server s;
    open_server(&s, 3, five);
    start(&s, 9, 0);
    hear(&s, 1, NOTE_LOOKING, 3, 9, 1, 0);
    hear(&s, 2, NOTE_LOOKING, 3, 9, 1, 0);
    pass_ms(&s, 200);
    check_elected(&s, NOTE_LEADING, 3);
    hear(&s, 2, NOTE_LOOKING, 2, 9, 2, 0);
    assert_int_equal(s.voter_looking, 2);
    hear(&s, 5, NOTE_LOOKING, 5, 0, 1, 0);
    assert_int_equal(s.voter_looking, 0);
    assert_int_equal(s.sends, 1);
    close_server(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_two_fresh_servers),
        cmocka_unit_test(golden_a_larger_server_joins),
        cmocka_unit_test(golden_a_smaller_server_comes_back),
        cmocka_unit_test(golden_a_stranger_learns_the_membership),
        cmocka_unit_test(golden_answers_with_a_role),
        cmocka_unit_test(a_server_alone_elects_itself_at_once),
        cmocka_unit_test(epoch_then_zxid_then_sid_decides),
        cmocka_unit_test(rounds),
        cmocka_unit_test(a_better_vote_while_finalizing_reopens_the_election),
        cmocka_unit_test(nobody_waits_for_a_better_vote_that_cannot_come),
        cmocka_unit_test(it_asks_again_less_and_less_often),
        cmocka_unit_test(a_joiner_needs_the_leaders_own_word),
        cmocka_unit_test(a_word_without_version_needs_no_epoch),
        cmocka_unit_test(its_own_old_followers_take_it_back_only_in_its_round),
        cmocka_unit_test(who_lost_data_neither_votes_nor_is_voted_for),
        cmocka_unit_test(observers_and_strangers_are_answered_and_not_counted),
        cmocka_unit_test(an_observer_follows_what_the_voters_agree_on),
        cmocka_unit_test(groups_and_weights_decide),
        cmocka_unit_test(both_memberships_must_agree),
        cmocka_unit_test(a_newer_membership_is_news_only_while_looking),
        cmocka_unit_test(a_designated_leader_needs_no_election),
        cmocka_unit_test(a_leader_hears_that_its_voter_looks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
