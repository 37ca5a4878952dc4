// SPDX-License-Identifier: Apache-2.0
//
// Who may speak for a session below an observer master, on a whole follower whose leader, observer
// and clients the test plays: what a client writes where the session is not any more is refused,
// and a client that is there all the same is brought to renew it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/endian.h"
#include "test/support/node_rig.h"
#include "test/support/serve_rig.h"
#include "wire/jute.h"

enum { LEADER = 3, OBSERVER = 4, PORT = 2400, ANSWER_LEN = 41, TIMEOUT_MS = 10000 };

struct world {
    struct nrig *r;
    uint32_t leader, observer, client;
    int64_t session; // the client's, made at the master
    int64_t zxid;    // of the last commit
};

// ---- the leader ---------------------------------------------------------------------------------

static void expect_at_leader(struct world *w, enum qpacket_type type, struct qpacket *k)
{
    bool more = nrig_next(w->r, w->leader, k);
    while (more && (k->type == QPACKET_ACK || k->type == QPACKET_PING)) {
        more = nrig_next(w->r, w->leader, k);
    }
    assert_true(more);
    assert_int_equal(k->type, type);
}

static struct learner_request expect_request(struct world *w, struct slice *body)
{
    struct qpacket k;
    struct learner_request q;
    expect_at_leader(w, QPACKET_REQUEST, &k);
    assert_int_equal(qpacket_get(k.data, &record_learner_request, &q, body), ERR_OK);
    return q;
}

// Of what was passed on, which path is to be deleted.
static const char *expect_delete(struct world *w, int32_t cxid)
{
    struct slice body;
    struct delete_request d;
    struct learner_request q = expect_request(w, &body);
    assert_int_equal(q.type, OP_DELETE);
    assert_int_equal(q.session_id, w->session);
    assert_int_equal(q.cxid, cxid);
    struct jute_in in = jute_in(body, 1 << 20);
    jute_get_record(&in, &record_delete_request, &d, &w->r->arena);
    assert_int_equal(in.err, ERR_OK);
    return slice_eq_str(d.path, "/") ? "/" : slice_eq_str(d.path, "/nothing") ? "/nothing" : "?";
}

static void commit(struct world *w, struct txn t)
{
    struct buf b = {0};
    t.hdr.zxid = ++w->zxid;
    t.hdr.time = 1;
    t.body.type = t.hdr.type;
    txn_encode(&b, &t);
    nrig_send(w->r, w->leader, QPACKET_PROPOSAL, w->zxid, buf_slice(&b));
    nrig_send(w->r, w->leader, QPACKET_COMMIT, w->zxid, SLICE_NULL);
    buf_fini(&b);
}

static void commit_error(struct world *w, int32_t cxid, enum zkerr err)
{
    struct txn t = {.hdr = {.client_id = w->session, .cxid = cxid, .type = OP_ERROR}};
    t.body.error.err = err;
    commit(w, t);
}

static void grant_renewal(struct world *w)
{
    struct qpacket k;
    struct session_touch ask;
    expect_at_leader(w, QPACKET_REVALIDATE, &k);
    assert_int_equal(qpacket_get(k.data, &record_session_touch, &ask, NULL), ERR_OK);
    assert_int_equal(ask.session_id, w->session);
    struct revalidate_answer a = {.session_id = w->session, .valid = true};
    nrig_send_record(w->r, w->leader, QPACKET_REVALIDATE, -1, &record_revalidate_answer, &a,
                     SLICE_NULL);
}

// ---- the observer -------------------------------------------------------------------------------

static void observer_comes(struct world *w)
{
    struct qpacket k;
    w->observer = nrig_accept(w->r, PORT);
    nrig_info(w->r, w->observer, QPACKET_OBSERVERINFO, OBSERVER);
    nrig_expect(w->r, w->observer, QPACKET_LEADERINFO, NULL);
    struct ack_epoch ack = {1};
    nrig_send_record(w->r, w->observer, QPACKET_ACKEPOCH, w->zxid, &record_ack_epoch, &ack,
                     SLICE_NULL);
    nrig_expect(w->r, w->observer, QPACKET_DIFF, NULL);
    nrig_expect(w->r, w->observer, QPACKET_NEWLEADER, &k);
    nrig_send(w->r, w->observer, QPACKET_ACK, k.zxid, SLICE_NULL);
    nrig_expect(w->r, w->observer, QPACKET_UPTODATE, NULL);
}

static void observer_deletes(struct world *w, int32_t cxid)
{
    struct buf b = {0}, frame = {0};
    struct id_vec ids = {NULL, -1};
    rig_put_delete(&frame, cxid, "/nothing");
    struct learner_request q = {w->session, cxid, OP_DELETE};
    qpacket_put_request(&b, &q, slice_skip(buf_slice(&frame), 12), &ids);
    nrig_put(w->r, w->observer, buf_slice(&b));
    buf_fini(&b);
    buf_fini(&frame);
}

static void observer_renews(struct world *w)
{
    struct session_touch ask = {w->session, TIMEOUT_MS};
    nrig_send_record(w->r, w->observer, QPACKET_REVALIDATE, -1, &record_session_touch, &ask,
                     SLICE_NULL);
    grant_renewal(w);
    nrig_expect(w->r, w->observer, QPACKET_REVALIDATE, NULL);
}

// ---- the client ---------------------------------------------------------------------------------

static struct slice take(struct world *w, size_t n)
{
    struct slice s = nrig_sent(w->r, w->client);
    assert_true(s.n >= n);
    w->r->f->net.conns[w->client].read += n;
    return slice_of(s.p, n);
}

static void client_renews(struct world *w)
{
    struct buf b = {0};
    w->client = nrig_accept(w->r, NRIG_CLIENTS);
    rig_put_renew(&b, w->session, false);
    nrig_put(w->r, w->client, buf_slice(&b));
    buf_fini(&b);
    grant_renewal(w);
    assert_int_equal(be64_get(take(w, ANSWER_LEN).p + 12), w->session);
}

static void client_deletes(struct world *w, int32_t cxid)
{
    struct buf b = {0};
    rig_put_delete(&b, cxid, "/nothing");
    nrig_put(w->r, w->client, buf_slice(&b));
    buf_fini(&b);
}

static void expect_answer(struct world *w, int32_t xid, enum zkerr err)
{
    struct slice s = take(w, 20);
    assert_int_equal((int32_t)be32_get(s.p + 4), xid);
    assert_int_equal((int32_t)be32_get(s.p + 16), err);
}

// A client of the master, and then an observer below it.
static int setup(void **state)
{
    static struct world world;
    struct world *w = *state = &world;
    w->r = nrig_new(1, 3, 1, "observerMasterPort=2400\n");
    w->leader = nrig_follow(w->r, LEADER);
    w->zxid = zxid_of_epoch(1);
    w->client = nrig_client(w->r, TIMEOUT_MS);
    struct learner_request q = expect_request(w, NULL);
    assert_int_equal(q.type, OP_CREATE_SESSION);
    w->session = q.session_id;
    struct txn t = {.hdr = {.client_id = q.session_id, .cxid = q.cxid, .type = q.type}};
    t.body.create_session.timeout_ms = TIMEOUT_MS;
    commit(w, t);
    take(w, ANSWER_LEN);
    observer_comes(w);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    nrig_free(&w->r);
    return 0;
}

// ---- cases --------------------------------------------------------------------------------------

// The client had gone to the observer, gave up there and came here; what it asked there comes now.
static void a_client_whose_renewal_elsewhere_came_late_comes_again(void **state)
{
    struct world *w = *state;
    uint32_t first = w->client;
    observer_renews(w);
    assert_true(nrig_open(w->r, first));
    client_deletes(w, 5);
    assert_string_equal(expect_delete(w, 5), "/"); // nothing that could be executed
    assert_false(nrig_open(w->r, first));
    assert_int_equal(nrig_sent(w->r, first).n, 0);
    commit_error(w, 5, ZK_BADARGUMENTS);

    client_renews(w);
    client_deletes(w, 6);
    assert_string_equal(expect_delete(w, 6), "/nothing");
    commit_error(w, 6, ZK_NONODE);
    expect_answer(w, 6, ZK_NONODE);
    assert_true(nrig_open(w->r, w->client));
    assert_true(nrig_open(w->r, w->observer));
}

// Reads and pings are answered wherever the client is.
static void a_client_that_only_reads_is_left_alone(void **state)
{
    struct world *w = *state;
    struct buf b = {0};
    observer_renews(w);
    nrig_pass(w->r, 3 * NRIG_TICK_MS);
    rig_put_read(&b, 5, OP_EXISTS, "/nothing", false);
    nrig_put(w->r, w->client, buf_slice(&b));
    expect_answer(w, 5, ZK_NONODE);
    assert_true(nrig_open(w->r, w->client));
    assert_true(nrig_open(w->r, w->observer));
    buf_fini(&b);
}

static void what_an_observer_passes_on_late_is_refused(void **state)
{
    struct world *w = *state;
    observer_renews(w);
    observer_deletes(w, 5);
    assert_string_equal(expect_delete(w, 5), "/nothing");
    client_renews(w);
    observer_deletes(w, 6); // was under way
    assert_string_equal(expect_delete(w, 6), "/");
    assert_true(nrig_open(w->r, w->observer)); // others are below it
    nrig_pass(w->r, NRIG_TICK_MS - 1);
    observer_deletes(w, 7);
    assert_string_equal(expect_delete(w, 7), "/");
    assert_true(nrig_open(w->r, w->observer));
    assert_true(nrig_open(w->r, w->client));
}

// It is no late one: the client is there, and what came late was its renewal here.
static void an_observer_whose_client_still_writes_comes_again(void **state)
{
    struct world *w = *state;
    uint32_t first = w->observer;
    observer_renews(w);
    client_renews(w);
    nrig_pass(w->r, 2 * NRIG_TICK_MS);
    assert_true(nrig_open(w->r, first));
    observer_deletes(w, 5);
    assert_string_equal(expect_delete(w, 5), "/");
    assert_false(nrig_open(w->r, first));
    assert_true(fake_env_logged(w->r->f, "it speaks for a session that was renewed elsewhere"));

    observer_comes(w);
    observer_renews(w);
    observer_deletes(w, 6);
    assert_string_equal(expect_delete(w, 6), "/nothing");
    assert_true(nrig_open(w->r, w->observer));
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_client_whose_renewal_elsewhere_came_late_comes_again),
        CASE(a_client_that_only_reads_is_left_alone),
        CASE(what_an_observer_passes_on_late_is_refused),
        CASE(an_observer_whose_client_still_writes_comes_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
