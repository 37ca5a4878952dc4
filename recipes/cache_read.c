// SPDX-License-Identifier: Apache-2.0
//
// A cache's reads, and what their answers change. Every answer is the truth of the moment when the
// server gave it: events that came before are contained in it, events that come after will correct
// it. So answers are simply applied, in the order in which they arrive; the only comparison is with
// czxid and mzxid, which say whether this is the same node and the same data as before.

#include <string.h>

#include "recipes/cache_state.h"

// ---- what is to be read -------------------------------------------------------------------------

void cache_want(struct reeve_cache *c, struct cache_node *n, unsigned what)
{
    if (!n->todo) {
        TAILQ_INSERT_TAIL(&c->todo, n, waiting);
    }
    n->todo |= what;
}

static void done_with(struct reeve_cache *c, struct cache_node *n, unsigned what)
{
    if (n->todo & what) {
        n->todo &= ~what;
        if (!n->todo) {
            TAILQ_REMOVE(&c->todo, n, waiting);
        }
    }
}

void cache_forget_todo(struct reeve_cache *c)
{
    while (!TAILQ_EMPTY(&c->todo)) {
        struct cache_node *n = TAILQ_FIRST(&c->todo);
        done_with(c, n, n->todo);
    }
}

void cache_hear(struct reeve_cache *c, struct cache_node *parent, const char *path)
{
    struct cache_node *n;
    pthread_mutex_lock(&c->lock);
    enum reeve_error e = cache_tree_add(&c->tree, parent, path, &n);
    pthread_mutex_unlock(&c->lock);
    if (!e) {
        cache_want(c, n, CACHE_TODO_GET);
    } else if (e == REEVE_NO_MEMORY) {
        cache_again(c, true);
    } else {
        cache_fail(c, e);
    }
}

// ---- what is not there any more -----------------------------------------------------------------

// Users see it go, its place in the tree stays.
static void unsee(struct reeve_cache *c, struct cache_node *n)
{
    if (!n->seen) {
        return;
    }
    struct cache_data old;
    pthread_mutex_lock(&c->lock);
    cache_tree_unsee(&c->tree, n, &old);
    pthread_mutex_unlock(&c->lock);
    struct reeve_cache_node before = {old.bytes, old.len, n->stat};
    struct reeve_cache_event ev = {.type = REEVE_CACHE_DELETED, .path = n->path, .old = &before};
    cache_tell(c, &ev);
    kit_free(c->o.zk, old.bytes);
}

static void detach_reads(struct reeve_cache *c, const struct cache_node *n)
{
    for (uint32_t i = 0; n->under_way && i < c->opt.reads_max; i++) {
        if (c->reads[i].n == n) {
            c->reads[i].n = NULL;
        }
    }
}

static void vanish_leaf(struct reeve_cache *c, struct cache_node *n)
{
    unsee(c, n);
    done_with(c, n, n->todo);
    detach_reads(c, n);
    pthread_mutex_lock(&c->lock);
    cache_tree_remove(&c->tree, n);
    pthread_mutex_unlock(&c->lock);
}

void cache_vanish(struct reeve_cache *c, struct cache_node *n)
{
    struct cache_node *leaf;
    do {
        leaf = n;
        while (!LIST_EMPTY(&leaf->children)) {
            leaf = LIST_FIRST(&leaf->children);
        }
        vanish_leaf(c, leaf);
    } while (leaf != n);
}

static void vanish_children(struct reeve_cache *c, struct cache_node *n)
{
    while (!LIST_EMPTY(&n->children)) {
        cache_vanish(c, LIST_FIRST(&n->children));
    }
}

// The top node stays in the tree under one-shot watches: one is to be set for its creation.
static void no_node(struct reeve_cache *c, struct cache_node *n)
{
    if (n == c->tree.top && c->one_shot) {
        vanish_children(c, n);
        unsee(c, n);
        n->listed_round = 0;
        cache_want(c, n, CACHE_TODO_EXISTS);
    } else {
        cache_vanish(c, n);
    }
}

// ---- answers ------------------------------------------------------------------------------------

// Whether what is above a node is there and is not about to turn out as gone, or as made anew: of
// what is new the top is told first.
enum ground {
    GROUND_FIRM,
    GROUND_UNREAD, // something above has changed, and is read before a read that is wanted now
    GROUND_LATER   // something above is read soon, then the list that this one is in, and then it
};

static enum ground ground(const struct reeve_cache *c, const struct cache_node *n)
{
    bool unread = false;
    for (const struct cache_node *p = n->parent; p; p = p->parent) {
        if (!p->seen || p->got_round != c->round) {
            return GROUND_LATER;
        }
        unread |= p->unread;
    }
    return unread ? GROUND_UNREAD : GROUND_FIRM;
}

// Once more, behind all that is wanted now, and so behind what is above it.
static void read_behind(struct reeve_cache *c, struct cache_node *n)
{
    unsigned what = n->todo | CACHE_TODO_GET;
    done_with(c, n, n->todo);
    cache_want(c, n, what);
}

// What must be known about the children of a node that was just read.
static void look_below(struct reeve_cache *c, struct cache_node *n)
{
    enum ground g = ground(c, n);
    if (g == GROUND_UNREAD && n->got_round != c->round) {
        read_behind(c, n);
    }
    if (g != GROUND_FIRM) {
        return;
    }
    n->got_round = c->round;
    if (c->opt.one_node || n->listed_round == c->round) {
        return;
    }
    if (!c->one_shot && n->stat.num_children == 0) {
        vanish_children(c, n);
    } else if (c->one_shot || n->listed_round == 0 || n->listed_pzxid != n->stat.pzxid) {
        cache_want(c, n, CACHE_TODO_LIST);
        return;
    } else {
        struct cache_node *child;
        LIST_FOREACH (child, &n->children, sibling) {
            cache_want(c, child, CACHE_TODO_GET);
        }
    }
    n->listed_round = c->round;
    n->listed_pzxid = n->stat.pzxid;
}

// The same data as before: at most the rest of its stat is another one.
static void got_same(struct reeve_cache *c, struct cache_node *n, const struct reeve_result *r)
{
    pthread_mutex_lock(&c->lock);
    n->stat = r->stat;
    pthread_mutex_unlock(&c->lock);
    look_below(c, n);
}

static void got_other(struct reeve_cache *c, struct cache_node *n, const struct reeve_result *r)
{
    bool was_seen = n->seen;
    struct reeve_stat stat = n->stat;
    struct cache_data old;
    pthread_mutex_lock(&c->lock);
    enum reeve_error e = cache_tree_set(&c->tree, n, r->data, r->data_len, &r->stat, &old);
    pthread_mutex_unlock(&c->lock);
    if (e == REEVE_NO_MEMORY) {
        cache_want(c, n, CACHE_TODO_GET);
        cache_again(c, false);
        return;
    }
    if (e) {
        cache_fail(c, e);
        return;
    }
    struct reeve_cache_node before = {old.bytes, old.len, stat};
    struct reeve_cache_node now = {n->data.bytes, n->data.len, n->stat};
    struct reeve_cache_event ev = {.type = was_seen ? REEVE_CACHE_CHANGED : REEVE_CACHE_CREATED,
                                   .path = n->path,
                                   .old = was_seen ? &before : NULL,
                                   .node = &now};
    cache_tell(c, &ev);
    kit_free(c->o.zk, old.bytes);
    look_below(c, n);
}

static void got(struct reeve_cache *c, struct cache_node *n, const struct reeve_result *r)
{
    bool anew = !n->seen || n->stat.czxid != r->stat.czxid;
    enum ground g = ground(c, n);
    if (anew && g != GROUND_FIRM) {
        if (g == GROUND_UNREAD) {
            read_behind(c, n);
        }
        return;
    }
    n->unread = false;
    if (n->seen && anew) {
        vanish_children(c, n);
        unsee(c, n);
        n->listed_round = 0;
    }
    if (n->seen && n->stat.mzxid == r->stat.mzxid) {
        got_same(c, n, r);
    } else {
        got_other(c, n, r);
    }
}

// One name of a list. False: no memory.
static bool listed_one(struct reeve_cache *c, struct cache_node *n, const char *name)
{
    char *path = kit_join(c->o.zk, n->path, name);
    if (!path) {
        return false;
    }
    struct cache_node *child = cache_tree_find(&c->tree, path);
    if (!child) {
        cache_hear(c, n, path);
        child = cache_tree_find(&c->tree, path);
    } else if (child->got_round != c->round) {
        cache_want(c, child, CACHE_TODO_GET);
    }
    if (child) {
        child->in_list = true;
    }
    kit_free(c->o.zk, path);
    return child != NULL;
}

static void listed(struct reeve_cache *c, struct cache_node *n, const struct reeve_result *r)
{
    struct cache_node *child, *next;
    if (!n->seen || n->got_round != c->round) {
        return; // it is about to be read itself, and then its list once more
    }
    LIST_FOREACH (child, &n->children, sibling) {
        child->in_list = false;
    }
    for (size_t i = 0; i < r->children_n; i++) {
        if (!listed_one(c, n, r->children[i])) {
            if (c->state != CACHE_FAILED) {
                cache_want(c, n, CACHE_TODO_LIST);
                cache_again(c, false);
            }
            return;
        }
    }
    for (child = LIST_FIRST(&n->children); child; child = next) {
        next = LIST_NEXT(child, sibling);
        if (!child->in_list) {
            cache_vanish(c, child);
        }
    }
    n->listed_round = c->round;
    n->listed_pzxid = r->stat.pzxid;
}

// Whether a node that may not be read is taken as one that is not there. The top one cannot be
// under one-shot watches: no watch would tell when it may be read, and servers before 3.8.4 would
// answer for ever that it is there, and may not be read.
static bool is_hidden(const struct reeve_cache *c, const struct cache_node *n, unsigned what)
{
    return what == CACHE_TODO_GET && !(c->one_shot && n == c->tree.top);
}

static void answered(struct reeve_cache *c, struct cache_node *n, unsigned what,
                     const struct reeve_result *r)
{
    enum reeve_error e = r->error;
    if (kit_is_over(e)) {
        return; // on_session() knows, and begins again when there is a session
    }
    if (e == REEVE_OK && what == CACHE_TODO_GET) {
        got(c, n, r);
    } else if (e == REEVE_OK && what == CACHE_TODO_LIST) {
        listed(c, n, r);
    } else if (what == CACHE_TODO_EXISTS && (e == REEVE_OK || e == REEVE_NO_NODE)) {
        if (e == REEVE_OK) { // between the two reads it was created
            cache_want(c, n, CACHE_TODO_GET);
        }
    } else if (e == REEVE_NO_AUTH && what == CACHE_TODO_LIST) {
        vanish_children(c, n);
        n->listed_round = c->round;
    } else if (e == REEVE_NO_NODE && what == CACHE_TODO_LIST) {
        cache_want(c, n, CACHE_TODO_GET);
    } else if (e == REEVE_NO_NODE || (e == REEVE_NO_AUTH && is_hidden(c, n, what))) {
        no_node(c, n);
    } else if (e == REEVE_TOO_BIG || e == REEVE_MALFORMED || e == REEVE_NO_AUTH) {
        cache_fail(c, e);
    } else {
        cache_want(c, n, what);
        cache_again(c, false);
    }
}

static void on_read(struct kit_object *o, void *arg, const struct reeve_result *r)
{
    struct reeve_cache *c = (struct reeve_cache *)o;
    struct cache_read *read = arg;
    struct cache_node *n = read->n;
    c->under_way--;
    read->n = NULL;
    read->next_free = c->free_reads;
    c->free_reads = read;
    if (n) {
        n->under_way--;
    }
    if (o->closed || c->state == CACHE_FAILED) {
        return;
    }
    if (n) {
        answered(c, n, read->what, r);
    }
    cache_pump(c);
}

// ---- requests -----------------------------------------------------------------------------------

static enum reeve_error submit(struct reeve_cache *c, struct cache_node *n, unsigned what)
{
    struct reeve_request q = {.op = what == CACHE_TODO_GET    ? REEVE_OP_GET
                                    : what == CACHE_TODO_LIST ? REEVE_OP_CHILDREN
                                                              : REEVE_OP_EXISTS,
                              .path = n->path};
    if (c->one_shot) {
        q.watch = (struct reeve_watch){cache_on_event, c};
    }
    struct cache_read *read = c->free_reads;
    enum reeve_error e = kit_submit(&c->o, &q, on_read, read);
    if (!e) {
        c->free_reads = read->next_free;
        read->n = n;
        read->what = what;
        n->under_way++;
        c->under_way++;
        done_with(c, n, what);
    }
    return e;
}

void cache_pump(struct reeve_cache *c)
{
    while (c->free_reads && !TAILQ_EMPTY(&c->todo) && !c->again.on) {
        struct cache_node *n = TAILQ_FIRST(&c->todo);
        enum reeve_error e = submit(c, n, n->todo & (~n->todo + 1));
        if (e == REEVE_NO_MEMORY) {
            cache_again(c, false);
            return;
        }
        if (kit_is_over(e)) {
            cache_forget_todo(c); // on_session() tells
            c->state = CACHE_IDLE;
        } else if (e) {
            cache_fail(c, e); // a path over the client's request_max
            return;
        }
    }
    if (c->state == CACHE_READING && c->under_way == 0 && TAILQ_EMPTY(&c->todo) && !c->again.on) {
        cache_complete(c);
    }
}
