// SPDX-License-Identifier: Apache-2.0
//
// `reeve log`: one pass over each file, whatever is wanted of it.
#include <inttypes.h>

#include "cli/log_check.h"
#include "cli/log_recover.h"
#include "cli/log_text.h"
#include "cli/offline_print.h"
#include "cli/offline_text.h"

enum { TICK_RECORDS = 4096 };

struct run {
    const struct log_request *q;
    struct offline_print p;
    struct offline_files files;
    struct log_check check;
};

// ---- printing -----------------------------------------------------------------------------------

static void print(struct run *r, const struct log_item *item)
{
    uint64_t zxid = (uint64_t)item->txn.hdr.zxid;
    if (item->kind != LOG_ITEM_RECORD || zxid < r->q->from || zxid > r->q->to) {
        return;
    }
    (r->q->sh.json ? log_text_json : log_text_line)(&r->p.out, item, r->q->data);
    offline_print_flush_much(&r->p);
}

// What a file that is only printed leaves to be said.
static void warn(struct run *r)
{
    const struct log_check *c = &r->check;
    for (size_t i = 0; i < c->findings_n; i++) {
        if (!c->findings[i].harmless) {
            offline_print_say(&r->p, "%s, offset %" PRIu64 ": %s", c->file->path,
                              c->findings[i].off, c->findings[i].text);
        }
    }
}

// ---- recovery -----------------------------------------------------------------------------------

// NULL: said why.
static char *target_of(struct run *r, const struct offline_file *f)
{
    const char *out = r->q->recover;
    if (r->files.n == 1) {
        return mem_strdup(out);
    }
    enum err e = r->p.o.env->ops->make_dir(r->p.o.env, out);
    if (e) {
        offline_print_fail(&r->p, out, e);
        return NULL;
    }
    const char *slash = strrchr(f->path, '/');
    return disk_path(out, slash ? slash + 1 : f->path);
}

static void cannot_write(struct run *r, const char *path, enum err e)
{
    const char *said = r->p.o.said;
    offline_print_say(&r->p, "%s cannot be written: %s", path, said[0] ? said : err_text(e));
    r->p.o.said[0] = '\0';
    r->p.failed = r->p.stop = true;
}

static bool begin_recover(struct run *r, const struct offline_file *f, struct log_recover *to)
{
    char *path = target_of(r, f);
    enum err e = path ? log_recover_begin(to, r->p.o.env, path) : ERR_OK;
    if (path && e == ERR_EXISTS) {
        offline_print_say(&r->p, "%s exists already; it is left as it is", path);
        r->p.failed = true;
    } else if (path && e) {
        cannot_write(r, path, e);
    }
    bool begun = path && !e;
    mem_free(path);
    return begun;
}

static void end_recover(struct run *r, struct log_recover *to)
{
    enum err e = log_recover_end(to);
    if (e) {
        cannot_write(r, to->path, e);
        return;
    }
    if (r->q->sh.json) {
        buf_fmt(&r->p.out, "{\"file\":");
        offline_json(&r->p.out, slice_str(to->path));
        buf_fmt(&r->p.out, ",\"written\":%" PRIu64 ",\"left_out\":%" PRIu64 "}\n", to->written,
                to->left_out);
        return;
    }
    buf_fmt(&r->p.out, "%s: %" PRIu64 " records written", to->path, to->written);
    if (to->written) {
        buf_fmt(&r->p.out, ", zxid 0x%" PRIx64 " to 0x%" PRIx64, (uint64_t)to->first,
                (uint64_t)to->last);
    }
    if (to->left_out) {
        buf_fmt(&r->p.out, "; %" PRIu64 " left out that cannot be read or go back", to->left_out);
    }
    buf_fmt(&r->p.out, "\n");
}

// ---- one file -----------------------------------------------------------------------------------

static enum err each_item(struct run *r, struct log_scan *s, struct log_recover *to)
{
    bool printing = !r->q->check && !to;
    struct log_item item = {0};
    for (uint64_t n = 1; !r->p.stop && item.kind != LOG_ITEM_END; n++) {
        enum err e = log_scan_next(s, &item);
        if (e) {
            return e;
        }
        log_check_item(&r->check, &item);
        if (printing) {
            print(r, &item);
        }
        e = to ? log_recover_item(to, &item) : ERR_OK;
        if (e) {
            cannot_write(r, to->path, e);
        }
        if (n % TICK_RECORDS == 0) {
            r->p.stop =
                !r->q->sh.tick(r->q->sh.ctx, r->check.file->path, s->w.at, s->w.size) || r->p.stop;
        }
        if (item.kind == LOG_ITEM_RECORD && (uint64_t)item.txn.hdr.zxid > r->q->to && printing) {
            r->check.prev = -1; // nothing behind it is wanted, and zxids go up
            break;
        }
    }
    return ERR_OK;
}

static void tell(struct run *r)
{
    log_check_end(&r->check);
    if (r->q->check) {
        (r->q->sh.json ? log_check_json : log_check_text)(&r->check, &r->p.out);
    } else {
        warn(r);
    }
    offline_print_flush(&r->p);
}

static void run_file(struct run *r, const struct offline_file *f)
{
    struct log_scan s;
    struct log_recover to = {.fd = -1};
    enum err e = log_scan_open(&s, r->p.o.env, f->path);
    if (e) {
        offline_print_fail(&r->p, f->path, e);
        return;
    }
    bool recovering = r->q->recover != NULL;
    if (!recovering || begin_recover(r, f, &to)) {
        log_check_begin(&r->check, f);
        e = each_item(r, &s, recovering ? &to : NULL);
        if (e) {
            offline_print_fail(&r->p, f->path, e);
        } else if (!r->p.stop && recovering) {
            end_recover(r, &to);
        }
        tell(r);
    }
    log_recover_fini(&to);
    log_scan_close(&s);
}

// ---- all of them --------------------------------------------------------------------------------

static bool find_files(struct run *r)
{
    for (int i = 0; i < r->q->words_n; i++) {
        const char *word = r->q->words[i];
        enum err e = offline_add(&r->p.o, &r->files, word, DISK_NAME_LOG);
        if (e == ERR_INVALID) {
            offline_print_say(&r->p, "%s has no transaction log (files log.ZXID)", word);
            return false;
        }
        if (e) {
            offline_print_fail(&r->p, word, e);
            return false;
        }
    }
    offline_files_settle(&r->files);
    return true;
}

static void sum_up(struct run *r)
{
    const struct log_check *c = &r->check;
    if (r->q->sh.json) {
        buf_fmt(&r->p.out,
                "{\"files\":%" PRIu64 ",\"records\":%" PRIu64 ",\"problems\":%" PRIu64
                ",\"verdict\":\"%s\"}\n",
                c->files_n, c->records_n, c->problems_n, log_verdict_text(c->worst));
    } else if (c->files_n > 1) {
        buf_fmt(&r->p.out, "%" PRIu64 " files, %" PRIu64 " records: %s\n", c->files_n, c->records_n,
                log_verdict_text(c->worst));
    }
    offline_print_flush(&r->p);
}

int log_run(const struct log_request *q)
{
    struct run r = {.q = q};
    if (!offline_print_open(&r.p, &q->sh)) {
        return OFFLINE_NO;
    }
    log_check_init(&r.check, r.p.o.env);
    bool found = find_files(&r);
    for (size_t i = 0; i < r.files.n && found && !r.p.stop; i++) {
        run_file(&r, &r.files.v[i]);
    }
    if (q->check && found && !r.p.stop) {
        sum_up(&r);
    }
    enum log_verdict worst = r.check.worst;
    log_check_fini(&r.check);
    offline_files_fini(&r.files);
    offline_print_close(&r.p);
    if (r.p.stop && !r.p.failed) {
        return OFFLINE_STOPPED;
    }
    bool bad = q->recover ? false : q->check ? worst != LOG_WHOLE : worst == LOG_DAMAGED;
    return !found || r.p.failed || bad ? OFFLINE_NO : OFFLINE_OK;
}
