// SPDX-License-Identifier: Apache-2.0
//
// What the disk tests share: a disk, its tree and a fake env, driven as a server would drive them;
// transactions to append; and a tree as text, to compare with.
#pragma once

#include "disk/disk.h"
#include "disk/sync.h"
#include "test/support/fake_env.h"

#define DKIT_DIR "/data"
#define DKIT_V2  "/data/version-2"

struct dkit {
    struct fake_env *f;
    struct disk_config cfg;
    struct disk *disk; // NULL: closed
    struct tree *tree;
    struct buf *entries; // appended and not logged; entries[i] is of zxid logged + 1 + i
    size_t entries_n, entries_cap;
    int64_t appended, logged;         // zxids
    int full, space, broken, snapped; // events so far
    int64_t saved;                    // epoch of the last DISK_EPOCH_SAVED
    int replaced, sync_failed;        // trees taken from the disk; DISK_SYNC_FAILED
    size_t tail_n;                    // entries that came with the last of those trees
    int64_t tail_first;               // zxid of the first of them; -1: none
    int64_t wait_ms;                  // what the last disk_turn wanted
    // Gets OFFER, HISTORY and STREAM.
    void (*on_answer)(void *ctx, const struct disk_event *ev);
    void *answer_ctx;
};

void dkit_init(struct dkit *k, uint64_t seed); // small preallocation, snapshots only when asked
void dkit_fini(struct dkit *k);
enum err dkit_open(struct dkit *k);               // a new tree
void dkit_close(struct dkit *k);                  // runs what is in flight
struct tree *dkit_tree(const struct logger *log); // a fresh one

// The transaction that the tests give to a zxid: creates and sets of a few hundred bytes.
void dkit_entry(struct buf *b, int64_t zxid);
bool dkit_append(struct dkit *k); // the next one
// What is appended is applied now, as a member does what others have logged and committed.
void dkit_apply(struct dkit *k);
// Runs one job of a lane and handles it, applying what became durable. False: there was none.
bool dkit_job(struct dkit *k, enum env_lane lane);
void dkit_turn(struct dkit *k);
// Flush, jobs and turns until nothing is in flight.
void dkit_settle(struct dkit *k);
void dkit_append_n(struct dkit *k, int n); // each durable by itself

// Every node with what is stored of it, ACL lists, sessions, zxid and digest; sorted.
// NUL-terminated.
void dkit_dump(struct tree *t, struct buf *out);
// A snapshot file's bytes of a tree, without compression and sections.
void dkit_snapshot(struct tree *t, struct buf *out);
bool dkit_exists(struct dkit *k, const char *name); // a file in version-2
// Content of a file of the repository; null if it is not there.
void dkit_read_file(const char *path, struct buf *out);
