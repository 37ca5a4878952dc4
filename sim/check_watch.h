// SPDX-License-Identifier: Apache-2.0
//
// struct watcher: which notifications one connection must get, and in which place among its
// replies. It holds the watches the connection has set and runs the model's changes over them:
// everything a change fires comes before any reply or notification that shows this or a later
// change, once, in order, and nothing else comes. client-protocol.md 6.
#pragma once

#include "sim/model.h"

enum watcher_mode { WATCHER_STANDARD = 1, WATCHER_PERSISTENT = 2, WATCHER_RECURSIVE = 4 };

struct watcher_entry {
    struct slice path;
    bool child_list;
    unsigned modes;
};

struct watcher_note {
    int64_t zxid; // -1: made by setWatches
    int32_t type;
    struct slice path;
    bool any_order; // among those of the same zxid
};

struct watcher {
    struct arena *arena; // the client's
    struct who who;
    int64_t pos; // changes up to here have been run
    struct watcher_entry *v;
    size_t n, cap;
    struct watcher_note *due; // must come next
    size_t due_n, due_cap;
    struct watcher_note *made; // came with zxid -1
    size_t made_n, made_cap;
};

struct report;

void watcher_reset(struct watcher *w); // a new connection
void watcher_fini(struct watcher *w);
void watcher_on_event(struct watcher *w, const struct model *m, int64_t zxid, int32_t type,
                      struct slice path, struct report *r);
// A reply with this zxid: everything due must have come. Then the request's own registrations.
// Returns the error that a watch request must get.
int32_t watcher_on_reply(struct watcher *w, const struct model *m, const struct ask *q,
                         int64_t zxid, int32_t err, struct report *r);
