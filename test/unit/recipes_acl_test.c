// SPDX-License-Identifier: Apache-2.0
//
// options.acl of every recipe: whatever it makes, its parents included, has that list, so that a
// client that is not meant is refused, and is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reeve/barrier.h"
#include "reeve/counter.h"
#include "reeve/dubbo.h"
#include "reeve/election.h"
#include "reeve/group.h"
#include "reeve/partition.h"
#include "reeve/queue.h"
#include "reeve/rwlock.h"
#include "reeve/semaphore.h"
#include "test/support/client_rig.h"

static const struct reeve_acl ours[] = {{REEVE_PERM_ALL, "auth", ""},
                                        {REEVE_PERM_READ, "ip", "10.1.2.3"}};

struct used {
    struct crig *w;
    struct reeve *zk;
    const struct reeve_acl *acl;
    size_t n;
    enum reeve_error e; // what became of it
    bool told;
    void (*free)(struct used *u);
    void *handle;
};

typedef void use_fn(struct used *u);

static void on_done(void *ctx, enum reeve_error e)
{
    struct used *u = ctx;
    u->told = true;
    u->e = e;
}

static void wait_for(struct used *u)
{
    assert_true(crig_until(u->w, &u->told, 5000));
}

// ---- locks and their like -----------------------------------------------------------------------

static void free_lock(struct used *u)
{
    reeve_lock_free((struct reeve_lock **)&u->handle);
}

static void acquire(struct used *u, struct reeve_lock *l)
{
    u->handle = l;
    u->free = free_lock;
    u->e = u->e ? u->e : reeve_lock_acquire(l, 1000, NULL);
}

static struct reeve_lock_options lock_options(const struct used *u, enum reeve_layout layout)
{
    return (struct reeve_lock_options){.layout = layout, .acl = u->acl, .acl_n = u->n};
}

static void use_lock(struct used *u)
{
    struct reeve_lock *l;
    struct reeve_lock_options o = lock_options(u, REEVE_LAYOUT_CURATOR);
    u->e = reeve_lock_new(&l, u->zk, "/x/lock", &o);
    acquire(u, l);
}

static void use_kazoo_lock(struct used *u)
{
    struct reeve_lock *l;
    struct reeve_lock_options o = lock_options(u, REEVE_LAYOUT_KAZOO);
    u->e = reeve_lock_new(&l, u->zk, "/x/lock", &o);
    acquire(u, l);
}

static void use_reader(struct used *u)
{
    struct reeve_lock *l;
    struct reeve_lock_options o = lock_options(u, REEVE_LAYOUT_CURATOR);
    u->e = reeve_rwlock_reader_new(&l, u->zk, "/x/rw", &o);
    acquire(u, l);
}

static void use_lease(struct used *u)
{
    struct reeve_lock *l;
    struct reeve_lock_options o = lock_options(u, REEVE_LAYOUT_CURATOR);
    u->e = reeve_semaphore_new(&l, u->zk, "/x/leases", 2, &o);
    acquire(u, l);
}

static void use_kazoo_lease(struct used *u)
{
    struct reeve_lock *l;
    struct reeve_lock_options o = lock_options(u, REEVE_LAYOUT_KAZOO);
    u->e = reeve_semaphore_new(&l, u->zk, "/x/leases", 2, &o);
    acquire(u, l);
}

static void free_election(struct used *u)
{
    reeve_election_free((struct reeve_election **)&u->handle);
}

static void use_election(struct used *u)
{
    struct reeve_election *e = NULL;
    struct reeve_election_options o = {.id = "a", .acl = u->acl, .acl_n = u->n};
    u->e = reeve_election_new(&e, u->zk, "/x/leader", &o);
    u->e = u->e ? u->e : reeve_election_join(e);
    u->e = u->e ? u->e : reeve_election_wait(e, 1000, NULL);
    u->handle = e;
    u->free = free_election;
}

static void free_group(struct used *u)
{
    reeve_group_free((struct reeve_group **)&u->handle);
}

static void join_group(struct used *u, enum reeve_layout layout)
{
    struct reeve_group *g = NULL;
    struct reeve_group_options o = {.layout = layout, .id = "a", .acl = u->acl, .acl_n = u->n};
    u->e = reeve_group_new(&g, u->zk, "/x/group", &o);
    u->e = u->e ? u->e : reeve_group_join(g, 1000);
    u->handle = g;
    u->free = free_group;
}

static void use_group(struct used *u)
{
    join_group(u, REEVE_LAYOUT_CURATOR);
}

static void use_party(struct used *u)
{
    join_group(u, REEVE_LAYOUT_KAZOO);
}

// ---- queues, barriers, counters -----------------------------------------------------------------

static void free_queue(struct used *u)
{
    reeve_queue_free((struct reeve_queue **)&u->handle);
}

static void use_queue(struct used *u)
{
    struct reeve_queue *q = NULL;
    struct reeve_queue_item *item = NULL;
    struct reeve_queue_options o = {.acl = u->acl, .acl_n = u->n};
    struct reeve_queue_data two[] = {{"1", 1}, {"2", 1}};
    u->e = reeve_queue_new(&q, u->zk, "/x/queue", &o);
    u->e = u->e ? u->e : reeve_queue_put(q, "0", 1, REEVE_QUEUE_PRIORITY);
    u->e = u->e ? u->e : reeve_queue_put_many(q, two, 2, REEVE_QUEUE_PRIORITY);
    u->e = u->e ? u->e : reeve_queue_take(q, 1000, &item);
    u->e = u->e ? u->e : reeve_queue_finish(&item);
    u->e = u->e ? u->e : reeve_queue_take(q, 1000, &item);
    u->e = u->e ? u->e : reeve_queue_give_back(&item);
    u->handle = q;
    u->free = free_queue;
}

static void free_barrier(struct used *u)
{
    reeve_barrier_free((struct reeve_barrier **)&u->handle);
}

static void use_barrier(struct used *u)
{
    struct reeve_barrier *b = NULL;
    struct reeve_barrier_options o = {.acl = u->acl, .acl_n = u->n};
    u->e = reeve_barrier_new(&b, u->zk, "/x/gate", &o);
    u->e = u->e ? u->e : reeve_barrier_close(b);
    u->handle = b;
    u->free = free_barrier;
}

static void free_double(struct used *u)
{
    reeve_double_barrier_free((struct reeve_double_barrier **)&u->handle);
}

static void use_double(struct used *u)
{
    struct reeve_double_barrier *b = NULL;
    struct reeve_double_barrier_options o = {.acl = u->acl, .acl_n = u->n};
    u->e = reeve_double_barrier_new(&b, u->zk, "/x/doors", 1, &o);
    u->e = u->e ? u->e : reeve_double_barrier_enter(b, 1000);
    u->handle = b;
    u->free = free_double;
}

static void free_counter(struct used *u)
{
    reeve_counter_free((struct reeve_counter **)&u->handle);
}

static void use_counter(struct used *u)
{
    struct reeve_counter *c = NULL;
    struct reeve_counter_options o = {.acl = u->acl, .acl_n = u->n};
    u->e = reeve_counter_new(&c, u->zk, "/x/number", &o);
    u->e = u->e ? u->e : reeve_counter_add(c, 1, NULL);
    u->e = u->e ? u->e : reeve_counter_add(c, 1, NULL);
    u->handle = c;
    u->free = free_counter;
}

static void free_value(struct used *u)
{
    reeve_value_free((struct reeve_value **)&u->handle);
}

static void use_value(struct used *u)
{
    struct reeve_value *v = NULL;
    struct reeve_value_options o = {.seed = "1", .seed_len = 1, .acl = u->acl, .acl_n = u->n};
    u->e = reeve_value_new(&v, u->zk, "/x/value", &o);
    u->e = u->e ? u->e : reeve_value_set(v, "2", 1, REEVE_ANY_VERSION);
    u->handle = v;
    u->free = free_value;
}

// ---- names and shares ---------------------------------------------------------------------------

static void free_discovery(struct used *u)
{
    reeve_discovery_free((struct reeve_discovery **)&u->handle);
}

static void use_discovery(struct used *u)
{
    struct reeve_discovery *d = NULL;
    struct reeve_discovery_options o = {.acl = u->acl, .acl_n = u->n};
    struct reeve_instance me = {.name = "shop", .port = 80};
    u->e = reeve_discovery_new(&d, u->zk, "/x/services", &o);
    u->e = u->e ? u->e : reeve_discovery_register(d, &me, NULL);
    u->handle = d;
    u->free = free_discovery;
}

static void free_dubbo(struct used *u)
{
    reeve_dubbo_free((struct reeve_dubbo **)&u->handle);
}

static void use_dubbo(struct used *u)
{
    struct reeve_dubbo *d = NULL;
    struct reeve_dubbo_options o = {.root = "/x/dubbo", .acl = u->acl, .acl_n = u->n};
    struct reeve_dubbo_url me = {.protocol = "tri", .host = "h", .port = 1, .path = "a.B"};
    u->e = reeve_dubbo_new(&d, u->zk, &o);
    u->e = u->e ? u->e : reeve_dubbo_register(d, &me);
    u->handle = d;
    u->free = free_dubbo;
}

static void free_member(struct used *u)
{
    reeve_partition_leave((struct reeve_partitions **)&u->handle);
}

static void on_shares(void *ctx, const struct reeve_partition_event *ev)
{
    on_done(ctx, ev->what == REEVE_PARTITIONS_ASSIGNED ? REEVE_OK : ev->error);
}

static void use_partitions(struct used *u)
{
    struct reeve_partitions *m = NULL;
    struct reeve_topic topic = {.name = "t", .partitions = 2};
    struct reeve_partition_options o = {.root = "/x/consumers", .acl = u->acl, .acl_n = u->n};
    u->e = reeve_partition_join(&m, u->zk, "g", &topic, 1, on_shares, u, &o);
    if (m) {
        wait_for(u);
    }
    u->e = u->e ? u->e : reeve_partition_commit(m, "t", 0, 7);
    u->handle = m;
    u->free = free_member;
}

// ---- what all must do ---------------------------------------------------------------------------

static use_fn *const recipes[] = {use_lock,        use_kazoo_lock, use_reader, use_lease,
                                  use_kazoo_lease, use_election,   use_group,  use_party,
                                  use_queue,       use_barrier,    use_double, use_counter,
                                  use_value,       use_discovery,  use_dubbo,  use_partitions};
enum { ALL = sizeof(recipes) / sizeof(recipes[0]) };

static void setup(struct used *u, struct crig *w, bool known)
{
    *u = (struct used){.w = w, .zk = crig_client(w, NULL)};
    if (known) {
        assert_int_equal(reeve_add_auth(u->zk, "digest", "me:secret", 9, NULL), REEVE_OK);
    }
}

static void teardown(struct used *u)
{
    if (u->handle) {
        u->free(u);
    }
    crig_run(u->w);
}

// How many nodes there are at and below the path, all with our list.
static size_t guarded(struct reeve *zk, const char *path)
{
    struct reeve_result r;
    assert_int_equal(reeve_get_acl(zk, path, &r), REEVE_OK);
    if (r.acl_n != 2 || strcmp(r.acl[0].scheme, "digest") != 0) {
        fail_msg("%s is open to all", path);
    }
    assert_memory_equal(r.acl[0].id, "me:", 3);
    assert_int_equal(r.acl[1].perms, REEVE_PERM_READ);
    assert_string_equal(r.acl[1].id, "10.1.2.3");
    reeve_result_fini(&r);
    size_t n = 1;
    assert_int_equal(reeve_children(zk, path, NULL, &r), REEVE_OK);
    for (size_t i = 0; i < r.children_n; i++) {
        char below[512];
        snprintf(below, sizeof(below), "%s/%s", path, r.children[i]);
        n += guarded(zk, below);
    }
    reeve_result_fini(&r);
    return n;
}

static void all_that_is_made_has_the_list(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        struct crig *w = crig_new();
        struct used u;
        setup(&u, w, true);
        struct reeve_acl given[2] = {ours[0], ours[1]};
        u.acl = given;
        u.n = 2;
        recipes[i](&u);
        assert_int_equal(u.e, REEVE_OK);
        memset(given, 0, sizeof(given)); // it was copied
        assert_true(guarded(u.zk, "/x") >= 2);
        teardown(&u);
        crig_free(&w);
    }
}

// Who is not on the list is told, and does not wait for ever.
static void who_may_not_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        struct crig *w = crig_new();
        struct used u, stranger;
        setup(&u, w, true);
        assert_int_equal(reeve_create_acl(u.zk, "/x", "", 0, REEVE_PERSISTENT, ours, 2, NULL),
                         REEVE_OK);
        setup(&stranger, w, false);
        recipes[i](&stranger);
        assert_int_equal(stranger.e, REEVE_NO_AUTH);
        teardown(&stranger);
        crig_free(&w);
    }
}

static void a_list_that_is_none_is_refused(void **state)
{
    (void)state;
    static const struct reeve_acl half[] = {{REEVE_PERM_ALL, "world", "anyone"},
                                            {REEVE_PERM_ALL, NULL, "x"}};
    static const struct {
        const struct reeve_acl *acl;
        size_t n;
    } bad[] = {{ours, 0}, {NULL, 1}, {half, 2}};
    for (size_t i = 0; i < ALL; i++) {
        struct crig *w = crig_new();
        for (size_t k = 0; k < 3; k++) {
            struct used u;
            setup(&u, w, true);
            u.acl = bad[k].acl;
            u.n = bad[k].n;
            recipes[i](&u);
            assert_int_equal(u.e, REEVE_BAD_ARGUMENTS);
            assert_null(u.handle);
        }
        crig_free(&w);
    }
}

static void the_servers_refusal_of_a_list_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        struct crig *w = crig_new();
        struct used u;
        setup(&u, w, false); // "auth" stands for nobody
        u.acl = ours;
        u.n = 2;
        recipes[i](&u);
        assert_int_equal(u.e, REEVE_INVALID_ACL);
        teardown(&u);
        crig_free(&w);
    }
}

static void without_memory_nothing_is_made_open(void **state)
{
    (void)state;
    for (size_t i = 0; i < ALL; i++) {
        bool failed = true;
        for (size_t at = 1; failed && at < 60; at++) {
            struct crig *w = crig_new();
            struct used u;
            setup(&u, w, true);
            u.acl = ours;
            u.n = 2;
            crig_fail_alloc(w, at, 1);
            recipes[i](&u);
            failed = crig_alloc_failed(w);
            crig_fail_alloc(w, 0, 0);
            struct reeve_result r;
            if (reeve_exists(u.zk, "/x", NULL, &r) == REEVE_OK) {
                (void)guarded(u.zk, "/x");
            }
            reeve_result_fini(&r);
            teardown(&u);
            crig_free(&w);
        }
    }
}

// ---- lists that differ --------------------------------------------------------------------------

static const struct reeve_acl mine[] = {{REEVE_PERM_ALL, "auth", ""}};

// One who keeps its nodes to itself, and a stranger, below a path that is open to both.
struct pair {
    struct crig *w;
    struct reeve *hidden, *stranger;
};

static void setup_pair(struct pair *p, const char *const *open_paths)
{
    p->w = crig_new();
    p->hidden = crig_client(p->w, NULL);
    p->stranger = crig_client(p->w, NULL);
    assert_int_equal(reeve_add_auth(p->hidden, "digest", "me:secret", 9, NULL), REEVE_OK);
    for (; *open_paths; open_paths++) {
        assert_int_equal(reeve_create(p->stranger, *open_paths, "", 0, 0, NULL), REEVE_OK);
    }
}

static void who_may_not_be_read_has_its_place(void **state)
{
    (void)state;
    struct pair p;
    setup_pair(&p, (const char *const[]){"/x", "/x/lock", NULL});
    struct reeve_lock *holder, *waiter;
    struct reeve_contenders *list;
    struct reeve_lock_options o = {.payload = "h", .payload_len = 1, .acl = mine, .acl_n = 1};
    assert_int_equal(reeve_lock_new(&holder, p.hidden, "/x/lock", &o), REEVE_OK);
    assert_int_equal(reeve_lock_new(&waiter, p.stranger, "/x/lock", NULL), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(holder, 0, NULL), REEVE_OK);
    assert_int_equal(reeve_lock_holders(waiter, &list), REEVE_OK);
    assert_int_equal(list->n, 1);
    assert_non_null(strstr(list->list[0].name, "-lock-"));
    assert_string_equal(list->list[0].data, "");
    assert_int_equal(list->list[0].token, 0);
    reeve_contenders_free(&list);
    assert_int_equal(reeve_lock_acquire(waiter, -1, NULL), REEVE_NO_AUTH); // it cannot be watched
    assert_int_equal(reeve_lock_release(holder), REEVE_OK);
    assert_int_equal(reeve_lock_acquire(waiter, 0, NULL), REEVE_OK);
    reeve_lock_free(&holder);
    reeve_lock_free(&waiter);
    crig_free(&p.w);
}

struct seen {
    int calls;
    enum reeve_error e;
    size_t n;
};

static void on_members(void *ctx, enum reeve_error e, const struct reeve_contenders *list)
{
    struct seen *s = ctx;
    *s = (struct seen){.calls = s->calls + 1, .e = e, .n = list ? list->n : 0};
}

static void a_member_who_hides_is_left_out(void **state)
{
    (void)state;
    struct pair p;
    setup_pair(&p, (const char *const[]){"/x", "/x/group", NULL});
    struct seen s = {0};
    struct reeve_group *a, *b;
    struct reeve_group_options hides = {.id = "a", .acl = mine, .acl_n = 1};
    struct reeve_group_options looks = {.id = "b", .on_members = on_members, .ctx = &s};
    assert_int_equal(reeve_group_new(&a, p.hidden, "/x/group", &hides), REEVE_OK);
    assert_int_equal(reeve_group_new(&b, p.stranger, "/x/group", &looks), REEVE_OK);
    assert_int_equal(reeve_group_join(a, 1000), REEVE_OK);
    assert_int_equal(reeve_group_join(b, 1000), REEVE_OK);
    crig_advance(p.w, 1000);
    assert_int_equal(s.e, REEVE_OK);
    assert_int_equal(s.n, 1);
    assert_int_equal(reeve_group_leave(a), REEVE_OK);
    crig_advance(p.w, 1000);
    assert_int_equal(s.e, REEVE_OK);
    assert_int_equal(s.n, 1);
    reeve_group_free(&a);
    reeve_group_free(&b);
    crig_free(&p.w);
}

static void register_as(struct reeve_discovery *d, const char *id)
{
    struct reeve_instance i = {.name = "shop", .id = id, .port = 80};
    assert_int_equal(reeve_discovery_register(d, &i, NULL), REEVE_OK);
}

static size_t found(struct reeve_discovery *d, enum reeve_error want, size_t bad)
{
    struct reeve_instances all;
    assert_int_equal(reeve_discovery_find(d, "shop", &all), want);
    assert_int_equal(all.bad, bad);
    size_t n = all.n;
    reeve_instances_fini(&all);
    return n;
}

static size_t provided(struct reeve_provider *p)
{
    struct reeve_instances all;
    assert_int_equal(reeve_provider_all(p, &all), REEVE_OK);
    size_t n = all.n;
    reeve_instances_fini(&all);
    return n;
}

static void an_instance_that_hides_is_left_out(void **state)
{
    (void)state;
    struct pair p;
    setup_pair(&p, (const char *const[]){"/x", "/x/shop", NULL});
    struct reeve_discovery *a, *b;
    struct reeve_provider *all;
    struct reeve_discovery_options hides = {.acl = mine, .acl_n = 1};
    assert_int_equal(reeve_discovery_new(&a, p.hidden, "/x", &hides), REEVE_OK);
    assert_int_equal(reeve_discovery_new(&b, p.stranger, "/x", NULL), REEVE_OK);
    register_as(a, "hidden");
    assert_int_equal(reeve_provider_new(&all, p.stranger, "/x", "shop", NULL), REEVE_OK);
    assert_int_equal(reeve_provider_wait(all, 5000), REEVE_NO_AUTH); // nothing that may be read
    assert_int_equal(found(b, REEVE_NO_AUTH, 0), 0);
    register_as(b, "one");
    crig_advance(p.w, 2000);
    assert_int_equal(reeve_provider_wait(all, 5000), REEVE_OK);
    assert_false(reeve_provider_stale(all, NULL));
    assert_int_equal(provided(all), 1);
    assert_int_equal(found(b, REEVE_OK, 1), 1);
    register_as(b, "two");
    crig_run(p.w);
    assert_int_equal(provided(all), 2);
    // Let in at last, it is seen with the next change.
    static const struct reeve_acl open[] = {{REEVE_PERM_ALL, "world", "anyone"}};
    assert_int_equal(reeve_set_acl(p.hidden, "/x/shop/hidden", open, 1, -1, NULL), REEVE_OK);
    register_as(b, "three");
    crig_run(p.w);
    assert_int_equal(provided(all), 4);
    reeve_provider_free(&all);
    reeve_discovery_free(&a);
    reeve_discovery_free(&b);
    crig_free(&p.w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_that_is_made_has_the_list),
        cmocka_unit_test(who_may_not_is_told),
        cmocka_unit_test(a_list_that_is_none_is_refused),
        cmocka_unit_test(the_servers_refusal_of_a_list_is_told),
        cmocka_unit_test(without_memory_nothing_is_made_open),
        cmocka_unit_test(who_may_not_be_read_has_its_place),
        cmocka_unit_test(a_member_who_hides_is_left_out),
        cmocka_unit_test(an_instance_that_hides_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
