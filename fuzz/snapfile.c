// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a snapshot, fed whole and in pieces (the first byte says how large): both must read
// the same, and nothing may point outside what was fed.
#include "disk/snapfile.h"
#include "base/hash.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
    enum err err;
    uint64_t items, hash;
    struct snapfile_info info;
};

static void inside(struct slice s, struct slice window)
{
    if (s.n) {
        must(s.p >= window.p);
        must(s.p + s.n <= window.p + window.n);
    }
}

static void note(struct outcome *o, enum snapfile_item it, const struct snapfile_value *v)
{
    o->items++;
    struct buf b = {0};
    buf_put_u8(&b, (uint8_t)it);
    if (it == SNAPFILE_NODE) {
        jute_put_bytes(&b, v->path);
        jute_put_record(&b, &record_data_node, &v->node);
    } else {
        buf_put_i64(&b, v->id);
        buf_put_i32(&b, it == SNAPFILE_ACL ? v->acl.n : v->timeout_ms);
    }
    o->hash = hash_bytes(o->hash, buf_slice(&b));
    buf_fini(&b);
}

static void parse(struct slice file, size_t step, struct outcome *o)
{
    *o = (struct outcome){0};
    struct snapfile_parser p;
    struct snapfile_value v;
    snapfile_init(&p, 4096);
    size_t from = 0, to = 0;
    for (;;) {
        to = file.n - to > step ? to + step : file.n;
        struct slice window = slice_of(file.p + from, to - from);
        snapfile_feed(&p, window);
        enum snapfile_item it;
        while ((it = snapfile_next(&p, &v)) != SNAPFILE_MORE && it != SNAPFILE_BAD) {
            if (it == SNAPFILE_NODE) {
                inside(v.path, window);
                inside(v.node.data, window);
            }
            note(o, it, &v);
        }
        if (it == SNAPFILE_BAD) {
            must(p.why != NULL);
            o->err = ERR_CORRUPT;
            break;
        }
        must(snapfile_used(&p) <= window.n);
        from += snapfile_used(&p);
        if (to == file.n) {
            o->err = snapfile_finish(&p, &o->info);
            must(!o->err || p.why != NULL);
            break;
        }
    }
    snapfile_fini(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice file = slice_of(data + 1, size - 1);
    struct outcome whole, pieces;
    parse(file, file.n ? file.n : 1, &whole);
    parse(file, (size_t)data[0] + 1, &pieces);
    must(whole.err == pieces.err);
    must(whole.items == pieces.items);
    must(whole.hash == pieces.hash);
    must(whole.info.digest_zxid == pieces.info.digest_zxid);
    return 0;
}
