// SPDX-License-Identifier: Apache-2.0
//
// Who may do what, and which lists may be stored: the rules on top of the table in acl.c.
#include "limits.h"
#include "tree/acl.h"
#include "tree/ip.h"

static bool ip_matches(struct slice entry, struct slice peer)
{
    struct ip_net net, ip;
    return ip_parse_net(entry, &net) && ip_parse(peer, &ip) && ip_net_holds(&net, &ip);
}

static bool id_matches(const struct zk_id *entry, const struct zk_id *who)
{
    if (!slice_eq(entry->scheme, who->scheme)) {
        return false;
    }
    if (slice_eq_str(entry->scheme, "ip")) {
        return ip_matches(entry->id, who->id);
    }
    return slice_eq(entry->id, who->id) ||
           (slice_eq_str(who->scheme, "sasl") && slice_eq_str(who->id, "super"));
}

static bool is_anyone(const struct zk_id *id)
{
    return slice_eq_str(id->scheme, "world") && slice_eq_str(id->id, "anyone");
}

bool auth_is_super(const struct auth *who)
{
    for (int32_t i = 0; who && i < who->n; i++) {
        if (slice_eq_str(who->ids[i].scheme, "super")) {
            return true;
        }
    }
    return false;
}

// ZooKeeperServer.checkACL. A missing list (a damaged foreign snapshot) lets nobody but super in.
bool acl_allows(const struct acl_vec *list, int32_t perms, const struct auth *who,
                const struct acl_rules *rules)
{
    if (rules->skip_acl || (list && list->n <= 0)) {
        return true;
    }
    for (int32_t i = 0; list && i < list->n; i++) {
        if ((list->v[i].perms & perms) == 0) {
            continue;
        }
        if (is_anyone(&list->v[i].id)) {
            return true;
        }
        for (int32_t k = 0; who && k < who->n; k++) {
            if (id_matches(&list->v[i].id, &who->ids[k])) {
                return true;
            }
        }
    }
    return auth_is_super(who);
}

// Splitting at ':' with trailing empty pieces dropped gives exactly two.
static bool digest_id_is_valid(struct slice id)
{
    while (id.n && id.p[id.n - 1] == ':') {
        id.n--;
    }
    size_t colons = 0;
    for (size_t i = 0; i < id.n; i++) {
        colons += id.p[i] == ':';
    }
    return colons == 1;
}

// primary[/instance][@REALM], or text with neither '/' nor '@'.
static bool sasl_id_is_valid(struct slice id)
{
    size_t slashes = 0, ats = 0;
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] == '/') {
            if (++slashes > 1 || ats) {
                return false;
            }
        } else if (id.p[i] == '@' && ++ats > 1) {
            return false;
        }
    }
    return true;
}

static bool x509_id_is_valid(struct slice id)
{
    return id.n && memchr(id.p, '=', id.n) != NULL;
}

static bool id_is_valid(const struct zk_id *id, const struct acl_rules *rules)
{
    if (slice_eq_str(id->scheme, "digest")) {
        return rules->digest_enabled && digest_id_is_valid(id->id);
    }
    if (slice_eq_str(id->scheme, "ip")) {
        struct ip_net net;
        return ip_parse_net(id->id, &net);
    }
    if (slice_eq_str(id->scheme, "sasl")) {
        return rules->sasl_enabled && sasl_id_is_valid(id->id);
    }
    if (slice_eq_str(id->scheme, "x509")) {
        return rules->x509_enabled && x509_id_is_valid(id->id);
    }
    return false;
}

static bool is_authenticating(struct slice scheme, const struct acl_rules *rules)
{
    return (rules->digest_enabled && slice_eq_str(scheme, "digest")) ||
           (rules->sasl_enabled && slice_eq_str(scheme, "sasl")) ||
           (rules->x509_enabled && slice_eq_str(scheme, "x509"));
}

static uint64_t hash_entry(const struct acl *x)
{
    return hash_bytes(hash_bytes((uint32_t)x->perms, x->id.scheme), x->id.id);
}

// hashes: of the entries before i; compared first, for lists as long as the limit allows.
static bool is_repeated(const struct acl_vec *v, int32_t i, const uint64_t *hashes, uint64_t hash)
{
    const struct acl *x = &v->v[i];
    for (int32_t k = 0; k < i; k++) {
        const struct acl *y = &v->v[k];
        if (hashes[k] == hash && x->perms == y->perms && slice_eq(x->id.scheme, y->id.scheme) &&
            slice_eq(x->id.id, y->id.id)) {
            return true;
        }
    }
    return false;
}

// "auth": one entry per authenticated identity. False if there is none.
static bool expand_auth(int32_t perms, const struct auth *who, const struct acl_rules *rules,
                        struct acl_vec *out)
{
    bool any = false;
    for (int32_t i = 0; who && i < who->n; i++) {
        if (is_authenticating(who->ids[i].scheme, rules)) {
            out->v[out->n++] = (struct acl){perms, who->ids[i]};
            any = true;
        }
    }
    return any;
}

// One entry of a client's list into the stored one. ZK_OK, also for one that adds nothing.
static enum zkerr fixup_entry(const struct acl *x, const struct auth *who,
                              const struct acl_rules *rules, struct acl_vec *out)
{
    if (!x->id.scheme.p) {
        return ZK_INVALIDACL;
    }
    if (slice_eq_str(x->id.scheme, "auth")) {
        return expand_auth(x->perms, who, rules, out) ? ZK_OK : ZK_INVALIDACL;
    }
    if (!x->id.id.p) {
        return ZK_MARSHALLINGERROR;
    }
    if (!is_anyone(&x->id) && !id_is_valid(&x->id, rules)) {
        return ZK_INVALIDACL;
    }
    out->v[out->n++] = *x;
    return ZK_OK;
}

// PrepRequestProcessor.fixupACL.
enum zkerr acl_fixup(const struct acl_vec *in, const struct auth *who,
                     const struct acl_rules *rules, struct arena *a, struct acl_vec *out)
{
    *out = (struct acl_vec){NULL, 0};
    if (in->n <= 0 || in->n > LIMIT_ACL_ENTRIES) {
        return ZK_INVALIDACL;
    }
    size_t most = 0; // entries out: an "auth" becomes one per identity
    for (int32_t i = 0; i < in->n; i++) {
        bool is_auth = slice_eq_str(in->v[i].id.scheme, "auth");
        most += is_auth && who && who->n > 0 ? (size_t)who->n : 1;
    }
    if (most > LIMIT_ACL_ENTRIES) {
        return ZK_INVALIDACL;
    }
    out->v = arena_alloc(a, most * sizeof(*out->v));
    uint64_t *hashes = arena_alloc(a, (size_t)in->n * sizeof(*hashes));
    for (int32_t i = 0; i < in->n; i++) {
        hashes[i] = hash_entry(&in->v[i]);
        if (is_repeated(in, i, hashes, hashes[i])) {
            continue;
        }
        enum zkerr e = fixup_entry(&in->v[i], who, rules, out);
        if (e) {
            return e;
        }
    }
    return ZK_OK;
}
