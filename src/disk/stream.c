// SPDX-License-Identifier: Apache-2.0
#include "disk/stream.h"

#include "disk/snapload.h"

void stream_init(struct stream *s, struct env *env, const char *dir, int64_t zxid)
{
    *s = (struct stream){.env = env, .dir = dir, .zxid = zxid};
}

void stream_close(struct stream *s)
{
    if (s->open) {
        plain_close(&s->in);
        snapfile_fini(&s->parser);
        s->open = false;
    }
}

void stream_fini(struct stream *s)
{
    must(!s->open);
    buf_fini(&s->last);
}

// The file of that zxid; of several, the one that a start takes.
static enum err open_file(struct stream *s)
{
    struct disk_files files;
    enum err e = disk_files_list(s->env, s->dir, &files);
    const struct disk_file *found = NULL;
    for (size_t i = 0; i < files.n; i++) {
        if (files.v[i].kind == DISK_NAME_SNAPSHOT && files.v[i].zxid == s->zxid) {
            found = &files.v[i];
        }
    }
    e = e ? e : found ? plain_open(&s->in, s->env, s->dir, found) : ERR_NOTFOUND;
    disk_files_fini(&files);
    if (!e) {
        snapfile_init(&s->parser, SNAPLOAD_BYTES_MAX);
        s->open = true;
    }
    return e;
}

// Offset of the first byte behind the body, or of the parser while it is inside.
static uint64_t body_end(const struct snapfile_parser *p)
{
    return p->state == SNAPFILE_AT_TAIL ? p->off - SNAPFILE_SEAL_LEN - p->tail_n : p->off;
}

// Parses what is in front. The part is what of it belongs to the body.
static enum err parse(struct stream *s)
{
    struct snapfile_parser *p = &s->parser;
    struct snapfile_value v;
    uint64_t from = p->off;
    struct slice front = plain_slice(&s->in);
    snapfile_feed(p, front);
    enum snapfile_item item;
    do {
        item = snapfile_next(p, &v);
    } while (item != SNAPFILE_MORE && item != SNAPFILE_BAD);
    if (item == SNAPFILE_BAD) {
        return ERR_CORRUPT;
    }
    s->used = snapfile_used(p);
    uint64_t begin = from > SNAPFILE_HEADER_LEN ? from : SNAPFILE_HEADER_LEN;
    uint64_t end = body_end(p);
    if (end > begin) {
        s->bytes = slice_of(front.p + (begin - from), (size_t)(end - begin));
    }
    return ERR_OK;
}

// Behind the body: a few bytes, and they say whether all before them was right.
static enum err finish(struct stream *s)
{
    buf_put_slice(&s->last, s->bytes);
    bool end = false;
    while (!end) {
        plain_skip(&s->in, s->used);
        s->used = 0;
        enum err e = plain_more(&s->in, &end);
        if (!e && !end) {
            e = parse(s);
        }
        if (e) {
            return e;
        }
    }
    struct snapfile_info info;
    enum err e = snapfile_finish(&s->parser, &info);
    s->bytes = buf_slice(&s->last);
    s->end = !e;
    return e;
}

static enum err read_part(struct stream *s)
{
    enum err e = s->open ? ERR_OK : open_file(s);
    while (!e && s->bytes.n == 0 && s->parser.state < SNAPFILE_AT_SEAL) {
        bool end;
        plain_skip(&s->in, s->used);
        s->used = 0;
        e = plain_more(&s->in, &end);
        if (!e) {
            e = end ? ERR_CUT : parse(s);
        }
    }
    return !e && s->parser.state >= SNAPFILE_AT_SEAL ? finish(s) : e;
}

void stream_read(struct stream *s)
{
    s->bytes = slice_of("", 0);
    if (s->end || s->failed) {
        return;
    }
    s->failed = read_part(s) != ERR_OK;
    if (s->failed) {
        s->bytes = slice_of("", 0);
    }
    if (s->end || s->failed) {
        stream_close(s);
    }
}
