// SPDX-License-Identifier: Apache-2.0
#include "sim/check_guest.h"

#include <inttypes.h>

#include "base/must.h"
#include "sim/guest.h"
#include "sim/world.h"

enum { CUT_OFF_S = 15 }; // the longest syncLimit and session there are

bool check_guest_cut_off(const struct world *w)
{
    return w->net.bad_ns && w->now_ns - w->net.bad_ns < CUT_OFF_S * SIM_S;
}

void check_guest_gain(struct world *w, uint32_t guest, uint32_t thing, int64_t token)
{
    must(thing < THINGS);
    struct thing *t = &w->things[thing];
    report_line(&w->report, "guest %u has thing %u, token 0x%" PRIx64, guest, thing,
                (uint64_t)token);
    for (uint32_t i = 0; i < w->clients_n; i++) {
        if ((t->believers & 1u << i) && i != guest && !guest_is_paused(w->clients[i]->guest) &&
            !check_guest_cut_off(w)) {
            report_fail(&w->report, "guest %u is given thing %u, and guest %u has it", guest, thing,
                        i);
        }
    }
    if (t->believers & 1u << guest) {
        report_fail(&w->report, "guest %u is given thing %u twice", guest, thing);
    } else if (token <= t->token) {
        report_fail(&w->report,
                    "guest %u is given thing %u with token 0x%" PRIx64 ", not above 0x%" PRIx64,
                    guest, thing, (uint64_t)token, (uint64_t)t->token);
    }
    t->believers |= 1u << guest;
    t->newest = guest;
    t->token = token;
    t->since_ns = w->now_ns;
    t->grants++;
    w->fig.grants++;
}

void check_guest_lose(struct world *w, uint32_t guest, uint32_t thing)
{
    must(thing < THINGS);
    report_line(&w->report, "guest %u no longer has thing %u", guest, thing);
    w->things[thing].believers &= ~(1u << guest);
    w->things[thing].since_ns = w->now_ns;
}

void check_guest_woke(struct world *w, uint32_t guest)
{
    for (uint32_t i = 0; i < THINGS; i++) {
        if ((w->things[i].believers & 1u << guest) && w->things[i].newest != guest) {
            report_fail(&w->report,
                        "guest %u has slept, guest %u was given thing %u, and it still believes to "
                        "have it",
                        guest, w->things[i].newest, i);
        }
    }
}
