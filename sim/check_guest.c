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

static uint32_t parts_of(const struct thing *t)
{
    return t->parts ? t->parts : 1;
}

// How much of it the others have that are awake.
static uint32_t taken(const struct world *w, const struct thing *t, uint32_t guest)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->clients_n; i++) {
        if ((t->believers & 1u << i) && i != guest && !guest_is_paused(w->clients[i]->guest)) {
            n += t->sharers & 1u << i ? 1 : parts_of(t);
        }
    }
    return n;
}

static void gain(struct world *w, uint32_t guest, uint32_t thing, int64_t token, bool whole)
{
    must(thing < THINGS);
    struct thing *t = &w->things[thing];
    uint32_t others = taken(w, t, guest), mine = whole ? parts_of(t) : 1;
    int64_t above = whole ? t->token : t->whole_token;
    report_line(&w->report, "guest %u has %s thing %u, token 0x%" PRIx64, guest,
                whole ? "all of" : "a part of", thing, (uint64_t)token);
    if (others + mine > parts_of(t) && !check_guest_cut_off(w)) {
        report_fail(&w->report, "guest %u is given %u of %u of thing %u, and others have %u (0x%x)",
                    guest, mine, parts_of(t), thing, others, t->believers);
    }
    if (t->believers & 1u << guest) {
        report_fail(&w->report, "guest %u is given thing %u twice", guest, thing);
    } else if (token <= above) {
        report_fail(&w->report,
                    "guest %u is given thing %u with token 0x%" PRIx64 ", not above 0x%" PRIx64,
                    guest, thing, (uint64_t)token, (uint64_t)above);
    }
    t->believers |= 1u << guest;
    t->sharers = whole ? t->sharers & ~(1u << guest) : t->sharers | 1u << guest;
    t->newest = guest;
    t->token = token > t->token ? token : t->token;
    t->whole_token = whole ? token : t->whole_token;
    t->tokens[guest] = token;
    t->since_ns = w->now_ns;
    t->grants++;
    w->fig.grants++;
}

void check_guest_gain(struct world *w, uint32_t guest, uint32_t thing, int64_t token)
{
    gain(w, guest, thing, token, true);
}

void check_guest_gain_part(struct world *w, uint32_t guest, uint32_t thing, int64_t token)
{
    gain(w, guest, thing, token, false);
}

void check_guest_lose(struct world *w, uint32_t guest, uint32_t thing)
{
    must(thing < THINGS);
    report_line(&w->report, "guest %u no longer has thing %u", guest, thing);
    w->things[thing].believers &= ~(1u << guest);
    w->things[thing].since_ns = w->now_ns;
}

// Whether somebody was given what this guest cannot have kept meanwhile.
static bool overtaken(const struct world *w, const struct thing *t, uint32_t guest)
{
    bool shares = t->sharers & 1u << guest;
    return shares ? t->whole_token > t->tokens[guest] || taken(w, t, guest) >= parts_of(t)
                  : t->newest != guest;
}

void check_guest_woke(struct world *w, uint32_t guest)
{
    for (uint32_t i = 0; i < THINGS; i++) {
        const struct thing *t = &w->things[i];
        if ((t->believers & 1u << guest) && overtaken(w, t, guest)) {
            report_fail(&w->report,
                        "guest %u has slept, guest %u was given thing %u, and it still believes to "
                        "have it",
                        guest, t->newest, i);
        }
    }
}
