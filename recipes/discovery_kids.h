// SPDX-License-Identifier: Apache-2.0
//
// Follows the children of one node, or some named nodes below it, with their data if wanted: what
// providers, subscriptions and groups know of others. One-shot watches, which every server has.
//
// After each change everything that is due is read (at most KIDS_READS at a time), and then
// changed() is told once; what was known is kept until then, and beyond when the server cannot be
// asked (`stale`). When the connection is made again the list is read anew, and with a new session
// the data as well. A node that is not there has no children: its creation is waited for.
//
// A child that may not be read (NO_AUTH) has no data, and the others are read nevertheless; if none
// may be, that is the error.
//
// The picture is not a snapshot: each part is as new as its own read, and what changes meanwhile
// comes as the next change. States that last are all seen.
//
// On the loop's thread, embedded in a kit_object's struct.
#pragma once

#include "recipes/kit.h"

enum { KIDS_READS = 64, KIDS_AGAIN_MS = 1000 };

enum kids_flag {
    KIDS_DATA = 1,  // their data, too
    KIDS_NAMED = 2, // not the children that are there, but those of kids_add()
    KIDS_ONCE = 4   // no watches: told once
};

struct kids;

struct kid {
    struct kids *kids;
    char *name, *path; // path: only with KIDS_DATA
    char *data;        // NULL: null, or not read yet
    size_t data_len;
    int64_t czxid, mzxid;
    int64_t owner;   // ephemeral_owner
    uint64_t change; // another number each time it was read; 0: never
    bool absent;     // KIDS_NAMED: it is not there
    bool refused;    // it may not be read: it has no data until the next list
    bool missed;     // it was not there when it was read: it is another one if the next list has it
    bool due, reading, again, gone, watching, seen;
    struct kid *next_due;
};

typedef void kids_fn(struct kit_object *o, void *arg);

struct kids {
    struct kit_object *o;
    kids_fn *changed;
    void *arg;
    char *path;
    unsigned flags;
    struct kid **list; // in the order of their names; those without data yet have change 0
    size_t n, cap;
    bool on, stopped, listed, list_due, exists_due, listing, watching, news, over, waiting;
    bool stale;             // the picture may be behind
    enum reeve_error error; // why it cannot be read, if that is the reason
    size_t reads;
    uint64_t changes;
    struct kid *due, **due_end;
    struct kit_timer again;
};

// NO_MEMORY. path is copied.
enum reeve_error kids_init(struct kids *k, struct kit_object *o, const char *path, unsigned flags,
                           kids_fn *changed, void *arg);
// KIDS_NAMED: one more. NO_MEMORY.
enum reeve_error kids_add(struct kids *k, const char *name);
// Takes back what is watched; changed() is not told any more.
void kids_stop(struct kids *k);
// When no request is under way: in the object's fini(), for instance.
void kids_fini(struct kids *k);
// From the object's on_session(), whose first call begins it all.
void kids_on_session(struct kids *k, const struct reeve_session *s);
const struct kid *kids_find(const struct kids *k, const char *name);
