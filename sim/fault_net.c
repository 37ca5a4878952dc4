// SPDX-License-Identifier: Apache-2.0
//
// Faults of the network: single connections, and the paths between hosts. Of the latter there is
// one state at a time: a new fault of paths replaces the one before.
#include "sim/fault.h"

#include "sim/host.h"
#include "sim/world.h"

bool fault_is_of_net(enum fault_kind k)
{
    switch (k) {
    case FAULT_CUT:
    case FAULT_FREEZE:
    case FAULT_STALL:
    case FAULT_SPLIT:
    case FAULT_ONE_WAY:
    case FAULT_PARTIAL:
    case FAULT_LONG_WAY:
    case FAULT_PEER_CUT:
        return true;
    default:
        return false;
    }
}

// ---- connections -----------------------------------------------------------------------------

static uint32_t any_link(struct world *w, bool of_hosts)
{
    uint32_t at = (uint32_t)world_below(w, LINKS_MAX);
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        uint32_t k = (at + i) % LINKS_MAX;
        const struct link *l = &w->net.links[k];
        if (l->used && l->end[DIALER].open && l->end[ACCEPTOR].open &&
            (!of_hosts || l->end[DIALER].is_host)) {
            return k;
        }
    }
    return LINK_NONE;
}

static void strike_link(struct world *w, enum fault_kind k)
{
    uint32_t link = any_link(w, k == FAULT_PEER_CUT);
    if (link == LINK_NONE) {
        return;
    }
    if (k == FAULT_FREEZE) {
        net_freeze(w, link, faults_up_to(w, 6000));
    } else if (k != FAULT_STALL) {
        net_cut(w, link);
    } else if (!w->net.links[link].end[DIALER].is_host) {
        net_client_stall(w, link, true);
        faults_end_later(w, FAULT_STALL, link, faults_up_to(w, 5000));
    }
}

// ---- paths -----------------------------------------------------------------------------------

static void clear_paths(struct world *w)
{
    w->faults.paths_gen++;
    for (uint32_t a = 0; a < w->hosts_n; a++) {
        for (uint32_t b = 0; b < w->hosts_n; b++) {
            w->net.bad_ns = w->net.paths[a][b].delay_ns ? w->now_ns : w->net.bad_ns;
            w->net.paths[a][b].delay_ns = 0;
            net_block(w, a, b, false);
        }
    }
}

// Two sides that do not hear each other.
static void split(struct world *w)
{
    uint32_t here = 1 + (uint32_t)world_below(w, (1u << w->hosts_n) - 2);
    report_line(&w->report, "partition: hosts 0x%x and the others", here);
    for (uint32_t a = 0; a < w->hosts_n; a++) {
        for (uint32_t b = 0; b < w->hosts_n; b++) {
            net_block(w, a, b, ((here >> a) & 1) != ((here >> b) & 1));
        }
    }
}

// Nothing from one host arrives at others, or nothing arrives there.
static void one_way(struct world *w)
{
    uint32_t a = (uint32_t)world_below(w, w->hosts_n);
    bool out = world_chance(w, 1, 2), all = world_chance(w, 1, 2);
    report_line(&w->report, "host %u %s%s", a, out ? "is not heard" : "does not hear",
                all ? "" : " by all");
    for (uint32_t b = 0; b < w->hosts_n; b++) {
        if (b != a && (all || world_chance(w, 1, 2))) {
            net_block(w, out ? a : b, out ? b : a, true);
        }
    }
}

static void partial(struct world *w)
{
    for (uint32_t a = 0; a < w->hosts_n; a++) {
        for (uint32_t b = a + 1; b < w->hosts_n; b++) {
            bool blocked = world_chance(w, 1, 3);
            net_block(w, a, b, blocked);
            net_block(w, b, a, blocked);
        }
    }
}

static void long_way(struct world *w)
{
    uint32_t a = (uint32_t)world_below(w, w->hosts_n);
    int64_t delay_ns = faults_up_to(w, 400);
    for (uint32_t b = 0; b < w->hosts_n; b++) {
        w->net.bad_ns = w->now_ns + delay_ns;
        w->net.paths[a][b].delay_ns = delay_ns;
        w->net.paths[b][a].delay_ns = world_chance(w, 1, 2) ? delay_ns : 0;
    }
}

static void strike_paths(struct world *w, enum fault_kind k)
{
    clear_paths(w);
    switch (k) {
    case FAULT_SPLIT:
        split(w);
        break;
    case FAULT_ONE_WAY:
        one_way(w);
        break;
    case FAULT_PARTIAL:
        partial(w);
        break;
    default:
        long_way(w);
        break;
    }
    faults_end_later(w, k, w->faults.paths_gen, faults_up_to(w, 8000));
}

// ---- entry -----------------------------------------------------------------------------------

void fault_net_strike(struct world *w, enum fault_kind k)
{
    if (k == FAULT_CUT || k == FAULT_FREEZE || k == FAULT_STALL || k == FAULT_PEER_CUT) {
        strike_link(w, k);
    } else {
        strike_paths(w, k);
    }
}

void fault_net_end(struct world *w, enum fault_kind k, uint32_t at)
{
    if (k != FAULT_STALL) {
        if (at == w->faults.paths_gen) {
            clear_paths(w);
        }
    } else if (w->net.links[at].used && !w->net.links[at].end[DIALER].is_host) {
        net_client_stall(w, at, false);
    }
}

void fault_net_heal(struct world *w)
{
    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        fault_net_end(w, FAULT_STALL, i);
    }
    clear_paths(w);
}
