// SPDX-License-Identifier: Apache-2.0
#include "disk/logfile.h"

#include "base/hash.h"
#include "base/must.h"

enum {
    MAGIC = 0x5a4b4c47, // ZKLG
    VERSION = 2,
    RECORD_END = 0x42,
    SECTOR = 512,
    ENTRY_MIN = 32 // a TxnHeader
};

void logfile_put_header(struct buf *b)
{
    buf_put_i32(b, MAGIC);
    buf_put_i32(b, VERSION);
    buf_put_i64(b, 0);
}

enum err logfile_check_header(struct slice head)
{
    if (head.n < LOGFILE_HEADER_LEN) {
        return ERR_CUT;
    }
    return be32_get(head.p) == MAGIC ? ERR_OK : ERR_CORRUPT;
}

void logfile_put_record(struct buf *b, struct slice entry)
{
    must(entry.n > 0);
    must(entry.n <= INT32_MAX);
    uint8_t *p = buf_reserve(b, entry.n + LOGFILE_RECORD_OVERHEAD);
    be64_put(p, 0);
    be32_put(p + 8, (uint32_t)entry.n);
    memcpy(p + LOGFILE_RECORD_HEAD, entry.p, entry.n);
    p[LOGFILE_RECORD_HEAD + entry.n] = RECORD_END;
}

static uint32_t entry_sum(const uint8_t *record, size_t len)
{
    return hash_adler32(HASH_ADLER_INIT, slice_of(record + LOGFILE_RECORD_HEAD, len));
}

void logfile_seal(uint8_t *records, size_t n)
{
    size_t at = 0;
    while (at < n) {
        must(n - at > LOGFILE_RECORD_OVERHEAD);
        size_t len = be32_get(records + at + 8);
        must(len <= n - at - LOGFILE_RECORD_OVERHEAD);
        be64_put(records + at, entry_sum(records + at, len));
        at += len + LOGFILE_RECORD_OVERHEAD;
    }
}

enum logfile_next logfile_next(struct slice window, size_t entry_max, struct slice *entry,
                               size_t *used)
{
    if (window.n < LOGFILE_RECORD_HEAD) {
        return LOGFILE_MORE;
    }
    size_t len = be32_get(window.p + 8);
    if (len == 0) {
        return LOGFILE_END;
    }
    if (len > INT32_MAX || len > entry_max) {
        return LOGFILE_CORRUPT;
    }
    if (window.n < len + LOGFILE_RECORD_OVERHEAD) {
        return LOGFILE_MORE;
    }
    if (window.p[LOGFILE_RECORD_HEAD + len] != RECORD_END) {
        return LOGFILE_TORN;
    }
    if (be64_get(window.p) != entry_sum(window.p, len)) {
        return LOGFILE_CORRUPT;
    }
    *entry = slice_of(window.p + LOGFILE_RECORD_HEAD, len);
    *used = len + LOGFILE_RECORD_OVERHEAD;
    return LOGFILE_RECORD;
}

bool logfile_find_record(struct slice window, size_t *at)
{
    struct slice entry;
    size_t used;
    for (size_t i = 0; i + LOGFILE_RECORD_OVERHEAD + ENTRY_MIN <= window.n; i++) {
        const uint8_t *p = window.p + i;
        if (be32_get(p) != 0 || be32_get(p + 4) == 0 || be32_get(p + 8) < ENTRY_MIN) {
            continue;
        }
        if (logfile_next(slice_skip(window, i), INT32_MAX, &entry, &used) == LOGFILE_RECORD) {
            *at = i;
            return true;
        }
    }
    return false;
}

static bool all_zero(const uint8_t *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

bool logfile_has_lost_sector(struct slice bytes, uint64_t off)
{
    size_t at = 0;
    while (at < bytes.n) {
        size_t n = SECTOR - (size_t)((off + at) % SECTOR);
        n = n < bytes.n - at ? n : bytes.n - at;
        if (all_zero(bytes.p + at, n)) {
            return true;
        }
        at += n;
    }
    return false;
}
