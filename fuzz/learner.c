// SPDX-License-Identifier: Apache-2.0
//
// Any packets in any order, as a learner hears them from whoever says that it leads. The disk does
// what it is told, at once or some packets later, as the bytes say. After every step the learner's
// own invariants hold, and these of what it does: nothing is acknowledged that is not durable, what
// commits is in the log, in zxid order and never of an epoch above the leader's, and nothing
// follows STEP_DOWN.
#include "zab/learner.h"

#include "base/mem.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TODO_MAX = 1 << 11 };

struct world {
    struct learner *learner;
    struct history history;
    struct role_event todo[TODO_MAX]; // answers of the disk, oldest first
    size_t todo_first, todo_n;
    int64_t appended, durable, committed, accepted, current;
    bool over;
};

static struct members *three(void)
{
    struct members *m;
    struct slice text = SLICE_LIT("server.1=a:1:2:participant\nserver.2=b:1:2:participant\n"
                                  "server.3=c:1:2:participant");
    must(members_parse(text, &m) == ERR_OK);
    return m;
}

static void later(struct world *w, enum role_event_type type, int64_t zxid, int64_t epoch)
{
    must(w->todo_n < TODO_MAX);
    w->todo[w->todo_n++] = (struct role_event){.type = type, .zxid = zxid, .epoch = epoch};
}

static void sent(const struct world *w, const struct zab_packet *k)
{
    if (k->type == QPACKET_ACK && zxid_counter(k->zxid)) {
        must(k->zxid <= w->durable);
    } else if (k->type == QPACKET_ACK) {
        must(zxid_epoch(k->zxid) == w->current);
    } else if (k->type == QPACKET_ACKEPOCH) {
        must(w->accepted == learner_epoch(w->learner));
    }
}

static void act(struct world *w, const struct role_action *a)
{
    must(!w->over);
    switch ((int)a->type) {
    case ROLE_SEND:
        sent(w, &a->packet);
        break;
    case ROLE_SAVE_ACCEPTED:
        must(a->epoch > w->accepted);
        later(w, ROLE_IN_EPOCH_SAVED, INT64_MIN, a->epoch);
        break;
    case ROLE_SAVE_CURRENT:
        must(w->durable == w->appended);
        later(w, ROLE_IN_EPOCH_SAVED, INT64_MAX, a->epoch);
        break;
    case ROLE_APPEND:
        must(a->zxid > w->appended);
        must(zxid_epoch(a->zxid) <= learner_epoch(w->learner));
        w->appended = a->zxid;
        later(w, ROLE_IN_LOGGED, a->zxid, 0);
        break;
    case ROLE_COMMIT:
        must(a->zxid > w->committed);
        must(a->zxid <= w->appended);
        w->committed = a->zxid;
        break;
    case ROLE_TRUNCATE:
    case ROLE_LOAD_SNAPSHOT:
        must(a->zxid >= 0);
        must(zxid_epoch(a->zxid) <= learner_epoch(w->learner));
        w->appended = w->durable = w->committed = a->zxid;
        later(w, a->type == ROLE_TRUNCATE ? ROLE_IN_TRUNCATED : ROLE_IN_SNAPSHOT_LOADED, a->zxid,
              0);
        break;
    case ROLE_STEP_DOWN:
        w->over = true;
        break;
    }
}

static void step(struct world *w, const struct role_event *ev)
{
    struct role_out out;
    learner_step(w->learner, ev, &out);
    for (size_t i = 0; i < out.n; i++) {
        act(w, &out.actions[i]);
    }
    learner_check(w->learner);
}

static void answer_one(struct world *w)
{
    if (w->todo_first == w->todo_n || w->over) {
        return;
    }
    struct role_event ev = w->todo[w->todo_first++];
    if (ev.type == ROLE_IN_LOGGED) {
        w->durable = ev.zxid;
    } else if (ev.type == ROLE_IN_EPOCH_SAVED) {
        *(ev.zxid == INT64_MIN ? &w->accepted : &w->current) = ev.epoch;
    }
    step(w, &ev);
}

// Three bytes make a packet: its type, its epoch, its counter.
static void hear(struct world *w, const uint8_t *p)
{
    static const int64_t epochs[] = {0, 1, 2, 3, 4, INT32_MAX, -1, INT32_MIN};
    int64_t zxid = zxid_of_epoch(epochs[p[1] % 8]) + (p[2] == 0xff ? 0xffffffff : p[2]);
    struct blob *txn = blob_new(slice_of(&zxid, sizeof(zxid)));
    struct zab_packet k = {.type = (enum qpacket_type)(p[0] % 21),
                           .zxid = zxid,
                           .designated = p[2],
                           .data = slice_of(p, 3)};
    bool has = k.type == QPACKET_PROPOSAL || k.type == QPACKET_INFORM ||
               k.type == QPACKET_INFORMANDACTIVATE;
    k.txn = has ? txn : NULL;
    step(w, &(struct role_event){.type = ROLE_IN_PACKET, .sid = 3, .packet = &k});
    blob_unref(&txn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > TODO_MAX) {
        return 0;
    }
    struct members *members = three();
    struct world *w = mem_zalloc(sizeof(*w));
    int64_t last = data[0] & 1 ? zxid_of_epoch(1) + 3 : 0;
    w->appended = w->durable = w->committed = last;
    w->accepted = w->current = 1;
    history_init(&w->history, 500, 10000);
    history_reset(&w->history, last);
    struct role_settings s = {.sid = 1,
                              .tick_ms = 100,
                              .init_limit = 10,
                              .sync_limit = 5,
                              .observer = (data[0] & 2) != 0,
                              .wants_snapshot = (data[0] & 4) != 0,
                              .committed = members,
                              .accepted_epoch = 1,
                              .current_epoch = 1,
                              .last_zxid = last,
                              .leader = 3};
    w->learner = learner_new(&s, &w->history);
    step(w, &(struct role_event){.type = ROLE_IN_START});
    step(w, &(struct role_event){.type = ROLE_IN_PEER_UP, .sid = 3});
    for (size_t i = 1; i + 3 <= size && !w->over; i += 3) {
        hear(w, data + i);
        for (int n = data[i] >> 6; n > 0; n--) {
            answer_one(w);
        }
    }
    learner_free(&w->learner);
    history_fini(&w->history);
    members_free(&members);
    mem_free(w);
    return 0;
}
