// SPDX-License-Identifier: Apache-2.0
#include "zab/learner_internal.h"

#include "base/mem.h"

struct learner *learner_new(const struct role_settings *s, struct history *h)
{
    must(s->current_epoch <= s->accepted_epoch);
    must(zxid_epoch(s->last_zxid) <= s->current_epoch);
    must(!h->n || history_max(h) == s->last_zxid);
    struct learner *l = mem_zalloc(sizeof(*l));
    l->s = *s;
    l->history = h;
    l->epoch = l->contained = -1;
    l->last = l->logged = l->committed = s->last_zxid;
    return l;
}

void learner_free(struct learner **l)
{
    if (!*l) {
        return;
    }
    line_fini(&(*l)->line);
    acts_fini(&(*l)->acts);
    mem_free(*l);
    *l = NULL;
}

static void step_down(struct learner *l, const char *why)
{
    if (l->phase != LEARNER_OVER) {
        l->phase = LEARNER_OVER;
        acts_add(&l->acts, (struct role_action){.type = ROLE_STEP_DOWN, .why = why});
    }
}

static void act(struct learner *l, enum role_action_type type, int64_t zxid)
{
    acts_add(&l->acts, (struct role_action){.type = type, .sid = l->s.leader, .zxid = zxid});
}

static void send(struct learner *l, enum qpacket_type type, int64_t zxid)
{
    acts_send(&l->acts, l->s.leader, type, zxid);
}

static void save_epoch(struct learner *l, enum role_action_type type)
{
    acts_add(&l->acts, (struct role_action){.type = type, .epoch = l->epoch});
}

static void set_deadline(struct learner *l, int64_t ticks)
{
    l->deadline = mono_add_ms(l->now, ticks * l->s.tick_ms);
}

// ---- the line -----------------------------------------------------------------------------------

// Who votes owes an ACK of what it was sent live; what came before is acknowledged by NEWLEADER's.
static bool owes_acks(const struct learner *l)
{
    return l->phase == LEARNER_LIVE && !l->s.observer;
}

static void append(struct learner *l, const struct line_entry *x)
{
    l->line.appended++;
    if (!owes_acks(l)) {
        l->line.acked = l->line.appended;
    }
    l->last_appended = x->e.zxid;
    acts_add(&l->acts,
             (struct role_action){.type = ROLE_APPEND, .zxid = x->e.zxid, .txn = x->e.txn});
}

static void apply(struct learner *l, const struct line_entry *x)
{
    l->line.applied++;
    l->committed = x->e.zxid;
    history_append(l->history, x->e.zxid, x->e.txn);
    acts_add(&l->acts,
             (struct role_action){.type = ROLE_COMMIT, .zxid = x->e.zxid, .txn = x->e.txn});
    if (x->activates) {
        acts_add(&l->acts, (struct role_action){
                               .type = ROLE_ACTIVATE, .zxid = x->e.zxid, .sid = x->designated});
    }
}

// Whether the next entry may go to the log now.
static bool may_append(const struct learner *l)
{
    if (l->line.appended == l->line.n) {
        return false;
    }
    bool committed = l->line.appended < l->line.committed;
    if (l->phase == LEARNER_LIVE) {
        return !l->s.observer || committed;
    }
    if (l->phase == LEARNER_LOGGING) {
        return l->opened && l->line.v[l->line.appended].e.zxid <= l->history_end;
    }
    return l->opened && committed && l->phase < LEARNER_LOGGING;
}

static bool may_apply(const struct learner *l)
{
    return l->line.applied < l->line.appended && l->line.applied < l->line.committed;
}

// Everything in the line takes the steps it can take, in order.
static void move_line(struct learner *l)
{
    struct line *q = &l->line;
    while (may_append(l) || may_apply(l)) {
        if (may_append(l)) {
            append(l, &q->v[q->appended]);
        }
        if (may_apply(l)) {
            apply(l, &q->v[q->applied]);
        }
    }
    while (q->acked < q->appended && q->v[q->acked].e.zxid <= l->logged) {
        send(l, QPACKET_ACK, q->v[q->acked++].e.zxid);
    }
    for (struct blob *txn; (txn = line_take(q)) != NULL;) {
        acts_hold(&l->acts, txn);
    }
}

// ---- discovery ----------------------------------------------------------------------------------

static void on_peer_up(struct learner *l)
{
    if (l->phase != LEARNER_CONNECTING) {
        step_down(l, "a second connection to the leader");
        return;
    }
    l->phase = LEARNER_JOINING;
    acts_add(&l->acts, (struct role_action){.type = ROLE_SEND,
                                            .sid = l->s.leader,
                                            .packet = {.type = l->s.observer ? QPACKET_OBSERVERINFO
                                                                             : QPACKET_FOLLOWERINFO,
                                                       .zxid = zxid_of_epoch(l->s.accepted_epoch),
                                                       .config_version = l->s.committed->version}});
}

static void send_ack_epoch(struct learner *l, int64_t current)
{
    l->phase = LEARNER_OPENING;
    acts_add(&l->acts,
             (struct role_action){.type = ROLE_SEND,
                                  .sid = l->s.leader,
                                  .packet = {.type = QPACKET_ACKEPOCH,
                                             .zxid = l->s.wants_snapshot ? 0 : l->s.last_zxid,
                                             .current_epoch = current}});
}

// ZabWithFLE: FollowerProcessLEADERINFO; Java: Learner.registerWithLeader.
static void on_leader_info(struct learner *l, int64_t zxid)
{
    if (l->phase != LEARNER_JOINING) {
        step_down(l, "LEADERINFO out of order");
        return;
    }
    l->epoch = zxid_epoch(zxid);
    switch (epoch_compare(l->s.accepted_epoch, l->epoch)) {
    case EPOCH_NEWER:
        l->phase = LEARNER_ACCEPTING;
        save_epoch(l, ROLE_SAVE_ACCEPTED);
        break;
    case EPOCH_SAME:
        send_ack_epoch(l, -1); // the promise was made before, and is not made twice
        break;
    case EPOCH_OLDER:
        step_down(l, "the leader's epoch is older than one accepted");
        break;
    }
}

// ---- synchronisation ----------------------------------------------------------------------------

static void on_opening(struct learner *l, const struct zab_packet *k)
{
    if (l->phase != LEARNER_OPENING) {
        step_down(l, "an opening packet out of order");
        return;
    }
    if (l->s.wants_snapshot && k->type != QPACKET_SNAP) {
        step_down(l, "a snapshot was needed, the leader sent none");
        return;
    }
    if (k->type != QPACKET_DIFF && (k->zxid < 0 || zxid_epoch(k->zxid) > l->epoch)) {
        step_down(l, "a state of an epoch that is yet to come");
        return;
    }
    l->phase = LEARNER_SYNCING;
    switch ((int)k->type) {
    case QPACKET_DIFF:
        l->opened = true;
        break;
    case QPACKET_TRUNC:
        act(l, ROLE_TRUNCATE, k->zxid);
        l->last = l->committed = l->logged = k->zxid;
        break;
    case QPACKET_SNAP:
        act(l, ROLE_LOAD_SNAPSHOT, k->zxid);
        l->last = l->committed = l->logged = l->contained = k->zxid;
        break;
    }
}

static void on_opened(struct learner *l, enum role_event_type type, int64_t zxid)
{
    must(!l->opened);
    l->opened = true;
    if (type == ROLE_IN_TRUNCATED) {
        history_truncate(l->history, zxid);
    } else {
        history_reset(l->history, zxid);
    }
}

// Java Learner.syncWithLeader at NEWLEADER, in the order of 3.9.3 and with everything durable.
static void save_current_if_logged(struct learner *l)
{
    if (l->phase == LEARNER_LOGGING && l->opened && l->logged >= l->last_appended) {
        l->phase = LEARNER_CURRENT;
        save_epoch(l, ROLE_SAVE_CURRENT);
    }
}

static void on_newleader(struct learner *l, const struct zab_packet *k)
{
    if (l->phase != LEARNER_SYNCING || k->zxid != zxid_of_epoch(l->epoch)) {
        step_down(l, "NEWLEADER out of order");
        return;
    }
    l->phase = LEARNER_LOGGING;
    if (l->line.committed > l->line.first) {
        l->history_end = l->line.v[l->line.committed - 1].e.zxid;
    }
    acts_add(&l->acts, (struct role_action){.type = ROLE_LAST_SEEN, .data = k->data});
}

static void on_uptodate(struct learner *l)
{
    if (l->phase == LEARNER_LIVE) {
        return;
    }
    if (l->phase != LEARNER_ACKED) {
        step_down(l, "UPTODATE out of order");
        return;
    }
    l->phase = LEARNER_LIVE;
    send(l, QPACKET_ACK, zxid_of_epoch(l->epoch));
    acts_add(&l->acts, (struct role_action){.type = ROLE_SERVE, .epoch = l->epoch});
}

static void on_epoch_saved(struct learner *l, int64_t epoch)
{
    must(epoch == l->epoch);
    if (l->phase == LEARNER_ACCEPTING) {
        send_ack_epoch(l, l->s.current_epoch);
        return;
    }
    must(l->phase == LEARNER_CURRENT);
    l->phase = LEARNER_ACKED;
    set_deadline(l, l->s.sync_limit);
    send(l, QPACKET_ACK, zxid_of_epoch(l->epoch));
}

// ---- the leader's stream ------------------------------------------------------------------------

// A Java leader under load reads the zxid of its SNAP after it began to queue proposals: those up
// to it come behind the snapshot, and are in it.
static bool is_contained(const struct learner *l, int64_t zxid)
{
    return l->phase >= LEARNER_SYNCING && zxid <= l->contained;
}

static void on_proposal(struct learner *l, const struct zab_packet *k)
{
    bool informs = k->type != QPACKET_PROPOSAL;
    if (l->phase < LEARNER_SYNCING) {
        step_down(l, "a proposal before the opening packet");
        return;
    }
    if (l->s.observer && l->phase == LEARNER_LIVE && !informs) {
        return;
    }
    if (zxid_epoch(k->zxid) > l->epoch) {
        step_down(l, "a proposal of an epoch that is yet to come");
        return;
    }
    if (is_contained(l, k->zxid)) {
        return;
    }
    if (!k->txn || !zxid_follows(l->last, k->zxid)) {
        step_down(l, "a gap in the leader's proposals");
        return;
    }
    if (informs && l->line.committed != l->line.n) {
        step_down(l, "an INFORM behind a proposal that has no COMMIT");
        return;
    }
    line_put(&l->line, k->zxid, k->txn);
    l->last = k->zxid;
    l->line.committed += informs;
}

// The entry that was the last to become committed activates its membership.
static void activates(struct learner *l, const struct zab_packet *k)
{
    struct line_entry *x = &l->line.v[l->line.committed - 1];
    x->activates = true;
    x->designated = k->designated;
}

// ZabWithFLE: FollowerProcessCOMMIT; Java: FollowerZooKeeperServer.commit, Follower.processPacket.
// One that comes before NEWLEADER, or behind it, activates where its entry is committed, too.
static void on_commit(struct learner *l, const struct zab_packet *k)
{
    if (l->s.observer && l->phase == LEARNER_LIVE) {
        return;
    }
    if (l->line.committed == l->line.n || is_contained(l, k->zxid)) {
        return; // nothing waits for one: it says nothing new
    }
    if (l->line.v[l->line.committed].e.zxid != k->zxid) {
        step_down(l, "a COMMIT that is not of the oldest proposal");
        return;
    }
    l->line.committed++;
    if (k->type == QPACKET_COMMITANDACTIVATE) {
        activates(l, k);
    }
}

static void on_inform_and_activate(struct learner *l, const struct zab_packet *k)
{
    on_proposal(l, k);
    if (l->phase != LEARNER_OVER && !is_contained(l, k->zxid)) {
        activates(l, k);
    }
}

static void on_live_packet(struct learner *l, const struct zab_packet *k)
{
    if (l->phase != LEARNER_LIVE) {
        return; // a PING before UPTODATE is not answered
    }
    if (k->type == QPACKET_PING) {
        act(l, ROLE_PING, k->zxid);
    } else if (k->type == QPACKET_SYNC) {
        act(l, ROLE_SYNCED, 0);
    } else {
        acts_add(&l->acts,
                 (struct role_action){.type = ROLE_REQUEST, .sid = l->s.leader, .packet = *k});
    }
}

static void on_packet(struct learner *l, const struct zab_packet *k)
{
    set_deadline(l, l->phase >= LEARNER_ACKED ? l->s.sync_limit : l->s.init_limit);
    switch ((int)k->type) {
    case QPACKET_LEADERINFO:
        on_leader_info(l, k->zxid);
        break;
    case QPACKET_DIFF:
    case QPACKET_TRUNC:
    case QPACKET_SNAP:
        on_opening(l, k);
        break;
    case QPACKET_PROPOSAL:
    case QPACKET_INFORM:
        on_proposal(l, k);
        break;
    case QPACKET_INFORMANDACTIVATE:
        on_inform_and_activate(l, k);
        break;
    case QPACKET_COMMIT:
    case QPACKET_COMMITANDACTIVATE:
        on_commit(l, k);
        break;
    case QPACKET_NEWLEADER:
        on_newleader(l, k);
        break;
    case QPACKET_UPTODATE:
        on_uptodate(l);
        break;
    case QPACKET_PING:
    case QPACKET_SYNC:
    case QPACKET_REVALIDATE:
        on_live_packet(l, k);
        break;
    default:
        break; // unknown types are ignored
    }
}

// ---- time ---------------------------------------------------------------------------------------

// It is not the leader's silence when the own disk is slow, or a long snapshot is coming in.
static bool waits_for_disk(const struct learner *l)
{
    return l->phase == LEARNER_ACCEPTING || l->phase == LEARNER_LOGGING ||
           l->phase == LEARNER_CURRENT || (l->phase == LEARNER_SYNCING && !l->opened);
}

static void on_tick(struct learner *l)
{
    if (waits_for_disk(l)) {
        set_deadline(l, l->s.init_limit);
    } else if (l->deadline.ns <= l->now.ns) {
        step_down(l, "nothing from the leader for too long");
    }
}

// ---- the step -----------------------------------------------------------------------------------

static void on_event(struct learner *l, const struct role_event *ev)
{
    switch (ev->type) {
    case ROLE_IN_START:
        set_deadline(l, l->s.init_limit);
        break;
    case ROLE_IN_TICK:
        on_tick(l);
        break;
    case ROLE_IN_PEER_UP:
        on_peer_up(l);
        break;
    case ROLE_IN_PEER_DOWN:
        step_down(l, "the connection to the leader is gone");
        break;
    case ROLE_IN_PACKET:
        on_packet(l, ev->packet);
        break;
    case ROLE_IN_EPOCH_SAVED:
        on_epoch_saved(l, ev->epoch);
        break;
    case ROLE_IN_LOGGED:
        l->logged = ev->zxid > l->logged ? ev->zxid : l->logged;
        break;
    case ROLE_IN_TRUNCATED:
    case ROLE_IN_SNAPSHOT_LOADED:
        on_opened(l, ev->type, ev->zxid);
        break;
    case ROLE_IN_LOG_FAILED:
    case ROLE_IN_LOG_FULL:
        step_down(l, "the log takes no more");
        break;
    case ROLE_IN_SYNC_FAILED:
        step_down(l, "what the leader sent could not be taken over");
        break;
    case ROLE_IN_PROPOSE:
    case ROLE_IN_SYNC:
    case ROLE_IN_DISK:
    case ROLE_IN_HISTORY:
    case ROLE_IN_FED:
    case ROLE_IN_COMMITTED:
        must(false); // of leaders only
    }
}

void learner_step(struct learner *l, const struct role_event *ev, struct role_out *out)
{
    acts_clear(&l->acts);
    l->now = ev->now;
    if (l->phase != LEARNER_OVER) {
        on_event(l, ev);
    }
    if (l->phase != LEARNER_OVER) {
        move_line(l);
        save_current_if_logged(l);
    }
    *out = (struct role_out){l->acts.v, l->acts.n};
}

bool learner_is_live(const struct learner *l)
{
    return l->phase == LEARNER_LIVE;
}

bool learner_is_over(const struct learner *l)
{
    return l->phase == LEARNER_OVER;
}

int64_t learner_epoch(const struct learner *l)
{
    return l->epoch;
}

int64_t learner_committed(const struct learner *l)
{
    return l->committed;
}
