// SPDX-License-Identifier: Apache-2.0
//
// What the offline commands share: file calls of the server's own kind (env.h, blocking), and the
// files that the words of a command line stand for.
#pragma once

#include "disk/names.h"

struct offline {
    struct env *env;
    char said[512]; // what the env said last, "" if nothing: the system's words for a failure
};

// ERR_IO: the system refuses.
must_check enum err offline_open(struct offline *o);
void offline_close(struct offline *o); // fine on a zeroed struct
// "cannot read PATH: CAUSE" for a failed call.
void offline_failure(struct offline *o, const char *path, enum err e, struct buf *text);

// One file that was named, or that a named directory has.
struct offline_file {
    char *path, *dir;
    struct disk_file name; // kind OTHER: it has no name as a server gives
    bool last;             // of those of its directory
};

struct offline_files {
    struct offline_file *v;
    size_t n, cap;
};

// Adds `word`: a file as it is; of a directory (or its version-2) the files of this kind, in
// ascending zxid. ERR_NOTFOUND: there is no such file or directory; ERR_INVALID: a directory
// without any.
must_check enum err offline_add(struct offline *o, struct offline_files *files, const char *word,
                                enum disk_name_kind kind);
// When all were added: sorts them by directory and zxid and tells which are the last.
void offline_files_settle(struct offline_files *files);
// Are they two of one directory, so that f goes on where the one before ends?
bool offline_file_follows(const struct offline_file *f, const struct offline_file *before);
void offline_files_fini(struct offline_files *files);
