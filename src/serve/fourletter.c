// SPDX-License-Identifier: Apache-2.0
//
// The four letter words: raw text, then the connection closes. client-protocol.md 7.1; Java:
// org.apache.zookeeper.server.command.
#include <inttypes.h>
#include <stdlib.h>

#include "serve/core.h"
#include "wire/ops.h"

enum when { ALWAYS, SERVING };

struct word_ctx {
    struct serve *s;
    struct serve_facts *f;
    struct conn *self; // who asks
    struct slice bytes;
    struct buf *b;
};

// ---- figures ------------------------------------------------------------------------------------

static void word_ruok(struct word_ctx *x)
{
    buf_fmt(x->b, "imok");
}

static bool is_serving(const struct word_ctx *x)
{
    return x->s->mode != SERVE_OFF && x->f->serving;
}

static void word_isro(struct word_ctx *x)
{
    bool ro = x->s->mode == SERVE_READ_ONLY;
    buf_fmt(x->b, "%s", !is_serving(x) ? "null" : ro ? "ro" : "rw");
}

static void word_gtmk(struct word_ctx *x)
{
    buf_fmt(x->b, "%" PRId64, x->s->trace_mask);
}

static void word_stmk(struct word_ctx *x)
{
    if (x->bytes.n >= 12) {
        x->s->trace_mask = (int64_t)be64_get(x->bytes.p + 4);
    }
    word_gtmk(x);
}

static void word_conf(struct word_ctx *x)
{
    buf_fmt(x->b, "%s", x->f->conf_text ? x->f->conf_text : "");
}

static void word_dirs(struct word_ctx *x)
{
    buf_fmt(x->b, "datadir_size: %" PRId64 "\nlogdir_size: %" PRId64 "\n", x->f->data_dir_size,
            x->f->log_dir_size);
}

static void word_envi(struct word_ctx *x)
{
    const struct env_sysinfo *i = &x->f->sys;
    buf_fmt(x->b, "Environment:\nzookeeper.version=%s\nhost.name=%s\n", x->s->cfg.version,
            i->host_name);
    static const char *const java[] = {"java.version",    "java.vendor",       "java.home",
                                       "java.class.path", "java.library.path", "java.io.tmpdir",
                                       "java.compiler"};
    for (size_t k = 0; k < sizeof(java) / sizeof(*java); k++) {
        buf_fmt(x->b, "%s=<NA>\n", java[k]);
    }
    buf_fmt(x->b, "os.name=%s\nos.arch=%s\nos.version=%s\n", i->os_name, i->os_arch, i->os_version);
    buf_fmt(x->b, "user.name=%s\nuser.home=%s\nuser.dir=%s\n", i->user_name, i->user_home,
            i->user_dir);
    buf_fmt(x->b, "os.memory.free=%" PRId64 "MB\nos.memory.max=%" PRId64 "MB\n", i->mem_free >> 20,
            i->mem_total >> 20);
    buf_fmt(x->b, "os.memory.total=%" PRId64 "MB\n", i->mem_rss >> 20);
}

static void put_version(struct word_ctx *x)
{
    buf_fmt(x->b, "Zookeeper version: %s\n", x->s->cfg.version);
    if (x->s->mode == SERVE_READ_ONLY) {
        buf_fmt(x->b, "READ-ONLY mode; serving only read-only clients\n");
    }
}

static void put_server(struct word_ctx *x)
{
    const struct serve *s = x->s;
    buf_fmt(x->b, "Latency min/avg/max: %" PRId64 "/", s->stats.latency.min);
    summary_avg_fmt(&s->stats.latency, x->b);
    buf_fmt(x->b, "/%" PRId64 "\nReceived: %" PRId64 "\nSent: %" PRId64 "\n", s->stats.latency.max,
            s->stats.received, s->stats.sent);
    buf_fmt(x->b, "Connections: %zu\nOutstanding: %" PRId64 "\nZxid: 0x%" PRIx64 "\n", s->conns.n,
            s->throttle.in_process, (uint64_t)tree_zxid(s->tree));
    buf_fmt(x->b, "Mode: %s\nNode count: %zu\n", x->f->mode, tree_node_count(s->tree));
    const struct serve_ensemble *e = x->f->ensemble;
    if (e && strcmp(x->f->mode, "leader") == 0) {
        buf_fmt(x->b, "Proposal sizes last/min/max: %" PRId64 "/%" PRId64 "/%" PRId64 "\n",
                e->proposal_last, e->proposal_min, e->proposal_max);
    }
}

static void word_srvr(struct word_ctx *x)
{
    put_version(x);
    put_server(x);
}

static void word_srst(struct word_ctx *x)
{
    stats_init(&x->s->stats);
    buf_fmt(x->b, "Server stats reset.\n");
}

static void word_mntr(struct word_ctx *x)
{
    mntr_fmt(x->s, x->f, x->b);
}

// Java prints the digest as a signed long.
static void word_hash(struct word_ctx *x)
{
    enum { POINTS = 1024 };
    struct digest_point *v = mem_alloc(POINTS * sizeof(*v));
    size_t n = tree_digest_log(x->s->tree, v, POINTS);
    for (size_t i = 0; i < n; i++) {
        buf_fmt(x->b, "%" PRIx64 ": %" PRId64 "\n", (uint64_t)v[i].zxid, (int64_t)v[i].digest);
    }
    mem_free(v);
}

// ---- connections --------------------------------------------------------------------------------

static struct conn *next_conn(const struct serve *s, size_t *cursor)
{
    while (*cursor < s->conns.by_id_n) {
        struct conn *c = conn_get(&s->conns, (uint32_t)(*cursor)++);
        if (c) {
            return c;
        }
    }
    return NULL;
}

static void put_peer(const struct conn *c, struct buf *b)
{
    buf_fmt(b, c->peer.family == 6 ? "/[" : "/");
    auth_addr_fmt(&c->peer, b);
    buf_fmt(b, c->peer.family == 6 ? "]:%u" : ":%u", c->peer.port);
}

// Java: ServerCnxn.dumpConnectionInfo.
static void put_conn(const struct word_ctx *x, const struct conn *c, bool brief)
{
    const struct conn_stats *t = &c->stats;
    struct buf *b = x->b;
    unsigned interest = (c->paused || c->state >= CONN_LEAVING ? 0 : 1) | (c->unsent ? 4 : 0);
    buf_fmt(b, " ");
    put_peer(c, b);
    buf_fmt(b, "[%x](queued=%u,recved=%" PRId64 ",sent=%" PRId64, c == x->self ? 0 : interest,
            c->order.counted, t->received, t->sent);
    if (!brief && c->session) {
        const struct op_info *op = op_find(t->last_op);
        buf_fmt(b, ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%d", (uint64_t)c->session,
                op ? op->lop : "NA", c->since.ms, c->timeout_ms);
        if (t->last_cxid >= 0) {
            buf_fmt(b, ",lcxid=0x%x", (unsigned)t->last_cxid);
        }
        buf_fmt(b, ",lzxid=0x%" PRIx64 ",lresp=%" PRId64 ",llat=%d,minlat=%d,avglat=%" PRId64,
                (uint64_t)t->last_zxid, t->last_response_ms, t->last_latency,
                t->latency_min == INT32_MAX ? 0 : t->latency_min,
                t->latency_n ? t->latency_sum / t->latency_n : 0);
        buf_fmt(b, ",maxlat=%d", t->latency_max);
    }
    buf_fmt(b, ")\n");
}

static void put_conns(struct word_ctx *x, bool brief)
{
    size_t cursor = 0;
    for (struct conn *c; (c = next_conn(x->s, &cursor)) != NULL;) {
        put_conn(x, c, brief);
    }
    buf_fmt(x->b, "\n");
}

static void word_cons(struct word_ctx *x)
{
    put_conns(x, false);
}

static void word_stat(struct word_ctx *x)
{
    put_version(x);
    buf_fmt(x->b, "Clients:\n");
    put_conns(x, true);
    put_server(x);
}

static void word_crst(struct word_ctx *x)
{
    size_t cursor = 0;
    for (struct conn *c; (c = next_conn(x->s, &cursor)) != NULL;) {
        conn_stats_init(&c->stats);
    }
    buf_fmt(x->b, "Connection stats reset.\n");
}

static void put_member(void *ctx, int64_t id, struct buf *b)
{
    const struct conn *c = conn_get(&((struct serve *)ctx)->conns, (uint32_t)id);
    must(c != NULL);
    buf_fmt(b, "\tip: ");
    put_peer(c, b);
    buf_fmt(b, " sessionId: 0x%" PRIx64 "\n", (uint64_t)c->session);
}

static void put_ephemerals(struct word_ctx *x)
{
    const struct tree *t = x->s->tree;
    size_t cursor = 0;
    size_t owners = 0;
    int64_t session;
    while (tree_ephemeral_owner_next(t, &cursor, &session)) {
        owners++;
    }
    buf_fmt(x->b, "ephemeral nodes dump:\nSessions with Ephemerals (%zu):\n", owners);
    cursor = 0;
    while (tree_ephemeral_owner_next(t, &cursor, &session)) {
        buf_fmt(x->b, "0x%" PRIx64 ":\n", (uint64_t)session);
        uint32_t at = 0;
        uint32_t node;
        while (tree_ephemeral_next(t, session, &at, &node)) {
            buf_fmt(x->b, "\t");
            tree_path(t, node, x->b);
            buf_fmt(x->b, "\n");
        }
    }
}

static int by_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Java: LearnerSessionTracker.dumpSessions.
static void put_global_sessions(struct word_ctx *x)
{
    const struct session_table *t = tree_sessions_const(x->s->tree);
    size_t n = session_count(t);
    int64_t *ids = mem_alloc((n ? n : 1) * sizeof(*ids));
    size_t cursor = 0;
    int32_t timeout_ms;
    for (size_t i = 0; i < n; i++) {
        must(session_next(t, &cursor, &ids[i], &timeout_ms));
    }
    qsort(ids, n, sizeof(*ids), by_id);
    buf_fmt(x->b, "Global Sessions(%zu):\n", n);
    for (size_t i = 0; i < n; i++) {
        must(session_get(t, ids[i], &timeout_ms));
        buf_fmt(x->b, "0x%" PRIx64 "\t%dms\n", (uint64_t)ids[i], timeout_ms);
    }
    mem_free(ids);
}

static void put_sessions(struct word_ctx *x)
{
    bool locals = x->s->cfg.local_sessions || expiry_count(x->s->locals) > 0;
    if (locals) {
        buf_fmt(x->b, "Local ");
        expiry_fmt(x->s->locals, x->s->now, x->s->wall, x->b);
    }
    if (x->f->expiry) {
        buf_fmt(x->b, locals ? "Global " : "");
        expiry_fmt(x->f->expiry, x->s->now, x->s->wall, x->b);
    } else if (x->f->ensemble) {
        put_global_sessions(x);
    }
}

static void word_dump(struct word_ctx *x)
{
    buf_fmt(x->b, "SessionTracker dump:\n");
    put_sessions(x);
    put_ephemerals(x);
    buf_fmt(x->b, "Connections dump:\n");
    expiry_fmt_sets(x->s->idle, "Connections", x->s->now, x->s->wall, put_member, x->s, x->b);
}

// ---- watches ------------------------------------------------------------------------------------

static void word_wchs(struct word_ctx *x)
{
    const struct watches *w = x->s->watches;
    buf_fmt(x->b, "%zu connections watching %zu paths\nTotal watches:%zu\n", watch_data_watchers(w),
            watch_data_paths(w), watch_data_count(w));
}

struct pair {
    struct slice path;
    int64_t session;
};

struct pairs {
    const struct serve *s;
    struct pair *v;
    size_t n, cap;
};

static void collect(void *ctx, struct slice path, uint32_t watcher)
{
    struct pairs *p = ctx;
    mem_grow((void **)&p->v, &p->cap, p->n + 1, sizeof(*p->v));
    p->v[p->n++] = (struct pair){path, conn_get(&p->s->conns, watcher)->session};
}

static int by_session(const void *a, const void *b)
{
    const struct pair *x = a;
    const struct pair *y = b;
    return (x->session > y->session) - (x->session < y->session);
}

static void word_wchc(struct word_ctx *x)
{
    struct pairs p = {.s = x->s};
    watch_each_data(x->s->watches, collect, &p);
    if (p.n) {
        qsort(p.v, p.n, sizeof(*p.v), by_session);
    }
    for (size_t i = 0; i < p.n; i++) {
        if (i == 0 || p.v[i].session != p.v[i - 1].session) {
            buf_fmt(x->b, "0x%" PRIx64 "\n", (uint64_t)p.v[i].session);
        }
        buf_put_u8(x->b, '\t');
        buf_put_slice(x->b, p.v[i].path);
        buf_put_u8(x->b, '\n');
    }
    buf_put_u8(x->b, '\n');
    mem_free(p.v);
}

static void word_wchp(struct word_ctx *x)
{
    struct pairs p = {.s = x->s};
    watch_each_data(x->s->watches, collect, &p);
    for (size_t i = 0; i < p.n; i++) {
        if (i == 0 || !slice_eq(p.v[i].path, p.v[i - 1].path)) {
            buf_put_slice(x->b, p.v[i].path);
            buf_put_u8(x->b, '\n');
        }
        buf_fmt(x->b, "\t0x%" PRIx64 "\n", (uint64_t)p.v[i].session);
    }
    buf_put_u8(x->b, '\n');
    mem_free(p.v);
}

// ---- the table ----------------------------------------------------------------------------------

static const struct word {
    char name[5];
    uint8_t bytes;
    uint8_t when; // enum when
    void (*print)(struct word_ctx *x);
} words[] = {
#define WORD(name, first4, bytes, when) {#name, bytes, when, word_##name},
#include "serve/commands.def"
#undef WORD
};

enum {
#define WORD(name, first4, bytes, when) ROW_##name,
#include "serve/commands.def"
#undef WORD
    ROWS
};

enum { TELNET_CLOSE = ROWS }; // ff f4 ff fd: what telnet sends for ^C; closed without a word

int word_find(uint32_t first4)
{
    switch (first4) {
#define WORD(name, value, bytes, when) \
    case value:                        \
        return ROW_##name;
#include "serve/commands.def"
#undef WORD
    case 0xfff4fffdu:
        return TELNET_CLOSE;
    default:
        return WORD_NONE;
    }
}

size_t word_length(const struct serve *s, int word)
{
    return word < ROWS && (s->words_enabled >> word & 1) ? words[word].bytes : 4;
}

uint64_t word_whitelist(const char *list, bool read_only_enabled)
{
    uint64_t enabled = 0;
    bool all = auth_list_has(list, SLICE_LIT("*"));
    for (int i = 0; i < ROWS; i++) {
        bool on = all || auth_list_has(list ? list : "srvr", slice_str(words[i].name)) ||
                  (i == ROW_isro && read_only_enabled);
        enabled |= (uint64_t)on << i;
    }
    return enabled;
}

static void print(struct word_ctx *x, int word)
{
    const struct word *w = &words[word];
    if (w->when == SERVING && !is_serving(x)) {
        buf_fmt(x->b, "This ZooKeeper instance is not currently serving requests%s",
                word == ROW_hash ? "" : "\n");
    } else {
        w->print(x);
    }
}

void word_serve(struct serve *s, struct conn *c, int word, struct slice bytes)
{
    s->stats.received++;
    c->stats.received++;
    if (word == TELNET_CLOSE) {
        core_close(s, c);
        return;
    }
    struct buf *out = core_conn_out(s, c);
    if (!(s->words_enabled >> word & 1)) {
        buf_fmt(out, "%s is not executed because it is not in the whitelist.\n", words[word].name);
    } else {
        struct word_ctx x = {s, s->facts(s->facts_ctx), c, bytes, out};
        print(&x, word);
    }
    s->stats.sent += c->out.n > 0;
    core_close(s, c);
}
