// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a transaction log file: pure, no file calls. disk-format.md 2. A file is a 16-byte
// header, records back to back, then zero bytes or nothing.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum { LOGFILE_HEADER_LEN = 16, LOGFILE_RECORD_HEAD = 12, LOGFILE_RECORD_OVERHEAD = 13 };

void logfile_put_header(struct buf *b);
// ERR_CUT: shorter than a header. ERR_CORRUPT: not a log.
must_check enum err logfile_check_header(struct slice head);

// Frames an entry; the checksum is left zero for logfile_seal (the log lane computes it).
void logfile_put_record(struct buf *b, struct slice entry);
// Fills in the checksums of all records in a batch.
void logfile_seal(uint8_t *records, size_t n);

enum logfile_next {
    LOGFILE_RECORD, // *entry is one record's entry, *used its bytes in the file
    LOGFILE_MORE,   // the window ends inside a record: give more bytes
    LOGFILE_END,    // zero length: the end of what was written
    LOGFILE_TORN,   // the byte behind the entry is not 'B': torn
    LOGFILE_CORRUPT // checksum or length is wrong
};
// Looks at the record at the start of `window`.
enum logfile_next logfile_next(struct slice window, size_t entry_max, struct slice *entry,
                               size_t *used);

// For judging a damaged file: is there a whole, right record anywhere in `window`? *at is where the
// first begins. One that only looks right by chance would need a right checksum, too.
bool logfile_find_record(struct slice window, size_t *at);
// Does a whole disk sector's share of these bytes (at file offset `off`) hold only zeros? That is
// what a write into zero-filled blocks leaves when power fails before all of it arrived.
bool logfile_has_lost_sector(struct slice bytes, uint64_t off);
