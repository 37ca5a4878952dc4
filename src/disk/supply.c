// SPDX-License-Identifier: Apache-2.0
#include "disk/supply.h"

#include "base/mem.h"

void supply_init(struct supply *s, struct env *env, const struct log *log, const char *snap_dir,
                 const char *log_dir)
{
    *s = (struct supply){.env = env, .log = log, .snap_dir = snap_dir, .log_dir = log_dir};
    offer_init(&s->offers.offer, env, snap_dir, log_dir, log->last_durable);
}

static void free_reader(struct supply_reader *r)
{
    excerpt_give_back(&r->excerpt);
    excerpt_close(&r->excerpt);
    excerpt_fini(&r->excerpt);
    stream_close(&r->stream);
    stream_fini(&r->stream);
    mem_free(r);
}

void supply_fini(struct supply *s)
{
    must(supply_idle(s));
    while (s->readers) {
        struct supply_reader *r = s->readers;
        s->readers = r->next;
        free_reader(r);
    }
    while (s->offers.asks) {
        struct supply_ask *a = s->offers.asks;
        s->offers.asks = a->next;
        mem_free(a);
    }
    offer_fini(&s->offers.offer);
}

bool supply_idle(const struct supply *s)
{
    bool busy = s->offers.busy;
    for (const struct supply_reader *r = s->readers; r; r = r->next) {
        busy |= r->busy;
    }
    return !busy;
}

bool supply_owns(const struct supply *s, const struct env_job *job)
{
    return job->owner == s;
}

static void submit(struct supply *s, struct env_job *job, void (*run)(struct env_job *job))
{
    *job = (struct env_job){.run = run, .owner = s};
    s->env->ops->job(s->env, ENV_LANE_BACKGROUND, job);
}

// ---- offers
// -------------------------------------------------------------------------------------

static void run_offer(struct env_job *job)
{
    offer_make(&((struct supply_offers *)job)->offer);
}

// Begins the job of the first ask that can go on, unless one is in flight.
static void go_on(struct supply *s)
{
    struct supply_offers *o = &s->offers;
    if (o->busy) {
        return;
    }
    o->current = o->asks;
    while (o->current && o->current->waiting) {
        o->current = o->current->next;
    }
    if (!o->current) {
        return;
    }
    o->offer.after = o->current->after;
    o->offer.until = o->current->until;
    o->offer.bound = log_bound_of(s->log);
    memcpy(o->offer.good, s->good, sizeof(s->good));
    o->offer.good_n = s->good_n;
    o->busy = true;
    submit(s, &o->job, run_offer);
}

void supply_offer(struct supply *s, uint64_t tag, int64_t after, int64_t until)
{
    struct supply_ask *a = mem_zalloc(sizeof(*a));
    a->tag = tag;
    a->after = after;
    a->until = until;
    struct supply_ask **last = &s->offers.asks;
    while (*last) {
        last = &(*last)->next;
    }
    *last = a;
    go_on(s);
}

static void remove_ask(struct supply *s, struct supply_ask *a)
{
    struct supply_ask **at = &s->offers.asks;
    while (*at != a) {
        at = &(*at)->next;
    }
    *at = a->next;
    mem_free(a);
}

static int on_offer(struct supply *s, struct disk_event *event)
{
    struct offer *o = &s->offers.offer;
    struct supply_ask *a = s->offers.current;
    s->offers.busy = false;
    if (s->offers.forget) {
        offer_forget(o); // and what it found may be gone: anew
        s->offers.forget = false;
        o->again = true;
    }
    int n = 0;
    if (!o->again && o->snapshot_zxid < 0 && !a->final) {
        a->waiting = true;
    } else if (!o->again) {
        s->answer = (struct disk_answer){.tag = a->tag,
                                         .runs = o->runs,
                                         .runs_n = o->runs_n,
                                         .snapshot_zxid = o->snapshot_zxid,
                                         .snapshot_bytes = o->snapshot_bytes};
        *event = (struct disk_event){.type = DISK_OFFER, .answer = &s->answer};
        remove_ask(s, a);
        return 1; // its runs are lent out: the next one begins with the next call
    }
    go_on(s);
    return n;
}

void supply_know_snapshot(struct supply *s, int64_t zxid)
{
    size_t n = 0;
    for (size_t i = 0; i < s->good_n; i++) {
        if (s->good[i] != zxid) {
            s->good[n++] = s->good[i];
        }
    }
    if (n == OFFER_GOOD_MAX) {
        memmove(s->good, s->good + 1, --n * sizeof(s->good[0]));
    }
    s->good[n++] = zxid;
    s->good_n = n;
}

static void wake(struct supply *s)
{
    for (struct supply_ask *a = s->offers.asks; a; a = a->next) {
        a->final |= a->waiting;
        a->waiting = false;
    }
    go_on(s);
}

void supply_snapshot_ended(struct supply *s)
{
    wake(s);
}

bool supply_wants_snapshot(const struct supply *s)
{
    bool waiting = false;
    for (const struct supply_ask *a = s->offers.asks; a; a = a->next) {
        waiting |= a->waiting;
    }
    return waiting;
}

void supply_turn(struct supply *s, bool possible)
{
    if (!possible) {
        wake(s);
    } else {
        go_on(s);
    }
}

void supply_forget_log(struct supply *s)
{
    if (s->offers.busy) {
        s->offers.forget = true;
    } else {
        offer_forget(&s->offers.offer);
    }
}

// ---- readers
// ------------------------------------------------------------------------------------

static struct supply_reader *find(struct supply *s, enum supply_kind kind, uint64_t tag)
{
    struct supply_reader *r = s->readers;
    while (r && (r->ended || r->kind != kind || r->tag != tag)) {
        r = r->next;
    }
    return r;
}

static void run_read(struct env_job *job)
{
    struct supply_reader *r = (struct supply_reader *)job;
    if (r->kind == SUPPLY_HISTORY) {
        excerpt_read(&r->excerpt, &r->bound);
    } else {
        stream_read(&r->stream);
    }
}

static void run_close(struct env_job *job)
{
    struct supply_reader *r = (struct supply_reader *)job;
    excerpt_close(&r->excerpt);
    stream_close(&r->stream);
}

static void start_read(struct supply *s, struct supply_reader *r)
{
    must(!r->busy);
    excerpt_give_back(&r->excerpt);
    r->bound = log_bound_of(s->log);
    r->busy = true;
    submit(s, &r->job, run_read);
}

static void begin(struct supply *s, enum supply_kind kind, uint64_t tag, struct supply_reader *r)
{
    must(!find(s, kind, tag));
    r->kind = kind;
    r->tag = tag;
    r->next = s->readers;
    s->readers = r;
    start_read(s, r);
}

static bool knows_snapshot(const struct supply *s, int64_t zxid)
{
    size_t i = 0;
    while (i < s->good_n && s->good[i] != zxid) {
        i++;
    }
    return i < s->good_n;
}

void supply_history_begin(struct supply *s, uint64_t tag, int64_t after, int64_t until)
{
    struct supply_reader *r = mem_zalloc(sizeof(*r));
    excerpt_init(&r->excerpt, s->env, s->log_dir, after, until, knows_snapshot(s, after));
    begin(s, SUPPLY_HISTORY, tag, r);
}

void supply_stream_begin(struct supply *s, uint64_t tag, int64_t zxid)
{
    struct supply_reader *r = mem_zalloc(sizeof(*r));
    stream_init(&r->stream, s->env, s->snap_dir, zxid);
    begin(s, SUPPLY_STREAM, tag, r);
}

void supply_more(struct supply *s, enum supply_kind kind, uint64_t tag)
{
    struct supply_reader *r = find(s, kind, tag);
    must(r != NULL);
    start_read(s, r);
}

static void drop(struct supply *s, struct supply_reader *r)
{
    struct supply_reader **at = &s->readers;
    while (*at != r) {
        at = &(*at)->next;
    }
    *at = r->next;
    free_reader(r);
}

// No job of it is in flight. One that has no file open goes at once.
static void close_reader(struct supply *s, struct supply_reader *r)
{
    if (r->closing || (!r->excerpt.r.open && !r->stream.open)) {
        drop(s, r);
        return;
    }
    r->closing = r->busy = true;
    submit(s, &r->job, run_close);
}

void supply_end(struct supply *s, enum supply_kind kind, uint64_t tag)
{
    struct supply_reader *r = find(s, kind, tag);
    if (!r) {
        return;
    }
    r->ended = true;
    if (!r->busy) {
        close_reader(s, r);
    }
}

static int on_reader(struct supply *s, struct supply_reader *r, struct disk_event *event)
{
    r->busy = false;
    if (r->ended) {
        close_reader(s, r);
        return 0;
    }
    s->answer = (struct disk_answer){.tag = r->tag, .snapshot_zxid = -1};
    if (r->kind == SUPPLY_STREAM) {
        s->answer.bytes = r->stream.bytes;
        s->answer.end = r->stream.end;
        s->answer.failed = r->stream.failed;
        *event = (struct disk_event){.type = DISK_STREAM, .answer = &s->answer};
        return 1;
    }
    if (r->excerpt.again) {
        start_read(s, r);
        return 0;
    }
    s->answer.entries = r->excerpt.entries;
    s->answer.entries_n = r->excerpt.n;
    *event = (struct disk_event){.type = DISK_HISTORY, .answer = &s->answer};
    return 1;
}

int supply_on_job(struct supply *s, struct env_job *job, struct disk_event *event)
{
    must(supply_owns(s, job));
    if (job == &s->offers.job) {
        return on_offer(s, event);
    }
    return on_reader(s, (struct supply_reader *)job, event);
}
