// SPDX-License-Identifier: Apache-2.0
//
// Tables of peers and connections are short and walked: an ensemble has a handful of both, and a
// message goes out a few times in an election.
#include "fle/links.h"

#include "base/must.h"

struct conn {
    uint32_t id;
    bool hello; // its initial message is awaited until the deadline
    int64_t sid;
    struct mono deadline;
    struct buf in; // the start of a message
};

struct peer {
    int64_t sid;
    bool up;   // conn is its connection
    bool busy; // something written has not left yet
    uint32_t conn;
    uint64_t dial; // 0: none in flight
    struct mono dial_deadline;
    struct buf dial_text; // where to, to tell one dial from another
    bool waits, spoken;   // whether there is a message in `next`, in `last`
    uint8_t tries;        // how often the last SEND may be tried again; nothing has come since
    bool retry;           // at retry_at, if it is not up by then
    struct mono retry_at;
    struct buf next, last;
};

struct links {
    struct links_settings settings;
    struct members *committed, *last_seen;
    struct buf hello; // the own initial message
    struct peer *peers;
    size_t peers_n, peers_cap;
    struct conn *conns;
    size_t conns_n, conns_cap;
    uint64_t dials;     // the last name given to a dial
    int64_t anonymous;  // the last sid given to a dialer without one
    struct arena arena; // what this step's actions point to
    struct links_action *actions;
    size_t actions_n, actions_cap;
};

struct links *links_new(const struct links_settings *s)
{
    must(s->sid >= 0);
    must(s->dial_ms > 0);
    must(s->hello_ms > 0);
    struct links *l = mem_zalloc(sizeof(*l));
    l->settings = *s;
    return l;
}

static void fini_peer(struct peer *p)
{
    buf_fini(&p->dial_text);
    buf_fini(&p->next);
    buf_fini(&p->last);
}

void links_free(struct links **l)
{
    if (!*l) {
        return;
    }
    for (size_t i = 0; i < (*l)->peers_n; i++) {
        fini_peer(&(*l)->peers[i]);
    }
    for (size_t i = 0; i < (*l)->conns_n; i++) {
        buf_fini(&(*l)->conns[i].in);
    }
    members_free(&(*l)->committed);
    members_free(&(*l)->last_seen);
    buf_fini(&(*l)->hello);
    arena_fini(&(*l)->arena);
    mem_free((*l)->peers);
    mem_free((*l)->conns);
    mem_free((*l)->actions);
    mem_free(*l);
    *l = NULL;
}

static void act(struct links *l, struct links_action a)
{
    mem_grow((void **)&l->actions, &l->actions_cap, l->actions_n + 1, sizeof(*l->actions));
    l->actions[l->actions_n++] = a;
}

// ---- tables -------------------------------------------------------------------------------------

static struct peer *find_peer(const struct links *l, int64_t sid)
{
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].sid == sid) {
            return &l->peers[i];
        }
    }
    return NULL;
}

static struct conn *find_conn(const struct links *l, uint32_t id)
{
    for (size_t i = 0; i < l->conns_n; i++) {
        if (l->conns[i].id == id) {
            return &l->conns[i];
        }
    }
    return NULL;
}

static bool is_member(const struct links *l, int64_t sid)
{
    return (l->committed && members_find(l->committed, sid)) ||
           (l->last_seen && members_find(l->last_seen, sid));
}

// Strangers that are not connected make room.
static void drop_idle_peers(struct links *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->peers_n; i++) {
        struct peer *p = &l->peers[i];
        if (p->up || p->dial || is_member(l, p->sid)) {
            l->peers[kept++] = *p;
        } else {
            fini_peer(p);
        }
    }
    l->peers_n = kept;
}

// NULL: too many. Pointers to peers are good until the next call of this.
static struct peer *want_peer(struct links *l, int64_t sid)
{
    struct peer *p = find_peer(l, sid);
    if (p) {
        return p;
    }
    if (l->peers_n == LINKS_PEERS_MAX) {
        drop_idle_peers(l);
    }
    if (l->peers_n == LINKS_PEERS_MAX) {
        return NULL;
    }
    mem_grow((void **)&l->peers, &l->peers_cap, l->peers_n + 1, sizeof(*l->peers));
    l->peers[l->peers_n] = (struct peer){.sid = sid};
    return &l->peers[l->peers_n++];
}

static struct conn *add_conn(struct links *l, uint32_t id)
{
    must(!find_conn(l, id));
    mem_grow((void **)&l->conns, &l->conns_cap, l->conns_n + 1, sizeof(*l->conns));
    l->conns[l->conns_n] = (struct conn){.id = id};
    return &l->conns[l->conns_n++];
}

static void forget_conn(struct links *l, uint32_t id)
{
    struct conn *c = find_conn(l, id);
    must(c);
    buf_fini(&c->in);
    size_t at = (size_t)(c - l->conns);
    memmove(c, c + 1, (l->conns_n - at - 1) * sizeof(*c)); // in order of age
    l->conns_n--;
}

static void close_conn(struct links *l, uint32_t id)
{
    forget_conn(l, id);
    act(l, (struct links_action){.type = LINKS_CLOSE, .conn = id});
}

static void disconnect(struct links *l, struct peer *p)
{
    if (p->up) {
        close_conn(l, p->conn);
        p->up = false;
        p->busy = false;
    }
}

// ---- dialing ------------------------------------------------------------------------------------

static void undial(struct links *l, struct peer *p)
{
    if (p->dial) {
        act(l, (struct links_action){.type = LINKS_UNDIAL, .dial = p->dial});
        p->dial = 0;
    }
}

struct target {
    struct note_addr *addrs;
    size_t n;
};

static void add_addr(struct links *l, struct target *t, struct note_addr a)
{
    for (size_t i = 0; i < t->n; i++) {
        if (slice_eq(t->addrs[i].host, a.host) && t->addrs[i].port == a.port) {
            return;
        }
    }
    if (t->n < LINKS_DIAL_ADDRS_MAX) {
        a.host = arena_copy(&l->arena, a.host);
        t->addrs[t->n++] = a;
    }
}

static struct target no_target(struct links *l)
{
    return (struct target){arena_alloc(&l->arena, LINKS_DIAL_ADDRS_MAX * sizeof(struct note_addr)),
                           0};
}

// Where the memberships say a server listens, the committed one first.
static struct target configured(struct links *l, int64_t sid)
{
    struct target t = no_target(l);
    const struct members *of[] = {l->committed, l->last_seen};
    for (size_t c = 0; c < 2; c++) {
        const struct member *m = of[c] ? members_find(of[c], sid) : NULL;
        for (size_t i = 0; m && i < m->addrs_n; i++) {
            add_addr(l, &t, (struct note_addr){m->addrs[i].host, m->addrs[i].election_port});
        }
    }
    return t;
}

static struct target named(struct links *l, const struct note_hello *h)
{
    struct target t = no_target(l);
    for (size_t i = 0; i < h->addrs_n; i++) {
        add_addr(l, &t, h->addrs[i]);
    }
    return t;
}

// One dial at a time: another one to the same place goes on, one to an older place is given up.
static void dial(struct links *l, struct peer *p, struct target t, struct mono now)
{
    struct buf text = {0};
    for (size_t i = 0; i < t.n; i++) {
        buf_fmt(&text, "%.*s %u\n", SLICE_ARG(t.addrs[i].host), t.addrs[i].port);
    }
    if (t.n && !(p->dial && slice_eq(buf_slice(&text), buf_slice(&p->dial_text)))) {
        undial(l, p);
        p->dial = ++l->dials;
        p->dial_deadline = mono_add_ms(now, l->settings.dial_ms);
        buf_clear(&p->dial_text);
        buf_put_slice(&p->dial_text, buf_slice(&text));
        act(l, (struct links_action){.type = LINKS_DIAL,
                                     .dial = p->dial,
                                     .sid = p->sid,
                                     .addrs = t.addrs,
                                     .addrs_n = t.n});
    }
    buf_fini(&text);
}

static void retry_later(struct peer *p, struct mono now)
{
    p->retry = p->tries > 0;
    p->retry_at = mono_add_ms(now, LINKS_RETRY_MS);
}

static void dial_failed(struct links *l, struct peer *p)
{
    p->dial = 0;
    act(l, (struct links_action){.type = LINKS_DOWN, .sid = p->sid});
}

// ---- sending ------------------------------------------------------------------------------------

static void write_frame(struct links *l, struct peer *p, struct slice bytes)
{
    must(p->up);
    must(!p->busy);
    uint8_t *frame = arena_alloc(&l->arena, 4 + bytes.n);
    be32_put(frame, (uint32_t)bytes.n);
    memcpy(frame + 4, bytes.p, bytes.n);
    act(l, (struct links_action){
               .type = LINKS_WRITE, .conn = p->conn, .bytes = slice_of(frame, 4 + bytes.n)});
    p->busy = true;
}

static void write_next(struct links *l, struct peer *p)
{
    if (p->up && p->waits && !p->busy) {
        struct buf sent = p->last;
        p->last = p->next;
        p->next = sent;
        p->waits = false;
        p->spoken = true;
        write_frame(l, p, buf_slice(&p->last));
    }
}

// Java's SendWorker.run: a new connection begins with what waits, or the last message once more.
static void come_up(struct links *l, struct peer *p, uint32_t conn)
{
    disconnect(l, p);
    p->retry = false;
    p->up = true;
    p->conn = conn;
    p->busy = false;
    if (!p->waits && p->spoken) {
        write_frame(l, p, buf_slice(&p->last));
    }
    write_next(l, p);
}

static void on_send(struct links *l, const struct links_event *ev)
{
    must(ev->send.sid != l->settings.sid);
    must(ev->send.bytes.n >= 1);
    must(ev->send.bytes.n <= NOTE_FRAME_MAX);
    struct peer *p = want_peer(l, ev->send.sid);
    if (!p) {
        return; // thousands of strangers: this one asks again
    }
    buf_clear(&p->next);
    buf_put_slice(&p->next, ev->send.bytes);
    p->waits = true;
    p->tries = p->up ? 2 : 1;
    write_next(l, p);
    if (!p->up && !p->dial) {
        dial(l, p, configured(l, p->sid), ev->now);
    }
}

// ---- connections --------------------------------------------------------------------------------

static void on_accepted(struct links *l, const struct links_event *ev)
{
    size_t waiting = 0;
    uint32_t oldest = 0;
    for (size_t i = l->conns_n; i-- > 0;) {
        waiting += l->conns[i].hello;
        oldest = l->conns[i].hello ? l->conns[i].id : oldest;
    }
    if (waiting == LINKS_HELLOS_MAX) {
        close_conn(l, oldest);
    }
    struct conn *c = add_conn(l, ev->conn);
    c->hello = true;
    c->deadline = mono_add_ms(ev->now, l->settings.hello_ms);
}

static struct peer *find_dial(const struct links *l, uint64_t d)
{
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].dial == d) {
            return &l->peers[i];
        }
    }
    return NULL;
}

// Java's QuorumCnxManager.startConnection.
static void on_dialed(struct links *l, const struct links_event *ev)
{
    must(ev->dial != 0);
    struct peer *p = find_dial(l, ev->dial);
    if (!p || l->hello.n == 0) {
        act(l, (struct links_action){.type = LINKS_CLOSE, .conn = ev->conn});
        return;
    }
    p->dial = 0;
    act(l, (struct links_action){.type = LINKS_WRITE,
                                 .conn = ev->conn,
                                 .bytes = arena_copy(&l->arena, buf_slice(&l->hello))});
    if (l->settings.sid < p->sid) {
        act(l, (struct links_action){.type = LINKS_CLOSE, .conn = ev->conn});
        retry_later(p, ev->now); // in case it does not dial back
        return;
    }
    add_conn(l, ev->conn)->sid = p->sid;
    come_up(l, p, ev->conn);
}

static size_t stranger_dials(const struct links *l)
{
    size_t n = 0;
    for (size_t i = 0; i < l->peers_n; i++) {
        n += l->peers[i].dial && !is_member(l, l->peers[i].sid);
    }
    return n;
}

// A smaller server wants to be dialed. What connects us now is from before its restart.
static void dial_back(struct links *l, struct conn *c, const struct note_hello *h, struct mono now)
{
    int64_t sid = h->sid == NOTE_ANONYMOUS ? --l->anonymous : h->sid;
    struct target t = h->addrs_n ? named(l, h) : configured(l, sid);
    close_conn(l, c->id); // and what h points to
    if (!is_member(l, sid) && stranger_dials(l) >= LINKS_STRANGER_DIALS_MAX) {
        return;
    }
    struct peer *p = want_peer(l, sid);
    if (p) {
        disconnect(l, p);
        dial(l, p, t, now);
    }
}

// Java's QuorumCnxManager.handleConnection. False: the connection is gone.
static bool on_hello(struct links *l, struct conn *c, struct mono now)
{
    struct note_hello h;
    enum err e = note_hello_decode(buf_slice(&c->in), &h);
    if (e == ERR_CUT) {
        return false;
    }
    if (e || h.sid < 0 || h.sid == l->settings.sid) {
        close_conn(l, c->id);
        return false;
    }
    if (h.sid < l->settings.sid || h.sid == NOTE_ANONYMOUS) {
        dial_back(l, c, &h, now);
        return false;
    }
    struct peer *p = want_peer(l, h.sid);
    if (!p) {
        close_conn(l, c->id);
        return false;
    }
    uint32_t id = c->id;
    undial(l, p); // it has heard of us
    c->hello = false;
    c->sid = h.sid;
    buf_consume(&c->in, h.bytes);
    come_up(l, p, id); // may move c
    return true;
}

static void read_frames(struct links *l, uint32_t id)
{
    struct conn *c = find_conn(l, id);
    struct slice rest = buf_slice(&c->in), body;
    size_t bytes;
    enum err e;
    while ((e = note_frame(rest, &body, &bytes)) == ERR_OK) {
        act(l, (struct links_action){
                   .type = LINKS_DELIVER, .sid = c->sid, .bytes = arena_copy(&l->arena, body)});
        struct peer *p = find_peer(l, c->sid);
        if (p) {
            p->tries = 0;
        }
        rest = slice_skip(rest, bytes);
    }
    buf_consume(&c->in, c->in.n - rest.n);
    struct peer *p = find_peer(l, c->sid);
    if (e != ERR_CUT) {
        disconnect(l, p);
    }
}

static void on_data(struct links *l, const struct links_event *ev)
{
    struct conn *c = find_conn(l, ev->conn);
    if (!c) {
        return; // closed by us in the meantime
    }
    buf_put_slice(&c->in, ev->data);
    if (!c->hello || on_hello(l, c, ev->now)) {
        read_frames(l, ev->conn);
    }
}

static void on_drained(struct links *l, uint32_t id)
{
    struct conn *c = find_conn(l, id);
    struct peer *p = c && !c->hello ? find_peer(l, c->sid) : NULL;
    if (p) {
        p->busy = false;
        write_next(l, p);
    }
}

static void try_again(struct links *l, struct peer *p, struct mono now)
{
    p->tries--;
    if (!p->waits) {
        buf_clear(&p->next);
        buf_put_slice(&p->next, buf_slice(&p->last));
        p->waits = true;
    }
    if (!p->dial) {
        dial(l, p, configured(l, p->sid), now);
    }
}

// What was said on a connection that breaks may not have been heard: it is said once more on
// another, at once. When a leader dies its followers hear of it on the quorum port first, and tell
// each other and the dead one in the same moment; that it does not listen any more shows only here.
// And not at the first dial, if the dying process still took it.
static void mend(struct links *l, struct peer *p, struct mono now)
{
    if (p->tries == 2) {
        try_again(l, p, now);
    } else {
        retry_later(p, now);
    }
}

static void on_closed(struct links *l, uint32_t id, struct mono now)
{
    struct conn *c = find_conn(l, id);
    if (!c) {
        return;
    }
    struct peer *p = c->hello ? NULL : find_peer(l, c->sid);
    forget_conn(l, id);
    if (p) {
        p->up = false;
        p->busy = false;
        mend(l, p, now);
    }
}

// ---- membership, time ---------------------------------------------------------------------------

static void make_hello(struct links *l, const struct member *self)
{
    struct buf text = {0};
    size_t n = l->settings.multi_address ? self->addrs_n : self->addrs_n > 0;
    for (size_t i = 0; i < n; i++) {
        bool v6 = memchr(self->addrs[i].host.p, ':', self->addrs[i].host.n) != NULL;
        size_t before = text.n;
        buf_fmt(&text, v6 ? "%s[%.*s]:%u" : "%s%.*s:%u", i ? "|" : "",
                SLICE_ARG(self->addrs[i].host), self->addrs[i].election_port);
        if (text.n > NOTE_HELLO_ADDRESSES_MAX) {
            text.n = before;
            break;
        }
    }
    if (text.n) {
        buf_clear(&l->hello);
        note_hello_encode(&l->hello, l->settings.sid, l->settings.multi_address, buf_slice(&text));
    }
    buf_fini(&text);
}

// New servers are dialed at once. Who is no member any more keeps the address it had.
static void on_members(struct links *l, const struct links_event *ev)
{
    const struct members *committed = ev->members.committed, *last_seen = ev->members.last_seen;
    struct members *c = members_copy(committed), *s = last_seen ? members_copy(last_seen) : NULL;
    members_free(&l->committed);
    members_free(&l->last_seen);
    l->committed = c;
    l->last_seen = s;
    const struct member *self = members_find(c, l->settings.sid);
    self = self || !s ? self : members_find(s, l->settings.sid);
    if (self) {
        make_hello(l, self);
    }
    for (size_t i = 0; s && i < s->n; i++) {
        int64_t sid = s->servers[i].sid;
        struct peer *p = sid == l->settings.sid || members_find(c, sid) ? NULL : want_peer(l, sid);
        if (p && !p->up && !p->dial) {
            dial(l, p, configured(l, sid), ev->now);
        }
    }
}

static void on_reset(struct links *l)
{
    while (l->conns_n) {
        close_conn(l, l->conns[0].id);
    }
    for (size_t i = 0; i < l->peers_n; i++) {
        undial(l, &l->peers[i]);
        fini_peer(&l->peers[i]);
    }
    l->peers_n = 0;
}

static void on_timer(struct links *l, struct mono now)
{
    for (size_t i = l->conns_n; i-- > 0;) {
        if (l->conns[i].hello && l->conns[i].deadline.ns <= now.ns) {
            close_conn(l, l->conns[i].id);
        }
    }
    for (size_t i = 0; i < l->peers_n; i++) {
        struct peer *p = &l->peers[i];
        if (p->dial && p->dial_deadline.ns <= now.ns) {
            undial(l, p);
            dial_failed(l, p);
        }
        if (p->retry && p->retry_at.ns <= now.ns) {
            p->retry = false;
            if (p->tries) {
                try_again(l, p, now);
            }
        }
    }
}

void links_step(struct links *l, const struct links_event *ev, struct links_out *out)
{
    arena_reset(&l->arena);
    l->actions_n = 0;
    switch (ev->type) {
    case LINKS_MEMBERS:
        on_members(l, ev);
        break;
    case LINKS_RESET:
        on_reset(l);
        break;
    case LINKS_SEND:
        on_send(l, ev);
        break;
    case LINKS_ACCEPTED:
        on_accepted(l, ev);
        break;
    case LINKS_DIALED:
        on_dialed(l, ev);
        break;
    case LINKS_DIAL_FAILED: {
        struct peer *p = ev->dial ? find_dial(l, ev->dial) : NULL;
        if (p) {
            dial_failed(l, p);
        }
        break;
    }
    case LINKS_DATA:
        on_data(l, ev);
        break;
    case LINKS_DRAINED:
        on_drained(l, ev->conn);
        break;
    case LINKS_CLOSED:
        on_closed(l, ev->conn, ev->now);
        break;
    case LINKS_TIMER:
        on_timer(l, ev->now);
        break;
    }
    *out = (struct links_out){l->actions, l->actions_n};
}

// ---- what others may ask ------------------------------------------------------------------------

static void earlier(bool *any, struct mono *at, struct mono t)
{
    if (!*any || t.ns < at->ns) {
        *at = t;
    }
    *any = true;
}

bool links_next(const struct links *l, struct mono *at)
{
    bool any = false;
    for (size_t i = 0; i < l->conns_n; i++) {
        if (l->conns[i].hello) {
            earlier(&any, at, l->conns[i].deadline);
        }
    }
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].dial) {
            earlier(&any, at, l->peers[i].dial_deadline);
        }
        if (l->peers[i].retry) {
            earlier(&any, at, l->peers[i].retry_at);
        }
    }
    return any;
}

bool links_is_up(const struct links *l, int64_t sid)
{
    const struct peer *p = find_peer(l, sid);
    return p && p->up;
}

size_t links_conns(const struct links *l)
{
    return l->conns_n;
}

// Every connection with a name is its peer's, every peer that is up has one; no two dials share a
// name; nothing waits while it could go out.
void links_check(const struct links *l)
{
    size_t up = 0, hellos = 0, peers_up = 0;
    for (size_t i = 0; i < l->conns_n; i++) {
        const struct conn *c = &l->conns[i];
        must(find_conn(l, c->id) == c);
        must(c->in.n < 4 + NOTE_FRAME_MAX);
        hellos += c->hello;
        if (!c->hello) {
            const struct peer *p = find_peer(l, c->sid);
            must(p);
            must(p->up);
            must(p->conn == c->id);
            up++;
        } else {
            must(c->in.n < NOTE_HELLO_MAX);
        }
    }
    must(hellos <= LINKS_HELLOS_MAX);
    must(l->peers_n <= LINKS_PEERS_MAX);
    for (size_t i = 0; i < l->peers_n; i++) {
        const struct peer *p = &l->peers[i];
        must(find_peer(l, p->sid) == p);
        must(p->sid != l->settings.sid);
        must(p->dial <= l->dials);
        must(!p->dial || find_dial(l, p->dial) == p);
        must(!p->busy || p->up);
        must(!(p->retry && p->up));
        must(p->tries <= 2);
        must(!(p->up && p->waits && !p->busy));
        peers_up += p->up;
    }
    must(peers_up == up);
}
