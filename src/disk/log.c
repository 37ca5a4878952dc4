// SPDX-License-Identifier: Apache-2.0
//
// The core thread's side of the log writer: what gathers, what is in flight, and what comes of it.
#include "disk/log.h"

#include "base/mem.h"
#include "disk/logfile.h"
#include "limits.h"

enum {
    // Steps of zero-filling: the first is what an almost idle server costs on disk, the last about
    // what a disk writes in a few milliseconds.
    STEP_MIN = 64 * 1024,
    STEP_MAX = 4 * 1024 * 1024,
    RETRY_MS = 500
};

void log_init(struct log *l, struct env *env, const struct disk_config *cfg, const char *dir,
              int64_t last_zxid, int64_t closed_bytes)
{
    *l = (struct log){.env = env,
                      .cfg = cfg,
                      .dir = dir,
                      .place = {.fd = -1},
                      .last_durable = last_zxid,
                      .closed_bytes = closed_bytes};
}

static void free_batches(struct log_batch **list)
{
    while (*list) {
        struct log_batch *b = *list;
        *list = b->next;
        buf_fini(&b->bytes);
        mem_free(b);
    }
}

void log_fini(struct log *l)
{
    must(!l->writing);
    must(!l->filling);
    free_batches(&l->head);
    free_batches(&l->spare);
    if (l->place.fd >= 0) {
        l->env->ops->file_close(l->env, l->place.fd);
        l->place.fd = -1;
    }
}

static struct log_batch *take_spare(struct log *l)
{
    struct log_batch *b = l->spare;
    if (!b) {
        return mem_zalloc(sizeof(*b));
    }
    l->spare = b->next;
    b->next = NULL;
    return b;
}

// Two batches take turns; storage of a burst is given back.
static void give_back(struct log *l, struct log_batch *b)
{
    if (l->spare && l->spare->next) {
        buf_fini(&b->bytes);
        mem_free(b);
        return;
    }
    buf_clear(&b->bytes);
    b->next = l->spare;
    l->spare = b;
}

static void drop_gathered(struct log *l)
{
    while (l->head) {
        struct log_batch *b = l->head;
        l->head = b->next;
        give_back(l, b);
    }
    l->tail = NULL;
    l->backlog = 0;
}

bool log_append(struct log *l, struct slice entry, int64_t zxid)
{
    if (l->state == LOG_FULL) {
        return false;
    }
    if (l->state == LOG_BROKEN) {
        return true; // it will never be LOGGED; the owner has been told to stop
    }
    must(zxid > l->last_durable);
    must(!l->tail || zxid > l->tail->last_zxid);
    if (!l->tail || l->tail->bytes.n + entry.n > LIMIT_LOG_BATCH) {
        struct log_batch *b = take_spare(l);
        b->first_zxid = zxid;
        b->txns = 0;
        *(l->tail ? &l->tail->next : &l->head) = b;
        l->tail = b;
    }
    logfile_put_record(&l->tail->bytes, entry);
    l->tail->last_zxid = zxid;
    l->tail->txns++;
    l->backlog += entry.n + LOGFILE_RECORD_OVERHEAD;
    return true;
}

// Steps grow with the file: an idle server stays small, a busy one fills rarely.
static uint64_t fill_step(const struct log *l)
{
    uint64_t most = l->cfg->prealloc_bytes > 0 ? (uint64_t)l->cfg->prealloc_bytes : 0;
    most = most < STEP_MAX ? most : STEP_MAX;
    uint64_t step = l->place.fd < 0 ? 0 : l->place.pos;
    step = step > STEP_MIN ? step : STEP_MIN;
    return step < most ? step : most;
}

static void start_write(struct log *l, struct log_batch *batch)
{
    l->write = (struct log_write){.job = {.run = log_write_run, .owner = l},
                                  .dir = l->dir,
                                  .place = l->place,
                                  .roll = l->roll,
                                  .force_sync = l->cfg->force_sync,
                                  .step = fill_step(l),
                                  .batch = batch,
                                  .probe_bytes = batch ? 0 : l->probe_bytes,
                                  .begun = l->env->now};
    l->writing = true;
    l->env->ops->job(l->env, ENV_LANE_LOG, &l->write.job);
}

static bool needs_new_file(const struct log *l)
{
    return l->roll || l->place.fd < 0;
}

void log_flush(struct log *l)
{
    if (l->state != LOG_WRITING || l->writing || !l->head) {
        return;
    }
    struct log_batch *b = l->head;
    if (l->filling && (needs_new_file(l) || l->place.pos + b->bytes.n > l->place.filled)) {
        return; // the filler's end flushes
    }
    l->head = b->next;
    if (!l->head) {
        l->tail = NULL;
    }
    b->next = NULL;
    start_write(l, b);
}

void log_roll(struct log *l)
{
    l->roll = l->place.fd >= 0 || l->writing;
}

bool log_idle(const struct log *l)
{
    return !l->writing && !l->filling && !l->head;
}

bool log_settled(const struct log *l)
{
    return !l->writing && !l->head;
}

struct log_place log_give_file(struct log *l)
{
    must(log_settled(l));
    must(!l->filling);
    struct log_place given = l->place;
    l->place = (struct log_place){.fd = -1};
    l->roll = false;
    return given;
}

void log_restart(struct log *l, int64_t last_zxid, int64_t closed_bytes)
{
    must(log_settled(l));
    must(l->place.fd < 0);
    l->last_durable = last_zxid;
    l->closed_bytes = closed_bytes;
}

void log_break(struct log *l)
{
    l->state = LOG_BROKEN;
    drop_gathered(l);
}

int64_t log_bytes(const struct log *l)
{
    return l->closed_bytes + (l->place.fd >= 0 ? (int64_t)l->place.filled : 0);
}

void log_fill_ahead(struct log *l, bool background_busy)
{
    uint64_t step = fill_step(l);
    if (l->state != LOG_WRITING || l->filling || needs_new_file(l) || step == 0 ||
        l->env->now.ns < l->retry_at.ns) {
        return;
    }
    uint64_t end = l->place.pos;
    if (l->writing) {
        if (l->write.roll || l->write.place.fd < 0) {
            return; // the file is about to change
        }
        end += l->write.batch->bytes.n;
    }
    if (end > l->place.filled || l->place.filled - end >= step) {
        return; // the batch in flight fills for itself, or there is enough
    }
    l->fill = (struct log_fill){.job = {.run = log_fill_run, .owner = l},
                                .dir = l->dir,
                                .zxid = l->place.zxid,
                                .from = l->place.filled,
                                .to = log_round_up(l->place.filled + step)};
    l->filling = true;
    l->fill_on_background = !background_busy;
    l->env->ops->job(l->env, background_busy ? ENV_LANE_LOG : ENV_LANE_BACKGROUND, &l->fill.job);
}

bool log_owns(const struct log *l, const struct env_job *job)
{
    return job == &l->write.job || job == &l->fill.job;
}

static int become(struct log *l, enum log_state state, struct disk_event *event)
{
    static const enum disk_event_type types[] = {DISK_LOG_SPACE, DISK_LOG_FULL, DISK_LOG_BROKEN};
    l->state = state;
    *event = (struct disk_event){.type = types[state], .zxid = l->last_durable};
    if (state != LOG_WRITING) {
        drop_gathered(l);
        l->retry_at = mono_add_ms(l->env->now, RETRY_MS);
    }
    return 1;
}

static void count_sync(struct log *l)
{
    int64_t ns = l->env->now.ns - l->write.begun.ns;
    summary_add(&l->fsync_ns, ns);
    summary_add(&l->batch_txns, l->write.batch->txns);
    if (l->cfg->fsync_warn_ms > 0 && ns / 1000000 > l->cfg->fsync_warn_ms) {
        l->fsync_slow++;
        log_warn(&l->env->log,
                 "writing the transaction log took %lld ms (%zu bytes): clients wait for it; give "
                 "it a faster disk of its own (dataLogDir)",
                 (long long)(ns / 1000000), l->write.batch->bytes.n);
    }
}

// A filler that failed is no harm yet: the batch that needs the space will say so.
static void on_fill(struct log *l)
{
    l->filling = false;
    if (l->fill.err) {
        l->retry_at = mono_add_ms(l->env->now, RETRY_MS);
    } else if (l->fill.zxid == l->place.zxid && l->fill.to > l->place.filled) {
        l->place.filled = l->fill.to;
    }
}

static int on_probe(struct log *l, struct disk_event *event)
{
    l->place = l->write.place;
    if (l->write.err && l->write.err != ERR_NOSPACE) {
        return become(l, LOG_BROKEN, event);
    }
    if (l->write.err) {
        l->retry_at = mono_add_ms(l->env->now, RETRY_MS);
        return 0;
    }
    return become(l, LOG_WRITING, event);
}

static int on_write(struct log *l, struct disk_event *event)
{
    struct log_write *w = &l->write;
    l->writing = false;
    if (!w->batch) {
        return on_probe(l, event);
    }
    uint64_t filled = l->place.filled; // a filler may have ended meanwhile
    bool same_file = w->place.fd == l->place.fd && !w->roll;
    l->place = w->place;
    if (w->err == ERR_OK) {
        count_sync(l);
        if (same_file && filled > l->place.filled) {
            l->place.filled = filled;
        }
        l->roll = l->roll && !w->roll;
        l->closed_bytes += (int64_t)w->closed_bytes;
        l->backlog -= w->batch->bytes.n;
        l->last_durable = w->batch->last_zxid;
        l->roll |= l->cfg->log_size_bytes > 0 && (int64_t)l->place.filled > l->cfg->log_size_bytes;
        *event = (struct disk_event){.type = DISK_LOGGED, .zxid = l->last_durable};
        give_back(l, w->batch);
        return 1;
    }
    l->probe_bytes = w->batch->bytes.n;
    give_back(l, w->batch);
    return become(l, w->err == ERR_NOSPACE ? LOG_FULL : LOG_BROKEN, event);
}

int log_on_job(struct log *l, struct env_job *job, struct disk_event *event)
{
    int n = 0;
    if (job == &l->fill.job) {
        on_fill(l);
    } else {
        n = on_write(l, event);
    }
    log_flush(l);
    return n;
}

int64_t log_turn(struct log *l, struct mono now)
{
    if (l->state != LOG_FULL || l->writing) {
        return -1;
    }
    int64_t wait = mono_diff_ms(l->retry_at, now);
    if (wait > 0) {
        return wait;
    }
    if (l->filling) {
        return -1; // its end brings us back
    }
    start_write(l, NULL);
    return -1;
}
