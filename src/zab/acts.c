// SPDX-License-Identifier: Apache-2.0
#include "zab/acts.h"

#include "base/mem.h"

void acts_clear(struct acts *a)
{
    for (size_t i = 0; i < a->held_n; i++) {
        blob_unref(&a->held[i]);
    }
    a->held_n = 0;
    a->n = 0;
}

void acts_fini(struct acts *a)
{
    acts_clear(a);
    mem_free(a->v);
    mem_free(a->held);
    *a = (struct acts){0};
}

void acts_hold(struct acts *a, struct blob *txn)
{
    mem_grow((void **)&a->held, &a->held_cap, a->held_n + 1, sizeof(struct blob *));
    a->held[a->held_n++] = txn;
}

void acts_add(struct acts *a, struct role_action action)
{
    mem_grow((void **)&a->v, &a->cap, a->n + 1, sizeof(*a->v));
    a->v[a->n++] = action;
}

void acts_send(struct acts *a, int64_t sid, enum qpacket_type type, int64_t zxid)
{
    acts_add(a, (struct role_action){
                    .type = ROLE_SEND, .sid = sid, .packet = {.type = type, .zxid = zxid}});
}

void acts_send_txn(struct acts *a, int64_t sid, enum qpacket_type type, const struct zab_entry *e)
{
    // Its holder may let go of it in the same step.
    acts_hold(a, blob_ref(e->txn));
    acts_add(a, (struct role_action){.type = ROLE_SEND,
                                     .sid = sid,
                                     .packet = {.type = type, .zxid = e->zxid, .txn = e->txn}});
}
