// SPDX-License-Identifier: Apache-2.0
//
// Reading one transaction log file record by record, whatever state it is in: for the offline
// commands. Behind damage it goes on with the next right record, so that a broken file tells all it
// still holds. The bytes are judged by the server's own reader (disk/logfile.h, wire/txn.h).
//
// One pass from front to back with a window of about a megabyte; it grows with the largest record.
// Looking for a right record behind damage sees records of up to LOG_SCAN_OVERLAP bytes for sure;
// longer ones only if the search stands well.
#pragma once

#include "disk/window.h"
#include "wire/txn.h"

enum {
    LOG_SCAN_ENTRY_MAX = 256 * 1024 * 1024, // as a start of the server accepts
    LOG_SCAN_SEARCH = 8 * 1024 * 1024,      // searched at once
    LOG_SCAN_OVERLAP = 4 * 1024 * 1024
};

enum log_item_kind {
    LOG_ITEM_RECORD, // checksum and frame are right
    LOG_ITEM_DAMAGE, // bytes that are no record; the next item stands behind them
    LOG_ITEM_END     // nothing but zeros, or nothing at all, up to the end of the file
};

struct log_item {
    enum log_item_kind kind;
    uint64_t off, len;  // in the file, with the frame
    struct slice entry; // RECORD; good until the next call
    struct txn txn;     // RECORD; only the header if `why` is set
    const char *why;    // DAMAGE; RECORD: why its content cannot be read; else NULL
    bool header;        // DAMAGE: it is the file's header that is wrong
    // DAMAGE: no record behind it, and whether a whole sector of it holds only zeros: what a write
    // leaves when power fails. Of a header: that it was never written.
    bool last, lost_sector;
};

struct log_scan {
    struct window w;
    struct arena arena;
    size_t used; // of the window, by the item that is out
    bool begun, ended;
    int64_t dbid;
    int32_t version;
};

// ERR_NOTFOUND and others of the disk. On error it is closed.
must_check enum err log_scan_open(struct log_scan *s, struct env *env, const char *path);
void log_scan_close(struct log_scan *s); // fine on a zeroed struct
// The next item; behind END there is none. Errors are the disk's only.
must_check enum err log_scan_next(struct log_scan *s, struct log_item *item);
