// SPDX-License-Identifier: Apache-2.0
#include "cli/log_scan.h"

#include "disk/logfile.h"

enum { SECTOR = 512, LOOK_BYTES = 256 * 1024 };

enum err log_scan_open(struct log_scan *s, struct env *env, const char *path)
{
    *s = (struct log_scan){0};
    enum err e = window_open(&s->w, env, path);
    if (e) {
        log_scan_close(s);
    }
    return e;
}

void log_scan_close(struct log_scan *s)
{
    if (s->w.env) {
        window_close(&s->w);
    }
    arena_fini(&s->arena);
}

static bool only_zeros(struct slice s)
{
    return s.n == 0 || (s.p[0] == 0 && memcmp(s.p, s.p + 1, s.n - 1) == 0);
}

// Fills the window with n bytes, or as many as the file has.
static enum err fill(struct log_scan *s, size_t n)
{
    bool end = false;
    enum err e = ERR_OK;
    while (!e && !end && window_slice(&s->w).n < n) {
        e = window_more(&s->w, &end);
    }
    return e;
}

// Whether nothing but zeros is behind the place the window stands at; *end is the file's length.
static enum err look_to_end(struct log_scan *s, bool *zeros, uint64_t *end)
{
    struct slice front = window_slice(&s->w);
    uint64_t at = s->w.at + front.n;
    uint8_t *p = mem_alloc(LOOK_BYTES);
    size_t got = 1;
    enum err e = ERR_OK;
    *zeros = only_zeros(front);
    while (!e && *zeros && got > 0) {
        e = s->w.env->ops->file_read(s->w.env, s->w.fd, at, p, LOOK_BYTES, &got);
        *zeros = e || only_zeros(slice_of(p, got));
        at += got;
    }
    mem_free(p);
    *end = at;
    return e;
}

// ---- behind damage ------------------------------------------------------------------------------

static bool record_at(struct slice s)
{
    struct slice entry;
    size_t used;
    return logfile_next(s, LOG_SCAN_ENTRY_MAX, &entry, &used) == LOGFILE_RECORD;
}

// A record whose frame is right and whose checksum is not: does a right one stand behind it? Then
// what looks like a record inside it is its data. 0: no.
static size_t frame_of(struct slice s)
{
    struct slice entry;
    size_t used;
    if (logfile_next(s, LOG_SCAN_ENTRY_MAX, &entry, &used) != LOGFILE_CORRUPT) {
        return 0;
    }
    size_t len = be32_get(s.p + 8);
    if (len > LOG_SCAN_ENTRY_MAX || len + LOGFILE_RECORD_OVERHEAD > s.n) {
        return 0;
    }
    used = len + LOGFILE_RECORD_OVERHEAD;
    return record_at(slice_skip(s, used)) ? used : 0;
}

// Skips bytes of the damage, noting whether they lack a sector.
static void drop(struct log_scan *s, struct log_item *item, size_t n)
{
    struct slice bad = slice_head(window_slice(&s->w), n);
    item->lost_sector = item->lost_sector || logfile_has_lost_sector(bad, s->w.at);
    item->len += n;
    window_skip(&s->w, n);
}

// From the bad byte in front to the next right record, or the end of the file.
static enum err search(struct log_scan *s, struct log_item *item)
{
    size_t least = 1; // where the bad record itself begins no right one does
    for (;;) {
        enum err e = fill(s, LOG_SCAN_SEARCH);
        if (e) {
            return e;
        }
        struct slice front = window_slice(&s->w);
        size_t at = 0;
        if (front.n > least && logfile_find_record(slice_skip(front, least), &at)) {
            drop(s, item, at + least);
            return ERR_OK;
        }
        if (front.n < LOG_SCAN_SEARCH) {
            drop(s, item, front.n);
            item->last = true;
            return ERR_OK;
        }
        size_t n = front.n - LOG_SCAN_OVERLAP;
        drop(s, item, n - (size_t)((s->w.at + n) % SECTOR));
        least = 0;
    }
}

static enum err damage(struct log_scan *s, struct log_item *item, const char *why)
{
    item->kind = LOG_ITEM_DAMAGE;
    item->why = why;
    item->off = s->w.at;
    size_t frame = frame_of(window_slice(&s->w));
    if (frame) {
        drop(s, item, frame);
        return ERR_OK;
    }
    return search(s, item);
}

// ---- items --------------------------------------------------------------------------------------

static enum err at_end(struct log_scan *s, struct log_item *item, const char *why)
{
    bool zeros;
    uint64_t end;
    enum err e = look_to_end(s, &zeros, &end);
    if (e) {
        return e;
    }
    if (!zeros) {
        return damage(s, item, why);
    }
    *item = (struct log_item){.kind = LOG_ITEM_END, .off = s->w.at, .len = end - s->w.at};
    s->ended = true;
    return ERR_OK;
}

static void record(struct log_scan *s, struct log_item *item, struct slice entry, size_t used)
{
    item->kind = LOG_ITEM_RECORD;
    item->off = s->w.at;
    item->len = used;
    item->entry = entry;
    s->used = used;
    arena_reset(&s->arena);
    enum err e = txn_decode(entry, LOG_SCAN_ENTRY_MAX, &s->arena, &item->txn);
    if (e) {
        item->why = e == ERR_UNSUPPORTED ? "its type is not known" : "its content is malformed";
        item->txn = (struct txn){0};
        if (txn_decode_header(entry, &item->txn.hdr)) {
            item->why = "it is too short for a transaction";
            item->txn.hdr = (struct txn_header){0};
        }
    }
}

// Does the record in front end within the file?
static bool fits(const struct log_scan *s, struct slice front)
{
    if (front.n < LOGFILE_RECORD_HEAD) {
        return true; // not known yet
    }
    uint64_t len = be32_get(front.p + 8);
    uint64_t left = s->w.size > s->w.at ? s->w.size - s->w.at : 0;
    return len + LOGFILE_RECORD_OVERHEAD <= (left > front.n ? left : front.n);
}

static enum err next_record(struct log_scan *s, struct log_item *item)
{
    for (;;) {
        struct slice front = window_slice(&s->w), entry;
        size_t used;
        bool end = false;
        enum err e = ERR_OK;
        switch (logfile_next(front, LOG_SCAN_ENTRY_MAX, &entry, &used)) {
        case LOGFILE_RECORD:
            record(s, item, entry, used);
            return ERR_OK;
        case LOGFILE_END:
            return at_end(s, item, "there is no record, but bytes behind");
        case LOGFILE_TORN:
            return damage(s, item, "the record does not end as one");
        case LOGFILE_CORRUPT:
            e = fill(s, be32_get(front.p + 8) > LOG_SCAN_SEARCH ? LOG_SCAN_SEARCH : front.n + 1);
            return e ? e : damage(s, item, "the record's checksum or length is wrong");
        case LOGFILE_MORE:
            if (fits(s, front)) {
                e = window_more(&s->w, &end);
                if (e || !end) {
                    break;
                }
            }
            return at_end(s, item, "the file ends inside the record");
        }
        if (e) {
            return e;
        }
    }
}

static enum err header(struct log_scan *s, struct log_item *item, bool *right)
{
    enum err e = fill(s, LOGFILE_HEADER_LEN);
    struct slice front = window_slice(&s->w);
    *right = !e && logfile_check_header(front) == ERR_OK;
    if (e) {
        return e;
    }
    if (*right) {
        s->version = (int32_t)be32_get(front.p + 4);
        s->dbid = (int64_t)be64_get(front.p + 8);
        window_skip(&s->w, LOGFILE_HEADER_LEN);
        return ERR_OK;
    }
    item->header = true;
    bool begun =
        only_zeros(slice_head(front, front.n < LOGFILE_HEADER_LEN ? front.n : LOGFILE_HEADER_LEN));
    e = damage(s, item, "it does not begin as a transaction log");
    item->lost_sector = begun || front.n < LOGFILE_HEADER_LEN;
    if (!e && item->len == 0) {
        item->why = "it is empty";
    }
    return e;
}

enum err log_scan_next(struct log_scan *s, struct log_item *item)
{
    *item = (struct log_item){0};
    must(!s->ended);
    window_skip(&s->w, s->used);
    s->used = 0;
    if (!s->begun) {
        s->begun = true;
        bool right;
        enum err e = header(s, item, &right);
        if (e || !right) {
            return e;
        }
    }
    return next_record(s, item);
}
