// SPDX-License-Identifier: Apache-2.0
//
// A parsed URL is one copy of its text, cut up by NULs, and an array of parameters that points into
// it. It never changes, so that threads share it by an atomic count.
#include "recipes/dubbo_url.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "recipes/kit.h"

struct url {
    struct reeve_dubbo_url pub; // first: the handle
    const struct reeve *zk;
    atomic_size_t refs;
    char *text;
    struct reeve_pair *params;
};

// ---- encoding -----------------------------------------------------------------------------------

void url_encode(struct text *t, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '-' || c == '*' || c == '_';
        if (plain || c == ' ') {
            text_put(t, plain ? s : "+", 1);
        } else {
            char code[3] = {'%', hex[c >> 4], hex[c & 15]};
            text_put(t, code, 3);
        }
    }
}

static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool url_decode(char *s)
{
    char *to = s;
    for (; *s; s++) {
        char c = *s;
        if (c == '%') {
            int high = digit(s[1]);
            int low = high < 0 ? -1 : digit(s[2]);
            if (low < 0 || high * 16 + low == 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            s += 2;
        }
        *to++ = c == '+' && *s == '+' ? ' ' : c;
    }
    *to = '\0';
    return true;
}

// ---- life ---------------------------------------------------------------------------------------

static struct url *url_of(const struct reeve_dubbo_url *u)
{
    return (struct url *)(uintptr_t)u;
}

const struct reeve_dubbo_url *reeve_dubbo_url_keep(const struct reeve_dubbo_url *u)
{
    if (u) {
        atomic_fetch_add_explicit(&url_of(u)->refs, 1, memory_order_relaxed);
    }
    return u;
}

void reeve_dubbo_url_release(const struct reeve_dubbo_url **handle)
{
    struct url *u = url_of(*handle);
    *handle = NULL;
    if (u && atomic_fetch_sub_explicit(&u->refs, 1, memory_order_acq_rel) == 1) {
        const struct reeve *zk = u->zk;
        kit_free(zk, u->text);
        kit_free(zk, u->params);
        kit_free(zk, u);
    }
}

// ---- parsing: Dubbo's URLStrParser --------------------------------------------------------------

// A key seen again replaces the value; with `keep` it does not.
static void add_param(struct url *u, const char *key, const char *value, bool keep)
{
    size_t i = 0;
    while (i < u->pub.params_n && strcmp(u->params[i].key, key) != 0) {
        i++;
    }
    if (i == u->pub.params_n) {
        u->params[u->pub.params_n++] = (struct reeve_pair){key, value};
    } else if (!keep) {
        u->params[i].value = value;
    }
}

// parseDecodedParams: '&' and ';' separate, '=' before a name is skipped.
static void parse_params(struct url *u, char *s)
{
    while (s) {
        char *end = s + strcspn(s, "&;");
        char *next = *end ? end + 1 : NULL;
        *end = '\0';
        s += strspn(s, "=");
        char *eq = strchr(s, '=');
        if (eq) {
            *eq = '\0';
        }
        if (*s) {
            const char *value = eq ? eq + 1 : end;
            add_param(u, s, value, false);
            if (!strncmp(s, "default.", 8)) {
                add_param(u, s + 8, value, true);
            }
        }
        s = next;
    }
}

// What stands before the path: user:password@host:port.
static bool parse_authority(struct reeve_dubbo_url *p, char *s)
{
    char *at = strrchr(s, '@');
    if (at && at > s) {
        *at = '\0';
        char *colon = strchr(s, ':');
        p->username = s;
        if (colon) {
            *colon = '\0';
            p->password = colon + 1;
        }
        s = at + 1;
    }
    char *colon = strrchr(s, ':');
    if (colon && colon > s && colon[1] && !strchr(colon, '%')) {
        char *end;
        long port = strtol(colon + 1, &end, 10);
        if (*end || colon[1] == ' ' || port < 0 || port > 65535) {
            return false;
        }
        p->port = (int32_t)port;
        *colon = '\0';
    }
    p->host = *s ? s : NULL;
    return true;
}

static bool parse(struct url *u, char *s)
{
    struct reeve_dubbo_url *p = &u->pub;
    char *query = strchr(s, '?');
    if (query) {
        *query = '\0';
        parse_params(u, query + 1);
    }
    s[strcspn(s, "#")] = '\0';
    char *scheme = strstr(s, "://");
    size_t skip = 3;
    if (!scheme) {
        scheme = strstr(s, ":/");
        skip = 1;
    }
    if (scheme) {
        if (scheme == s) {
            return false;
        }
        *scheme = '\0';
        p->protocol = s;
        s = scheme + skip;
    }
    char *slash = strchr(s, '/');
    if (slash) {
        *slash = '\0';
        p->path = slash[1] ? slash + 1 : NULL;
    }
    return parse_authority(p, s) && (p->protocol || p->host || p->path);
}

enum reeve_error reeve_dubbo_url_parse(const struct reeve *zk, const char *text,
                                       const struct reeve_dubbo_url **out)
{
    *out = NULL;
    size_t n = strlen(text);
    if (n > DUBBO_URL_MAX) {
        return REEVE_MALFORMED;
    }
    size_t params = 2; // at most so many; each may count twice
    for (const char *s = text; *s; s++) {
        params += *s == '&' || *s == ';' ? 2 : 0;
    }
    struct url *u = kit_alloc(zk, sizeof(*u));
    if (!u) {
        return REEVE_NO_MEMORY;
    }
    u->zk = zk;
    atomic_init(&u->refs, 1);
    u->text = kit_bytes(zk, text, n);
    u->params = kit_alloc(zk, params * sizeof(*u->params));
    u->pub.params = u->params;
    *out = &u->pub;
    enum reeve_error e = u->text && u->params ? REEVE_OK : REEVE_NO_MEMORY;
    if (!e && !parse(u, u->text)) {
        e = REEVE_MALFORMED;
    }
    if (e) {
        reeve_dubbo_url_release(out);
    }
    return e;
}

// ---- writing: URL.toFullString ------------------------------------------------------------------

static int by_key(const void *a, const void *b)
{
    return strcmp((*(const struct reeve_pair *const *)a)->key,
                  (*(const struct reeve_pair *const *)b)->key);
}

static bool has(const char *s)
{
    return s && *s;
}

static void put_trimmed(struct text *t, const char *s)
{
    size_t n = s ? strlen(s) : 0;
    while (n > 0 && (unsigned char)*s <= ' ') {
        s++;
        n--;
    }
    while (n > 0 && (unsigned char)s[n - 1] <= ' ') {
        n--;
    }
    text_put(t, s, n);
}

static void put_params(struct text *t, const struct reeve_dubbo_url *u)
{
    const struct reeve_pair **sorted = kit_alloc(t->zk, (u->params_n + 1) * sizeof(*sorted));
    if (!sorted) {
        t->failed = true;
        return;
    }
    for (size_t i = 0; i < u->params_n; i++) {
        sorted[i] = &u->params[i];
    }
    qsort(sorted, u->params_n, sizeof(*sorted), by_key);
    const char *sep = "?";
    for (size_t i = 0; i < u->params_n; i++) {
        if (has(sorted[i]->key)) {
            text_str(t, sep);
            text_str(t, sorted[i]->key);
            text_str(t, "=");
            put_trimmed(t, sorted[i]->value);
            sep = "&";
        }
    }
    kit_free(t->zk, sorted);
}

enum reeve_error reeve_dubbo_url_format(const struct reeve *zk, const struct reeve_dubbo_url *u,
                                        char **text)
{
    struct text t;
    text_init(&t, zk);
    if (has(u->protocol)) {
        text_str(&t, u->protocol);
        text_str(&t, "://");
    }
    if (has(u->username)) {
        text_str(&t, u->username);
        text_str(&t, has(u->password) ? ":" : "");
        text_str(&t, has(u->password) ? u->password : "");
        text_str(&t, "@");
    }
    if (has(u->host)) {
        text_str(&t, u->host);
        if (u->port > 0) {
            text_str(&t, ":");
            text_int(&t, u->port);
        }
    }
    if (has(u->path)) {
        text_str(&t, "/");
        text_str(&t, u->path);
    }
    put_params(&t, u);
    *text = text_take(&t);
    return *text ? REEVE_OK : REEVE_NO_MEMORY;
}

// ---- asking -------------------------------------------------------------------------------------

const char *reeve_dubbo_url_param(const struct reeve_dubbo_url *u, const char *key)
{
    for (size_t i = 0; i < u->params_n; i++) {
        if (!strcmp(u->params[i].key, key)) {
            return u->params[i].value;
        }
    }
    return NULL;
}

const char *reeve_dubbo_url_method_param(const struct reeve_dubbo_url *u, const char *method,
                                         const char *key)
{
    size_t n = method ? strlen(method) : 0;
    for (size_t i = 0; n > 0 && i < u->params_n; i++) {
        const char *k = u->params[i].key;
        if (!strncmp(k, method, n) && k[n] == '.' && !strcmp(k + n + 1, key) &&
            has(u->params[i].value)) {
            return u->params[i].value;
        }
    }
    return reeve_dubbo_url_param(u, key);
}

const char *reeve_dubbo_url_service(const struct reeve_dubbo_url *u)
{
    const char *service = reeve_dubbo_url_param(u, "interface");
    return has(service) ? service : has(u->path) ? u->path : NULL;
}

static const char *param_or(const struct reeve_dubbo_url *u, const char *key, const char *other)
{
    const char *value = reeve_dubbo_url_param(u, key);
    return has(value) ? value : other;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

// Whether a list with commas has the value.
static bool lists(const char *list, const char *value)
{
    size_t n = value ? strlen(value) : 0;
    while (list) {
        size_t k = strcspn(list, ",");
        if (value && k == n && !memcmp(list, value, n)) {
            return true;
        }
        list = list[k] ? list + k + 1 : NULL;
    }
    return false;
}

// UrlUtils.isMatchCategory, which looks for parts of words as well.
static bool matches_category(const char *category, const char *categories)
{
    if (strchr(categories, '*')) {
        return true;
    }
    const char *minus = strchr(categories, '-');
    if (minus) {
        size_t n = strlen(category);
        for (; minus; minus = strchr(minus + 1, '-')) {
            if (!strncmp(minus + 1, category, n)) {
                return false;
            }
        }
        return true;
    }
    return strstr(categories, category) != NULL;
}

bool reeve_dubbo_url_matches(const struct reeve_dubbo_url *consumer,
                             const struct reeve_dubbo_url *provider)
{
    const char *wanted = reeve_dubbo_url_service(consumer);
    const char *offered = reeve_dubbo_url_service(provider);
    if (!same(wanted, "*") && !same(offered, "*") && !same(wanted, offered)) {
        return false;
    }
    if (!matches_category(param_or(provider, "category", "providers"),
                          param_or(consumer, "category", "providers"))) {
        return false;
    }
    if (strcmp(param_or(provider, "enabled", "true"), "true") != 0 &&
        !same(reeve_dubbo_url_param(consumer, "enabled"), "*")) {
        return false;
    }
    const char *group = reeve_dubbo_url_param(consumer, "group");
    const char *version = reeve_dubbo_url_param(consumer, "version");
    const char *classifier = param_or(consumer, "classifier", "*");
    const char *its_group = reeve_dubbo_url_param(provider, "group");
    return (same(group, "*") || same(group, its_group) || lists(group, its_group)) &&
           (same(version, "*") || same(version, reeve_dubbo_url_param(provider, "version"))) &&
           (same(classifier, "*") || same(classifier, param_or(provider, "classifier", "*")));
}

// ---- weights ------------------------------------------------------------------------------------

static int64_t number_or(const char *s, int64_t other)
{
    char *end = NULL;
    long long v = has(s) ? strtoll(s, &end, 10) : 0;
    return end && !*end ? v : other;
}

// AbstractLoadBalance.getWeight and calculateWarmupWeight, with Java's single precision.
int32_t reeve_dubbo_url_weight(const struct reeve_dubbo_url *u, const char *method, int64_t now_ms)
{
    int64_t weight = number_or(reeve_dubbo_url_method_param(u, method, "weight"), 100);
    weight = weight > INT32_MAX ? INT32_MAX : weight;
    int64_t born_ms = number_or(reeve_dubbo_url_param(u, "timestamp"), 0);
    if (weight > 0 && born_ms > 0) {
        int64_t uptime_ms = now_ms - born_ms;
        int64_t warmup_ms = number_or(reeve_dubbo_url_param(u, "warmup"), 600000);
        if (uptime_ms < 0) {
            return 1;
        }
        if (uptime_ms > 0 && uptime_ms < warmup_ms && warmup_ms <= INT32_MAX) {
            float ww = (float)uptime_ms / ((float)warmup_ms / (float)weight);
            weight = ww < 1 ? 1 : (int64_t)ww < weight ? (int64_t)ww : weight;
        }
    }
    return weight > 0 ? (int32_t)weight : 0;
}

static size_t below(uint64_t draw, uint64_t n)
{
    return (size_t)(((unsigned __int128)draw * n) >> 64);
}

size_t dubbo_choose(const struct reeve_dubbo_url *const *urls, size_t n, const char *method,
                    int64_t now_ms, uint64_t draw)
{
    // As Dubbo, only the first one is asked whether there are weights at all.
    if (!has(reeve_dubbo_url_method_param(urls[0], method, "weight")) &&
        !has(reeve_dubbo_url_param(urls[0], "timestamp"))) {
        return below(draw, n);
    }
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++) {
        total += (uint32_t)reeve_dubbo_url_weight(urls[i], method, now_ms);
    }
    if (total == 0) {
        return below(draw, n);
    }
    uint64_t at = below(draw, total);
    for (size_t i = 0; i < n; i++) {
        uint64_t weight = (uint32_t)reeve_dubbo_url_weight(urls[i], method, now_ms);
        if (at < weight) {
            return i;
        }
        at -= weight;
    }
    return n - 1;
}
