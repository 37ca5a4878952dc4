// SPDX-License-Identifier: Apache-2.0
//
// Moments around the end of a role: what is heard just before START, and what is not said before
// it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fle/fle.h"

static struct fle *fle;
static struct members *members;
static struct mono now = {1000000000};

static void step(struct fle_event ev, struct fle_out *out)
{
    ev.now = now;
    fle_step(fle, &ev, out);
    fle_check(fle);
}

static void hear(int64_t sid, struct note n, struct fle_out *out)
{
    n.version = NOTE_VERSION;
    step((struct fle_event){.type = FLE_NOTE, .note = {.sid = sid, .note = &n}}, out);
}

static void start(struct fle_out *out)
{
    step((struct fle_event){.type = FLE_START,
                            .start = {.last_zxid = 0x100000005, .current_epoch = 1}},
         out);
}

// Server 1 of three follows server 3.
static void follow(void)
{
    struct fle_out out;
    struct fle_settings s = {
        .sid = 1, .wait_min_ms = 200, .wait_max_ms = 60000, .finalize_wait_ms = 200};
    assert_int_equal(members_parse(slice_str("server.1=h1:1:2:participant\n"
                                             "server.2=h2:1:2:participant\n"
                                             "server.3=h3:1:2:participant\nversion=0"),
                                   &members),
                     ERR_OK);
    fle = fle_new(&s);
    step((struct fle_event){.type = FLE_MEMBERS, .members = {.committed = members}}, &out);
    start(&out);
    hear(3, (struct note){NOTE_LEADING, 3, 0x100000005, 1, 1, 0, {0}}, &out);
    hear(2, (struct note){NOTE_FOLLOWING, 3, 0x100000005, 1, 1, 0, {0}}, &out);
    assert_int_equal(fle_state(fle), NOTE_FOLLOWING);
}

static void end(void)
{
    fle_free(&fle);
    members_free(&members);
}

static const struct note looking = {NOTE_LOOKING, 2, 0x100000005, 2, 1, 0, {0}};

static void a_word_heard_early_counts(void **state)
{
    (void)state;
    struct fle_out out;
    follow();
    hear(2, looking, &out); // it has lost the leader a moment before this server has
    assert_int_equal(out.n, 1);
    assert_int_equal(out.actions[0].note->state, NOTE_FOLLOWING);
    start(&out);
    assert_int_equal(fle_proposal(fle)->leader, 2);
    step((struct fle_event){.type = FLE_DOWN, .sid = 3}, &out); // and nothing better can come
    assert_int_equal(fle_state(fle), NOTE_FOLLOWING);
    assert_int_equal(fle_current(fle)->leader, 2);
    end();
}

static void a_word_heard_long_ago_does_not(void **state)
{
    (void)state;
    struct fle_out out;
    follow();
    hear(2, looking, &out);
    now = mono_add_ms(now, 501);
    start(&out);
    assert_int_equal(fle_proposal(fle)->leader, 1);
    end();
}

static void between_role_and_start_nothing_is_said(void **state)
{
    (void)state;
    struct fle_out out;
    follow();
    step((struct fle_event){.type = FLE_QUIET}, &out);
    hear(2, looking, &out); // an answer would say that server 3 still leads
    assert_int_equal(out.n, 0);
    hear(9, looking, &out);
    assert_int_equal(out.n, 0);
    start(&out);
    assert_int_equal(fle_proposal(fle)->leader, 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_word_heard_early_counts),
        cmocka_unit_test(a_word_heard_long_ago_does_not),
        cmocka_unit_test(between_role_and_start_nothing_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
