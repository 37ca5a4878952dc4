// SPDX-License-Identifier: Apache-2.0
//
// The quorum port. As leader this server listens there, and every connection is a learner's once it
// has said who it is; as learner it dials the leader's. Bytes become packets (peers.c), packets
// become events of the role, and what the role says to a peer goes out. A connection that ends, a
// packet that breaks its form, silence: each is an event, and the role alone decides when it is
// over. Whoever sends nonsense is cut off.
#include <inttypes.h>

#include "limits.h"
#include "node/node_internal.h"

enum {
    DIAL_PAUSE_FIRST_MS = 5, // an elected leader listens within moments of its followers' election
    DIAL_REFUSED_MS = 1000,  // as long as a leader's port may be closed; then there is another one
    CUTS_SAID = 10,          // per second, of connections that are cut
    UNKNOWN_PEERS_MAX = 128, // connections that have not said who they are; the oldest goes
    STRANGERS_MAX = 256      // learners that no membership names
};

// ---- listening and dialing ----------------------------------------------------------------------

void port_listen(struct node *n)
{
    struct ensemble *e = n->ens;
    const struct member *self = members_find(e->committed, e->sid);
    if (!self) {
        self = members_find(ensemble_last_seen(n), e->sid);
    }
    if (!self) {
        n->over = "this server is not in the membership";
        return;
    }
    struct net_addr at = {.port = self->addrs[0].quorum_port}, bound;
    enum err err =
        n->cfg->listen_all ? ERR_OK : n->env->ops->resolve(n->env, self->addrs[0].host, &at);
    if (!err) {
        err = n->env->ops->listen(n->env, &at, 0, &e->listener, &bound);
    }
    e->listening = !err;
    if (err) {
        n->over = "the quorum port could not be opened";
    }
}

// Or, as an observer, who stands in for it.
void port_dial(struct node *n)
{
    struct ensemble *e = n->ens;
    struct env_target to[MEMBERS_ADDRS_MAX];
    e->master = e->leader;
    bool stands_in = observers_next_master(n, &e->master);
    const struct member *m = members_find(e->committed, e->master);
    if (!m) {
        m = members_find(ensemble_last_seen(n), e->master);
    }
    e->dial_again = (struct mono){0};
    int64_t left_ms = mono_diff_ms(e->dial_until, n->env->now);
    if (!m || left_ms <= 0) {
        n->over = m ? "the leader cannot be reached" : "the leader is not in the membership";
        return;
    }
    for (size_t i = 0; i < m->addrs_n; i++) {
        uint16_t port =
            stands_in ? (uint16_t)n->cfg->observer_master_port : m->addrs[i].quorum_port;
        to[i] = (struct env_target){m->addrs[i].host, port};
    }
    if (stands_in && left_ms > n->cfg->dial_ms) {
        left_ms = n->cfg->dial_ms; // there are others to try
    }
    e->dial = DIAL_QUORUM | ++e->dials;
    n->env->ops->dial(n->env, e->dial, to, m->addrs_n,
                      left_ms > INT32_MAX ? INT32_MAX : (int32_t)left_ms);
}

static void on_dial_failed(struct node *n, enum err why)
{
    struct ensemble *e = n->ens;
    e->dial = 0;
    int64_t pause = e->dial_fails < 8 ? DIAL_PAUSE_FIRST_MS << e->dial_fails : INT32_MAX;
    pause = pause > n->cfg->connect_retry_ms ? n->cfg->connect_retry_ms : pause;
    if (e->dial_fails++ == 0 && why == ERR_REFUSED) {
        struct mono refused = mono_add_ms(n->env->now, DIAL_REFUSED_MS);
        e->dial_until = refused.ns < e->dial_until.ns ? refused : e->dial_until;
    }
    e->dial_again = mono_add_ms(n->env->now, pause);
}

// ---- packets in ---------------------------------------------------------------------------------

// A transaction that came from a leader is looked at once, here: what is behind this relies on it.
static bool txn_is_good(struct node *n, struct slice bytes, int64_t zxid)
{
    struct txn txn;
    bool good = txn_decode(bytes, n->ens->peers.bytes_max, &n->arena, &txn) == ERR_OK &&
                txn.hdr.zxid == zxid;
    if (good && txn.hdr.type == OP_RECONFIG) {
        reconfig_seen_text(n, txn.body.set_data.data);
    }
    arena_reset(&n->arena);
    return good;
}

// The data of a packet, as far as the role wants to know it. False: it breaks its form.
static bool read_packet(struct node *n, const struct peer_conn *c, const struct qpacket *k,
                        struct zab_packet *z)
{
    struct ack_epoch promise;
    struct activation activation;
    struct learner_info info;
    struct slice txn = k->data;
    bool from_leader = n->learner && !c->observer;
    size_t touches;
    *z = (struct zab_packet){.type = (enum qpacket_type)k->type, .zxid = k->zxid, .data = k->data};
    switch (k->type) {
    case QPACKET_FOLLOWERINFO:
    case QPACKET_OBSERVERINFO:
        if (qpacket_get_learner_info(k->data, &info)) {
            return false;
        }
        z->config_version = info.config_version;
        return info.protocol_version >= QPACKET_PROTOCOL;
    case QPACKET_ACKEPOCH:
        if (qpacket_get(k->data, &record_ack_epoch, &promise, NULL)) {
            return false;
        }
        z->current_epoch = promise.current_epoch;
        return true;
    case QPACKET_COMMITANDACTIVATE:
    case QPACKET_INFORMANDACTIVATE:
        if (qpacket_get(k->data, &record_activation, &activation, &txn)) {
            return false;
        }
        z->designated = activation.designated_leader;
        if (k->type == QPACKET_COMMITANDACTIVATE) {
            return true;
        }
        break;
    case QPACKET_PROPOSAL:
    case QPACKET_INFORM:
        break;
    case QPACKET_REQUEST:
        z->authinfo = &k->authinfo;
        return k->data.n >= QPACKET_REQUEST_LEN_MIN;
    case QPACKET_REVALIDATE:
        return k->data.n >= (from_leader ? QPACKET_VALID_LEN : QPACKET_TOUCH_LEN);
    case QPACKET_PING:
        return from_leader || qpacket_get_touches(k->data, &touches) == ERR_OK;
    default:
        return true;
    }
    if (!n->learner || c->observer || !txn_is_good(n, txn, k->zxid)) {
        return false;
    }
    z->txn = blob_new(txn);
    return true;
}

// Members always have room; so have a few whom no membership names yet.
static bool has_room(const struct node *n, int64_t sid)
{
    const struct ensemble *e = n->ens;
    size_t strangers = 0;
    for (const struct peer_conn *c = e->peers.first; c; c = c->next) {
        strangers += c->sid != PEER_UNKNOWN && !members_find(e->committed, c->sid);
    }
    return strangers < STRANGERS_MAX || members_find(e->committed, sid) ||
           members_find(ensemble_last_seen(n), sid);
}

// The first packet of a connection says whose it is.
static bool introduce(struct node *n, struct peer_conn *c, const struct qpacket *k)
{
    struct ensemble *e = n->ens;
    struct learner_info info;
    if ((k->type != QPACKET_FOLLOWERINFO && k->type != QPACKET_OBSERVERINFO) ||
        qpacket_get_learner_info(k->data, &info) || info.sid == e->sid ||
        info.sid == PEER_UNKNOWN || !has_room(n, info.sid)) {
        return false;
    }
    int64_t sid = info.sid;
    if (sid == QPACKET_SID_NONE) { // it has none: any that is not in use
        for (sid = -2; peers_of_sid(&e->peers, sid); sid--) {
        }
    }
    struct peer_conn *old = peers_of_sid(&e->peers, sid);
    if (old && old->observer != c->observer) {
        return false; // it says that it is the leader here
    }
    if (old) {
        port_drop(n, old, "it has a new connection");
    }
    peers_name(&e->peers, c, sid);
    c->deadline = (struct mono){INT64_MAX};
    port_step(n, c, (struct role_event){.type = ROLE_IN_PEER_UP, .sid = sid});
    return true;
}

static const char *on_packet(struct node *n, struct peer_conn *c, const struct qpacket *k)
{
    if (c->sid == PEER_UNKNOWN && !introduce(n, c, k)) {
        return "it did not say who it is";
    }
    struct zab_packet z;
    if (!read_packet(n, c, k, &z)) {
        return "a packet breaks its form";
    }
    port_step(n, c, (struct role_event){.type = ROLE_IN_PACKET, .sid = c->sid, .packet = &z});
    if (z.txn) {
        blob_unref(&z.txn);
    }
    return NULL;
}

// No more of the leader's snapshot is read than the disk takes.
static void pace_snapshot(struct node *n, struct peer_conn *c)
{
    bool pause = n->ens->taking && !n->over && disk_take_backlog(n->disk) > LIMIT_TAKE_BACKLOG;
    if (pause != c->paused) {
        c->paused = pause;
        n->env->ops->pause(n->env, c->conn, pause);
    }
}

static void expect_more(struct node *n, struct peer_conn *c)
{
    c->deadline = mono_add_ms(n->env->now, n->cfg->init_limit * n->cfg->tick_ms);
}

// The leader's stream is a snapshot. False: more bytes are needed.
static bool take_snapshot(struct node *n, struct peer_conn *c)
{
    struct ensemble *e = n->ens;
    size_t used = 0;
    expect_more(n, c);
    if (!e->taken) {
        enum disk_take r = disk_take_put(n->disk, peers_unread(c), &used);
        peers_read(c, used);
        e->taken = r == DISK_TAKE_DONE;
        if (r == DISK_TAKE_BAD) {
            n->over = "the leader's snapshot is broken";
        }
        if (r != DISK_TAKE_DONE) {
            pace_snapshot(n, c);
            return false;
        }
    }
    enum err err = qpacket_get_signature(peers_unread(c));
    if (err == ERR_OK) {
        peers_read(c, QPACKET_SIGNATURE_LEN);
        e->taking = e->taken = false;
        e->installing = true;
        c->deadline = (struct mono){INT64_MAX};
        disk_take_commit(n->disk, n->tree);
    } else if (err != ERR_CUT) {
        n->over = "the leader's snapshot has no signature";
    }
    return err == ERR_OK;
}

static void read_packets(struct node *n, struct peer_conn *c)
{
    struct ensemble *e = n->ens;
    struct arena ids = {0};
    while (!c->closing && !n->over) {
        if (n->learner && !c->observer && e->taking && !take_snapshot(n, c)) {
            break;
        }
        struct qpacket k;
        enum err err = peers_next(c, &ids, &k);
        if (err == ERR_CUT || n->over) {
            break;
        }
        const char *why = err ? "a length nobody may send" : on_packet(n, c, &k);
        arena_reset(&ids);
        if (why) {
            port_drop(n, c, why);
        }
    }
    arena_fini(&ids);
}

// ---- connections --------------------------------------------------------------------------------

void port_step(struct node *n, const struct peer_conn *c, struct role_event ev)
{
    if (c->observer) {
        observers_step(n, ev);
    } else {
        role_step(n, ev);
    }
}

// Whoever is cut off may come again at once: a few lines a second say it as well as thousands.
static void say_cut(struct node *n, const struct peer_conn *c, const char *why)
{
    struct peers *p = &n->ens->peers;
    if (mono_diff_ms(n->env->now, p->cuts_since) >= 1000) {
        if (p->cuts > CUTS_SAID) {
            log_warn(&n->env->log, "%d more connections were cut", p->cuts - CUTS_SAID);
        }
        p->cuts_since = n->env->now;
        p->cuts = 0;
    }
    if (p->cuts++ >= CUTS_SAID) {
        return;
    }
    if (c->sid == PEER_UNKNOWN) {
        log_warn(&n->env->log, "a connection to the quorum port is cut: %s", why);
    } else {
        log_warn(&n->env->log, "the connection of server %" PRId64 " is cut: %s", c->sid, why);
    }
}

void port_drop(struct node *n, struct peer_conn *c, const char *why)
{
    if (c->closing) {
        return;
    }
    say_cut(n, c, why);
    feed_end(n, c);
    peers_close(&n->ens->peers, c);
    if (c->sid != PEER_UNKNOWN && !c->told) {
        c->told = true;
        port_step(n, c, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = c->sid});
    }
}

static void on_accept(struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    struct peer_conn *c = peers_add(&e->peers, ev->conn, PEER_UNKNOWN);
    c->addr = ev->accept.peer;
    c->observer = observers_listens(n, ev->accept.listener);
    c->deadline = mono_add_ms(n->env->now, n->cfg->init_limit * n->cfg->tick_ms);
    node_set_conn_kind(n, ev->conn, CONN_KIND_QUORUM);
    size_t unknown = 0;
    struct peer_conn *oldest = c;
    for (struct peer_conn *x = e->peers.first; x; x = x->next) {
        if (x->sid == PEER_UNKNOWN && !x->closing) {
            unknown++;
            oldest = x; // the newest is the first
        }
    }
    bool served = c->observer ? n->obsmaster != NULL : n->leader != NULL;
    if (!served || n->over) {
        port_drop(n, c, "it cannot be served");
    } else if (unknown > UNKNOWN_PEERS_MAX) {
        port_drop(n, oldest, "too many do not say who they are");
    }
}

static void on_dialed(struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    struct peer_conn *c = peers_add(&e->peers, ev->conn, e->leader);
    node_set_conn_kind(n, ev->conn, CONN_KIND_QUORUM);
    c->deadline = (struct mono){INT64_MAX};
    bool wanted = ev->dialed.dial == e->dial;
    e->dial = wanted ? 0 : e->dial;
    if (!n->learner || n->over || !wanted) {
        c->told = true; // it is nothing to this role
        peers_close(&e->peers, c);
        return;
    }
    role_step(n, (struct role_event){.type = ROLE_IN_PEER_UP, .sid = e->leader});
}

static void on_closed(struct node *n, struct peer_conn *c)
{
    struct peer_conn was = *c;
    feed_end(n, c);
    node_set_conn_kind(n, c->conn, CONN_KIND_NONE);
    peers_del(&n->ens->peers, c);
    if (!was.told && was.sid != PEER_UNKNOWN && !peers_of_sid(&n->ens->peers, was.sid)) {
        port_step(n, &was, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = was.sid});
    }
}

static void on_quorum_conn(struct node *n, const struct env_event *ev)
{
    struct peer_conn *c = peers_of_conn(&n->ens->peers, ev->conn);
    must(c != NULL);
    switch ((int)ev->type) {
    case ENV_DATA:
        if (!c->closing && !n->over) {
            peers_put(c, ev->data);
            read_packets(n, c);
        }
        break;
    case ENV_DRAINED:
        c->unsent = 0;
        feed_on_drained(n, c);
        break;
    case ENV_CLOSED:
        on_closed(n, c);
        break;
    }
}

bool port_on_env(struct node *n, const struct env_event *ev)
{
    struct ensemble *e = n->ens;
    switch (ev->type) {
    case ENV_DIALED:
    case ENV_DIAL_FAILED:
        if (!(ev->dialed.dial & DIAL_QUORUM)) {
            return false;
        }
        if (ev->type == ENV_DIALED) {
            on_dialed(n, ev);
        } else if (ev->dialed.dial == e->dial) {
            on_dial_failed(n, ev->dialed.why);
        }
        return true;
    case ENV_ACCEPT:
        if ((e->listening && ev->accept.listener == e->listener) ||
            observers_listens(n, ev->accept.listener)) {
            on_accept(n, ev);
            return true;
        }
        return false;
    default:
        if (node_conn_kind(n, ev->conn) != CONN_KIND_QUORUM) {
            return false;
        }
        on_quorum_conn(n, ev);
        return true;
    }
}

// ---- packets out --------------------------------------------------------------------------------

void port_send(struct node *n, int64_t sid, const struct zab_packet *k)
{
    struct ensemble *e = n->ens;
    struct peer_conn *c = peers_of_sid(&e->peers, sid);
    if (!c) {
        return;
    }
    struct slice text = SLICE_NULL;
    if (k->type == QPACKET_NEWLEADER) {
        buf_clear(&e->text);
        members_fmt(&e->text, n->leader ? leader_members(n->leader) : e->committed, MEMBERS_WIRE);
        text = buf_slice(&e->text);
    }
    feed_say(n, sid, k);
    peers_send(c, k, e->sid, text);
}

void port_flush(struct node *n)
{
    if (n->ens) {
        peers_flush(&n->ens->peers);
    }
}

// ---- time ---------------------------------------------------------------------------------------

void port_on_time(struct node *n)
{
    struct ensemble *e = n->ens;
    struct peer_conn *next;
    for (struct peer_conn *c = e->peers.first; c; c = next) {
        next = c->next;
        if (c->closing) {
            continue;
        }
        if (c->paused) { // it is the disk's turn
            expect_more(n, c);
            pace_snapshot(n, c);
        }
        if (c->deadline.ns <= n->env->now.ns) {
            port_drop(n, c,
                      c->sid == PEER_UNKNOWN ? "it did not say who it is in time"
                                             : "its snapshot stands still");
        } else if (peers_backlog(c) > LIMIT_PEER_BACKLOG) {
            port_drop(n, c, "it does not take what it is sent");
        }
    }
    if (e->dial_again.ns && e->dial_again.ns <= n->env->now.ns && n->learner && !n->over) {
        port_dial(n);
    }
}
