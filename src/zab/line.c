// SPDX-License-Identifier: Apache-2.0
#include "zab/line.h"

#include "base/mem.h"

void line_fini(struct line *l)
{
    for (size_t i = l->first; i < l->n; i++) {
        blob_unref(&l->v[i].e.txn);
    }
    mem_free(l->v);
    *l = (struct line){0};
}

static void move_to_front(struct line *l)
{
    memmove(l->v, l->v + l->first, (l->n - l->first) * sizeof(*l->v));
    l->n -= l->first;
    l->appended -= l->first;
    l->committed -= l->first;
    l->applied -= l->first;
    l->acked -= l->first;
    l->first = 0;
}

void line_put(struct line *l, int64_t zxid, struct blob *txn)
{
    if (l->n == l->cap && l->first > l->n / 2) {
        move_to_front(l);
    }
    mem_grow((void **)&l->v, &l->cap, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct line_entry){.e = {zxid, blob_ref(txn)}};
}

struct blob *line_take(struct line *l)
{
    if (l->first < l->applied && l->first < l->acked) {
        return l->v[l->first++].e.txn;
    }
    if (l->first && l->first == l->n) {
        move_to_front(l);
    }
    return NULL;
}

void line_check(const struct line *l)
{
    must(l->first <= l->acked);
    must(l->acked <= l->appended);
    must(l->appended <= l->n);
    must(l->first <= l->applied);
    must(l->applied <= l->appended);
    must(l->applied <= l->committed);
    must(l->committed <= l->n);
    for (size_t i = l->first + 1; i < l->n; i++) {
        must(zxid_follows(l->v[i - 1].e.zxid, l->v[i].e.zxid));
    }
}
