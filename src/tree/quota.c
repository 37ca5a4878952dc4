// SPDX-License-Identifier: Apache-2.0
//
// Quotas: for a subtree P, /zookeeper/quota<P>/zookeeper_limits holds what is allowed (a client
// writes it) and .../zookeeper_stats what is used (kept here). Usage is the text of the stats node
// and nothing else, so a client that rewrites it sets the base; its stat fields never change for
// it. Clients can write any bytes there: text that does not parse counts as no limit and as usage
// zero. Apache's DataTree, StatsTrack, Quotas; ZooKeeperServer.checkQuota.
#include <stdlib.h>

#include "tree/node.h"
#include "wire/path.h"

#define QUOTA_TOP "/zookeeper/quota"
#define LIMITS    "zookeeper_limits"
#define STATS     "zookeeper_stats"

enum { QUOTA_TEXT_MAX = 4096 };

// What the text says; -1 is "no such limit".
struct quota_text {
    int64_t count, bytes, count_hard, bytes_hard;
};

void quotas_init(struct quotas *q)
{
    slab_init(&q->slab, sizeof(struct quota));
    index_init(&q->by_path, &q->slab, offsetof(struct quota, link));
}

void quotas_fini(struct quotas *q)
{
    for (uint32_t h = 1; h < q->slab.next; h++) {
        struct quota *x = slab_at(&q->slab, h);
        if (x->path_len) {
            mem_free(x->path);
        }
    }
    index_fini(&q->by_path);
    slab_fini(&q->slab);
}

static uint32_t hash_path(const struct tree *t, struct slice path)
{
    return (uint32_t)hash_bytes(t->cfg.seed, path);
}

static uint32_t find(const struct tree *t, struct slice path)
{
    uint32_t h = index_first(&t->quotas.by_path, hash_path(t, path));
    while (h) {
        const struct quota *x = slab_at(&t->quotas.slab, h);
        if (slice_eq(slice_of(x->path, x->path_len), path)) {
            break;
        }
        h = index_next(&t->quotas.by_path, h);
    }
    return h;
}

static void add(struct tree *t, struct slice path)
{
    if (find(t, path)) {
        return;
    }
    uint32_t h = slab_alloc(&t->quotas.slab);
    struct quota *x = slab_at(&t->quotas.slab, h);
    x->path = mem_alloc(path.n);
    memcpy(x->path, path.p, path.n);
    x->path_len = (uint32_t)path.n;
    index_put(&t->quotas.by_path, h, hash_path(t, path));
}

static void del(struct tree *t, struct slice path)
{
    uint32_t h = find(t, path);
    if (h) {
        struct quota *x = slab_at(&t->quotas.slab, h);
        index_del(&t->quotas.by_path, h);
        mem_free(x->path);
        x->path_len = 0;
        slab_free(&t->quotas.slab, h);
    }
}

// P of /zookeeper/quota<P>/<leaf>; null if the path is not such a one. P "" would be a quota for
// the root, which is not a thing.
static struct slice subject(struct slice path, const char *leaf)
{
    struct slice top = SLICE_LIT(QUOTA_TOP "/");
    if (!slice_has_prefix(path, top) || !slice_eq_str(path_base(path), leaf)) {
        return SLICE_NULL;
    }
    struct slice p = slice_skip(path_parent(path), top.n - 1);
    return p.n ? p : SLICE_NULL;
}

// The deepest registered prefix of a path, itself included; null if there is none.
static struct slice deepest(const struct tree *t, struct slice path)
{
    if (t->quotas.slab.live == 0) {
        return SLICE_NULL;
    }
    while (path.n > 1) {
        if (find(t, path)) {
            return path;
        }
        path = path_parent(path);
    }
    return SLICE_NULL;
}

static uint32_t find_leaf(const struct tree *t, struct slice prefix, const char *leaf)
{
    struct buf b = {0};
    buf_put_slice(&b, SLICE_LIT(QUOTA_TOP));
    buf_put_slice(&b, prefix);
    buf_put_u8(&b, '/');
    buf_put(&b, leaf, strlen(leaf));
    uint32_t h = tree_find(t, buf_slice(&b));
    buf_fini(&b);
    return h;
}

// One number, empty: -1. False if the text is none.
static bool parse_number(const char *s, const char *end, int64_t *v)
{
    if (s == end) {
        *v = -1;
        return true;
    }
    char *stop;
    *v = strtoll(s, &stop, 10);
    return stop == end && *s != ' ' && *s != '\t';
}

static bool parse_piece(const char *s, const char *end, struct quota_text *q)
{
    const char *eq = memchr(s, '=', (size_t)(end - s));
    if (!eq) {
        return false;
    }
    const char *num_end = memchr(eq + 1, '=', (size_t)(end - eq - 1));
    int64_t v;
    if (!parse_number(eq + 1, num_end ? num_end : end, &v)) {
        return false;
    }
    struct slice key = slice_of(s, (size_t)(eq - s));
    if (slice_eq_str(key, "count")) {
        q->count = v;
    } else if (slice_eq_str(key, "bytes")) {
        q->bytes = v;
    } else if (slice_eq_str(key, "countHardLimit")) {
        q->count_hard = v;
    } else if (slice_eq_str(key, "byteHardLimit")) {
        q->bytes_hard = v;
    }
    return true;
}

// StatsTrack's text: pieces between runs of ',' and ';', each key=number.
static bool parse(struct slice data, struct quota_text *q)
{
    *q = (struct quota_text){-1, -1, -1, -1};
    if (!data.n || data.n >= QUOTA_TEXT_MAX || memchr(data.p, 0, data.n)) {
        return false;
    }
    char text[QUOTA_TEXT_MAX]; // terminated, for strtoll
    memcpy(text, data.p, data.n);
    text[data.n] = 0;
    const char *end = text + data.n;
    for (const char *s = text; s < end;) {
        size_t n = strcspn(s, ",;");
        if (n && !parse_piece(s, s + n, q)) {
            *q = (struct quota_text){-1, -1, -1, -1};
            return false;
        }
        s += n;
        s += strspn(s, ",;");
    }
    return true;
}

// The stats node's new text. Not a change that anybody can watch or that counts in its stat.
static void write_stats(struct tree *t, uint32_t h, struct quota_text q)
{
    struct buf b = {0};
    buf_fmt(&b, "count=%lld,bytes=%lld", (long long)q.count, (long long)q.bytes);
    if (q.bytes_hard != -1 || q.count_hard != -1) {
        buf_put_u8(&b, '=');
    }
    if (q.bytes_hard != -1) {
        buf_fmt(&b, ";byteHardLimit=%lld", (long long)q.bytes_hard);
    }
    if (q.count_hard != -1) {
        buf_fmt(&b, ";countHardLimit=%lld", (long long)q.count_hard);
    }
    node_change_begin(t, h);
    node_put_data(t, h, SLICE_NULL, buf_slice(&b)); // hidden: its path does not count
    node_change_end(t, h);
    buf_fini(&b);
}

// Clients may write any usage: at the end of the numbers it stays.
static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b > 0 ? INT64_MAX : INT64_MIN) : sum;
}

static void usage_add(struct tree *t, struct slice path, int64_t bytes, int64_t count)
{
    struct slice prefix = deepest(t, path);
    uint32_t h = prefix.p ? find_leaf(t, prefix, STATS) : 0;
    if (!h) {
        return;
    }
    struct quota_text q;
    if (!parse(tree_node_data(t, h), &q)) {
        q.count = q.bytes = 0;
    }
    q.count = plus(q.count, count);
    q.bytes = plus(q.bytes, bytes);
    write_stats(t, h, q);
}

static void sum(const struct tree *t, uint32_t top, struct quota_text *q)
{
    for (uint32_t h = top; h; h = node_next_below(t, top, h)) {
        q->count++;
        q->bytes += node_data_len(node_at(t, h));
    }
}

static void recount(struct tree *t, struct slice prefix)
{
    uint32_t stats = find_leaf(t, prefix, STATS);
    if (!stats) {
        return;
    }
    uint32_t top = tree_find(t, prefix);
    struct quota_text q = {0, 0, -1, -1};
    if (top) {
        sum(t, top, &q);
    }
    write_stats(t, stats, q);
}

void quota_on_create(struct tree *t, struct slice path, uint32_t data_len)
{
    struct slice p = subject(path, LIMITS);
    if (p.p) {
        add(t, p);
    }
    p = subject(path, STATS);
    if (p.p) {
        recount(t, p);
    }
    usage_add(t, path, data_len, 1);
}

void quota_on_delete(struct tree *t, struct slice path, uint32_t data_len)
{
    struct slice p = subject(path, LIMITS);
    if (p.p) {
        del(t, p);
    }
    usage_add(t, path, -(int64_t)data_len, -1);
}

void quota_on_set_data(struct tree *t, struct slice path, int64_t bytes)
{
    if (t->quotas.slab.live) {
        usage_add(t, path, bytes, 0);
    }
}

void quota_recount(struct tree *t)
{
    for (uint32_t h = 1; h < t->quotas.slab.next; h++) {
        const struct quota *x = slab_at(&t->quotas.slab, h);
        if (x->path_len) {
            recount(t, slice_of(x->path, x->path_len));
        }
    }
}

// Registers every limits node below /zookeeper/quota.
void quota_load_end(struct tree *t)
{
    uint32_t top = tree_find(t, SLICE_LIT(QUOTA_TOP));
    struct buf path = {0};
    for (uint32_t h = top; h; h = node_next_below(t, top, h)) {
        if (slice_eq_str(tree_node_name(t, h), LIMITS)) {
            buf_clear(&path);
            tree_path(t, h, &path);
            struct slice p = subject(buf_slice(&path), LIMITS);
            if (p.p) {
                add(t, p);
            }
        }
    }
    buf_fini(&path);
    quota_recount(t);
}

// One dimension: a hard limit replaces the soft one. False if a hard limit is in the way.
static bool allows(const struct tree *t, struct slice prefix, const char *what, int64_t after,
                   int64_t soft, int64_t hard)
{
    bool is_hard = hard > -1 && t->cfg.enforce_quota;
    int64_t limit = hard > -1 ? hard : soft;
    if (limit <= -1 || after <= limit) {
        return true;
    }
    log_warn(&t->log, "quota of %.*s: %s would be %lld, the %s limit is %lld%s", SLICE_ARG(prefix),
             what, (long long)after, hard > -1 ? "hard" : "soft", (long long)limit,
             is_hard ? "; refused" : "");
    return !is_hard;
}

bool quota_allows(const struct tree *t, struct slice path, int64_t bytes, int64_t count)
{
    struct slice prefix = bytes || count ? deepest(t, path) : SLICE_NULL;
    uint32_t limits = prefix.p ? find_leaf(t, prefix, LIMITS) : 0;
    uint32_t stats = limits ? find_leaf(t, prefix, STATS) : 0;
    struct quota_text lim, use;
    if (!stats || !parse(tree_node_data(t, limits), &lim)) {
        return true;
    }
    if (!parse(tree_node_data(t, stats), &use)) {
        use.count = use.bytes = 0;
    }
    return (count == 0 ||
            allows(t, prefix, "count", plus(use.count, count), lim.count, lim.count_hard)) &&
           (bytes == 0 ||
            allows(t, prefix, "bytes", plus(use.bytes, bytes), lim.bytes, lim.bytes_hard));
}

void quota_check(const struct tree *t)
{
    index_check(&t->quotas.by_path);
    for (uint32_t h = 1; h < t->quotas.slab.next; h++) {
        const struct quota *x = slab_at(&t->quotas.slab, h);
        if (x->path_len) {
            must(find_leaf(t, slice_of(x->path, x->path_len), LIMITS) != 0);
        }
    }
}
