// SPDX-License-Identifier: Apache-2.0
//
// The bodies of read replies, and the errors in Apache's order.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "limits.h"
#include "test/support/tree_kit.h"
#include "wire/jute.h"

static struct buf out;
static struct arena arena;

static int setup(void **state)
{
    struct kit *k = malloc(sizeof(*k));
    struct acl secret[] = {{PERM_ALL, {SLICE_LIT("digest"), SLICE_LIT("u:h")}},
                           {PERM_ADMIN, {SLICE_LIT("ip"), SLICE_LIT("9.9.9.9")}}};
    struct acl_vec list = {secret, 2};
    kit_init(k);
    kit_ready(k);
    kit_create(k, "/a", "data", 0);
    kit_create(k, "/a/x", NULL, 1);
    kit_create(k, "/a/y", "", 1);
    kit_create_acl_body(k, "/secret", &list, 0);
    kit_do(k, 1, OP_CREATE);
    *state = k;
    return 0;
}

static int teardown(void **state)
{
    kit_fini(*state);
    free(*state);
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}

static struct jute_in answer(void)
{
    return jute_in(buf_slice(&out), 1 << 20);
}

static void data_and_stat(void **state)
{
    struct kit *k = *state;
    struct node_stat st;
    assert_int_equal(read_data(k->t, &k->who, SLICE_LIT("/a"), &out), ZK_OK);
    struct jute_in in = answer();
    assert_true(slice_eq_str(jute_get_bytes(&in), "data"));
    jute_get_record(&in, &record_node_stat, &st, NULL);
    assert_int_equal(in.err, ERR_OK);
    assert_int_equal(jute_left(&in), 0);
    assert_int_equal(st.num_children, 2);
    assert_int_equal(st.cversion, 2);
    assert_int_equal(st.data_length, 4);
    assert_int_equal(st.czxid, 2);
    buf_clear(&out);
    read_data(k->t, &k->who, SLICE_LIT("/a/x"), &out);
    in = answer();
    assert_true(slice_is_null(jute_get_bytes(&in)));
    buf_clear(&out);
    read_data(k->t, &k->who, SLICE_LIT("/a/y"), &out);
    in = answer();
    struct slice empty = jute_get_bytes(&in);
    assert_true(empty.p != NULL && empty.n == 0);
    buf_clear(&out);
    assert_int_equal(read_exists(k->t, &k->who, SLICE_LIT(""), &out), ZK_OK); // the root's alias
    assert_int_equal(out.n, 68);
}

static void errors_leave_no_body(void **state)
{
    struct kit *k = *state;
    struct slice nul = SLICE_LIT("/a\0b");
    assert_int_equal(read_exists(k->t, &k->who, nul, &out), ZK_BADARGUMENTS);
    assert_int_equal(read_data(k->t, &k->who, nul, &out), ZK_NONODE);
    assert_int_equal(read_exists(k->t, &k->who, SLICE_NULL, &out), ZK_MARSHALLINGERROR);
    assert_int_equal(read_data(k->t, &k->who, SLICE_NULL, &out), ZK_MARSHALLINGERROR);
    assert_int_equal(read_data(k->t, &k->who, SLICE_LIT("/a/"), &out), ZK_NONODE);
    assert_int_equal(read_data(k->t, &k->who, SLICE_LIT("//a"), &out), ZK_NONODE);
    assert_int_equal(read_data(k->t, &k->who, SLICE_LIT("a"), &out), ZK_NONODE);
    assert_int_equal(read_exists(k->t, &k->who, SLICE_LIT("/secret"), &out), ZK_NOAUTH);
    assert_int_equal(read_data(k->t, &k->who, SLICE_LIT("/secret"), &out), ZK_NOAUTH);
    assert_int_equal(read_acl(k->t, &k->who, SLICE_LIT("/secret"), &out), ZK_NOAUTH);
    assert_int_equal(read_children(k->t, &k->who, SLICE_LIT("/secret"), true, &out), ZK_NOAUTH);
    assert_int_equal(read_all_children_number(k->t, &k->who, SLICE_LIT("/secret"), &out),
                     ZK_NOAUTH);
    assert_int_equal(out.n, 0);
}

static struct slice shown_id(struct kit *k)
{
    struct acl_vec v;
    static const struct record_field field[] = {{FIELD_av, "acl"}};
    static const struct record_type type = {"acl", field, 1, sizeof(struct acl_vec)};
    buf_clear(&out);
    assert_int_equal(read_acl(k->t, &k->who, SLICE_LIT("/secret"), &out), ZK_OK);
    struct jute_in in = answer();
    jute_get_record(&in, &type, &v, &arena);
    assert_int_equal(v.n, 2);
    assert_int_equal(jute_left(&in), 68);
    return v.v[0].id.id;
}

static void digests_are_shown_to_admins_only(void **state)
{
    struct kit *k = *state;
    struct acl list[] = {{PERM_READ, {SLICE_LIT("digest"), SLICE_LIT("u:h")}},
                         {PERM_ADMIN, {SLICE_LIT("ip"), SLICE_LIT("9.9.9.9")}}};
    struct acl_vec v = {list, 2};
    k->ids[0] = (struct zk_id){SLICE_LIT("digest"), SLICE_LIT("u:h")};
    assert_true(slice_eq_str(shown_id(k), "u:h"));
    kit_set_acl_body(k, "/secret", &v, -1);
    assert_int_equal(kit_do(k, 1, OP_SET_ACL), ZK_OK);
    assert_true(slice_eq_str(shown_id(k), "u:x"));
    k->ids[0] = (struct zk_id){SLICE_LIT("ip"), SLICE_LIT("9.9.9.9")};
    assert_true(slice_eq_str(shown_id(k), "u:h"));
}

static void children(void **state)
{
    struct kit *k = *state;
    assert_int_equal(read_children(k->t, &k->who, SLICE_LIT("/a"), false, &out), ZK_OK);
    struct jute_in in = answer();
    assert_int_equal(jute_get_int(&in), 2);
    struct slice one = jute_get_bytes(&in), two = jute_get_bytes(&in);
    assert_true((slice_eq_str(one, "x") && slice_eq_str(two, "y")) ||
                (slice_eq_str(one, "y") && slice_eq_str(two, "x")));
    assert_int_equal(jute_left(&in), 0);
    buf_clear(&out);
    read_children(k->t, &k->who, SLICE_LIT("/a/x"), true, &out);
    assert_int_equal(out.n, 4 + 68);
    buf_clear(&out);
    read_all_children_number(k->t, &k->who, SLICE_LIT("/"), &out);
    read_all_children_number(k->t, &k->who, SLICE_LIT(""), &out); // counts "/" as well
    read_all_children_number(k->t, &k->who, SLICE_LIT("/a"), &out);
    read_all_children_number(k->t, &k->who, SLICE_LIT("/a/x"), &out);
    in = answer();
    assert_int_equal(jute_get_int(&in), 7);
    assert_int_equal(jute_get_int(&in), 8);
    assert_int_equal(jute_get_int(&in), 2);
    assert_int_equal(jute_get_int(&in), 0);
}

static void ephemerals_by_prefix(void **state)
{
    struct kit *k = *state;
    static const struct {
        const char *prefix;
        int32_t n;
    } cases[] = {{NULL, 2}, {"", 2}, {" ", 2}, {"/", 2}, {"/a/x", 1}, {"/a/", 2}, {"/b", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        buf_clear(&out);
        assert_int_equal(read_ephemerals(k->t, 1, slice_str(cases[i].prefix), &out), ZK_OK);
        struct jute_in in = answer();
        assert_int_equal(jute_get_int(&in), cases[i].n);
        for (int32_t c = 0; c < cases[i].n; c++) {
            assert_int_equal(jute_get_bytes(&in).n, 4);
        }
        assert_int_equal(jute_left(&in), 0);
    }
    buf_clear(&out);
    read_ephemerals(k->t, 2, SLICE_NULL, &out);
    assert_int_equal(out.n, 4);
}

static void put_read(struct buf *b, int32_t op, const char *path)
{
    struct multi_header h = {op, false, -1};
    struct path_watch_request r = {slice_str(path), false};
    jute_put_record(b, &record_multi_header, &h);
    jute_put_record(b, &record_path_watch_request, &r);
}

// A small request must not become a reply of gigabytes.
static void multi_reads_are_bounded(void **state)
{
    enum { DATA = 1000 * 1000, READS = 500 };
    struct kit *k = *state;
    char *data = malloc(DATA + 1);
    memset(data, 'x', DATA);
    data[DATA] = 0;
    kit_create(k, "/large", data, 0);
    free(data);
    struct buf body = {0};
    struct multi_header h, end = {-1, true, -1};
    for (int i = 0; i < READS; i++) {
        put_read(&body, OP_GET_DATA, "/large");
    }
    jute_put_record(&body, &record_multi_header, &end);
    assert_int_equal(read_multi(k->t, &k->who, buf_slice(&body), &out), ZK_OK);
    buf_fini(&body);
    assert_in_range(out.n, LIMIT_MULTI_READ_BYTES, LIMIT_MULTI_READ_BYTES + 2 * DATA);
    struct jute_in in = answer();
    int with_data = 0, refused = 0;
    for (jute_get_record(&in, &record_multi_header, &h, NULL); !h.done && !in.err;
         jute_get_record(&in, &record_multi_header, &h, NULL)) {
        if (h.err) {
            assert_int_equal(jute_get_int(&in), ZK_SYSTEMERROR);
            refused++;
        } else {
            assert_int_equal(jute_get_bytes(&in).n, DATA);
            jute_take(&in, 68);
            with_data++;
        }
    }
    assert_int_equal(in.err, ERR_OK);
    assert_int_equal(with_data, LIMIT_MULTI_READ_BYTES / DATA + 1);
    assert_int_equal(with_data + refused, READS);
}

static void multi_reads_stand_each_for_itself(void **state)
{
    struct kit *k = *state;
    struct buf body = {0};
    struct multi_header h, end = {-1, true, -1};
    put_read(&body, OP_GET_DATA, "/a");
    put_read(&body, OP_GET_CHILDREN, "/none");
    put_read(&body, OP_GET_CHILDREN, "/a/x");
    jute_put_record(&body, &record_multi_header, &end);
    assert_int_equal(read_multi(k->t, &k->who, buf_slice(&body), &out), ZK_OK);
    struct jute_in in = answer();
    jute_get_record(&in, &record_multi_header, &h, NULL);
    assert_int_equal(h.type, OP_GET_DATA);
    assert_true(slice_eq_str(jute_get_bytes(&in), "data"));
    jute_take(&in, 68);
    jute_get_record(&in, &record_multi_header, &h, NULL);
    assert_int_equal(h.type, -1);
    assert_int_equal(h.err, ZK_NONODE);
    assert_int_equal(jute_get_int(&in), ZK_NONODE);
    jute_get_record(&in, &record_multi_header, &h, NULL);
    assert_int_equal(h.type, OP_GET_CHILDREN);
    assert_int_equal(jute_get_int(&in), 0);
    jute_get_record(&in, &record_multi_header, &h, NULL);
    assert_true(h.done);
    assert_int_equal(jute_left(&in), 0);

    buf_clear(&out);
    buf_clear(&body);
    put_read(&body, OP_GET_DATA, "/a"); // and no terminator
    assert_int_equal(read_multi(k->t, &k->who, buf_slice(&body), &out), ZK_MARSHALLINGERROR);
    assert_int_equal(out.n, 0);
    put_read(&body, OP_EXISTS, "/a");
    assert_int_equal(read_multi(k->t, &k->who, buf_slice(&body), &out), ZK_MARSHALLINGERROR);
    assert_int_equal(out.n, 0);
    buf_clear(&body);
    put_read(&body, OP_CREATE, "/a");
    assert_int_equal(read_multi(k->t, &k->who, buf_slice(&body), &out), ZK_MARSHALLINGERROR);
    assert_int_equal(out.n, 9);
    buf_fini(&body);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(data_and_stat), T(errors_leave_no_body), T(digests_are_shown_to_admins_only),
        T(children),      T(ephemerals_by_prefix), T(multi_reads_stand_each_for_itself),
        T(children),      T(ephemerals_by_prefix), T(multi_reads_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
