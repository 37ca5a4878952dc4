// SPDX-License-Identifier: Apache-2.0
#include "base/slab.h"

#include <string.h>

#include "base/mem.h"

void slab_init(struct slab *s, uint32_t item_size)
{
    must(item_size >= 4);
    *s = (struct slab){.item_size = item_size, .next = 1};
}

void slab_fini(struct slab *s)
{
    for (size_t i = 0; i < s->chunks_n; i++) {
        mem_free(s->chunks[i]);
    }
    mem_free(s->chunks);
    *s = (struct slab){.item_size = s->item_size, .next = 1};
}

uint32_t slab_alloc(struct slab *s)
{
    uint32_t h = s->free_head;
    if (h) {
        memcpy(&s->free_head, slab_at(s, h), 4);
    } else {
        must(s->next < UINT32_MAX);
        h = s->next;
        if (h >> SLAB_CHUNK_SHIFT >= s->chunks_n) {
            mem_grow((void **)&s->chunks, &s->chunks_cap, s->chunks_n + 1, sizeof(*s->chunks));
            s->chunks[s->chunks_n++] = mem_alloc((size_t)s->item_size * SLAB_CHUNK_ITEMS);
        }
        s->next++;
    }
    s->live++;
    memset(slab_at(s, h), 0, s->item_size);
    return h;
}

void slab_free(struct slab *s, uint32_t h)
{
    must(s->live > 0);
    memcpy(slab_at(s, h), &s->free_head, 4);
    s->free_head = h;
    s->live--;
}
