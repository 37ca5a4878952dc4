// SPDX-License-Identifier: Apache-2.0
//
// struct guest: a program on a machine of its own that uses the client library: struct reeve, with
// the simulated network beneath it and its own clock, and above it recipes at work (guest_work.c).
//
// It is a struct client whose bytes the library makes. What the library sends is read along
// (tapped) and noted as an ask, what it receives goes through the checkers first: so every request
// of the library must be in the committed history as any client's, and every reply and notification
// it gets is checked before it sees it.
//
//   library -> engine_output -> tap (asks) -> net -> server
//   server -> net -> check_order -> engine_received -> library -> callbacks -> guest_work
//
// A guest may stop for seconds (a debugger, a swapping machine): its clock goes on and bytes pile
// up; when it wakes it may have lost its session, and must not act as if it had not.
#pragma once

#include "client/client.h"
#include "sim/client.h"

// Below this guests live among themselves.
#define GUESTS_PATH "/guests"

struct guest_work;
struct guest_common;

struct guest {
    struct client *c;
    struct reeve *zk; // NULL: it is over
    struct guest_work *work;
    int64_t clock_offset_ns;
    int64_t paused_until_ns;
    int64_t apart_ns; // since when it has no connection though nothing is wrong, 0: it has one
    struct guest_link {
        bool used, open;
        uint32_t link, host;
        struct buf out; // sent by the library, not yet a whole frame
    } links[ENGINE_LINKS_MAX];
    bool leaving, running;
    bool closes; // it ends its session when it leaves
};

struct guest *guest_new(struct client *c);
void guest_free(struct guest **g);

void guest_tick(struct client *c); // SCHED_CLIENT
void guest_on_connected(struct client *c, uint32_t link);
void guest_on_data(struct client *c, uint32_t link, struct slice bytes);
void guest_on_closed(struct client *c, uint32_t link);
bool guest_is_paused(const struct guest *g);

// guest_work.c: what the program does, in parts, and what all guests together must not do.
struct guest_work *guest_work_new(struct guest *g);
void guest_work_free(struct guest_work **w); // after the library: every callback has come
void guest_work_tick(struct guest_work *w);  // something new to do
void guest_work_woke(struct guest_work *w);  // it had slept
void guest_work_leave(struct guest_work *w); // gives back what it has
// The faults are long over: has everything gone on?
void guest_work_check_calm(struct guest_work *w);

// What all guests of a world share: which parts there are, and what is known of all of them.
struct guest_common *guest_common_new(struct world *w);
void guest_common_end(struct guest_common *c, struct world *w); // every guest has left
void guest_common_free(struct guest_common **c);
// A list of parts with commas between them, as bits for struct options. False: no such part.
bool guest_parts_parse(const char *list, unsigned *parts);
