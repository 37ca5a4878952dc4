// SPDX-License-Identifier: Apache-2.0
#include "sim/client.h"

#include <inttypes.h>

#include "base/mem.h"
#include "sim/check_tree.h"
#include "sim/guest.h"
#include "sim/host.h"
#include "sim/world.h"
#include "wire/jute.h"

enum {
    CONNECT_PATIENCE_S = 4,
    REPLY_PATIENCE_S = 6, // in the storm; afterwards waiting this long is a failure
    CALM_PATIENCE_S = 12,
    FRAME_MAX = 16 << 20
};

struct client *simclient_new(struct world *w, uint32_t index, enum client_kind kind)
{
    static const int32_t timeouts[] = {1000, 2000, 4000, 9000, 60000, 0, -1};
    struct client *c = mem_zalloc(sizeof(*c));
    c->w = w;
    c->index = index;
    c->chaos = kind == CLIENT_CHAOS;
    c->link = LINK_NONE;
    c->who.client = index;
    c->users = (unsigned)world_below(w, 1 << USERS);
    c->timeout_ms = timeouts[world_below(w, sizeof(timeouts) / sizeof(timeouts[0]))];
    c->depth = 1 + (size_t)world_below(w, world_chance(w, 1, 3) ? 64 : 4);
    // Deep pipelines come in bursts, so that a seed's work stays in bounds.
    c->think_ns = (int64_t)(20 + world_below(w, 300)) * SIM_MS * (int64_t)(1 + c->depth / 4);
    c->watcher.arena = &c->arena;
    if (kind == CLIENT_GUEST) {
        c->timeout_ms = timeouts[world_below(w, 4)];
        c->users = 0;
        c->guest = guest_new(c);
    }
    return c;
}

void simclient_free(struct client **cp)
{
    struct client *c = *cp;
    *cp = NULL;
    if (c->guest) {
        guest_free(&c->guest);
    }
    watcher_fini(&c->watcher);
    arena_fini(&c->arena);
    buf_fini(&c->in);
    mem_free(c->asks);
    mem_free(c->by_xid);
    mem_free(c->sessions);
    mem_free(c);
}

static void set_state(struct client *c, enum client_state s)
{
    c->state = s;
    c->state_since_ns = c->w->now_ns;
}

int64_t client_session(const struct client *c, uint32_t link)
{
    return c->link == link && c->state == CLIENT_LIVE ? c->session : 0;
}

void client_remember(struct client *c, int64_t session)
{
    mem_grow((void **)&c->sessions, &c->sessions_cap, c->sessions_n + 1, sizeof(int64_t));
    c->sessions[c->sessions_n++] = session;
}

// ---- losing the connection -------------------------------------------------------------------

static void put_path(struct client *c, struct slice_vec *v, struct slice path)
{
    if (!v->v) {
        v->v = arena_alloc(&c->arena, c->watcher.n * sizeof(*v->v));
    }
    v->v[v->n++] = path;
}

// The watches of the connection that is gone, to be set again. Which of the two one-shot vectors of
// the data list a path belongs to depends on what the client believes of the node.
static void keep_watches(struct client *c)
{
    struct watcher *t = &c->watcher;
    if (t->n == 0) {
        return;
    }
    struct ask *q = arena_zalloc(&c->arena, sizeof(*q));
    q->type = OP_SET_WATCHES;
    q->path = SLICE_LIT("");
    // An empty vector, not null.
    q->set.data.v = q->set.exist.v = q->set.child.v = NULL;
    for (size_t i = 0; i < t->n; i++) {
        const struct watcher_entry *e = &t->v[i];
        if ((e->modes & WATCHER_STANDARD) && e->child_list) {
            put_path(c, &q->set.child, e->path);
        } else if (e->modes & WATCHER_STANDARD) {
            bool there = model_at(c->w->check->model, e->path, c->last_zxid) != NULL;
            put_path(c, there ? &q->set.data : &q->set.exist, e->path);
        }
        if ((e->modes & WATCHER_PERSISTENT) && !e->child_list) {
            put_path(c, &q->set.persistent, e->path);
        }
        if (e->modes & WATCHER_RECURSIVE) {
            put_path(c, &q->set.persistent_recursive, e->path);
        }
        if (e->modes & (WATCHER_PERSISTENT | WATCHER_RECURSIVE)) {
            q->type = OP_SET_WATCHES2;
        }
    }
    c->restore = q;
}

static void lose(struct client *c)
{
    if (c->state == CLIENT_LIVE) {
        keep_watches(c);
    }
    for (; c->first < c->asks_n; c->first++) {
        c->asks[c->first]->state = ASK_LOST;
    }
    watcher_reset(&c->watcher);
    buf_clear(&c->in);
    c->link = LINK_NONE;
    set_state(c, CLIENT_IDLE);
}

void client_hang_up(struct client *c)
{
    uint32_t link = c->link;
    if (link != LINK_NONE) {
        report_line(&c->w->report, "client %u hangs up", c->index);
        lose(c);
        net_client_close(c->w, link);
    }
}

void client_drop(struct client *c)
{
    report_line(&c->w->report, "client %u forgets its connection", c->index);
    lose(c);
}

void client_on_closed(struct client *c, uint32_t link)
{
    if (link == c->link) {
        report_line(&c->w->report, "client %u: connection closed", c->index);
        lose(c);
    }
    if (c->guest) {
        guest_on_closed(c, link);
    }
}

void client_forget_session(struct client *c)
{
    c->session = 0;
    c->last_zxid = 0;
    c->asked_hosts = 0;
    c->closing = false;
    c->restore = NULL;
}

// ---- handshake -------------------------------------------------------------------------------

static void connect(struct client *c)
{
    if (c->closing) {
        client_forget_session(c); // it asked for the end; whether it got it, the log will tell
    }
    c->host = (uint32_t)world_below(c->w, c->w->hosts_n);
    c->link = net_connect(c->w, c->index, c->host, PORT_CLIENT);
    if (c->link != LINK_NONE) {
        set_state(c, CLIENT_CONNECTING);
    }
}

void client_note_hello(struct client *c, uint32_t link, uint32_t host, int64_t last_zxid)
{
    c->link = link;
    c->host = host;
    c->last_zxid = last_zxid;
    c->asked_hosts |= 1u << host;
    c->hello_zxid = c->w->hosts[host]->trail.zxid;
    report_line(&c->w->report, "client %u: hello, session 0x%" PRIx64 " seen 0x%" PRIx64, c->index,
                (uint64_t)c->session, (uint64_t)last_zxid);
    c->last_sent_ns = c->w->now_ns;
    set_state(c, CLIENT_GREETING);
}

void client_on_connected(struct client *c, uint32_t link)
{
    if (c->guest) {
        guest_on_connected(c, link);
        return;
    }
    if (link != c->link) {
        return;
    }
    if (c->chaos && chaos_greet(c)) {
        return;
    }
    struct buf b = {0};
    uint8_t passwd[sizeof(c->passwd)];
    memcpy(passwd, c->passwd, sizeof(passwd));
    c->bad_passwd = c->session && world_chance(c->w, 1, 12);
    passwd[world_below(c->w, sizeof(passwd))] ^= c->bad_passwd;
    struct connect_request r = {0, c->last_zxid, c->timeout_ms, c->session,
                                slice_of(passwd, sizeof(passwd))};
    buf_put_i32(&b, 0);
    jute_put_record(&b, &record_connect_request, &r);
    if (world_chance(c->w, 2, 3)) {
        jute_put_bool(&b, false);
    }
    be32_put(b.p, (uint32_t)b.n - 4);
    client_note_hello(c, link, c->host, c->last_zxid);
    net_client_send(c->w, link, buf_slice(&b));
    buf_fini(&b);
}

static void on_refused_session(struct client *c)
{
    struct model_session *s = model_session(c->w->check->model, c->session);
    if (c->bad_passwd) {
        client_hang_up(c); // the session is none the worse for it
        return;
    }
    report_line(&c->w->report, "client %u: session 0x%" PRIx64 " is gone", c->index,
                (uint64_t)c->session);
    if (c->session == 0) {
        report_fail(&c->w->report, "client %u asked for a new session and is told it is gone",
                    c->index);
    } else if (s && !s->closed) {
        s->said_dead = true; // its close must be on the way: a crash may still lose it
    }
    client_forget_session(c);
    if (!c->guest) {
        client_hang_up(c);
    }
}

static void on_session(struct client *c, const struct connect_response *r)
{
    struct world *w = c->w;
    const struct model_session *s = model_session(w->check->model, r->session_id);
    int32_t want = c->timeout_ms < 1000 ? 1000 : c->timeout_ms > 10000 ? 10000 : c->timeout_ms;
    if (r->timeout_ms != want) {
        report_fail(&w->report, "client %u asked for %d ms and got %d", c->index, c->timeout_ms,
                    r->timeout_ms);
    }
    if (c->bad_passwd) {
        report_fail(&w->report, "client %u got session 0x%" PRIx64 " with a wrong password",
                    c->index, (uint64_t)r->session_id);
    }
    if (c->session && r->session_id != c->session) {
        report_fail(&w->report, "client %u asked for session 0x%" PRIx64 " and got 0x%" PRIx64,
                    c->index, (uint64_t)c->session, (uint64_t)r->session_id);
    }
    if (!s) {
        report_fail(&w->report, "client %u got session 0x%" PRIx64 ", which the log does not have",
                    c->index, (uint64_t)r->session_id);
    } else if (s->closed && s->closed <= c->hello_zxid) {
        report_fail(&w->report, "client %u got session 0x%" PRIx64 ", closed at 0x%" PRIx64,
                    c->index, (uint64_t)s->id, (uint64_t)s->closed);
    }
    if (!c->session) {
        client_remember(c, r->session_id);
    }
    c->session = r->session_id;
    memcpy(c->passwd, r->passwd.p, sizeof(c->passwd));
    report_line(&w->report, "client %u has session 0x%" PRIx64 " at host %u", c->index,
                (uint64_t)c->session, c->host);
    set_state(c, CLIENT_LIVE);
    c->live_since_ns = w->now_ns;
    c->who.users = 0;
}

// What Java and C clients send first: identities, then the watches.
static void say_who(struct client *c)
{
    for (uint32_t u = 0; u < USERS; u++) {
        if (c->users & 1u << u) {
            struct ask *q = client_ask(c, OP_AUTH);
            q->xid = XID_AUTH;
            q->path = SLICE_LIT("digest");
            q->data = slice_str(acls_user(u));
            client_send(c, q);
            c->who.users |= 1u << u;
        }
    }
    c->watcher.who = c->who;
    if (c->restore) {
        struct ask *q = client_ask(c, c->restore->type);
        q->xid = XID_SET_WATCHES;
        q->path = SLICE_LIT("");
        q->set = c->restore->set;
        q->set.relative_zxid = c->last_zxid;
        c->restore = NULL;
        client_send(c, q);
    }
}

static void on_greeting(struct client *c, struct slice frame)
{
    struct arena a = {0};
    struct jute_in in = jute_in(frame, FRAME_MAX);
    struct connect_response r;
    jute_get_record(&in, &record_connect_response, &r, &a);
    if (in.err || r.passwd.n != sizeof(c->passwd) || frame.n < 36 || frame.n > 37) {
        report_fail(&c->w->report, "client %u cannot read the connect response (%zu bytes)",
                    c->index, frame.n);
    } else if (r.session_id == 0) {
        on_refused_session(c);
    } else {
        on_session(c, &r);
        if (!c->chaos && !c->guest) {
            say_who(c);
        }
    }
    arena_fini(&a);
}

// Whole frames go through the checkers.
static void read_frames(struct client *c, uint32_t link, struct slice bytes)
{
    buf_put_slice(&c->in, bytes);
    size_t at = 0;
    while (c->link == link && c->in.n - at >= 4 && !c->w->report.failed) {
        uint32_t n = be32_get(c->in.p + at);
        if (n > FRAME_MAX) {
            report_fail(&c->w->report, "client %u gets a frame of %u bytes", c->index, n);
            return;
        }
        if (c->in.n - at - 4 < n) {
            break;
        }
        struct slice frame = slice_of(c->in.p + at + 4, n);
        at += 4 + n;
        if (c->state == CLIENT_GREETING) {
            on_greeting(c, frame);
        } else if (c->state == CLIENT_LIVE) {
            check_order_frame(c, frame);
        }
    }
    buf_consume(&c->in, at < c->in.n ? at : c->in.n);
}

void client_on_data(struct client *c, uint32_t link, struct slice bytes)
{
    if (link == c->link && !(c->chaos && c->state != CLIENT_GREETING)) {
        read_frames(c, link, bytes);
    }
    if (c->guest) {
        guest_on_data(c, link, bytes);
    }
}

// ---- asking ----------------------------------------------------------------------------------

struct ask *client_ask(struct client *c, int32_t type)
{
    struct ask *q = arena_zalloc(&c->arena, sizeof(*q));
    q->type = type;
    q->path = SLICE_NULL;
    q->version = -1;
    return q;
}

void client_note_ask(struct client *c, struct ask *q)
{
    struct world *w = c->w;
    q->session = c->session;
    q->who = c->who;
    q->sent_ns = w->now_ns;
    q->sent_zxid = w->hosts[c->host]->trail.zxid;
    q->after_zxid = w->check->answered;
    for (int32_t i = 0; i < q->parts_n; i++) {
        q->parts[i].who = q->who;
        q->parts[i].session = q->session;
    }
    if (q->xid == 0) {
        q->xid = (int32_t)c->by_xid_n + 1;
    }
    if (q->xid > 0) {
        mem_grow((void **)&c->by_xid, &c->by_xid_cap, (size_t)q->xid, sizeof(struct ask *));
        while (c->by_xid_n < (size_t)q->xid) {
            c->by_xid[c->by_xid_n++] = NULL;
        }
        c->by_xid[q->xid - 1] = q;
    }
    mem_grow((void **)&c->asks, &c->asks_cap, c->asks_n + 1, sizeof(struct ask *));
    c->asks[c->asks_n++] = q;
    if (!w->report.silent) {
        char text[160];
        ask_fmt(q, text, sizeof(text));
        report_line(&w->report, "client %u asks %s", c->index, text);
    }
    w->fig.requests++;
    c->last_sent_ns = w->now_ns;
    c->closing |= q->type == OP_CLOSE_SESSION;
}

void client_send(struct client *c, struct ask *q)
{
    client_note_ask(c, q);
    if (c->w->opt.plant == PLANT_LOST_REQUEST && world_chance(c->w, 1, 40)) {
        return;
    }
    struct buf b = {0};
    ask_encode(q, &b);
    net_client_send(c->w, c->link, buf_slice(&b));
    buf_fini(&b);
}

static int64_t ping_after_ns(const struct client *c)
{
    int32_t ms = c->timeout_ms < 1000 ? 1000 : c->timeout_ms > 9000 ? 9000 : c->timeout_ms;
    return ms * SIM_MS / 3;
}

static void ask_some(struct client *c)
{
    struct world *w = c->w;
    c->next_work_ns = w->now_ns + world_delay(w, c->think_ns);
    if (c->chaos) {
        chaos_say(c);
        return;
    }
    size_t waiting = c->asks_n - c->first;
    size_t n = waiting < c->depth ? 1 + (size_t)world_below(w, c->depth - waiting) : 0;
    for (size_t i = 0; i < n && !c->closing; i++) {
        client_send(c, load_next(c));
    }
}

static void work(struct client *c)
{
    struct world *w = c->w;
    if (w->now_ns >= c->next_work_ns) {
        ask_some(c);
    }
    bool quiet = w->now_ns - c->last_sent_ns > ping_after_ns(c);
    if (c->link != LINK_NONE && !c->chaos && quiet && !c->closing) {
        struct ask *q = client_ask(c, OP_PING);
        q->xid = XID_PING;
        client_send(c, q);
    }
}

// Patience in the storm is a new connection; in the calm there is nothing to be patient for.
static void mind_patience(struct client *c)
{
    struct world *w = c->w;
    bool calm = w->phase == PHASE_CALM && w->now_ns - w->faults.healed_ns > CALM_PATIENCE_S * SIM_S;
    int64_t since = c->state_since_ns;
    int64_t patience = CONNECT_PATIENCE_S * SIM_S;
    if (c->state == CLIENT_LIVE) {
        if (c->first == c->asks_n) {
            return;
        }
        since = c->asks[c->first]->sent_ns;
        patience = REPLY_PATIENCE_S * SIM_S;
    }
    if (w->now_ns - since <= patience) {
        return;
    }
    if (calm && since > w->faults.healed_ns + CALM_PATIENCE_S * SIM_S / 2 && !c->chaos) {
        report_fail(&w->report,
                    "client %u has waited %" PRId64 " ms for %s, and nothing is wrong any more",
                    c->index, (w->now_ns - since) / SIM_MS,
                    c->state == CLIENT_LIVE ? "a reply" : "a session");
    }
    client_hang_up(c);
}

void client_tick(struct client *c)
{
    struct world *w = c->w;
    if (c->guest) {
        guest_tick(c);
        return;
    }
    bool leave = w->phase >= PHASE_DRAIN;
    if (c->state == CLIENT_IDLE) {
        if (!leave && !c->left) {
            connect(c);
        }
    } else {
        mind_patience(c);
    }
    if (c->state == CLIENT_LIVE && leave && !c->left) {
        c->left = true;
        if (world_chance(w, 1, 2) && !c->closing && !c->chaos) {
            client_send(c, client_ask(c, OP_CLOSE_SESSION));
        } else {
            client_hang_up(c);
        }
    } else if (c->state == CLIENT_LIVE && !leave) {
        work(c);
        if (c->state == CLIENT_LIVE && world_chance(w, 1, 300)) {
            if (world_chance(w, 1, 2)) {
                client_drop(c);
            } else {
                client_hang_up(c);
            }
            if (world_chance(w, 1, 3)) {
                client_forget_session(c); // leaves it to expire
            }
        }
    }
    int64_t in = world_delay(w, c->think_ns), most = ping_after_ns(c) / 2;
    world_later(w, (in < most ? in : most) + SIM_MS,
                (struct sched_event){.kind = SCHED_CLIENT, .a = c->index});
}

struct ask *clients_find(struct world *w, int64_t session, int32_t cxid)
{
    for (uint32_t i = 0; i < w->clients_n; i++) {
        struct client *c = w->clients[i];
        struct ask *q = cxid > 0 && (size_t)cxid <= c->by_xid_n ? c->by_xid[cxid - 1] : NULL;
        if (q && q->session == session) {
            return q;
        }
    }
    return NULL;
}

bool clients_chaos(struct world *w, int64_t session)
{
    for (uint32_t i = 0; i < w->clients_n; i++) {
        for (size_t k = 0; k < w->clients[i]->sessions_n; k++) {
            if (w->clients[i]->sessions[k] == session) {
                return w->clients[i]->chaos;
            }
        }
    }
    return false;
}
