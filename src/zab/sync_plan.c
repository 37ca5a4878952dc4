// SPDX-License-Identifier: Apache-2.0
//
// Three questions, in this order: is the learner level with us, is it ahead, can we serve what it
// lacks. Whatever is left gets a snapshot.
#include "zab/sync_plan.h"

#include "base/must.h"

static int64_t epoch_of(int64_t zxid)
{
    return zxid >> 32;
}

// (e,0) is no transaction: who stands there has all that is before epoch e.
static bool is_epoch_start(int64_t zxid)
{
    return (zxid & UINT32_MAX) == 0;
}

// Nothing is between runs[i - 1] and runs[i]. The first transaction of an epoch has counter 1.
static bool follows(const struct sync_run *runs, size_t i)
{
    if (epoch_of(runs[i].first) == epoch_of(runs[i - 1].last)) {
        return runs[i].first == runs[i - 1].last + 1;
    }
    return runs[i].joined && (runs[i].first & UINT32_MAX) == 1;
}

static int64_t history_first(const struct sync_ask *ask)
{
    return ask->memory_n ? ask->memory[0].first : ask->last_processed;
}

static int64_t history_last(const struct sync_ask *ask)
{
    return ask->memory_n ? ask->memory[ask->memory_n - 1].last : ask->last_processed;
}

// The run that holds z, or begins right behind it if z is the start of an epoch; then *at.
static enum sync_why locate(const struct sync_run *runs, size_t n, int64_t z, size_t *at)
{
    size_t i = 0;
    while (i < n && runs[i].last < z) {
        i++;
    }
    *at = i;
    if (i < n && runs[i].first <= z) {
        return SYNC_WHY_BEHIND;
    }
    if (i == 0) {
        return SYNC_WHY_TOO_OLD;
    }
    if (i == n) {
        return SYNC_WHY_GAP;
    }
    if (is_epoch_start(z)) {
        return follows(runs, i) || runs[i].first == z + 1 ? SYNC_WHY_BEHIND : SYNC_WHY_GAP;
    }
    // A transaction we do not have: of an epoch that ended without it, or lost by ourselves.
    return follows(runs, i) ? SYNC_WHY_TAIL : SYNC_WHY_GAP;
}

// Whether everything from runs[at] up to transaction `end` is there without a hole.
static bool reaches(const struct sync_run *runs, size_t n, size_t at, int64_t end)
{
    size_t i = at;
    while (i < n && runs[i].last < end) {
        i++;
        if (i == n || !follows(runs, i)) {
            return false;
        }
    }
    return i < n && runs[i].first <= end;
}

static bool is_too_much(const struct sync_ask *ask, size_t at)
{
    double bytes = 0;
    for (size_t i = at; i < ask->disk_n; i++) {
        bytes += (double)ask->disk[i].bytes;
    }
    return ask->size_factor > 0 && ask->snapshot_bytes > 0 &&
           bytes > ask->size_factor * (double)ask->snapshot_bytes;
}

// The disk says that the log goes on behind its snapshot, wherever that came from.
static bool is_vouched(const struct sync_ask *ask, int64_t z, size_t at, size_t n)
{
    return z >= 0 && z == ask->snapshot_zxid && at < n;
}

static enum sync_why serve_from_disk(const struct sync_ask *ask, int64_t z, int64_t end)
{
    size_t at;
    if (ask->size_factor < 0 || ask->disk_n == 0) {
        return SYNC_WHY_TOO_OLD;
    }
    enum sync_why why = locate(ask->disk, ask->disk_n, z, &at);
    if (why != SYNC_WHY_BEHIND && !is_vouched(ask, z, at, ask->disk_n)) {
        return why;
    }
    if (!reaches(ask->disk, ask->disk_n, at, end)) {
        return SYNC_WHY_GAP;
    }
    return is_too_much(ask, at) ? SYNC_WHY_TOO_MUCH : SYNC_WHY_BEHIND;
}

// Whether all that is behind z can be sent; if so, SYNC_WHY_BEHIND and where it comes from.
static enum sync_why serve(const struct sync_ask *ask, int64_t z, struct sync_plan *plan)
{
    size_t at = 0;
    enum sync_why why = SYNC_WHY_BEHIND;
    int64_t first = history_first(ask), last = history_last(ask);
    plan->disk_end = 0;
    if (z < first) {
        why = serve_from_disk(ask, z, first);
        plan->disk_end = ask->memory_n ? first : first + 1;
    } else if (ask->memory_n) {
        why = locate(ask->memory, ask->memory_n, z, &at);
    }
    if (why == SYNC_WHY_BEHIND && ask->memory_n && !reaches(ask->memory, ask->memory_n, at, last)) {
        why = SYNC_WHY_GAP;
    }
    if (why != SYNC_WHY_BEHIND && z >= first && z == ask->snapshot_zxid) {
        why = serve_from_disk(ask, z, last); // z is no transaction, or memory has a hole
        plan->disk_end = last + 1;
    }
    plan->after = z;
    plan->last = last;
    return why;
}

// A snapshot file that is there already costs no walk, but what came behind it must be sent, too.
// One below the learner's zxid would have its log go backwards.
static bool plan_file(const struct sync_ask *ask, struct sync_plan *plan)
{
    struct sync_ask all = *ask;
    int64_t file = ask->snapshot_zxid;
    all.size_factor = 0; // what is behind a file has to be sent whatever its length
    plan->file = file;
    if (file >= 0 && file == ask->committed && ask->last_processed >= ask->learner) {
        // It is all there is, so it is the state of the new epoch, too.
        plan->after = plan->last = ask->last_processed;
        plan->disk_end = 0;
        return true;
    }
    return file >= 0 && file >= ask->learner && file <= history_last(ask) &&
           serve(&all, file, plan) == SYNC_WHY_BEHIND;
}

// The last of our transactions below z; -1: none.
static int64_t last_below(const struct sync_ask *ask, int64_t z)
{
    int64_t below = -1;
    for (size_t i = 0; i < ask->disk_n + ask->memory_n; i++) {
        const struct sync_run *r = i < ask->disk_n ? &ask->disk[i] : &ask->memory[i - ask->disk_n];
        if (r->first < z) {
            int64_t last = r->last < z ? r->last : z - 1;
            below = last > below ? last : below;
        }
    }
    return below;
}

// Without a file that could be sent the log has to do, however long it is: before it serves a
// leader must not write a snapshot, since its last transactions may not be committed
// (ZOOKEEPER-1549), and afterwards a new one would cost more than it saves.
static bool plan_log(const struct sync_ask *ask, enum sync_why why, struct sync_plan *plan)
{
    struct sync_ask all = *ask;
    all.size_factor = 0;
    int64_t z = ask->learner;
    *plan = (struct sync_plan){.open = SYNC_DIFF, .why = why, .zxid = history_last(ask)};
    if (why == SYNC_WHY_TAIL) {
        z = last_below(ask, z);
        plan->open = SYNC_TRUNC;
        plan->zxid = z;
    }
    bool can = why == SYNC_WHY_TAIL || why == SYNC_WHY_TOO_MUCH || why == SYNC_WHY_FORCED;
    return can && z > 0 && serve(&all, z, plan) == SYNC_WHY_BEHIND;
}

static struct sync_plan send_snapshot(const struct sync_ask *ask, enum sync_why why)
{
    struct sync_plan plan = {.open = SYNC_SNAP, .why = why, .from_file = true};
    if (!plan_file(ask, &plan)) {
        struct sync_plan log;
        if (ask->final && plan_log(ask, why, &log)) {
            return log;
        }
        int64_t file = ask->snapshot_zxid;
        plan.from_file = file >= 0 && file == ask->last_processed;
        plan.after = plan.last = ask->last_processed;
        plan.disk_end = 0;
    }
    plan.zxid = plan.after;
    return plan;
}

static struct sync_plan cut_back(const struct sync_ask *ask)
{
    int64_t last = history_last(ask);
    return (struct sync_plan){
        .open = SYNC_TRUNC, .why = SYNC_WHY_AHEAD, .zxid = last, .after = last, .last = last};
}

// Its last transaction is above ours.
static struct sync_plan plan_ahead(const struct sync_ask *ask)
{
    if (is_epoch_start(ask->learner)) {
        return send_snapshot(ask, SYNC_WHY_AHEAD_EPOCH);
    }
    bool covered = ask->serving && ask->last_processed > ask->learner;
    return covered ? send_snapshot(ask, SYNC_WHY_TAIL) : cut_back(ask);
}

// Java's LearnerHandler.syncFollower.
struct sync_plan sync_plan_make(const struct sync_ask *ask)
{
    int64_t z = ask->learner;
    must(ask->last_processed >= history_last(ask));
    if (ask->force_snapshot) {
        bool below_tail = z > ask->last_processed && !is_epoch_start(z);
        return below_tail ? cut_back(ask) : send_snapshot(ask, SYNC_WHY_FORCED);
    }
    if (z == ask->last_processed) {
        return (struct sync_plan){
            .open = SYNC_DIFF, .why = SYNC_WHY_EQUAL, .zxid = z, .after = z, .last = z};
    }
    if (z > history_last(ask)) {
        return plan_ahead(ask);
    }
    struct sync_plan plan = {.open = SYNC_DIFF, .zxid = history_last(ask)};
    plan.why = serve(ask, z, &plan);
    return plan.why == SYNC_WHY_BEHIND ? plan : send_snapshot(ask, plan.why);
}

bool sync_run_extend(struct sync_run *run, int64_t zxid)
{
    bool next = zxid == run->last + 1 && !is_epoch_start(zxid);
    run->last += next;
    return next;
}

const char *sync_open_name(enum sync_open open)
{
    static const char *const names[] = {"DIFF", "TRUNC", "SNAP"};
    must(open <= SYNC_SNAP);
    return names[open];
}

const char *sync_why_text(enum sync_why why)
{
    static const char *const texts[] = {
        [SYNC_WHY_EQUAL] = "it has everything",
        [SYNC_WHY_BEHIND] = "it lacks what follows",
        [SYNC_WHY_AHEAD] = "it has more than this leader",
        [SYNC_WHY_FORCED] = "forceSnapshotSync is set",
        [SYNC_WHY_TAIL] = "its last transactions are not in the history",
        [SYNC_WHY_GAP] = "the log has a hole where it would begin",
        [SYNC_WHY_TOO_OLD] = "the log does not reach back to it",
        [SYNC_WHY_TOO_MUCH] = "a snapshot is smaller than the log it lacks",
        [SYNC_WHY_AHEAD_EPOCH] = "it stands at an epoch this leader does not know",
    };
    must(why < sizeof(texts) / sizeof(texts[0]));
    return texts[why];
}
