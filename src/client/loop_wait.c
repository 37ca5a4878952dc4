// SPDX-License-Identifier: Apache-2.0
//
// Who drives, and how the others wait. A client without a thread is driven by one of the threads
// that wait in it; when that one has what it waited for it asks the first of the others to go on.
// The thread of reeve_start() takes the role for good, and then the others only sleep.
//
// Sleeping is a futex on the gate itself: one system call to sleep, one to wake, none if the gate
// opens before.
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/loop.h"

static void futex_wait(struct reeve_gate *g, uint32_t seen)
{
    (void)syscall(SYS_futex, &g->bits, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
}

static void futex_wake(struct reeve_gate *g)
{
    (void)syscall(SYS_futex, &g->bits, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void loop_opened(void *ctx, struct reeve_gate *g)
{
    (void)ctx;
    futex_wake(g);
}

static void sleep_at(struct reeve_gate *g)
{
    uint32_t seen = atomic_fetch_or(&g->bits, GATE_ASLEEP) | GATE_ASLEEP;
    while (!(seen & (GATE_OPEN | GATE_DRIVE))) {
        futex_wait(g, seen);
        seen = atomic_load(&g->bits);
    }
}

// ---- the role -----------------------------------------------------------------------------------

// With the role's lock, which keeps the gate of a waiter where it is.
static void ask_first(struct loop *l)
{
    if (!l->driven && l->waiters) {
        atomic_fetch_or(&l->waiters->gate->bits, GATE_DRIVE);
        futex_wake(l->waiters->gate);
    }
}

static bool take_or_queue(struct loop *l, struct waiter *w)
{
    pthread_mutex_lock(&l->role);
    bool taken = !l->driven;
    if (taken) {
        l->driven = true;
    } else if (w) {
        struct waiter **to = &l->waiters;
        while (*to) {
            to = &(*to)->next;
        }
        w->next = NULL;
        *to = w;
    }
    pthread_mutex_unlock(&l->role);
    return taken;
}

bool loop_take(struct loop *l)
{
    return take_or_queue(l, NULL);
}

void loop_give(struct loop *l)
{
    atomic_store(&l->sleeping, l->watched);
    pthread_mutex_lock(&l->role);
    l->driven = false;
    ask_first(l);
    pthread_mutex_unlock(&l->role);
}

// Who was asked to drive and does not need it any more asks the next.
static void leave_queue(struct loop *l, struct waiter *w)
{
    pthread_mutex_lock(&l->role);
    struct waiter **at = &l->waiters;
    while (*at != w) {
        at = &(*at)->next;
    }
    *at = w->next;
    uint32_t bits = atomic_fetch_and(&w->gate->bits, ~(uint32_t)GATE_DRIVE);
    if ((bits & GATE_DRIVE) && (bits & GATE_OPEN)) {
        ask_first(l);
    }
    pthread_mutex_unlock(&l->role);
}

// What has come while nobody drove is heard before anybody is blamed for silence.
static void catch_up(struct loop *l)
{
    enum { LATE_MS = 100 };
    if (mono_diff_ms(loop_clock(NULL), l->now) >= LATE_MS) {
        loop_poll(l, 0);
    }
}

static void drive(struct loop *l, struct reeve_gate *until)
{
    catch_up(l);
    for (;;) {
        loop_run(l);
        if (client_is_over(l->zk) && !gate_is_open(&l->over)) {
            reeve_gate_open(&l->over);
        }
        if (gate_is_open(until)) {
            return;
        }
        atomic_store(&l->sleeping, true);
        loop_poll(l, loop_timeout_ms(l));
    }
}

void loop_wait(struct reeve *zk, void *ctx, struct reeve_gate *g)
{
    struct loop *l = ctx;
    struct waiter me = {.gate = g};
    while (!gate_is_open(g)) {
        if (atomic_load(&l->kept)) {
            sleep_at(g);
        } else if (take_or_queue(l, &me)) {
            drive(l, g);
            loop_give(l);
            loop_wake(zk, l); // who watches reeve_fd() knows nothing of what has happened since
        } else {
            sleep_at(g);
            leave_queue(l, &me);
        }
    }
}

void loop_keep(struct loop *l)
{
    struct waiter me = {.gate = &l->over};
    while (!gate_is_open(&l->over)) {
        if (l->handed || take_or_queue(l, &me)) {
            atomic_store(&l->kept, true);
            drive(l, &l->over);
        } else {
            sleep_at(&l->over);
            leave_queue(l, &me);
        }
    }
}
