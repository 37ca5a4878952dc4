// SPDX-License-Identifier: Apache-2.0
//
// Keeps one node there: a registration, or a claim that only one can hold. Used by everything that
// has a name on the server: instances, Dubbo's URLs, members of a group, owners of partitions.
//
// It has two halves that one function (step) brings together, with at most one request under way:
// what is wanted (the node with this data, or no node of ours), and what is known of the server:
//
//     NOTHING   no node of ours that we know of
//     UNSURE    a write's answer was lost, or somebody is in the way: to be looked at
//     OURS      it is there and belongs to this session (or to nobody: persistent)
//     OTHERS    it is there and belongs to another session
//
// UNSURE is found out by a read behind a sync. While the session lives, a node that the session
// owns is taken for ours (KEEP_MINE: if it is the very one we made, or may have made), and nobody
// else's write under it can be under way; that makes a deletion safe that is tried twice: it is
// never sent again before the look has said OURS. An ephemeral node of an earlier session of ours
// is OTHERS. `final`: there will be no other session, and so no more tries.
//
// A write of a lost connection, even of a lost session, may be executed late, behind others. So
// each is for the version that was seen last, and no node is left at a version that such a write is
// for.
//
// All on the loop's thread, embedded in a kit_object's struct or in a piece of its memory, which
// must live until KEEP_GONE was told.
#pragma once

#include "recipes/kit.h"

enum keep_flag {
    KEEP_EPHEMERAL = 1,
    KEEP_PLAIN_PARENTS = 2, // persistent ones, as Dubbo and Kafka make them; otherwise containers
    KEEP_REPLACE = 4,       // OTHERS' node is deleted; otherwise it is waited for
    KEEP_ONCE = 8,          // after KEEP_LOST it is not made again until keep_start()
    KEEP_GUARD = 16,        // OURS is watched, so that a deletion by somebody is KEEP_LOST, too
    KEEP_MINE = 32 // there may be other keeps of this session for the node: theirs are OTHERS
};

enum keep_news {
    KEEP_THERE,  // it is there, with the data of keep_start() or keep_set()
    KEEP_LOST,   // it was there, and is not ours any more
    KEEP_OTHERS, // somebody else's is there: being waited for
    KEEP_FAILED, // with an error; tried again soon (kit_is_for_now), at the next connection, or
                 // never
    KEEP_GONE    // the last word after keep_stop(). An error: it may be there still
};

struct keep;
// May call everything here, and after KEEP_GONE free the keep.
typedef void keep_fn(struct kit_object *o, struct keep *k, enum keep_news news, enum reeve_error e);

struct keep {
    struct kit_object *o;
    keep_fn *fn;
    char *path;
    void *data; // what is wanted in it
    size_t data_len;
    unsigned flags;
    enum { KEEP_NOTHING, KEEP_UNSURE, KEEP_OURS, KEEP_OTHERS_NODE } know;
    bool wanted, stopping;
    bool told;              // KEEP_THERE, and nothing since
    bool dirty;             // OURS, with other data
    bool busy;              // a request is under way
    bool watching;          // of the node, by on_event
    bool maybe;             // a create in this session may have made a node that we do not know
    bool failed;            // waits for the next connection
    bool over;              // the session is lost: waits for the next one
    uint32_t sum;           // of the data that the last create was sent with,
    int64_t before;         // what had happened then (a zxid),
    int64_t maybe_after;    // and when the first one was sent that `maybe` is about
    int64_t czxid;          // OURS: of its creation; 0: we know of none
    int32_t version;        // OURS, OTHERS_NODE: as it was seen last
    int32_t lost;           // what version a write was for whose fate is unknown; -1: none
    enum reeve_error final; // there will be no other session, and this is why
    struct kit_timer again;
};

// path is copied, data too. NO_MEMORY. It is given back by KEEP_GONE, or keep_fini().
enum reeve_error keep_init(struct keep *k, struct kit_object *o, const char *path, unsigned flags,
                           keep_fn *fn);
void keep_fini(struct keep *k); // of one that was never started, or is gone
// What is to be in it. NO_MEMORY: nothing changes.
enum reeve_error keep_set(struct keep *k, const void *data, size_t n);
void keep_start(struct keep *k);
// Ends in KEEP_GONE, perhaps before this returns.
void keep_stop(struct keep *k);
// In on_session() of a lost session: why there will never be another (SESSION_EXPIRED with
// options.one_session, AUTH_FAILED, CLOSED), or OK.
enum reeve_error keep_why_final(struct reeve *zk);
// To be called from the object's on_session().
void keep_on_session(struct keep *k, const struct reeve_session *s);
