// SPDX-License-Identifier: Apache-2.0
//
// Identities: Apache's digests, address text, who is added when.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "serve/auth.h"

static const struct net_addr home = {.family = 4, .ip = {127, 0, 0, 1}, .port = 5};

static void expect_addr(uint8_t family, const uint8_t ip[16], const char *want)
{
    struct net_addr a = {.family = family};
    memcpy(a.ip, ip, 16);
    struct buf b = {0};
    auth_addr_fmt(&a, &b);
    buf_put_u8(&b, 0);
    assert_string_equal((const char *)b.p, want);
    buf_fini(&b);
}

static void addresses_as_java_writes_them(void **state)
{
    (void)state;
    expect_addr(4, (const uint8_t[16]){10, 0, 200, 255}, "10.0.200.255");
    expect_addr(6, (const uint8_t[16]){[15] = 1}, "0:0:0:0:0:0:0:1");
    expect_addr(6, (const uint8_t[16]){0xfe, 0x80, [14] = 0x0a, [15] = 0xbc},
                "fe80:0:0:0:0:0:0:abc");
    expect_addr(6, (const uint8_t[16]){[10] = 0xff, 0xff, 192, 168, 1, 2}, "192.168.1.2");
}

static struct auth *apply(struct auth_config *cfg, struct auth *a, const char *scheme,
                          struct slice data, enum auth_result want)
{
    struct auth *longer;
    assert_int_equal(auth_packet_apply(cfg, a, slice_str(scheme), data, &longer), want);
    if (longer) {
        mem_free(a);
        return longer;
    }
    return a;
}

static void digests_add_identities_once(void **state)
{
    (void)state;
    struct auth_config cfg = {.digest_enabled = true,
                              .digest_alg = "SHA1",
                              .super_digest = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=",
                              .bytes_max = 1000};
    struct auth *a = auth_new(&home);
    assert_int_equal(a->n, 1);
    assert_true(slice_eq_str(a->ids[0].scheme, "ip"));
    assert_true(slice_eq_str(a->ids[0].id, "127.0.0.1"));
    a = apply(&cfg, a, "digest", SLICE_LIT("user:pass"), AUTH_OK);
    a = apply(&cfg, a, "digest", SLICE_LIT("user:pass"), AUTH_OK);
    a = apply(&cfg, a, "ip", SLICE_NULL, AUTH_OK);
    assert_int_equal(a->n, 2);
    assert_true(slice_eq_str(a->ids[1].id, "user:smGaoVKd/cQkjm7b88GyorAUz20="));
    assert_true(slice_eq_str(auth_user(&a->ids[1]), "user"));
    assert_true(slice_eq_str(auth_user(&a->ids[0]), "127.0.0.1"));
    a = apply(&cfg, a, "digest", SLICE_LIT(""), AUTH_OK);
    assert_int_equal(a->n, 3);
    assert_true(slice_eq_str(auth_user(&a->ids[2]), ""));
    a = apply(&cfg, a, "digest", SLICE_LIT("super:secret"), AUTH_OK);
    assert_int_equal(a->n, 5);
    assert_true(auth_is_super(a));
    assert_true(auth_has_scheme(a, "sasl, super"));
    assert_false(auth_has_scheme(a, "sasl,x509"));
    a = apply(&cfg, a, "digest", SLICE_NULL, AUTH_FAILED);
    a = apply(&cfg, a, "world", SLICE_LIT("anyone"), AUTH_FAILED);
    a = apply(&cfg, a, "sasl", SLICE_LIT("x"), AUTH_FAILED);
    a = apply(&cfg, a, "ensemble", SLICE_LIT("x"), AUTH_FAILED);
    assert_int_equal(a->n, 5);
    mem_free(a);
}

static void identities_are_bounded(void **state)
{
    (void)state;
    struct auth_config cfg = {.digest_enabled = true, .digest_alg = "SHA1", .bytes_max = 1000};
    struct auth *a = auth_new(&home);
    enum auth_result result = AUTH_OK;
    int added = 0;
    while (result == AUTH_OK) {
        assert_true(added < 100);
        struct auth *longer;
        struct buf b = {0};
        buf_fmt(&b, "user%d:pass", added++);
        result = auth_packet_apply(&cfg, a, SLICE_LIT("digest"), buf_slice(&b), &longer);
        buf_fini(&b);
        if (longer) {
            mem_free(a);
            a = longer;
        }
    }
    assert_int_equal(result, AUTH_FAILED);
    assert_true(added > 5);
    mem_free(a);
}

static void other_algorithms_and_switches(void **state)
{
    (void)state;
    struct auth_config cfg = {.digest_enabled = true, .digest_alg = "SHA-256", .bytes_max = 1000};
    struct auth *a = auth_new(&home);
    a = apply(&cfg, a, "digest", SLICE_LIT("user:pass"), AUTH_OK);
    assert_int_equal(a->ids[1].id.n, strlen("user:") + 44); // base64 of 32 bytes
    cfg.digest_alg = "no such thing";
    a = apply(&cfg, a, "digest", SLICE_LIT("user:pass"), AUTH_FAILED);
    cfg.digest_alg = NULL;
    cfg.digest_enabled = false;
    a = apply(&cfg, a, "digest", SLICE_LIT("user:pass"), AUTH_FAILED);
    cfg.ensemble_name = "prod,test";
    a = apply(&cfg, a, "ensemble", SLICE_LIT("test"), AUTH_OK);
    a = apply(&cfg, a, "ensemble", SLICE_NULL, AUTH_OK);
    a = apply(&cfg, a, "ensemble", SLICE_LIT("tes"), AUTH_CLOSE);
    mem_free(a);
}

static void lists(void **state)
{
    (void)state;
    assert_true(auth_list_has("a, b ,c", SLICE_LIT("b")));
    assert_true(auth_list_has("a, b ,c", SLICE_LIT("c")));
    assert_false(auth_list_has("a, b ,c", SLICE_LIT("")));
    assert_false(auth_list_has("ab", SLICE_LIT("a")));
    assert_false(auth_list_has(NULL, SLICE_LIT("a")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_as_java_writes_them),
        cmocka_unit_test(digests_add_identities_once),
        cmocka_unit_test(identities_are_bounded),
        cmocka_unit_test(other_algorithms_and_switches),
        cmocka_unit_test(lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
