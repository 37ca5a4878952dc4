// SPDX-License-Identifier: Apache-2.0
//
// Links: dials, the handshake, the end of connections, and the probe of a read-only client.
//
//   FREE -> DIAL -> HANDSHAKE -> SESSION        the session's, one of the latter two at most
//   FREE -> PROBE_DIAL -> PROBE                 "isro", asked of another server
//   any -> CUT -> FREE                          as soon as the cut is told
//
// A server is given so long to take a connection, and then to answer the handshake (one that elects
// may hold it): its share of the session's timeout (ClientCnxn.connectTimeout), but of no more than
// ENGINE_PATIENCE_FIRST_MS, as sessions may be meant to last for hours; twice as long in each round
// of servers that kept it waiting in vain, so that slow servers are reached as well, but never more
// than half of what is left of a session. A stopped process takes connections too (the kernel does)
// and never says a word, and nor does an Apache that was dialled while it started (it forgets the
// connection): while there are others to ask, or a session to save, it gets only
// ENGINE_HANDSHAKE_FIRST_MS in the first round. A lone server that is to create a session gets
// more.
#include <stdarg.h>
#include <stdio.h>

#include "base/endian.h"
#include "base/must.h"
#include "client/engine_parts.h"
#include "wire/jute.h"

static int64_t doubled(const struct engine *e, int64_t ms, int64_t most)
{
    size_t rounds = e->unanswered / e->hosts.n;
    for (size_t i = 0; i < rounds && ms < most; i++) {
        ms *= 2;
    }
    return ms < most ? ms : most;
}

static int64_t patience_ms(const struct engine *e)
{
    int64_t most = e->options.session_timeout_ms;
    int64_t first = most < ENGINE_PATIENCE_FIRST_MS ? most : ENGINE_PATIENCE_FIRST_MS;
    int64_t ms = first / (int64_t)e->hosts.n;
    ms = ms > ENGINE_PATIENCE_MIN_MS ? ms : ENGINE_PATIENCE_MIN_MS;
    ms = doubled(e, ms, most);
    if (e->alive) { // half of what is left is for the others
        int64_t left = mono_diff_ms(heartbeat_lost_at(&e->beat), e->now) / 2;
        ms = ms < left ? ms : left;
    }
    return ms > ENGINE_PATIENCE_MIN_MS ? ms : ENGINE_PATIENCE_MIN_MS;
}

static int64_t handshake_ms(const struct engine *e)
{
    int64_t most = patience_ms(e);
    bool brisk = e->hosts.n > 1 || e->alive;
    return brisk ? doubled(e, ENGINE_HANDSHAKE_FIRST_MS, most) : most;
}

static void wait_for(const struct engine *e, struct link *l, int64_t ms)
{
    l->since = e->now;
    l->until = mono_add_ms(e->now, ms);
}

static void cut(struct engine *e, int i)
{
    struct link *l = &e->links[i];
    if (e->main == i) {
        e->main = -1;
        port_in_reset(&e->in);
    }
    if (e->probe == i) {
        e->probe = -1;
    }
    bool known = l->use != LINK_FREE && l->use != LINK_CUT && !l->untold && !l->gone;
    if (l->use != LINK_CUT) {
        l->use = known ? LINK_CUT : LINK_FREE;
    }
    l->untold = l->connected = l->gone = false;
    e->links_untold = e->links_untold || known;
}

void links_cut_all(struct engine *e)
{
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        cut(e, i);
    }
}

// Dials that others were faster than, or that nobody needs any more.
static void cut_dials(struct engine *e)
{
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        struct link *l = &e->links[i];
        if (l->use == LINK_DIAL) {
            hosts_give_back(&e->hosts, l->name, l->port);
            cut(e, i);
        }
    }
}

static void dial(struct engine *e, const struct host *h, enum link_use use)
{
    int i = 0;
    while (i < ENGINE_LINKS_MAX && e->links[i].use != LINK_FREE) {
        i++;
    }
    must(i < ENGINE_LINKS_MAX); // cuts were told before this step, and there are fewer dials
    struct link *l = &e->links[i];
    *l = (struct link){.use = use, .untold = true, .port = h->port};
    wait_for(e, l, use == LINK_PROBE_DIAL ? ENGINE_PROBE_WAIT_MS : patience_ms(e));
    memcpy(l->name, h->name, sizeof(l->name));
    e->links_untold = true;
    if (use == LINK_PROBE_DIAL) {
        e->probe = i;
        e->probe_sent = e->probe_got = 0;
    } else {
        e->dialed_at = e->now;
    }
}

// ---- ends ---------------------------------------------------------------------------------------

static void attempt_failed(struct engine *e, const struct link *l, const char *why)
{
    char server[HOST_TEXT_MAX];
    host_fmt(l->name, l->port, server);
    hosts_failed(&e->hosts, l->name, l->port, why);
    engine_log(e, REEVE_LOG_INFO, "%s: %s", server, why);
}

// A session's connection has ended.
static void suspend(struct engine *e, const char *why)
{
    if (e->probe >= 0) {
        cut(e, e->probe);
    }
    if (e->closing && !engine_seeks_end(e)) {
        engine_lose(e, REEVE_STATE_ENDED, REEVE_CLOSED, "");
        return;
    }
    engine_move(e, REEVE_STATE_SUSPENDED, why);
    calls_lost(e, why);
    e->leaving = false;
    e->dial_after = e->now;
}

void links_drop(struct engine *e, enum reeve_log_level level, const char *fmt, ...)
{
    char why[ENGINE_WHY_MAX / 2], text[ENGINE_WHY_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    struct link *l = &e->links[e->main];
    if (l->use == LINK_HANDSHAKE) {
        attempt_failed(e, l, why);
        cut(e, e->main);
        return;
    }
    must(l->use == LINK_SESSION);
    hosts_failed(&e->hosts, l->name, l->port, why);
    if (mono_diff_ms(e->now, l->since) >= ENGINE_SETTLED_MS) {
        hosts_lost(&e->hosts, l->name, l->port);
    }
    snprintf(text, sizeof(text), "the connection to %.100s is lost: %s", e->server, why);
    engine_log(e, level, "%s", text);
    e->leaving = false;
    cut(e, e->main);
    suspend(e, text);
}

static bool is_drained(const struct engine *e)
{
    for (const struct auth *x = e->auths.first; x; x = x->next) {
        if (x->asked) {
            return false;
        }
    }
    return !e->sent.first && !e->restore.first && !e->auths.replay && port_out_is_empty(&e->out);
}

// For another server, in order: nothing is on its way, so nothing is lost.
static void leave(struct engine *e)
{
    engine_log(e, REEVE_LOG_INFO, "%s", e->leaving_why);
    cut(e, e->main);
    suspend(e, e->leaving_why);
}

// A read-only client has heard from another server, or not in time.
static void probe_answered(struct engine *e)
{
    struct link *l = &e->links[e->probe];
    if (e->probe_got >= 2 && memcmp(e->probe_text, "rw", 2) == 0) {
        char server[HOST_TEXT_MAX];
        host_fmt(l->name, l->port, server);
        hosts_settled(&e->hosts);
        hosts_prefer(&e->hosts, l->name, l->port);
        e->leaving = true;
        snprintf(e->leaving_why, sizeof(e->leaving_why), "moving to %.100s, which is not read-only",
                 server);
    }
    cut(e, e->probe);
}

static void on_gone(struct engine *e, int i)
{
    struct link *l = &e->links[i];
    const char *why = l->why[0] ? l->why : "the server closed the connection";
    if (i == e->main) {
        links_drop(e, REEVE_LOG_WARN, "%s", why);
        return;
    }
    if (l->use == LINK_DIAL) {
        attempt_failed(e, l, why);
    }
    if (i == e->probe) {
        probe_answered(e);
        return;
    }
    cut(e, i);
}

// ---- the handshake ------------------------------------------------------------------------------

static bool is_renewal(const struct engine *e)
{
    return e->full && e->id != 0;
}

static void put_hello(struct engine *e)
{
    uint8_t f[4 + 45] = {0};
    bool again = is_renewal(e);
    be32_put(f, 45);
    be64_put(f + 8, (uint64_t)e->zxid);
    be32_put(f + 16, (uint32_t)e->options.session_timeout_ms);
    be64_put(f + 20, again ? (uint64_t)e->id : 0);
    be32_put(f + 28, 16);
    if (again) {
        memcpy(f + 32, e->passwd, 16);
    }
    f[48] = e->options.read_only;
    must(port_out_put(&e->out, slice_of(f, sizeof(f))));
}

static void on_connected(struct engine *e, int i)
{
    struct link *l = &e->links[i];
    l->connected = false;
    if (l->use == LINK_PROBE_DIAL) {
        l->use = LINK_PROBE;
        return;
    }
    must(e->main < 0);
    e->main = i;
    l->use = LINK_HANDSHAKE;
    wait_for(e, l, handshake_ms(e));
    cut_dials(e);
    port_in_reset(&e->in);
    port_out_reset(&e->out);
    put_hello(e);
}

struct hello {
    int32_t timeout_ms;
    int64_t id;
    struct slice passwd;
    bool read_only;
};

static void accept(struct engine *e, const struct hello *r)
{
    struct link *l = &e->links[e->main];
    if (watchers_count(e->watches) && !restore_build(&e->restore, e->watches, e->zxid)) {
        links_drop(e, REEVE_LOG_ERROR, "there is no memory to set the watches again");
        return;
    }
    e->renewed = !is_renewal(e);
    e->id = r->id;
    memset(e->passwd, 0, sizeof(e->passwd));
    if (r->passwd.n) {
        memcpy(e->passwd, r->passwd.p, r->passwd.n);
    }
    e->full = e->full || !r->read_only;
    e->alive = true;
    e->unanswered = 0;
    heartbeat_begin(&e->beat, r->timeout_ms, l->since, e->now);
    auths_rewind(&e->auths);
    host_fmt(l->name, l->port, e->server);
    l->use = LINK_SESSION;
    l->since = e->now;
    e->probe_ms = ENGINE_PROBE_MIN_MS;
    e->probe_at = mono_add_ms(e->now, e->probe_ms);
    engine_log(e, REEVE_LOG_INFO, "%s session 0x%llx at %s, timeout %d ms%s",
               e->renewed ? "new" : "same", (unsigned long long)e->id, e->server, r->timeout_ms,
               r->read_only ? ", read-only" : "");
    engine_move(e, r->read_only ? REEVE_STATE_READ_ONLY : REEVE_STATE_CONNECTED, "");
}

// A server that answers "no such session" (ZooKeeperServer.finishSessionInit with valid false).
static void on_refusal(struct engine *e)
{
    char why[ENGINE_WHY_MAX], server[HOST_TEXT_MAX];
    struct link *l = &e->links[e->main];
    if (!is_renewal(e)) {
        links_drop(e, REEVE_LOG_ERROR, "it refused a new session");
        return;
    }
    host_fmt(l->name, l->port, server);
    snprintf(why, sizeof(why), "%.100s does not know the session any more", server);
    hosts_failed(&e->hosts, l->name, l->port, "it refused the session");
    engine_lose(e, REEVE_STATE_LOST, REEVE_SESSION_EXPIRED, why);
}

static void on_hello(struct engine *e, struct slice body)
{
    struct jute_in in = jute_in(body, ENGINE_HELLO_BYTES);
    struct hello r = {0};
    (void)jute_get_int(&in);
    r.timeout_ms = jute_get_int(&in);
    r.id = jute_get_long(&in);
    r.passwd = jute_get_bytes(&in);
    r.read_only = !in.err && jute_left(&in) && jute_get_bool(&in);
    if (in.err || r.passwd.n > sizeof(e->passwd)) {
        // Apache's read-only servers without local sessions answer with the header of a reply.
        links_drop(e, REEVE_LOG_ERROR, "%s",
                   body.n == ENGINE_HEADER_BYTES ? "it serves no sessions"
                                                 : "it answered the handshake with something else");
    } else if (r.timeout_ms <= 0 || (r.id == 0 && !r.read_only)) {
        on_refusal(e);
    } else if (is_renewal(e) && r.id != e->id) {
        links_drop(e, REEVE_LOG_ERROR, "it answered with another session");
    } else if (r.read_only && !e->options.read_only) {
        links_drop(e, REEVE_LOG_INFO, "it is read-only");
    } else {
        accept(e, &r);
    }
}

static bool read_hello(struct engine *e)
{
    struct slice have = port_in_bytes(&e->in);
    if (have.n < PORT_LENGTH_BYTES) {
        return false;
    }
    uint32_t n = be32_get(have.p);
    if (n < ENGINE_HEADER_BYTES || n > ENGINE_HELLO_BYTES) {
        links_drop(e, REEVE_LOG_ERROR, "it does not speak ZooKeeper's protocol");
        return true;
    }
    if (have.n < n + PORT_LENGTH_BYTES) {
        return false;
    }
    uint8_t *p = port_in_hold(&e->in, n + PORT_LENGTH_BYTES);
    on_hello(e, slice_of(p + PORT_LENGTH_BYTES, n));
    return true;
}

bool links_read(struct engine *e)
{
    if (e->main < 0) {
        return false;
    }
    return e->links[e->main].use == LINK_HANDSHAKE ? read_hello(e) : answers_read(e);
}

// ---- the probe ----------------------------------------------------------------------------------

static bool advance_probe(struct engine *e)
{
    if (e->state != REEVE_STATE_READ_ONLY || e->closing || e->leaving) {
        if (e->probe >= 0) {
            cut(e, e->probe);
            return true;
        }
        return false;
    }
    if (e->probe >= 0) {
        if (e->probe_got >= 2 || e->now.ns >= e->links[e->probe].until.ns) {
            probe_answered(e);
            return true;
        }
        return false;
    }
    if (e->now.ns < e->probe_at.ns) {
        return false;
    }
    e->probe_ms = e->probe_ms < ENGINE_PROBE_MAX_MS / 2 ? e->probe_ms * 2 : ENGINE_PROBE_MAX_MS;
    int64_t jitter = (int64_t)rng_below(&e->rng, (uint64_t)e->probe_ms / 2 + 1);
    e->probe_at = mono_add_ms(e->now, e->probe_ms / 2 + jitter);
    const struct link *l = &e->links[e->main];
    const struct host *h = hosts_other(&e->hosts, &e->probe_cursor, l->name, l->port);
    if (h) {
        dial(e, h, LINK_PROBE_DIAL);
    }
    return h != NULL;
}

// ---- one step -----------------------------------------------------------------------------------

static bool advance_main(struct engine *e)
{
    struct link *l = &e->links[e->main];
    if (l->use == LINK_HANDSHAKE) {
        if (e->now.ns < l->until.ns) {
            return false;
        }
        e->unanswered++;
        links_drop(e, REEVE_LOG_WARN, "no answer to the handshake within %d ms",
                   (int)mono_diff_ms(e->now, l->since));
        return true;
    }
    if (e->now.ns >= heartbeat_silent_at(&e->beat).ns) {
        links_drop(e, REEVE_LOG_WARN, "nothing was heard for %d ms",
                   (int)mono_diff_ms(e->now, e->beat.heard));
        return true;
    }
    if (e->leaving && is_drained(e)) {
        leave(e);
        return true;
    }
    if (e->now.ns >= heartbeat_ping_at(&e->beat).ns && !e->close_sent) {
        static const uint8_t ping[12] = {0, 0, 0, 8, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 11};
        // Where there is no room for one, other bytes are on their way anyway.
        if (port_out_fits(&e->out, sizeof(ping)) && heartbeat_ping(&e->beat, e->now)) {
            must(port_out_put(&e->out, slice_of(ping, sizeof(ping))));
        }
        heartbeat_ask(&e->beat, e->now);
    }
    return advance_probe(e);
}

static bool wants_session(const struct engine *e)
{
    bool none = e->state == REEVE_STATE_CONNECTING || e->state == REEVE_STATE_SUSPENDED;
    return none && (!e->closing || engine_seeks_end(e));
}

// Dials under way; one that takes too long ends.
static int count_dials(struct engine *e)
{
    int n = 0;
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        struct link *l = &e->links[i];
        if (l->use == LINK_DIAL && e->now.ns >= l->until.ns) {
            e->unanswered++;
            attempt_failed(e, l, "no connection in time");
            cut(e, i);
        }
        n += l->use == LINK_DIAL;
    }
    return n;
}

static bool advance_dials(struct engine *e)
{
    if (!wants_session(e)) {
        return false;
    }
    int n = count_dials(e);
    bool next =
        n < ENGINE_DIALS_MAX && e->now.ns >= mono_add_ms(e->dialed_at, ENGINE_DIAL_NEXT_MS).ns;
    if (e->now.ns < e->dial_after.ns || (n > 0 && !next)) {
        return e->links_untold;
    }
    const struct host *h = hosts_next(&e->hosts);
    if (h) {
        dial(e, h, LINK_DIAL);
        return true;
    }
    if (n == 0) {
        e->dial_after = mono_add_ms(e->now, hosts_backoff_ms(&e->hosts));
        if (e->closing) { // nobody is there to end the session
            e->close_by = e->now;
            return true;
        }
    }
    return e->links_untold;
}

bool links_advance(struct engine *e)
{
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (e->links[i].gone) {
            on_gone(e, i);
            return true;
        }
        if (e->links[i].connected) {
            on_connected(e, i);
            return true;
        }
    }
    return e->main >= 0 ? advance_main(e) : advance_dials(e);
}

bool links_tell(struct engine *e, struct engine_happening *h)
{
    for (int i = 0; i < ENGINE_LINKS_MAX && e->links_untold; i++) {
        struct link *l = &e->links[i];
        if (l->use == LINK_CUT) {
            l->use = LINK_FREE;
            h->type = ENGINE_CUT;
            h->link = (uint32_t)i;
            return true;
        }
    }
    for (int i = 0; i < ENGINE_LINKS_MAX && e->links_untold; i++) {
        struct link *l = &e->links[i];
        if (l->untold) {
            l->untold = false;
            h->type = ENGINE_DIAL;
            h->link = (uint32_t)i;
            h->host = l->name;
            h->port = l->port;
            return true;
        }
    }
    e->links_untold = false;
    return false;
}

static void sooner(struct mono *at, struct mono t)
{
    at->ns = t.ns < at->ns ? t.ns : at->ns;
}

static void dials_deadline(const struct engine *e, struct mono *at)
{
    int n = 0;
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        if (e->links[i].use == LINK_DIAL) {
            n++;
            sooner(at, e->links[i].until);
        }
    }
    if (n == 0) {
        sooner(at, e->dial_after);
    } else if (n < ENGINE_DIALS_MAX && hosts_left(&e->hosts)) {
        sooner(at, mono_add_ms(e->dialed_at, ENGINE_DIAL_NEXT_MS));
    }
}

struct mono links_deadline(const struct engine *e)
{
    struct mono at = {INT64_MAX};
    if (e->main < 0) {
        if (wants_session(e)) {
            dials_deadline(e, &at);
        }
        return at;
    }
    const struct link *l = &e->links[e->main];
    if (l->use == LINK_HANDSHAKE) {
        return l->until;
    }
    sooner(&at, heartbeat_silent_at(&e->beat));
    if (!e->close_sent) {
        sooner(&at, heartbeat_ping_at(&e->beat));
    }
    if (e->probe >= 0) {
        sooner(&at, e->links[e->probe].until);
    } else if (e->state == REEVE_STATE_READ_ONLY && !e->closing && !e->leaving) {
        sooner(&at, e->probe_at);
    }
    return at;
}
