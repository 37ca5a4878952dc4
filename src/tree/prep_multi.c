// SPDX-License-Identifier: Apache-2.0
//
// A multi: the operations see each other's effects and share one zxid; the first that fails fails
// all. Apache's MultiOperationRecord decides what is well-formed at all.
#include "tree/prep_internal.h"
#include "wire/jute.h"

// One operation, decoded and made into a part. ERR of `in`: the multi is not well-formed.
struct order {
    int32_t type;
    union {
        struct create_order create;
        struct delete_request del;
        struct set_data_request set_data;
        struct check_version_request check;
    };
};

// Op.create: the flags say what is made, more than the opcode. create2 becomes create: they do the
// same, and servers up to 3.7.1 and 3.8.1 lose the rest of a logged multi at a create2 in it.
static void decode_create(struct prep *x, struct jute_in *in, int32_t type, struct create_order *o)
{
    struct create_request r = {0};
    jute_get_record(in, &record_create_request, &r, &x->p->arena);
    *o = (struct create_order){type, r.path, r.data, r.acl, r.flags, -1};
    if (r.flags < CREATE_PERSISTENT || r.flags > CREATE_CONTAINER) {
        jute_fail(in, ERR_MALFORMED);
    }
    if (r.flags == CREATE_CONTAINER) {
        o->type = OP_CREATE_CONTAINER;
    } else if (type == OP_CREATE2) {
        o->type = OP_CREATE;
    }
}

static void decode_create_ttl(struct prep *x, struct jute_in *in, struct create_order *o)
{
    struct create_ttl_request r = {0};
    jute_get_record(in, &record_create_ttl_request, &r, &x->p->arena);
    *o = (struct create_order){OP_CREATE_TTL, r.path, r.data, r.acl, r.flags, r.ttl_ms};
    if (r.flags < CREATE_PERSISTENT || r.flags > CREATE_TTL_SEQUENTIAL) {
        jute_fail(in, ERR_MALFORMED);
    }
    if (!create_is_ttl(r.flags)) {
        o->type = r.flags == CREATE_CONTAINER ? OP_CREATE_CONTAINER : OP_CREATE;
        o->ttl_ms = -1;
    }
}

static void decode(struct prep *x, struct jute_in *in, struct order *o)
{
    switch (o->type) {
    case OP_CREATE:
    case OP_CREATE2:
    case OP_CREATE_CONTAINER:
        decode_create(x, in, o->type, &o->create);
        break;
    case OP_CREATE_TTL:
        decode_create_ttl(x, in, &o->create);
        break;
    case OP_DELETE:
        jute_get_record(in, &record_delete_request, &o->del, NULL);
        break;
    case OP_SET_DATA:
        jute_get_record(in, &record_set_data_request, &o->set_data, NULL);
        break;
    case OP_CHECK:
        jute_get_record(in, &record_check_version_request, &o->check, NULL);
        break;
    default:
        jute_fail(in, ERR_UNSUPPORTED);
        break;
    }
}

static enum zkerr prepare(struct prep *x, const struct order *o, struct txn_body *out)
{
    switch (o->type) {
    case OP_DELETE:
        return prep_delete(x, &o->del, out);
    case OP_SET_DATA:
        return prep_set_data(x, &o->set_data, out);
    case OP_CHECK:
        return prep_check(x, &o->check, out);
    default:
        return prep_create(x, &o->create, out);
    }
}

// Reads the orders up to the terminator into an arena vector that doubles. False: not well-formed.
static bool decode_all(struct prep *x, struct order **v, int32_t *n)
{
    struct jute_in in = jute_in(x->req->body, x->p->t->cfg.bytes_max);
    int32_t cap = 4;
    *v = arena_alloc(&x->p->arena, (size_t)cap * sizeof(**v));
    *n = 0;
    for (;;) {
        struct multi_header h = {0};
        jute_get_record(&in, &record_multi_header, &h, NULL);
        if (in.err || h.done) {
            return !in.err;
        }
        if (*n == cap) {
            struct order *more = arena_alloc(&x->p->arena, (size_t)cap * 2 * sizeof(**v));
            memcpy(more, *v, (size_t)cap * sizeof(**v));
            *v = more;
            cap *= 2;
        }
        struct order *o = &(*v)[(*n)++];
        memset(o, 0, sizeof(*o));
        o->type = h.type;
        decode(x, &in, o);
        if (in.err) {
            return false;
        }
    }
}

enum zkerr prep_multi(struct prep *x, struct txn *t, bool *failed)
{
    struct order *orders;
    int32_t n;
    *failed = false;
    if (!decode_all(x, &orders, &n)) {
        return ZK_MARSHALLINGERROR;
    }
    t->body.type = OP_MULTI;
    t->parts_n = n;
    t->parts = arena_zalloc(&x->p->arena, (size_t)n * sizeof(*t->parts));
    for (int32_t i = 0; i < n; i++) {
        enum zkerr e = *failed ? ZK_RUNTIMEINCONSISTENCY : prepare(x, &orders[i], &t->parts[i]);
        if (e) {
            *failed = true;
            t->parts[i].type = OP_ERROR;
            t->parts[i].error.err = e;
        }
    }
    return ZK_OK;
}
