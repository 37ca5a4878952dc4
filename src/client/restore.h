// SPDX-License-Identifier: Apache-2.0
//
// struct restore: the requests that register all watches again on a new connection. They are built
// as a whole when the connection begins, because the table of watches changes while they are sent:
// memory once as much as the watched paths, given back piece by piece as they are answered. Each
// stays well below jute.maxbuffer, whatever is watched (SendThread.primeConnection cuts at 128 KB).
//
// setWatches2 is asked for only where there is a persistent watch: servers before 3.6 do not know
// it.
#pragma once

#include "base/mtime.h"
#include "base/slice.h"
#include "client/alloc.h"
#include "client/watchers.h"

enum {
    RESTORE_BYTES_MAX = 64 * 1024, // of a request, unless a single path is longer
    RESTORE_XID = -8
};

struct restore_piece;

struct restore {
    struct reeve_allocator allocator;
    struct restore_piece *first; // without an answer, in order
    struct restore_piece *next;  // of these the first that was not sent
};

// False: no memory, and nothing is kept.
bool restore_build(struct restore *r, const struct watchers *w, int64_t zxid);
void restore_drop(struct restore *r);
// The next frame to be sent, null: none. It stays where it is until it is answered.
struct slice restore_next(const struct restore *r);
// It is on its way: sent at `now`, ends at `end` of the connection's stream.
void restore_sent(struct restore *r, struct mono now, uint64_t end);
// The oldest one on its way was answered. gone: how far the stream was sent. False: there is none,
// or it was not sent yet as a whole. *asked: when it was sent.
bool restore_answered(struct restore *r, uint64_t gone, struct mono *asked);
