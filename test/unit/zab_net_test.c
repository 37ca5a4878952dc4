// SPDX-License-Identifier: Apache-2.0
//
// Servers that elect, agree and fail: a small deterministic world of struct fle, leader and learner
// around an abstract disk. The disk finishes what it was asked in order and late; a crash loses
// what it has not finished. Connections take their time and break, servers are cut off and come
// back.
//
// In each step: the invariants of whoever moved, and Zab's properties by the names of its TLA+
// specification. `truth` is what was ever delivered by a leader; what a live learner has delivered
// must be a beginning of it (Agreement, TotalOrder, PrefixConsistency), nothing is in it that was
// not proposed (Integrity), it is in zxid order without holes (LocalPrimaryOrder,
// GlobalPrimaryOrder), and who becomes live as a leader has all of it (PrimaryIntegrity). When all
// is healed everybody is live in one epoch, with the same history, within a bound of virtual time.
// What a leader commits is on the disks of a quorum of its members, a reconfiguration on those of
// its new ones, too; and who named another leader commits nothing more.
//
// Planted bugs stand in this world, not in the cores; each of them must be found.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "test/support/zab_net.h"

// ---- worlds -------------------------------------------------------------------------------------

static void open_world(struct world *w, uint64_t seed, enum plant plant, bool reconfigures)
{
    memset(w, 0, sizeof(*w));
    w->rng.state = seed;
    w->plant = plant;
    w->voters = 3 + (int)(seed % 3);
    w->n = w->voters + (seed % 4 == 3);
    if (reconfigures) {
        w->voters = 2 + (int)(seed % 3);
        w->n = 6;
        w->reconfig_every = 60;
    }
    w->delay_max_ms = 1 + (int64_t)rng_below(&w->rng, 60);
    w->disk_max_ms = 1 + (int64_t)rng_below(&w->rng, rng_chance(&w->rng, 1, 4) ? 200 : 40);
    w->keep = rng_chance(&w->rng, 1, 2) ? 4 + rng_below(&w->rng, 12) : 500;
    w->propose_every = rng_chance(&w->rng, 1, 2) ? 8 : 3000;
    net_first_config(w, reconfigures ? w->voters : w->n);
    for (int s = 1; s <= w->n; s++) {
        w->servers[s].up_at = mono_add_ms(w->now, (int64_t)rng_below(&w->rng, 300));
        w->servers[s].named = NET_NOBODY;
    }
}

static void close_world(struct world *w)
{
    for (size_t i = 0; i < w->flights_n; i++) {
        net_land(&w->flights[i]);
    }
    for (int s = 1; s <= w->n; s++) {
        struct server *v = &w->servers[s];
        fle_free(&v->fle);
        leader_free(&v->leader);
        learner_free(&v->learner);
        history_fini(&v->history);
        mem_free(v->snap);
    }
    net_configs_fini(w);
}

static void cut_off(struct world *w, int a, uint64_t part)
{
    for (int i = 1; i <= w->n; i++) {
        if (i != a && rng_chance(&w->rng, part, 3)) {
            w->cut[a][i] = w->cut[i][a] = true;
            if (w->servers[a].conn && w->servers[a].follows == i) {
                net_disconnect(w, a);
            }
            if (w->servers[i].conn && w->servers[i].follows == a) {
                net_disconnect(w, i);
            }
        }
    }
}

// A leader has proposed what nobody else hears of; maybe it was not even cut off before the log had
// it, and is back soon.
static void strand_leader(struct world *w)
{
    for (int s = 1; s <= w->n; s++) {
        for (uint64_t i = rng_below(&w->rng, 6); i-- > 0 && w->servers[s].leader;) {
            net_propose(w, s);
        }
        if (w->servers[s].leader && leader_is_serving(w->servers[s].leader)) {
            cut_off(w, s, 3);
            net_run(w, (int64_t)rng_below(&w->rng, 200));
            if (w->servers[s].fle && rng_chance(&w->rng, 1, 2)) {
                net_crash(w, s);
            }
            memset(w->cut, 0, sizeof(w->cut));
            return;
        }
    }
}

static void trouble(struct world *w)
{
    int a = 1 + (int)rng_below(&w->rng, (uint64_t)w->n);
    switch (rng_below(&w->rng, 8)) {
    case 0:
    case 1:
        if (w->servers[a].fle) {
            net_crash(w, a);
        }
        break;
    case 2: // all at once: only what is on disk remains
        for (int s = 1; s <= w->n; s++) {
            if (w->servers[s].fle && rng_chance(&w->rng, 3, 4)) {
                net_crash(w, s);
            }
        }
        break;
    case 3:
        cut_off(w, a, 2);
        break;
    case 4:
        strand_leader(w);
        break;
    case 5:
    case 6:
        memset(w->cut, 0, sizeof(w->cut));
        break;
    default:
        net_disconnect(w, a);
    }
}

static void heal(struct world *w)
{
    w->propose_every = 8;
    w->reconfig_every = 0;
    memset(w->cut, 0, sizeof(w->cut));
    for (int s = 1; s <= w->n; s++) {
        if (!w->servers[s].fle) {
            w->servers[s].up_at = w->now;
        }
    }
}

static bool all_live(const struct world *w)
{
    int leaders = 0;
    for (int s = 1; s <= w->n; s++) {
        const struct server *v = &w->servers[s];
        leaders += v->leader && leader_is_serving(v->leader);
        if (!(v->leader && leader_is_serving(v->leader)) &&
            !(v->learner && learner_is_live(v->learner))) {
            return false;
        }
        if (v->current != w->servers[1].current || v->applied + 40 < w->truth_n) {
            return false;
        }
    }
    return leaders == 1;
}

static const char *run_seed(struct world *w, uint64_t seed, enum plant plant, bool reconfigures)
{
    open_world(w, seed, plant, reconfigures);
    for (int i = 0; i < 14 && !w->fault; i++) {
        net_run(w, 100 + (int64_t)rng_below(&w->rng, 1200));
        trouble(w);
    }
    heal(w);
    size_t before = w->truth_n;
    bool settled = false;
    for (int i = 0; i < 150 && !w->fault && !settled; i++) {
        net_run(w, 100);
        settled = all_live(w) && w->truth_n > before;
    }
    if (!settled) {
        net_fault(w, "Liveness: not everybody is live after healing");
    }
    return w->fault;
}

static void troubled_ensembles_agree(void **state)
{
    (void)state;
    static struct world w;
    int truncs = 0, snaps = 0, diffs = 0, serves = 0;
    size_t delivered = 0;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        const char *what = run_seed(&w, seed, PLANT_NONE, false);
        if (what) {
            print_error("seed %d: %s\n", (int)seed, what);
        }
        assert_null(what);
        truncs += w.truncs;
        snaps += w.snaps;
        diffs += w.diffs;
        serves += w.serves;
        delivered += w.truth_n;
        close_world(&w);
    }
    print_message("%d DIFF, %d TRUNC, %d SNAP, %d times live, %d delivered\n", diffs, truncs, snaps,
                  serves, (int)delivered);
    assert_true(truncs > 100);
    assert_true(snaps > 100);
    assert_true(delivered > 20000);
}

static void ensembles_that_are_reconfigured_agree(void **state)
{
    (void)state;
    static struct world w;
    int reconfigs = 0, activations = 0, handovers = 0;
    size_t delivered = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        const char *what = run_seed(&w, seed, PLANT_NONE, true);
        if (what) {
            print_error("seed %d: %s\n", (int)seed, what);
        }
        assert_null(what);
        reconfigs += w.reconfigs;
        activations += w.activations;
        handovers += w.handovers;
        delivered += w.truth_n;
        close_world(&w);
    }
    print_message("%d reconfigurations, %d activations, %d other leaders named, %d delivered\n",
                  reconfigs, activations, handovers, (int)delivered);
    assert_true(reconfigs > 500);
    assert_true(activations > 1000);
    assert_true(handovers > 100);
    assert_true(delivered > 10000);
}

// In a process of its own: a plant may well break an invariant of a core first.
static bool is_found(enum plant plant)
{
    static struct world w;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stderr)) {
            _exit(0);
        }
        for (uint64_t seed = 1; seed <= 1500; seed++) {
            if (run_seed(&w, seed, plant, plant >= PLANT_OLD_QUORUM)) {
                _exit(3);
            }
            close_world(&w);
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status != 0;
}

static void planted_bugs_are_found(void **state)
{
    (void)state;
    int missed = 0;
    for (enum plant p = PLANT_NONE + 1; p < PLANT_COUNT; p++) {
        bool found = is_found(p);
        if (!found) {
            print_error("plant %d is not found\n", (int)p);
        }
        missed += !found;
    }
    assert_int_equal(missed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(troubled_ensembles_agree),
        cmocka_unit_test(ensembles_that_are_reconfigured_agree),
        cmocka_unit_test(planted_bugs_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
