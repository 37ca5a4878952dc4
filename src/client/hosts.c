// SPDX-License-Identifier: Apache-2.0
//
// The list of servers: parsing, rounds, and what a new list means. See hosts.h.
#include "client/hosts.h"

#include <stdio.h>

#include "base/must.h"
#include "base/slice.h"
#include "wire/path.h"

static enum reeve_error bad(char *why, size_t why_n, const char *what, struct slice s)
{
    snprintf(why, why_n, "servers: %s: \"%.*s\"", what, (int)(s.n < 80 ? s.n : 80),
             s.p ? (const char *)s.p : "");
    return REEVE_BAD_ARGUMENTS;
}

static bool parse_port(struct slice s, uint16_t *port)
{
    uint32_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9' || v > UINT16_MAX) {
            return false;
        }
        v = v * 10 + (uint32_t)(s.p[i] - '0');
    }
    *port = (uint16_t)v;
    return s.n && v >= 1 && v <= UINT16_MAX;
}

static const uint8_t *find(struct slice s, char c)
{
    return s.n ? memchr(s.p, c, s.n) : NULL;
}

// "name", "name:port", "[v6]", "[v6]:port".
static const char *parse_host(struct slice s, struct host *h)
{
    struct slice name = s, port = SLICE_NULL;
    if (s.p[0] == '[') {
        const uint8_t *end = find(s, ']');
        if (!end) {
            return "a bracket is not closed";
        }
        name = slice_of(s.p + 1, (size_t)(end - s.p) - 1);
        port = slice_skip(s, (size_t)(end - s.p) + 1);
        if (port.n && port.p[0] != ':') {
            return "something follows the bracket that is no port";
        }
    } else {
        const uint8_t *colon = find(s, ':');
        if (colon) {
            name = slice_of(s.p, (size_t)(colon - s.p));
            port = slice_skip(s, name.n);
            if (find(slice_skip(port, 1), ':')) {
                return "an IPv6 address needs brackets";
            }
        }
    }
    h->port = HOSTS_PORT;
    if (port.n && !parse_port(slice_skip(port, 1), &h->port)) {
        return "this is no port";
    }
    if (name.n == 0 || name.n > HOST_NAME_MAX) {
        return "a name is empty or too long";
    }
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] == 0x7f || name.p[i] == '[' || name.p[i] == ']') {
            return "a name has a character that no name has";
        }
    }
    memcpy(h->name, name.p, name.n);
    return NULL;
}

static struct slice cut_item(struct slice *rest)
{
    const uint8_t *comma = find(*rest, ',');
    size_t n = comma ? (size_t)(comma - rest->p) : rest->n;
    struct slice item = slice_trim(slice_head(*rest, n));
    *rest = slice_skip(*rest, comma ? n + 1 : n);
    return item;
}

static size_t count_items(struct slice s)
{
    size_t n = 0;
    while (s.n) {
        n += cut_item(&s).n != 0;
    }
    return n;
}

static void shuffle_list(struct rng *rng, struct host *list, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        struct host t = list[i - 1];
        list[i - 1] = list[j];
        list[j] = t;
    }
}

// The part before the chroot as a list. Empty items are skipped, as Java's StringUtils.split does.
static enum reeve_error parse_list(struct hosts *h, struct slice s, struct host **out, size_t *n,
                                   char *why, size_t why_n)
{
    size_t count = count_items(s);
    if (count == 0 || count > HOSTS_MAX) {
        return bad(why, why_n, count ? "there are too many" : "there is none", s);
    }
    struct host *list = alloc_zero(&h->allocator, count * sizeof(*list));
    if (!list) {
        return REEVE_NO_MEMORY;
    }
    *n = 0;
    while (s.n) {
        struct slice item = cut_item(&s);
        const char *wrong = item.n ? parse_host(item, &list[*n]) : NULL;
        if (wrong) {
            alloc_put(&h->allocator, list);
            return bad(why, why_n, wrong, item);
        }
        *n += item.n != 0;
    }
    if (h->shuffle) {
        shuffle_list(h->rng, list, *n);
    }
    *out = list;
    return REEVE_OK;
}

static size_t index_of(const struct host *list, size_t n, const char *name, uint16_t port)
{
    size_t i = 0;
    while (i < n && (list[i].port != port || strcmp(list[i].name, name) != 0)) {
        i++;
    }
    return i;
}

enum reeve_error hosts_init(struct hosts *h, const struct reeve_allocator *a, struct rng *rng,
                            bool shuffle, const char *text, char **chroot, char *why, size_t why_n)
{
    *h = (struct hosts){.allocator = *a, .rng = rng, .shuffle = shuffle};
    *chroot = NULL;
    struct slice s = slice_str(text ? text : "");
    const uint8_t *slash = find(s, '/');
    struct slice root = slash ? slice_skip(s, (size_t)(slash - s.p)) : slice_str("");
    root = slice_trim(root);
    s.n -= slash ? (size_t)(s.p + s.n - slash) : 0;
    if (root.n == 1) {
        root.n = 0; // "/" is no chroot
    }
    if (root.n && !path_is_valid(root)) {
        return bad(why, why_n, "the chroot is no path", root);
    }
    enum reeve_error e = parse_list(h, s, &h->list, &h->n, why, why_n);
    if (e) {
        return e;
    }
    *chroot = alloc_get(a, NULL, root.n + 1);
    if (!*chroot) {
        hosts_fini(h);
        return REEVE_NO_MEMORY;
    }
    memcpy(*chroot, root.p, root.n);
    (*chroot)[root.n] = 0;
    return REEVE_OK;
}

void hosts_fini(struct hosts *h)
{
    alloc_put(&h->allocator, h->list);
    h->list = NULL;
    h->n = 0;
}

// StaticHostProvider.updateServerList: whether to move, and how to choose then.
static bool balance(struct hosts *h, size_t before, size_t kept, size_t now, bool mine)
{
    h->new_num = 1;
    h->new_den = 1;
    if (now > before) {
        return !mine || rng_chance(h->rng, now - before, now);
    }
    if (mine) {
        return false;
    }
    // One of the old with kept * (before - now) / (now * (before - kept)), else one of the new.
    uint64_t old_num = (uint64_t)kept * (before - now);
    h->new_den = (uint64_t)now * (before - kept);
    if (h->new_den == 0) {
        h->new_den = 1;
        old_num = 1;
    }
    h->new_num = old_num < h->new_den ? h->new_den - old_num : 0;
    return true;
}

enum reeve_error hosts_update(struct hosts *h, const char *text, const char *name, uint16_t port,
                              bool *move, char *why, size_t why_n)
{
    struct slice s = slice_str(text ? text : "");
    struct host *list;
    size_t n, kept = 0;
    if (find(s, '/')) {
        return bad(why, why_n, "a new list has no chroot", s);
    }
    enum reeve_error e = parse_list(h, s, &list, &n, why, why_n);
    if (e) {
        return e;
    }
    for (size_t i = 0; i < n; i++) {
        size_t old = index_of(h->list, h->n, list[i].name, list[i].port);
        list[i].added = old == h->n;
        if (old < h->n) {
            kept++;
            memcpy(list[i].why, h->list[old].why, sizeof(list[i].why));
        }
    }
    size_t mine = name ? index_of(list, n, name, port) : n;
    *move = name ? balance(h, h->n, kept, n, mine < n) : false;
    h->balancing = *move;
    alloc_put(&h->allocator, h->list);
    h->list = list;
    h->n = n;
    h->at = mine < n ? (mine + 1) % n : 0;
    h->rounds = 0;
    return REEVE_OK;
}

static const struct host *take(struct hosts *h, size_t i)
{
    h->list[i].tried = true;
    h->at = (i + 1) % h->n;
    return &h->list[i];
}

// StaticHostProvider.getNextServerInReconfigMode.
static const struct host *next_balanced(struct hosts *h)
{
    bool want_new = rng_chance(h->rng, h->new_num, h->new_den);
    size_t found = h->n;
    for (size_t i = 0; i < h->n; i++) {
        if (!h->list[i].tried && (found == h->n || h->list[found].added != want_new)) {
            found = found == h->n || h->list[i].added == want_new ? i : found;
        }
    }
    if (found < h->n) {
        return take(h, found);
    }
    h->balancing = false;
    return NULL;
}

const struct host *hosts_next(struct hosts *h)
{
    if (h->balancing) {
        return next_balanced(h);
    }
    for (size_t k = 0; k < h->n; k++) {
        size_t i = (h->at + k) % h->n;
        if (!h->list[i].tried) {
            return take(h, i);
        }
    }
    return NULL;
}

bool hosts_left(const struct hosts *h)
{
    for (size_t i = 0; i < h->n; i++) {
        if (!h->list[i].tried) {
            return true;
        }
    }
    return false;
}

const struct host *hosts_other(struct hosts *h, size_t *cursor, const char *name, uint16_t port)
{
    for (size_t k = 0; k < h->n; k++) {
        const struct host *o = &h->list[(*cursor)++ % h->n];
        if (o->port != port || strcmp(o->name, name) != 0) {
            return o;
        }
    }
    return NULL;
}

void hosts_give_back(struct hosts *h, const char *name, uint16_t port)
{
    size_t i = index_of(h->list, h->n, name, port);
    if (i < h->n) {
        h->list[i].tried = false;
    }
}

void hosts_failed(struct hosts *h, const char *name, uint16_t port, const char *why)
{
    size_t i = index_of(h->list, h->n, name, port);
    if (i < h->n) {
        h->list[i].tried = true;
        snprintf(h->list[i].why, sizeof(h->list[i].why), "%s", why);
    }
}

void hosts_prefer(struct hosts *h, const char *name, uint16_t port)
{
    size_t i = index_of(h->list, h->n, name, port);
    if (i < h->n) {
        h->list[i].tried = false;
        h->at = i;
        h->balancing = false;
    }
}

static void begin_round(struct hosts *h)
{
    for (size_t i = 0; i < h->n; i++) {
        h->list[i].tried = false;
    }
}

void hosts_settled(struct hosts *h)
{
    h->rounds = 0;
    begin_round(h);
}

void hosts_lost(struct hosts *h, const char *name, uint16_t port)
{
    hosts_settled(h);
    size_t i = index_of(h->list, h->n, name, port);
    if (i < h->n) {
        h->at = (i + 1) % h->n;
    }
}

int64_t hosts_backoff_ms(struct hosts *h)
{
    int64_t most = HOSTS_BACKOFF_MIN_MS;
    for (unsigned i = 0; i < h->rounds && most < HOSTS_BACKOFF_MAX_MS; i++) {
        most *= 2;
    }
    most = most < HOSTS_BACKOFF_MAX_MS ? most : HOSTS_BACKOFF_MAX_MS;
    h->rounds += h->rounds < 32;
    begin_round(h);
    return 1 + (int64_t)rng_below(h->rng, (uint64_t)most);
}

void hosts_why(const struct hosts *h, char *text, size_t n)
{
    must(n > 0);
    size_t at = (size_t)snprintf(text, n, "no server");
    for (size_t i = 0; i < h->n && at < n; i++) {
        char name[HOST_TEXT_MAX];
        host_fmt(h->list[i].name, h->list[i].port, name);
        at += (size_t)snprintf(text + at, n - at, "%s%s: %s", i ? "; " : ": ", name,
                               h->list[i].why[0] ? h->list[i].why : "not tried yet");
    }
}

void host_fmt(const char *name, uint16_t port, char text[HOST_TEXT_MAX])
{
    const char *form = strchr(name, ':') ? "[%s]:%u" : "%s:%u";
    snprintf(text, HOST_TEXT_MAX, form, name, (unsigned)port);
}
