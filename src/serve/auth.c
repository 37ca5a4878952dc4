// SPDX-License-Identifier: Apache-2.0
#include "serve/auth.h"

#include <openssl/evp.h>

void auth_addr_fmt(const struct net_addr *addr, struct buf *b)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *ip = addr->ip;
    bool v4 = addr->family != 6;
    if (!v4 && memcmp(ip, mapped, sizeof(mapped)) == 0) {
        v4 = true; // Java's InetAddress makes the same of it
        ip += sizeof(mapped);
    }
    if (v4) {
        buf_fmt(b, "%d.%d.%d.%d", ip[0], ip[1], ip[2], ip[3]);
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        buf_fmt(b, "%s%x", i ? ":" : "", (unsigned)(ip[2 * i] << 8 | ip[2 * i + 1]));
    }
}

static size_t block_size(const struct auth *a)
{
    size_t n = sizeof(*a) + (size_t)a->n * sizeof(*a->ids);
    for (int32_t i = 0; i < a->n; i++) {
        n += a->ids[i].scheme.n + a->ids[i].id.n;
    }
    return n;
}

static struct slice put_text(uint8_t **at, struct slice s)
{
    struct slice copy = slice_of(*at, s.n);
    if (s.n) {
        memcpy(*at, s.p, s.n);
    }
    *at += s.n;
    return copy;
}

// The old list and `n` more, in one block.
static struct auth *join(const struct auth *old, const struct zk_id *more, int32_t n)
{
    struct auth whole = {NULL, old->n + n};
    size_t size = block_size(old) + (size_t)n * sizeof(*more);
    for (int32_t i = 0; i < n; i++) {
        size += more[i].scheme.n + more[i].id.n;
    }
    struct auth *a = mem_alloc(size);
    *a = whole;
    a->ids = (struct zk_id *)(a + 1);
    uint8_t *text = (uint8_t *)(a->ids + a->n);
    for (int32_t i = 0; i < a->n; i++) {
        const struct zk_id *from = i < old->n ? &old->ids[i] : &more[i - old->n];
        a->ids[i].scheme = put_text(&text, from->scheme);
        a->ids[i].id = put_text(&text, from->id);
    }
    must(text == (uint8_t *)a + size);
    return a;
}

struct auth *auth_new(const struct net_addr *peer)
{
    struct buf text = {0};
    auth_addr_fmt(peer, &text);
    struct zk_id ip = {SLICE_LIT("ip"), buf_slice(&text)};
    struct auth *a = join(&(struct auth){NULL, 0}, &ip, 1);
    buf_fini(&text);
    return a;
}

static bool has(const struct auth *a, const struct zk_id *id)
{
    for (int32_t i = 0; i < a->n; i++) {
        if (slice_eq(a->ids[i].scheme, id->scheme) && slice_eq(a->ids[i].id, id->id)) {
            return true;
        }
    }
    return false;
}

// Java: DigestAuthenticationProvider.generateDigest: user ":" base64(digest of the whole text).
static bool digest_id(const struct auth_config *cfg, struct slice data, struct buf *id)
{
    uint8_t md[EVP_MAX_MD_SIZE];
    size_t md_n = 0;
    char text[EVP_MAX_MD_SIZE * 2];
    if (!EVP_Q_digest(NULL, cfg->digest_alg ? cfg->digest_alg : "SHA1", NULL, data.p, data.n, md,
                      &md_n)) {
        return false;
    }
    int n = EVP_EncodeBlock((unsigned char *)text, md, (int)md_n);
    const uint8_t *colon = data.n ? memchr(data.p, ':', data.n) : NULL;
    buf_put(id, data.p, colon ? (size_t)(colon - data.p) : data.n);
    buf_put_u8(id, ':');
    buf_put(id, text, (size_t)n);
    return true;
}

static enum auth_result apply_digest(const struct auth_config *cfg, const struct auth *old,
                                     struct slice data, struct auth **added)
{
    if (slice_is_null(data) || !cfg->digest_enabled) {
        return AUTH_FAILED;
    }
    struct buf id = {0};
    if (!digest_id(cfg, data, &id) || block_size(old) + id.n > cfg->bytes_max) {
        buf_fini(&id);
        return AUTH_FAILED;
    }
    struct zk_id more[2];
    int32_t n = 0;
    struct zk_id digest = {SLICE_LIT("digest"), buf_slice(&id)};
    struct zk_id super = {SLICE_LIT("super"), SLICE_LIT("")};
    bool is_super = cfg->super_digest && slice_eq_str(digest.id, cfg->super_digest);
    if (!has(old, &digest)) {
        more[n++] = digest;
    }
    if (is_super && !has(old, &super)) {
        more[n++] = super;
    }
    if (n) {
        *added = join(old, more, n);
    }
    buf_fini(&id);
    return AUTH_OK;
}

enum auth_result auth_packet_apply(const struct auth_config *cfg, const struct auth *old,
                                   struct slice scheme, struct slice data, struct auth **added)
{
    *added = NULL;
    if (slice_eq_str(scheme, "ip")) {
        return AUTH_OK; // every connection has it from its start
    }
    if (slice_eq_str(scheme, "digest")) {
        return apply_digest(cfg, old, data, added);
    }
    if (slice_eq_str(scheme, "ensemble") && cfg->ensemble_name) {
        bool ok = data.n == 0 || auth_list_has(cfg->ensemble_name, data);
        return ok ? AUTH_OK : AUTH_CLOSE;
    }
    return AUTH_FAILED;
}

bool auth_has_scheme(const struct auth *a, const char *schemes)
{
    for (int32_t i = 0; i < a->n; i++) {
        if (auth_list_has(schemes, a->ids[i].scheme)) {
            return true;
        }
    }
    return false;
}

struct slice auth_user(const struct zk_id *id)
{
    if (slice_eq_str(id->scheme, "digest") && id->id.n) {
        const uint8_t *colon = memchr(id->id.p, ':', id->id.n);
        return colon ? slice_head(id->id, (size_t)(colon - id->id.p)) : id->id;
    }
    return id->id;
}

bool auth_list_has(const char *list, struct slice word)
{
    for (const char *at = list ? list : ""; *at;) {
        size_t n = strcspn(at, ",");
        struct slice s = slice_of(at, n);
        while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
            s = slice_skip(s, 1);
        }
        while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
            s.n--;
        }
        if (s.n == word.n && memcmp(s.p, word.p, s.n) == 0) {
            return true;
        }
        at += n;
        at += *at == ',';
    }
    return false;
}
