// SPDX-License-Identifier: Apache-2.0
#include "node/peers.h"

#include "base/mem.h"

enum { FIRST_BYTES_MAX = 1024 }; // longest data of a connection's first packet

void peers_init(struct peers *p, struct env *env, size_t bytes_max)
{
    *p = (struct peers){.env = env, .bytes_max = bytes_max};
}

void peers_fini(struct peers *p)
{
    while (p->first) {
        peers_del(p, p->first);
    }
}

struct peer_conn *peers_add(struct peers *p, uint32_t conn, int64_t sid)
{
    struct peer_conn *c = mem_zalloc(sizeof(*c));
    c->conn = conn;
    c->sid = sid;
    qpacket_reader_init(&c->reader, sid == PEER_UNKNOWN ? FIRST_BYTES_MAX : p->bytes_max);
    c->next = p->first;
    p->first = c;
    p->n++;
    return c;
}

void peers_name(struct peers *p, struct peer_conn *c, int64_t sid)
{
    must(c->sid == PEER_UNKNOWN);
    must(sid != PEER_UNKNOWN);
    c->sid = sid;
    c->reader.bytes_max = p->bytes_max;
}

struct peer_conn *peers_of_conn(const struct peers *p, uint32_t conn)
{
    struct peer_conn *c = p->first;
    while (c && c->conn != conn) {
        c = c->next;
    }
    return c;
}

struct peer_conn *peers_of_sid(const struct peers *p, int64_t sid)
{
    struct peer_conn *c = p->first;
    while (c && (c->closing || c->sid != sid)) {
        c = c->next;
    }
    return c;
}

struct peer_conn *peers_of_feed(const struct peers *p, uint64_t tag)
{
    struct peer_conn *c = p->first;
    while (c && (c->feed.kind == FEED_NONE || c->feed.tag != tag)) {
        c = c->next;
    }
    return c;
}

void peers_close(struct peers *p, struct peer_conn *c)
{
    if (!c->closing) {
        peers_flush_one(p, c);
        c->closing = true;
        p->env->ops->close(p->env, c->conn);
    }
}

void peers_del(struct peers *p, struct peer_conn *c)
{
    struct peer_conn **at = &p->first;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    p->n--;
    buf_fini(&c->in);
    buf_fini(&c->out);
    buf_fini(&c->held);
    mem_free(c);
}

// ---- bytes in -----------------------------------------------------------------------------------

void peers_put(struct peer_conn *c, struct slice bytes)
{
    if (c->in_at) {
        buf_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
    buf_put_slice(&c->in, bytes);
}

struct slice peers_unread(const struct peer_conn *c)
{
    return slice_skip(buf_slice(&c->in), c->in_at);
}

void peers_read(struct peer_conn *c, size_t n)
{
    c->in_at += n;
    must(c->in_at <= c->in.n);
}

enum err peers_next(struct peer_conn *c, struct arena *a, struct qpacket *k)
{
    size_t used;
    enum err e = qpacket_next(&c->reader, peers_unread(c), a, k, &used);
    if (!e) {
        peers_read(c, used);
    }
    return e;
}

// ---- packets out --------------------------------------------------------------------------------

struct buf *peers_out(struct peer_conn *c)
{
    return c->feed.kind == FEED_SNAPSHOT ? &c->held : &c->out;
}

static void put_learner_info(struct buf *b, const struct zab_packet *k, int64_t own_sid)
{
    struct learner_info info = {own_sid, QPACKET_PROTOCOL, k->config_version};
    qpacket_put_record(b, k->type, k->zxid, &record_learner_info, &info, SLICE_NULL);
}

void peers_send(struct peer_conn *c, const struct zab_packet *k, int64_t own_sid, struct slice text)
{
    struct buf *b = peers_out(c);
    struct leader_info leader = {QPACKET_PROTOCOL};
    struct ack_epoch promise = {(int32_t)k->current_epoch};
    struct activation activation = {k->designated};
    switch (k->type) {
    case QPACKET_FOLLOWERINFO:
    case QPACKET_OBSERVERINFO:
        put_learner_info(b, k, own_sid);
        break;
    case QPACKET_LEADERINFO:
        qpacket_put_record(b, k->type, k->zxid, &record_leader_info, &leader, SLICE_NULL);
        break;
    case QPACKET_ACKEPOCH:
        qpacket_put_record(b, k->type, k->zxid, &record_ack_epoch, &promise, SLICE_NULL);
        break;
    case QPACKET_NEWLEADER:
        qpacket_put(b, k->type, k->zxid, text);
        break;
    case QPACKET_COMMITANDACTIVATE:
        qpacket_put_record(b, k->type, k->zxid, &record_activation, &activation, SLICE_NULL);
        break;
    case QPACKET_INFORMANDACTIVATE:
        qpacket_put_record(b, k->type, k->zxid, &record_activation, &activation,
                           blob_slice(k->txn));
        break;
    case QPACKET_PROPOSAL:
    case QPACKET_INFORM:
        qpacket_put(b, k->type, k->zxid, blob_slice(k->txn));
        break;
    default:
        qpacket_put(b, k->type, k->zxid, k->data);
        break;
    }
}

size_t peers_backlog(const struct peer_conn *c)
{
    return c->out.n + c->held.n + c->unsent;
}

void peers_flush_one(struct peers *p, struct peer_conn *c)
{
    if (c->out.n && !c->closing) {
        c->unsent = p->env->ops->send(p->env, c->conn, &c->out);
    }
}

void peers_flush(struct peers *p)
{
    for (struct peer_conn *c = p->first; c; c = c->next) {
        peers_flush_one(p, c);
    }
}
