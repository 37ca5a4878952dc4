// SPDX-License-Identifier: Apache-2.0
#include "cli/log_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/offline_text.h"
#include "disk/logreader.h"
#include "limits.h"

static const char *const verdicts[] = {"whole", "torn", "damaged"};

const char *log_verdict_text(enum log_verdict v)
{
    return verdicts[v];
}

void log_check_init(struct log_check *c, struct env *env)
{
    *c = (struct log_check){.env = env, .first = -1, .last = -1, .prev = -1};
}

static void forget_findings(struct log_check *c)
{
    for (size_t i = 0; i < c->findings_n; i++) {
        mem_free(c->findings[i].text);
    }
    c->findings_n = c->unsaid = 0;
}

void log_check_fini(struct log_check *c)
{
    forget_findings(c);
}

static void find(struct log_check *c, uint64_t off, bool harmless, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void find(struct log_check *c, uint64_t off, bool harmless, const char *fmt, ...)
{
    c->problems_n += !harmless;
    if (c->findings_n == LOG_CHECK_FINDINGS) {
        c->unsaid++;
        return;
    }
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    c->findings[c->findings_n++] = (struct log_finding){off, harmless, mem_strdup(text)};
}

// Behind a torn place nothing counts.
static void worse(struct log_check *c, enum log_verdict v)
{
    if (c->maybe_torn) {
        return;
    }
    c->verdict = v > c->verdict ? v : c->verdict;
}

void log_check_begin(struct log_check *c, const struct offline_file *file)
{
    if (!c->before || !offline_file_follows(file, c->before)) {
        c->prev = -1;
    }
    forget_findings(c);
    c->file = file;
    c->verdict = LOG_WHOLE;
    c->records = c->end = c->size = 0;
    c->first = c->last = -1;
    c->maybe_torn = false;
}

// ---- zxids --------------------------------------------------------------------------------------

// A snapshot taken over from another server stands between them, or a newer one, with which a start
// begins behind the gap.
static bool snapshot_bridges(const struct log_check *c, int64_t next)
{
    struct disk_files files;
    enum err e = disk_files_list(c->env, c->file->dir, &files);
    bool found = false;
    for (size_t i = 0; !e && i < files.n; i++) {
        found = found || (files.v[i].kind == DISK_NAME_SNAPSHOT && files.v[i].zxid >= next - 1);
    }
    disk_files_fini(&files);
    return found;
}

static void check_order(struct log_check *c, uint64_t off, int64_t zxid)
{
    int64_t prev = c->prev;
    c->prev = zxid;
    if (prev < 0 || log_zxid_follows(prev, zxid) || c->maybe_torn) {
        return;
    }
    if (zxid <= prev) {
        find(c, off, false, "zxid 0x%" PRIx64 " follows 0x%" PRIx64 ": it goes back",
             (uint64_t)zxid, (uint64_t)prev);
        worse(c, LOG_DAMAGED);
        return;
    }
    bool bridged = snapshot_bridges(c, zxid);
    find(c, off, bridged, "no transactions between 0x%" PRIx64 " and 0x%" PRIx64 "%s",
         (uint64_t)prev, (uint64_t)zxid, bridged ? "; a snapshot has them" : "");
    if (!bridged) {
        worse(c, LOG_DAMAGED);
    }
}

static void check_name(struct log_check *c, uint64_t off, int64_t zxid)
{
    if (c->file->name.kind == DISK_NAME_LOG && zxid < c->file->name.zxid) {
        find(c, off, false,
             "it begins with zxid 0x%" PRIx64 ", before that of its name: a start would not see it",
             (uint64_t)zxid);
        worse(c, LOG_DAMAGED);
    }
}

// ---- items --------------------------------------------------------------------------------------

static void check_record(struct log_check *c, const struct log_item *item)
{
    int64_t zxid = item->txn.hdr.zxid;
    if (c->maybe_torn && item->off > c->torn_at + LIMIT_LOG_BATCH) {
        c->maybe_torn = false;
        worse(c, LOG_DAMAGED);
    }
    c->records++;
    c->records_n++;
    c->end = item->off + item->len;
    if (item->why) {
        find(c, item->off, false, "a record of %zu bytes: %s", item->entry.n, item->why);
        worse(c, LOG_DAMAGED);
        if (zxid == 0) {
            return;
        }
    }
    if (c->first < 0) {
        c->first = zxid;
        check_name(c, item->off, zxid);
    }
    check_order(c, item->off, zxid);
    c->last = zxid;
}

static void check_damage(struct log_check *c, const struct log_item *item)
{
    if (item->header && item->len == 0) {
        find(c, 0, c->file->last, "%s", item->why);
        worse(c, c->file->last ? LOG_WHOLE : LOG_DAMAGED);
        return;
    }
    bool torn = c->file->last &&
                (item->header ? item->last && item->lost_sector : item->last || item->lost_sector);
    if (item->last) {
        find(c, item->off, false, "%s; %" PRIu64 " bytes, no record behind them", item->why,
             item->len);
    } else {
        find(c, item->off, false, "%s; %" PRIu64 " bytes, the next record is at %" PRIu64,
             item->why, item->len, item->off + item->len);
    }
    if (!torn) {
        worse(c, LOG_DAMAGED);
    } else if (!c->maybe_torn) {
        c->maybe_torn = true;
        c->torn_at = item->off;
    }
}

void log_check_item(struct log_check *c, const struct log_item *item)
{
    switch (item->kind) {
    case LOG_ITEM_RECORD:
        check_record(c, item);
        break;
    case LOG_ITEM_DAMAGE:
        check_damage(c, item);
        break;
    case LOG_ITEM_END:
        c->size = item->off + item->len;
        break;
    }
}

void log_check_end(struct log_check *c)
{
    if (c->maybe_torn) {
        c->maybe_torn = false;
        worse(c, LOG_TORN);
    }
    c->worst = c->verdict > c->worst ? c->verdict : c->worst;
    c->files_n++;
    c->before = c->file;
}

// ---- what is printed ----------------------------------------------------------------------------

void log_check_text(const struct log_check *c, struct buf *b)
{
    buf_fmt(b, "%s: ", c->file->path);
    if (c->records) {
        buf_fmt(b,
                "%" PRIu64 " records, zxid 0x%" PRIx64 " to 0x%" PRIx64 ", ending at %" PRIu64
                " of %" PRIu64 " bytes: %s\n",
                c->records, (uint64_t)c->first, (uint64_t)c->last, c->end, c->size,
                verdicts[c->verdict]);
    } else {
        buf_fmt(b, "no records in %" PRIu64 " bytes: %s\n", c->size, verdicts[c->verdict]);
    }
    for (size_t i = 0; i < c->findings_n; i++) {
        buf_fmt(b, "  offset %" PRIu64 ": %s\n", c->findings[i].off, c->findings[i].text);
    }
    if (c->unsaid) {
        buf_fmt(b, "  and %zu more\n", c->unsaid);
    }
    if (c->verdict == LOG_TORN) {
        buf_fmt(b,
                "  torn at offset %" PRIu64 ": a write that a crash did not let finish; it was "
                "never answered, and the next start cuts it off\n",
                c->torn_at);
    }
}

void log_check_json(const struct log_check *c, struct buf *b)
{
    buf_fmt(b, "{\"file\":");
    offline_json(b, slice_str(c->file->path));
    buf_fmt(b, ",\"verdict\":\"%s\",\"records\":%" PRIu64, verdicts[c->verdict], c->records);
    if (c->records) {
        buf_fmt(b, ",\"first_zxid\":\"0x%" PRIx64 "\",\"last_zxid\":\"0x%" PRIx64 "\"",
                (uint64_t)c->first, (uint64_t)c->last);
    }
    buf_fmt(b, ",\"end\":%" PRIu64 ",\"size\":%" PRIu64, c->end, c->size);
    if (c->verdict == LOG_TORN) {
        buf_fmt(b, ",\"torn_at\":%" PRIu64, c->torn_at);
    }
    buf_fmt(b, ",\"findings\":[");
    for (size_t i = 0; i < c->findings_n; i++) {
        const struct log_finding *f = &c->findings[i];
        buf_fmt(b, "%s{\"offset\":%" PRIu64 ",\"harmless\":%s,\"text\":", i ? "," : "", f->off,
                f->harmless ? "true" : "false");
        offline_json(b, slice_str(f->text));
        buf_fmt(b, "}");
    }
    buf_fmt(b, "],\"more\":%zu}\n", c->unsaid);
}
