// SPDX-License-Identifier: Apache-2.0
//
// What the disk tests share: a disk, its tree and a fake env, driven as a server would drive them;
// transactions to append; and a tree as text, to compare with.
#pragma once

#include "disk/disk.h"
#include "test/support/fake_env.h"

#define KIT_DIR "/data"
#define KIT_V2  "/data/version-2"

struct kit {
    struct fake_env *f;
    struct disk_config cfg;
    struct disk *disk; // NULL: closed
    struct tree *tree;
    struct buf *entries; // appended and not applied; entries[i] is of zxid applied + 1 + i
    size_t entries_n, entries_cap;
    int64_t appended, logged;         // zxids
    int full, space, broken, snapped; // events so far
    int64_t wait_ms;                  // what the last disk_turn wanted
};

void kit_init(struct kit *k, uint64_t seed); // small preallocation, snapshots only when asked
void kit_fini(struct kit *k);
enum err kit_open(struct kit *k);                // a new tree
void kit_close(struct kit *k);                   // runs what is in flight
struct tree *kit_tree(const struct logger *log); // a fresh one

// The transaction that the tests give to a zxid: creates and sets of a few hundred bytes.
void kit_entry(struct buf *b, int64_t zxid);
bool kit_append(struct kit *k); // the next one
// Runs one job of a lane and handles it, applying what became durable. False: there was none.
bool kit_job(struct kit *k, enum env_lane lane);
void kit_turn(struct kit *k);
// Flush, jobs and turns until nothing is in flight.
void kit_settle(struct kit *k);
void kit_append_n(struct kit *k, int n); // each durable by itself

// Every node with what is stored of it, ACL lists, sessions, zxid and digest; sorted.
// NUL-terminated.
void kit_dump(struct tree *t, struct buf *out);
// A snapshot file's bytes of a tree, without compression and sections.
void kit_snapshot(struct tree *t, struct buf *out);
// Content of a file of the repository; null if it is not there.
void kit_read_file(const char *path, struct buf *out);
