// SPDX-License-Identifier: Apache-2.0
//
// Reading the log while it is being written: the entries of the files of a directory, one by one,
// up to what is durable. Blocking; inside a job.
//
// struct log_bound says how far that is, as the core thread knew it when it began the job: of the
// file being written then, the bytes before `pos`; files begun later are not looked at. The bytes
// behind the bound change under the reader's feet, so none of them is kept from one job to the
// next.
#pragma once

#include "disk/log.h"
#include "disk/names.h"
#include "disk/window.h"

struct log_bound {
    int64_t file;    // the one being written, by the zxid of its name; -1: none
    uint64_t pos;    // its durable bytes
    int64_t durable; // zxid of the last durable entry
};

struct log_bound log_bound_of(const struct log *l);

// The log files of a directory that were begun before the bound, by ascending zxid.
must_check enum err log_files_list(struct env *env, const char *dir, const struct log_bound *bound,
                                   struct disk_files *files);
// The last that starts at or below zxid, which has it if any has; 0 if none does.
size_t log_files_find(const struct disk_files *files, int64_t zxid);

// Is it the next in its epoch, or the first of a later one?
bool log_zxid_follows(int64_t prev, int64_t zxid);

struct logreader {
    struct window w; // w.at: where the next record begins
    int64_t file;    // by the zxid of its name
    bool open;
};

enum logreader_next {
    LOGREADER_ENTRY,
    LOGREADER_END,     // nothing is behind the last record, as far as the bound
    LOGREADER_DAMAGED, // what is behind cannot be read as a record: torn, or worse
    LOGREADER_FAILED   // the disk
};

// `at`: 0 or where a record begins. ERR_CORRUPT: not a log. On error it is closed.
must_check enum err logreader_open(struct logreader *r, struct env *env, const char *dir,
                                   int64_t file, uint64_t at);
void logreader_close(struct logreader *r); // fine on a zeroed struct
// The record in front, its checksum verified; good until the next call. It stays in front until
// logreader_skip.
enum logreader_next logreader_peek(struct logreader *r, const struct log_bound *bound,
                                   struct slice *entry, int64_t *zxid);
void logreader_skip(struct logreader *r, struct slice entry);
// At the end of a job.
void logreader_rest(struct logreader *r, const struct log_bound *bound);
