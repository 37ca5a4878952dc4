// SPDX-License-Identifier: Apache-2.0
//
// A queue that all guests put into and take from, in one of its layouts. The board knows every item
// by its number, which is its data. What must hold, where the layout has locks:
// - an item is with one guest at a time of those that are awake, and comes back when it is given
//   back or lost; whoever waits for one gets it;
// - one whose finish was answered OK is never handed out again; no other one leaves the queue;
// - a put that was answered OK is in the queue once, one that was refused never;
// - what is taken is the first of what was there and free during all of the take (judged by the
//   committed history), and puts of one object keep their order.
// Without locks an item is handed out once at most, and goes with whoever dies with it.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "reeve/queue.h"
#include "sim/check_tree.h"
#include "sim/guest_work.h"
#include "sim/world.h"

enum {
    ITEMS_MAX = 600,
    PUT_MAX = 3,
    TAKES_MAX = 2,
    HOLD_MS = 600,
    PATIENCE_S = 10,
    PRIORITIES = 3,
    CODE_LEN = 9, // what Curator's format has before the data
    NAME_MAX_LEN = 64
};

enum put_state { PUT_UNKNOWN, PUT_DONE, PUT_NEVER };
enum end_state { THERE, MAYBE_GONE, GONE };

struct queue_item {
    enum put_state put;
    enum end_state end;
    uint64_t object; // that put it
    int32_t priority;
    unsigned holders;        // bits of clients
    uint32_t newest;         // who was given it last
    int64_t since_ns;        // last thing that happened to it
    uint32_t nodes;          // board_end: how many there were of it
    char name[NAME_MAX_LEN]; // board_end: of the node
};

struct queues {
    enum reeve_queue_layout layout;
    bool locks;
    const char *entries, *lock_dir;
    struct queue_item items[ITEMS_MAX];
    uint32_t n;
    uint64_t objects;
};

struct held {
    struct held *next;
    struct reeve_queue_item *item;
    uint32_t number;
    int64_t until_ns;
    bool lost;
    bool orphan; // its queue was freed: nobody would tell
};

struct queue_call {
    struct queue_call *next;
    struct queue *k;
    uint32_t number, n; // of a put: the first, and how many; of finish or give back: 0 and none
    bool takes, finishes;
    int64_t since_ns, session, zxid; // of a take: what its client had seen
};

struct queue {
    struct guest *g;
    struct queues *all;
    struct rng rng;
    struct reeve_queue *zk;
    uint64_t object;
    struct held *held;
    struct queue_call *calls;
    size_t takes;
    bool leaving;
};

static struct world *world_of(const struct queue *k)
{
    return guest_world(k->g);
}

static void fail(struct queue *k, uint32_t number, const char *what)
{
    report_fail(&world_of(k)->report, "guest %u: item %u %s", k->g->c->index, number, what);
}

static void note(struct queue *k, uint32_t number, const char *what)
{
    report_line(&world_of(k)->report, "guest %u: item %u: %s", k->g->c->index, number, what);
    k->all->items[number].since_ns = world_of(k)->now_ns;
}

// ---- the board ----------------------------------------------------------------------------------

static void *board_new(struct world *w, uint64_t seed)
{
    static const enum reeve_queue_layout layouts[] = {
        REEVE_QUEUE_LOCKING,          REEVE_QUEUE_LOCKING, REEVE_QUEUE_CURATOR, REEVE_QUEUE_CURATOR,
        REEVE_QUEUE_CURATOR_PRIORITY, REEVE_QUEUE_KAZOO,   REEVE_QUEUE_SIMPLE};
    struct queues *all = mem_zalloc(sizeof(*all));
    (void)seed;
    all->layout = layouts[w->opt.seed % (sizeof(layouts) / sizeof(layouts[0]))];
    all->locks = all->layout != REEVE_QUEUE_KAZOO && all->layout != REEVE_QUEUE_SIMPLE;
    bool inside = all->layout == REEVE_QUEUE_LOCKING;
    all->entries = inside ? GUESTS_PATH "/queue/entries" : GUESTS_PATH "/queue";
    all->lock_dir = inside ? GUESTS_PATH "/queue/taken" : GUESTS_PATH "/queue-locks";
    return all;
}

static void board_free(void *board)
{
    mem_free(board);
}

static bool is_coded(const struct queues *all)
{
    return all->layout == REEVE_QUEUE_CURATOR || all->layout == REEVE_QUEUE_CURATOR_PRIORITY;
}

// The number in an item's bytes; ITEMS_MAX: there is none.
static uint32_t number_of(const struct queues *all, const void *bytes, size_t n)
{
    char text[8] = "";
    if (n == 0 || n >= sizeof(text)) {
        return ITEMS_MAX;
    }
    memcpy(text, bytes, n);
    uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    return number < all->n ? number : ITEMS_MAX;
}

// The name of an item's node; NULL: it is another node.
static const char *entry_name(const struct queues *all, const struct model_node *node,
                              char name[NAME_MAX_LEN])
{
    struct slice dir = slice_str(all->entries);
    if (node->n == 0 || node->path.n <= dir.n || node->path.n - dir.n > NAME_MAX_LEN ||
        !slice_eq(model_parent(node->path), dir)) {
        return NULL;
    }
    struct slice last = slice_skip(node->path, dir.n + 1);
    memcpy(name, last.p, last.n);
    name[last.n] = '\0';
    bool entry = strncmp(name, "entry-", 6) == 0 || strncmp(name, "queue-", 6) == 0 ||
                 strncmp(name, "qn-", 3) == 0;
    return entry ? name : NULL;
}

static uint32_t number_of_node(const struct queues *all, const struct model_node *node)
{
    struct slice data = node->v[0].data;
    size_t before = is_coded(all) ? CODE_LEN : 0, behind = is_coded(all) ? 1 : 0;
    return data.n <= before + behind ? ITEMS_MAX
                                     : number_of(all, data.p + before, data.n - before - behind);
}

// ---- the order in which they are taken ----------------------------------------------------------

// Whether there was a lock on it at some moment of these.
static bool was_locked(const struct queues *all, const struct model *m, const char *name,
                       int64_t from, int64_t to)
{
    char path[2 * NAME_MAX_LEN];
    snprintf(path, sizeof(path), "%s/%s", all->lock_dir, name);
    const struct model_node *lock = model_history(m, slice_str(path));
    bool locked = false;
    for (size_t i = 0; lock && i < lock->n; i++) {
        bool over = i + 1 < lock->n && lock->v[i + 1].zxid <= from;
        locked |= lock->v[i].exists && lock->v[i].zxid <= to && !over;
    }
    return locked;
}

// When it was taken: by its lock, or by its deletion.
static int64_t taken_at(const struct queues *all, const struct model *m, const char *name)
{
    char path[2 * NAME_MAX_LEN];
    snprintf(path, sizeof(path), "%s/%s", all->locks ? all->lock_dir : all->entries, name);
    const struct model_node *node = model_history(m, slice_str(path));
    if (!node || !node->n) {
        return 0;
    }
    const struct model_version *v = &node->v[node->n - 1];
    return v->exists == all->locks ? v->zxid : 0;
}

static void check_order(struct queue *k, const struct queue_call *take, const char *taken)
{
    const struct model *m = world_of(k)->check->model;
    int64_t at = taken_at(k->all, m, taken);
    char name[NAME_MAX_LEN];
    for (size_t i = 0; at && i < m->nodes_n; i++) {
        const struct model_node *node = m->nodes[i];
        if (!entry_name(k->all, node, name) || strcmp(name, taken) >= 0 ||
            node->v[0].zxid > take->zxid || !model_at(m, node->path, at)) {
            continue;
        }
        if (!k->all->locks || !was_locked(k->all, m, name, take->zxid, at)) {
            report_fail(&world_of(k)->report,
                        "guest %u is given %s, and %s was before it and free all the time",
                        k->g->c->index, taken, name);
        }
    }
}

// ---- calls --------------------------------------------------------------------------------------

static struct queue_call *new_call(struct queue *k)
{
    struct queue_call *c = mem_zalloc(sizeof(*c));
    *c = (struct queue_call){.next = k->calls, .k = k, .since_ns = world_of(k)->now_ns};
    k->calls = c;
    return c;
}

static void forget_call(struct queue_call *c)
{
    struct queue_call **at = &c->k->calls;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    c->k->takes -= c->takes;
    mem_free(c);
}

static void check_error(struct queue *k, const char *what, enum reeve_error e)
{
    struct world *w = world_of(k);
    bool lost = e == REEVE_CONNECTION_LOSS && (!k->all->locks || check_guest_cut_off(w));
    if (e && !lost && !guest_may_fail(w, e)) {
        report_fail(&w->report, "guest %u: a %s fails: %s", k->g->c->index, what,
                    reeve_error_name(e));
    }
}

// ---- putting ------------------------------------------------------------------------------------

static void on_put(void *ctx, enum reeve_error e)
{
    struct queue_call *c = ctx;
    struct queue *k = c->k;
    bool unknown = e == REEVE_SESSION_EXPIRED || e == REEVE_CLOSED || e == REEVE_CONNECTION_LOSS;
    check_error(k, "put", e);
    for (uint32_t i = c->number; i < c->number + c->n; i++) {
        k->all->items[i].put = e == REEVE_OK ? PUT_DONE : unknown ? PUT_UNKNOWN : PUT_NEVER;
        note(k, i, reeve_error_name(e));
    }
    forget_call(c);
}

static void put(struct queue *k)
{
    char text[PUT_MAX][8];
    struct reeve_queue_data data[PUT_MAX];
    struct queue_call *c = new_call(k);
    int32_t priority = (int32_t)rng_below(&k->rng, PRIORITIES);
    c->number = k->all->n;
    c->n = 1 + (uint32_t)(rng_chance(&k->rng, 1, 4) ? rng_below(&k->rng, PUT_MAX) : 0);
    for (uint32_t i = 0; i < c->n; i++) {
        int n = snprintf(text[i], sizeof(text[i]), "%u", k->all->n);
        data[i] = (struct reeve_queue_data){text[i], (size_t)n};
        k->all->items[k->all->n++] = (struct queue_item){.object = k->object, .priority = priority};
        note(k, c->number + i, "put");
    }
    enum reeve_error e = reeve_queue_put_many_async(k->zk, data, c->n, priority, on_put, c);
    if (e) {
        on_put(c, e);
    }
}

// ---- taking -------------------------------------------------------------------------------------

static void check_taken(struct queue *k, uint32_t number)
{
    struct queue_item *item = &k->all->items[number];
    struct world *w = world_of(k);
    if (item->end == GONE) {
        fail(k, number, "is taken, and was finished");
    } else if (item->put == PUT_NEVER) {
        fail(k, number, "is taken, and was never put");
    }
    for (uint32_t i = 0; i < w->clients_n; i++) {
        if ((item->holders & 1u << i) && !guest_is_paused(w->clients[i]->guest) &&
            !check_guest_cut_off(w)) {
            report_fail(&w->report, "guest %u: item %u is taken, and guest %u has it",
                        k->g->c->index, number, i);
        }
    }
}

static void keep(struct queue *k, uint32_t number, struct reeve_queue_item *given)
{
    struct queue_item *item = &k->all->items[number];
    struct held *h = mem_zalloc(sizeof(*h));
    item->holders |= 1u << k->g->c->index;
    item->newest = k->g->c->index;
    item->end = k->all->locks ? item->end : GONE;
    int64_t ms = (int64_t)rng_below(&k->rng, HOLD_MS);
    *h = (struct held){.next = k->held,
                       .item = given,
                       .number = number,
                       .until_ns = world_of(k)->now_ns + ms * SIM_MS};
    k->held = h;
    world_of(k)->fig.grants++;
}

// Without locks: it is gone, and perhaps another one has it, too.
static void drop_unsure(struct queue *k, uint32_t number, struct reeve_queue_item *given)
{
    struct queue_item *item = &k->all->items[number];
    item->end = item->end == THERE ? MAYBE_GONE : item->end;
    note(k, number, "perhaps taken");
    (void)reeve_queue_finish_async(given, NULL, NULL); // else the client ends, and the item with it
}

static void end_held(struct queue *k, struct held *h, bool finishes);

static void on_taken(void *ctx, enum reeve_error e, struct reeve_queue_item *given)
{
    struct queue_call *c = ctx;
    struct queue *k = c->k;
    uint32_t number = ITEMS_MAX;
    check_error(k, "take", e);
    if (given) {
        const char *data = reeve_queue_item_data(given);
        number = number_of(k->all, data, reeve_queue_item_len(given));
    }
    if ((e == REEVE_OK) != (given && number < ITEMS_MAX) && e != REEVE_CONNECTION_LOSS) {
        report_fail(&world_of(k)->report, "guest %u is given what nobody put, with %s",
                    k->g->c->index, reeve_error_name(e));
    } else if (e == REEVE_OK) {
        note(k, number, "taken");
        check_taken(k, number);
        if (c->session && c->session == k->g->c->session) {
            check_order(k, c, reeve_queue_item_name(given));
        }
        keep(k, number, given);
        if (k->leaving) {
            end_held(k, k->held, true);
        }
    } else if (given) {
        drop_unsure(k, number, given);
    }
    forget_call(c);
}

static void take(struct queue *k)
{
    static const int64_t timeouts_ms[] = {-1, -1, 0, 300, 2000, 20000};
    bool storm = world_of(k)->phase == PHASE_STORM;
    int64_t timeout_ms = timeouts_ms[storm ? rng_below(&k->rng, 6) : 0];
    struct queue_call *c = new_call(k);
    c->takes = true;
    c->session = k->g->c->session;
    c->zxid = k->g->c->last_zxid;
    k->takes++;
    enum reeve_error e = reeve_queue_take_async(k->zk, timeout_ms, on_taken, c);
    if (e) {
        on_taken(c, e, NULL);
    }
}

// ---- what was taken -----------------------------------------------------------------------------

static void on_lost(void *ctx, struct reeve_queue_item *given)
{
    struct queue *k = ctx;
    struct held *h = k->held;
    while (h && h->item != given) {
        h = h->next;
    }
    if (!h || h->lost || !reeve_queue_item_lost(given)) {
        report_fail(&world_of(k)->report, "guest %u loses an item that it has not", k->g->c->index);
        return;
    }
    if (world_of(k)->opt.plant == PLANT_KEEP_ITEM) {
        return;
    }
    h->lost = true;
    k->all->items[h->number].holders &= ~(1u << k->g->c->index);
    note(k, h->number, "lost");
}

static void on_finished(void *ctx, enum reeve_error e)
{
    struct queue_call *c = ctx;
    struct queue *k = c->k;
    struct queue_item *item = &k->all->items[c->number];
    check_error(k, c->finishes ? "finish" : "give back", e);
    note(k, c->number, reeve_error_name(e));
    if (c->finishes && !e) {
        if (item->newest != k->g->c->index) {
            fail(k, c->number, "is finished, and was given to another one meanwhile");
        } else if (item->end == GONE && k->all->locks) {
            fail(k, c->number, "is finished twice");
        }
        item->end = GONE;
    }
    forget_call(c);
}

// It is no longer held before it is given back.
static void end_held(struct queue *k, struct held *h, bool finishes)
{
    struct held **at = &k->held;
    while (*at != h) {
        at = &(*at)->next;
    }
    *at = h->next;
    struct queue_item *item = &k->all->items[h->number];
    struct queue_call *c = new_call(k);
    c->number = h->number;
    c->finishes = finishes || !k->all->locks;
    item->holders &= ~(1u << k->g->c->index);
    item->end = c->finishes && !h->lost && item->end == THERE ? MAYBE_GONE : item->end;
    note(k, h->number, c->finishes ? "finish" : "give back");
    enum reeve_error e = (c->finishes ? reeve_queue_finish_async
                                      : reeve_queue_give_back_async)(h->item, on_finished, c);
    if (e) {
        on_finished(c, e);
    }
    mem_free(h);
}

// ---- as a part ----------------------------------------------------------------------------------

static void open_queue(struct queue *k)
{
    struct reeve_queue_options o = {.layout = k->all->layout,
                                    .lock_path = is_coded(k->all) ? k->all->lock_dir : NULL,
                                    .lost = on_lost,
                                    .ctx = k};
    k->object = ++k->all->objects;
    must(!reeve_queue_new(&k->zk, k->g->zk, GUESTS_PATH "/queue", &o));
}

static void *start(struct guest *g, void *board, uint64_t seed)
{
    struct queue *k = mem_zalloc(sizeof(*k));
    *k = (struct queue){.g = g, .all = board, .rng = {seed}};
    open_queue(k);
    return k;
}

static void tick_held(struct queue *k)
{
    struct held *h = k->held;
    while (h && h->until_ns > world_of(k)->now_ns) {
        h = h->next;
    }
    if (h) {
        end_held(k, h, rng_chance(&k->rng, 3, 4));
    }
}

// What was taken stays, but if it is lost nobody tells.
static void reopen_queue(struct queue *k)
{
    for (struct held *h = k->held; h; h = h->next) {
        h->orphan = true;
        k->all->items[h->number].holders &= ~(1u << k->g->c->index);
    }
    reeve_queue_free(&k->zk);
    open_queue(k);
}

static void tick(void *part)
{
    struct queue *k = part;
    tick_held(k);
    if (rng_chance(&k->rng, 1, 30) && k->all->n + PUT_MAX <= ITEMS_MAX) {
        put(k);
    }
    if (k->takes < TAKES_MAX && rng_chance(&k->rng, 1, 15)) {
        take(k);
    }
    if (world_of(k)->phase == PHASE_STORM && rng_chance(&k->rng, 1, 500)) {
        reopen_queue(k);
    }
}

static void leave(void *part)
{
    struct queue *k = part;
    k->leaving = true;
    while (k->held) {
        end_held(k, k->held, rng_chance(&k->rng, 1, 2));
    }
    reeve_queue_free(&k->zk);
}

static void woke(void *part)
{
    struct queue *k = part;
    for (const struct held *h = k->held; h; h = h->next) {
        if (!h->lost && !h->orphan && k->all->items[h->number].newest != k->g->c->index) {
            fail(k, h->number,
                 "was given to another one while it slept, and it believes to have it");
        }
    }
}

// Nobody has had it for long: whoever waits should.
static bool lies_there(const struct queues *all, const struct world *w,
                       const struct model_node *node, uint32_t *number)
{
    char name[NAME_MAX_LEN];
    if (!entry_name(all, node, name) || !node->v[node->n - 1].exists) {
        return false;
    }
    *number = number_of_node(all, node);
    const struct queue_item *item = &all->items[*number < ITEMS_MAX ? *number : 0];
    return *number < ITEMS_MAX && !item->holders && w->now_ns - item->since_ns > PATIENCE_S * SIM_S;
}

static void check_calm(void *part)
{
    struct queue *k = part;
    struct world *w = world_of(k);
    const struct model *m = w->check->model;
    bool waits = false;
    for (const struct queue_call *c = k->calls; c; c = c->next) {
        bool long_ago = w->now_ns - c->since_ns > PATIENCE_S * SIM_S;
        waits |= c->takes && long_ago;
        if (!c->takes && long_ago) {
            report_fail(&w->report, "guest %u has waited %" PRId64 " ms for the queue",
                        k->g->c->index, (w->now_ns - c->since_ns) / SIM_MS);
        }
    }
    uint32_t number;
    for (size_t i = 0; waits && i < m->nodes_n; i++) {
        if (lies_there(k->all, w, m->nodes[i], &number)) {
            fail(k, number, "lies in the queue, and it waits for one");
        }
    }
}

static void finish(void *part)
{
    struct queue *k = part;
    if (k->calls || k->held) {
        report_fail(&world_of(k)->report, "guest %u: a call of the queue is never answered",
                    k->g->c->index);
    }
    while (k->calls) {
        forget_call(k->calls);
    }
    while (k->held) {
        struct held *h = k->held;
        k->held = h->next;
        mem_free(h);
    }
    mem_free(k);
}

// ---- the end ------------------------------------------------------------------------------------

static void end_item(const struct queues *all, struct world *w, uint32_t number)
{
    const struct queue_item *item = &all->items[number];
    uint32_t least = item->put == PUT_DONE, most = item->put != PUT_NEVER;
    if (item->nodes < least || item->nodes > most) {
        report_fail(&w->report, "item %u was in the queue %u times, its put being %s", number,
                    item->nodes,
                    item->put == PUT_DONE    ? "OK"
                    : item->put == PUT_NEVER ? "refused"
                                             : "unknown");
    }
    for (uint32_t i = 0; i < number; i++) {
        const struct queue_item *other = &all->items[i];
        if (item->put == PUT_DONE && other->put == PUT_DONE && other->object == item->object &&
            other->priority == item->priority && strcmp(other->name, item->name) > 0) {
            report_fail(&w->report, "item %u was put before item %u, and comes behind it", i,
                        number);
        }
    }
}

static void board_end(void *board, struct world *w)
{
    struct queues *all = board;
    const struct model *m = w->check->model;
    char name[NAME_MAX_LEN];
    for (size_t i = 0; i < m->nodes_n; i++) {
        if (!entry_name(all, m->nodes[i], name)) {
            continue;
        }
        uint32_t number = number_of_node(all, m->nodes[i]);
        bool there = m->nodes[i]->v[m->nodes[i]->n - 1].exists;
        struct queue_item *item = &all->items[number < ITEMS_MAX ? number : 0];
        item->nodes++;
        memcpy(item->name, name, sizeof(name));
        if (number == ITEMS_MAX) {
            report_fail(&w->report, "%s is nobody's item", name);
        } else if (there && item->end == GONE) {
            report_fail(&w->report, "item %u is in the queue, and was finished", number);
        } else if (!there && item->end == THERE && all->locks) {
            report_fail(&w->report, "item %u is gone, and nobody has finished it", number);
        }
    }
    for (uint32_t i = 0; i < all->n; i++) {
        end_item(all, w, i);
    }
}

const struct guest_part guest_queue = {.name = "queue",
                                       .board_new = board_new,
                                       .board_end = board_end,
                                       .board_free = board_free,
                                       .start = start,
                                       .tick = tick,
                                       .leave = leave,
                                       .woke = woke,
                                       .check_calm = check_calm,
                                       .free = finish};
