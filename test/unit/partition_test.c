// SPDX-License-Identifier: Apache-2.0
//
// Sharing partitions: members against the server core: joining, leaving, connections cut at each
// message, lost sessions, failing memory; and over random courses that no partition has two owners
// and that everything settles. Who is to get what: partition_assign_test.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/partition.h"
#include "test/support/client_rig.h"

#include <cmocka.h>

enum { MEMBERS = 4, PARTITIONS = 7 };

struct world;

struct one {
    struct world *world;
    struct reeve *zk;
    struct reeve_partitions *m;
    bool owns[PARTITIONS];
    bool slow;       // answers revocations only when told to
    uint64_t answer; // to be given
    bool revoked[PARTITIONS];
    int assigned, revocations, lost, failed;
    enum reeve_error error;
};

struct world {
    struct crig *w;
    struct one ones[MEMBERS];
    int64_t fence[PARTITIONS];
};

static void answer(struct one *o)
{
    uint64_t number = o->answer;
    o->answer = 0;
    if (number && o->m) {
        for (int i = 0; i < PARTITIONS; i++) {
            if (o->revoked[i]) {
                o->revoked[i] = false;
                o->owns[i] = false;
            }
        }
        while (reeve_partition_released(o->m, number)) {
        }
    }
}

static void on_event(void *ctx, const struct reeve_partition_event *ev)
{
    struct one *o = ctx;
    for (size_t i = 0; i < ev->n; i++) {
        int p = ev->list[i].partition;
        assert_string_equal(ev->list[i].topic, "t");
        assert_in_range(p, 0, PARTITIONS - 1);
        switch (ev->what) {
        case REEVE_PARTITIONS_ASSIGNED:
            for (int k = 0; k < MEMBERS; k++) { // nobody else has it at this moment
                assert_false(o->world->ones[k].owns[p]);
            }
            assert_true(ev->list[i].czxid > o->world->fence[p]);
            o->world->fence[p] = ev->list[i].czxid;
            o->owns[p] = true;
            o->assigned++;
            break;
        case REEVE_PARTITIONS_REVOKED:
            assert_true(o->owns[p]);
            o->revoked[p] = true;
            o->revocations++;
            break;
        case REEVE_PARTITIONS_LOST:
            assert_true(o->owns[p]);
            o->owns[p] = false;
            o->revoked[p] = false;
            o->lost++;
            break;
        case REEVE_PARTITIONS_FAILED:
            break;
        }
    }
    if (ev->what == REEVE_PARTITIONS_FAILED) {
        o->failed++;
        o->error = ev->error;
    }
    if (ev->what == REEVE_PARTITIONS_REVOKED) {
        assert_int_equal(o->answer, 0); // one at a time
        o->answer = ev->answer;
        if (!o->slow) {
            answer(o);
        }
    }
    if (ev->what == REEVE_PARTITIONS_LOST) {
        bool any = false;
        for (int i = 0; i < PARTITIONS; i++) {
            any = any || o->revoked[i];
        }
        if (!any) {
            o->answer = 0;
        }
    }
}

static struct world *world_new(int clients)
{
    struct world *v = calloc(1, sizeof(*v));
    v->w = crig_new();
    for (int i = 0; i < clients; i++) {
        v->ones[i].world = v;
        v->ones[i].zk = crig_client(v->w, NULL);
    }
    return v;
}

static void world_free(struct world *v)
{
    for (int i = 0; i < MEMBERS; i++) {
        if (v->ones[i].m) {
            reeve_partition_leave(&v->ones[i].m);
        }
    }
    crig_free(&v->w);
    free(v);
}

static const struct reeve_topic seven[] = {{"t", 1, PARTITIONS}};

static void join_as(struct one *o, const char *id)
{
    const struct reeve_partition_options options = {.id = id};
    assert_int_equal(reeve_partition_join(&o->m, o->zk, "g", seven, 1, on_event, o, &options),
                     REEVE_OK);
}

static void leave(struct one *o)
{
    memset(o->owns, 0, sizeof(o->owns));
    memset(o->revoked, 0, sizeof(o->revoked));
    o->answer = 0;
    reeve_partition_leave(&o->m);
}

static int owned(const struct one *o)
{
    int n = 0;
    for (int i = 0; i < PARTITIONS; i++) {
        n += o->owns[i];
    }
    return n;
}

static char *text_at(struct world *v, const char *path)
{
    struct reeve *eye = crig_client(v->w, NULL);
    struct reeve_result r;
    enum reeve_error e = reeve_get(eye, path, NULL, &r);
    assert_true(e == REEVE_OK || e == REEVE_NO_NODE);
    char *copy = e ? NULL : strdup(r.data ? r.data : "");
    reeve_result_fini(&r);
    crig_close(v->w, &eye);
    return copy;
}

static void expect_text(struct world *v, const char *path, const char *want)
{
    char *got = text_at(v, path);
    assert_string_equal(got ? got : "(none)", want);
    free(got);
}

static void expect_settled(struct world *v)
{
    int total = 0;
    int members = 0;
    for (int i = 0; i < MEMBERS; i++) {
        total += owned(&v->ones[i]);
        members += v->ones[i].m != NULL;
    }
    for (int i = 0; i < MEMBERS; i++) {
        if (v->ones[i].m) {
            assert_in_range(owned(&v->ones[i]), PARTITIONS / members, PARTITIONS / members + 1);
        }
    }
    assert_int_equal(total, members ? PARTITIONS : 0);
}

static void shares_and_moves(void **state)
{
    (void)state;
    struct world *v = world_new(3);
    struct one *o = v->ones;
    join_as(&o[0], "a");
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    expect_text(v, "/consumers/g/owners/t/6", "a-0");
    char *self = text_at(v, "/consumers/g/ids/a");
    static const char head[] =
        "{\"version\":1,\"subscription\":{\"t\":1},\"pattern\":\"static\",\"timestamp\":\"";
    assert_memory_equal(self, head, sizeof(head) - 1);
    free(self);
    join_as(&o[1], "b");
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 4);
    assert_int_equal(owned(&o[1]), 3);
    assert_int_equal(o[0].revocations, 3); // the others stay where they are
    assert_int_equal(o[0].assigned, 7);
    expect_text(v, "/consumers/g/owners/t/3", "a-0");
    expect_text(v, "/consumers/g/owners/t/4", "b-0");
    join_as(&o[2], "c");
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]) * 100 + owned(&o[1]) * 10 + owned(&o[2]), 322);
    leave(&o[0]);
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[1]), 4);
    assert_int_equal(owned(&o[2]), 3);
    expect_text(v, "/consumers/g/ids/a", "(none)");
    crig_drop(v->w, &o[1].zk); // dies: its session has to expire
    o[1].m = NULL;
    crig_advance(v->w, 5000);
    assert_int_equal(owned(&o[2]), 3);
    memset(o[1].owns, 0, sizeof(o[1].owns)); // it is dead
    crig_advance(v->w, 20000);
    assert_int_equal(owned(&o[2]), 7);
    assert_int_equal(o[2].failed, 0);
    world_free(v);
}

static void waits_for_the_answer(void **state)
{
    (void)state;
    struct world *v = world_new(2);
    struct one *o = v->ones;
    o[0].slow = true;
    join_as(&o[0], "a");
    crig_advance(v->w, 100);
    join_as(&o[1], "b");
    crig_advance(v->w, 60000);
    assert_int_equal(owned(&o[0]), 7);
    assert_int_equal(owned(&o[1]), 0);
    expect_text(v, "/consumers/g/owners/t/6", "a-0");
    // What it commits now still counts; the next owner begins there.
    assert_int_equal(reeve_partition_commit(o[0].m, "t", 6, 1234), REEVE_OK);
    answer(&o[0]);
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[1]), 3);
    int64_t offset;
    assert_int_equal(reeve_partition_fetch(o[1].m, "t", 6, &offset), REEVE_OK);
    assert_int_equal(offset, 1234);
    assert_int_equal(reeve_partition_commit(o[0].m, "t", 6, 1), REEVE_NO_NODE);
    assert_int_equal(reeve_partition_commit(o[1].m, "t", 6, 1300), REEVE_OK);
    expect_text(v, "/consumers/g/offsets/t/6", "1300");
    assert_int_equal(reeve_partition_fetch(o[1].m, "t", 5, &offset), REEVE_OK);
    assert_int_equal(offset, -1);
    assert_int_equal(reeve_set(o[0].zk, "/consumers/g/offsets/t/6", "12x", 3, -1, NULL), REEVE_OK);
    assert_int_equal(reeve_partition_fetch(o[1].m, "t", 6, &offset), REEVE_MALFORMED);
    // The new member goes before the answer: nothing moves any more.
    leave(&o[1]);
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    join_as(&o[1], "b");
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    leave(&o[1]);
    crig_advance(v->w, 100);
    answer(&o[0]);
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    world_free(v);
}

// The answer to a revocation that a lost session has settled is none to the next one.
static void ignores_late_answers(void **state)
{
    (void)state;
    struct world *v = world_new(2);
    struct one *o = v->ones;
    o[0].slow = true;
    join_as(&o[0], "a");
    crig_advance(v->w, 100);
    join_as(&o[1], "b");
    crig_advance(v->w, 100);
    uint64_t late = o[0].answer;
    assert_true(late != 0);
    crig_expire(v->w, o[0].zk);
    crig_advance(v->w, 20000);
    assert_int_equal(o[0].lost, 7);
    leave(&o[1]);
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    join_as(&o[1], "b");
    crig_advance(v->w, 100);
    assert_true(o[0].answer != 0 && o[0].answer != late);
    assert_int_equal(reeve_partition_released(o[0].m, late), REEVE_OK);
    crig_advance(v->w, 100);
    expect_text(v, "/consumers/g/owners/t/6", "a-0");
    answer(&o[0]);
    crig_advance(v->w, 100);
    expect_settled(v);
    world_free(v);
}

static void loses_everything_with_its_session(void **state)
{
    (void)state;
    struct world *v = world_new(2);
    struct one *o = v->ones;
    join_as(&o[0], "a");
    join_as(&o[1], "b");
    crig_advance(v->w, 100);
    crig_expire(v->w, o[0].zk);
    crig_advance(v->w, 20000);
    assert_int_equal(o[0].lost, 4);
    assert_int_equal(owned(&o[0]), 4);
    assert_int_equal(owned(&o[1]), 3);
    // Cut off: it gives up by its own clock, before the server does.
    crig_black_hole(v->w, o[0].zk, true);
    crig_hold(v->w, o[0].zk, true);
    crig_advance(v->w, 9000);
    crig_advance(v->w, 60000);
    assert_int_equal(o[0].lost, 8);
    assert_int_equal(owned(&o[0]), 0);
    assert_int_equal(owned(&o[1]), 7);
    crig_black_hole(v->w, o[0].zk, false);
    crig_hold(v->w, o[0].zk, false);
    crig_advance(v->w, 60000);
    assert_int_equal(owned(&o[0]), 4);
    assert_int_equal(owned(&o[1]), 3);
    world_free(v);
}

// Somebody deletes an owner's node: whoever had it is told, before it can be had by another.
static void notices_a_stolen_node(void **state)
{
    (void)state;
    struct world *v = world_new(2);
    struct one *o = v->ones;
    join_as(&o[0], "a");
    crig_advance(v->w, 100);
    assert_int_equal(reeve_delete(o[1].zk, "/consumers/g/owners/t/2", -1, NULL), REEVE_OK);
    crig_advance(v->w, 100);
    assert_int_equal(o[0].lost, 1);
    assert_int_equal(owned(&o[0]), 7);
    expect_text(v, "/consumers/g/owners/t/2", "a-0");
    assert_int_equal(reeve_delete(o[1].zk, "/consumers/g/ids/a", -1, NULL), REEVE_OK);
    crig_advance(v->w, 1000);
    assert_int_equal(owned(&o[0]), 7);
    world_free(v);
}

// Its place in the group, too: without it the others divide as if it were not there.
static void registers_again_when_its_id_was_deleted(void **state)
{
    (void)state;
    struct world *v = world_new(2);
    struct one *o = v->ones;
    join_as(&o[0], "a");
    join_as(&o[1], "b");
    crig_advance(v->w, 100);
    assert_int_equal(reeve_delete(o[1].zk, "/consumers/g/ids/a", -1, NULL), REEVE_OK);
    crig_advance(v->w, 1000);
    char *self = text_at(v, "/consumers/g/ids/a");
    assert_non_null(self);
    free(self);
    expect_settled(v);
    world_free(v);
}

// Changed and deleted at once: the watch on the node tells of the change, and of nothing after it.
static void notices_what_a_change_hides(void **state)
{
    (void)state;
    struct world *v = world_new(3);
    struct one *o = v->ones;
    join_as(&o[0], "a");
    crig_advance(v->w, 100);
    const char *path = "/consumers/g/owners/t/2";
    struct reeve_request parts[] = {
        {.op = REEVE_OP_SET, .path = path, .version = REEVE_ANY_VERSION},
        {.op = REEVE_OP_DELETE, .path = path, .version = REEVE_ANY_VERSION},
        {.op = REEVE_OP_CREATE,
         .path = path,
         .data = "x-0",
         .data_len = 3,
         .flags = REEVE_EPHEMERAL}};
    struct reeve_request q = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 2};
    assert_int_equal(reeve_call(o[1].zk, &q, NULL), REEVE_OK);
    crig_advance(v->w, 100);
    assert_int_equal(o[0].lost, 1); // it was not ours for a moment
    assert_int_equal(owned(&o[0]), 7);
    q.parts_n = 3;
    assert_int_equal(reeve_call(o[1].zk, &q, NULL), REEVE_OK); // and here is somebody else's
    crig_advance(v->w, 100);
    assert_int_equal(o[0].lost, 2);
    assert_int_equal(owned(&o[0]), 6);
    crig_cut(v->w, o[0].zk); // the same while nobody can tell
    crig_refuse(v->w, o[0].zk, true);
    parts[0].path = parts[1].path = parts[2].path = "/consumers/g/owners/t/3";
    assert_int_equal(reeve_call(o[1].zk, &q, NULL), REEVE_OK);
    crig_refuse(v->w, o[0].zk, false);
    crig_advance(v->w, 3000);
    assert_int_equal(o[0].lost, 3);
    assert_int_equal(owned(&o[0]), 5);
    crig_close(v->w, &o[1].zk); // they come back
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    world_free(v);
}

// Two members of one program: their session owns the nodes of both.
static void members_of_one_session_are_two(void **state)
{
    (void)state;
    struct world *v = world_new(1);
    struct one *o = v->ones;
    o[1].world = v;
    o[1].zk = o[0].zk;
    o[0].slow = true;
    join_as(&o[0], "a");
    crig_advance(v->w, 100);
    join_as(&o[1], "b");
    crig_advance(v->w, 5000);
    assert_int_equal(owned(&o[0]), 7);
    assert_int_equal(owned(&o[1]), 0);
    expect_text(v, "/consumers/g/owners/t/6", "a-0");
    crig_cut(v->w, o[0].zk);
    crig_advance(v->w, 5000);
    assert_int_equal(owned(&o[0]), 7);
    answer(&o[0]);
    crig_advance(v->w, 100);
    expect_settled(v);
    expect_text(v, "/consumers/g/owners/t/6", "b-0");
    o[0].slow = false;
    leave(&o[1]);
    crig_advance(v->w, 100);
    assert_int_equal(owned(&o[0]), 7);
    world_free(v);
}

static void follows_the_brokers_topics(void **state)
{
    (void)state;
    struct world *v = world_new(1);
    struct one *o = v->ones;
    const struct reeve_topic t[] = {{"t", 1, 0}};
    assert_int_equal(reeve_partition_join(&o->m, o->zk, "g", t, 1, on_event, o, NULL), REEVE_OK);
    assert_memory_equal(reeve_partition_id(o->m), "g_", 2);
    crig_advance(v->w, 100);
    assert_int_equal(owned(o), 0);
    reeve_create(o->zk, "/brokers", "", 0, 0, NULL);
    reeve_create(o->zk, "/brokers/topics", "", 0, 0, NULL);
    static const char two[] = "{\"version\":1,\"partitions\":{\"1\":[0],\"0\":[0]}}";
    static const char three[] = "{\"version\":1,\"partitions\":{\"1\":[0],\"0\":[0],\"2\":[0]}}";
    assert_int_equal(reeve_create(o->zk, "/brokers/topics/t", two, sizeof(two) - 1, 0, NULL), 0);
    crig_advance(v->w, 100);
    assert_int_equal(owned(o), 2);
    assert_int_equal(reeve_set(o->zk, "/brokers/topics/t", three, sizeof(three) - 1, -1, NULL), 0);
    crig_advance(v->w, 100);
    assert_int_equal(owned(o), 3);
    assert_int_equal(reeve_set(o->zk, "/brokers/topics/t", "{", 1, -1, NULL), 0);
    crig_advance(v->w, 100);
    assert_int_equal(owned(o), 3); // unreadable: what is held stays
    assert_int_equal(o->error, REEVE_MALFORMED);
    assert_int_equal(reeve_delete(o->zk, "/brokers/topics/t", -1, NULL), 0);
    crig_advance(v->w, 100);
    assert_int_equal(owned(o), 0);
    world_free(v);
}

static void refuses_bad_arguments(void **state)
{
    (void)state;
    struct world *v = world_new(1);
    struct one *o = v->ones;
    const struct reeve_topic twice[] = {{"t", 1, 1}, {"t", 1, 1}};
    const struct reeve_topic bad[] = {{"a/b", 1, 1}, {"t", -1, 1}, {"t", 1, -1}, {"t", 9999, 1}};
    assert_int_equal(reeve_partition_join(&o->m, o->zk, "g", twice, 2, on_event, o, NULL),
                     REEVE_BAD_ARGUMENTS);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(reeve_partition_join(&o->m, o->zk, "g", &bad[i], 1, on_event, o, NULL),
                         REEVE_BAD_ARGUMENTS);
    }
    assert_int_equal(reeve_partition_join(&o->m, o->zk, "g/h", seven, 1, on_event, o, NULL),
                     REEVE_BAD_ARGUMENTS);
    assert_int_equal(reeve_partition_join(&o->m, o->zk, "g", seven, 0, on_event, o, NULL),
                     REEVE_BAD_ARGUMENTS);
    assert_null(o->m);
    join_as(o, "a");
    assert_int_equal(reeve_partition_commit(o->m, "t", -1, 1), REEVE_BAD_ARGUMENTS);
    world_free(v);
}

static void goes_through_cuts(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < 75; cut += cut < 20 ? 1 : 2) {
            struct world *v = world_new(2);
            struct one *o = v->ones;
            crig_cut_after(v->w, o[0].zk, (enum crig_way)way, cut);
            join_as(&o[0], "a");
            join_as(&o[1], "b");
            crig_advance(v->w, 30000);
            expect_settled(v);
            // Of the one that goes, too: what it deletes twice must not be the other's by then.
            crig_cut_after(v->w, o[cut % 2].zk, (enum crig_way)way, cut / 2);
            leave(&o[0]);
            crig_advance(v->w, 30000);
            expect_settled(v);
            assert_int_equal(o[0].failed + o[1].failed, 0);
            assert_int_equal(o[0].lost + o[1].lost, 0);
            world_free(v);
        }
    }
}

// The answer to a deletion is lost, and the next owner is there before its sender is back: what is
// sent again must not hit the new owner's node.
static void deletes_nothing_of_the_next_owner(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < 25; cut++) {
            struct world *v = world_new(2);
            struct one *o = v->ones;
            join_as(&o[0], "a");
            crig_advance(v->w, 100);
            crig_cut_after(v->w, o[0].zk, (enum crig_way)way, cut);
            crig_refuse(v->w, o[0].zk, true);
            join_as(&o[1], "b");
            crig_advance(v->w, 2000);
            crig_refuse(v->w, o[0].zk, false);
            crig_advance(v->w, 30000);
            expect_settled(v);
            assert_int_equal(o[0].lost + o[1].lost, 0);
            world_free(v);
        }
    }
}

// Two members on one client: what belongs to the session of both belongs to one of them only.
static void knows_its_own_from_its_neighbours(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (size_t cut = 0; cut < 60; cut++) {
            struct world *v = world_new(1);
            struct one *o = v->ones;
            o[1] = (struct one){.world = v, .zk = o[0].zk, .slow = true};
            crig_cut_after(v->w, o[0].zk, (enum crig_way)way, cut);
            join_as(&o[1], "b");
            crig_advance(v->w, cut % 3 ? 100 : 0);
            join_as(&o[0], "a");
            crig_advance(v->w, 5000);
            answer(&o[1]);
            crig_advance(v->w, 30000);
            expect_settled(v);
            assert_int_equal(o[0].failed + o[1].failed, 0);
            assert_int_equal(o[0].lost + o[1].lost, 0);
            world_free(v);
        }
    }
}

static void ends_at_any_point(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        for (int steps = 0; steps < 60; steps += 1 + steps / 20) {
            struct world *v = world_new(2);
            struct one *o = v->ones;
            join_as(&o[1], "b");
            crig_advance(v->w, 100);
            join_as(&o[0], "a");
            for (int s = 0; s < steps; s++) {
                (void)crig_step(v->w);
            }
            if (how == 0) {
                leave(&o[0]);
            } else if (how == 1) {
                crig_close(v->w, &o[0].zk);
                assert_int_equal(owned(&o[0]), 0);
                o[0].m = NULL;
            } else {
                crig_drop(v->w, &o[0].zk);
                o[0].m = NULL;
                memset(o[0].owns, 0, sizeof(o[0].owns));
            }
            crig_advance(v->w, 30000);
            assert_int_equal(owned(&o[1]), PARTITIONS);
            world_free(v);
        }
    }
}

static void goes_through_lack_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (size_t n = 1; failed; n += 1 + n / 40) {
        struct world *v = world_new(2);
        struct one *o = v->ones;
        join_as(&o[1], "b");
        crig_advance(v->w, 100);
        crig_fail_alloc(v->w, n, 1 + n % 3);
        const struct reeve_partition_options options = {.id = "a"};
        enum reeve_error e =
            reeve_partition_join(&o[0].m, o[0].zk, "g", seven, 1, on_event, &o[0], &options);
        assert_true(e == REEVE_OK || e == REEVE_NO_MEMORY);
        crig_advance(v->w, 30000);
        failed = crig_alloc_failed(v->w);
        crig_fail_alloc(v->w, 0, 0);
        if (!e) {
            crig_cut(v->w, o[0].zk);
            crig_cut(v->w, o[1].zk); // without memory even for a timer it goes on with a connection
            crig_advance(v->w, 5000);
            expect_settled(v);
            assert_true(o[0].failed == 0 || o[0].error == REEVE_NO_MEMORY);
        }
        world_free(v);
    }
}

static void be_silent(struct world *v, struct one *o, int64_t ms)
{
    crig_hold(v->w, o->zk, true);
    crig_black_hole(v->w, o->zk, true);
    crig_advance(v->w, ms);
    crig_hold(v->w, o->zk, false);
    crig_black_hole(v->w, o->zk, false);
}

// Joins, leaves, deaths, cuts, silence, lost sessions, slow answers, in any order: on_event() sees
// that nobody has what another has, and at the end everybody has his share. Some are members of
// one program.
static void random_course(uint64_t seed)
{
    struct world *v = world_new(MEMBERS);
    if (seed % 3 == 0) {
        v->ones[2].zk = v->ones[0].zk;
        v->ones[3].zk = v->ones[1].zk;
    }
    uint64_t z = seed * 0x9e3779b97f4a7c15U + 1;
    static const char *const ids[] = {"a", "b", "c", "d"};
    for (int step = 0; step < 60; step++) {
        z ^= z << 13;
        z ^= z >> 7;
        z ^= z << 17;
        struct one *o = &v->ones[z % MEMBERS];
        switch ((z >> 8) % 8) {
        case 0:
        case 1:
            if (o->m) {
                leave(o);
            } else {
                join_as(o, ids[o - v->ones]);
            }
            break;
        case 2:
            crig_cut(v->w, o->zk);
            break;
        case 3:
            crig_cut_after(v->w, o->zk, (enum crig_way)(z >> 16 & 1), (z >> 20) % 12);
            break;
        case 4:
            be_silent(v, o, 25000); // the session goes; a server never ends one that it hears of
            break;
        case 5:
            o->slow = !o->slow;
            answer(o);
            break;
        case 6:
            be_silent(v, o, (int64_t)(z >> 24) % 15000);
            break;
        default:
            for (uint64_t s = (z >> 24) % 30; s > 0; s--) {
                (void)crig_step(v->w);
            }
            break;
        }
        crig_advance(v->w, (int64_t)(z >> 40) % 50);
    }
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < MEMBERS; i++) {
            v->ones[i].slow = false;
            answer(&v->ones[i]);
        }
        crig_advance(v->w, 3000);
    }
    expect_settled(v);
    world_free(v);
}

static void never_two_owners(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        random_course(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_and_moves),
        cmocka_unit_test(waits_for_the_answer),
        cmocka_unit_test(ignores_late_answers),
        cmocka_unit_test(loses_everything_with_its_session),
        cmocka_unit_test(notices_a_stolen_node),
        cmocka_unit_test(registers_again_when_its_id_was_deleted),
        cmocka_unit_test(notices_what_a_change_hides),
        cmocka_unit_test(members_of_one_session_are_two),
        cmocka_unit_test(follows_the_brokers_topics),
        cmocka_unit_test(refuses_bad_arguments),
        cmocka_unit_test(goes_through_cuts),
        cmocka_unit_test(deletes_nothing_of_the_next_owner),
        cmocka_unit_test(knows_its_own_from_its_neighbours),
        cmocka_unit_test(ends_at_any_point),
        cmocka_unit_test(goes_through_lack_of_memory),
        cmocka_unit_test(never_two_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
