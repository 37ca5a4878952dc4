// SPDX-License-Identifier: Apache-2.0
//
// What becomes of an item that was taken: it is finished (item and lock are deleted in one
// transaction) or given back (the lock is deleted).
//
// A server that refuses writes because its disk is full is asked again, and so is one whose answer
// was lost. A finish can simply be sent again: if the entry is gone, it was our first try that
// deleted it, because as long as the entry is there the lock is ours. A lock that may have been
// given back already may be somebody else's by now (it is called as the entry): it is looked at
// first. When the session is lost nothing more is sent.

#include <string.h>

#include "recipes/queue_state.h"

static void step(struct reeve_queue_item *item);

// ---- memory -------------------------------------------------------------------------------------

struct reeve_queue_item *queue_item_new(struct reeve_queue *q, const char *name)
{
    struct reeve_queue_item *item = kit_alloc(q->o.zk, sizeof(*item));
    if (!item) {
        return NULL;
    }
    item->q = q;
    reeve_guid(q->o.zk, item->guid);
    item->entry = kit_join(q->o.zk, q->entries, name);
    item->lock = q->layout->locks ? kit_join(q->o.zk, q->locks, name) : NULL;
    if (!item->entry || (q->layout->locks && !item->lock)) {
        queue_item_free(item);
        return NULL;
    }
    return item;
}

void queue_item_free(struct reeve_queue_item *item)
{
    struct reeve *zk = item->q->o.zk;
    kit_cancel(&item->again);
    kit_free(zk, item->entry);
    kit_free(zk, item->lock);
    kit_free(zk, item->bytes);
    kit_free(zk, item);
}

static uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// Curator's format: 00 01 00 01, for each part 01, its length and it, then 02. False: there is no
// i-th part; *end tells whether that is so because of a proper end.
static bool find_part(const void *bytes, size_t len, size_t i, struct reeve_queue_data *part,
                      bool *end)
{
    const uint8_t *p = bytes;
    *end = false;
    if (len < 5 || get_u32(p) != 0x00010001) {
        return false;
    }
    for (size_t at = 4; at < len;) {
        if (p[at] != 1) {
            *end = p[at] == 2;
            return false;
        }
        if (len - at < 5 || get_u32(p + at + 1) > len - at - 5) {
            return false;
        }
        *part = (struct reeve_queue_data){p + at + 5, get_u32(p + at + 1)};
        if (i-- == 0) {
            return true;
        }
        at += 5 + part->len;
    }
    return false;
}

enum reeve_error queue_item_fill(struct reeve_queue_item *item, const void *bytes, size_t len)
{
    struct reeve *zk = item->q->o.zk;
    kit_free(zk, item->bytes);
    item->bytes = kit_bytes(zk, bytes, bytes ? len : 0);
    if (!item->bytes) {
        return REEVE_NO_MEMORY;
    }
    item->bytes_len = len;
    item->data = (struct reeve_queue_data){item->bytes, len};
    bool end = true;
    if (item->q->layout->coded) {
        struct reeve_queue_data part;
        for (size_t i = 0; find_part(item->bytes, len, i, &part, &end); i++) {
            item->data = i == 0 ? part : item->data;
        }
    }
    return end ? REEVE_OK : REEVE_MALFORMED;
}

// ---- the list of those taken --------------------------------------------------------------------

void queue_item_taken(struct reeve_queue_item *item)
{
    struct reeve_queue *q = item->q;
    kit_hold(&q->o);
    item->maybe = false;
    item->next = q->taken;
    q->taken = item;
}

static void conclude(struct reeve_queue_item *item, enum reeve_error e)
{
    struct reeve_queue *q = item->q;
    struct reeve_queue_item **at = &q->taken;
    while (*at != item) {
        at = &(*at)->next;
    }
    *at = item->next;
    reeve_queue_done_fn *done = item->done;
    void *ctx = item->ctx;
    queue_item_free(item);
    if (done) {
        done(ctx, e);
    }
    kit_drop(&q->o);
}

void queue_items_lost(struct reeve_queue *q)
{
    for (struct reeve_queue_item *item = q->taken; item; item = item->next) {
        bool was_lost = !item->lock || atomic_exchange(&item->lost, true);
        if (!was_lost && !atomic_load(&item->begun) && q->opt.lost && !q->o.closed) {
            q->opt.lost(q->opt.ctx, item);
        }
    }
}

void queue_items_end(struct reeve_queue *q)
{
    struct reeve_queue_item *next;
    for (struct reeve_queue_item *item = q->taken; item; item = next) {
        next = item->next;
        if (item->waiting || !atomic_load(&item->begun)) {
            conclude(item, REEVE_CLOSED); // the others have an answer or their message to come
        }
    }
}

// ---- finishing and giving back ------------------------------------------------------------------

static void on_again(struct kit_object *o, void *arg)
{
    struct reeve_queue_item *item = arg;
    (void)o;
    item->waiting = false;
    step(item);
}

static void again(struct reeve_queue_item *item)
{
    enum reeve_error e = kit_start(&item->q->o, &item->again, KIT_AGAIN_MS, on_again, item);
    item->waiting = !e;
    if (e) {
        conclude(item, e);
    }
}

// What the user is told is settled. A lock that was asked for twice may be there once more.
static void settle(struct reeve_queue_item *item, enum reeve_error e)
{
    item->why = item->sweeping ? item->why : e;
    if (item->doubt && !kit_is_over(e)) {
        item->doubt = false;
        item->sweeping = item->giving_back = item->maybe = true;
        step(item);
    } else {
        conclude(item, item->why);
    }
}

// The answer says nothing: it is to be asked again.
static bool asked_in_vain(struct reeve_queue_item *item, const struct reeve_result *r)
{
    bool vain = kit_is_transient(r->error) || kit_is_for_now(r->error);
    if (vain) {
        item->maybe |= r->maybe_done || r->error == REEVE_NO_MEMORY;
        again(item);
    }
    return vain;
}

static void submit(struct reeve_queue_item *item, const struct reeve_request *q, kit_result_fn *fn)
{
    enum reeve_error e = kit_submit(&item->q->o, q, fn, item);
    if (e == REEVE_NO_MEMORY) {
        again(item);
    } else if (e) {
        settle(item, e);
    }
}

static void on_given_back(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct reeve_queue_item *item = arg;
    if (!asked_in_vain(item, r)) {
        bool gone = r->error == REEVE_OK || r->error == REEVE_NO_NODE;
        settle(item, gone ? item->why : r->error);
    }
}

static void give_back(struct reeve_queue_item *item)
{
    struct reeve_request q = {
        .op = REEVE_OP_DELETE, .path = item->lock, .version = REEVE_ANY_VERSION};
    item->maybe = false;
    submit(item, &q, on_given_back);
}

static void on_seen(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct reeve_queue_item *item = arg;
    bool ours = !r->error && r->data_len == 32 && memcmp(r->data, item->guid, 32) == 0;
    if (asked_in_vain(item, r)) {
        return;
    }
    if (ours) {
        give_back(item);
    } else if (r->error == REEVE_OK || r->error == REEVE_NO_NODE) {
        settle(item, item->why);
    } else {
        settle(item, r->error);
    }
}

static void on_synced(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct reeve_queue_item *item = arg;
    struct reeve_request q = {.op = REEVE_OP_GET, .path = item->lock};
    if (asked_in_vain(item, r)) {
        return;
    }
    if (r->error) {
        settle(item, r->error);
    } else {
        submit(item, &q, on_seen);
    }
}

static void on_finished(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    (void)o;
    struct reeve_queue_item *item = arg;
    enum reeve_error e = r->error;
    bool entry_gone = e == REEVE_NO_NODE && r->parts_n && r->parts[0].error == REEVE_NO_NODE;
    if (asked_in_vain(item, r)) {
        return;
    }
    if (e == REEVE_OK || (entry_gone && item->maybe)) {
        settle(item, REEVE_OK);
    } else if (kit_is_over(e)) {
        settle(item, e);
    } else {
        item->why = e; // the lock goes at least, if it is ours
        item->giving_back = item->maybe = true;
        step(item);
    }
}

static void step(struct reeve_queue_item *item)
{
    struct reeve_request parts[2] = {
        {.op = REEVE_OP_DELETE, .path = item->entry, .version = REEVE_ANY_VERSION},
        {.op = REEVE_OP_DELETE, .path = item->lock, .version = REEVE_ANY_VERSION}};
    struct reeve_request both = {.op = REEVE_OP_MULTI, .parts = parts, .parts_n = 2};
    struct reeve_request sync = {.op = REEVE_OP_SYNC, .path = item->q->locks};
    if (atomic_load(&item->lost)) {
        settle(item, REEVE_SESSION_EXPIRED);
    } else if (!item->lock) {
        settle(item, REEVE_OK);
    } else if (!item->giving_back) {
        submit(item, &both, on_finished);
    } else if (item->maybe) {
        submit(item, &sync, on_synced);
    } else {
        give_back(item);
    }
}

void queue_item_release(struct reeve_queue_item *item)
{
    bool maybe = item->maybe;
    queue_item_taken(item);
    item->maybe = maybe;
    atomic_store(&item->begun, true);
    item->giving_back = true;
    step(item);
}

static void begin(struct kit_object *o, void *arg)
{
    (void)o;
    step(arg);
}

// ---- the user's side ----------------------------------------------------------------------------

static enum reeve_error send_item(struct reeve_queue_item *item, bool giving_back,
                                  reeve_queue_done_fn *done, void *ctx)
{
    if (giving_back && !item->lock) {
        return REEVE_UNIMPLEMENTED;
    }
    item->giving_back = giving_back;
    item->done = done;
    item->ctx = ctx;
    atomic_store(&item->begun, true);
    enum reeve_error e = kit_send(&item->q->o, begin, item);
    if (e) {
        atomic_store(&item->begun, false);
        item->done = NULL; // the item ends without them, perhaps long after ctx
        item->ctx = NULL;
    }
    return e;
}

static enum reeve_error send_and_wait(struct reeve_queue_item **item, bool giving_back)
{
    struct kit_wait w;
    enum reeve_error e = kit_wait_new((*item)->q->o.zk, &w);
    if (e) {
        return e;
    }
    enum reeve_error begun = send_item(*item, giving_back, kit_wait_done, &w);
    *item = begun ? *item : NULL;
    return kit_wait_end(&w, begun);
}

enum reeve_error reeve_queue_finish_async(struct reeve_queue_item *item, reeve_queue_done_fn *done,
                                          void *ctx)
{
    return send_item(item, false, done, ctx);
}

enum reeve_error reeve_queue_finish(struct reeve_queue_item **item)
{
    return send_and_wait(item, false);
}

enum reeve_error reeve_queue_give_back_async(struct reeve_queue_item *item,
                                             reeve_queue_done_fn *done, void *ctx)
{
    return send_item(item, true, done, ctx);
}

enum reeve_error reeve_queue_give_back(struct reeve_queue_item **item)
{
    return send_and_wait(item, true);
}

const void *reeve_queue_item_data(const struct reeve_queue_item *item)
{
    return item->data.data;
}

size_t reeve_queue_item_len(const struct reeve_queue_item *item)
{
    return item->data.len;
}

const char *reeve_queue_item_name(const struct reeve_queue_item *item)
{
    return kit_name(item->entry);
}

bool reeve_queue_item_lost(const struct reeve_queue_item *item)
{
    return atomic_load(&item->lost);
}

bool reeve_queue_part(const struct reeve_queue_item *item, size_t i, struct reeve_queue_data *part)
{
    bool end;
    if (item->q->layout->coded) {
        return find_part(item->bytes, item->bytes_len, i, part, &end);
    }
    *part = item->data;
    return i == 0;
}
