// SPDX-License-Identifier: Apache-2.0
#include "disk/pack.h"

#include <snappy-c.h>
#include <zlib.h>

#include "base/mem.h"
#include "base/must.h"

enum {
    GZIP_WBITS = 15 + 16, // zlib's way to say gzip
    // Snapshots are mostly numbers and paths: the fastest level gets nearly all there is to get.
    GZIP_LEVEL = 1,
    STEP = 256 * 1024,
    OUT_MAX = 1024 * 1024,
    BLOCK = 32 * 1024,
    // Other writers may have chosen larger blocks; beyond this a length is damage.
    BLOCK_MAX = 16 * 1024 * 1024,
    SNAPPY_HEADER_LEN = 16
};

static const uint8_t SNAPPY_HEADER[SNAPPY_HEADER_LEN] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                         0,    0,   0,   1,   0,   0,   0,   1};

struct pack {
    enum disk_compression kind;
    bool begun;
    z_stream z;
    struct buf block; // snappy: plain bytes of the block being gathered
};

struct pack *pack_new(enum disk_compression kind)
{
    struct pack *p = mem_zalloc(sizeof(*p));
    p->kind = kind;
    if (kind == DISK_GZIP) {
        must(deflateInit2(&p->z, GZIP_LEVEL, Z_DEFLATED, GZIP_WBITS, 8, Z_DEFAULT_STRATEGY) ==
             Z_OK);
    }
    return p;
}

void pack_free(struct pack **p)
{
    if (!*p) {
        return;
    }
    if ((*p)->kind == DISK_GZIP) {
        deflateEnd(&(*p)->z);
    }
    buf_fini(&(*p)->block);
    mem_free(*p);
    *p = NULL;
}

static enum err put_gzip(struct pack *p, struct slice in, bool last, struct buf *out)
{
    p->z.next_in = (uint8_t *)(uintptr_t)in.p;
    p->z.avail_in = (uInt)in.n;
    int rc;
    do {
        p->z.next_out = buf_reserve(out, STEP);
        p->z.avail_out = STEP;
        rc = deflate(&p->z, last ? Z_FINISH : Z_NO_FLUSH);
        out->n -= p->z.avail_out;
        if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
            return ERR_IO;
        }
    } while (p->z.avail_out == 0 || (last && rc != Z_STREAM_END));
    return ERR_OK;
}

static enum err put_block(struct slice block, struct buf *out)
{
    size_t n = snappy_max_compressed_length(block.n);
    size_t at = out->n;
    uint8_t *q = buf_reserve(out, 4 + n);
    if (snappy_compress((const char *)block.p, block.n, (char *)q + 4, &n) != SNAPPY_OK) {
        return ERR_IO;
    }
    be32_put(q, (uint32_t)n);
    out->n = at + 4 + n;
    return ERR_OK;
}

static enum err put_snappy(struct pack *p, struct slice in, bool last, struct buf *out)
{
    if (!p->begun) {
        buf_put(out, SNAPPY_HEADER, SNAPPY_HEADER_LEN);
        p->begun = true;
    }
    buf_put_slice(&p->block, in);
    size_t at = 0;
    enum err e = ERR_OK;
    while (!e && (p->block.n - at >= BLOCK || (last && at < p->block.n))) {
        size_t n = p->block.n - at < BLOCK ? p->block.n - at : BLOCK;
        e = put_block(slice_of(p->block.p + at, n), out);
        at += n;
    }
    buf_consume(&p->block, at);
    return e;
}

enum err pack_put(struct pack *p, struct slice in, bool last, struct buf *out)
{
    switch (p->kind) {
    case DISK_GZIP:
        return put_gzip(p, in, last, out);
    case DISK_SNAPPY:
        return put_snappy(p, in, last, out);
    default:
        buf_put_slice(out, in);
        return ERR_OK;
    }
}

struct unpack {
    enum disk_compression kind;
    bool begun, complete;
    z_stream z;
};

struct unpack *unpack_new(enum disk_compression kind)
{
    struct unpack *u = mem_zalloc(sizeof(*u));
    u->kind = kind;
    if (kind == DISK_GZIP) {
        must(inflateInit2(&u->z, GZIP_WBITS) == Z_OK);
    }
    return u;
}

void unpack_free(struct unpack **u)
{
    if (!*u) {
        return;
    }
    if ((*u)->kind == DISK_GZIP) {
        inflateEnd(&(*u)->z);
    }
    mem_free(*u);
    *u = NULL;
}

bool unpack_complete(const struct unpack *u)
{
    return u->complete;
}

static enum err get_gzip(struct unpack *u, struct slice in, size_t *used, struct buf *out)
{
    if (in.n == 0) {
        return ERR_OK;
    }
    if (u->complete) { // a second member behind the first
        u->complete = false;
        if (inflateReset(&u->z) != Z_OK) {
            return ERR_IO;
        }
    }
    u->z.next_in = (uint8_t *)(uintptr_t)in.p;
    u->z.avail_in = (uInt)in.n;
    size_t at = out->n;
    while (out->n - at < OUT_MAX && u->z.avail_in && !u->complete) {
        u->z.next_out = buf_reserve(out, STEP);
        u->z.avail_out = STEP;
        int rc = inflate(&u->z, Z_NO_FLUSH);
        out->n -= u->z.avail_out;
        if (rc == Z_STREAM_END) {
            u->complete = true;
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return ERR_CORRUPT;
        }
    }
    *used = in.n - u->z.avail_in;
    return ERR_OK;
}

// One block; *used stays 0 if `in` does not hold all of it.
static enum err get_block(struct slice in, size_t *used, struct buf *out)
{
    if (in.n < 4) {
        return ERR_OK;
    }
    size_t n = be32_get(in.p);
    if (n == 0 || n > BLOCK_MAX) {
        return ERR_CORRUPT;
    }
    if (in.n - 4 < n) {
        return ERR_OK;
    }
    size_t plain;
    const char *q = (const char *)in.p + 4;
    if (snappy_uncompressed_length(q, n, &plain) != SNAPPY_OK || plain == 0 || plain > BLOCK_MAX) {
        return ERR_CORRUPT;
    }
    size_t at = out->n;
    if (snappy_uncompress(q, n, (char *)buf_reserve(out, plain), &plain) != SNAPPY_OK) {
        return ERR_CORRUPT;
    }
    out->n = at + plain;
    *used = 4 + n;
    return ERR_OK;
}

static enum err get_snappy(struct unpack *u, struct slice in, size_t *used, struct buf *out)
{
    if (!u->begun) {
        if (in.n < SNAPPY_HEADER_LEN) {
            return ERR_OK;
        }
        if (memcmp(in.p, SNAPPY_HEADER, 8) != 0) {
            return ERR_CORRUPT;
        }
        u->begun = true;
        *used = SNAPPY_HEADER_LEN;
    }
    size_t at = out->n;
    while (out->n - at < OUT_MAX) {
        size_t n = 0;
        enum err e = get_block(slice_skip(in, *used), &n, out);
        if (e) {
            return e;
        }
        if (n == 0) {
            break;
        }
        *used += n;
    }
    u->complete = *used == in.n;
    return ERR_OK;
}

enum err unpack_put(struct unpack *u, struct slice in, size_t *used, struct buf *out)
{
    *used = 0;
    switch (u->kind) {
    case DISK_GZIP:
        return get_gzip(u, in, used, out);
    case DISK_SNAPPY:
        return get_snappy(u, in, used, out);
    default:
        buf_put_slice(out, in);
        *used = in.n;
        u->complete = true;
        return ERR_OK;
    }
}
