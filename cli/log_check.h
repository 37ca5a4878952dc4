// SPDX-License-Identifier: Apache-2.0
//
// Judging transaction logs: each record's checksum, frame and content, the order of zxids, what
// lies between the files of a directory, and how the last file ends.
//
// The rule about the end is the server's (disk/replay.h): what a crash leaves of a batch that was
// never answered is torn, and the next start cuts it off; all else is damage, and a start stops.
//
// Feed the items of each file in order (log_scan.h) between begin and end of the file. Findings are
// lines of text, at most LOG_CHECK_FINDINGS for a file.
#pragma once

#include "cli/log_scan.h"
#include "cli/offline.h"

enum { LOG_CHECK_FINDINGS = 100 };

enum log_verdict { LOG_WHOLE, LOG_TORN, LOG_DAMAGED };

struct log_finding {
    uint64_t off;
    bool harmless; // worth a word, no more
    char *text;
};

struct log_check {
    struct env *env; // to look for snapshots that bridge a gap
    // Of the file in hand, until the next begins.
    const struct offline_file *file;
    enum log_verdict verdict;
    uint64_t records, end, size; // where the records end, and the file
    int64_t first, last;         // zxids; -1: none
    struct log_finding findings[LOG_CHECK_FINDINGS];
    size_t findings_n, unsaid;
    // A bad place that is torn if no record comes that says otherwise.
    bool maybe_torn;
    uint64_t torn_at;
    // Of all files.
    const struct offline_file *before;
    int64_t prev; // zxid of the record before, -1: none
    enum log_verdict worst;
    uint64_t files_n, records_n, problems_n;
};

void log_check_init(struct log_check *c, struct env *env);
void log_check_fini(struct log_check *c);
void log_check_begin(struct log_check *c, const struct offline_file *file);
void log_check_item(struct log_check *c, const struct log_item *item);
void log_check_end(struct log_check *c);

// "whole", "torn", "damaged"
const char *log_verdict_text(enum log_verdict v);
// The file in hand, as lines or as one JSON object with a newline.
void log_check_text(const struct log_check *c, struct buf *b);
void log_check_json(const struct log_check *c, struct buf *b);
