// SPDX-License-Identifier: Apache-2.0
//
// struct reeve_queue, shared by queue.c (life, puts, length), queue_take.c (who gets the next item)
// and queue_item.c (what becomes of an item that was taken).
#pragma once

#include "recipes/ledger.h"
#include "reeve/queue.h"

struct queue_layout {
    bool locks;         // taking is locking; else deleting
    bool inside;        // entries and locks below PATH; else PATH itself and lock_path
    bool coded;         // Curator's format of items
    const char *prefix; // of an entry's name
    int32_t priority_min, priority_max;
    bool by_priority; // a priority follows the prefix
};

struct reeve_queue_item {
    struct reeve_queue *q;
    struct reeve_queue_item *next; // of those taken
    char *entry, *lock;            // paths; lock NULL: none
    void *bytes;                   // of the node
    size_t bytes_len;
    struct reeve_queue_data data; // what the user sees of them
    int32_t version;
    atomic_bool begun; // finish or give back was asked for: it is not the user's any more
    bool waiting;      // before it is tried again
    bool giving_back;
    char guid[33];        // the lock's data: nobody else's, and not that of an earlier take
    bool maybe;           // an earlier request's outcome is unknown
    bool doubt;           // the lock may be made a second time, late
    bool sweeping;        // it is done with, but for that
    enum reeve_error why; // it could not be finished, and is given back
    atomic_bool lost;
    struct kit_timer again;
    reeve_queue_done_fn *done; // finish or give back; NULL: nobody wants to know
    void *ctx;
};

struct queue_take {
    struct queue_take *next;
    int64_t timeout_ms;
    reeve_queue_take_fn *done;
    void *ctx;
    bool expired; // it ends as soon as nothing may be held
    enum reeve_error why;
    struct kit_timer timeout;
    struct reeve_queue *q;
};

struct put; // queue.c

struct reeve_queue {
    struct kit_object o;
    struct reeve_queue_options opt;
    const struct queue_layout *layout;
    char *path, *entries, *locks, *waiting, *producers; // NULL: not in this layout
    int64_t session;
    struct ledger ledger;
    struct put *held; // those that wait for the nodes to be made, in their order
    struct reeve_queue_item *taken;

    // Taking; see queue_take.c.
    struct queue_take *first, **end;
    enum { TAKE_IDLE, TAKE_LOOKING, TAKE_GETTING, TAKE_WAITING } taking;
    uintptr_t step;
    bool stirred; // something happened in the queue since it was looked at
    bool lining;  // the work stands in line, or is about to
    bool head;    // the first in line: it watches the queue itself
    struct kit_seat seat;
    char *before; // who stands before us in line, watched
    char **names; // entries, sorted; those from names_at on are left to try
    size_t names_n, names_at;
    struct reeve_queue_item *item; // being taken
    struct kit_timer again;
    void (*redo)(struct reeve_queue *q); // what `again` does
};

// ---- queue.c ----
// Makes the nodes that entries and locks live in, and then this one (NULL: none), which only this
// library uses.
enum reeve_error queue_make_dirs(struct reeve_queue *q, const char *ours, kit_done_fn *done,
                                 void *arg);

// ---- queue_take.c ----
void queue_take_begin(struct reeve_queue *q, struct queue_take *take);
void queue_take_on_session(struct reeve_queue *q, const struct reeve_session *s);
void queue_take_close(struct reeve_queue *q);

// ---- queue_item.c ----
// For the entry of this name; data comes later. NULL: no memory.
struct reeve_queue_item *queue_item_new(struct reeve_queue *q, const char *name);
void queue_item_free(struct reeve_queue_item *item);
// What the entry's node holds. NO_MEMORY, MALFORMED.
enum reeve_error queue_item_fill(struct reeve_queue_item *item, const void *bytes, size_t len);
// The user has it / it is lost with the session.
void queue_item_taken(struct reeve_queue_item *item);
void queue_items_lost(struct reeve_queue *q);
// The client's end: items that the user still has go with it.
void queue_items_end(struct reeve_queue *q);
// Deletes the lock, as often as it takes, and frees the item.
void queue_item_release(struct reeve_queue_item *item);
