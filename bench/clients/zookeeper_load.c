// SPDX-License-Identifier: Apache-2.0
//
// The load of clients/load.h through Apache's C client (libzookeeper_mt).
#define THREADED
#include <pthread.h>
#include <zookeeper/zookeeper.h>

#include "load.h"

static struct load load;
static zhandle_t *zk;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int connected, over;

static void ask(void);

static void answered(int rc)
{
    if (load_answered(&load, rc)) {
        ask();
    } else if (load.answered == load.count) {
        pthread_mutex_lock(&lock);
        over = 1;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
}

static void on_data(int rc, const char *value, int len, const struct Stat *stat, const void *ctx)
{
    (void)value;
    (void)len;
    (void)stat;
    (void)ctx;
    answered(rc);
}

static void on_stat(int rc, const struct Stat *stat, const void *ctx)
{
    (void)stat;
    (void)ctx;
    answered(rc);
}

static void on_children(int rc, const struct String_vector *names, const struct Stat *stat,
                        const void *ctx)
{
    (void)names;
    (void)stat;
    (void)ctx;
    answered(rc);
}

static void ask(void)
{
    load.sent++;
    if (load.op[0] == 's') {
        zoo_aset(zk, LOAD_PATH, load.data, sizeof(load.data), -1, on_stat, NULL);
    } else if (load.op[0] == 'c') {
        zoo_aget_children2(zk, LOAD_TOP, 0, on_children, NULL);
    } else {
        zoo_aget(zk, LOAD_PATH, 0, on_data, NULL);
    }
}

// The first one: from here on all is asked by the thread that makes callbacks, as in reeve_load.c.
static void begin(int rc, const struct Stat *stat, const void *ctx)
{
    (void)rc;
    (void)stat;
    (void)ctx;
    for (long i = 0; i < load.depth; i++) {
        ask();
    }
}

static void on_session(zhandle_t *h, int type, int state, const char *path, void *ctx)
{
    (void)h;
    (void)path;
    (void)ctx;
    if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE) {
        pthread_mutex_lock(&lock);
        connected = 1;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
}

static void wait_for(const int *what)
{
    pthread_mutex_lock(&lock);
    while (!*what) {
        pthread_cond_wait(&changed, &lock);
    }
    pthread_mutex_unlock(&lock);
}

int main(int argc, char **argv)
{
    load_parse(&load, argc, argv);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    zk = zookeeper_init(load.servers, on_session, 10000, NULL, NULL, 0);
    if (!zk) {
        return 1;
    }
    wait_for(&connected);
    zoo_create(zk, LOAD_TOP, NULL, -1, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_create(zk, LOAD_PATH, load.data, sizeof(load.data), &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0);
    zoo_aexists(zk, LOAD_TOP, 0, begin, NULL);
    wait_for(&over);
    load_print(&load);
    zookeeper_close(zk);
    return 0;
}
