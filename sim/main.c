// SPDX-License-Identifier: Apache-2.0
//
// reeve-sim: runs the server in simulated worlds. Seed in, text out; the exit code is 0 when
// nothing was found wrong. See docs/TESTING.md.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/guest.h"
#include "sim/world.h"

enum {
    PLANT_SEEDS = 40, // a planted bug must be found within as many
    WHY_MAX = 1024
};

static const char usage[] =
    "reeve-sim --seed N [options]      one world; --trace prints its whole history\n"
    "reeve-sim --seeds A..B [options]  many, one after the other\n"
    "reeve-sim --plants [--seed N]      show that each planted bug is found, from seed N on\n"
    "  --plant NAME   plant one bug            --storm S     seconds of faults (30)\n"
    "  --servers N    voters (1..5; 0: by chance)   --observers N (0..2)\n"
    "  --clients N    how many clients (1..12) --no-faults   only load\n"
    "  --guests N     how many more use the client library and its recipes (0..4)\n"
    "  --parts LIST   what these do: calls,locks,... (by chance)\n"
    "  --only FAULT   only this kind of fault  --quiet-node  without the servers' own log lines\n";

struct total {
    struct figures fig;
    uint64_t seeds;
};

static void add(struct total *t, const struct figures *f)
{
    t->seeds++;
    t->fig.steps += f->steps;
    t->fig.requests += f->requests;
    t->fig.replies += f->replies;
    t->fig.notifications += f->notifications;
    t->fig.sessions += f->sessions;
    t->fig.commits += f->commits;
    t->fig.boots += f->boots;
    t->fig.leaders += f->leaders;
    t->fig.grants += f->grants;
    t->fig.calls += f->calls;
    t->fig.sim_ns += f->sim_ns;
    for (int k = 0; k < FAULTS; k++) {
        t->fig.faults[k] += f->faults[k];
    }
}

static void print_total(const struct total *t)
{
    printf("%" PRIu64 " seeds, %.2f simulated hours, %" PRIu64 " steps: %" PRIu64
           " requests, %" PRIu64 " replies, %" PRIu64 " notifications, %" PRIu64
           " transactions, %" PRIu64 " sessions, %" PRIu64 " starts, %" PRIu64 " leaders, %" PRIu64
           " calls and %" PRIu64 " grants of guests\nfaults:",
           t->seeds, (double)t->fig.sim_ns / 3.6e12, t->fig.steps, t->fig.requests, t->fig.replies,
           t->fig.notifications, t->fig.commits, t->fig.sessions, t->fig.boots, t->fig.leaders,
           t->fig.calls, t->fig.grants);
    for (int k = 0; k < FAULTS; k++) {
        printf(" %s %" PRIu64, fault_name((enum fault_kind)k), t->fig.faults[k]);
    }
    printf("\n");
}

// why: where the failure's text goes, NULL: print it with the history before it. A run that fails
// without a history is run again with one.
static bool run(const struct options *o, struct total *t, char *why)
{
    struct options again = *o;
    struct world *w = world_new(o);
    bool good = world_run(w), silent = o->silent;
    add(t, &w->fig);
    if (!good && why) {
        snprintf(why, WHY_MAX, "%s", w->report.why);
    } else if (!good && !silent) {
        report_print(&w->report, o->seed, w->fig.steps);
    }
    world_free(&w);
    if (!good && !why && silent) {
        struct total none = {0};
        again.silent = false;
        must(!run(&again, &none, NULL));
    }
    return good;
}

static int run_range(struct options *o, uint64_t from, uint64_t to)
{
    struct total t = {0};
    int bad = 0;
    for (uint64_t seed = from; seed <= to; seed++) {
        o->seed = seed;
        if (from != to) {
            printf("seed %" PRIu64 "\n", seed); // so that an abort names it
            o->silent = !o->trace;
        }
        bad += !run(o, &t, NULL);
    }
    print_total(&t);
    return bad ? 1 : 0;
}

static int run_plants(struct options *o, uint64_t from)
{
    int missed = 0;
    o->silent = true;
    for (int p = PLANT_NONE + 1; p < PLANTS_COUNT; p++) {
        struct total t = {0};
        bool found = false;
        char why[WHY_MAX] = "";
        o->plant = (enum plant)p;
        o->servers = plant_servers(o->plant);
        o->guests = plant_guests(o->plant);
        o->parts = plant_parts(o->plant);
        for (o->seed = from; o->seed < from + PLANT_SEEDS && !found; o->seed++) {
            found = !run(o, &t, why);
        }
        printf("%-14s %s\n    %s in %" PRIu64 " seeds%s%s\n", plant_name(o->plant),
               plant_what(o->plant), found ? "found" : "MISSED", t.seeds, found ? ": " : "", why);
        missed += !found;
    }
    return missed ? 1 : 0;
}

static bool parse_plant(struct options *o, const char *name)
{
    for (int p = 0; p < PLANTS_COUNT; p++) {
        if (strcmp(name, plant_name((enum plant)p)) == 0) {
            o->plant = (enum plant)p;
            o->servers = plant_servers(o->plant);
            o->guests = plant_guests(o->plant);
            o->parts = plant_parts(o->plant);
            return true;
        }
    }
    return false;
}

static bool parse_fault(struct options *o, const char *name)
{
    for (int k = 0; k < FAULTS; k++) {
        if (strcmp(name, fault_name((enum fault_kind)k)) == 0) {
            o->faults = 1u << k;
            return true;
        }
    }
    return false;
}

static bool parse_number(const char *text, const char *end, uint64_t *v)
{
    char *stop;
    *v = strtoull(text, &stop, 10);
    return stop != text && (end ? strncmp(stop, end, strlen(end)) == 0 : *stop == 0);
}

struct command {
    struct options o;
    uint64_t from, to;
    bool seeds, plants;
};

static bool parse_value(struct command *c, const char *key, const char *value)
{
    uint64_t n;
    if (strcmp(key, "--plant") == 0) {
        return parse_plant(&c->o, value);
    }
    if (strcmp(key, "--only") == 0) {
        return parse_fault(&c->o, value);
    }
    if (strcmp(key, "--parts") == 0) {
        return guest_parts_parse(value, &c->o.parts);
    }
    if (strcmp(key, "--seeds") == 0) {
        const char *dots = strstr(value, "..");
        c->seeds = true;
        return dots && parse_number(value, "..", &c->from) && parse_number(dots + 2, NULL, &c->to);
    }
    if (!parse_number(value, NULL, &n)) {
        return false;
    }
    if (strcmp(key, "--seed") == 0) {
        c->seeds = true;
        c->from = c->to = n;
        return true;
    }
    if (strcmp(key, "--storm") == 0 && n > 0 && n <= 100000) {
        c->o.storm_s = (int)n;
        return true;
    }
    if (strcmp(key, "--servers") == 0 && n <= 5) {
        c->o.servers = (int)n;
        return true;
    }
    if (strcmp(key, "--observers") == 0 && n <= 2) {
        c->o.observers = (int)n;
        return true;
    }
    if (strcmp(key, "--clients") == 0 && n >= 1 && n <= CLIENTS_MAX - GUESTS_MAX) {
        c->o.clients = (int)n;
        return true;
    }
    if (strcmp(key, "--guests") == 0 && n <= GUESTS_MAX) {
        c->o.guests = (int)n;
        return true;
    }
    return false;
}

static bool parse(struct command *c, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0) {
            c->o.trace = true;
        } else if (strcmp(argv[i], "--plants") == 0) {
            c->plants = true;
        } else if (strcmp(argv[i], "--no-faults") == 0) {
            c->o.faults = 0;
        } else if (strcmp(argv[i], "--quiet-node") == 0) {
            c->o.verbose_node = false;
        } else if (i + 1 < argc && parse_value(c, argv[i], argv[i + 1])) {
            i++;
        } else {
            return false;
        }
    }
    return c->seeds || c->plants;
}

int main(int argc, char **argv)
{
    struct command c = {0};
    options_init(&c.o, 0);
    setvbuf(stdout, NULL, _IOLBF, 0); // the history must be out when a must() fails
    if (!parse(&c, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    return c.plants ? run_plants(&c.o, c.from ? c.from : 1) : run_range(&c.o, c.from, c.to);
}
