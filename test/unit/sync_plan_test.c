// SPDX-License-Identifier: Apache-2.0
//
// What a leader sends to a learner: each row of the protocol's choice; each place where Java's
// choice is not safe; then random histories, logs with holes and learners with tails, where the
// plan is carried out and must leave the learner with the leader's history, and where nothing is
// broken must be Java's choice (written down a second time below, record by record).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "zab/sync_plan.h"

#define Z(epoch, counter) ((int64_t)(epoch) << 32 | (int64_t)(counter))

// ---- the table ----------------------------------------------------------------------------------

static const struct sync_run memory[] = {{Z(4, 5), Z(4, 9), false, 0}, {Z(6, 1), Z(6, 3), true, 0}};
static const struct sync_run disk[] = {{Z(2, 3), Z(2, 9), false, 100},
                                       {Z(3, 1), Z(3, 4), true, 100},
                                       {Z(4, 1), Z(4, 7), true, 100},
                                       {Z(4, 8), Z(4, 9), true, 100},
                                       {Z(6, 1), Z(6, 3), true, 100}};

struct row {
    const char *name;
    int64_t learner;
    enum sync_open open;
    enum sync_why why;
    int64_t zxid, after, disk_end, last;
};

static void check_row(const struct sync_ask *base, const struct row *r)
{
    struct sync_ask ask = *base;
    ask.learner = r->learner;
    struct sync_plan p = sync_plan_make(&ask);
    if (p.open != r->open || p.why != r->why || p.zxid != r->zxid || p.after != r->after ||
        p.disk_end != r->disk_end || p.last != r->last) {
        fail_msg("%s: %s 0x%llx (%s), after 0x%llx, disk up to 0x%llx, last 0x%llx", r->name,
                 sync_open_name(p.open), (unsigned long long)p.zxid, sync_why_text(p.why),
                 (unsigned long long)p.after, (unsigned long long)p.disk_end,
                 (unsigned long long)p.last);
    }
}

#define CHECK_ROWS(ask, rows)                                       \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++) { \
        check_row(&(ask), &(rows)[i]);                              \
    }

// Elected, its log replayed, not yet serving; any amount may come from disk.
static struct sync_ask elected(void)
{
    return (struct sync_ask){.last_processed = Z(6, 3),
                             .memory = memory,
                             .memory_n = 2,
                             .disk = disk,
                             .disk_n = 5,
                             .snapshot_zxid = -1};
}

static void each_row_of_the_choice(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"level", Z(6, 3), SYNC_DIFF, SYNC_WHY_EQUAL, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"ahead in the same epoch", Z(6, 4), SYNC_TRUNC, SYNC_WHY_AHEAD, Z(6, 3), Z(6, 3), 0,
         Z(6, 3)},
        {"ahead in a later epoch", Z(7, 2), SYNC_TRUNC, SYNC_WHY_AHEAD, Z(6, 3), Z(6, 3), 0,
         Z(6, 3)},
        {"ahead without a transaction", Z(7, 0), SYNC_SNAP, SYNC_WHY_AHEAD_EPOCH, Z(6, 3), Z(6, 3),
         0, Z(6, 3)},
        {"one behind", Z(6, 2), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(6, 2), 0, Z(6, 3)},
        {"an epoch behind", Z(4, 9), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(4, 9), 0, Z(6, 3)},
        {"the first in memory", Z(4, 5), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(4, 5), 0, Z(6, 3)},
        {"start of an epoch in memory", Z(6, 0), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(6, 0), 0,
         Z(6, 3)},
        {"start of an epoch without transactions", Z(5, 0), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3),
         Z(5, 0), 0, Z(6, 3)},
        {"a tail of an old epoch", Z(4, 10), SYNC_SNAP, SYNC_WHY_TAIL, Z(6, 3), Z(6, 3), 0,
         Z(6, 3)},
        {"a tail of an epoch without ours", Z(5, 1), SYNC_SNAP, SYNC_WHY_TAIL, Z(6, 3), Z(6, 3), 0,
         Z(6, 3)},
        {"on disk", Z(4, 4), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(4, 4), Z(4, 5), Z(6, 3)},
        {"on disk, start of an epoch", Z(3, 0), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(3, 0),
         Z(4, 5), Z(6, 3)},
        {"first on disk", Z(2, 3), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(2, 3), Z(4, 5), Z(6, 3)},
        {"a tail below memory", Z(3, 5), SYNC_SNAP, SYNC_WHY_TAIL, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"before the disk", Z(2, 2), SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"empty", 0, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"nonsense", -1, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"least", INT64_MIN, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"most", INT64_MAX, SYNC_TRUNC, SYNC_WHY_AHEAD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
    };
    struct sync_ask ask = elected();
    CHECK_ROWS(ask, rows);
}

static void a_leader_that_serves(void **state)
{
    (void)state;
    // Nothing new yet: the tree stands at the start of epoch 8, the history ends in 6.
    static const struct row fresh[] = {
        {"synchronised by us", Z(8, 0), SYNC_DIFF, SYNC_WHY_EQUAL, Z(8, 0), Z(8, 0), 0, Z(8, 0)},
        {"has everything", Z(6, 3), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"a tail of the last epoch", Z(6, 4), SYNC_SNAP, SYNC_WHY_TAIL, Z(8, 0), Z(8, 0), 0,
         Z(8, 0)},
        {"a tail of an epoch in between", Z(7, 1), SYNC_SNAP, SYNC_WHY_TAIL, Z(8, 0), Z(8, 0), 0,
         Z(8, 0)},
        {"our own proposal, not committed", Z(8, 1), SYNC_TRUNC, SYNC_WHY_AHEAD, Z(6, 3), Z(6, 3),
         0, Z(6, 3)},
        {"start of an epoch in between", Z(7, 0), SYNC_SNAP, SYNC_WHY_AHEAD_EPOCH, Z(8, 0), Z(8, 0),
         0, Z(8, 0)},
    };
    struct sync_ask ask = elected();
    ask.serving = true;
    ask.last_processed = Z(8, 0);
    CHECK_ROWS(ask, fresh);

    static const struct sync_run later[] = {{Z(6, 2), Z(6, 3), false, 0},
                                            {Z(8, 1), Z(8, 5), true, 0}};
    static const struct row busy[] = {
        {"proposals not committed", Z(8, 7), SYNC_TRUNC, SYNC_WHY_AHEAD, Z(8, 5), Z(8, 5), 0,
         Z(8, 5)},
        {"a tail", Z(6, 4), SYNC_SNAP, SYNC_WHY_TAIL, Z(8, 5), Z(8, 5), 0, Z(8, 5)},
        {"behind", Z(8, 0), SYNC_DIFF, SYNC_WHY_BEHIND, Z(8, 5), Z(8, 0), 0, Z(8, 5)},
    };
    ask.memory = later;
    ask.last_processed = Z(8, 5);
    CHECK_ROWS(ask, busy);
}

static void nothing_in_memory(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"level", Z(6, 3), SYNC_DIFF, SYNC_WHY_EQUAL, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"ahead", Z(6, 4), SYNC_TRUNC, SYNC_WHY_AHEAD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"all of it from disk", Z(4, 9), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(4, 9), Z(6, 4),
         Z(6, 3)},
    };
    struct sync_ask ask = elected();
    ask.memory = NULL;
    ask.memory_n = 0;
    CHECK_ROWS(ask, rows);
    // The tree is beyond the log, so nobody knows what is between.
    static const struct row beyond[] = {
        {"behind", Z(6, 3), SYNC_SNAP, SYNC_WHY_GAP, Z(8, 0), Z(8, 0), 0, Z(8, 0)},
    };
    ask.serving = true;
    ask.last_processed = Z(8, 0);
    CHECK_ROWS(ask, beyond);
    // A new ensemble.
    static const struct row blank[] = {
        {"both empty", 0, SYNC_DIFF, SYNC_WHY_EQUAL, 0, 0, 0, 0},
    };
    ask = (struct sync_ask){.snapshot_zxid = -1};
    CHECK_ROWS(ask, blank);
}

static void how_much_may_come_from_disk(void **state)
{
    (void)state;
    static const struct {
        double factor;
        uint64_t snapshot_bytes;
        int64_t learner;
        enum sync_why why;
    } rows[] = {
        {0.5, 1000, Z(2, 9), SYNC_WHY_BEHIND},  {0.5, 999, Z(2, 9), SYNC_WHY_TOO_MUCH},
        {0.5, 800, Z(3, 1), SYNC_WHY_BEHIND},   {0.5, 799, Z(3, 1), SYNC_WHY_TOO_MUCH},
        {0, 1, Z(2, 9), SYNC_WHY_BEHIND},       {0.5, 0, Z(2, 9), SYNC_WHY_BEHIND},
        {-1, 10000, Z(2, 9), SYNC_WHY_TOO_OLD}, {0.01, 1, Z(4, 5), SYNC_WHY_BEHIND},
        {-1, 1, Z(4, 5), SYNC_WHY_BEHIND}, // memory costs nothing
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sync_ask ask = elected();
        ask.size_factor = rows[i].factor;
        ask.snapshot_bytes = rows[i].snapshot_bytes;
        ask.learner = rows[i].learner;
        struct sync_plan p = sync_plan_make(&ask);
        assert_int_equal(p.why, rows[i].why);
        assert_int_equal(p.open, rows[i].why == SYNC_WHY_BEHIND ? SYNC_DIFF : SYNC_SNAP);
    }
}

static void forced_snapshots(void **state)
{
    (void)state;
    static const struct row rows[] = {
        {"level", Z(6, 3), SYNC_SNAP, SYNC_WHY_FORCED, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"behind", Z(6, 1), SYNC_SNAP, SYNC_WHY_FORCED, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"empty", 0, SYNC_SNAP, SYNC_WHY_FORCED, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        // Java sends SNAP, and the tail would be replayed behind it.
        {"ahead", Z(6, 4), SYNC_TRUNC, SYNC_WHY_AHEAD, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"ahead without a transaction", Z(7, 0), SYNC_SNAP, SYNC_WHY_FORCED, Z(6, 3), Z(6, 3), 0,
         Z(6, 3)},
    };
    struct sync_ask ask = elected();
    ask.force_snapshot = true;
    CHECK_ROWS(ask, rows);
}

// ---- holes --------------------------------------------------------------------------------------

// ZOOKEEPER-2846: a snapshot was received between (3,4) and (4,8).
static void nothing_is_served_across_a_hole(void **state)
{
    (void)state;
    static const struct sync_run holed[] = {{Z(2, 3), Z(2, 9), false, 1},
                                            {Z(3, 1), Z(3, 4), true, 1},
                                            {Z(4, 8), Z(4, 9), false, 1},
                                            {Z(6, 1), Z(6, 3), true, 1}};
    static const struct row rows[] = {
        {"before it", Z(3, 4), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"long before it", Z(2, 5), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"inside", Z(4, 3), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"inside, start of an epoch", Z(4, 0), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0,
         Z(6, 3)},
        {"behind it", Z(4, 8), SYNC_DIFF, SYNC_WHY_BEHIND, Z(6, 3), Z(4, 8), Z(6, 1), Z(6, 3)},
    };
    struct sync_ask ask = elected();
    ask.memory = memory + 1;
    ask.memory_n = 1;
    ask.disk = holed;
    ask.disk_n = 4;
    CHECK_ROWS(ask, rows);
    // In memory it is no better.
    ask.memory = holed;
    ask.memory_n = 4;
    ask.disk_n = 0;
    for (size_t i = 0; i < 4; i++) {
        check_row(&ask, &rows[i]);
    }
    // ZOOKEEPER-2418: between the log and memory.
    static const struct row between[] = {
        {"in front", Z(2, 5), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
        {"in it", Z(3, 9), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
    };
    ask = elected();
    ask.disk_n = 2;
    CHECK_ROWS(ask, between);
    // A log that has something else where memory begins is not the log of this history.
    static const struct sync_run other[] = {{Z(5, 1), Z(5, 2), false, 0},
                                            {Z(6, 1), Z(6, 3), true, 0}};
    static const struct row disagree[] = {
        {"behind", Z(4, 8), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 3), Z(6, 3), 0, Z(6, 3)},
    };
    ask = elected();
    ask.memory = other;
    CHECK_ROWS(ask, disagree);
}

// Joined is believed only where it can be true: an epoch begins with counter 1. What is behind a
// hole at the start of an epoch (the capture sync-trunc-diff) follows nothing.
static void an_epoch_that_begins_late_is_a_hole(void **state)
{
    (void)state;
    static const struct sync_run late[] = {{Z(2, 0x26e), Z(2, 0x26f), false, 0},
                                           {Z(3, 0x11), Z(3, 0x13), true, 0},
                                           {Z(4, 1), Z(4, 2), true, 0}};
    static const struct row rows[] = {
        {"in it", Z(3, 5), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 0), Z(6, 0), 0, Z(6, 0)},
        {"before it", Z(2, 0x26f), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 0), Z(6, 0), 0, Z(6, 0)},
        {"at its start", Z(3, 0), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 0), Z(6, 0), 0, Z(6, 0)},
        {"behind it", Z(3, 0x11), SYNC_DIFF, SYNC_WHY_BEHIND, Z(4, 2), Z(3, 0x11), 0, Z(4, 2)},
    };
    struct sync_ask ask = elected();
    ask.memory = late;
    ask.memory_n = 3;
    ask.disk_n = 0;
    ask.serving = true;
    ask.last_processed = Z(6, 0);
    CHECK_ROWS(ask, rows);
    // Who stands at the start of an epoch needs nothing from before it.
    static const struct sync_run anew[] = {{Z(2, 1), Z(2, 5), false, 0},
                                           {Z(4, 1), Z(4, 2), false, 0}};
    static const struct row start[] = {
        {"start", Z(4, 0), SYNC_DIFF, SYNC_WHY_BEHIND, Z(4, 2), Z(4, 0), 0, Z(4, 2)},
        {"earlier start", Z(3, 0), SYNC_SNAP, SYNC_WHY_GAP, Z(6, 0), Z(6, 0), 0, Z(6, 0)},
    };
    ask.memory = anew;
    ask.memory_n = 2;
    CHECK_ROWS(ask, start);
}

// ---- a snapshot file that is there --------------------------------------------------------------

static void a_file_and_what_follows_it(void **state)
{
    (void)state;
    static const struct {
        int64_t file, learner;
        bool from_file;
        struct row row;
    } rows[] = {
        {Z(4, 6),
         0,
         true,
         {"in memory", 0, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(4, 6), Z(4, 6), 0, Z(6, 3)}},
        {Z(3, 2),
         0,
         true,
         {"on disk", 0, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(3, 2), Z(3, 2), Z(4, 5), Z(6, 3)}},
        {Z(6, 3),
         0,
         true,
         {"the tree itself", 0, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(6, 3), Z(6, 3), 0, Z(6, 3)}},
        {Z(2, 1),
         0,
         true, // the disk vouches for what is between it and the log
         {"before the log", 0, SYNC_SNAP, SYNC_WHY_TOO_OLD, Z(2, 1), Z(2, 1), Z(4, 5), Z(6, 3)}},
        {Z(4, 6),
         Z(4, 10),
         false,
         {"below the learner", 0, SYNC_SNAP, SYNC_WHY_TAIL, Z(6, 3), Z(6, 3), 0, Z(6, 3)}},
        {Z(6, 1),
         Z(4, 10),
         true,
         {"above the tail", 0, SYNC_SNAP, SYNC_WHY_TAIL, Z(6, 1), Z(6, 1), 0, Z(6, 3)}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sync_ask ask = elected();
        struct row row = rows[i].row;
        row.learner = rows[i].learner;
        ask.snapshot_zxid = rows[i].file;
        check_row(&ask, &row);
        ask.learner = rows[i].learner;
        assert_int_equal(sync_plan_make(&ask).from_file, rows[i].from_file);
    }
}

static void runs_grow(void **state)
{
    (void)state;
    struct sync_run r = {Z(4, 1), Z(4, 1), false, 0};
    assert_true(sync_run_extend(&r, Z(4, 2)));
    assert_int_equal(r.last, Z(4, 2));
    assert_false(sync_run_extend(&r, Z(4, 4)));
    assert_false(sync_run_extend(&r, Z(5, 1)));
    assert_false(sync_run_extend(&r, Z(4, 2)));
    assert_int_equal(r.last, Z(4, 2));
    r.last = Z(4, 0xffffffff);
    assert_false(sync_run_extend(&r, Z(5, 0)));
}

// ---- random histories ---------------------------------------------------------------------------

enum { EPOCHS = 6, PER_EPOCH = 6, HISTORY_MAX = 64, RUNS_MAX = 64 };

struct history {
    int64_t z[HISTORY_MAX];
    size_t n;
};

struct world {
    struct history leader, learner; // the truth
    struct sync_run memory[RUNS_MAX], disk[RUNS_MAX];
    struct sync_ask ask;
    bool broken; // something is missing from what the leader can serve
};

static int64_t last_of(const struct history *h)
{
    return h->n ? h->z[h->n - 1] : 0;
}

static void put(struct history *h, int64_t z)
{
    assert_true(h->n < HISTORY_MAX);
    h->z[h->n++] = z;
}

// Runs over h from index `from`: split like files, sometimes with records missing or a connection
// that is not known.
static size_t make_runs(struct rng *r, const struct history *h, size_t from, bool holes,
                        struct sync_run *runs, bool *broken)
{
    size_t n = 0;
    bool missing = true;
    for (size_t i = from; i < h->n; i++) {
        bool lost = holes && rng_chance(r, 1, 12);
        if (lost) {
            *broken = missing = true;
            continue;
        }
        bool split = rng_chance(r, 1, 5);
        if (missing || split || !sync_run_extend(&runs[n - 1], h->z[i])) {
            bool joined = !missing && !(holes && rng_chance(r, 1, 8));
            *broken = *broken || (!joined && n > 0);
            runs[n++] = (struct sync_run){h->z[i], h->z[i], joined, 1 + rng_below(r, 9)};
        }
        missing = false;
    }
    return n;
}

// Whether the log on disk has all that is behind z.
static bool log_follows(const struct world *w, int64_t z)
{
    const struct sync_ask *a = &w->ask;
    size_t i = 0, next = 0;
    while (i < a->disk_n && a->disk[i].last <= z) {
        i++;
    }
    while (next < w->leader.n && w->leader.z[next] <= z) {
        next++;
    }
    if (next == w->leader.n) {
        return true;
    }
    bool follows = i < a->disk_n && a->disk[i].first <= w->leader.z[next];
    for (i++; follows && i < a->disk_n; i++) {
        follows = a->disk[i].joined;
    }
    return follows && a->disk[a->disk_n - 1].last == last_of(&w->leader);
}

// A beginning of the leader's history; then perhaps transactions that never were committed, of the
// epoch it broke off in or of one without anything in the history; or the start of an epoch.
static int64_t make_learner(struct rng *r, const struct history *leader, int64_t epoch_max,
                            struct history *h)
{
    h->n = rng_below(r, leader->n + 1);
    memcpy(h->z, leader->z, h->n * sizeof(h->z[0]));
    int64_t low = last_of(h) >> 32;
    bool at_end = h->n == leader->n;
    int64_t high = at_end ? epoch_max : leader->z[h->n] >> 32; // epoch of what it lacks
    size_t what = rng_below(r, 3);
    if (what == 0 || high <= low) {
        return last_of(h);
    }
    if (what == 1) { // the start of an epoch after the last and not after what is lacking
        return Z(low + 1 + (int64_t)rng_below(r, (uint64_t)(high - low)), 0);
    }
    // A tail of epoch low, which has ended, or of one between; at the end also of the current one.
    int64_t top = at_end ? high : high - 1;
    int64_t epoch = low + (int64_t)rng_below(r, (uint64_t)(top - low + 1));
    if (epoch == 0) {
        return last_of(h);
    }
    int64_t z = epoch == low ? last_of(h) : Z(epoch, 0);
    for (size_t n = 1 + rng_below(r, 3); n; n--) {
        put(h, ++z);
    }
    return z;
}

static void make_world(struct rng *r, struct world *w)
{
    *w = (struct world){.broken = false};
    int64_t epoch = 0;
    for (int64_t e = 1; e <= EPOCHS; e++) {
        for (size_t n = rng_below(r, 3) ? rng_below(r, PER_EPOCH) : 0, i = 1; i <= n; i++) {
            put(&w->leader, Z(e, i));
        }
        epoch = e;
    }
    struct sync_ask *a = &w->ask;
    int64_t last = last_of(&w->leader);
    a->serving = rng_chance(r, 1, 2);
    // A leader that serves is of epoch 6, where it may have committed; otherwise it will be of 7.
    int64_t start = a->serving ? Z(epoch, 0) : Z(last >> 32, 0);
    a->last_processed = last > start ? last : start;
    int64_t learner_epoch_max = a->serving || last >> 32 == epoch ? epoch : epoch - 1;
    a->learner = make_learner(r, &w->leader, learner_epoch_max, &w->learner);
    bool holes = rng_chance(r, 1, 2);
    size_t from = rng_below(r, w->leader.n + 1);
    if (from == w->leader.n && a->last_processed != last) {
        from = from ? from - 1 : 0; // keep one at least
    }
    a->memory_n =
        make_runs(r, &w->leader, from, holes && rng_chance(r, 1, 4), w->memory, &w->broken);
    // The last one is there whatever is missing before it.
    if (a->memory_n && w->memory[a->memory_n - 1].last != last) {
        w->memory[a->memory_n++] = (struct sync_run){last, last, false, 1};
    }
    if (a->memory_n == 0 && from < w->leader.n) {
        w->memory[a->memory_n++] = (struct sync_run){last, last, false, 1};
    }
    a->disk_n = make_runs(r, &w->leader, rng_below(r, w->leader.n + 1), holes, w->disk, &w->broken);
    a->memory = w->memory;
    a->disk = w->disk;
    a->force_snapshot = rng_chance(r, 1, 20);
    a->size_factor = (double)rng_below(r, 4) - 1;
    a->snapshot_bytes = rng_below(r, 30);
    a->snapshot_zxid =
        rng_chance(r, 1, 2) || !w->leader.n ? -1 : w->leader.z[rng_below(r, w->leader.n)];
    if (!log_follows(w, a->snapshot_zxid)) {
        a->snapshot_zxid = -1; // the disk would not have named it
    }
}

static void put_runs(struct history *h, const struct sync_run *runs, size_t n, int64_t after,
                     int64_t end)
{
    for (size_t i = 0; i < n; i++) {
        for (int64_t z = runs[i].first; z <= runs[i].last; z++) {
            if (z > after && z < end) {
                put(h, z);
            }
        }
    }
}

// What a learner does with it. A snapshot must be above all it has logged: the rest would be
// replayed behind it.
static struct history carry_out(const struct world *w, const struct sync_plan *p)
{
    struct history h = {.n = 0};
    const struct history *from = p->open == SYNC_SNAP ? &w->leader : &w->learner;
    int64_t end = p->open == SYNC_DIFF ? INT64_MAX : p->zxid;
    for (size_t i = 0; i < from->n && from->z[i] <= end; i++) {
        put(&h, from->z[i]);
    }
    if (p->open == SYNC_SNAP) {
        assert_true(last_of(&w->learner) <= p->zxid);
    }
    put_runs(&h, w->ask.disk, w->ask.disk_n, p->after, p->disk_end);
    int64_t memory_after = p->disk_end > p->after ? p->disk_end - 1 : p->after;
    put_runs(&h, w->ask.memory, w->ask.memory_n, memory_after, INT64_MAX);
    return h;
}

static void check_safe(const struct world *w, const struct sync_plan *p)
{
    struct history h = carry_out(w, p);
    assert_int_equal(h.n, w->leader.n);
    assert_memory_equal(h.z, w->leader.z, h.n * sizeof(h.z[0]));
    assert_true(p->last >= last_of(&h)); // what is proposed next has no double
    assert_true(p->last <= w->ask.last_processed);
    if (p->open == SYNC_TRUNC) {
        assert_true(p->zxid < w->ask.learner);
        assert_int_not_equal(w->ask.learner & 0xffffffff, 0);
    }
}

// ---- Java's choice, record by record ------------------------------------------------------------

struct java {
    bool open; // an opening packet was chosen
    enum sync_open what;
    int64_t zxid;
    struct history queue;
};

// queueCommittedProposals; returns the last zxid queued.
static int64_t java_walk(struct java *j, const struct history *h, int64_t p, int64_t queued,
                         int64_t limit, int64_t max)
{
    bool new_epoch = (p & 0xffffffff) == 0;
    int64_t prev = -1;
    for (size_t i = 0; i < h->n; i++) {
        int64_t z = h->z[i];
        if (z > limit) {
            break;
        }
        if (z < p) {
            prev = z;
            continue;
        }
        if (!j->open) {
            j->what = SYNC_DIFF;
            j->zxid = max;
            if (z == p) {
                j->open = true;
                continue;
            }
            if (!new_epoch && z >> 32 != p >> 32) {
                return queued;
            }
            j->open = true;
            if (!new_epoch) {
                j->what = SYNC_TRUNC;
                j->zxid = prev;
            }
        }
        if (z > queued) {
            put(&j->queue, z);
            queued = z;
        }
    }
    if (!j->open && new_epoch) {
        j->open = true;
        j->what = SYNC_DIFF;
        j->zxid = max;
    }
    return queued;
}

// getProposalsFromTxnLog: a run is a file.
static struct history java_log(const struct sync_ask *a)
{
    struct history h = {.n = 0};
    size_t file = 0;
    while (file + 1 < a->disk_n && a->disk[file + 1].first <= a->learner) {
        file++;
    }
    if (!a->disk_n || a->disk[file].first > a->learner) {
        return h;
    }
    uint64_t bytes = 0;
    for (size_t i = file; i < a->disk_n; i++) {
        bytes += a->disk[i].bytes;
    }
    double limit = a->size_factor * (double)a->snapshot_bytes;
    if (limit <= 0 || (double)bytes <= limit) {
        put_runs(&h, a->disk + file, a->disk_n - file, INT64_MIN, INT64_MAX);
    }
    return h;
}

static struct java java_plan(const struct sync_ask *a)
{
    struct java j = {.open = false};
    struct history memory_log = {.n = 0};
    int64_t p = a->learner;
    put_runs(&memory_log, a->memory, a->memory_n, INT64_MIN, INT64_MAX);
    int64_t min = memory_log.n ? memory_log.z[0] : a->last_processed;
    int64_t max = memory_log.n ? last_of(&memory_log) : a->last_processed;
    if (a->force_snapshot) {
        // falls through to SNAP
    } else if (a->last_processed == p) {
        j = (struct java){.open = true, .what = SYNC_DIFF, .zxid = p};
    } else if (p > max && (p & 0xffffffff) != 0) {
        j = (struct java){.open = true, .what = SYNC_TRUNC, .zxid = max};
    } else if (min <= p && p <= max) {
        java_walk(&j, &memory_log, p, p, INT64_MAX, max);
    } else if (p < min && a->size_factor >= 0) {
        struct history log = java_log(a);
        int64_t queued = log.n ? java_walk(&j, &log, p, p, max, max) : p;
        if (queued < min) {
            j = (struct java){.open = false};
        } else {
            java_walk(&j, &memory_log, queued, queued, INT64_MAX, max);
        }
    }
    if (!j.open) {
        j = (struct java){.open = true, .what = SYNC_SNAP, .zxid = a->last_processed};
    }
    return j;
}

// Where nothing is broken the answer is Java's, but for learners with a tail above our last
// transaction while we serve, or when a snapshot was asked for.
static bool is_as_java(const struct world *w)
{
    const struct sync_ask *a = &w->ask;
    bool tail = a->learner > last_of(&w->leader) && (a->learner & 0xffffffff) != 0;
    bool boundary = (a->learner & 0xffffffff) == 0 && a->size_factor > 0; // bytes counted closer
    return !w->broken && !boundary && !(tail && (a->serving || a->force_snapshot));
}

static void check_java(const struct world *w, const struct sync_plan *p)
{
    struct java j = java_plan(&w->ask);
    struct history sent = {.n = 0};
    assert_int_equal(p->open, j.what);
    assert_int_equal(p->zxid, j.zxid);
    if (p->open != SYNC_SNAP) {
        put_runs(&sent, w->ask.disk, w->ask.disk_n, p->after, p->disk_end);
        int64_t memory_after = p->disk_end > p->after ? p->disk_end - 1 : p->after;
        put_runs(&sent, w->ask.memory, w->ask.memory_n, memory_after, INT64_MAX);
    }
    assert_int_equal(sent.n, j.queue.n);
    assert_memory_equal(sent.z, j.queue.z, sent.n * sizeof(sent.z[0]));
}

static void random_histories(void **state)
{
    (void)state;
    struct rng r = {20};
    size_t opens[3] = {0}, whys[SYNC_WHY_AHEAD_EPOCH + 1] = {0}, as_java = 0, files = 0;
    for (int i = 0; i < 60000; i++) {
        struct world w;
        make_world(&r, &w);
        struct sync_plan p = sync_plan_make(&w.ask);
        check_safe(&w, &p);
        opens[p.open]++;
        whys[p.why]++;
        files += p.from_file;
        w.ask.snapshot_zxid = -1;
        p = sync_plan_make(&w.ask);
        check_safe(&w, &p);
        if (is_as_java(&w)) {
            check_java(&w, &p);
            as_java++;
        }
    }
    // Every kind of case was there, often.
    for (size_t i = 0; i < 3; i++) {
        assert_true(opens[i] > 500);
    }
    for (size_t i = 0; i <= SYNC_WHY_AHEAD_EPOCH; i++) {
        assert_true(whys[i] > 100);
    }
    assert_true(as_java > 10000);
    assert_true(files > 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_of_the_choice),
        cmocka_unit_test(a_leader_that_serves),
        cmocka_unit_test(nothing_in_memory),
        cmocka_unit_test(how_much_may_come_from_disk),
        cmocka_unit_test(forced_snapshots),
        cmocka_unit_test(nothing_is_served_across_a_hole),
        cmocka_unit_test(an_epoch_that_begins_late_is_a_hole),
        cmocka_unit_test(a_file_and_what_follows_it),
        cmocka_unit_test(runs_grow),
        cmocka_unit_test(random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
