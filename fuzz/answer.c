// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the answer to any request, with and without a chroot. Whatever comes of it must be
// readable to its last NUL, inside the frame or the room, free of anything when it is malformed,
// and the same after it was copied.
//
// Input: operation, shape (bit 0 chroot, bit 1 watch, the rest: parts of a multi), error, body.
#include <stdlib.h>

#include "base/must.h"
#include "client/answer.h"
#include "client/result.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARTS_MAX = 8 };

static void on_watch(void *ctx, const struct reeve_event *ev)
{
    (void)ctx;
    (void)ev;
}

static struct call *ask(uint8_t op, uint8_t shape, const char *chroot)
{
    static const enum reeve_op writes[] = {REEVE_OP_CREATE, REEVE_OP_DELETE, REEVE_OP_SET,
                                           REEVE_OP_CHECK};
    struct reeve_options none = {0};
    struct reeve_allocator a = alloc_of(&none);
    struct reeve_request parts[PARTS_MAX] = {{0}};
    struct reeve_request q = {.op = (enum reeve_op)(op % REEVE_OP_COUNT),
                              .path = "/a/b",
                              .acl = &(struct reeve_acl){1, "world", "anyone"},
                              .acl_n = 1,
                              .kind = REEVE_WATCH_PERSISTENT,
                              .parts = parts,
                              .parts_n = 1 + (size_t)(shape >> 2) % PARTS_MAX,
                              .scheme = "digest",
                              .members = "server.1=a:1:2"};
    for (size_t i = 0; i < q.parts_n; i++) {
        bool get = (shape >> 5 ^ i) & 1;
        parts[i].path = "/p";
        parts[i].op = q.op == REEVE_OP_MULTI ? writes[(shape + i) % 4]
                      : get                  ? REEVE_OP_GET
                                             : REEVE_OP_CHILDREN;
    }
    bool may_watch = q.op == REEVE_OP_GET || q.op == REEVE_OP_EXISTS || q.op == REEVE_OP_CHILDREN;
    if (q.op == REEVE_OP_ADD_WATCH || (may_watch && shape & 2)) {
        q.watch.fn = on_watch;
    }
    struct call *c;
    return call_new(&a, chroot, 1 << 20, &q, &c) ? NULL : c;
}

static void same_string(const char *a, const char *b)
{
    must(!a == !b);
    must(!a || strcmp(a, b) == 0);
}

static void same(const struct reeve_result *a, const struct reeve_result *b)
{
    must(a->error == b->error && a->op == b->op && a->number == b->number);
    must(a->has_stat == b->has_stat);
    same_string(a->path, b->path);
    same_string(a->why, b->why);
    same_string(a->created, b->created);
    must(!a->data == !b->data && a->data_len == b->data_len);
    must(!a->data || memcmp(a->data, b->data, a->data_len + 1) == 0);
    must(!a->data || ((const char *)a->data)[a->data_len] == 0);
    must(a->children_n == b->children_n && a->acl_n == b->acl_n && a->parts_n == b->parts_n);
    for (size_t i = 0; i < a->children_n; i++) {
        same_string(a->children[i], b->children[i]);
    }
    for (size_t i = 0; i < a->acl_n; i++) {
        must(a->acl[i].perms == b->acl[i].perms);
        same_string(a->acl[i].scheme, b->acl[i].scheme);
        same_string(a->acl[i].id, b->acl[i].id);
    }
    for (size_t i = 0; i < a->parts_n; i++) {
        same(&a->parts[i], &b->parts[i]);
    }
}

static void check(const struct answer_room *room, const struct call *c,
                  const struct reeve_result *r)
{
    char text[64];
    struct reeve_result copy;
    must(r->op == c->op);
    must(r->parts_n == 0 || r->parts_n == c->parts_n);
    must(!r->watching || (c->watch && (!r->error || c->op == REEVE_OP_EXISTS)));
    if (r->error == REEVE_MALFORMED) {
        must(!r->parts_n && !r->children_n && !r->acl_n && !r->data && !r->created);
    }
    must(strlen(reeve_result_text(r, text, sizeof(text))) < sizeof(text));
    must(result_copy(&room->allocator, &copy, r) == REEVE_OK);
    same(r, &copy);
    reeve_result_fini(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    const char *chroot = data[1] & 1 ? "/app" : "";
    struct call *c = ask(data[0], data[1], chroot);
    if (!c) {
        return 0;
    }
    struct answer_room room = {.allocator = c->allocator};
    struct reeve_result r;
    size_t n = size - 3;
    uint8_t *body = malloc(n + 1);
    must(body);
    memcpy(body, data + 3, n);
    must(answer_read(&room, c, chroot, (int8_t)data[2], body, n, &r) == r.error);
    check(&room, c, &r);
    free(body);
    answer_room_fini(&room);
    call_free(&c);
    return 0;
}
