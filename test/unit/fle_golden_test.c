// SPDX-License-Identifier: Apache-2.0
//
// The election of one server against captures of Apache's servers: given what its peers said, it
// sends the same bytes and comes to the same end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/support/capture.h"
#include "test/support/fle_rig.h"

struct replay {
    struct erig server;
    int64_t sid;
    int64_t dialer[32]; // by connection
    struct buf last[ERIG_PEERS];
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
    for (int i = 0; i < ERIG_PEERS; i++) {
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
    erig_members(&r->server, (const char *)text.p, NULL, true);
    assert_int_equal(fle_round(r->server.fle), 0);
    buf_fini(&text);
    erig_start(&r->server, r->zxid, r->epoch);
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
    erig_hear_note(&r->server, peer, n);
    keep_sent(r);
    if (r->server.heard) {
        adopt(r, c->connection);
    }
}

static void replay(struct replay *r, const char *path)
{
    struct capture c;
    capture_open(&c, path);
    erig_start(&r->server, r->zxid, r->epoch);
    keep_sent(r);
    while (capture_next(&c)) {
        if (c.bytes.p[0] == 0xff) {
            r->dialer[c.connection] = (int64_t)be64_get(c.bytes.p + 8);
        } else {
            replay_message(r, &c);
        }
    }
    capture_close(&c);
    for (int i = 0; i < ERIG_PEERS; i++) {
        buf_fini(&r->last[i]);
    }
}

static void open_replay(struct replay *r, int64_t sid, const struct note *first)
{
    char text[1024];
    snprintf(text, sizeof(text), "%.*s", SLICE_ARG(first->config));
    *r = (struct replay){.sid = sid};
    erig_open(&r->server, sid, text);
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
        erig_start(&r.server, 0, 0);
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
                erig_hear_note(&r.server, 3 - sid, m);
                keep_sent(&r);
            }
        }
        capture_close(&c);
        assert_true(slice_eq(said, buf_slice(&r.last[3 - sid])));
        assert_int_equal(erig_wait_ms(&r.server), 200);
        erig_pass_ms(&r.server, 200);
        erig_check_elected(&r.server, sid == 1 ? NOTE_FOLLOWING : NOTE_LEADING, 2);
        for (int i = 0; i < ERIG_PEERS; i++) {
            buf_fini(&r.last[i]);
        }
        erig_close(&r.server);
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
    erig_close(&r.server);
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
    erig_close(&r.server);
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
    erig_close(&r.server);
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
        struct erig *s = &r.server;
        erig_start(s, 0, 0);
        erig_hear(s, 3 - cases[i].from, NOTE_LOOKING, 2, 0, 1, 0);
        erig_pass_ms(s, 200);
        erig_check_elected(s, cases[i].from == 2 ? NOTE_LEADING : NOTE_FOLLOWING, 2);
        erig_step(s, (struct fle_event){.type = FLE_ESTABLISHED, .epoch = 1});
        erig_hear(s, 4, NOTE_LOOKING, MEMBERS_NOBODY, MEMBERS_NOBODY, 1, MEMBERS_NOBODY);
        assert_true(slice_eq(buf_slice(&s->sent[4]), buf_slice(&b)));
        erig_hear(s, 3, NOTE_LOOKING, 3, 0, 1, 0);
        assert_true(slice_eq(buf_slice(&s->sent[3]), buf_slice(&b)));
        erig_hear(s, 3, NOTE_FOLLOWING, 2, 0, 1, 1);
        assert_int_equal(s->sends, 0); // a voter with a role wants no answer
        erig_close(s);
        buf_fini(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_two_fresh_servers),
        cmocka_unit_test(golden_a_larger_server_joins),
        cmocka_unit_test(golden_a_smaller_server_comes_back),
        cmocka_unit_test(golden_a_stranger_learns_the_membership),
        cmocka_unit_test(golden_answers_with_a_role),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
