// SPDX-License-Identifier: Apache-2.0
//
// The states of a session and the order in which things are told. See engine.h for what an engine
// is, engine_parts.h for how it moves.
//
// Order of a step (engine_advance): the session's deadline before everything, so that a process
// that slept hears LOST before an answer that came in its sleep; then received frames, so that what
// a server said before it closed is heard; then the end of links and all other times.
#include "client/engine.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "client/engine_parts.h"

enum {
    SESSION_TIMEOUT_MS = 10000,
    CLOSE_TIMEOUT_MS = 2000,
    REQUEST_MAX = 1048575,
    ANSWER_MAX = 67108864
};

#define BIT(state) (1u << REEVE_STATE_##state)

// From each state: where to. A session given in the options may be refused while CONNECTING.
static const unsigned moves[] = {
    [REEVE_STATE_CONNECTING] = BIT(CONNECTED) | BIT(READ_ONLY) | BIT(LOST) | BIT(ENDED),
    [REEVE_STATE_CONNECTED] = BIT(SUSPENDED) | BIT(LOST) | BIT(AUTH_FAILED) | BIT(ENDED),
    [REEVE_STATE_READ_ONLY] = BIT(SUSPENDED) | BIT(LOST) | BIT(AUTH_FAILED) | BIT(ENDED),
    [REEVE_STATE_SUSPENDED] = BIT(CONNECTED) | BIT(READ_ONLY) | BIT(LOST) | BIT(ENDED),
    [REEVE_STATE_LOST] = BIT(CONNECTING) | BIT(ENDED),
    [REEVE_STATE_AUTH_FAILED] = BIT(ENDED),
    [REEVE_STATE_ENDED] = 0,
};

void engine_move(struct engine *e, enum reeve_state to, const char *why)
{
    must(moves[e->state] & (1u << to));
    must(!e->state_untold);
    e->state = to;
    e->state_untold = true;
    snprintf(e->why, sizeof(e->why), "%s", why);
}

void engine_log(struct engine *e, enum reeve_log_level level, const char *fmt, ...)
{
    if (e->options.log) {
        char line[512];
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(line, sizeof(line), fmt, ap);
        va_end(ap);
        e->options.log(e->options.log_ctx, level, line);
    }
}

// ---- begin and end ------------------------------------------------------------------------------

static enum reeve_error set_options(struct engine *e, const struct reeve_options *o)
{
    struct reeve_options *mine = &e->options;
    *mine = *o;
    mine->allocator = e->allocator;
    mine->servers = NULL;
    if (o->session_timeout_ms < 0 || o->request_timeout_ms < 0 || o->close_timeout_ms < 0) {
        engine_log(e, REEVE_LOG_ERROR, "options: a timeout is negative");
        return REEVE_BAD_ARGUMENTS;
    }
    mine->session_timeout_ms = o->session_timeout_ms ? o->session_timeout_ms : SESSION_TIMEOUT_MS;
    mine->close_timeout_ms = o->close_timeout_ms ? o->close_timeout_ms : CLOSE_TIMEOUT_MS;
    mine->request_max = o->request_max ? o->request_max : REQUEST_MAX;
    mine->answer_max = o->answer_max ? o->answer_max : ANSWER_MAX;
    e->id = o->session_id;
    e->full = o->session_id != 0;
    memcpy(e->passwd, o->session_passwd, sizeof(e->passwd));
    return REEVE_OK;
}

static enum reeve_error set_up(struct engine *e, const struct reeve_options *o)
{
    const struct reeve_allocator *a = &e->allocator;
    char why[ENGINE_WHY_MAX] = "";
    e->main = e->probe = -1;
    e->scan_at.ns = INT64_MAX;
    e->dirty = true;
    e->rng = (struct rng){o->seed};
    e->room.allocator = e->auths.allocator = e->restore.allocator = *a;
    enum reeve_error error = set_options(e, o);
    if (error) {
        return error;
    }
    error =
        hosts_init(&e->hosts, a, &e->rng, !o->no_shuffle, o->servers, &e->chroot, why, sizeof(why));
    if (error == REEVE_BAD_ARGUMENTS) {
        engine_log(e, REEVE_LOG_ERROR, "%s", why);
    }
    if (error) {
        return error;
    }
    if (strchr(e->chroot, ',')) { // it is a path, if an odd one
        engine_log(e, REEVE_LOG_WARN, "the chroot is \"%.200s\": it stands behind the last server",
                   e->chroot);
    }
    if (!port_in_init(&e->in, a) || !port_out_init(&e->out, a)) {
        return REEVE_NO_MEMORY;
    }
    return watchers_new(a, rng_next(&e->rng), &e->watches);
}

enum reeve_error engine_new(struct engine **out, const struct reeve_options *o)
{
    must(o->seed);
    struct reeve_allocator a = alloc_of(o);
    struct engine *e = alloc_zero(&a, sizeof(*e));
    *out = NULL;
    if (!e) {
        return REEVE_NO_MEMORY;
    }
    e->allocator = a;
    enum reeve_error error = set_up(e, o);
    if (error) {
        engine_free(&e);
        return error;
    }
    *out = e;
    return REEVE_OK;
}

static void free_calls(struct call_list *l)
{
    for (struct call *c = call_list_take(l); c; c = call_list_take(l)) {
        call_free(&c);
    }
}

void engine_free(struct engine **p)
{
    struct engine *e = *p;
    if (!e) {
        return;
    }
    struct reeve_allocator a = e->allocator;
    watchers_free(&e->watches); // before the calls that have asked for some
    free_calls(&e->queue);
    free_calls(&e->sent);
    free_calls(&e->failed);
    if (e->answered) {
        call_free(&e->answered);
    }
    auths_fini(&e->auths);
    restore_drop(&e->restore);
    answer_room_fini(&e->room);
    hosts_fini(&e->hosts);
    if (e->in.p) {
        port_in_fini(&e->in);
    }
    if (e->out.p) {
        port_out_fini(&e->out);
    }
    alloc_put(&a, e->chroot);
    alloc_put(&a, e->scratch);
    alloc_put(&a, e);
    *p = NULL;
}

// ---- steps --------------------------------------------------------------------------------------

void engine_lose(struct engine *e, enum reeve_state to, enum reeve_error error, const char *why)
{
    char text[ENGINE_WHY_MAX];
    snprintf(text, sizeof(text), "%s", why);
    if (text[0]) {
        engine_log(e, REEVE_LOG_WARN, "%s", text);
    }
    links_cut_all(e);
    e->alive = false;
    e->leaving = false;
    engine_move(e, to, text);
    calls_fail_all(e, error, text);
    watchers_end(e->watches, error);
    e->watches_due = true;
}

// A new session begins behind one that was lost.
static void begin_again(struct engine *e)
{
    e->id = 0;
    memset(e->passwd, 0, sizeof(e->passwd));
    e->zxid = 0;
    e->full = false;
    e->renewed = false;
    e->beat.timeout_ms = 0;
    engine_move(e, REEVE_STATE_CONNECTING, "");
}

static bool is_idle(const struct engine *e)
{
    for (const struct auth *x = e->auths.first; x; x = x->next) {
        if (x->call) {
            return false;
        }
    }
    return !e->queue.first && !e->sent.first && port_out_is_empty(&e->out);
}

// A session that was not ended yet can be ended by any server.
bool engine_seeks_end(const struct engine *e)
{
    return e->closing && e->close_end_session && !e->close_sent && e->alive;
}

static bool advance_close(struct engine *e)
{
    if (!e->close_asked || e->state == REEVE_STATE_ENDED) {
        return false;
    }
    if (!e->closing) {
        e->closing = true;
        e->leaving = false;
        e->close_by = mono_add_ms(e->now, e->options.close_timeout_ms);
    }
    bool up = e->main >= 0 && e->links[e->main].use == LINK_SESSION;
    bool done = !e->close_end_session && is_idle(e);
    if (done || !(up || engine_seeks_end(e)) || e->now.ns >= e->close_by.ns) {
        engine_lose(e, REEVE_STATE_ENDED, REEVE_CLOSED, "");
        return true;
    }
    return false;
}

static bool advance_session(struct engine *e)
{
    if (e->now.ns >= engine_lost_at(e).ns) {
        char why[ENGINE_WHY_MAX];
        snprintf(why, sizeof(why), "no request was answered for %d ms",
                 (int)mono_diff_ms(e->now, e->beat.proven));
        if (e->beat.timeout_ms >= ENGINE_SETTLED_MS) { // who grants less must not be hurried
            hosts_settled(&e->hosts);
            e->dial_after = e->now;
        }
        engine_lose(e, REEVE_STATE_LOST, REEVE_SESSION_EXPIRED, why);
        return true;
    }
    if (e->state == REEVE_STATE_LOST && !e->options.one_session && !e->close_asked) {
        begin_again(e);
        return true;
    }
    return false;
}

// One step. False: there is nothing to be done.
static bool engine_advance(struct engine *e)
{
    port_in_release(&e->in);
    if (e->state == REEVE_STATE_ENDED) {
        return false;
    }
    return advance_session(e) || links_read(e) || advance_close(e) || links_advance(e) ||
           calls_expire(e);
}

// ---- telling ------------------------------------------------------------------------------------

static bool tell_state(struct engine *e, struct engine_happening *h)
{
    if (!e->state_untold) {
        return false;
    }
    e->state_untold = false;
    h->type = ENGINE_STATE;
    engine_get_session(e, &h->session);
    return true;
}

static bool tell_watch(struct engine *e, struct engine_happening *h)
{
    if (!e->watches_due) {
        return false;
    }
    e->watches_due = watchers_next(e->watches, &h->watch, &h->event);
    if (e->watches_due) {
        h->type = ENGINE_WATCH;
        h->event.path = answer_below_chroot(e->chroot, h->event.path);
    }
    return e->watches_due;
}

static bool tell(struct engine *e, struct engine_happening *h)
{
    return tell_state(e, h) || calls_tell(e, h) || tell_watch(e, h) || links_tell(e, h);
}

bool engine_next(struct engine *e, struct engine_happening *h)
{
    do {
        if (tell(e, h)) {
            return true;
        }
    } while (engine_advance(e));
    if (e->state == REEVE_STATE_ENDED && !e->over_told) {
        e->over_told = true;
        h->type = ENGINE_OVER;
        return true;
    }
    h->type = ENGINE_NOTHING;
    e->dirty = false;
    return false;
}

// ---- in and out ---------------------------------------------------------------------------------

void engine_set_now(struct engine *e, struct mono now)
{
    must(now.ns >= e->now.ns);
    e->now = now;
}

struct mono engine_lost_at(const struct engine *e)
{
    return e->alive ? heartbeat_lost_at(&e->beat) : (struct mono){INT64_MAX};
}

struct mono engine_deadline(const struct engine *e)
{
    if (e->dirty) {
        return e->now;
    }
    struct mono at = {INT64_MAX};
    if (e->state == REEVE_STATE_ENDED) {
        return at;
    }
    at = links_deadline(e);
    if (engine_lost_at(e).ns < at.ns) {
        at = engine_lost_at(e);
    }
    if (e->closing && e->close_by.ns < at.ns) {
        at = e->close_by;
    }
    return e->scan_at.ns < at.ns ? e->scan_at : at;
}

enum reeve_error engine_set_servers(struct engine *e, const char *servers)
{
    char why[ENGINE_WHY_MAX];
    bool move = false;
    const struct link *l = e->main >= 0 ? &e->links[e->main] : NULL;
    bool up = l && l->use == LINK_SESSION;
    enum reeve_error error = hosts_update(&e->hosts, servers, up ? l->name : NULL, up ? l->port : 0,
                                          &move, why, sizeof(why));
    if (error == REEVE_BAD_ARGUMENTS) {
        engine_log(e, REEVE_LOG_ERROR, "%s", why);
    }
    if (error) {
        return error;
    }
    e->dirty = true;
    if (!up) {
        links_cut_all(e);
        e->dial_after = e->now;
        return REEVE_OK;
    }
    e->leaving = move; // a list before this one may have said otherwise
    if (move) {
        snprintf(e->leaving_why, sizeof(e->leaving_why),
                 "leaving %.100s for the new list of servers", e->server);
    }
    return REEVE_OK;
}

void engine_close(struct engine *e, bool end_session)
{
    if (!e->close_asked) {
        e->dirty = true;
        e->close_asked = true;
        e->close_end_session = end_session;
    }
}

void engine_get_session(const struct engine *e, struct reeve_session *s)
{
    *s = (struct reeve_session){.state = e->state,
                                .id = e->id,
                                .timeout_ms = e->beat.timeout_ms,
                                .zxid = e->zxid,
                                .renewed = e->renewed && e->state == REEVE_STATE_CONNECTED,
                                .server = e->server,
                                .why = e->why};
    memcpy(s->passwd, e->passwd, sizeof(s->passwd));
}

const char *engine_chroot(const struct engine *e)
{
    return e->chroot;
}

// ---- invariants ---------------------------------------------------------------------------------

static void check_list(const struct call_list *l)
{
    size_t n = 0;
    for (const struct call *c = l->first; c; c = c->next) {
        must(c->next || c == l->last);
        n++;
    }
    must(n == l->n);
    must((l->first == NULL) == (n == 0));
    must(n || !l->last);
}

static void check_links(const struct engine *e)
{
    int dials = 0;
    for (int i = 0; i < ENGINE_LINKS_MAX; i++) {
        const struct link *l = &e->links[i];
        bool main = l->use == LINK_HANDSHAKE || l->use == LINK_SESSION;
        bool probe = l->use == LINK_PROBE_DIAL || l->use == LINK_PROBE;
        must(main == (e->main == i));
        must(probe == (e->probe == i));
        must(!(l->untold || l->use == LINK_CUT) || e->links_untold);
        must(!l->untold || l->use == LINK_DIAL || l->use == LINK_PROBE_DIAL);
        dials += l->use == LINK_DIAL;
    }
    must(dials <= ENGINE_DIALS_MAX);
    must(!dials || e->main < 0);
    must(e->probe < 0 || e->main >= 0);
}

static void check_state(const struct engine *e)
{
    bool up = e->main >= 0 && e->links[e->main].use == LINK_SESSION;
    bool says = e->state == REEVE_STATE_CONNECTED || e->state == REEVE_STATE_READ_ONLY;
    must(up == says);
    must(!says || e->alive);
    must(!e->alive || says || e->state == REEVE_STATE_SUSPENDED);
    must(e->state != REEVE_STATE_SUSPENDED || e->alive);
    must(up || !e->sent.first);
    must(up || !e->restore.first);
    must(up || !e->leaving);
    bool over = e->state == REEVE_STATE_ENDED || e->state == REEVE_STATE_AUTH_FAILED ||
                e->state == REEVE_STATE_LOST;
    must(!over || e->main < 0);
    must(!over || !e->queue.first);
    must(!e->over_told || e->state == REEVE_STATE_ENDED);
    must(e->in.skip == 0 || up);
}

void engine_check(const struct engine *e)
{
    check_list(&e->queue);
    check_list(&e->sent);
    check_list(&e->failed);
    check_links(e);
    check_state(e);
    uint64_t end = 0;
    for (const struct call *c = e->sent.first; c; c = c->next) {
        must(c->sent_end > end);
        must(c->sent_end <= e->out.put);
        must(c->xid > 0);
        must(c->op != REEVE_OP_ADD_AUTH);
        end = c->sent_end;
    }
    for (const struct call *c = e->failed.first; c; c = c->next) {
        must(c->failed != REEVE_OK);
        must(!c->silent);
        must(c->write || !c->maybe_done);
    }
    must(e->out.gone <= e->out.put);
    must(e->out.put - e->out.gone == e->out.end - e->out.start + e->out.direct.n);
    must(e->beat.pings_n <= HEARTBEAT_PINGS_MAX);
    must(e->hosts.n > 0);
}
