// SPDX-License-Identifier: Apache-2.0
//
// Follows configuration: everything below a node, with a line for each change, until SIGINT or
// SIGTERM.
//
//     config HOSTS PATH                 config 127.0.0.1:2181 /config
//
// The cache keeps a copy in this program's memory; reading a value from it asks no server. When the
// connection is lost the copy stays, perhaps behind ("gap"), and what was missed is told when there
// is a connection again ("resynced").
#include <signal.h>
#include <stdio.h>

#include <reeve/cache.h>

static void print_value(const char *what, const char *path, const struct reeve_cache_node *node)
{
    const char *data = node && node->data ? node->data : "";
    printf("%s %s%s%s\n", what, path, node ? " = " : "", data);
}

// On the library's thread: quick, and never waiting for anything.
static void on_event(void *ctx, const struct reeve_cache_event *ev)
{
    (void)ctx;
    switch (ev->type) {
    case REEVE_CACHE_CREATED:
        print_value("new", ev->path, ev->node);
        break;
    case REEVE_CACHE_CHANGED:
        print_value("changed", ev->path, ev->node);
        break;
    case REEVE_CACHE_DELETED:
        print_value("gone", ev->path, NULL);
        break;
    case REEVE_CACHE_READY:
        printf("ready\n");
        break;
    case REEVE_CACHE_GAP:
        printf("gap: changes may be missing from here\n");
        break;
    case REEVE_CACHE_RESYNCED:
        printf("resynced: nothing is missing any more\n");
        break;
    case REEVE_CACHE_FAILED:
        printf("failed: %s\n", reeve_error_text(ev->error));
        break;
    }
    fflush(stdout);
}

static enum reeve_error follow(struct reeve *zk, const char *path, const sigset_t *until)
{
    struct reeve_cache *cache;
    struct reeve_cache_options o = {.event = on_event};
    enum reeve_error e = reeve_start(zk);
    e = e ? e : reeve_cache_new(&cache, zk, path, &o);
    if (!e) {
        int signal_number;
        sigwait(until, &signal_number);
        printf("%u nodes at the end\n", reeve_cache_count(cache));
        reeve_cache_free(&cache);
    }
    return e;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: config HOSTS PATH\n");
        return 2;
    }
    sigset_t ends; // taken by sigwait(), not by a handler
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);

    struct reeve *zk;
    struct reeve_options o = {.servers = argv[1]};
    enum reeve_error e = reeve_new(&zk, &o);
    if (!e) {
        e = follow(zk, argv[2], &ends);
        reeve_close(&zk);
    }
    if (e) {
        fprintf(stderr, "config: %s\n", reeve_error_text(e));
    }
    return e ? 1 : 0;
}
