// SPDX-License-Identifier: Apache-2.0
#include "zab/obsmaster.h"

#include "base/mem.h"
#include "zab/catchup.h"

enum phase {
    OBSERVER_CONNECTED,
    OBSERVER_TOLD,
    OBSERVER_AHEAD,
    OBSERVER_SYNCING,
    OBSERVER_OFFERED,
    OBSERVER_LIVE
};

struct observer {
    int64_t sid;
    enum phase phase;
    struct catchup catchup;
    struct mono deadline; // its next packet
};

struct obsmaster {
    struct obsmaster_settings s; // `committed` and `config_version` go on
    struct history *history;
    struct observer *observers;
    size_t n, cap;
    uint64_t questions;
    bool pin_stale; // who is read from the log, or how far, has changed
    struct mono now, next_ping;
    struct acts acts;
};

struct obsmaster *obsmaster_new(const struct obsmaster_settings *s, struct history *h)
{
    must(zxid_epoch(s->committed) <= s->epoch);
    struct obsmaster *o = mem_zalloc(sizeof(*o));
    o->s = *s;
    o->history = h;
    return o;
}

void obsmaster_free(struct obsmaster **o)
{
    if (*o) {
        history_pin((*o)->history, INT64_MAX);
        acts_fini(&(*o)->acts);
        mem_free((*o)->observers);
        mem_free(*o);
        *o = NULL;
    }
}

static struct mono limit(const struct obsmaster *o, int64_t ticks)
{
    return mono_add_ms(o->now, ticks * o->s.tick_ms);
}

static struct observer *find(const struct obsmaster *o, int64_t sid)
{
    for (size_t i = 0; i < o->n; i++) {
        if (o->observers[i].sid == sid) {
            return &o->observers[i];
        }
    }
    return NULL;
}

// The place of p is another's afterwards; PEER_DOWN of a sid that was dropped is no news.
static void forget(struct obsmaster *o, struct observer *p)
{
    o->pin_stale |= p->phase == OBSERVER_SYNCING;
    *p = o->observers[--o->n];
}

static void drop(struct obsmaster *o, struct observer *p, const char *why)
{
    acts_add(&o->acts, (struct role_action){.type = ROLE_DROP, .sid = p->sid, .why = why});
    forget(o, p);
}

// ---- from its first packet to UPTODATE ----------------------------------------------------------

static struct catchup_source source(struct obsmaster *o, const struct observer *p)
{
    return (struct catchup_source){.acts = &o->acts,
                                   .history = o->history,
                                   .sid = p->sid,
                                   .committed = o->s.committed,
                                   .epoch = o->s.epoch,
                                   .serving = true,
                                   .questions = &o->questions};
}

// From now on it stands in line: every commit is told as it happens.
static void go_on(struct obsmaster *o, struct observer *p, enum catchup_result r, const char *why)
{
    o->pin_stale = true;
    if (r == CATCHUP_BROKEN) {
        drop(o, p, why);
    } else if (r == CATCHUP_DONE) {
        acts_send(&o->acts, p->sid, QPACKET_NEWLEADER, zxid_of_epoch(o->s.epoch));
        p->phase = OBSERVER_OFFERED;
        p->deadline = limit(o, o->s.init_limit + o->s.sync_limit);
    }
}

static void begin_sync(struct obsmaster *o, struct observer *p)
{
    struct catchup_source s = source(o, p);
    p->phase = OBSERVER_SYNCING;
    go_on(o, p, catchup_begin(&s, &p->catchup), NULL);
}

static void on_info(struct obsmaster *o, struct observer *p, const struct zab_packet *k)
{
    if (p->phase != OBSERVER_CONNECTED) {
        drop(o, p, "said twice who it is");
    } else if (k->type != QPACKET_OBSERVERINFO) {
        drop(o, p, "is not an observer");
    } else if (k->config_version > o->s.config_version) {
        drop(o, p, "knows a newer membership");
    } else {
        p->phase = OBSERVER_TOLD;
        acts_send(&o->acts, p->sid, QPACKET_LEADERINFO, zxid_of_epoch(o->s.epoch));
    }
}

static void on_ack_epoch(struct obsmaster *o, struct observer *p, const struct zab_packet *k)
{
    if (p->phase != OBSERVER_TOLD) {
        drop(o, p, "ACKEPOCH out of order");
    } else if (k->current_epoch > o->s.epoch || zxid_epoch(k->zxid) > o->s.epoch) {
        drop(o, p, "is ahead of this leader");
    } else {
        p->catchup.last_zxid = k->zxid;
        bool ahead = zxid_epoch(k->zxid) == o->s.epoch && zxid_counter(k->zxid) > 0 &&
                     k->zxid > o->s.committed;
        if (ahead) {
            p->phase = OBSERVER_AHEAD;
        } else {
            begin_sync(o, p);
        }
    }
}

static void on_ack(struct obsmaster *o, struct observer *p, int64_t zxid)
{
    if (zxid_counter(zxid) > 0) {
        drop(o, p, "an observer acknowledged a proposal");
    } else if (p->phase == OBSERVER_OFFERED && zxid == zxid_of_epoch(o->s.epoch)) {
        p->phase = OBSERVER_LIVE;
        p->deadline = limit(o, o->s.sync_limit);
        acts_send(&o->acts, p->sid, QPACKET_UPTODATE, -1);
    }
}

static void on_packet(struct obsmaster *o, struct observer *p, const struct zab_packet *k)
{
    if (p->phase == OBSERVER_LIVE) {
        p->deadline = limit(o, o->s.sync_limit);
    }
    switch ((int)k->type) {
    case QPACKET_FOLLOWERINFO:
    case QPACKET_OBSERVERINFO:
        on_info(o, p, k);
        return;
    case QPACKET_ACKEPOCH:
        on_ack_epoch(o, p, k);
        return;
    default:
        break;
    }
    if (p->phase < OBSERVER_OFFERED) {
        drop(o, p, "spoke before it was synchronised");
    } else if (k->type == QPACKET_ACK) {
        on_ack(o, p, k->zxid);
    } else if (k->type == QPACKET_PING) {
        acts_add(&o->acts,
                 (struct role_action){.type = ROLE_TOUCHED, .sid = p->sid, .data = k->data});
    } else if (k->type == QPACKET_REQUEST || k->type == QPACKET_REVALIDATE) {
        acts_add(&o->acts, (struct role_action){.type = ROLE_REQUEST, .sid = p->sid, .packet = *k});
    }
}

// ---- the disk's answers -------------------------------------------------------------------------

static void on_disk(struct obsmaster *o, struct observer *p, const struct role_event *ev)
{
    // Not so for what was asked for a former connection of the same observer.
    if (p->phase != OBSERVER_SYNCING || p->catchup.asked != ev->tag) {
        return;
    }
    struct catchup_source s = source(o, p);
    const char *why = NULL;
    enum catchup_result r;
    if (ev->type == ROLE_IN_DISK) {
        r = catchup_on_disk(&s, &p->catchup, ev);
    } else {
        p->deadline = limit(o, o->s.init_limit + o->s.sync_limit); // it is this server's disk
        r = catchup_on_history(&s, &p->catchup, ev, &why);
    }
    go_on(o, p, r, why);
}

// ---- commits and time ---------------------------------------------------------------------------

// Java: ObserverMaster.proposalCommitted, informAndActivate. ev->packet is what is to be sent.
static void on_committed(struct obsmaster *o, const struct zab_packet *k)
{
    must(k->zxid > o->s.committed);
    o->s.committed = k->zxid;
    if (k->type == QPACKET_INFORMANDACTIVATE) {
        o->s.config_version = k->zxid;
    }
    acts_hold(&o->acts, blob_ref(k->txn));
    for (size_t i = 0; i < o->n; i++) {
        struct observer *p = &o->observers[i];
        if (p->phase >= OBSERVER_OFFERED) {
            acts_add(&o->acts,
                     (struct role_action){.type = ROLE_SEND, .sid = p->sid, .packet = *k});
            p->catchup.sent = k->zxid;
        }
    }
}

static void on_tick(struct obsmaster *o)
{
    bool ping = o->next_ping.ns <= o->now.ns;
    if (ping) {
        o->next_ping = mono_add_ms(o->now, o->s.tick_ms / 2);
    }
    for (size_t i = o->n; i-- > 0;) {
        struct observer *p = &o->observers[i];
        if (p->deadline.ns <= o->now.ns) {
            drop(o, p, "said nothing for too long");
        } else if (p->phase == OBSERVER_AHEAD && p->catchup.last_zxid <= o->s.committed) {
            begin_sync(o, p);
        } else if (ping && p->phase >= OBSERVER_OFFERED) {
            acts_send(&o->acts, p->sid, QPACKET_PING, o->s.committed);
        }
    }
}

// ---- the step -----------------------------------------------------------------------------------

static void on_peer_up(struct obsmaster *o, int64_t sid)
{
    struct observer *old = find(o, sid);
    if (old) {
        forget(o, old); // its new connection replaces it
    }
    mem_grow((void **)&o->observers, &o->cap, o->n + 1, sizeof(*o->observers));
    o->observers[o->n++] =
        (struct observer){.sid = sid, .deadline = limit(o, 2 * o->s.init_limit + o->s.sync_limit)};
}

static void on_peer_event(struct obsmaster *o, const struct role_event *ev)
{
    struct observer *p = find(o, ev->sid);
    if (!p) {
        return; // dropped meanwhile
    }
    switch ((int)ev->type) {
    case ROLE_IN_PEER_DOWN:
        forget(o, p);
        break;
    case ROLE_IN_PACKET:
        on_packet(o, p, ev->packet);
        break;
    case ROLE_IN_FED:
        p->deadline = limit(o, o->s.init_limit + o->s.sync_limit);
        break;
    default:
        on_disk(o, p, ev);
        break;
    }
}

// What is committed while the log is read for an observer stays in memory until it has that, too.
static void pin_history(struct obsmaster *o)
{
    if (!o->pin_stale) {
        return;
    }
    o->pin_stale = false;
    int64_t pin = INT64_MAX;
    for (size_t i = 0; i < o->n; i++) {
        const struct observer *p = &o->observers[i];
        if (p->phase == OBSERVER_SYNCING && p->catchup.read_to < pin) {
            pin = p->catchup.read_to;
        }
    }
    history_pin(o->history, pin);
}

void obsmaster_step(struct obsmaster *o, const struct role_event *ev, struct role_out *out)
{
    acts_clear(&o->acts);
    o->now = ev->now;
    switch ((int)ev->type) {
    case ROLE_IN_TICK:
        on_tick(o);
        break;
    case ROLE_IN_COMMITTED:
        on_committed(o, ev->packet);
        break;
    case ROLE_IN_PEER_UP:
        on_peer_up(o, ev->sid);
        break;
    case ROLE_IN_PEER_DOWN:
    case ROLE_IN_PACKET:
    case ROLE_IN_DISK:
    case ROLE_IN_HISTORY:
    case ROLE_IN_FED:
        on_peer_event(o, ev);
        break;
    default:
        must(false); // of leaders and learners only
    }
    pin_history(o);
    *out = (struct role_out){o->acts.v, o->acts.n};
}

size_t obsmaster_synced(const struct obsmaster *o)
{
    size_t n = 0;
    for (size_t i = 0; i < o->n; i++) {
        n += o->observers[i].phase == OBSERVER_LIVE;
    }
    return n;
}

size_t obsmaster_peers(const struct obsmaster *o)
{
    return o->n;
}

void obsmaster_check(const struct obsmaster *o)
{
    for (size_t i = 0; i < o->n; i++) {
        const struct observer *p = &o->observers[i];
        must(find(o, p->sid) == p);
        must(p->phase < OBSERVER_OFFERED || p->catchup.sent >= o->s.committed ||
             p->catchup.sent == p->catchup.last_zxid);
    }
}
