// SPDX-License-Identifier: Apache-2.0
//
// Locks, leases, elections and groups of libreeve on a command line, for tests that let programs of
// several libraries contend. Takes lines and says lines; the end of input ends it.
//
//     locks HOSTS lock|reader|writer LAYOUT PATH ID
//     locks HOSTS lease LAYOUT PATH ID LIMIT
//         acquire MS | release | holders | count NODE TIMES
//     locks HOSTS latch|selector|election LAYOUT PATH ID     takes part at once
//         resign | leave | participants
//     locks HOSTS group LAYOUT PATH ID                       joins at once
//         data TEXT | leave | members
//     locks HOSTS crowd LAYOUT PATH N                        N handles ask at once
//         next                                               the holder gives it back
//
// With AUTH=user:password in the environment locks and leases are the user's alone.
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reeve/election.h"
#include "reeve/group.h"
#include "reeve/rwlock.h"
#include "reeve/semaphore.h"

enum { CROWD_MAX = 2000 };

static void say(const char *word, enum reeve_error e)
{
    printf("%s %s\n", word, e ? reeve_error_name(e) : "OK");
    fflush(stdout);
}

static void check(enum reeve_error e, const char *what)
{
    if (e) {
        fprintf(stderr, "%s: %s\n", what, reeve_error_text(e));
        exit(1);
    }
}

static void say_list(const char *word, enum reeve_error e, struct reeve_contenders *list)
{
    printf("%s", word);
    for (size_t i = 0; !e && i < list->n; i++) {
        printf(" %s", (const char *)list->list[i].data);
    }
    printf("%s\n", e ? " error" : "");
    fflush(stdout);
    reeve_contenders_free(&list);
}

static bool read_line(char *line, size_t max)
{
    if (!fgets(line, (int)max, stdin)) {
        return false;
    }
    line[strcspn(line, "\n")] = 0;
    return true;
}

// ---- locks --------------------------------------------------------------------------------------

static void on_lost(void *ctx, enum reeve_error why)
{
    (void)ctx;
    say("lost", why);
}

// Only the lock keeps others from writing between the two.
static void add_one(struct reeve *zk, const char *node)
{
    struct reeve_result r;
    check(reeve_get(zk, node, NULL, &r), "get");
    char text[32];
    int n = snprintf(text, sizeof(text), "%ld", strtol(r.data, NULL, 10) + 1);
    reeve_result_fini(&r);
    check(reeve_set(zk, node, text, (size_t)n, REEVE_ANY_VERSION, NULL), "set");
}

static void count(struct reeve *zk, struct reeve_lock *l, const char *args)
{
    char node[256];
    int times = 0;
    if (sscanf(args, "%255s %d", node, &times) != 2) {
        exit(2);
    }
    for (int i = 0; i < times; i++) {
        check(reeve_lock_acquire(l, -1, NULL), "acquire");
        add_one(zk, node);
        check(reeve_lock_release(l), "release");
    }
    say("counted", REEVE_OK);
}

static void run_lock(struct reeve *zk, struct reeve_lock *l)
{
    char line[512];
    while (read_line(line, sizeof(line))) {
        if (strncmp(line, "acquire ", 8) == 0) {
            int64_t token;
            enum reeve_error e = reeve_lock_acquire(l, strtol(line + 8, NULL, 10), &token);
            if (e) {
                say("error", e);
            } else {
                printf("granted %lld\n", (long long)token);
                fflush(stdout);
            }
        } else if (strcmp(line, "release") == 0) {
            say("released", reeve_lock_release(l));
        } else if (strcmp(line, "holders") == 0) {
            struct reeve_contenders *list;
            enum reeve_error e = reeve_lock_holders(l, &list);
            say_list("holders", e, list);
        } else if (strncmp(line, "count ", 6) == 0) {
            count(zk, l, line + 6);
        }
    }
    reeve_lock_free(&l);
}

static struct reeve_lock *new_lock(struct reeve *zk, char **arg)
{
    bool kazoo = strcmp(arg[1], "kazoo") == 0;
    struct reeve_lock_options o = {.layout = kazoo ? REEVE_LAYOUT_KAZOO : REEVE_LAYOUT_CURATOR,
                                   .payload = arg[3],
                                   .payload_len = strlen(arg[3]),
                                   .on_lost = on_lost};
    static const struct reeve_acl mine = {REEVE_PERM_ALL, "auth", ""};
    const char *auth = getenv("AUTH");
    if (auth) {
        check(reeve_add_auth(zk, "digest", auth, strlen(auth), NULL), "auth");
        o.acl = &mine;
        o.acl_n = 1;
    }
    struct reeve_lock *l;
    if (strcmp(arg[0], "reader") == 0) {
        check(reeve_rwlock_reader_new(&l, zk, arg[2], &o), "new");
    } else if (strcmp(arg[0], "writer") == 0) {
        check(reeve_rwlock_writer_new(&l, zk, arg[2], &o), "new");
    } else if (strcmp(arg[0], "lease") == 0) {
        int32_t limit = (int32_t)strtol(arg[4], NULL, 10);
        check(reeve_semaphore_new(&l, zk, arg[2], limit, &o), "new");
    } else {
        check(reeve_lock_new(&l, zk, arg[2], &o), "new");
    }
    return l;
}

// ---- elections ----------------------------------------------------------------------------------

static void on_gained(void *ctx, int64_t token)
{
    (void)ctx;
    printf("gained %lld\n", (long long)token);
    fflush(stdout);
}

static void on_leader(void *ctx, enum reeve_error e, const struct reeve_contender *leader)
{
    (void)ctx;
    if (!e) {
        printf("leader %s\n", leader ? (const char *)leader->data : "-");
        fflush(stdout);
    }
}

static void run_election(struct reeve *zk, char **arg, enum reeve_election_layout layout)
{
    struct reeve_election_options o = {
        .layout = layout, .id = arg[3], .gained = on_gained, .lost = on_lost, .failed = on_lost};
    struct reeve_election *e;
    struct reeve_observer *ob;
    check(reeve_election_new(&e, zk, arg[2], &o), "new");
    check(reeve_election_observe(&ob, zk, arg[2], layout, on_leader, NULL), "observe");
    check(reeve_election_join(e), "join");
    char line[512];
    while (read_line(line, sizeof(line))) {
        if (strcmp(line, "resign") == 0) {
            say("resigned", reeve_election_resign(e));
        } else if (strcmp(line, "leave") == 0) {
            say("left", reeve_election_leave(e));
        } else if (strcmp(line, "participants") == 0) {
            struct reeve_contenders *list;
            enum reeve_error error = reeve_election_participants(e, &list);
            say_list("participants", error, list);
        }
    }
    reeve_observer_free(&ob);
    reeve_election_free(&e);
}

// ---- groups -------------------------------------------------------------------------------------

static void on_members(void *ctx, enum reeve_error e, const struct reeve_contenders *list)
{
    (void)ctx;
    if (!e) {
        printf("members");
        for (size_t i = 0; i < list->n; i++) {
            printf(" %s=%s", list->list[i].name, (const char *)list->list[i].data);
        }
        printf(" .\n");
        fflush(stdout);
    }
}

static void run_group(struct reeve *zk, char **arg)
{
    bool kazoo = strcmp(arg[1], "kazoo") == 0;
    struct reeve_group_options o = {.layout = kazoo ? REEVE_LAYOUT_KAZOO : REEVE_LAYOUT_CURATOR,
                                    .id = arg[3],
                                    .data = arg[3],
                                    .data_len = strlen(arg[3]),
                                    .on_members = on_members};
    struct reeve_group *g;
    check(reeve_group_new(&g, zk, arg[2], &o), "new");
    say("joined", reeve_group_join(g, 20000));
    char line[512];
    while (read_line(line, sizeof(line))) {
        if (strncmp(line, "data ", 5) == 0) {
            say("set", reeve_group_set_data(g, line + 5, strlen(line + 5)));
        } else if (strcmp(line, "leave") == 0) {
            say("left", reeve_group_leave(g));
        }
    }
    reeve_group_free(&g);
}

// ---- a crowd ------------------------------------------------------------------------------------

static struct reeve_lock *crowd[CROWD_MAX];
static atomic_int granted;

static void on_crowd(void *ctx, enum reeve_error e, int64_t token)
{
    (void)token;
    check(e == REEVE_CANCELLED ? REEVE_OK : e, "crowd");
    if (!e) {
        printf("granted %d\n", (int)(intptr_t)ctx);
        fflush(stdout);
        atomic_fetch_add(&granted, 1);
    }
}

static void run_crowd(struct reeve *zk, char **arg)
{
    int n = (int)strtol(arg[3], NULL, 10);
    for (int i = 0; i < n; i++) {
        check(reeve_lock_new(&crowd[i], zk, arg[2], NULL), "new");
        check(reeve_lock_acquire_async(crowd[i], -1, on_crowd, (void *)(intptr_t)i), "acquire");
    }
    char line[64];
    for (int i = 0; read_line(line, sizeof(line)); i++) {
        check(reeve_lock_release(crowd[i]), "release");
    }
    for (int i = 0; i < n; i++) {
        reeve_lock_free(&crowd[i]);
    }
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        return 2;
    }
    struct reeve_options o = {.servers = argv[1], .session_timeout_ms = 3000};
    struct reeve *zk;
    check(reeve_new(&zk, &o), "reeve_new");
    check(reeve_start(zk), "reeve_start");
    char **arg = argv + 2;
    if (strcmp(arg[0], "latch") == 0) {
        run_election(zk, arg, REEVE_ELECTION_LATCH);
    } else if (strcmp(arg[0], "selector") == 0) {
        run_election(zk, arg, REEVE_ELECTION_SELECTOR);
    } else if (strcmp(arg[0], "election") == 0) {
        run_election(zk, arg, REEVE_ELECTION_KAZOO);
    } else if (strcmp(arg[0], "group") == 0) {
        run_group(zk, arg);
    } else if (strcmp(arg[0], "crowd") == 0) {
        run_crowd(zk, arg);
    } else {
        run_lock(zk, new_lock(zk, arg));
    }
    reeve_close(&zk);
    return 0;
}
