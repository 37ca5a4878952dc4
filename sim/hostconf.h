// SPDX-License-Identifier: Apache-2.0
//
// The settings of one simulated server, and the files it must find: drawn per host, small, so that
// every rare thing happens often. What a whole ensemble agrees on is drawn once per world.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct host;
struct world;

// Of all servers of a world.
struct ensemble_conf {
    uint32_t voters, observers; // 1, 0: standalone
    bool observer_masters;      // observers go to followers
    uint32_t init_limit, sync_limit;
    bool ports_in_lines; // client ports stand in the server.N lines
};

void hostconf_draw(struct world *w, uint32_t voters, uint32_t observers);
void hostconf_make(struct host *h); // fills h->cfg, writes myid
