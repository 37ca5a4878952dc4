// SPDX-License-Identifier: Apache-2.0
//
// Settings from text. config.def is turned into one table of rows; a key is looked up there, its
// value checked by the row's type and stored at the row's offset. What rows alone cannot say
// (settings that depend on each other) is in config_finish; the ensemble's members are in
// config_servers.c.
#define _GNU_SOURCE // memmem
#include "node/config.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

#include "base/mem.h"
#include "base/properties.h"
#include "limits.h"
#include "node/config_internal.h"
#include "wire/members.h"

enum type {
    TYPE_MS,
    TYPE_KB,
    TYPE_BYTES,
    TYPE_COUNT,
    TYPE_PORT,
    TYPE_INTERVAL,
    TYPE_REAL,
    TYPE_BOOL,
    TYPE_TEXT,
    TYPE_CHOICE
};
enum use { USE_WORKS, USE_IDLE, USE_LATER, USE_REFUSE };

struct row {
    enum type type;
    enum use use;
    const char *key, *alias;
    size_t at;           // offset in struct config, of rows that work
    int64_t num, lo, hi; // default and range of numbers; default of BOOL; lengths of TEXT
    double real;         // default of REAL
    const char *text;    // default of TEXT and CHOICE; of others what is "off"
    const char *choices; // of CHOICE: words with | between
    const char *help;    // or what it belongs to
};

#define NUMBER(def, min, max)         .num = (def), .lo = (min), .hi = (max)
#define VALUE_MS(def, min, max)       NUMBER(def, min, max)
#define VALUE_KB(def, min, max)       NUMBER(def, min, max)
#define VALUE_BYTES(def, min, max)    NUMBER(def, min, max)
#define VALUE_COUNT(def, min, max)    NUMBER(def, min, max)
#define VALUE_PORT(def, min, max)     NUMBER(def, min, max)
#define VALUE_INTERVAL(def, min, max) NUMBER(def, min, max)
#define VALUE_REAL(def, min, max)     .real = (def), .lo = (min), .hi = (max)
#define VALUE_BOOL(def, min, max)     NUMBER(def, min, max)
#define VALUE_TEXT(def, min, max)     .text = (def), .lo = (min), .hi = (max)
#define VALUE_CHOICE(def, min, max)   .text = (def), .choices = (min)

#define OTHER(type_, use_, key_, off, what) \
    {.type = TYPE_##type_,                  \
     .use = USE_##use_,                     \
     .key = (key_),                         \
     .lo = -1,                              \
     .hi = INT32_MAX,                       \
     .text = (off),                         \
     .help = (what)},

static const struct row rows[] = {
#define CONFIG(type_, field, key_, alias_, def, min, max, help_) \
    {.type = TYPE_##type_,                                       \
     .use = USE_WORKS,                                           \
     .key = (key_),                                              \
     .alias = (alias_),                                          \
     .at = offsetof(struct config, field),                       \
     VALUE_##type_(def, min, max),                               \
     .help = (help_)},
#define CONFIG_IDLE(type, key, what)        OTHER(type, IDLE, key, "", what)
#define CONFIG_LATER(type, key, off, what)  OTHER(type, LATER, key, off, what)
#define CONFIG_REFUSE(type, key, off, what) OTHER(type, REFUSE, key, off, what)
#include "node/config.def"
};

struct family {
    const char *prefix;
    enum use use;
    const char *what;
};

static const struct family families[] = {
#define CONFIG_FAMILY(prefix_, use_, what_) \
    {.prefix = (prefix_), .use = USE_##use_, .what = (what_)},
#include "node/config.def"
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]), FAMILIES = sizeof(families) / sizeof(families[0]) };

// ---- defaults

static int64_t *num_at(struct config *c, const struct row *r)
{
    return (int64_t *)(void *)((char *)c + r->at);
}

static double *real_at(struct config *c, const struct row *r)
{
    return (double *)(void *)((char *)c + r->at);
}

static bool *bool_at(struct config *c, const struct row *r)
{
    return (bool *)((char *)c + r->at);
}

static char **text_at(struct config *c, const struct row *r)
{
    return (char **)(void *)((char *)c + r->at);
}

static bool is_text(const struct row *r)
{
    return r->type == TYPE_TEXT || r->type == TYPE_CHOICE;
}

void config_init(struct config *c)
{
    *c = (struct config){0};
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (r->use != USE_WORKS) {
            continue;
        }
        if (is_text(r)) {
            *text_at(c, r) = r->text ? mem_strdup(r->text) : NULL;
        } else if (r->type == TYPE_REAL) {
            *real_at(c, r) = r->real;
        } else if (r->type == TYPE_BOOL) {
            *bool_at(c, r) = r->num != 0;
        } else {
            *num_at(c, r) = r->num;
        }
    }
}

void config_fini(struct config *c)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].use == USE_WORKS && is_text(&rows[i])) {
            mem_free(*text_at(c, &rows[i]));
        }
    }
    members_free(&c->servers);
    members_free(&c->single);
    mem_free(c->config_path);
    buf_fini(&c->later);
    buf_fini(&c->refuse);
    *c = (struct config){0};
}

// ---- values

static bool parse_number(struct slice s, int64_t *v)
{
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        s = slice_skip(s, 1);
    }
    if (s.n == 0) {
        return false;
    }
    int64_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int d = s.p[i] - '0';
        if (d < 0 || d > 9 || __builtin_mul_overflow(n, 10, &n) ||
            __builtin_add_overflow(n, d, &n)) {
            return false;
        }
    }
    *v = negative ? -n : n;
    return true;
}

enum { REAL_TEXT_MAX = 63 };

static bool parse_real(struct slice s, double *v)
{
    char text[REAL_TEXT_MAX + 1] = {0};
    for (size_t i = 0; i < s.n; i++) {
        if (i == REAL_TEXT_MAX || !memchr("0123456789+-.eE", s.p[i], 15)) {
            return false;
        }
        text[i] = (char)s.p[i];
    }
    char *end;
    *v = strtod(text, &end);
    return s.n && *end == '\0' && isfinite(*v);
}

// Apache's Time.parseTimeInterval, with hours for a bare number as its purge interval has.
static bool parse_interval(struct slice s, int64_t *ms)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    int64_t scale = 3600000;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t n = strlen(units[i].unit);
        if (s.n > n && strncasecmp((const char *)s.p + s.n - n, units[i].unit, n) == 0) {
            scale = units[i].ms;
            s = slice_head(s, s.n - n);
            break;
        }
    }
    return parse_number(s, ms) && !__builtin_mul_overflow(*ms, scale, ms);
}

static bool word_is(struct slice s, const char *word)
{
    return s.n == strlen(word) && strncasecmp((const char *)s.p, word, s.n) == 0;
}

static bool parse_bool(struct slice s, int64_t *v)
{
    *v = word_is(s, "true") || word_is(s, "yes");
    return *v || word_is(s, "false") || word_is(s, "no");
}

static bool is_choice(const char *choices, struct slice s)
{
    for (const char *w = choices;; w++) {
        size_t n = strcspn(w, "|");
        if (n == s.n && (n == 0 || strncasecmp(w, (const char *)s.p, n) == 0)) {
            return true;
        }
        w += n;
        if (!*w) {
            return false;
        }
    }
}

static const char *unit_of(enum type t)
{
    switch (t) {
    case TYPE_MS:
        return " of milliseconds";
    case TYPE_KB:
        return " of kilobytes";
    case TYPE_BYTES:
        return " of bytes";
    default:
        return "";
    }
}

static void fmt_allowed(const struct row *r, struct buf *b)
{
    switch (r->type) {
    case TYPE_BOOL:
        buf_fmt(b, "true or false");
        break;
    case TYPE_CHOICE:
        buf_fmt(b, "one of");
        for (const char *w = r->choices; *w || w == r->choices;) {
            size_t n = strcspn(w, "|");
            if (n) {
                buf_fmt(b, " %.*s", (int)n, w);
            } else {
                buf_fmt(b, " (nothing)");
            }
            w += n + (w[n] == '|');
            buf_fmt(b, "%s", *w ? "," : "");
        }
        break;
    case TYPE_TEXT:
        buf_fmt(b, "text of %" PRId64 " to %" PRId64 " bytes", r->lo < 0 ? 0 : r->lo, r->hi);
        break;
    case TYPE_INTERVAL:
        buf_fmt(b, "a whole number of hours, or one with ms, s, m, h or d behind it");
        break;
    case TYPE_REAL:
        buf_fmt(b, "a number from %" PRId64 " to %" PRId64 ", like 0.5", r->lo, r->hi);
        break;
    default:
        buf_fmt(b, "a whole number%s from %" PRId64 " to %" PRId64, unit_of(r->type), r->lo, r->hi);
    }
}

// Checks a value; of numbers and BOOL it gives the value, too.
static bool parse_value(const struct row *r, struct slice s, int64_t *v)
{
    *v = 0;
    switch (r->type) {
    case TYPE_BOOL:
        return parse_bool(s, v);
    case TYPE_CHOICE:
        return is_choice(r->choices, s);
    case TYPE_TEXT:
        return (int64_t)s.n >= r->lo && (int64_t)s.n <= r->hi && !memchr(s.p, 0, s.n);
    case TYPE_REAL: {
        double real;
        return parse_real(s, &real) && real >= (double)r->lo && real <= (double)r->hi;
    }
    case TYPE_INTERVAL:
        return parse_interval(s, v) && *v >= 0 && *v <= r->hi;
    default:
        return parse_number(s, v) && *v >= r->lo && *v <= r->hi;
    }
}

static char *text_of(struct slice s)
{
    char *t = mem_alloc(s.n + 1);
    memcpy(t, s.p, s.n);
    t[s.n] = '\0';
    return t;
}

static void store(struct config *c, const struct row *r, struct slice s, int64_t v)
{
    if (is_text(r)) {
        mem_free(*text_at(c, r));
        *text_at(c, r) = text_of(s);
    } else if (r->type == TYPE_REAL) {
        must(parse_real(s, real_at(c, r)));
    } else if (r->type == TYPE_BOOL) {
        *bool_at(c, r) = v != 0;
    } else {
        *num_at(c, r) = v;
        c->client_port_set = c->client_port_set || num_at(c, r) == &c->client_port;
    }
}

// ---- keys

static const struct row *find_row(struct slice key)
{
    for (size_t i = 0; i < ROWS; i++) {
        if (slice_eq_str(key, rows[i].key) || (rows[i].alias && slice_eq_str(key, rows[i].alias))) {
            return &rows[i];
        }
    }
    return NULL;
}

static const struct family *find_family(struct slice key)
{
    for (size_t i = 0; i < FAMILIES; i++) {
        if (slice_has_prefix(key, slice_str(families[i].prefix))) {
            return &families[i];
        }
    }
    return NULL;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;
    return m < c ? m : c;
}

enum { KEY_MAX = 64 };

// Letters to change, add, drop or swap to get from one key to the other, not minding case.
static size_t distance(struct slice a, const char *key)
{
    size_t n = strlen(key);
    size_t d[3][KEY_MAX + 1];
    must(n <= KEY_MAX);
    for (size_t j = 0; j <= n; j++) {
        d[0][j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t *now = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            uint8_t x = lower(a.p[i - 1]), y = lower((uint8_t)key[j - 1]);
            now[j] = min3(up[j] + 1, now[j - 1] + 1, up[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower((uint8_t)key[j - 2]) && lower(a.p[i - 2]) == y &&
                up2[j - 2] + 1 < now[j]) {
                now[j] = up2[j - 2] + 1;
            }
        }
    }
    return d[a.n % 3][n];
}

// NULL: nothing is near enough to be meant.
static const char *nearest(struct slice key)
{
    const char *best = NULL;
    size_t best_d = 2 + key.n / 4;
    for (size_t i = 0; i < ROWS && key.n <= KEY_MAX; i++) {
        size_t d = distance(key, rows[i].key);
        if (d < best_d) {
            best_d = d;
            best = rows[i].key;
        }
    }
    return best;
}

static void add_later(struct config *c, struct slice key, const char *what)
{
    struct buf entry = {0};
    buf_fmt(&entry, "%.*s (%s)", SLICE_ARG(key), what);
    if (!c->later.n || !memmem(c->later.p, c->later.n, entry.p, entry.n)) {
        buf_fmt(&c->later, "%s", c->later.n ? ", " : "");
        buf_put_slice(&c->later, buf_slice(&entry));
    }
    buf_fini(&entry);
}

// Of a row without a field: is it set to something that would have an effect?
static bool is_active(const struct row *r, struct slice value, int64_t v)
{
    if (r->type == TYPE_BOOL) {
        return (v != 0) != (strcmp(r->text, "true") == 0);
    }
    return value.n && !slice_eq_str(value, r->text);
}

static enum err set_row(struct config *c, const struct row *r, struct slice value, struct buf *why)
{
    int64_t v;
    bool empty_is_default = value.n == 0 && r->type == TYPE_TEXT && r->text == NULL;
    if (empty_is_default && r->use == USE_WORKS) {
        mem_free(*text_at(c, r));
        *text_at(c, r) = NULL;
        return ERR_OK;
    }
    if (!parse_value(r, value, &v)) {
        buf_fmt(why, "%s=%.*s: must be ", r->key, SLICE_ARG(value));
        fmt_allowed(r, why);
        return ERR_INVALID;
    }
    if (r->use == USE_WORKS) {
        store(c, r, value, v);
    } else if (r->use == USE_LATER && is_active(r, value, v)) {
        add_later(c, slice_str(r->key), r->help);
    } else if (r->use == USE_REFUSE && is_active(r, value, v)) {
        buf_clear(&c->refuse);
        buf_fmt(&c->refuse, "%s needs %s, which this version does not support yet; remove it",
                r->key, r->help);
    }
    return ERR_OK;
}

enum err config_set(struct config *c, struct slice key, struct slice value, struct buf *why)
{
    struct slice prefix = SLICE_LIT("zookeeper.");
    struct slice given = key;
    if (slice_has_prefix(key, prefix)) {
        key = slice_skip(key, prefix.n);
    }
    const struct row *r = find_row(key);
    if (r) {
        return set_row(c, r, value, why);
    }
    if (members_is_key(key)) {
        c->servers = c->servers ? c->servers : members_new();
        return config_put_member(c->servers, key, value, why) ? ERR_INVALID : ERR_OK;
    }
    const struct family *f = find_family(key);
    if (f) {
        if (f->use == USE_LATER && value.n) {
            add_later(c, key, f->what);
        }
        return ERR_OK;
    }
    const char *near = nearest(key);
    buf_fmt(why, "unknown key %.*s", SLICE_ARG(given));
    if (near) {
        buf_fmt(why, "; did you mean %s?", near);
    }
    return ERR_NOTFOUND;
}

enum err config_parse(struct config *c, const char *name, struct slice text, struct buf *warnings,
                      struct buf *why)
{
    if (text.n > LIMIT_CONFIG_FILE) {
        buf_fmt(why, "%s: longer than %d bytes; is it a configuration file?", name,
                LIMIT_CONFIG_FILE);
        return ERR_LIMIT;
    }
    struct properties p;
    properties_init(&p, text);
    struct buf what = {0};
    enum err e = ERR_OK;
    while (e == ERR_OK && properties_next(&p, &e)) {
        buf_clear(&what);
        enum err r = config_set(c, buf_slice(&p.key), buf_slice(&p.value), &what);
        if (r == ERR_NOTFOUND) {
            buf_fmt(warnings, "%s:%u: %.*s (ignored)\n", name, p.line, (int)what.n,
                    (const char *)what.p);
        } else if (r) {
            buf_fmt(why, "%s:%u: %.*s", name, p.line, (int)what.n, (const char *)what.p);
            e = r;
        }
    }
    if (e == ERR_LIMIT && why->n == 0) {
        buf_fmt(why, "%s:%u: the line is longer than %d bytes", name, p.line, LIMIT_CONFIG_LINE);
    }
    buf_fini(&what);
    properties_fini(&p);
    return e;
}

// ---- across settings

static enum err finish_sessions(struct config *c, struct buf *why)
{
    c->session_min_ms = c->session_min_ms < 0 ? 2 * c->tick_ms : c->session_min_ms;
    c->session_max_ms = c->session_max_ms < 0 ? 20 * c->tick_ms : c->session_max_ms;
    if (c->session_min_ms > c->session_max_ms) {
        buf_fmt(why,
                "minSessionTimeout=%" PRId64 " is larger than maxSessionTimeout=%" PRId64
                " (20 ticks of tickTime=%" PRId64 " if not set); change one of them",
                c->session_min_ms, c->session_max_ms, c->tick_ms);
        return ERR_INVALID;
    }
    return ERR_OK;
}

// Every scheme must be one a client can authenticate with here, as in Apache's
// AuthenticationHelper: a server that nobody can use does not start.
static enum err check_schemes(const struct config *c, struct buf *why)
{
    if (!c->enforce_auth) {
        return ERR_OK;
    }
    const char *w = c->enforce_auth_schemes ? c->enforce_auth_schemes : "";
    for (bool more = true; more;) {
        size_t n = strcspn(w, ",");
        struct slice s = slice_of(w, n);
        while (s.n && s.p[0] == ' ') {
            s = slice_skip(s, 1);
        }
        while (s.n && s.p[s.n - 1] == ' ') {
            s.n--;
        }
        bool known = slice_eq_str(s, "ip") || (slice_eq_str(s, "digest") && c->digest_auth);
        if (!known) {
            buf_fmt(why,
                    "enforce.auth.enabled=true with enforce.auth.schemes=%s: must be ip, digest "
                    "or both",
                    c->enforce_auth_schemes ? c->enforce_auth_schemes : "");
            return ERR_INVALID;
        }
        more = w[n] == ',';
        w += n + more;
    }
    return ERR_OK;
}

static void finish_purge(struct config *c, struct buf *warnings)
{
    if (c->purge_interval_ms == 0) {
        c->snap_retain = 0;
        return;
    }
    if (c->purge_interval_ms < 0) {
        c->purge_interval_ms = 0;
    }
    if (c->snap_retain < 3) {
        buf_fmt(warnings, "autopurge.snapRetainCount=%" PRId64 ": taken as 3, the least\n",
                c->snap_retain);
        c->snap_retain = 3;
    }
}

// Where Apache's server takes another value than the one given, with a warning.
static void finish_history(struct config *c, struct buf *warnings)
{
    if (c->commit_log_count < 500) {
        buf_fmt(warnings, "commitLogCount=%" PRId64 ": taken as 500, the least\n",
                c->commit_log_count);
        c->commit_log_count = 500;
    }
    if (c->snapshot_size_factor > 1) {
        buf_fmt(warnings, "snapshotSizeFactor=%g: taken as 0.33, as it is larger than 1\n",
                c->snapshot_size_factor);
        c->snapshot_size_factor = 0.33;
    }
}

enum err config_finish(struct config *c, struct buf *warnings, struct buf *why)
{
    if (c->refuse.n) {
        buf_put_slice(why, buf_slice(&c->refuse));
        return ERR_UNSUPPORTED;
    }
    enum err e = config_finish_servers(c, warnings, why);
    if (e == ERR_OK) {
        e = finish_sessions(c, why);
    }
    if (e == ERR_OK) {
        e = check_schemes(c, why);
    }
    if (e) {
        return e;
    }
    if (!c->data_dir) {
        buf_fmt(why, "dataDir is not set: it names the folder the data is kept in");
        return ERR_INVALID;
    }
    if (!c->data_log_dir) {
        c->data_log_dir = mem_strdup(c->data_dir);
    }
    if (c->frame_extra < 0) {
        c->frame_extra = c->frame_max;
    } else if (c->frame_extra < 1024) {
        c->frame_extra = 1024;
    }
    if (c->hello_ms <= 0) {
        c->hello_ms = c->tick_ms * (c->sync_limit ? c->sync_limit : 1);
    }
    finish_history(c, warnings);
    finish_purge(c, warnings);
    if (c->later.n) {
        buf_fmt(warnings, "not supported yet, ignored: %.*s\n", (int)c->later.n,
                (const char *)c->later.p);
    }
    return ERR_OK;
}

// ---- to text

static void fmt_member(const struct config *c, const struct config_now *now, struct buf *b)
{
    const struct member *self = members_find(now->members, now->sid);
    buf_fmt(b, "initLimit=%" PRId64 "\nsyncLimit=%" PRId64 "\nelectionAlg=3\n", c->init_limit,
            c->sync_limit);
    if (self) {
        buf_fmt(b, "electionPort=%u\nquorumPort=%u\n", self->addrs[0].election_port,
                self->addrs[0].quorum_port);
    }
    buf_fmt(b, "peerType=%d\nmembership: \n", self && self->observer);
    members_fmt(b, now->members, MEMBERS_WIRE);
    buf_fmt(b, "\n");
}

void config_fmt_conf(const struct config *c, const struct config_now *now, struct buf *b)
{
    buf_fmt(b, "clientPort=%" PRId64 "\nsecureClientPort=-1\n", now->client_port);
    buf_fmt(b, "dataDir=%s/version-2\ndataDirSize=%" PRId64 "\n", c->data_dir, now->data_bytes);
    buf_fmt(b, "dataLogDir=%s/version-2\ndataLogSize=%" PRId64 "\n", c->data_log_dir,
            now->log_bytes);
    buf_fmt(b, "tickTime=%" PRId64 "\nmaxClientCnxns=%" PRId64 "\n", c->tick_ms,
            c->client_cnxns_max);
    buf_fmt(b, "minSessionTimeout=%" PRId64 "\nmaxSessionTimeout=%" PRId64 "\n", c->session_min_ms,
            c->session_max_ms);
    buf_fmt(b, "clientPortListenBacklog=%" PRId64 "\nserverId=%" PRId64 "\n", c->backlog, now->sid);
    if (now->members) {
        fmt_member(c, now, b);
    }
}

static void fmt_default(const struct row *r, struct buf *b)
{
    if (is_text(r)) {
        buf_fmt(b, "%s", r->text ? r->text : "");
    } else if (r->type == TYPE_BOOL) {
        buf_fmt(b, "%s", r->num ? "true" : "false");
    } else if (r->type == TYPE_REAL) {
        buf_fmt(b, "%g", r->real);
    } else if (r->type != TYPE_INTERVAL) {
        buf_fmt(b, "%" PRId64, r->num);
    }
}

static void fmt_use(enum use use, const char *title, struct buf *b)
{
    buf_fmt(b, "\n%s\n", title);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].use == use) {
            buf_fmt(b, "  %-52s  %s\n", rows[i].key, rows[i].help);
        }
    }
    for (size_t i = 0; i < FAMILIES; i++) {
        if (families[i].use == use) {
            buf_fmt(b, "  %s%-*s  %s\n", families[i].prefix, 52 - (int)strlen(families[i].prefix),
                    "*", families[i].what);
        }
    }
}

void config_fmt_help(struct buf *b)
{
    buf_fmt(b, "Keys of zoo.cfg, and of --set, with their defaults. \"zookeeper.\" may stand "
               "before each.\n\n");
    for (size_t i = 0; i < ROWS; i++) {
        const struct row *r = &rows[i];
        if (r->use != USE_WORKS) {
            continue;
        }
        buf_fmt(b, "  %s=", r->key);
        fmt_default(r, b);
        buf_fmt(b, "\n      %s\n      ", r->help);
        fmt_allowed(r, b);
        buf_fmt(b, "\n");
    }
    fmt_use(USE_IDLE, "Known, checked, without effect on this server:", b);
    fmt_use(USE_LATER, "Known and not supported yet; a warning says so when one is set:", b);
    fmt_use(USE_REFUSE, "Known and not supported yet; the server does not start with them:", b);
}
