// SPDX-License-Identifier: Apache-2.0
//
// The client's list of servers: what parses, rounds, back-off, and who moves for a new list.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/hosts.h"

static void *plain_alloc(void *ctx, void *p, size_t n)
{
    int *fail_in = ctx;
    if (n == 0) {
        free(p);
        return NULL;
    }
    if (*fail_in > 0 && --*fail_in == 0) {
        return NULL;
    }
    return realloc(p, n);
}

static int no_failure;
static struct rng rng;
static struct hosts hosts;
static char *chroot_text;
static char why[256];

static enum reeve_error init(const char *text, bool shuffle)
{
    struct reeve_allocator a = {plain_alloc, &no_failure};
    rng.state = 5;
    return hosts_init(&hosts, &a, &rng, shuffle, text, &chroot_text, why, sizeof(why));
}

static void fini(void)
{
    hosts_fini(&hosts);
    free(chroot_text);
    chroot_text = NULL;
}

// The list and the chroot as text.
static const char *parsed(const char *text)
{
    static char out[4096];
    why[0] = 0;
    enum reeve_error e = init(text, false);
    if (e) {
        snprintf(out, sizeof(out), "%d %s", e, why);
        assert_null(hosts.list);
        return out;
    }
    size_t n = 0;
    for (size_t i = 0; i < hosts.n; i++) {
        char name[HOST_TEXT_MAX];
        host_fmt(hosts.list[i].name, hosts.list[i].port, name);
        n += (size_t)snprintf(out + n, sizeof(out) - n, "%s ", name);
    }
    snprintf(out + n, sizeof(out) - n, "[%s]", chroot_text);
    fini();
    return out;
}

static void parses(void **state)
{
    (void)state;
    assert_string_equal(parsed("a"), "a:2181 []");
    assert_string_equal(parsed("a:1080,b:65535,c"), "a:1080 b:65535 c:2181 []");
    assert_string_equal(parsed(" a:1 , b ,,"), "a:1 b:2181 []");
    assert_string_equal(parsed("a/"), "a:2181 []");
    assert_string_equal(parsed("a:1,b:2/app/one"), "a:1 b:2 [/app/one]");
    assert_string_equal(parsed("[::1]:5,[fe80::1%eth0],10.0.0.1"),
                        "[::1]:5 [fe80::1%eth0]:2181 10.0.0.1:2181 []");
}

static void refuses(void **state)
{
    (void)state;
    assert_string_equal(parsed(NULL), "-8 servers: there is none: \"\"");
    assert_string_equal(parsed(""), "-8 servers: there is none: \"\"");
    assert_string_equal(parsed(" , "), "-8 servers: there is none: \" , \"");
    assert_string_equal(parsed("/app"), "-8 servers: there is none: \"\"");
    assert_string_equal(parsed("a:"), "-8 servers: this is no port: \"a:\"");
    assert_string_equal(parsed("a:0"), "-8 servers: this is no port: \"a:0\"");
    assert_string_equal(parsed("a:65536"), "-8 servers: this is no port: \"a:65536\"");
    assert_string_equal(parsed("a:4294967297"), "-8 servers: this is no port: \"a:4294967297\"");
    assert_string_equal(parsed("b,a:+1"), "-8 servers: this is no port: \"a:+1\"");
    assert_string_equal(parsed("::1"), "-8 servers: an IPv6 address needs brackets: \"::1\"");
    assert_string_equal(parsed("[::1"), "-8 servers: a bracket is not closed: \"[::1\"");
    assert_string_equal(parsed("[::1]x"),
                        "-8 servers: something follows the bracket that is no port: \"[::1]x\"");
    assert_string_equal(parsed("[]:1"), "-8 servers: a name is empty or too long: \"[]:1\"");
    assert_string_equal(parsed(":1"), "-8 servers: a name is empty or too long: \":1\"");
    assert_string_equal(parsed("a b"),
                        "-8 servers: a name has a character that no name has: \"a b\"");
    assert_string_equal(parsed("a/b//c"), "-8 servers: the chroot is no path: \"/b//c\"");
    assert_string_equal(parsed("a/b/"), "-8 servers: the chroot is no path: \"/b/\"");
    char many[HOSTS_MAX * 2 + 3] = "";
    for (int i = 0; i <= HOSTS_MAX; i++) {
        memcpy(many + i * 2, "a,", 3);
    }
    assert_memory_equal(parsed(many), "-8 servers: there are too many", 30);
    char name[HOST_NAME_MAX + 2] = "";
    memset(name, 'a', HOST_NAME_MAX + 1);
    assert_memory_equal(parsed(name), "-8 servers: a name is empty or too long", 39);
    assert_int_equal(init(name + 1, false), REEVE_OK);
    fini();
}

static void every_server_once_in_a_round(void **state)
{
    (void)state;
    assert_int_equal(init("a,b,c", false), REEVE_OK);
    assert_string_equal(hosts_next(&hosts)->name, "a");
    assert_string_equal(hosts_next(&hosts)->name, "b");
    hosts_give_back(&hosts, "a", HOSTS_PORT);
    hosts_failed(&hosts, "b", HOSTS_PORT, "it refused");
    assert_true(hosts_left(&hosts));
    assert_string_equal(hosts_next(&hosts)->name, "c");
    assert_string_equal(hosts_next(&hosts)->name, "a");
    assert_false(hosts_left(&hosts));
    assert_null(hosts_next(&hosts));
    char text[200];
    hosts_why(&hosts, text, sizeof(text));
    assert_string_equal(text, "no server: a:2181: not tried yet; b:2181: it refused; c:2181: not "
                              "tried yet");
    hosts_why(&hosts, text, 12);
    assert_string_equal(text, "no server: ");
    hosts_backoff_ms(&hosts);
    assert_string_equal(hosts_next(&hosts)->name, "b");
    hosts_lost(&hosts, "b", HOSTS_PORT);
    assert_string_equal(hosts_next(&hosts)->name, "c");
    hosts_prefer(&hosts, "c", HOSTS_PORT);
    assert_string_equal(hosts_next(&hosts)->name, "c");
    hosts_prefer(&hosts, "nobody", 1);
    size_t cursor = 0;
    assert_string_equal(hosts_other(&hosts, &cursor, "a", HOSTS_PORT)->name, "b");
    assert_string_equal(hosts_other(&hosts, &cursor, "a", HOSTS_PORT)->name, "c");
    assert_string_equal(hosts_other(&hosts, &cursor, "a", HOSTS_PORT)->name, "b");
    fini();
    assert_int_equal(init("a", false), REEVE_OK);
    assert_null(hosts_other(&hosts, &cursor, "a", HOSTS_PORT));
    fini();
}

static void backoff_doubles_with_full_jitter(void **state)
{
    (void)state;
    assert_int_equal(init("a", false), REEVE_OK);
    int64_t most = 50;
    for (int round = 0; round < 8; round++) {
        int64_t least_seen = INT64_MAX, most_seen = 0;
        for (int i = 0; i < 400; i++) {
            hosts.rounds = (unsigned)round;
            int64_t ms = hosts_backoff_ms(&hosts);
            least_seen = ms < least_seen ? ms : least_seen;
            most_seen = ms > most_seen ? ms : most_seen;
        }
        assert_in_range(least_seen, 1, most / 20);
        assert_in_range(most_seen, most * 19 / 20, most);
        most = most * 2 < 1000 ? most * 2 : 1000;
    }
    hosts.rounds = UINT32_MAX;
    assert_in_range(hosts_backoff_ms(&hosts), 1, 1000);
    hosts_settled(&hosts);
    assert_in_range(hosts_backoff_ms(&hosts), 1, 50);
    fini();
}

static void shuffles_every_order(void **state)
{
    (void)state;
    int seen[3][3] = {{0}};
    struct reeve_allocator a = {plain_alloc, &no_failure};
    struct rng r = {99};
    for (int i = 0; i < 600; i++) {
        assert_int_equal(hosts_init(&hosts, &a, &r, true, "a,b,c", &chroot_text, why, sizeof(why)),
                         REEVE_OK);
        for (int k = 0; k < 3; k++) {
            seen[k][hosts.list[k].name[0] - 'a']++;
        }
        fini();
    }
    for (int i = 0; i < 9; i++) {
        assert_in_range(seen[i / 3][i % 3], 150, 250);
    }
}

// How many of `clients` at each of the old servers move, and how many then are at each new one, in
// a list where every name is one letter.
static void spread(const char *before, const char *after, double *at)
{
    enum { CLIENTS = 3000 };
    struct rng r = {17};
    struct reeve_allocator a = {plain_alloc, &no_failure};
    size_t before_n = (strlen(before) + 1) / 2;
    memset(at, 0, 26 * sizeof(*at));
    for (int i = 0; i < CLIENTS; i++) {
        char name[2] = {before[2 * ((size_t)i % before_n)], 0};
        bool move;
        assert_int_equal(hosts_init(&hosts, &a, &r, true, before, &chroot_text, why, sizeof(why)),
                         REEVE_OK);
        assert_int_equal(hosts_update(&hosts, after, name, HOSTS_PORT, &move, why, sizeof(why)),
                         REEVE_OK);
        if (move) {
            name[0] = hosts_next(&hosts)->name[0];
        }
        at[name[0] - 'a'] += 1.0 / CLIENTS;
        fini();
    }
}

static void assert_share(double share, double want)
{
    assert_true(share > want - 0.04 && share < want + 0.04);
}

static void a_new_list_spreads_the_clients_evenly(void **state)
{
    (void)state;
    double at[26];
    spread("a,b,c", "a,b,c,d", at); // one more: everybody gives a quarter
    for (int i = 0; i < 4; i++) {
        assert_share(at[i], 0.25);
    }
    spread("a,b,c,d", "a,b", at); // fewer: only those of the gone ones move
    assert_share(at[0], 0.5);
    assert_share(at[1], 0.5);
    spread("a,b,c", "c,d,e,f", at); // some gone, more new
    for (int i = 2; i < 6; i++) {
        assert_share(at[i], 0.25);
    }
    spread("a,b,c", "a,d,e", at); // as many: the gone ones' clients go to the new
    assert_share(at[0], 1.0 / 3);
    assert_share(at[3], 1.0 / 3);
    assert_share(at[4], 1.0 / 3);
    spread("a,b,c,d,e", "a,b,f", at); // fewer, one new
    assert_share(at[0], 1.0 / 3);
    assert_share(at[1], 1.0 / 3);
    assert_share(at[5], 1.0 / 3);
    spread("a,b", "a,b", at); // the same: nobody moves
    assert_share(at[0], 0.5);
    spread("a,b", "c,d", at); // all others
    assert_share(at[2], 0.5);
    assert_share(at[3], 0.5);
}

static void a_move_tries_all_before_it_gives_up_balancing(void **state)
{
    (void)state;
    bool move;
    assert_int_equal(init("a,b", false), REEVE_OK);
    assert_int_equal(hosts_update(&hosts, "b,c,d", "a", HOSTS_PORT, &move, why, sizeof(why)),
                     REEVE_OK);
    assert_true(move);
    bool seen[4] = {false};
    for (int i = 0; i < 3; i++) {
        seen[hosts_next(&hosts)->name[0] - 'a'] = true;
    }
    assert_true(seen[1]);
    assert_true(seen[2]);
    assert_true(seen[3]);
    assert_null(hosts_next(&hosts));
    hosts_backoff_ms(&hosts);
    assert_non_null(hosts_next(&hosts));
    fini();
}

static void a_bad_new_list_changes_nothing(void **state)
{
    (void)state;
    bool move;
    assert_int_equal(init("a,b", false), REEVE_OK);
    assert_int_equal(hosts_update(&hosts, "c/x", "a", 1, &move, why, sizeof(why)),
                     REEVE_BAD_ARGUMENTS);
    assert_int_equal(hosts_update(&hosts, "c:x", "a", 1, &move, why, sizeof(why)),
                     REEVE_BAD_ARGUMENTS);
    no_failure = 1;
    assert_int_equal(hosts_update(&hosts, "c", "a", 1, &move, why, sizeof(why)), REEVE_NO_MEMORY);
    assert_int_equal(hosts.n, 2);
    assert_string_equal(hosts_next(&hosts)->name, "a");
    assert_int_equal(hosts_update(&hosts, "c", NULL, 0, &move, why, sizeof(why)), REEVE_OK);
    assert_false(move);
    assert_string_equal(hosts_next(&hosts)->name, "c");
    fini();
    for (int i = 1; i <= 2; i++) {
        no_failure = i;
        assert_int_equal(init("a,b/x", false), REEVE_NO_MEMORY);
        no_failure = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses),
        cmocka_unit_test(refuses),
        cmocka_unit_test(every_server_once_in_a_round),
        cmocka_unit_test(backoff_doubles_with_full_jitter),
        cmocka_unit_test(shuffles_every_order),
        cmocka_unit_test(a_new_list_spreads_the_clients_evenly),
        cmocka_unit_test(a_move_tries_all_before_it_gives_up_balancing),
        cmocka_unit_test(a_bad_new_list_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
