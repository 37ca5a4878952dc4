// SPDX-License-Identifier: Apache-2.0
#include "disk/plain.h"

#include "base/mem.h"

enum err plain_open(struct plain *in, struct env *env, const char *dir,
                    const struct disk_file *file)
{
    *in = (struct plain){0};
    char *path = disk_path(dir, file->name);
    enum err e = window_open(&in->w, env, path);
    mem_free(path);
    if (!e && file->packed != DISK_PLAIN) {
        in->unpack = unpack_new(file->packed);
    }
    return e;
}

void plain_close(struct plain *in)
{
    unpack_free(&in->unpack);
    buf_fini(&in->unpacked);
    window_close(&in->w);
}

struct slice plain_slice(const struct plain *in)
{
    if (!in->unpack) {
        return window_slice(&in->w);
    }
    return slice_skip(buf_slice(&in->unpacked), in->from);
}

void plain_skip(struct plain *in, size_t n)
{
    if (!in->unpack) {
        window_skip(&in->w, n);
    } else {
        in->from += n;
    }
}

// Unpacks until there are more plain bytes.
static enum err unpack_more(struct plain *in, bool *end)
{
    buf_consume(&in->unpacked, in->from);
    in->from = 0;
    size_t had = in->unpacked.n;
    for (;;) {
        size_t used;
        enum err e = unpack_put(in->unpack, window_slice(&in->w), &used, &in->unpacked);
        if (e) {
            return e;
        }
        window_skip(&in->w, used);
        if (in->unpacked.n > had) {
            return ERR_OK;
        }
        if (used > 0) {
            continue;
        }
        if (in->file_end) {
            *end = true;
            return unpack_complete(in->unpack) && window_slice(&in->w).n == 0 ? ERR_OK : ERR_CUT;
        }
        e = window_more(&in->w, &in->file_end);
        if (e) {
            return e;
        }
    }
}

enum err plain_more(struct plain *in, bool *end)
{
    *end = false;
    return in->unpack ? unpack_more(in, end) : window_more(&in->w, end);
}
