// SPDX-License-Identifier: Apache-2.0
//
// The order of one connection's requests: what waits, what is ready, what is found.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "serve/order.h"
#include "serve/orphan.h"

struct ctx {
    struct slab items;
    struct order o;
};

static int setup(void **state)
{
    struct ctx *x = calloc(1, sizeof(*x));
    order_slab_init(&x->items);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *x = *state;
    order_check(&x->o, &x->items);
    order_clear(&x->o, &x->items);
    assert_int_equal(x->items.live, 0);
    slab_fini(&x->items);
    free(x);
    return 0;
}

static struct order_item *push(struct ctx *x, enum order_kind kind, int32_t xid, int32_t op)
{
    struct order_item item = {.xid = xid, .op = op, .kind = (uint8_t)kind};
    return order_push(&x->o, &x->items, &item, SLICE_LIT("body"));
}

static void a_read_behind_a_write_waits_for_it(void **state)
{
    struct ctx *x = *state;
    struct order_item *w = push(x, ORDER_WRITE, 1, 5);
    push(x, ORDER_READ, 2, 4);
    assert_false(order_is_ready(&x->o, &x->items));
    order_answer(w, SLICE_LIT("reply"), false);
    assert_true(order_is_ready(&x->o, &x->items));
    assert_int_equal(order_head(&x->o, &x->items)->bytes_n, 5);
    order_pop(&x->o, &x->items);
    assert_true(order_is_ready(&x->o, &x->items));
    assert_int_equal(order_head(&x->o, &x->items)->xid, 2);
    assert_memory_equal(order_head(&x->o, &x->items)->bytes, "body", 4);
    order_pop(&x->o, &x->items);
    assert_null(order_head(&x->o, &x->items));
}

static void an_outcome_finds_the_oldest_of_its_kind(void **state)
{
    struct ctx *x = *state;
    push(x, ORDER_SYNC, 9, 9)->tag = 77;
    push(x, ORDER_READ, 1, 4);
    struct order_item *first = push(x, ORDER_WRITE, 5, 1);
    struct order_item *second = push(x, ORDER_WRITE, 5, 2);
    assert_ptr_equal(order_oldest_write(&x->o, &x->items), first);
    assert_ptr_equal(order_find_write(&x->o, &x->items, 5, 2), second);
    assert_null(order_find_write(&x->o, &x->items, 6, 2));
    order_answer(first, SLICE_LIT("r"), false);
    assert_ptr_equal(order_oldest_write(&x->o, &x->items), second);
    assert_null(order_find_sync(&x->o, &x->items, 78));
    assert_int_equal(order_find_sync(&x->o, &x->items, 77)->xid, 9);
}

static void only_positive_xids_count_for_throttling(void **state)
{
    struct ctx *x = *state;
    push(x, ORDER_WRITE, -2, 11);
    push(x, ORDER_WRITE, 0, 5);
    push(x, ORDER_WRITE, 1, 5);
    assert_int_equal(x->o.counted, 1);
    assert_int_equal(x->o.n, 3);
    order_check(&x->o, &x->items);
}

static void orphans_take_the_outcomes_of_their_connection(void **state)
{
    struct ctx *x = *state;
    struct orphans o;
    orphans_init(&o);
    push(x, ORDER_READ, 1, 4);
    orphan_keep(&o, &x->items, 100, &x->o); // no writes: nothing to keep
    assert_false(orphan_take(&o, &x->items, 100, 1));
    push(x, ORDER_WRITE, 2, 5);
    order_answer(push(x, ORDER_WRITE, 3, 5), SLICE_LIT("r"), false);
    push(x, ORDER_WRITE, 4, 5);
    orphan_keep(&o, &x->items, 100, &x->o);
    orphan_keep(&o, &x->items, 200, &x->o);
    assert_false(orphan_take(&o, &x->items, 300, 2));
    assert_false(orphan_take(&o, &x->items, 100, 4)); // not its turn, so another's
    assert_true(orphan_take(&o, &x->items, 100, 2));
    assert_true(orphan_take(&o, &x->items, 100, 4));
    assert_false(orphan_take(&o, &x->items, 100, 2));
    assert_int_equal(o.slab.live, 1);
    orphan_forget(&o, &x->items, 200);
    orphan_forget(&o, &x->items, 200);
    assert_int_equal(o.slab.live, 0);
    orphan_keep(&o, &x->items, 300, &x->o);
    orphans_fini(&o, &x->items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_read_behind_a_write_waits_for_it, setup, teardown),
        cmocka_unit_test_setup_teardown(an_outcome_finds_the_oldest_of_its_kind, setup, teardown),
        cmocka_unit_test_setup_teardown(only_positive_xids_count_for_throttling, setup, teardown),
        cmocka_unit_test_setup_teardown(orphans_take_the_outcomes_of_their_connection, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
