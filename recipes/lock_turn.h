// SPDX-License-Identifier: Apache-2.0
//
// A turn: standing in line for something. Locks, read/write locks, semaphores and elections are
// turns with different names of nodes.
//
// A turn takes a seat (kit.h) below a path and looks who is before it: the youngest of the older
// seats that block it. It watches that one alone, and looks again when it goes; so whoever leaves
// wakes one. It also watches its own node from the beginning, because somebody may delete it, and
// has the turn only when that watch stands.
//
//     IDLE --begin--> SEATING --> LOOKING <--> WAITING
//                                    \--> HELD
//     every one --end--> ENDING --> IDLE
//     SEATING LOOKING WAITING --seat or session gone--> AGAIN --> SEATING
//     HELD --seat or session gone--> ENDING, and lost() was called first
//
// What of an old round is still under way (requests, a seat being left) is waited for in ENDING and
// AGAIN, so that no answer is taken for a later round's.
#pragma once

#include "recipes/kit.h"

enum turn_state {
    TURN_IDLE,
    TURN_SEATING,
    TURN_LOOKING,
    TURN_WAITING,
    TURN_HELD,
    TURN_ENDING,
    TURN_AGAIN
};

// Names: the layout's GUID, then `marker`, then the sequence number. Seats with one of the markers
// in `blocks` must go before.
struct turn_rule {
    bool kazoo; // how the GUID is written: kit_name_kazoo, kit_name_curator
    const char *marker;
    const char *blocks[2];
    size_t blocks_n;
};

// None is called from inside turn_begin() or turn_end().
struct turn_hooks {
    void (*granted)(struct kit_object *o, void *arg);
    // It cannot be had: ENDING follows, then idle(). OPERATION_TIMEOUT: turn_begin(only_try).
    void (*failed)(struct kit_object *o, void *arg, enum reeve_error e);
    // It was HELD and is no more: SESSION_EXPIRED, AUTH_FAILED, CLOSED, NO_NODE (somebody deleted
    // our node). idle() follows.
    void (*lost)(struct kit_object *o, void *arg, enum reeve_error e);
    // Nothing of it is left, and it may begin anew. e: OK, or why the node could not be deleted.
    void (*idle)(struct kit_object *o, void *arg, enum reeve_error e);
};

struct turn {
    struct kit_object *o;
    const char *path; // borrowed, like everything below, for the turn's whole life
    const struct turn_rule *rule;
    const struct turn_hooks *hooks;
    void *arg;
    const void *data;
    size_t data_len;

    enum turn_state state;
    struct kit_seat seat;
    size_t asked;           // requests under way
    bool only_try;          // nobody is waited for
    bool own_watched;       // the watch on our node stands
    bool own_asked;         // it is being set
    bool looked;            // LOOKING: nobody is before us
    char *before;           // whom we watch, or are about to
    bool before_watched;    // that watch stands
    enum reeve_error ended; // why the seat could not be left
    struct kit_timer again; // after NO_MEMORY while HELD
};

void turn_init(struct turn *t, struct kit_object *o, const char *path, const struct turn_rule *rule,
               const struct turn_hooks *hooks, void *arg);
void turn_set_data(struct turn *t, const void *data, size_t n); // of the next seat
void turn_fini(struct turn *t);                                 // in the object's fini()

// From IDLE. An error: it stays IDLE, and no hook is called.
enum reeve_error turn_begin(struct turn *t, bool only_try);
// From any state; HELD: it is given back. True: idle() follows. False: it is IDLE already. Also to
// be called in on_close().
bool turn_end(struct turn *t);
// The first thing in on_session().
void turn_on_session(struct turn *t, const struct reeve_session *s);
// Tries again what found no memory; hooks may be called. Whenever the user asks for something: if
// not even a timer found memory, the next change of the session could be far away.
void turn_poke(struct turn *t);
