// SPDX-License-Identifier: Apache-2.0
//
// The waiting form of an asynchronous function: the caller's thread waits on its stack for the one
// callback. Whoever may not wait is told so before anything is begun, so nobody ever leaves while
// the callback may still come.
#pragma once

#include "recipes/kit.h"

struct await {
    struct reeve_gate *gate;
    enum reeve_error error;
};

// WRONG_THREAD, NO_MEMORY: nothing is to be begun.
enum reeve_error await_init(struct await *a, struct reeve *zk);
// started: what the asynchronous function returned. Returns what it came to, and ends `a`.
enum reeve_error await_wait(struct await *a, enum reeve_error started);
// The callback, with the struct await as its ctx.
void await_done(void *ctx, enum reeve_error e);
