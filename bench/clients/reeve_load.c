// SPDX-License-Identifier: Apache-2.0
//
// The load of clients/load.h through libreeve, with its loop in a thread, as Apache's client has
// it.
#include "load.h"

#include <reeve/reeve.h>

static struct load load;
static struct reeve *zk;
static struct reeve_gate *gate;

static void on_done(void *ctx, const struct reeve_result *r);

static void ask(void)
{
    load.sent++;
    if (load.op[0] == 's') {
        reeve_set_async(zk, LOAD_PATH, load.data, sizeof(load.data), -1, on_done, NULL);
    } else if (load.op[0] == 'c') {
        reeve_children_async(zk, LOAD_TOP, NULL, on_done, NULL);
    } else {
        reeve_get_async(zk, LOAD_PATH, NULL, on_done, NULL);
    }
}

static void on_done(void *ctx, const struct reeve_result *r)
{
    (void)ctx;
    if (load_answered(&load, r->error)) {
        ask();
    } else if (load.answered == load.count) {
        reeve_gate_open(gate);
    }
}

static void begin(void *ctx)
{
    (void)ctx;
    for (long i = 0; i < load.depth; i++) {
        ask();
    }
}

int main(int argc, char **argv)
{
    load_parse(&load, argc, argv);
    struct reeve_options o = {.servers = load.servers};
    if (reeve_new(&zk, &o) || reeve_start(zk) || reeve_wait_connected(zk, 10000) ||
        reeve_gate_new(zk, &gate)) {
        fprintf(stderr, "no server at %s\n", load.servers);
        return 1;
    }
    reeve_create(zk, LOAD_TOP, NULL, 0, 0, NULL);
    reeve_create(zk, LOAD_PATH, load.data, sizeof(load.data), 0, NULL);
    reeve_post(zk, begin, NULL);
    reeve_gate_wait(gate);
    load_print(&load);
    reeve_gate_free(&gate);
    reeve_close(&zk);
    return 0;
}
