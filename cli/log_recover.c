// SPDX-License-Identifier: Apache-2.0
#include "cli/log_recover.h"

#include "disk/logfile.h"

enum { WRITE_BYTES = 1024 * 1024 };

enum err log_recover_begin(struct log_recover *r, struct env *env, const char *path)
{
    *r = (struct log_recover){.env = env, .fd = -1, .first = -1, .last = -1};
    enum err e =
        env->ops->file_open(env, path, ENV_OPEN_WRITE | ENV_OPEN_CREATE | ENV_OPEN_EXCL, &r->fd);
    if (e) {
        r->fd = -1;
        return e;
    }
    r->path = mem_strdup(path);
    logfile_put_header(&r->out);
    return ERR_OK;
}

static enum err write_out(struct log_recover *r)
{
    enum err e = r->env->ops->file_write(r->env, r->fd, r->at, r->out.p, r->out.n);
    r->at += r->out.n;
    buf_clear(&r->out);
    return e;
}

enum err log_recover_item(struct log_recover *r, const struct log_item *item)
{
    if (item->kind != LOG_ITEM_RECORD) {
        return ERR_OK;
    }
    int64_t zxid = item->txn.hdr.zxid;
    if (item->why || zxid <= r->last) {
        r->left_out++;
        return ERR_OK;
    }
    r->first = r->first < 0 ? zxid : r->first;
    r->last = zxid;
    r->written++;
    size_t at = r->out.n;
    logfile_put_record(&r->out, item->entry);
    logfile_seal(r->out.p + at, r->out.n - at);
    return r->out.n < WRITE_BYTES ? ERR_OK : write_out(r);
}

enum err log_recover_end(struct log_recover *r)
{
    enum err e = write_out(r);
    e = e ? e : r->env->ops->file_sync(r->env, r->fd);
    r->whole = !e;
    return e;
}

void log_recover_fini(struct log_recover *r)
{
    if (r->env && r->fd >= 0) {
        r->env->ops->file_close(r->env, r->fd);
        if (!r->whole) {
            (void)!r->env->ops->unlink(r->env, r->path);
        }
    }
    mem_free(r->path);
    buf_fini(&r->out);
    *r = (struct log_recover){.fd = -1};
}
