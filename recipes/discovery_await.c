// SPDX-License-Identifier: Apache-2.0
#include "recipes/discovery_await.h"

enum reeve_error await_init(struct await *a, struct reeve *zk)
{
    *a = (struct await){0};
    // An open gate says whether this thread could wait, without waiting.
    struct reeve_gate *open;
    enum reeve_error e = reeve_gate_new(zk, &open);
    if (e) {
        return e;
    }
    reeve_gate_open(open);
    e = reeve_gate_wait(open);
    reeve_gate_free(&open);
    return e ? e : reeve_gate_new(zk, &a->gate);
}

void await_done(void *ctx, enum reeve_error e)
{
    struct await *a = ctx;
    a->error = e;
    reeve_gate_open(a->gate);
}

enum reeve_error await_wait(struct await *a, enum reeve_error started)
{
    enum reeve_error e = started;
    if (!started) {
        e = reeve_gate_wait(a->gate);
        e = e ? e : a->error;
    }
    reeve_gate_free(&a->gate);
    return e;
}
