// SPDX-License-Identifier: Apache-2.0
//
// struct order: the requests of one connection that could not be answered when they came, oldest
// first. Pure; the rule of Apache's CommitProcessor (its class comment):
//
//   - replies leave in request order;
//   - a write or sync is handed on at once and waits here for its outcome;
//   - a read with anything before it in the queue waits here, with a copy of its bytes, until all
//     before it is answered. So a read sees every earlier write of its own connection, and none
//     that came after it on the connection and was committed later.
//
// An empty queue (head 0) is the common case and costs nothing.
#pragma once

#include "base/slab.h"
#include "base/slice.h"

enum order_kind {
    ORDER_READ,  // can be answered as soon as it is the oldest
    ORDER_WRITE, // waits for its transaction or refusal
    ORDER_SYNC   // waits for the leader's word
};

struct order_item {
    uint32_t next;
    int32_t xid;
    int32_t op;
    uint8_t kind;       // enum order_kind
    bool answered;      // outcome known before its turn: `bytes` is its reply
    bool close_after;   // answered, and the connection ends with it
    bool needs_global;  // WRITE: an ephemeral node of a local session that may not become global
    bool as_applied;    // answered: the reply's zxid is what is applied when it leaves
    uint32_t tag;       // SYNC
    uint32_t large;     // bytes counted as a large request in flight
    uint32_t cost;      // bytes counted as in process
    uint32_t bytes_n;   // READ, SYNC: the body; multi: see with_stat(); answered: the reply
    int64_t arrived_ns; // monotonic
    uint8_t *bytes;
};

struct order {
    uint32_t head, tail;
    uint32_t n;       // items
    uint32_t reads;   // of kind READ
    uint32_t counted; // with xid > 0: what throttling looks at
    size_t cost;      // of all items
};

void order_slab_init(struct slab *items);
// Appends a copy of *item (its next does not matter); bytes are copied too.
struct order_item *order_push(struct order *o, struct slab *items, const struct order_item *item,
                              struct slice bytes);
struct order_item *order_head(const struct order *o, const struct slab *items); // NULL: empty
// The oldest can be answered now.
bool order_is_ready(const struct order *o, const struct slab *items);
void order_pop(struct order *o, struct slab *items);
void order_clear(struct order *o, struct slab *items);
// The oldest write without an outcome; NULL: none.
struct order_item *order_oldest_write(const struct order *o, const struct slab *items);
// The oldest write of this xid and opcode without an outcome; NULL: none.
struct order_item *order_find_write(const struct order *o, const struct slab *items, int32_t xid,
                                    int32_t op);
struct order_item *order_find_sync(const struct order *o, const struct slab *items, uint32_t tag);
// The outcome of an item is known before its turn.
void order_answer(struct order_item *item, struct slice reply, bool close_after);
// The newest item is answered already and ends the connection: no more will come.
bool order_ends(const struct order *o, const struct slab *items);
void order_check(const struct order *o, const struct slab *items);
