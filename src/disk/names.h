// SPDX-License-Identifier: Apache-2.0
//
// Names in a data directory, disk-format.md 1: log.<zxid>, snapshot.<zxid>[.gz|.snappy], zxid in
// lower-case hex. Apache's servers split a name at its dots and look at the first two parts only,
// so a file in the making must not begin with "log" or "snapshot": ours begin with "tmp.". The two
// names that stand for a decision (CUT, TAKEN) are nothing to them either: an Apache server that
// takes over before ours has finished finds the old state.
#pragma once

#include "disk/disk.h"

enum disk_name_kind {
    DISK_NAME_OTHER,    // none of our business
    DISK_NAME_LOG,      //
    DISK_NAME_SNAPSHOT, //
    DISK_NAME_LEFTOVER, // half-made by a server that died: ours, or Apache's snapshot.<zxid>.tmp
    DISK_NAME_CUT,      // cut.<zxid>.<base>: a truncation that is decided, cut.h
    DISK_NAME_TAKEN     // taken.snapshot.<zxid>: a snapshot from a peer that is decided, take.h
};

enum { DISK_NAME_MAX = 48 };

struct disk_file {
    char name[DISK_NAME_MAX];
    enum disk_name_kind kind;
    int64_t zxid;
    int64_t base; // CUT: zxid of the snapshot that stays the newest
    enum disk_compression packed;
    uint64_t size;
};

// Files of one directory that are not OTHER, in ascending zxid.
struct disk_files {
    struct disk_file *v;
    size_t n, cap;
};

#define DISK_TMP_LOG "tmp.log"
#define DISK_LOCK    ".lock"
#define DISK_TAKEN   "taken." // before the name of a snapshot
#define DISK_TMP     "tmp."

// Fills everything but the size. OTHER if it is not a name as above.
void disk_name_parse(const char *name, struct disk_file *f);
void disk_name_log(char name[DISK_NAME_MAX], int64_t zxid);
void disk_name_cut(char name[DISK_NAME_MAX], int64_t zxid, int64_t base);
void disk_name_snapshot(char name[DISK_NAME_MAX], int64_t zxid, enum disk_compression packed);

// dir/name in new memory.
char *disk_path(const char *dir, const char *name);

must_check enum err disk_files_list(struct env *env, const char *dir, struct disk_files *files);
void disk_files_fini(struct disk_files *files);
