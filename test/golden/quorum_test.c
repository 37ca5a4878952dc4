// SPDX-License-Identifier: Apache-2.0
//
// The quorum port of Apache's servers, from captures: every packet of the raw streams and of the
// annotated ones is read, and comes out again byte for byte; its data reads as what its type
// promises; and each kind of synchronisation goes as the protocol says.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "disk/snapfile.h"
#include "test/support/capture.h"
#include "test/support/disk_kit.h"
#include "wire/members.h"
#include "wire/ops.h"
#include "wire/qpacket.h"
#include "wire/txn.h"

#define WIRE "test/golden/disk/wire/"

enum { BYTES_MAX = 2097150, TYPES = 20 };

// ---- one packet ---------------------------------------------------------------------------------

// A transaction is the same bytes again, and has the zxid of its packet.
static void check_txn(struct slice data, int64_t zxid)
{
    struct arena a = {0};
    struct txn t;
    struct buf b = {0};
    assert_int_equal(txn_decode(data, BYTES_MAX, &a, &t), ERR_OK);
    assert_int_equal(t.hdr.zxid, zxid);
    txn_encode(&b, &t);
    assert_true(slice_eq(buf_slice(&b), data));
    buf_fini(&b);
    arena_fini(&a);
}

static void check_record(struct slice data, const struct record_type *type, size_t rest_min)
{
    uint64_t rec[8];
    struct slice rest;
    struct buf b = {0};
    assert_int_equal(qpacket_get(data, type, rec, &rest), ERR_OK);
    assert_true(rest_min ? rest.n >= rest_min : rest.n == 0);
    jute_put_record(&b, type, rec);
    buf_put_slice(&b, rest);
    assert_true(slice_eq(buf_slice(&b), data));
    buf_fini(&b);
}

static void check_touches(struct slice data)
{
    size_t n;
    struct buf b = {0};
    assert_int_equal(qpacket_get_touches(data, &n), ERR_OK);
    for (size_t i = 0; i < n; i++) {
        struct session_touch t = qpacket_touch(data, i);
        qpacket_put_touch(&b, t.session_id, t.timeout_ms);
    }
    assert_true(slice_eq(buf_slice(&b), data));
    buf_fini(&b);
}

static void check_config(struct slice data)
{
    struct members *m;
    struct buf b = {0};
    assert_int_equal(members_parse(data, &m), ERR_OK);
    members_fmt(&b, m, MEMBERS_WIRE);
    assert_true(slice_eq(buf_slice(&b), data));
    members_free(&m);
    buf_fini(&b);
}

static void check_request(const struct qpacket *p)
{
    struct learner_request req;
    struct slice body;
    struct buf b = {0}, back = {0};
    assert_int_equal(p->zxid, -1);
    assert_int_equal(qpacket_get(p->data, &record_learner_request, &req, &body), ERR_OK);
    assert_non_null(op_find(req.type));
    qpacket_put_request(&b, &req, body, &p->authinfo);
    jute_put_record(&back, &record_qpacket, p);
    assert_true(slice_eq(buf_slice(&b), buf_slice(&back)));
    buf_fini(&b);
    buf_fini(&back);
}

static void check_data(const struct qpacket *p, bool from_leader)
{
    struct slice d = p->data;
    switch (p->type) {
    case QPACKET_REQUEST:
        check_request(p);
        return;
    case QPACKET_PROPOSAL:
    case QPACKET_INFORM:
        check_txn(d, p->zxid);
        return;
    case QPACKET_PING:
        if (from_leader) {
            assert_true(slice_is_null(d));
        } else {
            check_touches(d);
        }
        return;
    case QPACKET_REVALIDATE:
        check_record(d, from_leader ? &record_revalidate_answer : &record_session_touch, 0);
        return;
    case QPACKET_COMMITANDACTIVATE:
        check_record(d, &record_activation, 0);
        return;
    case QPACKET_INFORMANDACTIVATE:
        check_record(d, &record_activation, 32);
        check_txn(slice_skip(d, 8), p->zxid);
        return;
    case QPACKET_NEWLEADER:
        check_config(d);
        return;
    case QPACKET_FOLLOWERINFO:
    case QPACKET_OBSERVERINFO:
        check_record(d, &record_learner_info, 0);
        return;
    case QPACKET_LEADERINFO:
        check_record(d, &record_leader_info, 0);
        return;
    case QPACKET_ACKEPOCH:
        check_record(d, &record_ack_epoch, 0);
        return;
    default:
        assert_true(slice_is_null(d));
    }
}

// The packet at the front of `s`, which is then one of `*counts`.
static struct qpacket take(struct slice s, bool from_leader, struct arena *a, size_t *used,
                           int *counts)
{
    struct qpacket_reader r;
    struct qpacket p;
    struct buf b = {0}, text = {0};
    qpacket_reader_init(&r, BYTES_MAX);
    assert_int_equal(qpacket_next(&r, s, a, &p, used), ERR_OK);
    assert_true(p.type >= 1 && p.type < TYPES);
    if (p.authinfo.n < 0) {
        qpacket_put(&b, (enum qpacket_type)p.type, p.zxid, p.data);
    } else {
        assert_int_equal(p.type, QPACKET_REQUEST);
        jute_put_record(&b, &record_qpacket, &p);
    }
    assert_true(slice_eq(buf_slice(&b), slice_head(s, *used)));
    check_data(&p, from_leader);
    qpacket_fmt(&text, &p);
    buf_put_u8(&text, 0);
    assert_null(strstr((const char *)text.p, "unreadable"));
    counts[p.type]++;
    buf_fini(&b);
    buf_fini(&text);
    return p;
}

// ---- whole streams ------------------------------------------------------------------------------

// What was seen in one direction of a connection, in order.
struct seen {
    int32_t type[128];
    int64_t zxid[128];
    size_t n;
};

static void note(struct seen *s, const struct qpacket *p)
{
    assert_true(s->n < 128);
    s->type[s->n] = p->type;
    s->zxid[s->n++] = p->zxid;
}

// What is behind SNAP and is no packet: the body of a snapshot and the signature. Its length.
static size_t take_snapshot(struct slice s)
{
    static const uint8_t end[] = {0, 0, 0, 1, '/', 0, 0, 0, 10, 'B', 'e', 'n'};
    size_t n = 0;
    while (memcmp(s.p + n, end, sizeof(end)) != 0) {
        assert_true(++n + sizeof(end) <= s.n);
    }
    n += 5;
    struct snapfile_parser parser;
    struct snapfile_value v;
    snapfile_init(&parser, BYTES_MAX);
    parser.state = SNAPFILE_AT_SESSION_COUNT; // no file header on the wire
    snapfile_feed(&parser, slice_head(s, n));
    size_t nodes = 0;
    for (enum snapfile_item it; (it = snapfile_next(&parser, &v)) != SNAPFILE_MORE;) {
        assert_int_not_equal(it, SNAPFILE_BAD);
        nodes += it == SNAPFILE_NODE;
    }
    assert_int_equal(parser.state, SNAPFILE_AT_SEAL);
    assert_int_equal(snapfile_used(&parser), n);
    assert_true(nodes >= 3); // the root, /zookeeper and what is below it
    snapfile_fini(&parser);
    assert_int_equal(qpacket_get_signature(slice_skip(s, n)), ERR_OK);
    return n + QPACKET_SIGNATURE_LEN;
}

static void read_stream(const char *name, const char *way, struct seen *seen)
{
    char path[128];
    snprintf(path, sizeof(path), WIRE "%s.%s.bin", name, way);
    struct buf b = {0};
    struct arena a = {0};
    int counts[TYPES] = {0};
    dkit_read_file(path, &b);
    seen->n = 0;
    for (struct slice s = buf_slice(&b); s.n;) {
        size_t used;
        struct qpacket p = take(s, strcmp(way, "from-leader") == 0, &a, &used, counts);
        note(seen, &p);
        s = slice_skip(s, used);
        s = slice_skip(s, p.type == QPACKET_SNAP ? take_snapshot(s) : 0);
    }
    arena_fini(&a);
    buf_fini(&b);
}

// ---- annotated captures -------------------------------------------------------------------------

static bool is_packet(const struct capture *c)
{
    return !strstr(c->head, "SNAPSHOT-BODY") && !strstr(c->head, "SIGNATURE");
}

// `seen`: from the leader and to it; NULL where several connections are shown.
static int read_capture(const char *name, int *counts, struct seen *seen)
{
    char path[128];
    snprintf(path, sizeof(path), WIRE "%s.txt", name);
    struct capture c;
    struct arena a = {0};
    int n = 0;
    capture_open(&c, path);
    while (capture_next(&c)) {
        size_t used;
        if (is_packet(&c)) {
            struct qpacket p = take(buf_slice(&c.bytes), !c.by_dialer, &a, &used, counts);
            assert_int_equal(used, c.bytes.n);
            assert_non_null(strstr(c.head, qpacket_name(p.type))); // the head names its packet
            if (seen) {
                note(&seen[c.by_dialer], &p);
            }
            n++;
        } else if (strstr(c.head, "SIGNATURE")) {
            assert_int_equal(qpacket_get_signature(buf_slice(&c.bytes)), ERR_OK);
        }
        arena_reset(&a);
    }
    arena_fini(&a);
    capture_close(&c);
    return n;
}

static void annotated_captures_come_back(void **state)
{
    (void)state;
    static const char *const files[] = {"broadcast",
                                        "mixed-3.5.10-leader",
                                        "mixed-3.9.5-learner-diff",
                                        "observer-inform",
                                        "observer-master",
                                        "reconfig-add-observer",
                                        "reconfig-remove-leader",
                                        "reconfig-add-participant"};
    int counts[TYPES] = {0};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        assert_true(read_capture(files[i], counts, NULL) >= 5);
    }
    for (int t = 1; t < TYPES; t++) {
        assert_true(counts[t] > 0 || t == QPACKET_TRUNC); // which the next test has
    }
}

// ---- the sequences of a synchronisation ---------------------------------------------------------

struct sync_case {
    const char *name;
    bool streams; // raw streams are there, too
    int32_t hello;
    int64_t learner, epoch; // its last zxid; (e,0) of the leader
    int32_t open;
    int64_t open_zxid, first, last; // opening packet, and the proposals behind it
    bool elided;                    // the file leaves out some of those
};

static const struct sync_case sync_cases[] = {
    {"sync-diff-empty", true, QPACKET_FOLLOWERINFO, 0, 0x100000000, QPACKET_DIFF, 0, 0, 0, false},
    {"sync-diff-committedlog", true, QPACKET_FOLLOWERINFO, 0x100000006, 0x100000000, QPACKET_DIFF,
     0x100000009, 0x100000007, 0x100000009, false},
    {"sync-diff-txnlog", false, QPACKET_OBSERVERINFO, 0x200000005, 0x600000000, QPACKET_DIFF,
     0x500000001, 0x200000006, 0x500000001, true},
    {"sync-trunc", true, QPACKET_FOLLOWERINFO, 0x400000005, 0x500000000, QPACKET_TRUNC, 0x400000002,
     0, 0, false},
    {"sync-trunc-diff", false, QPACKET_OBSERVERINFO, 0x300000005, 0x600000000, QPACKET_TRUNC,
     0x20000026f, 0x300000011, 0x500000001, false},
    {"sync-snap", true, QPACKET_FOLLOWERINFO, 0, 0x100000000, QPACKET_SNAP, 0x100000000, 0, 0,
     false},
    {"sync-snap-cross-epoch", false, QPACKET_OBSERVERINFO, 0x400000007, 0x600000000, QPACKET_SNAP,
     0x600000000, 0, 0, false},
};

// Pairs of PROPOSAL and COMMIT from *i on, ascending from the case's first to its last.
static void check_proposals(const struct sync_case *k, const struct seen *s, size_t *i)
{
    int64_t last = 0;
    while (s->type[*i] == QPACKET_PROPOSAL || s->type[*i] == QPACKET_COMMIT) {
        int64_t z = s->zxid[*i];
        assert_true(last ? z > last : z == k->first);
        if (s->type[*i] == QPACKET_PROPOSAL) {
            *i += 1;
        } else {
            assert_true(k->elided);
        }
        assert_int_equal(s->type[*i], QPACKET_COMMIT);
        assert_int_equal(s->zxid[*i], z);
        *i += 1;
        last = z;
    }
    assert_int_equal(last, k->last);
}

static void check_from_leader(const struct sync_case *k, const struct seen *s)
{
    size_t i = 0;
    assert_int_equal(s->type[i], QPACKET_LEADERINFO);
    assert_int_equal(s->zxid[i++], k->epoch);
    assert_int_equal(s->type[i], k->open);
    assert_int_equal(s->zxid[i++], k->open_zxid);
    check_proposals(k, s, &i);
    assert_int_equal(s->type[i], QPACKET_NEWLEADER);
    assert_int_equal(s->zxid[i++], k->epoch);
    while (s->type[i] == QPACKET_PING) {
        i++;
    }
    assert_true(i < s->n);
    assert_int_equal(s->type[i], QPACKET_UPTODATE);
    assert_int_equal(s->zxid[i], -1);
}

static void check_to_leader(const struct sync_case *k, const struct seen *s)
{
    assert_true(s->n >= 4);
    assert_int_equal(s->type[0], k->hello);
    assert_int_equal(s->type[1], QPACKET_ACKEPOCH);
    assert_int_equal(s->zxid[1], k->learner);
    for (size_t i = 2; i < 4; i++) { // of NEWLEADER and of UPTODATE
        assert_int_equal(s->type[i], QPACKET_ACK);
        assert_int_equal(s->zxid[i], k->epoch);
    }
    if (!k->first || k->hello == QPACKET_OBSERVERINFO) {
        return;
    }
    for (size_t i = 4; k->first + (int64_t)i - 4 <= k->last; i++) { // as 3.8.0 does
        assert_int_equal(s->type[i], QPACKET_ACK);
        assert_int_equal(s->zxid[i], k->first + (int64_t)i - 4);
    }
}

static void synchronisations_go_as_written(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sync_cases) / sizeof(sync_cases[0]); i++) {
        const struct sync_case *k = &sync_cases[i];
        struct seen text[2] = {{.n = 0}, {.n = 0}}, from, to;
        int counts[TYPES] = {0};
        assert_true(read_capture(k->name, counts, text) > 0);
        check_from_leader(k, &text[0]);
        check_to_leader(k, &text[1]);
        if (k->streams) {
            read_stream(k->name, "from-leader", &from);
            read_stream(k->name, "to-leader", &to);
            check_from_leader(k, &from);
            check_to_leader(k, &to);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotated_captures_come_back),
        cmocka_unit_test(synchronisations_go_as_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
