// SPDX-License-Identifier: Apache-2.0
#include "node/elect.h"

#include <inttypes.h>

#include "base/mem.h"

enum { LISTEN_AGAIN_MS = 1000 };

// What one core has for the other, while the actions of its step are still being read.
struct errand {
    enum { FOR_FLE_NOTE, FOR_FLE_DOWN, FOR_LINKS_SEND, FOR_LINKS_DRAINED } kind;
    int64_t sid;
    uint32_t conn;
    struct buf bytes;
};

struct elect {
    struct env *env;
    struct elect_settings s;
    struct fle *fle;
    struct links *links;
    struct member_addr at; // where it should listen; host copied
    uint32_t listener;
    bool listening, wants_port, said_deaf;
    struct mono listen_at; // the next attempt
    struct errand *errands;
    size_t errands_n, errands_cap, errands_done;
    struct elect_outcome outcome;
};

struct elect *elect_new(struct env *env, const struct elect_settings *s)
{
    struct elect *e = mem_zalloc(sizeof(*e));
    e->env = env;
    e->s = *s;
    e->fle = fle_new(&s->fle);
    e->links = links_new(&s->links);
    return e;
}

static void errands_clear(struct elect *e)
{
    for (size_t i = e->errands_done; i < e->errands_n; i++) {
        buf_fini(&e->errands[i].bytes);
    }
    e->errands_n = e->errands_done = 0;
}

void elect_free(struct elect **ep)
{
    struct elect *e = *ep;
    if (!e) {
        return;
    }
    errands_clear(e);
    members_free(&e->outcome.members);
    fle_free(&e->fle);
    links_free(&e->links);
    mem_free((void *)(uintptr_t)e->at.host.p);
    mem_free(e->errands);
    mem_free(e);
    *ep = NULL;
}

// ---- errands ------------------------------------------------------------------------------------

static struct errand *errand_add(struct elect *e, struct errand x)
{
    mem_grow((void **)&e->errands, &e->errands_cap, e->errands_n + 1, sizeof(*e->errands));
    e->errands[e->errands_n] = x;
    return &e->errands[e->errands_n++];
}

static void dial(struct elect *e, const struct links_action *a)
{
    struct env_target to[LINKS_DIAL_ADDRS_MAX];
    _Static_assert((int)LINKS_DIAL_ADDRS_MAX <= (int)ENV_TARGETS_MAX, "targets of one dial");
    must(a->addrs_n <= LINKS_DIAL_ADDRS_MAX);
    for (size_t i = 0; i < a->addrs_n; i++) {
        to[i] = (struct env_target){a->addrs[i].host, a->addrs[i].port};
    }
    e->env->ops->dial(e->env, a->dial, to, a->addrs_n, e->s.links.dial_ms);
}

static void write_conn(struct elect *e, const struct links_action *a)
{
    struct buf b = {0};
    buf_put_slice(&b, a->bytes);
    if (e->env->ops->send(e->env, a->conn, &b) == 0) {
        errand_add(e, (struct errand){.kind = FOR_LINKS_DRAINED, .conn = a->conn});
    }
    buf_fini(&b);
}

static void links_do(struct elect *e, const struct links_event *ev)
{
    struct links_out out;
    links_step(e->links, ev, &out);
    for (size_t i = 0; i < out.n; i++) {
        const struct links_action *a = &out.actions[i];
        switch (a->type) {
        case LINKS_DIAL:
            dial(e, a);
            break;
        case LINKS_UNDIAL:
            e->env->ops->undial(e->env, a->dial);
            break;
        case LINKS_WRITE:
            write_conn(e, a);
            break;
        case LINKS_CLOSE:
            e->env->ops->close(e->env, a->conn);
            break;
        case LINKS_DELIVER: {
            struct errand *x = errand_add(e, (struct errand){.kind = FOR_FLE_NOTE, .sid = a->sid});
            buf_put_slice(&x->bytes, a->bytes);
            break;
        }
        case LINKS_DOWN:
            errand_add(e, (struct errand){.kind = FOR_FLE_DOWN, .sid = a->sid});
            break;
        }
    }
}

static void fle_do(struct elect *e, const struct fle_event *ev)
{
    struct fle_out out;
    fle_step(e->fle, ev, &out);
    for (size_t i = 0; i < out.n; i++) {
        const struct fle_action *a = &out.actions[i];
        switch (a->type) {
        case FLE_SEND: {
            struct errand *x =
                errand_add(e, (struct errand){.kind = FOR_LINKS_SEND, .sid = a->sid});
            note_encode(&x->bytes, a->note);
            break;
        }
        case FLE_ELECTED:
            e->outcome.elected = true;
            e->outcome.state = a->state;
            e->outcome.vote = a->vote;
            break;
        case FLE_NEW_MEMBERS:
            members_free(&e->outcome.members);
            e->outcome.members = members_copy(a->members);
            break;
        case FLE_VOTER_LOOKING:
            e->outcome.voter_looking = true;
            break;
        }
    }
}

static void deliver(struct elect *e, const struct errand *x)
{
    struct note note;
    enum err err = note_decode(buf_slice(&x->bytes), &note);
    if (err) {
        log_warn(&e->env->log, "a notification of server %" PRId64 " is broken (%s): not looked at",
                 x->sid, err_text(err));
        return;
    }
    fle_do(e, &(struct fle_event){
                  .type = FLE_NOTE, .now = e->env->now, .note = {.sid = x->sid, .note = &note}});
}

static void run_errand(struct elect *e, const struct errand *x)
{
    switch (x->kind) {
    case FOR_FLE_NOTE:
        deliver(e, x);
        break;
    case FOR_FLE_DOWN:
        fle_do(e, &(struct fle_event){.type = FLE_DOWN, .now = e->env->now, .sid = x->sid});
        break;
    case FOR_LINKS_SEND:
        links_do(e, &(struct links_event){.type = LINKS_SEND,
                                          .now = e->env->now,
                                          .send = {.sid = x->sid, .bytes = buf_slice(&x->bytes)}});
        break;
    case FOR_LINKS_DRAINED:
        links_do(e,
                 &(struct links_event){.type = LINKS_DRAINED, .now = e->env->now, .conn = x->conn});
        break;
    }
}

static void settle(struct elect *e)
{
    while (e->errands_done < e->errands_n) {
        struct errand x = e->errands[e->errands_done++]; // the list may move meanwhile
        run_errand(e, &x);
        buf_fini(&x.bytes);
    }
    e->errands_n = e->errands_done = 0;
}

// ---- the port -----------------------------------------------------------------------------------

static void try_listen(struct elect *e)
{
    struct net_addr at = {.port = e->at.election_port}, bound;
    enum err err = e->s.listen_all ? ERR_OK : e->env->ops->resolve(e->env, e->at.host, &at);
    if (!err) {
        err = e->env->ops->listen(e->env, &at, 0, &e->listener, &bound);
    }
    e->listening = err == ERR_OK;
    e->listen_at = mono_add_ms(e->env->now, LISTEN_AGAIN_MS);
    if (err && !e->said_deaf) {
        log_error(&e->env->log,
                  "cannot listen for elections on %.*s:%u (%s): other servers cannot reach this "
                  "one; the server.N line with its id must name an address of this machine; "
                  "trying again every second",
                  SLICE_ARG(e->at.host), e->at.election_port, err_text(err));
    }
    e->said_deaf = err != ERR_OK;
}

static void stop_listening(struct elect *e)
{
    if (e->listening) {
        e->env->ops->unlisten(e->env, e->listener);
    }
    e->listening = e->wants_port = false;
}

// Moves to where the membership says this server is. One that is not in it stays where it was.
static void move_port(struct elect *e, const struct members *m)
{
    const struct member *own = members_find(m, e->s.fle.sid);
    if (!own || !own->addrs_n) {
        return;
    }
    const struct member_addr *to = &own->addrs[0];
    if (e->wants_port && to->election_port == e->at.election_port &&
        slice_eq(to->host, e->at.host)) {
        return;
    }
    stop_listening(e);
    mem_free((void *)(uintptr_t)e->at.host.p);
    char *host = mem_alloc(to->host.n + 1);
    memcpy(host, to->host.p, to->host.n);
    e->at = (struct member_addr){slice_of(host, to->host.n), to->quorum_port, to->election_port};
    e->wants_port = true;
    try_listen(e);
}

void elect_leave(struct elect *e)
{
    stop_listening(e);
    links_do(e, &(struct links_event){.type = LINKS_RESET, .now = e->env->now});
    settle(e);
}

// ---- from the node ------------------------------------------------------------------------------

void elect_set_members(struct elect *e, const struct members *committed,
                       const struct members *last_seen, bool restart)
{
    if (restart) {
        links_do(e, &(struct links_event){.type = LINKS_RESET, .now = e->env->now});
    }
    links_do(e, &(struct links_event){
                    .type = LINKS_MEMBERS, .now = e->env->now, .members = {committed, last_seen}});
    fle_do(e, &(struct fle_event){.type = FLE_MEMBERS,
                                  .now = e->env->now,
                                  .members = {committed, last_seen, restart}});
    move_port(e, committed);
    settle(e);
}

void elect_start(struct elect *e, int64_t last_zxid, int64_t current_epoch)
{
    fle_do(e,
           &(struct fle_event){.type = FLE_START,
                               .now = e->env->now,
                               .start = {.last_zxid = last_zxid, .current_epoch = current_epoch}});
    settle(e);
}

void elect_set_role(struct elect *e, int64_t leader, int64_t zxid)
{
    fle_do(e, &(struct fle_event){
                  .type = FLE_ROLE, .now = e->env->now, .role = {.leader = leader, .zxid = zxid}});
    settle(e);
}

void elect_quiet(struct elect *e)
{
    fle_do(e, &(struct fle_event){.type = FLE_QUIET, .now = e->env->now});
    settle(e);
}

void elect_established(struct elect *e, int64_t epoch)
{
    fle_do(e, &(struct fle_event){.type = FLE_ESTABLISHED, .now = e->env->now, .epoch = epoch});
    settle(e);
}

bool elect_listens(const struct elect *e, uint32_t listener)
{
    return e->listening && e->listener == listener;
}

void elect_on_env(struct elect *e, const struct env_event *ev)
{
    struct links_event x = {.now = ev->now, .conn = ev->conn};
    switch (ev->type) {
    case ENV_ACCEPT:
        x.type = LINKS_ACCEPTED;
        e->s.conn_taken(e->s.conn_ctx, ev->conn);
        break;
    case ENV_DIALED:
        x.type = LINKS_DIALED;
        x.dial = ev->dialed.dial;
        e->s.conn_taken(e->s.conn_ctx, ev->conn);
        break;
    case ENV_DIAL_FAILED:
        x.type = LINKS_DIAL_FAILED;
        x.dial = ev->dialed.dial;
        break;
    case ENV_DATA:
        x.type = LINKS_DATA;
        x.data = ev->data;
        break;
    case ENV_DRAINED:
        x.type = LINKS_DRAINED;
        break;
    case ENV_CLOSED:
        x.type = LINKS_CLOSED;
        break;
    case ENV_TIMER:
    case ENV_JOB_DONE:
    case ENV_STOP:
        must(false);
    }
    links_do(e, &x);
    settle(e);
}

void elect_on_time(struct elect *e)
{
    struct mono now = e->env->now, at;
    if (e->wants_port && !e->listening && e->listen_at.ns <= now.ns) {
        try_listen(e);
    }
    if (links_next(e->links, &at) && at.ns <= now.ns) {
        links_do(e, &(struct links_event){.type = LINKS_TIMER, .now = now});
    }
    if (fle_next(e->fle, &at) && at.ns <= now.ns) {
        fle_do(e, &(struct fle_event){.type = FLE_TIMER, .now = now});
    }
    settle(e);
}

static bool earlier(bool set, struct mono *at, struct mono other)
{
    if (!set || other.ns < at->ns) {
        *at = other;
    }
    return true;
}

bool elect_next(const struct elect *e, struct mono *at)
{
    bool set = false;
    struct mono t;
    if (e->wants_port && !e->listening) {
        set = earlier(set, at, e->listen_at);
    }
    if (links_next(e->links, &t)) {
        set = earlier(set, at, t);
    }
    if (fle_next(e->fle, &t)) {
        set = earlier(set, at, t);
    }
    return set;
}

bool elect_take(struct elect *e, struct elect_outcome *o)
{
    *o = e->outcome;
    e->outcome = (struct elect_outcome){0};
    return o->elected || o->members || o->voter_looking;
}

size_t elect_reaches(const struct elect *e, const struct members *m)
{
    size_t n = 0;
    for (size_t i = 0; i < m->voters_n; i++) {
        n += m->voters[i] != e->s.fle.sid && links_is_up(e->links, m->voters[i]);
    }
    return n;
}

const struct fle *elect_fle(const struct elect *e)
{
    return e->fle;
}

void elect_check(const struct elect *e)
{
    must(e->errands_n == 0);
    fle_check(e->fle);
    links_check(e->links);
}
