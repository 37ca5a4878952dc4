// SPDX-License-Identifier: Apache-2.0
//
// Kept credentials. See auths.h.
#include "client/auths.h"

#include "base/must.h"

void auths_fini(struct auths *a)
{
    while (a->first) {
        struct auth *x = a->first;
        a->first = x->next;
        if (x->call && x->sent) {
            call_free(&x->call);
        }
        alloc_put(&a->allocator, x);
    }
    a->replay = NULL;
}

bool auths_add(struct auths *a, struct call *c)
{
    struct auth *x = alloc_get(&a->allocator, NULL, sizeof(*x) + c->frame_n);
    if (!x) {
        return false;
    }
    call_set_xid(c, -4);
    *x = (struct auth){.call = c, .n = c->frame_n};
    memcpy(x->frame, c->frame, c->frame_n);
    struct auth **at = &a->first;
    while (*at) {
        at = &(*at)->next;
    }
    *at = x;
    return true;
}

struct auth *auths_of(struct auths *a, const struct call *c)
{
    struct auth *x = a->first;
    while (x && x->call != c) {
        x = x->next;
    }
    must(x);
    return x;
}

static void forward(struct auths *a)
{
    while (a->replay && !a->replay->sent) {
        a->replay = a->replay->next;
    }
}

void auths_rewind(struct auths *a)
{
    for (struct auth *x = a->first; x; x = x->next) {
        x->asked = false;
    }
    a->replay = a->first;
    forward(a);
}

struct auth *auths_to_replay(struct auths *a)
{
    return a->replay;
}

void auths_replayed(struct auths *a, uint64_t end)
{
    a->replay->asked = true;
    a->replay->end = end;
    a->replay = a->replay->next;
    forward(a);
}

// An equal one that stands before it and is known to be good.
static bool is_double(const struct auths *a, const struct auth *x)
{
    for (const struct auth *y = a->first; y != x; y = y->next) {
        if (y->sent && y->n == x->n && memcmp(y->frame, x->frame, x->n) == 0) {
            return true;
        }
    }
    return false;
}

bool auths_answered(struct auths *a, uint64_t gone, struct call **c)
{
    struct auth **at = &a->first;
    while (*at && !(*at)->asked) {
        at = &(*at)->next;
    }
    struct auth *x = *at;
    if (!x || x->end > gone) {
        return false;
    }
    *c = x->call;
    x->call = NULL;
    x->asked = false;
    if (is_double(a, x)) {
        must(a->replay != x); // it was asked, so its turn is over
        *at = x->next;
        alloc_put(&a->allocator, x);
    }
    return true;
}

struct call *auths_detach(struct auths *a, struct call *c)
{
    for (struct auth *x = a->first; x; x = x->next) {
        if (x->call && (c ? x->call == c : x->sent)) {
            struct call *found = x->call;
            x->call = NULL;
            x->sent = true;
            return found;
        }
    }
    return NULL;
}
