// SPDX-License-Identifier: Apache-2.0
//
// struct slab: items of one size named by 32-bit handles, half the memory of pointers. Handle 0 is
// never given out, so 0 means "none" in links. Items never move; a freed handle is used again, last
// freed first. Chunks grow in number, never in size, so growing copies nothing.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/must.h"

enum { SLAB_CHUNK_SHIFT = 10, SLAB_CHUNK_ITEMS = 1 << SLAB_CHUNK_SHIFT };

struct slab {
    uint8_t **chunks;
    size_t chunks_n, chunks_cap;
    uint32_t item_size; // at least 4: a free item holds the next free handle
    uint32_t next;      // first handle never used
    uint32_t free_head;
    uint32_t live;
};

void slab_init(struct slab *s, uint32_t item_size);
void slab_fini(struct slab *s);
uint32_t slab_alloc(struct slab *s); // zeroed item
void slab_free(struct slab *s, uint32_t h);

static inline void *slab_at(const struct slab *s, uint32_t h)
{
    must(h != 0 && h < s->next);
    return s->chunks[h >> SLAB_CHUNK_SHIFT] + (size_t)(h & (SLAB_CHUNK_ITEMS - 1)) * s->item_size;
}
