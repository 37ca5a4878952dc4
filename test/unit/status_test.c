// SPDX-License-Identifier: Apache-2.0
//
// What the words are told about the role of this server.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "test/support/node_rig.h"

static void expect(struct nrig *r, const char *mode, const char *state)
{
    struct serve_facts *f = status_facts(r->n);
    assert_string_equal(f->mode, mode);
    assert_string_equal(f->ensemble->peer_state, state);
    assert_int_equal(f->ensemble->quorum_size, 3);
    assert_int_equal(f->ensemble->server_id, r->n->ens->sid);
}

static void a_server_that_looks(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    expect(r, "read-only", "looking");
    assert_int_equal(status_facts(r->n)->ensemble->elections, 1);
    nrig_free(&r);
}

static void a_leader_lists_its_learners(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 1, NULL);
    nrig_elect(r, 1);
    expect(r, "read-only", "leading - synchronization");
    nrig_learner(r, 2, false, 0);
    expect(r, "leader", "leading - broadcast");
    nrig_learner(r, 4, true, 0);
    const struct serve_ensemble *e = status_facts(r->n)->ensemble;
    assert_int_equal(e->epoch, 1);
    assert_int_equal(e->learners, 2);
    assert_int_equal(e->synced_followers, 1);
    assert_int_equal(e->synced_observers, 1);
    assert_int_equal(e->list_n, 2);
    bool observer = e->list[0].sid == 4;
    assert_string_equal(e->list[observer ? 0 : 1].role, "observer");
    assert_string_equal(e->list[observer ? 1 : 0].role, "participant");
    assert_non_null(strstr(e->list[0].address, "10.0.0.1:"));
    assert_true(e->list[0].synced);
    nrig_free(&r);
}

static void a_follower(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    nrig_elect(r, 3);
    expect(r, "read-only", "following - synchronization");
    nrig_hang_up(r, nrig_dialed(r, NRIG_QUORUM + 3));
    expect(r, "read-only", "looking");
    nrig_follow(r, 3);
    expect(r, "follower", "following - broadcast");
    assert_int_equal(status_facts(r->n)->ensemble->synced_observers, -1);
    nrig_free(&r);
}

static void an_observer(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(4, 3, 1, NULL);
    expect(r, "read-only", "looking");
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_looks),
        cmocka_unit_test(a_leader_lists_its_learners),
        cmocka_unit_test(a_follower),
        cmocka_unit_test(an_observer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
