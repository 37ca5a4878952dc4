// SPDX-License-Identifier: Apache-2.0
#include "sim/fault.h"

#include <stdio.h>
#include <stdlib.h>

#include "sim/host.h"
#include "sim/world.h"

static const char *const names[] = {
#define FAULT(id, name) name,
    FAULTS_LIST
#undef FAULT
};

const char *fault_name(enum fault_kind k)
{
    return names[k];
}

void faults_init(struct world *w)
{
    struct faults *f = &w->faults;
    f->mean_gap_ns = (int64_t)(200 + world_below(w, 4000)) * SIM_MS;
    for (int k = 0; k < FAULTS; k++) {
        bool on = (w->opt.faults & 1u << k) && world_chance(w, 3, 5);
        f->weight[k] = on ? 1 + (unsigned)world_below(w, 5) : 0;
    }
    for (int k = FAULT_SPLIT; k < FAULTS && w->conf.voters + w->conf.observers == 1; k++) {
        f->weight[k] = 0;
    }
    f->weight[FAULT_CUT] *= 3;
    f->weight[FAULT_ERRORS] = f->weight[FAULT_ERRORS] ? 1 : 0;
}

void faults_end_later(struct world *w, enum fault_kind k, uint32_t host, int64_t in_ns)
{
    world_later(w, in_ns, (struct sched_event){.kind = SCHED_UNFAULT, .a = (uint32_t)k, .b = host});
}

int64_t faults_up_to(struct world *w, int64_t ms)
{
    return (int64_t)(1 + world_below(w, (uint64_t)ms)) * SIM_MS;
}

static void strike_disk(struct world *w, struct host *h, enum fault_kind k)
{
    switch (k) {
    case FAULT_FULL:
        h->full_now = true;
        crashdisk_set_capacity(h->disk, crashdisk_used(h->disk) + world_below(w, 8000));
        faults_end_later(w, k, h->index, faults_up_to(w, 6000));
        break;
    case FAULT_SLOW:
        h->job_delay_ns = (int64_t)(20 + world_below(w, 300)) * SIM_MS;
        faults_end_later(w, k, h->index, faults_up_to(w, 4000));
        break;
    case FAULT_STUCK:
        h->stuck_until_ns = w->now_ns + faults_up_to(w, 4000);
        break;
    default:
        h->may_fail = true;
        crashdisk_set_errors(h->disk, 10 + (uint32_t)world_below(w, 200));
        faults_end_later(w, k, h->index, faults_up_to(w, 2000));
        break;
    }
}

// ---- a snapshot goes bad ---------------------------------------------------------------------

struct newest {
    uint64_t zxid, before; // and of the one before it
    uint64_t size;
    int n;
    char name[64];
};

static void look(void *ctx, const char *name, uint64_t size)
{
    struct newest *b = ctx;
    if (strncmp(name, "snapshot.", 9) != 0) {
        return;
    }
    uint64_t zxid = strtoull(name + 9, NULL, 16);
    b->n++;
    b->before = zxid >= b->zxid ? b->zxid : zxid > b->before ? zxid : b->before;
    if (zxid >= b->zxid) {
        b->zxid = zxid;
        b->size = size;
        snprintf(b->name, sizeof(b->name), "%s", name);
    }
}

// A byte of the newest snapshot changes while the machine is off. Once per run, and only when the
// server has older ones left to start from, and a log that leads from there.
static void rot(struct host *h)
{
    static const char dir[] = "/data/version-2";
    struct newest b = {0};
    char path[96];
    crashdisk_each(h->disk, dir, look, &b);
    if (!h->node || h->rotten || b.n < 3) {
        return;
    }
    h->rotten = true;
    host_down(h, true);
    host_boot_later(h, SIM_MS);
    snprintf(path, sizeof(path), "%s/%s", dir, b.name);
    struct slice bytes = crashdisk_peek(h->disk, path);
    if (bytes.n && trail_leads(h, (int64_t)b.before, (int64_t)b.zxid)) {
        uint64_t at = world_below(h->w, bytes.n);
        crashdisk_poke(h->disk, path, at, bytes.p[at] ^ 0x10, 1);
    }
}

static void strike_host(struct world *w, struct host *h, enum fault_kind k)
{
    switch (k) {
    case FAULT_POWER:
    case FAULT_KILL:
        if (h->node) {
            host_down(h, k == FAULT_POWER);
            host_boot_later(h, faults_up_to(w, 1500));
        }
        break;
    case FAULT_POWER_IN_JOB:
        h->kill_only = world_chance(w, 1, 2); // the process dies there, the machine does not
        crashdisk_crash_after(h->disk, 1 + world_below(w, 40));
        break;
    case FAULT_ROT:
        rot(h);
        break;
    case FAULT_RESTART:
        host_stop(h);
        break;
    case FAULT_PAUSE:
        host_pause(h, faults_up_to(w, 4000), world_chance(w, 1, 3));
        break;
    case FAULT_CLOCK:
        h->clock.wall_offset_ms += faults_up_to(w, 20000) / SIM_MS - 10000;
        break;
    default:
        strike_disk(w, h, k);
        break;
    }
}

// Leaders have more than their share of bad luck.
static struct host *any_host(struct world *w)
{
    struct host *leader = trail_leader(w);
    if (leader && w->hosts_n > 1 && world_chance(w, 1, 4)) {
        return leader;
    }
    return w->hosts[world_below(w, w->hosts_n)];
}

// A majority or more, at the same moment or nearly so.
static void strike_many(struct world *w, enum fault_kind k)
{
    uint32_t from = (uint32_t)world_below(w, w->hosts_n);
    uint32_t most = w->hosts_n / 2 + 1;
    uint32_t n = most + (uint32_t)world_below(w, w->hosts_n - most + 1);
    enum fault_kind one = k == FAULT_MANY_IN_JOB   ? FAULT_POWER_IN_JOB
                          : k == FAULT_ALL_RESTART ? FAULT_RESTART
                          : world_chance(w, 2, 3)  ? FAULT_POWER
                                                   : FAULT_KILL;
    for (uint32_t i = 0; i < n; i++) {
        strike_host(w, w->hosts[(from + i) % w->hosts_n], one);
    }
}

void faults_strike(struct world *w)
{
    struct faults *f = &w->faults;
    if (w->phase != PHASE_STORM) {
        return;
    }
    unsigned sum = 0;
    for (int k = 0; k < FAULTS; k++) {
        sum += f->weight[k];
    }
    if (sum == 0) {
        return;
    }
    unsigned x = (unsigned)world_below(w, sum);
    int k = 0;
    while (x >= f->weight[k]) {
        x -= f->weight[k++];
    }
    w->fig.faults[k]++;
    report_line(&w->report, "fault: %s", names[k]);
    if (fault_is_of_net((enum fault_kind)k)) {
        fault_net_strike(w, (enum fault_kind)k);
    } else if (k == FAULT_MANY_DOWN || k == FAULT_MANY_IN_JOB || k == FAULT_ALL_RESTART) {
        strike_many(w, (enum fault_kind)k);
    } else {
        strike_host(w, any_host(w), (enum fault_kind)k);
    }
    world_later(w, world_delay(w, f->mean_gap_ns), (struct sched_event){.kind = SCHED_FAULT});
}

void faults_end(struct world *w, enum fault_kind k, uint32_t at)
{
    if (fault_is_of_net(k)) {
        fault_net_end(w, k, at);
        return;
    }
    struct host *h = w->hosts[at];
    switch (k) {
    case FAULT_FULL:
        crashdisk_set_capacity(h->disk, UINT64_MAX);
        h->full_end_ns = h->full_now ? w->now_ns : h->full_end_ns;
        h->full_now = false;
        break;
    case FAULT_SLOW:
        h->job_delay_ns = 500 * 1000;
        break;
    case FAULT_ERRORS:
        crashdisk_set_errors(h->disk, 0);
        break;
    default:
        break;
    }
}

void faults_heal(struct world *w)
{
    w->faults.healed_ns = w->now_ns;
    for (uint32_t i = 0; i < w->hosts_n; i++) {
        struct host *h = w->hosts[i];
        if (!crashdisk_is_down(h->disk)) {
            crashdisk_crash_after(h->disk, 0);
        }
        faults_end(w, FAULT_FULL, i);
        faults_end(w, FAULT_SLOW, i);
        faults_end(w, FAULT_ERRORS, i);
    }
    fault_net_heal(w);
}
