// SPDX-License-Identifier: Apache-2.0
//
// The start: who this server is and who belongs to its ensemble, from myid, zoo.cfg and the dynamic
// files. Java's QuorumPeerConfig.parse: setupQuorumPeerConfig, setupMyId, setupClientPort,
// setupPeerType, checkValidity.
#include <inttypes.h>

#include "base/properties.h"
#include "limits.h"
#include "node/config_internal.h"
#include "node/dynconfig.h"
#include "node/dynconfig_internal.h"
#include "node/settings.h"
#include "tree/ip.h"

enum {
    MYID_MAX = 4096,             // the first line counts; a real file has a few bytes
    SID_IN_SESSIONS_MAX = 255,   // of a session id one byte is the server's
    SID_WITH_EXTENDED_MAX = 254, // with TTL nodes, Java's EphemeralType.MAX_EXTENDED_SERVER_ID
};

struct load {
    struct env *env;
    const struct config *c;
    struct dynconfig_start *s;
    struct buf *why;
};

// ---- files

enum err dynconfig_read_file(struct env *env, const char *path, size_t max, struct buf *text)
{
    int fd;
    enum err e = env->ops->file_open(env, path, ENV_OPEN_READ, &fd);
    if (e) {
        return e;
    }
    uint64_t size = 0;
    e = env->ops->file_size(env, fd, &size);
    if (e == ERR_OK && size > max) {
        e = ERR_LIMIT;
    }
    if (e == ERR_OK && size) {
        size_t got = 0;
        e = env->ops->file_read(env, fd, 0, buf_reserve(text, (size_t)size), (size_t)size, &got);
        text->n -= (size_t)size - (e ? 0 : got);
    }
    env->ops->file_close(env, fd);
    return e;
}

static enum err read_text(const struct load *l, const char *path, struct buf *text)
{
    enum err e = dynconfig_read_file(l->env, path, LIMIT_CONFIG_FILE, text);
    if (e == ERR_LIMIT) {
        buf_fmt(l->why, "%s: longer than %d bytes", path, LIMIT_CONFIG_FILE);
    } else if (e && e != ERR_NOTFOUND) {
        buf_fmt(l->why, "%s: cannot be read: %s", path, err_text(e));
    }
    return e;
}

// ---- myid

static enum err parse_myid(const struct load *l, const char *path, struct slice text)
{
    const uint8_t *end = text.n ? memchr(text.p, '\n', text.n) : NULL;
    struct slice line = slice_trim(end ? slice_head(text, (size_t)(end - text.p)) : text);
    if (!members_parse_number(line, INT64_MAX, &l->s->sid)) {
        size_t shown = line.n < 40 ? line.n : 40;
        buf_fmt(l->why,
                "%s: its first line is \"%.*s\"; it must be this server's number, the N "
                "of its server.N line",
                path, (int)shown, (const char *)line.p);
        return ERR_INVALID;
    }
    if (l->c->extended_types && l->s->sid > SID_WITH_EXTENDED_MAX) {
        buf_fmt(l->why,
                "%s: %" PRId64 " is too large: with extendedTypesEnabled=true it may be "
                "at most %d",
                path, l->s->sid, SID_WITH_EXTENDED_MAX);
        return ERR_INVALID;
    }
    if (l->s->sid > SID_IN_SESSIONS_MAX) {
        log_warn(&l->env->log,
                 "%s: %" PRId64 " is above %d; session ids hold only its last byte, and two "
                 "servers with the same one may give out the same id",
                 path, l->s->sid, SID_IN_SESSIONS_MAX);
    }
    return ERR_OK;
}

static enum err load_myid(const struct load *l)
{
    struct buf path = {0}, text = {0};
    buf_fmt(&path, "%s/myid", l->c->data_dir);
    buf_put_u8(&path, 0);
    const char *name = (const char *)path.p;
    enum err e = dynconfig_read_file(l->env, name, MYID_MAX, &text);
    if (e == ERR_OK) {
        e = parse_myid(l, name, buf_slice(&text));
    } else if (e == ERR_NOTFOUND) {
        e = ERR_OK; // a server alone needs none
    } else {
        buf_fmt(l->why, "%s: cannot be read: %s", name, err_text(e));
    }
    buf_fini(&path);
    buf_fini(&text);
    return e;
}

// ---- memberships

// Java's getVersionFromFilename: what follows the last dot, if it is a hexadecimal number.
static int64_t version_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    struct slice digits = dot ? slice_str(dot + 1) : SLICE_NULL;
    struct members *m = members_new();
    int64_t version = members_put(m, SLICE_LIT("version"), digits) ? 0 : m->version;
    members_free(&m);
    return version;
}

static enum err put_lines(const struct load *l, const char *path, struct slice text,
                          bool with_version, struct members *m)
{
    struct properties p;
    struct buf what = {0};
    enum err e = ERR_OK;
    properties_init(&p, text);
    while (e == ERR_OK && properties_next(&p, &e)) {
        if (!with_version && slice_eq_str(buf_slice(&p.key), "version")) {
            buf_fmt(&what, "the version must not stand in this file, only in its name");
            e = ERR_INVALID;
        } else {
            e = config_put_member(m, buf_slice(&p.key), buf_slice(&p.value), &what);
        }
    }
    if (e == ERR_LIMIT && what.n == 0) {
        buf_fmt(&what, "the line is longer than %d bytes", LIMIT_CONFIG_LINE);
    }
    if (e) {
        buf_fmt(l->why, "%s:%u: %.*s", path, p.line, SLICE_ARG(buf_slice(&what)));
    }
    buf_fini(&what);
    properties_fini(&p);
    return e == ERR_UNSUPPORTED ? ERR_INVALID : e;
}

static enum err load_members(const struct load *l, const char *path, bool with_version,
                             struct members **m)
{
    struct buf text = {0}, what = {0};
    struct members *made = members_new();
    enum err e = read_text(l, path, &text);
    if (e == ERR_OK) {
        e = put_lines(l, path, buf_slice(&text), with_version, made);
    }
    if (e == ERR_OK) {
        e = config_end_members(made, &what);
        if (e) {
            buf_fmt(l->why, "%s: %.*s", path, SLICE_ARG(buf_slice(&what)));
        }
    }
    buf_fini(&text);
    buf_fini(&what);
    if (e) {
        members_free(&made);
    }
    *m = made;
    return e;
}

static void log_lines(const struct logger *log, struct slice rest)
{
    while (rest.n) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = end ? (size_t)(end - rest.p) : rest.n;
        log_warn(log, "%.*s", (int)n, (const char *)rest.p);
        rest = slice_skip(rest, n + (end != NULL));
    }
}

// *single: the membership is of one server that runs alone.
static enum err load_dynamic(const struct load *l, struct members **single)
{
    const char *path = l->c->dynamic_file;
    struct members *m = NULL;
    enum err e = load_members(l, path, false, &m);
    if (e) {
        if (e == ERR_NOTFOUND) {
            buf_fmt(l->why, "dynamicConfigFile=%s: there is no such file", path);
        }
        return e;
    }
    m->version = version_of(path);
    struct buf warnings = {0}, what = {0};
    bool ensemble = false;
    e = config_check_members(l->c, m, &ensemble, &warnings, &what);
    if (e) {
        buf_fmt(l->why, "%s: %.*s", path, SLICE_ARG(buf_slice(&what)));
    }
    log_lines(&l->env->log, buf_slice(&warnings));
    buf_fini(&warnings);
    buf_fini(&what);
    if (e == ERR_OK) {
        *(ensemble ? &l->s->committed : single) = m;
    } else {
        members_free(&m);
    }
    return e;
}

// Proposed before the last stop, and maybe committed by the others since.
static enum err load_next(const struct load *l)
{
    if (!l->c->dynamic_file || !l->c->reconfig_enabled || !l->c->config_path) {
        return ERR_OK;
    }
    struct buf path = {0};
    buf_fmt(&path, "%s.dynamic.next", l->c->config_path);
    buf_put_u8(&path, 0);
    enum err e = load_members(l, (const char *)path.p, true, &l->s->last_seen);
    if (e == ERR_OK && l->s->last_seen->version <= l->s->committed->version) {
        members_free(&l->s->last_seen);
    }
    buf_fini(&path);
    return e == ERR_NOTFOUND ? ERR_OK : e;
}

static enum err find_self(const struct load *l)
{
    struct dynconfig_start *s = l->s;
    if (s->sid < 0) {
        buf_fmt(l->why,
                "%s/myid is missing: a server of an ensemble needs it, with the N of its "
                "server.N line",
                l->c->data_dir);
        return ERR_NOTFOUND;
    }
    s->self = members_find(s->committed, s->sid);
    if (!s->self) {
        const char *where = l->c->dynamic_file ? l->c->dynamic_file : "the configuration";
        buf_fmt(l->why, "%s/myid says %" PRId64 ", but there is no server.%" PRId64 " line in %s",
                l->c->data_dir, s->sid, s->sid, where);
        return ERR_INVALID;
    }
    bool told = strcmp(l->c->peer_type, "observer") == 0;
    if (told != s->self->observer) {
        log_warn(&l->env->log,
                 "peerType=%s, but the server.%" PRId64 " line says %s; the line "
                 "counts",
                 l->c->peer_type, s->sid, s->self->observer ? "observer" : "participant");
    }
    return ERR_OK;
}

// ---- where clients are served

static bool is_any(const struct net_addr *a)
{
    static const uint8_t zeros[16];
    return a->family == 0 || memcmp(a->ip, zeros, a->family == 4 ? 4 : 16) == 0;
}

static bool same_addr(const struct net_addr *a, const struct net_addr *b)
{
    return a->port == b->port && a->family == b->family &&
           memcmp(a->ip, b->ip, a->family == 4 ? 4 : 16) == 0;
}

static enum err addr_of(const struct load *l, const struct member *m, struct net_addr *at)
{
    *at = (struct net_addr){.port = m->client.port};
    struct ip_net ip;
    if (ip_parse(m->client.host, &ip)) {
        at->family = ip.len == 4 ? 4 : 6;
        memcpy(at->ip, ip.ip, sizeof(at->ip));
        return ERR_OK;
    }
    enum err e = l->env->ops->resolve(l->env, m->client.host, at);
    if (e) {
        buf_fmt(l->why,
                "server.%" PRId64 ": the client address %.*s is not known (%s); it must "
                "be one of this machine",
                m->sid, SLICE_ARG(m->client.host), err_text(e));
    }
    return e;
}

static enum err client_of_file(const struct load *l, struct net_addr *at)
{
    enum err e = settings_client_addr(l->c, at);
    if (e) {
        buf_fmt(l->why, "clientPortAddress=%s: is not an IP address", l->c->client_address);
    } else if (!l->c->client_address && l->s->committed) {
        *at = (struct net_addr){.port = (uint16_t)l->c->client_port};
    }
    return e;
}

// Of an ensemble, or of a standalone server with one server.N line. m: this server, or NULL.
static enum err find_client(const struct load *l, const struct member *m)
{
    struct net_addr from_file;
    enum err e = client_of_file(l, &from_file);
    if (e) {
        return e;
    }
    l->s->client_is_static = !m || !m->client.host.p;
    if (l->s->client_is_static) {
        l->s->client = from_file;
        return ERR_OK;
    }
    e = addr_of(l, m, &l->s->client);
    if (e || !l->c->client_port_set) {
        return e;
    }
    bool any = !l->c->client_address || is_any(&from_file);
    if (any ? from_file.port != l->s->client.port : !same_addr(&from_file, &l->s->client)) {
        buf_fmt(l->why,
                "clientPort=%" PRId64 "%s%s differs from the client address ;%.*s:%u of "
                "the server.%" PRId64 " line; remove one of them",
                l->c->client_port, l->c->client_address ? " with clientPortAddress=" : "",
                l->c->client_address ? l->c->client_address : "", SLICE_ARG(m->client.host),
                m->client.port, m->sid);
        return ERR_INVALID;
    }
    return ERR_OK;
}

// A server alone may have no myid; its only line is its own then.
static const struct member *only_of(const struct load *l, const struct members *single)
{
    if (!single) {
        return NULL;
    }
    return l->s->sid < 0 ? &single->servers[0] : members_find(single, l->s->sid);
}

static enum err load_all(const struct load *l, struct members **single)
{
    enum err e = load_myid(l);
    if (e == ERR_OK && l->c->dynamic_file) {
        e = load_dynamic(l, single);
    } else if (e == ERR_OK) {
        l->s->committed = l->c->servers ? members_copy(l->c->servers) : NULL;
        *single = l->c->single ? members_copy(l->c->single) : NULL;
    }
    if (e == ERR_OK && l->s->committed) {
        e = find_self(l);
    }
    if (e == ERR_OK && l->s->committed) {
        e = load_next(l);
    }
    return e ? e : find_client(l, l->s->committed ? l->s->self : only_of(l, *single));
}

enum err dynconfig_load(struct env *env, const struct config *c, struct dynconfig_start *s,
                        struct buf *why)
{
    *s = (struct dynconfig_start){.sid = -1};
    struct members *single = NULL;
    enum err e = load_all(&(struct load){env, c, s, why}, &single);
    members_free(&single);
    if (e) {
        dynconfig_start_fini(s);
    }
    return e;
}

void dynconfig_start_fini(struct dynconfig_start *s)
{
    members_free(&s->committed);
    members_free(&s->last_seen);
    *s = (struct dynconfig_start){.sid = -1};
}
