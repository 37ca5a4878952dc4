// SPDX-License-Identifier: Apache-2.0
//
// struct supply: what a leader reads of its own disk for learners: offers, histories and streams of
// disk/sync.h. The core thread's side; the reading is in offer.c, excerpt.c, stream.c.
//
// Everything is short jobs of the background lane: one at a time for each reader and one for the
// offers. The lane takes jobs in the order they come, so readers, a snapshot being written and the
// purge take turns.
//
// A reader lives from begin to end. An end while its job is in flight is remembered; a last job
// then closes its file, because even that may block. No event comes after the end.
//
// An offer without a snapshot that the log follows waits for a new one, once: what comes of that
// (in place, failed, not possible any more) sends it through the files again, and then it is
// answered as it is.
#pragma once

#include "disk/excerpt.h"
#include "disk/log.h"
#include "disk/offer.h"
#include "disk/stream.h"
#include "disk/sync.h"

struct supply_ask {
    struct supply_ask *next;
    uint64_t tag;
    int64_t after, until;
    bool final;   // answer with what there is
    bool waiting; // for a snapshot
};

struct supply_offers {
    struct env_job job; // of the first ask that is not waiting
    struct offer offer;
    struct supply_ask *asks, *current;
    bool busy, forget; // forget: once the job is done
};

enum supply_kind { SUPPLY_HISTORY, SUPPLY_STREAM };

struct supply_reader {
    struct env_job job;
    struct supply_reader *next;
    enum supply_kind kind;
    uint64_t tag;
    bool busy, ended, closing;
    struct log_bound bound;
    struct excerpt excerpt;
    struct stream stream;
};

struct supply {
    struct env *env;
    const struct log *log;
    const char *snap_dir, *log_dir;
    struct supply_offers offers;
    struct supply_reader *readers;
    int64_t good[OFFER_GOOD_MAX]; // zxids of snapshots known to be whole, newest last
    size_t good_n;
    struct disk_answer answer;
};

// The log is recovered; the directories' names must outlive it.
void supply_init(struct supply *s, struct env *env, const struct log *log, const char *snap_dir,
                 const char *log_dir);
void supply_fini(struct supply *s); // idle
bool supply_idle(const struct supply *s);
bool supply_owns(const struct supply *s, const struct env_job *job);
// Returns the number of events, at most 1.
int supply_on_job(struct supply *s, struct env_job *job, struct disk_event *event);

// A snapshot of that zxid is whole: loaded, written or installed.
void supply_know_snapshot(struct supply *s, int64_t zxid);
// One that was begun is in place, or has failed.
void supply_snapshot_ended(struct supply *s);
bool supply_wants_snapshot(const struct supply *s);
// possible: a snapshot would be begun soon if it were wanted.
void supply_turn(struct supply *s, bool possible);
// The log was cut, or set aside.
void supply_forget_log(struct supply *s);

void supply_offer(struct supply *s, uint64_t tag, int64_t after, int64_t until);
void supply_history_begin(struct supply *s, uint64_t tag, int64_t after, int64_t until);
void supply_stream_begin(struct supply *s, uint64_t tag, int64_t zxid);
void supply_more(struct supply *s, enum supply_kind kind, uint64_t tag);
void supply_end(struct supply *s, enum supply_kind kind, uint64_t tag);
