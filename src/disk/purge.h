// SPDX-License-Identifier: Apache-2.0
//
// Removing what no start needs any more. disk-format.md 11: the newest `retain` good snapshots
// stay, and every log that may hold a record above the oldest of them. Good means read whole, seals
// and all, not only that the end looks right; while there are fewer good ones nothing goes.
//
// A job of the background lane, begun only when the newest snapshot is durable.
#pragma once

#include "disk/disk.h"
#include "disk/names.h"

enum { PURGE_KNOWN = 16 };

struct purge {
    struct env_job job;
    const char *snap_dir, *log_dir;
    int32_t retain;
    int64_t known[PURGE_KNOWN]; // zxids of snapshots known to be good, newest last
    int known_n;
    int snaps_removed, logs_removed;
    int64_t snap_bytes, log_bytes; // removed
    enum err err;
};

void purge_know(struct purge *p, int64_t zxid);
void purge_run(struct env_job *job);
