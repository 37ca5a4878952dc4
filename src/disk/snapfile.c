// SPDX-License-Identifier: Apache-2.0
#include "disk/snapfile.h"

#include "base/hash.h"
#include "wire/txn.h"

enum {
    MAGIC = 0x5a4b534e, // ZKSN
    VERSION = 2,
    SESSION_LEN = 12,
    NODE_FIXED_LEN = 68, // data_node behind its data
    DIGEST_LEN = 20,
    LAST_ZXID_LEN = 8,
    // An ACL list no longer than a record may be (LIMIT_ENTRY); more is a damaged count.
    ACL_LEN_MAX = 64 * 1024 * 1024
};

static const uint8_t SEAL_END[5] = {0, 0, 0, 1, '/'};

void snapfile_put_header(struct buf *b)
{
    buf_put_i32(b, MAGIC);
    buf_put_i32(b, VERSION);
    buf_put_i64(b, -1);
}

void snapfile_put_seal(struct buf *b, uint32_t adler)
{
    buf_put_i64(b, adler);
    buf_put(b, SEAL_END, sizeof(SEAL_END));
}

void snapfile_put_digest(struct buf *b, int64_t zxid, uint64_t digest)
{
    buf_put_i64(b, zxid);
    buf_put_i32(b, TXN_DIGEST_VERSION);
    buf_put_i64(b, (int64_t)digest);
}

void snapfile_put_last_zxid(struct buf *b, int64_t zxid)
{
    buf_put_i64(b, zxid);
}

bool snapfile_ends_well(struct slice last5)
{
    return last5.n == sizeof(SEAL_END) && memcmp(last5.p, SEAL_END, sizeof(SEAL_END)) == 0;
}

void snapfile_init(struct snapfile_parser *p, size_t bytes_max)
{
    *p = (struct snapfile_parser){.bytes_max = bytes_max, .adler = HASH_ADLER_INIT};
}

void snapfile_fini(struct snapfile_parser *p)
{
    arena_fini(&p->arena);
}

void snapfile_feed(struct snapfile_parser *p, struct slice window)
{
    p->begin = p->summed = p->cur = window.p;
    p->end = window.p + window.n;
}

size_t snapfile_used(const struct snapfile_parser *p)
{
    return (size_t)(p->cur - p->begin);
}

static size_t left(const struct snapfile_parser *p)
{
    return (size_t)(p->end - p->cur);
}

static void use(struct snapfile_parser *p, size_t n)
{
    p->cur += n;
    p->off += n;
}

// The checksum follows in large steps, not item by item.
static void sum(struct snapfile_parser *p)
{
    p->adler = hash_adler32(p->adler, slice_of(p->summed, (size_t)(p->cur - p->summed)));
    p->summed = p->cur;
}

static enum snapfile_item more(struct snapfile_parser *p)
{
    sum(p);
    return SNAPFILE_MORE;
}

static enum snapfile_item bad(struct snapfile_parser *p, const char *why)
{
    p->why = why;
    return SNAPFILE_BAD;
}

static enum snapfile_item next_acl(struct snapfile_parser *p, struct snapfile_value *v)
{
    arena_reset(&p->arena);
    struct jute_in in = jute_in(slice_of(p->cur, left(p)), p->bytes_max);
    v->id = jute_get_long(&in);
    // The shape of a one-field record: a vector of ACLs.
    static const struct record_field fields[] = {{FIELD_av, "acl"}};
    static const struct record_type type = {"acl_list", fields, 1, sizeof(struct acl_vec)};
    jute_get_record(&in, &type, &v->acl, &p->arena);
    if (in.err == ERR_CUT && left(p) < ACL_LEN_MAX) {
        return more(p);
    }
    if (in.err) {
        return bad(p, "an ACL list is malformed");
    }
    use(p, (size_t)(in.p - p->cur));
    p->left--;
    return SNAPFILE_ACL;
}

// The stored node at `q`, without its data. Hand-written: a start reads millions of them.
static void get_node_fixed(const uint8_t *q, struct data_node *n)
{
    n->acl = (int64_t)be64_get(q);
    n->czxid = (int64_t)be64_get(q + 8);
    n->mzxid = (int64_t)be64_get(q + 16);
    n->ctime = (int64_t)be64_get(q + 24);
    n->mtime = (int64_t)be64_get(q + 32);
    n->version = (int32_t)be32_get(q + 40);
    n->cversion = (int32_t)be32_get(q + 44);
    n->aversion = (int32_t)be32_get(q + 48);
    n->ephemeral_owner = (int64_t)be64_get(q + 52);
    n->pzxid = (int64_t)be64_get(q + 60);
}

static enum snapfile_item next_node(struct snapfile_parser *p, struct snapfile_value *v)
{
    size_t n = left(p);
    if (n < 4) {
        return more(p);
    }
    size_t path_n = be32_get(p->cur);
    if (path_n > INT32_MAX || path_n > p->bytes_max) {
        return bad(p, "the length of a path is impossible");
    }
    if (n - 4 < path_n) {
        return more(p);
    }
    if (path_n == 1 && p->cur[4] == '/') {
        use(p, 5);
        sum(p);
        p->state = SNAPFILE_AT_SEAL;
        return snapfile_next(p, v);
    }
    const uint8_t *q = p->cur + 4 + path_n;
    size_t rest = n - 4 - path_n;
    if (rest < 4) {
        return more(p);
    }
    bool null = be32_get(q) == UINT32_MAX;
    size_t data_n = null ? 0 : be32_get(q);
    if (data_n > INT32_MAX || data_n > p->bytes_max) {
        return bad(p, "the length of a node's data is impossible");
    }
    if (rest - 4 < data_n || rest - 4 - data_n < NODE_FIXED_LEN) {
        return more(p);
    }
    v->path = slice_of(p->cur + 4, path_n);
    v->node.data = null ? SLICE_NULL : slice_of(q + 4, data_n);
    get_node_fixed(q + 4 + data_n, &v->node);
    use(p, 4 + path_n + 4 + data_n + NODE_FIXED_LEN);
    return SNAPFILE_NODE;
}

static enum snapfile_item next_count(struct snapfile_parser *p, struct snapfile_value *v,
                                     enum snapfile_state then)
{
    if (left(p) < 4) {
        return more(p);
    }
    p->left = (int32_t)be32_get(p->cur);
    if (p->left < 0) {
        return bad(p, "a count is negative");
    }
    use(p, 4);
    p->state = then;
    return snapfile_next(p, v);
}

static enum snapfile_item next_session(struct snapfile_parser *p, struct snapfile_value *v)
{
    if (left(p) < SESSION_LEN) {
        return more(p);
    }
    v->id = (int64_t)be64_get(p->cur);
    v->timeout_ms = (int32_t)be32_get(p->cur + 8);
    use(p, SESSION_LEN);
    p->left--;
    return SNAPFILE_SESSION;
}

static enum snapfile_item take_header(struct snapfile_parser *p, struct snapfile_value *v)
{
    if (left(p) < SNAPFILE_HEADER_LEN) {
        return more(p);
    }
    if (be32_get(p->cur) != MAGIC) {
        return bad(p, "it does not begin as a snapshot");
    }
    use(p, SNAPFILE_HEADER_LEN);
    p->state = SNAPFILE_AT_SESSION_COUNT;
    return snapfile_next(p, v);
}

static bool seal_holds(uint32_t adler, const uint8_t *seal)
{
    return be64_get(seal) == adler && memcmp(seal + 8, SEAL_END, sizeof(SEAL_END)) == 0;
}

static enum snapfile_item take_seal(struct snapfile_parser *p, struct snapfile_value *v)
{
    if (left(p) < SNAPFILE_SEAL_LEN) {
        return more(p);
    }
    if (!seal_holds(p->adler, p->cur)) {
        return bad(p, "its checksum is wrong");
    }
    use(p, SNAPFILE_SEAL_LEN);
    sum(p);
    p->state = SNAPFILE_AT_TAIL;
    return snapfile_next(p, v);
}

static enum snapfile_item take_tail(struct snapfile_parser *p)
{
    size_t n = left(p);
    if (n > SNAPFILE_TAIL_MAX - p->tail_n) {
        return bad(p, "there are bytes behind its end");
    }
    memcpy(p->tail + p->tail_n, p->cur, n);
    p->tail_n += n;
    use(p, n);
    p->summed = p->cur; // finish sums the tail section by section
    return SNAPFILE_MORE;
}

enum snapfile_item snapfile_next(struct snapfile_parser *p, struct snapfile_value *v)
{
    switch (p->state) {
    case SNAPFILE_AT_HEADER:
        return take_header(p, v);
    case SNAPFILE_AT_SESSION_COUNT:
        return next_count(p, v, SNAPFILE_AT_SESSIONS);
    case SNAPFILE_AT_SESSIONS:
        if (p->left > 0) {
            return next_session(p, v);
        }
        p->state = SNAPFILE_AT_ACL_COUNT;
        return snapfile_next(p, v);
    case SNAPFILE_AT_ACL_COUNT:
        return next_count(p, v, SNAPFILE_AT_ACLS);
    case SNAPFILE_AT_ACLS:
        if (p->left > 0) {
            return next_acl(p, v);
        }
        p->state = SNAPFILE_AT_NODES;
        return snapfile_next(p, v);
    case SNAPFILE_AT_NODES:
        return next_node(p, v);
    case SNAPFILE_AT_SEAL:
        return take_seal(p, v);
    case SNAPFILE_AT_TAIL:
        return take_tail(p);
    }
    return bad(p, "unreachable state");
}

// Takes a section of n bytes and its seal off the tail.
static bool take_section(struct snapfile_parser *p, size_t *at, size_t n)
{
    if (p->tail_n - *at < n + SNAPFILE_SEAL_LEN) {
        return false;
    }
    const uint8_t *q = p->tail + *at;
    uint32_t adler = hash_adler32(p->adler, slice_of(q, n));
    if (!seal_holds(adler, q + n)) {
        return false;
    }
    p->adler = hash_adler32(adler, slice_of(q + n, SNAPFILE_SEAL_LEN));
    *at += n + SNAPFILE_SEAL_LEN;
    return true;
}

// Length of a digest section at `q`: digests of version below 2 were text.
static size_t digest_len(const uint8_t *q, size_t n)
{
    if (n >= 16 && (int32_t)be32_get(q + 8) < TXN_DIGEST_VERSION && be32_get(q + 12) < n) {
        return 16 + be32_get(q + 12);
    }
    return DIGEST_LEN;
}

enum err snapfile_finish(struct snapfile_parser *p, struct snapfile_info *info)
{
    *info = (struct snapfile_info){0};
    if (p->state != SNAPFILE_AT_TAIL) {
        p->why = "it ends too early";
        return ERR_CUT;
    }
    size_t at = 0;
    size_t last_zxid_n = LAST_ZXID_LEN + SNAPFILE_SEAL_LEN;
    if (p->tail_n > last_zxid_n) {
        const uint8_t *q = p->tail;
        if (!take_section(p, &at, digest_len(q, p->tail_n))) {
            p->why = "its digest section is damaged";
            return ERR_CORRUPT;
        }
        info->has_digest = (int32_t)be32_get(q + 8) == TXN_DIGEST_VERSION;
        info->digest_zxid = (int64_t)be64_get(q);
        info->digest = info->has_digest ? be64_get(q + 12) : 0;
    }
    if (at < p->tail_n) {
        info->has_last_zxid = true;
        info->last_zxid = (int64_t)be64_get(p->tail + at);
        if (!take_section(p, &at, LAST_ZXID_LEN)) {
            p->why = "its last section is damaged";
            return ERR_CORRUPT;
        }
    }
    if (at < p->tail_n) {
        p->why = "there are bytes behind its end";
        return ERR_CORRUPT;
    }
    return ERR_OK;
}
