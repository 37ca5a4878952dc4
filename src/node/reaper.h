// SPDX-License-Identifier: Apache-2.0
//
// reaper: when empty containers and expired TTL nodes are deleted, and how fast. Leader only. Pure:
// it picks paths; the node proposes a deleteContainer for each, which is checked again when
// prepared. client-protocol.md 2.6; Apache's ContainerManager.
#pragma once

#include "base/arena.h"
#include "base/mtime.h"
#include "tree/tree.h"

struct reaper {
    int64_t interval_ms;   // znode.container.checkIntervalMs
    int64_t per_minute;    // znode.container.maxPerMinute
    int64_t never_used_ms; // znode.container.maxNeverUsedIntervalMs, 0: never
    struct mono next;      // next look at the tree
    struct mono refilled;  // when `allowed` was last topped up
    int64_t allowed;       // deletions that may go out now
    bool behind;           // the last look found more than was allowed: look again at once
};

void reaper_init(struct reaper *r, int64_t interval_ms, int64_t per_minute, int64_t never_used_ms,
                 struct mono now);
// Paths to delete now, in the arena; mostly none.
struct slice_vec reaper_step(struct reaper *r, const struct tree *t, struct mono now,
                             struct wall wall, struct arena *a);
