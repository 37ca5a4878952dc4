// SPDX-License-Identifier: Apache-2.0
//
// Unanswered writes of connections that are gone. Their session may come back on a new connection
// whose requests carry the same xids (some clients count from 1 again), so the outcomes of the old
// ones must be told from those of the new ones.
#pragma once

#include "serve/order.h"

struct orphans {
    struct slab slab; // struct orphan
    uint32_t first;
};

void orphans_init(struct orphans *o);
void orphans_fini(struct orphans *o, struct slab *items);
// A connection of the session ends with these requests in flight.
void orphan_keep(struct orphans *o, struct slab *items, int64_t session, const struct order *from);
// Was this outcome awaited by a connection that is gone? It is taken then.
bool orphan_take(struct orphans *o, struct slab *items, int64_t session, int32_t cxid);
void orphan_forget(struct orphans *o, struct slab *items, int64_t session); // session has ended
void orphan_forget_all(struct orphans *o, struct slab *items);
