// SPDX-License-Identifier: Apache-2.0
//
// Queues, barriers, counters, values and caches of libreeve from a command line, for tests that let
// programs of several libraries contend. Prints one line for each thing that happens.
//
//     queues HOSTS put PATH LAYOUT PRIORITY ITEM...
//     queues HOSTS consume PATH LAYOUT TIMEOUT_MS  until nothing came for so long
//     queues HOSTS hold PATH LAYOUT                takes one, gives it back when input ends
//     queues HOSTS close|open|wait PATH            the barrier
//     queues HOSTS double PATH MEMBERS             enters, leaves when input ends
//     queues HOSTS count PATH LAYOUT TIMES
//     queues HOSTS value PATH TEXT TIMES           appends TEXT, seeing what others append
//     queues HOSTS follow PATH                     until input ends
//     queues HOSTS watch PATH                      the same of one node alone
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/barrier.h"
#include "reeve/cache.h"
#include "reeve/counter.h"
#include "reeve/queue.h"

static void say(const char *word, enum reeve_error e)
{
    printf("%s %s\n", word, e ? reeve_error_name(e) : "OK");
    fflush(stdout);
}

static void until_input_ends(void)
{
    while (getchar() != EOF) {
    }
}

// ---- queues -------------------------------------------------------------------------------------

static struct reeve_queue *new_queue(struct reeve *zk, char **arg)
{
    static const char *const names[] = {"locking", "kazoo", "simple", "curator", "priority"};
    struct reeve_queue_options o = {0};
    char locks[256];
    for (unsigned i = 0; i < 5; i++) {
        o.layout = strcmp(arg[1], names[i]) == 0 ? (enum reeve_queue_layout)i : o.layout;
    }
    snprintf(locks, sizeof(locks), "%s-locks", arg[0]);
    o.lock_path = o.layout >= REEVE_QUEUE_CURATOR ? locks : NULL;
    struct reeve_queue *q;
    if (reeve_queue_new(&q, zk, arg[0], &o)) {
        exit(2);
    }
    return q;
}

static void put(struct reeve *zk, char **arg)
{
    struct reeve_queue *q = new_queue(zk, arg);
    for (char **item = arg + 3; *item; item++) {
        say("put", reeve_queue_put(q, *item, strlen(*item), (int32_t)strtol(arg[2], NULL, 10)));
    }
    reeve_queue_free(&q);
}

static void print_item(const char *word, const struct reeve_queue_item *item)
{
    printf("%s %.*s\n", word, (int)reeve_queue_item_len(item),
           (const char *)reeve_queue_item_data(item));
    fflush(stdout);
}

static void consume(struct reeve *zk, char **arg)
{
    struct reeve_queue *q = new_queue(zk, arg);
    struct reeve_queue_item *item;
    enum reeve_error e;
    while ((e = reeve_queue_take(q, strtol(arg[2], NULL, 10), &item)) == REEVE_OK) {
        print_item("item", item);
        e = reeve_queue_finish(&item);
        if (e) {
            say("finish", e);
        }
    }
    say("end", e);
    reeve_queue_free(&q);
}

static void hold(struct reeve *zk, char **arg)
{
    struct reeve_queue *q = new_queue(zk, arg);
    struct reeve_queue_item *item;
    enum reeve_error e = reeve_queue_take(q, -1, &item);
    if (!e) {
        print_item("held", item);
        until_input_ends();
        say("back", reeve_queue_give_back(&item));
    }
    say("end", e);
    reeve_queue_free(&q);
}

// ---- barriers -----------------------------------------------------------------------------------

static void barrier(struct reeve *zk, const char *what, const char *path)
{
    struct reeve_barrier *b;
    if (reeve_barrier_new(&b, zk, path, NULL)) {
        exit(2);
    }
    say(what, strcmp(what, "close") == 0  ? reeve_barrier_close(b)
              : strcmp(what, "open") == 0 ? reeve_barrier_open(b)
                                          : reeve_barrier_wait(b, -1));
    reeve_barrier_free(&b);
}

static void double_barrier(struct reeve *zk, char **arg)
{
    struct reeve_double_barrier *b;
    uint32_t members = (uint32_t)strtoul(arg[1], NULL, 10);
    if (reeve_double_barrier_new(&b, zk, arg[0], members, NULL)) {
        exit(2);
    }
    say("enter", reeve_double_barrier_enter(b, -1));
    until_input_ends();
    say("leave", reeve_double_barrier_leave(b, -1));
    reeve_double_barrier_free(&b);
}

// ---- counters and values ------------------------------------------------------------------------

static void count(struct reeve *zk, char **arg)
{
    struct reeve_counter_options o = {.layout = arg[1][0] == 'l'   ? REEVE_COUNTER_LONG
                                                : arg[1][0] == 'i' ? REEVE_COUNTER_INT
                                                                   : REEVE_COUNTER_TEXT};
    struct reeve_counter *c;
    if (reeve_counter_new(&c, zk, arg[0], &o)) {
        exit(2);
    }
    for (long i = strtol(arg[2], NULL, 10); i > 0; i--) {
        int64_t n;
        enum reeve_error e = reeve_counter_add(c, 1, &n);
        if (e) {
            say("failed", e);
        } else {
            printf("now %lld\n", (long long)n);
        }
    }
    reeve_counter_free(&c);
}

static void value(struct reeve *zk, char **arg)
{
    struct reeve_value *v;
    if (reeve_value_new(&v, zk, arg[0], NULL)) {
        exit(2);
    }
    for (long left = strtol(arg[2], NULL, 10); left > 0;) {
        struct reeve_result r;
        char text[4096];
        // From the server, not from v: what v has seen may be behind, which only costs a try.
        enum reeve_error e = reeve_get(zk, arg[0], NULL, &r);
        if (!e) {
            int n =
                snprintf(text, sizeof(text), "%s%s", r.data ? (const char *)r.data : "", arg[1]);
            e = reeve_value_set(v, text, (size_t)n, r.stat.version);
        }
        reeve_result_fini(&r);
        left -= e == REEVE_OK;
        if (e && e != REEVE_BAD_VERSION && e != REEVE_NO_NODE) {
            say("failed", e);
            break;
        }
    }
    reeve_value_free(&v);
}

// ---- caches -------------------------------------------------------------------------------------

static void on_event(void *ctx, const struct reeve_cache_event *ev)
{
    static const char *const words[] = {"created", "changed",  "deleted", "ready",
                                        "gap",     "resynced", "failed"};
    (void)ctx;
    printf("%s %s %.*s\n", words[ev->type], ev->path, ev->node ? (int)ev->node->data_len : 0,
           ev->node && ev->node->data ? (const char *)ev->node->data : "");
    fflush(stdout);
}

static void follow(struct reeve *zk, const char *path, bool one_node)
{
    struct reeve_cache_options o = {.event = on_event, .one_node = one_node};
    struct reeve_cache *c;
    if (reeve_cache_new(&c, zk, path, &o)) {
        exit(2);
    }
    say("wait", reeve_cache_wait_ready(c, 20000));
    until_input_ends();
    printf("count %u\n", reeve_cache_count(c));
    reeve_cache_free(&c);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    struct reeve *zk;
    struct reeve_options o = {.servers = argv[1], .session_timeout_ms = 4000};
    if (reeve_new(&zk, &o) || reeve_start(zk)) {
        return 2;
    }
    const char *what = argv[2];
    if (strcmp(what, "put") == 0) {
        put(zk, argv + 3);
    } else if (strcmp(what, "consume") == 0) {
        consume(zk, argv + 3);
    } else if (strcmp(what, "hold") == 0) {
        hold(zk, argv + 3);
    } else if (strcmp(what, "double") == 0) {
        double_barrier(zk, argv + 3);
    } else if (strcmp(what, "count") == 0) {
        count(zk, argv + 3);
    } else if (strcmp(what, "value") == 0) {
        value(zk, argv + 3);
    } else if (strcmp(what, "follow") == 0) {
        follow(zk, argv[3], false);
    } else if (strcmp(what, "watch") == 0) {
        follow(zk, argv[3], true);
    } else {
        barrier(zk, what, argv[3]);
    }
    reeve_close(&zk);
    puts("bye");
    return 0;
}
