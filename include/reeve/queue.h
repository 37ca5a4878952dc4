// SPDX-License-Identifier: Apache-2.0
//
// A queue: anybody puts items in, each is given to one consumer, in order.
//
//     struct reeve_queue *q;
//     struct reeve_queue_item *item;
//     if (reeve_queue_new(&q, zk, "/work", NULL) || reeve_queue_put(q, "job", 3, 100)) { ... }
//     while (!reeve_queue_take(q, -1, &item)) {
//         work(reeve_queue_item_data(item), reeve_queue_item_len(item));
//         reeve_queue_finish(&item);                 // or reeve_queue_give_back(&item)
//     }
//
// Layouts: which foreign program may use the queue at the same time
//   REEVE_QUEUE_LOCKING   kazoo's LockingQueue: PATH/entries/entry-<priority, 3 digits>-<number>,
//                         and an ephemeral lock PATH/taken/<the entry's name> while it is worked on
//   REEVE_QUEUE_KAZOO     kazoo's Queue: PATH/entry-<priority>-<number>, without locks
//   REEVE_QUEUE_SIMPLE    Curator's SimpleDistributedQueue: PATH/qn-<number>, without locks, FIFO
//   REEVE_QUEUE_CURATOR   Curator's DistributedQueue with a lock path: PATH/queue-<number> and
//                         options.lock_path/<the same name>; FIFO. Items are in its format, of
//                         which one with several parts is given as one, see reeve_queue_part()
//   REEVE_QUEUE_CURATOR_PRIORITY  the same of its DistributedPriorityQueue:
//                         PATH/queue-<0 or 1><priority, 8 hexadecimal digits><number>
//
// What it promises
// - Order: the item with the lowest priority number first, among equals the oldest; of what is
//   there and not being worked on at the moment of the take. (Sequence numbers are compared as the
//   foreign programs do it, as text: behind 2^31 items of one queue the order breaks.)
// - With locks: every item is given to one consumer at a time, and comes back when the consumer
//   gives it back or its session ends before it has finished it: at least once. A consumer whose
//   session is lost is told (options.lost) before the server gives the item to another one, by its
//   own clock; a paused program cannot be told, so work that must not be done twice needs a check
//   of its own. finish() is all or nothing: item and lock go in one transaction.
// - Without locks: taking is deleting, so an item is lost with a consumer that dies: at most once.
//   If the connection is lost while the deletion is under way and the item is gone afterwards, it
//   is not known who took it: the take ends with CONNECTION_LOSS and hands out the item.
// - put: OK is in the queue, exactly once, with locks also over lost connections: a producer keeps
//   an ephemeral node of its own (below PATH/producers, or lock_path/producers) that says so.
//   Without locks CONNECTION_LOSS may be returned: it may be in the queue. put_many is all or
//   nothing.
// - Consumers that wait do not poll. With locks they stand in line (PATH/waiting or
//   lock_path/waiting), only the first watches the queue: an item wakes one consumer of this
//   library, and costs a number of requests that does not grow with theirs. Foreign consumers, and
//   layouts without locks, all wake up for every item, as is their way.
// - It lists the whole queue for a take: it is made for thousands of waiting items, not millions.
//
// Threads: any function from any thread. Callbacks come on the loop's thread, one at a time, each
// exactly once. Takes of one queue object are served in their order.
#pragma once

#include "reeve/reeve.h"

#ifdef __cplusplus
extern "C" {
#endif

struct reeve_queue;
struct reeve_queue_item;

enum reeve_queue_layout {
    REEVE_QUEUE_LOCKING,
    REEVE_QUEUE_KAZOO,
    REEVE_QUEUE_SIMPLE,
    REEVE_QUEUE_CURATOR,
    REEVE_QUEUE_CURATOR_PRIORITY
};

enum { REEVE_QUEUE_PRIORITY = 100 }; // the usual one, as kazoo has it

struct reeve_queue_options {
    enum reeve_queue_layout layout;
    const char *lock_path; // CURATOR, CURATOR_PRIORITY: needed there; else NULL
    // The session is lost: this item is somebody else's from now on. It is still to be given to
    // finish or give_back, which frees it. Called before the requests of that session fail.
    void (*lost)(void *ctx, struct reeve_queue_item *item);
    void *ctx;
    // Who may do what with the nodes that are made, missing parents included; NULL: everybody
    // everything. Copied. BAD_ARGUMENTS: a list without entries.
    const struct reeve_acl *acl;
    size_t acl_n;
};

typedef void reeve_queue_done_fn(void *ctx, enum reeve_error e);
// item: yours with OK, and with CONNECTION_LOSS (see above) if it is not NULL.
typedef void reeve_queue_take_fn(void *ctx, enum reeve_error e, struct reeve_queue_item *item);
typedef void reeve_queue_count_fn(void *ctx, enum reeve_error e, uint32_t n);

struct reeve_queue_data {
    const void *data;
    size_t len;
};

// Nothing is asked or made yet. BAD_ARGUMENTS, NO_MEMORY, CLOSED.
REEVE_API enum reeve_error reeve_queue_new(struct reeve_queue **q, struct reeve *zk,
                                           const char *path, const struct reeve_queue_options *o);
// *q becomes NULL. Calls under way end with CANCELLED (puts that were sent with what became of
// them). Items that were taken stay locked until they are finished or given back, which must
// happen before reeve_close().
REEVE_API void reeve_queue_free(struct reeve_queue **q);

// priority: 0 to 999 in kazoo's layouts, anything in Curator's, without effect where there is none.
// data is copied. TOO_BIG: over the client's request_max.
REEVE_API enum reeve_error reeve_queue_put_async(struct reeve_queue *q, const void *data,
                                                 size_t len, int32_t priority,
                                                 reeve_queue_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_queue_put(struct reeve_queue *q, const void *data, size_t len,
                                           int32_t priority);
REEVE_API enum reeve_error reeve_queue_put_many_async(struct reeve_queue *q,
                                                      const struct reeve_queue_data *items,
                                                      size_t n, int32_t priority,
                                                      reeve_queue_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_queue_put_many(struct reeve_queue *q,
                                                const struct reeve_queue_data *items, size_t n,
                                                int32_t priority);

// The next item. timeout_ms 0: only what is there; -1: no limit. OPERATION_TIMEOUT, CANCELLED,
// SESSION_EXPIRED (also if only the wait was cut off: take again), NO_MEMORY, MALFORMED (Curator's
// layouts: no item of that format; it is given out nevertheless, with its bytes as data).
REEVE_API enum reeve_error reeve_queue_take_async(struct reeve_queue *q, int64_t timeout_ms,
                                                  reeve_queue_take_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_queue_take(struct reeve_queue *q, int64_t timeout_ms,
                                            struct reeve_queue_item **item);

// What was put; it lives as long as the item.
REEVE_API const void *reeve_queue_item_data(const struct reeve_queue_item *item);
// Of that, in bytes.
REEVE_API size_t reeve_queue_item_len(const struct reeve_queue_item *item);
// The name of its node.
REEVE_API const char *reeve_queue_item_name(const struct reeve_queue_item *item);
// True: the session in which it was taken is lost, and the lock with it.
REEVE_API bool reeve_queue_item_lost(const struct reeve_queue_item *item);
// Curator's layouts: the i-th part of the item; false: it has fewer. In the others part 0 is all.
REEVE_API bool reeve_queue_part(const struct reeve_queue_item *item, size_t i,
                                struct reeve_queue_data *part);

// Done with it: it leaves the queue. The item is freed and *item NULL, whatever comes out. OK;
// SESSION_EXPIRED: it was lost, and is or will be given to another one (unless the session was lost
// in the middle of this); NO_NODE: somebody removed it by hand. The item is still yours where it
// could not even be begun: an error returned by the asynchronous form, *item not NULL after the
// waiting one (WRONG_THREAD, NO_MEMORY, CLOSED). The client's end frees it then.
REEVE_API enum reeve_error reeve_queue_finish_async(struct reeve_queue_item *item,
                                                    reeve_queue_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_queue_finish(struct reeve_queue_item **item);
// Back to its place in the queue. Without locks: UNIMPLEMENTED (put it again).
REEVE_API enum reeve_error reeve_queue_give_back_async(struct reeve_queue_item *item,
                                                       reeve_queue_done_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_queue_give_back(struct reeve_queue_item **item);

// How many items there are, those that are being worked on included.
REEVE_API enum reeve_error reeve_queue_length_async(struct reeve_queue *q,
                                                    reeve_queue_count_fn *done, void *ctx);
REEVE_API enum reeve_error reeve_queue_length(struct reeve_queue *q, uint32_t *n);
// A copy of the first item, whether it is being worked on or not: r->data, for
// reeve_result_fini(). NO_NODE: there is none. It waits.
REEVE_API enum reeve_error reeve_queue_peek(struct reeve_queue *q, struct reeve_result *r);

#ifdef __cplusplus
}
#endif
