// SPDX-License-Identifier: Apache-2.0
#include "sim/sched.h"

#include "base/mem.h"

static bool before(const struct sched_event *a, const struct sched_event *b)
{
    return a->at_ns < b->at_ns || (a->at_ns == b->at_ns && a->seq < b->seq);
}

void sched_add(struct sched *s, struct sched_event ev)
{
    mem_grow((void **)&s->heap, &s->cap, s->n + 1, sizeof(*s->heap));
    ev.seq = s->seq++;
    size_t i = s->n++;
    while (i > 0 && before(&ev, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = ev;
}

bool sched_next(struct sched *s, struct sched_event *ev)
{
    if (s->n == 0) {
        return false;
    }
    *ev = s->heap[0];
    struct sched_event last = s->heap[--s->n];
    size_t i = 0;
    for (size_t c = 1; c < s->n; c = 2 * i + 1) {
        if (c + 1 < s->n && before(&s->heap[c + 1], &s->heap[c])) {
            c++;
        }
        if (!before(&s->heap[c], &last)) {
            break;
        }
        s->heap[i] = s->heap[c];
        i = c;
    }
    s->heap[i] = last;
    return true;
}

void sched_fini(struct sched *s)
{
    mem_free(s->heap);
    *s = (struct sched){0};
}
