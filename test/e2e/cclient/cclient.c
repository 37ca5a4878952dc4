// SPDX-License-Identifier: Apache-2.0
//
// What users of Apache's C client do, one scenario per run: cclient HOST:PORT ROOT SCENARIO.
//
// The program is a foreign client on purpose: it links the system's libzookeeper_mt and shares
// no code with the server. A scenario ends the process with 0 when everything was as expected;
// the first thing that is not is printed with its line and ends it with 1. Waits are on
// conditions with a deadline, never on time alone.
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <zookeeper/zookeeper.h>

enum { WAIT_S = 10, PIPELINE_DEPTH = 5000, EVENTS_MAX = 64, PATH_LEN_MAX = 256 };

static const char *hosts;
static const char *root;

#define EXPECT(cond)                                                   \
    do {                                                               \
        if (!(cond)) {                                                 \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #cond); \
            exit(1);                                                   \
        }                                                              \
    } while (0)

#define EXPECT_RC(call, expected)                                                             \
    do {                                                                                      \
        int rc_ = (call);                                                                     \
        if (rc_ != (expected)) {                                                              \
            fprintf(stderr, "line %d: %s gave %d (%s)\n", __LINE__, #call, rc_, zerror(rc_)); \
            exit(1);                                                                          \
        }                                                                                     \
    } while (0)

// A handle with what its watcher has seen. All fields are under the lock.
struct client {
    zhandle_t *zh;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int state;
    int event_count;
    int completions;
    int failures;
    struct {
        int type;
        char path[PATH_LEN_MAX];
    } events[EVENTS_MAX];
};

static char *below(const char *name)
{
    static _Thread_local char paths[8][PATH_LEN_MAX];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, PATH_LEN_MAX, "%s/%s", root, name);
    return path;
}

static void on_event(zhandle_t *zh, int type, int state, const char *path, void *ctx)
{
    struct client *c = ctx != NULL ? ctx : (struct client *)(uintptr_t)zoo_get_context(zh);
    pthread_mutex_lock(&c->lock);
    if (type == ZOO_SESSION_EVENT) {
        c->state = state;
    } else if (c->event_count < EVENTS_MAX) {
        c->events[c->event_count].type = type;
        snprintf(c->events[c->event_count].path, PATH_LEN_MAX, "%s", path);
        c->event_count++;
    }
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

// Waits until *value is at least (or, for the state, equal to) wanted.
static void wait_for(struct client *c, const int *value, int wanted, bool exact, int line)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&c->lock);
    while (exact ? *value != wanted : *value < wanted) {
        if (pthread_cond_timedwait(&c->changed, &c->lock, &until) != 0) {
            fprintf(stderr, "line %d: waited %d s for %d, have %d\n", line, WAIT_S, wanted, *value);
            exit(1);
        }
    }
    pthread_mutex_unlock(&c->lock);
}

#define WAIT_EVENTS(c, n)      wait_for((c), &(c)->event_count, (n), false, __LINE__)
#define WAIT_COMPLETIONS(c, n) wait_for((c), &(c)->completions, (n), false, __LINE__)

static struct client *client_open(const clientid_t *id, int timeout_ms)
{
    struct client *c = calloc(1, sizeof(*c));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->changed, NULL);
    c->zh = zookeeper_init(hosts, on_event, timeout_ms, id, c, 0);
    EXPECT(c->zh != NULL);
    wait_for(c, &c->state, ZOO_CONNECTED_STATE, true, __LINE__);
    return c;
}

static void expect_event(const struct client *c, int n, int type, const char *path)
{
    if (c->events[n].type != type || strcmp(c->events[n].path, path) != 0) {
        fprintf(stderr, "event %d is %d %s, expected %d %s\n", n, c->events[n].type,
                c->events[n].path, type, path);
        exit(1);
    }
}

static void create(struct client *c, const char *path, const char *data, int flags)
{
    EXPECT_RC(
        zoo_create(c->zh, path, data, (int)strlen(data), &ZOO_OPEN_ACL_UNSAFE, flags, NULL, 0),
        ZOK);
}

static void scenario_crud(void)
{
    struct client *c = client_open(NULL, 10000);
    struct Stat stat;
    char made[PATH_LEN_MAX];
    EXPECT_RC(
        zoo_create2(c->zh, below("n"), "one", 3, &ZOO_OPEN_ACL_UNSAFE, 0, made, sizeof made, &stat),
        ZOK);
    EXPECT(strcmp(made, below("n")) == 0);
    EXPECT(stat.version == 0 && stat.dataLength == 3);
    char data[16];
    int len = sizeof data;
    EXPECT_RC(zoo_get(c->zh, below("n"), 0, data, &len, &stat), ZOK);
    EXPECT(len == 3 && memcmp(data, "one", 3) == 0);
    EXPECT_RC(zoo_set2(c->zh, below("n"), "two!", 4, 0, &stat), ZOK);
    EXPECT(stat.version == 1 && stat.dataLength == 4);
    EXPECT_RC(zoo_set(c->zh, below("n"), "x", 1, 0), ZBADVERSION);
    EXPECT_RC(zoo_set(c->zh, below("n"), NULL, -1, -1), ZOK);
    len = sizeof data;
    EXPECT_RC(zoo_get(c->zh, below("n"), 0, data, &len, &stat), ZOK);
    EXPECT(len == -1);
    EXPECT_RC(zoo_exists(c->zh, below("none"), 0, &stat), ZNONODE);
    EXPECT_RC(zoo_create(c->zh, below("n"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0), ZNODEEXISTS);
    create(c, below("n/k"), "", 0);
    EXPECT_RC(zoo_delete(c->zh, below("n"), -1), ZNOTEMPTY);
    struct String_vector names;
    EXPECT_RC(zoo_get_children2(c->zh, below("n"), 0, &names, &stat), ZOK);
    EXPECT(names.count == 1 && strcmp(names.data[0], "k") == 0);
    EXPECT(stat.numChildren == 1 && stat.cversion == 1);
    deallocate_String_vector(&names);
    EXPECT_RC(zoo_delete(c->zh, below("n/k"), 0), ZOK);
    EXPECT_RC(zoo_delete(c->zh, below("n"), 9), ZBADVERSION);
    EXPECT_RC(zoo_delete(c->zh, below("n"), -1), ZOK);
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
}

static void scenario_types(void)
{
    struct client *c = client_open(NULL, 10000);
    char made[PATH_LEN_MAX];
    EXPECT_RC(zoo_create(c->zh, below("s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT_SEQUENTIAL,
                         made, sizeof made),
              ZOK);
    EXPECT(strcmp(made, below("s-0000000000")) == 0);
    EXPECT_RC(zoo_create(c->zh, below("s-"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_EPHEMERAL_SEQUENTIAL,
                         made, sizeof made),
              ZOK);
    EXPECT(strcmp(made, below("s-0000000001")) == 0);
    struct Stat stat;
    EXPECT_RC(zoo_exists(c->zh, made, 0, &stat), ZOK);
    EXPECT(stat.ephemeralOwner == zoo_client_id(c->zh)->client_id);
    EXPECT_RC(zoo_create2(c->zh, below("c"), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_CONTAINER, made,
                          sizeof made, &stat),
              ZOK);
    create(c, below("c/k"), "", 0);
    EXPECT_RC(zoo_delete(c->zh, below("c/k"), -1), ZOK);
    EXPECT_RC(zoo_create2_ttl(c->zh, below("t"), "", 0, &ZOO_OPEN_ACL_UNSAFE,
                              ZOO_PERSISTENT_WITH_TTL, 200, made, sizeof made, &stat),
              ZOK);
    EXPECT_RC(zoo_create_ttl(c->zh, below("ts-"), "", 0, &ZOO_OPEN_ACL_UNSAFE,
                             ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 200, made, sizeof made),
              ZOK);
    EXPECT(strcmp(made, below("ts-0000000004")) == 0);
    EXPECT_RC(zoo_wexists(c->zh, below("c"), on_event, c, &stat), ZOK);
    EXPECT_RC(zoo_wexists(c->zh, below("t"), on_event, c, &stat), ZOK);
    WAIT_EVENTS(c, 2);
    EXPECT_RC(zoo_exists(c->zh, below("c"), 0, &stat), ZNONODE);
    EXPECT_RC(zoo_exists(c->zh, below("t"), 0, &stat), ZNONODE);
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
}

static void scenario_watches(void)
{
    struct client *c = client_open(NULL, 10000);
    struct client *writer = client_open(NULL, 10000);
    struct Stat stat;
    struct String_vector names;
    EXPECT_RC(zoo_wexists(c->zh, below("n"), on_event, c, &stat), ZNONODE);
    EXPECT_RC(zoo_wget_children(c->zh, root, on_event, c, &names), ZOK);
    deallocate_String_vector(&names);
    create(writer, below("n"), "", 0);
    WAIT_EVENTS(c, 2);
    expect_event(c, 0, ZOO_CREATED_EVENT, below("n"));
    expect_event(c, 1, ZOO_CHILD_EVENT, root);
    char data[8];
    int len = sizeof data;
    EXPECT_RC(zoo_wget(c->zh, below("n"), on_event, c, data, &len, &stat), ZOK);
    EXPECT_RC(zoo_set(writer->zh, below("n"), "x", 1, -1), ZOK);
    WAIT_EVENTS(c, 3);
    expect_event(c, 2, ZOO_CHANGED_EVENT, below("n"));
    len = sizeof data;
    EXPECT_RC(zoo_wget(c->zh, below("n"), on_event, c, data, &len, &stat), ZOK);
    EXPECT_RC(zoo_remove_watches(c->zh, below("n"), ZWATCHTYPE_DATA, on_event, c, 0), ZOK);
    EXPECT_RC(zoo_remove_watches(c->zh, below("n"), ZWATCHTYPE_DATA, on_event, c, 0), ZNOWATCHER);
    EXPECT_RC(zoo_set(writer->zh, below("n"), "y", 1, -1), ZOK);
    EXPECT_RC(zoo_wexists(c->zh, below("n"), on_event, c, &stat), ZOK);
    EXPECT_RC(zoo_delete(writer->zh, below("n"), -1), ZOK);
    WAIT_EVENTS(c, 4);
    expect_event(c, 3, ZOO_DELETED_EVENT, below("n")); // the removed watch did not see "y"
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
    EXPECT_RC(zookeeper_close(writer->zh), ZOK);
}

static void scenario_multi(void)
{
    struct client *c = client_open(NULL, 10000);
    char made[2][PATH_LEN_MAX];
    struct Stat stat[2];
    zoo_op_t ops[5];
    zoo_op_result_t results[5];
    zoo_create_op_init(&ops[0], below("a"), "1", 1, &ZOO_OPEN_ACL_UNSAFE, 0, made[0],
                       sizeof made[0]);
    zoo_set_op_init(&ops[1], below("a"), "2", 1, 0, &stat[0]);
    zoo_check_op_init(&ops[2], below("a"), 1);
    zoo_create_op_init(&ops[3], below("s-"), NULL, -1, &ZOO_OPEN_ACL_UNSAFE, ZOO_SEQUENCE, made[1],
                       sizeof made[1]);
    zoo_delete_op_init(&ops[4], below("a"), 1);
    EXPECT_RC(zoo_multi(c->zh, 5, ops, results), ZOK);
    EXPECT(strcmp(made[0], below("a")) == 0);
    EXPECT(strcmp(made[1], below("s-0000000001")) == 0);
    EXPECT(stat[0].version == 1);
    zoo_create_op_init(&ops[0], below("b"), "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, made[0],
                       sizeof made[0]);
    zoo_delete_op_init(&ops[1], below("none"), -1);
    zoo_delete_op_init(&ops[2], below("b"), -1);
    EXPECT_RC(zoo_multi(c->zh, 3, ops, results), ZNONODE);
    EXPECT(results[0].err == ZOK);
    EXPECT(results[1].err == ZNONODE);
    EXPECT(results[2].err == ZRUNTIMEINCONSISTENCY);
    EXPECT_RC(zoo_exists(c->zh, below("b"), 0, &stat[0]), ZNONODE);
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
}

static void on_auth(int rc, const void *ctx)
{
    struct client *c = (struct client *)(uintptr_t)ctx;
    pthread_mutex_lock(&c->lock);
    c->completions++;
    c->failures += rc != ZOK;
    pthread_cond_broadcast(&c->changed);
    pthread_mutex_unlock(&c->lock);
}

static void scenario_acl(void)
{
    struct client *c = client_open(NULL, 10000);
    struct client *other = client_open(NULL, 10000);
    EXPECT_RC(zoo_add_auth(c->zh, "digest", "u:p", 3, on_auth, c), ZOK);
    WAIT_COMPLETIONS(c, 1);
    EXPECT(c->failures == 0);
    EXPECT_RC(zoo_create(c->zh, below("sec"), "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0), ZOK);
    char data[8];
    int len = sizeof data;
    struct Stat stat;
    EXPECT_RC(zoo_get(c->zh, below("sec"), 0, data, &len, &stat), ZOK);
    EXPECT_RC(zoo_get(other->zh, below("sec"), 0, data, &len, &stat), ZNOAUTH);
    EXPECT_RC(zoo_set(other->zh, below("sec"), "", 0, -1), ZNOAUTH);
    struct ACL_vector acl;
    EXPECT_RC(zoo_get_acl(c->zh, below("sec"), &acl, &stat), ZOK);
    EXPECT(acl.count == 1 && acl.data[0].perms == ZOO_PERM_ALL);
    EXPECT(strcmp(acl.data[0].id.scheme, "digest") == 0);
    EXPECT(strncmp(acl.data[0].id.id, "u:", 2) == 0);
    deallocate_ACL_vector(&acl);
    EXPECT_RC(zoo_set_acl(c->zh, below("sec"), 0, &ZOO_READ_ACL_UNSAFE), ZOK);
    len = sizeof data;
    EXPECT_RC(zoo_get(other->zh, below("sec"), 0, data, &len, &stat), ZOK);
    EXPECT(stat.aversion == 1);
    EXPECT_RC(zoo_set(c->zh, below("sec"), "", 0, -1), ZNOAUTH);
    EXPECT_RC(zoo_add_auth(other->zh, "nonsense", "", 0, on_auth, other), ZOK);
    wait_for(other, &other->state, ZOO_AUTH_FAILED_STATE, true, __LINE__);
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
    zookeeper_close(other->zh);
}

// Opens a session with an ephemeral in a process that then dies without closing it.
static clientid_t session_of_dead_process(void)
{
    int pipe_fds[2];
    EXPECT(pipe(pipe_fds) == 0);
    pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        struct client *c = client_open(NULL, 10000);
        create(c, below("e"), "", ZOO_EPHEMERAL);
        const clientid_t *id = zoo_client_id(c->zh);
        _exit(write(pipe_fds[1], id, sizeof *id) == (ssize_t)sizeof *id ? 0 : 1);
    }
    clientid_t id;
    EXPECT(read(pipe_fds[0], &id, sizeof id) == (ssize_t)sizeof id);
    int status;
    EXPECT(waitpid(child, &status, 0) == child && status == 0);
    return id;
}

// A new process takes the session over by id and password; ephemerals stay.
static void scenario_session(void)
{
    clientid_t id = session_of_dead_process();
    struct client *again = client_open(&id, 10000);
    EXPECT(zoo_client_id(again->zh)->client_id == id.client_id);
    struct Stat stat;
    EXPECT_RC(zoo_exists(again->zh, below("e"), 0, &stat), ZOK);
    EXPECT(stat.ephemeralOwner == id.client_id);
    EXPECT_RC(zookeeper_close(again->zh), ZOK);
    struct client *witness = client_open(NULL, 10000);
    EXPECT_RC(zoo_exists(witness->zh, below("e"), 0, &stat), ZNONODE);
    // The session is closed: a renewal is told so.
    struct client *late = calloc(1, sizeof(*late));
    pthread_mutex_init(&late->lock, NULL);
    pthread_cond_init(&late->changed, NULL);
    late->zh = zookeeper_init(hosts, on_event, 10000, &id, late, 0);
    wait_for(late, &late->state, ZOO_EXPIRED_SESSION_STATE, true, __LINE__);
    zookeeper_close(late->zh);
    EXPECT_RC(zookeeper_close(witness->zh), ZOK);
}

static void on_string(int rc, const char *value, const void *ctx)
{
    EXPECT(rc != ZOK || value != NULL);
    on_auth(rc, ctx);
}

static void on_data(int rc, const char *value, int len, const struct Stat *stat, const void *ctx)
{
    EXPECT(rc != ZOK || (len == 4 && memcmp(value, "data", 4) == 0 && stat->dataLength == 4));
    on_auth(rc, ctx);
}

// Thousands of requests in flight on one connection, reads and writes mixed.
static void scenario_pipeline(void)
{
    struct client *c = client_open(NULL, 30000);
    create(c, below("n"), "data", 0);
    for (int n = 0; n < PIPELINE_DEPTH; n++) {
        EXPECT_RC(zoo_aget(c->zh, below("n"), 0, on_data, c), ZOK);
    }
    WAIT_COMPLETIONS(c, PIPELINE_DEPTH);
    char name[32];
    for (int n = 0; n < PIPELINE_DEPTH; n++) {
        snprintf(name, sizeof name, "p%d", n);
        EXPECT_RC(zoo_acreate(c->zh, below(name), "data", 4, &ZOO_OPEN_ACL_UNSAFE, 0, on_string, c),
                  ZOK);
        EXPECT_RC(zoo_aget(c->zh, below(name), 0, on_data, c), ZOK);
    }
    WAIT_COMPLETIONS(c, 3 * PIPELINE_DEPTH);
    EXPECT(c->failures == 0);
    EXPECT_RC(zoo_async(c->zh, root, on_string, c), ZOK);
    WAIT_COMPLETIONS(c, 3 * PIPELINE_DEPTH + 1);
    struct String_vector names;
    EXPECT_RC(zoo_get_children(c->zh, root, 0, &names), ZOK);
    EXPECT(names.count == PIPELINE_DEPTH + 1);
    deallocate_String_vector(&names);
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
}

// The test kills and restarts the server when this prints a line, then sends one itself.
static void scenario_restart(void)
{
    struct client *c = client_open(NULL, 20000);
    create(c, below("e"), "", ZOO_EPHEMERAL);
    struct Stat stat;
    EXPECT_RC(zoo_wexists(c->zh, below("later"), on_event, c, &stat), ZNONODE);
    int64_t id = zoo_client_id(c->zh)->client_id;
    puts("ready");
    fflush(stdout);
    char line[16];
    EXPECT(fgets(line, sizeof line, stdin) != NULL);
    wait_for(c, &c->state, ZOO_CONNECTED_STATE, true, __LINE__);
    int rc = zoo_exists(c->zh, below("e"), 0, &stat);
    for (int n = 0; n < 100 && rc == ZCONNECTIONLOSS; n++) {
        wait_for(c, &c->state, ZOO_CONNECTED_STATE, true, __LINE__);
        rc = zoo_exists(c->zh, below("e"), 0, &stat);
    }
    EXPECT_RC(rc, ZOK);
    EXPECT(stat.ephemeralOwner == id);
    EXPECT(zoo_client_id(c->zh)->client_id == id);
    create(c, below("later"), "", 0);
    WAIT_EVENTS(c, 1);
    expect_event(c, 0, ZOO_CREATED_EVENT, below("later"));
    EXPECT_RC(zookeeper_close(c->zh), ZOK);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } scenarios[] = {
        {"crud", scenario_crud},         {"types", scenario_types},
        {"watches", scenario_watches},   {"multi", scenario_multi},
        {"acl", scenario_acl},           {"session", scenario_session},
        {"pipeline", scenario_pipeline}, {"restart", scenario_restart},
    };
    if (argc != 4) {
        fprintf(stderr, "usage: %s HOST:PORT ROOT SCENARIO\n", argv[0]);
        return 2;
    }
    hosts = argv[1];
    root = argv[2];
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    for (size_t n = 0; n < sizeof scenarios / sizeof scenarios[0]; n++) {
        if (strcmp(argv[3], scenarios[n].name) == 0) {
            scenarios[n].run();
            return 0;
        }
    }
    fprintf(stderr, "no scenario %s\n", argv[3]);
    return 2;
}
