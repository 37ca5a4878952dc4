// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "test/support/node_rig.h"

// What a role had is gone: no connection, port, dial or feed of it.
static void expect_nothing_left(struct nrig *r)
{
    uint32_t listener;
    assert_null(r->n->ens->peers.first);
    assert_false(r->n->ens->listening);
    assert_false(
        fake_net_listener(&r->f->net, (uint16_t)(NRIG_QUORUM + r->n->ens->sid), &listener));
    for (int i = 1; i <= 5; i++) {
        assert_null(fake_net_dial(&r->f->net, (uint16_t)(NRIG_QUORUM + i)));
    }
    assert_int_equal(r->n->ens->dial, 0);
    assert_int_equal(r->n->ens->dial_again.ns, 0);
    assert_null(r->n->leader);
    assert_null(r->n->learner);
    assert_int_equal(r->n->open_n, 0);
}

static void it_leads_and_leaves_nothing(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    assert_int_equal(r->n->run, RUN_LOOKING);
    uint32_t conn = nrig_lead(r, 2);
    assert_true(nrig_open(r, conn));
    nrig_hang_up(r, conn); // no quorum
    nrig_pass(r, 2 * NRIG_TICK_MS);
    assert_int_equal(r->n->run, RUN_LOOKING);
    expect_nothing_left(r);
    nrig_free(&r);
}

static void it_follows_and_leaves_nothing(void **state)
{
    (void)state;
    struct nrig *r = nrig_new(1, 3, 0, NULL);
    uint32_t conn = nrig_follow(r, 3);
    assert_int_equal(r->n->run, RUN_FOLLOWING);
    nrig_hang_up(r, conn);
    assert_int_equal(r->n->run, RUN_LOOKING);
    expect_nothing_left(r);
    nrig_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_leads_and_leaves_nothing),
        cmocka_unit_test(it_follows_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
