// SPDX-License-Identifier: Apache-2.0
//
// PrepRequestProcessor.pRequest: decode, decide, write the entry down.
#include "tree/prep.h"

#include "tree/prep_internal.h"
#include "wire/jute.h"

static struct jute_in body_in(const struct prep *x)
{
    return jute_in(x->req->body, x->p->t->cfg.bytes_max);
}

static enum zkerr on_create(struct prep *x, struct txn_body *out)
{
    struct create_request r = {0};
    struct jute_in in = body_in(x);
    jute_get_record(&in, &record_create_request, &r, &x->p->arena);
    struct create_order o = {x->req->op, r.path, r.data, r.acl, r.flags, -1};
    return in.err ? ZK_MARSHALLINGERROR : prep_create(x, &o, out);
}

static enum zkerr on_create_ttl(struct prep *x, struct txn_body *out)
{
    struct create_ttl_request r = {0};
    struct jute_in in = body_in(x);
    jute_get_record(&in, &record_create_ttl_request, &r, &x->p->arena);
    struct create_order o = {OP_CREATE_TTL, r.path, r.data, r.acl, r.flags, r.ttl_ms};
    return in.err ? ZK_MARSHALLINGERROR : prep_create(x, &o, out);
}

static enum zkerr on_delete(struct prep *x, struct txn_body *out)
{
    struct delete_request r = {0};
    struct jute_in in = body_in(x);
    jute_get_record(&in, &record_delete_request, &r, NULL);
    return in.err ? ZK_MARSHALLINGERROR : prep_delete(x, &r, out);
}

static enum zkerr on_set_data(struct prep *x, struct txn_body *out)
{
    struct set_data_request r = {0};
    struct jute_in in = body_in(x);
    jute_get_record(&in, &record_set_data_request, &r, NULL);
    return in.err ? ZK_MARSHALLINGERROR : prep_set_data(x, &r, out);
}

static enum zkerr on_set_acl(struct prep *x, struct txn_body *out)
{
    struct set_acl_request r = {0};
    struct jute_in in = body_in(x);
    jute_get_record(&in, &record_set_acl_request, &r, &x->p->arena);
    return in.err ? ZK_MARSHALLINGERROR : prep_set_acl(x, &r, out);
}

static enum zkerr on_delete_container(struct prep *x, struct txn_body *out)
{
    struct path_request r = {0};
    struct jute_in in = body_in(x);
    jute_get_record(&in, &record_path_request, &r, NULL);
    return in.err ? ZK_MARSHALLINGERROR : prep_delete_container(x, r.path, out);
}

static enum zkerr on_create_session(struct prep *x, struct txn_body *out)
{
    struct jute_in in = body_in(x);
    out->type = OP_CREATE_SESSION;
    jute_get_record(&in, &record_create_session_txn, &out->create_session, NULL);
    if (in.err) {
        return ZK_MARSHALLINGERROR;
    }
    pending_open_session(x->p, x->req->session, x->zxid);
    return ZK_OK;
}

// What the caller refuses comes as the client sent it.
static enum zkerr on_reconfig(struct prep *x, struct txn_body *out)
{
    struct reconfig_request r = {0};
    struct jute_in in = body_in(x);
    if (x->req->refuse) {
        jute_get_record(&in, &record_reconfig_request, &r, NULL);
    }
    return in.err ? ZK_MARSHALLINGERROR : prep_reconfig(x, out);
}

static enum zkerr prepare(struct prep *x, struct txn_body *out)
{
    switch (x->req->op) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
        return on_create(x, out);
    case OP_CREATE_TTL:
        return on_create_ttl(x, out);
    case OP_DELETE:
        return on_delete(x, out);
    case OP_SET_DATA:
        return on_set_data(x, out);
    case OP_SET_ACL:
        return on_set_acl(x, out);
    case OP_DELETE_CONTAINER:
        return on_delete_container(x, out);
    case OP_CREATE_SESSION:
        return on_create_session(x, out);
    case OP_CLOSE_SESSION:
        prep_close_session(x, out);
        return ZK_OK;
    case OP_RECONFIG:
        return on_reconfig(x, out);
    default:
        return ZK_UNIMPLEMENTED;
    }
}

// Error transactions carry no digest; nor does a closeSession without a body, whose readers would
// take the digest for one.
static bool wants_digest(const struct pending *p, const struct txn *t)
{
    bool bare = t->body.type == OP_CLOSE_SESSION && t->body.close_session.paths.n < 0;
    return p->t->cfg.digest_enabled && t->body.type != OP_ERROR && !bare;
}

static void put_entry(const struct pending *p, struct txn *t, struct buf *out)
{
    t->hdr.type = t->body.type;
    t->has_digest = wants_digest(p, t);
    t->digest = (struct txn_digest){TXN_DIGEST_VERSION, (int64_t)p->digest};
    txn_encode(out, t);
}

// An entry longer than Apache's readers take (jute.maxbuffer and its extra size) would end their
// start: such a request fails, before it has changed anything.
enum zkerr prep_txn(struct pending *p, const struct prep_request *req, int64_t zxid,
                    struct wall now, struct buf *out)
{
    struct prep x = {.p = p, .req = req, .zxid = zxid, .now = now};
    struct txn t = {.hdr = {req->session, req->cxid, zxid, now.ms, 0}};
    bool failed = false;
    size_t begin = out->n;
    pending_begin(p);
    enum zkerr e = req->op == OP_MULTI ? prep_multi(&x, &t, &failed) : prepare(&x, &t.body);
    if (failed) {
        pending_rollback(p); // what is left says why
    }
    if (!e) {
        put_entry(p, &t, out);
    }
    if (!e && out->n - begin > prep_entry_max(p)) {
        out->n = begin;
        e = ZK_MARSHALLINGERROR;
    }
    if (!e && !failed) {
        pending_commit(p, zxid);
    } else if (e) {
        pending_rollback(p);
        t.body.type = OP_ERROR;
        t.body.error.err = e;
        put_entry(p, &t, out);
    }
    return e;
}
