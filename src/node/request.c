// SPDX-License-Identifier: Apache-2.0
//
// What is asked of this server: by its own clients, by learners, by its own clock. On the leader a
// write becomes a proposal; on a learner it goes to the leader as it came, and what was asked and
// has no answer yet is remembered here until the answer or the end of the role.
#include <inttypes.h>

#include "base/mem.h"
#include "limits.h"
#include "node/node_internal.h"
#include "wire/jute.h"

static const struct auth server_itself = {NULL, 0};

// ---- answers that wait until serve's submits were read ------------------------------------------

void request_answer_later(struct node *n, struct answer a)
{
    mem_grow((void **)&n->answers, &n->answers_cap, n->answers_n + 1, sizeof(*n->answers));
    n->answers[n->answers_n++] = a;
}

void request_refuse_later(struct node *n, int64_t session, int32_t cxid, int32_t op)
{
    request_answer_later(n, (struct answer){ANSWER_REFUSED, .session = session, .cxid = cxid,
                                            .op = op, .err = ZK_SYSTEMERROR});
}

static void answer(struct node *n, const struct answer *a)
{
    struct mono now = n->env->now;
    struct wall wall = n->env->wall;
    switch (a->kind) {
    case ANSWER_SYNCED:
        serve_on_synced(n->serve, a->tag, now, wall);
        break;
    case ANSWER_RENEWED:
        serve_on_renewed(n->serve, a->tag, a->alive, now, wall);
        break;
    case ANSWER_REFUSED:
        serve_on_refuse(n->serve, a->session, a->cxid, a->op, a->err, now, wall);
        break;
    case ANSWER_ASTRAY: {
        struct peer_conn *c = n->obsmaster ? peers_of_sid(&n->ens->peers, a->sid) : NULL;
        if (c && c->observer) {
            port_drop(n, c, "it speaks for a session that was renewed elsewhere since");
        }
        break;
    }
    }
}

// Its place is behind the commits before it and before those behind it, which may come in the same
// step.
void request_answer_sync(struct node *n, uint64_t tag)
{
    struct answer a = {.kind = ANSWER_SYNCED, .tag = tag};
    if (n->submitting) {
        request_answer_later(n, a);
    } else {
        answer(n, &a);
    }
}

// ---- the leader ---------------------------------------------------------------------------------

static int64_t own_sid(const struct node *n)
{
    return n->ens ? n->ens->sid : 0;
}

// Requests of one session may come over two servers after it has moved: only the last one it moved
// to may speak for it. Java: SessionTracker.checkSession.
static enum zkerr check_owner(struct node *n, const struct prep_request *req, int64_t owner)
{
    int64_t known;
    if (!n->ens || req->session == 0 || req->op == OP_CREATE_SESSION ||
        req->op == OP_CLOSE_SESSION || !expiry_owner(n->expiry, req->session, &known)) {
        return ZK_OK;
    }
    if (known == EXPIRY_NO_OWNER) {
        expiry_set_owner(n->expiry, req->session, owner);
        return ZK_OK;
    }
    return known == owner ? ZK_OK : ZK_SESSIONMOVED;
}

// The text that prep makes the transaction of, or why there is none.
static void plan_reconfig(struct node *n, struct prep_request *req, int64_t zxid,
                          struct members **members, struct buf *text)
{
    req->refuse = n->ens ? reconfig_plan(n, req->body, zxid, members) : ZK_UNIMPLEMENTED;
    if (req->refuse == ZK_OK) {
        members_fmt(text, *members, MEMBERS_WIRE);
        req->body = buf_slice(text);
    }
}

void request_propose(struct node *n, const struct prep_request *asked, int64_t owner)
{
    if (n->log_full || n->state != NODE_RUNNING || n->over) {
        request_refuse_later(n, asked->session, asked->cxid, asked->op);
        return;
    }
    struct prep_request req = *asked;
    struct members *members = NULL;
    struct buf text = {0};
    int64_t zxid = leader_next_zxid(n->leader);
    req.refuse = check_owner(n, &req, owner);
    if (req.op == OP_RECONFIG && req.refuse == ZK_OK) {
        plan_reconfig(n, &req, zxid, &members, &text);
    }
    buf_clear(&n->entry);
    struct mono begun = n->env->ops->clock(n->env);
    enum zkerr err = prep_txn(n->pending, &req, zxid, n->env->wall, &n->entry);
    summary_add(&n->prep_ns, n->env->ops->clock(n->env).ns - begun.ns);
    n->proposal_last = (int64_t)n->entry.n;
    summary_add(&n->proposal_bytes, n->proposal_last);
    struct role_event ev = {.type = ROLE_IN_PROPOSE, .zxid = zxid};
    if (members && err == ZK_OK) {
        reconfig_seen(n, members);
        ev.members = n->ens->last_seen;
    } else {
        members_free(&members);
    }
    buf_fini(&text);
    ev.txn = blob_new(buf_slice(&n->entry));
    role_step(n, ev);
    blob_unref(&ev.txn);
}

// Is this session alive? It belongs to whoever asks, then.
static bool renew(struct node *n, int64_t session, int32_t timeout_ms, int64_t owner)
{
    bool alive =
        expiry_has(n->expiry, session, NULL) && !pending_session_is_closing(n->pending, session);
    if (alive) {
        expiry_add(n->expiry, session, timeout_ms, n->env->now);
        expiry_set_owner(n->expiry, session, owner);
    }
    return alive;
}

static void submit_to_self(struct node *n, const struct submit *s)
{
    switch (s->kind) {
    case SUBMIT_WRITE:
    case SUBMIT_SESSION:
        request_propose(n,
                        &(struct prep_request){.session = s->session,
                                               .cxid = s->cxid,
                                               .op = s->op,
                                               .body = s->body,
                                               .auth = s->auth,
                                               .local = s->local},
                        own_sid(n));
        break;
    case SUBMIT_SYNC:
        role_step(n, (struct role_event){
                         .type = ROLE_IN_SYNC, .sid = n->ens ? n->ens->sid : 1, .tag = s->tag});
        break;
    case SUBMIT_RENEW:
        request_answer_later(
            n, (struct answer){.kind = ANSWER_RENEWED,
                               .tag = s->tag,
                               .alive = renew(n, s->session, s->timeout_ms, own_sid(n))});
        break;
    case SUBMIT_TOUCH:
        expiry_touch(n->expiry, s->session, s->heard);
        break;
    }
}

static void revalidate(struct node *n, int64_t sid, struct slice data)
{
    struct session_touch ask;
    if (qpacket_get(data, &record_session_touch, &ask, NULL)) {
        return;
    }
    struct revalidate_answer answer = {.session_id = ask.session_id,
                                       .valid = renew(n, ask.session_id, ask.timeout_ms, sid)};
    struct buf body = {0};
    jute_put_record(&body, &record_revalidate_answer, &answer);
    port_send(
        n, sid,
        &(struct zab_packet){.type = QPACKET_REVALIDATE, .zxid = -1, .data = buf_slice(&body)});
    buf_fini(&body);
}

// The learners know their local sessions; one that this server made would be known here.
static bool maybe_local(const struct node *n, int64_t session)
{
    return n->cfg->local_sessions && (uint64_t)session >> 56 != ((uint64_t)n->ens->sid & 0xff);
}

// A REQUEST of a learner, or its REVALIDATE. Java: LearnerHandler.run.
void request_of_learner(struct node *n, int64_t sid, const struct zab_packet *k)
{
    struct learner_request req;
    struct slice body;
    if (k->type == QPACKET_REVALIDATE) {
        revalidate(n, sid, k->data);
        return;
    }
    if (qpacket_get(k->data, &record_learner_request, &req, &body)) {
        return;
    }
    if (req.type == OP_SYNC) {
        role_step(n, (struct role_event){.type = ROLE_IN_SYNC, .sid = sid});
        return;
    }
    struct auth who = {.ids = k->authinfo->v, .n = k->authinfo->n > 0 ? k->authinfo->n : 0};
    request_propose(n,
                    &(struct prep_request){.session = req.session_id,
                                           .cxid = req.cxid,
                                           .op = req.type,
                                           .body = body,
                                           .auth = &who,
                                           .local = maybe_local(n, req.session_id)},
                    sid);
}

void request_touched(struct node *n, struct slice touches)
{
    size_t count;
    if (qpacket_get_touches(touches, &count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        expiry_touch(n->expiry, qpacket_touch(touches, i).session_id, n->env->now);
    }
}

// ---- a learner ----------------------------------------------------------------------------------

// A write of a session that was since renewed elsewhere below this server. The leader would take
// it, and out of order: so what goes in its place is one that no leader accepts, a delete of the
// root, and whoever waits for its outcome hears of an error.
static bool comes_late(const struct node *n, int64_t sid, const struct learner_request *req)
{
    return req->session_id && req->type != OP_CREATE_SESSION && req->type != OP_CLOSE_SESSION &&
           req->type != OP_SYNC && !observers_may_speak(n, req->session_id, sid);
}

// Or it does not come late: the client is here, and what came late is its renewal elsewhere, which
// it gave up before it came here (ZOOKEEPER-710 has this on a leader). An own client's connection
// ends, it comes again and is renewed. A client below an observer comes again if the observer has
// to; but that only when nothing can be under way any more.
static void settle(struct node *n, int64_t sid, const struct learner_request *req)
{
    if (sid == n->ens->sid) {
        request_answer_later(n, (struct answer){ANSWER_REFUSED, .session = req->session_id,
                                                .cxid = req->cxid, .op = req->type,
                                                .err = ZK_SESSIONMOVED});
    } else if (observers_is_settled(n, req->session_id)) {
        request_answer_later(n, (struct answer){ANSWER_ASTRAY, .sid = sid});
    }
}

// Of an own client or, by sid, of an observer.
static void forward(struct node *n, int64_t sid, const struct learner_request *asked,
                    struct slice body, const struct auth *auth)
{
    struct peer_conn *c = peers_of_sid(&n->ens->peers, n->ens->leader);
    if (!c) {
        return;
    }
    struct learner_request req = *asked;
    struct buf refused = {0};
    if (comes_late(n, sid, &req)) {
        settle(n, sid, &req);
        struct delete_request root = {SLICE_LIT("/"), -1};
        jute_put_record(&refused, &record_delete_request, &root);
        req.type = OP_DELETE;
        body = buf_slice(&refused);
    }
    struct id_vec ids = {auth ? auth->ids : NULL, auth ? auth->n : -1};
    qpacket_put_request(peers_out(c), &req, body, &ids);
    buf_fini(&refused);
}

static void ask_to_renew(struct node *n, const struct submit *s)
{
    struct ensemble *e = n->ens;
    mem_grow((void **)&e->renewals, &e->renewals_cap, e->renewals_n + 1, sizeof(*e->renewals));
    e->renewals[e->renewals_n++] = (struct renewal){e->sid, s->session, s->tag};
    observers_renewed(n, s->session, e->sid);
    struct buf body = {0};
    qpacket_put_touch(&body, s->session, s->timeout_ms);
    port_send(
        n, e->leader,
        &(struct zab_packet){.type = QPACKET_REVALIDATE, .zxid = -1, .data = buf_slice(&body)});
    buf_fini(&body);
}

static void submit_to_leader(struct node *n, const struct submit *s)
{
    struct ensemble *e = n->ens;
    struct learner_request req = {s->session, s->cxid, s->op};
    switch (s->kind) {
    case SUBMIT_WRITE:
        forward(n, e->sid, &req, s->body, s->auth);
        break;
    case SUBMIT_SESSION:
        forward(n, e->sid, &req, s->body, NULL);
        break;
    case SUBMIT_SYNC:
        mem_grow((void **)&e->syncs, &e->syncs_cap, e->syncs_n + 1, sizeof(*e->syncs));
        e->syncs[e->syncs_n++] = (struct asked_sync){e->sid, s->tag};
        req.type = OP_SYNC;
        forward(n, e->sid, &req, s->body, s->auth);
        break;
    case SUBMIT_RENEW:
        ask_to_renew(n, s);
        break;
    case SUBMIT_TOUCH:
        break; // serve_touched tells it
    }
}

// The leader knows no tags: syncs are answered in order.
void request_synced(struct node *n)
{
    struct ensemble *e = n->ens;
    if (!e->syncs_n) {
        return;
    }
    struct asked_sync s = e->syncs[0];
    memmove(e->syncs, e->syncs + 1, --e->syncs_n * sizeof(*e->syncs));
    if (s.sid == e->sid) {
        request_answer_sync(n, s.tag);
    } else if (s.sid != PEER_UNKNOWN) {
        port_send(n, s.sid, &(struct zab_packet){.type = QPACKET_SYNC});
    }
}

static void answer_renewal(struct node *n, const struct renewal *r, bool alive, struct slice data)
{
    if (r->sid == n->ens->sid) {
        request_answer_later(
            n, (struct answer){.kind = ANSWER_RENEWED, .tag = r->tag, .alive = alive});
    } else if (r->sid != PEER_UNKNOWN) {
        port_send(n, r->sid,
                  &(struct zab_packet){.type = QPACKET_REVALIDATE, .zxid = -1, .data = data});
    }
}

void request_revalidated(struct node *n, struct slice data)
{
    struct ensemble *e = n->ens;
    struct revalidate_answer a;
    if (qpacket_get(data, &record_revalidate_answer, &a, NULL)) {
        return;
    }
    for (size_t i = 0; i < e->renewals_n; i++) {
        struct renewal r = e->renewals[i];
        if (r.session == a.session_id) {
            memmove(e->renewals + i, e->renewals + i + 1,
                    (--e->renewals_n - i) * sizeof(*e->renewals));
            answer_renewal(n, &r, a.valid, data);
            return;
        }
    }
}

static void touch(void *ctx, int64_t session, int32_t timeout_ms)
{
    qpacket_put_touch(ctx, session, timeout_ms);
}

void request_answer_ping(struct node *n, int64_t zxid)
{
    struct ensemble *e = n->ens;
    serve_touched(n->serve, touch, &e->touched);
    port_send(
        n, e->leader,
        &(struct zab_packet){.type = QPACKET_PING, .zxid = zxid, .data = buf_slice(&e->touched)});
    buf_clear(&e->touched);
}

// ---- observers that have come to a follower -----------------------------------------------------

static void renew_below(struct node *n, int64_t sid, const struct zab_packet *k)
{
    struct ensemble *e = n->ens;
    struct session_touch ask;
    if (qpacket_get(k->data, &record_session_touch, &ask, NULL)) {
        return;
    }
    mem_grow((void **)&e->renewals, &e->renewals_cap, e->renewals_n + 1, sizeof(*e->renewals));
    e->renewals[e->renewals_n++] = (struct renewal){.sid = sid, .session = ask.session_id};
    observers_renewed(n, ask.session_id, sid);
    port_send(n, e->leader, k);
}

// To the leader as one of this server's own; its commit comes to the observer as INFORM, and what
// has no commit is answered in the order of the leader's answers. Java: ObserverMaster.
void request_of_observer(struct node *n, int64_t sid, const struct zab_packet *k)
{
    struct ensemble *e = n->ens;
    struct learner_request req;
    struct slice body;
    if (k->type == QPACKET_REVALIDATE) {
        renew_below(n, sid, k);
        return;
    }
    if (qpacket_get(k->data, &record_learner_request, &req, &body)) {
        return;
    }
    if (req.type == OP_SYNC) {
        mem_grow((void **)&e->syncs, &e->syncs_cap, e->syncs_n + 1, sizeof(*e->syncs));
        e->syncs[e->syncs_n++] = (struct asked_sync){.sid = sid};
    }
    struct auth who = {.ids = k->authinfo->v, .n = k->authinfo->n};
    forward(n, sid, &req, body, who.n < 0 ? NULL : &who);
}

// They go with the next PING's answer.
void request_touched_below(struct node *n, struct slice touches)
{
    struct ensemble *e = n->ens;
    size_t count;
    if (!qpacket_get_touches(touches, &count) &&
        e->touched.n + touches.n <= e->peers.bytes_max / 2) {
        buf_put_slice(&e->touched, touches);
    }
}

void request_forget_observer(struct node *n, int64_t sid)
{
    struct ensemble *e = n->ens;
    for (size_t i = 0; i < e->syncs_n; i++) {
        e->syncs[i].sid = e->syncs[i].sid == sid ? PEER_UNKNOWN : e->syncs[i].sid;
    }
    for (size_t i = 0; i < e->renewals_n; i++) {
        e->renewals[i].sid = e->renewals[i].sid == sid ? PEER_UNKNOWN : e->renewals[i].sid;
    }
}

void request_forget(struct node *n)
{
    struct ensemble *e = n->ens;
    e->syncs_n = e->renewals_n = 0;
    buf_clear(&e->touched);
    n->answers_n = 0;
}

// ---- submits ------------------------------------------------------------------------------------

static void submit(struct node *n, const struct submit *s)
{
    if (!n->serving) {
        return; // the role is over; serve will be told, and forgets what it asked
    }
    if (n->leader) {
        submit_to_self(n, s);
    } else {
        submit_to_leader(n, s);
    }
}

void request_take_submits(struct node *n)
{
    struct serve_out *out = serve_out(n->serve);
    while (out->submits_n || n->answers_n) {
        n->submitting = true;
        for (size_t i = 0; i < out->submits_n; i++) {
            submit(n, &out->submits[i]);
        }
        n->submitting = false;
        serve_submits_clear(n->serve);
        for (size_t i = 0; i < n->answers_n; i++) {
            struct answer a = n->answers[i]; // the list may move
            answer(n, &a);
        }
        n->answers_n = 0;
    }
}

// ---- the leader's clock -------------------------------------------------------------------------

static bool can_propose(const struct node *n)
{
    return role_leads(n) && !n->over && !n->log_full && n->state == NODE_RUNNING;
}

// Sessions whose deadline has passed: those heard of in the meantime live on, the others are
// closed. Touching a closed one delays the next attempt, should this close not commit (full disk).
void request_expire_sessions(struct node *n)
{
    int64_t session;
    while (role_leads(n) && expiry_due(n->expiry, n->env->now, &session)) {
        struct mono heard;
        int32_t timeout_ms = 0;
        must(expiry_has(n->expiry, session, &timeout_ms));
        if (serve_last_heard(n->serve, session, &heard) &&
            mono_diff_ms(n->env->now, heard) < timeout_ms) {
            expiry_touch(n->expiry, session, heard);
            continue;
        }
        expiry_touch(n->expiry, session, n->env->now);
        if (!can_propose(n) || pending_session_is_closing(n->pending, session)) {
            continue;
        }
        log_info(&n->env->log, "session 0x%" PRIx64 " expired after %" PRId32 " ms of silence",
                 (uint64_t)session, timeout_ms);
        request_propose(n,
                        &(struct prep_request){
                            .session = session, .op = OP_CLOSE_SESSION, .auth = &server_itself},
                        own_sid(n));
    }
}

void request_reap(struct node *n)
{
    if (!can_propose(n) || n->writes_held) {
        return;
    }
    struct arena a = {0};
    struct slice_vec due = reaper_step(&n->reaper, n->tree, n->env->now, n->env->wall, &a);
    for (int32_t i = 0; i < due.n; i++) {
        struct buf body = {0};
        jute_put_bytes(&body, due.v[i]);
        request_propose(n,
                        &(struct prep_request){.op = OP_DELETE_CONTAINER,
                                               .body = buf_slice(&body),
                                               .auth = &server_itself},
                        own_sid(n));
        buf_fini(&body);
    }
    arena_fini(&a);
}

// The sessions of the tree start with a full timeout: nobody could reach this leader before.
void request_track_all(struct node *n)
{
    size_t cursor = 0;
    int64_t id;
    int32_t timeout_ms;
    expiry_free(&n->expiry);
    n->expiry = expiry_new((int32_t)n->cfg->tick_ms, n->env->seed);
    while (session_next(tree_sessions_const(n->tree), &cursor, &id, &timeout_ms)) {
        expiry_add(n->expiry, id, timeout_ms, n->env->now);
    }
}

// Ephemerals of sessions that the session table does not hold would never go (a foreign server's
// fuzzy snapshot can leave such). They go by transactions, so that the log tells it to every later
// start and every other server, unlike Apache's silent removal.
void request_close_lost_sessions(struct node *n)
{
    size_t cursor = 0;
    int64_t session;
    while (tree_ephemeral_owner_next(n->tree, &cursor, &session)) {
        if (!session_get(tree_sessions_const(n->tree), session, NULL)) {
            log_info(&n->env->log, "session 0x%" PRIx64 " is unknown: its ephemeral nodes go",
                     (uint64_t)session);
            request_propose(n,
                            &(struct prep_request){
                                .session = session, .op = OP_CLOSE_SESSION, .auth = &server_itself},
                            own_sid(n));
        }
    }
}
