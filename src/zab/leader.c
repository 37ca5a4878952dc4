// SPDX-License-Identifier: Apache-2.0
#include "zab/leader_internal.h"

#include "base/mem.h"

enum { REFUSALS_MAX = 3 };
enum { COUNTER_LAST = 0xfffffffe }; // the next one ends the epoch

struct leader *leader_new(const struct role_settings *s, struct history *h)
{
    must(s->alone || s->current_epoch <= s->accepted_epoch);
    must(s->alone || zxid_epoch(s->last_zxid) <= s->current_epoch);
    must(s->alone || !h->n || history_max(h) == s->last_zxid);
    struct leader *l = mem_zalloc(sizeof(*l));
    l->s = *s;
    l->history = s->alone ? NULL : h;
    l->designated = s->sid;
    leader_members_init(l, s->alone ? NULL : s->last_seen);
    epoch_init(&l->epoch, s->committed, s->sid, s->current_epoch, s->last_zxid);
    proposals_init(&l->proposals, s->last_zxid);
    return l;
}

void leader_free(struct leader **l)
{
    if (*l) {
        if ((*l)->history) {
            history_pin((*l)->history, INT64_MAX);
        }
        proposals_fini(&(*l)->proposals);
        leader_members_fini(*l);
        acts_fini(&(*l)->acts);
        mem_free((*l)->activated);
        mem_free((*l)->peers);
        mem_free((*l)->syncs);
        mem_free(*l);
        *l = NULL;
    }
}

struct mono leader_limit(const struct leader *l, int64_t ticks)
{
    return mono_add_ms(l->now, ticks * l->s.tick_ms);
}

void leader_step_down(struct leader *l, const char *why)
{
    if (l->phase != LEADER_OVER) {
        l->phase = LEADER_OVER;
        l->pin_stale = true;
        acts_add(&l->acts, (struct role_action){.type = ROLE_STEP_DOWN, .why = why});
    }
}

static struct peer *find(struct leader *l, int64_t sid)
{
    uint32_t *hint = &l->hints[(uint64_t)sid % LEADER_HINTS];
    if (*hint < l->peers_n && l->peers[*hint].sid == sid) {
        return &l->peers[*hint];
    }
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].sid == sid) {
            *hint = (uint32_t)i;
            return &l->peers[i];
        }
    }
    return NULL;
}

// The place of p is another's afterwards; PEER_DOWN of a sid that was dropped is no news.
static void forget(struct leader *l, struct peer *p)
{
    size_t kept = 0;
    for (size_t i = l->syncs_at; i < l->syncs_n; i++) {
        if (l->syncs[i].sid != p->sid) {
            l->syncs[kept++] = l->syncs[i];
        }
    }
    l->syncs_at = 0;
    l->syncs_n = kept;
    l->pin_stale |= p->phase == PEER_SYNCING;
    *p = l->peers[--l->peers_n];
}

void leader_drop(struct leader *l, struct peer *p, const char *why)
{
    acts_add(&l->acts, (struct role_action){.type = ROLE_DROP, .sid = p->sid, .why = why});
    forget(l, p);
}

// Calls f for each learner; f may drop the one it is given.
static void for_peers(struct leader *l, void (*f)(struct leader *, struct peer *))
{
    for (size_t i = l->peers_n; i-- > 0;) {
        f(l, &l->peers[i]);
    }
}

// ---- discovery ----------------------------------------------------------------------------------

static void tell_epoch(struct leader *l, struct peer *p)
{
    if (p->phase == PEER_JOINED) {
        acts_send(&l->acts, p->sid, QPACKET_LEADERINFO, zxid_of_epoch(l->epoch.epoch));
        p->phase = PEER_TOLD;
    }
}

static void sync_promised(struct leader *l, struct peer *p)
{
    if (p->phase == PEER_PROMISED) {
        leader_sync_begin(l, p);
    }
}

static void join(struct leader *l, int64_t sid, int64_t accepted)
{
    epoch_join(&l->epoch, sid, accepted);
    if (l->phase == LEADER_DISCOVERY && l->epoch.phase == EPOCH_CLOSED) {
        l->phase = LEADER_ACCEPTING;
        acts_add(&l->acts,
                 (struct role_action){.type = ROLE_SAVE_ACCEPTED, .epoch = l->epoch.epoch});
    }
}

static void agree_if_promised(struct leader *l)
{
    if (l->phase == LEADER_PROMISES && l->epoch.phase == EPOCH_AGREED) {
        l->phase = LEADER_CURRENT;
        l->deadline = leader_limit(l, l->s.init_limit);
        acts_add(&l->acts,
                 (struct role_action){.type = ROLE_SAVE_CURRENT, .epoch = l->epoch.epoch});
    }
}

// ZabWithFLE: LeaderProcessFOLLOWERINFO; Java: getEpochToPropose.
static void on_learner_info(struct leader *l, struct peer *p, const struct zab_packet *k)
{
    if (p->phase != PEER_CONNECTED) {
        leader_drop(l, p, "said twice who it is");
        return;
    }
    if (k->config_version > l->s.committed->version) {
        leader_drop(l, p, "knows a newer membership");
        return;
    }
    if (!epoch_may_join(&l->epoch, p->sid, zxid_epoch(k->zxid))) {
        leader_drop(l, p, "has accepted an epoch that leaves none to come");
        return;
    }
    p->phase = PEER_JOINED;
    p->accepted = zxid_epoch(k->zxid);
    p->observer = k->type == QPACKET_OBSERVERINFO;
    join(l, p->sid, zxid_epoch(k->zxid));
    if (l->phase > LEADER_ACCEPTING) {
        tell_epoch(l, p);
    }
}

// Java: waitForEpochAck.
static void on_ack_epoch(struct leader *l, struct peer *p, const struct zab_packet *k)
{
    if (p->phase != PEER_TOLD) {
        leader_drop(l, p, "ACKEPOCH out of order");
        return;
    }
    if (epoch_promise(&l->epoch, p->sid, k->current_epoch, k->zxid) == EPOCH_AHEAD) {
        leader_drop(l, p, "is ahead of this leader");
        return;
    }
    p->catchup.last_zxid = k->zxid;
    p->phase = PEER_PROMISED;
    if (l->phase == LEADER_SYNC || l->phase == LEADER_BROADCAST) {
        leader_sync_begin(l, p);
    }
    agree_if_promised(l);
}

// ---- becoming live ------------------------------------------------------------------------------

static bool is_activation(const struct leader *l, int64_t zxid)
{
    bool is = false;
    for (size_t i = 0; i < l->activated_n; i++) {
        is |= l->activated[i] == zxid;
    }
    return is;
}

static void send_commit(struct leader *l, struct peer *p, int64_t zxid)
{
    struct zab_packet k = {.type = QPACKET_COMMIT, .zxid = zxid};
    if (is_activation(l, zxid)) {
        k.type = QPACKET_COMMITANDACTIVATE;
        k.designated = l->designated;
    }
    acts_add(&l->acts, (struct role_action){.type = ROLE_SEND, .sid = p->sid, .packet = k});
    p->commit_sent = zxid;
}

// The COMMITs it was not sent while it had no UPTODATE, right behind it.
static void make_live(struct leader *l, struct peer *p)
{
    if (p->phase != PEER_ACKED || l->phase != LEADER_BROADCAST) {
        return;
    }
    acts_send(&l->acts, p->sid, QPACKET_UPTODATE, -1);
    p->phase = PEER_LIVE;
    leader_confirm_live(l, p);
    int64_t first = zxid_of_epoch(l->epoch.epoch) + 1;
    first = p->commit_sent >= first ? p->commit_sent + 1 : first;
    for (int64_t z = first; z <= l->proposals.committed && !p->observer; z++) {
        send_commit(l, p, z);
    }
    p->commit_sent = l->proposals.committed;
}

static void serve_if_acked(struct leader *l)
{
    if (l->phase != LEADER_SYNC || !quorum_reached(&l->quorum, &l->newleader)) {
        return;
    }
    l->phase = LEADER_BROADCAST;
    l->proposals.last_proposed = zxid_of_epoch(l->epoch.epoch);
    l->next_look = leader_limit(l, 1);
    leader_members_serve(l);
    acts_add(&l->acts, (struct role_action){.type = ROLE_SERVE, .epoch = l->epoch.epoch});
    for_peers(l, make_live);
}

static void on_epoch_saved(struct leader *l, const struct role_event *ev)
{
    must(ev->epoch == l->epoch.epoch);
    if (l->phase == LEADER_ACCEPTING) {
        if (ev->members) {
            leader_members_seen(l, ev->members);
        }
        l->phase = LEADER_PROMISES;
        l->deadline = leader_limit(l, l->s.init_limit);
        for_peers(l, tell_epoch);
        epoch_promise(&l->epoch, l->s.sid, l->s.current_epoch, l->s.last_zxid);
        agree_if_promised(l);
    } else {
        must(l->phase == LEADER_CURRENT);
        l->phase = LEADER_SYNC;
        quorum_ack(&l->quorum, &l->newleader, l->s.sid);
        for_peers(l, sync_promised);
        serve_if_acked(l);
    }
}

// ---- broadcast ----------------------------------------------------------------------------------

static void note_unacked(struct leader *l, struct peer *p, int64_t zxid)
{
    bool first = p->unacked[0] == 0;
    p->unacked[first ? 0 : 1] = zxid;
    p->since[first ? 0 : 1] = l->now;
}

static void note_acked(struct peer *p, int64_t zxid)
{
    int64_t newest = p->unacked[1] ? p->unacked[1] : p->unacked[0];
    if (zxid >= newest) {
        p->unacked[0] = p->unacked[1] = 0;
    } else if (zxid >= p->unacked[0] && p->unacked[1]) {
        p->unacked[0] = p->unacked[1];
        p->since[0] = p->since[1];
        p->unacked[1] = 0;
    }
}

// Zab.tla LeaderProcessRequest; Java Leader.propose.
static void on_propose(struct leader *l, const struct role_event *ev)
{
    must(l->phase == LEADER_BROADCAST);
    must(ev->zxid == leader_next_zxid(l));
    if (zxid_counter(ev->zxid) > COUNTER_LAST && !l->s.alone) {
        leader_step_down(l, "this epoch has no zxid left");
        return;
    }
    if (ev->members) {
        leader_members_propose(l, ev->members, ev->zxid);
    }
    struct zab_entry e = {ev->zxid, ev->txn};
    proposals_put(&l->proposals, e.zxid, e.txn, &l->quorum);
    for (size_t i = 0; i < l->peers_n; i++) {
        struct peer *p = &l->peers[i];
        if (p->phase >= PEER_OFFERED && !p->observer) {
            acts_send_txn(&l->acts, p->sid, QPACKET_PROPOSAL, &e);
            p->catchup.sent = e.zxid;
            if (p->phase >= PEER_ACKED) {
                note_unacked(l, p, e.zxid);
            }
        }
    }
    acts_add(&l->acts, (struct role_action){.type = ROLE_APPEND, .zxid = e.zxid, .txn = e.txn});
}

static void answer_sync(struct leader *l, const struct pending_sync *s)
{
    if (s->sid == l->s.sid) {
        acts_add(&l->acts, (struct role_action){
                               .type = ROLE_SYNCED, .zxid = l->proposals.committed, .tag = s->tag});
    } else {
        acts_send(&l->acts, s->sid, QPACKET_SYNC, 0);
    }
}

static void answer_syncs(struct leader *l)
{
    while (l->syncs_at < l->syncs_n && l->syncs[l->syncs_at].zxid <= l->proposals.committed &&
           l->syncs[l->syncs_at].round <= l->confirmed) {
        answer_sync(l, &l->syncs[l->syncs_at++]);
    }
    if (l->syncs_at == l->syncs_n) {
        l->syncs_at = l->syncs_n = 0;
    }
}

// The one at zxid was proposed behind these syncs: its quorum is theirs, too. They go before it, as
// a session that asks for a sync and then writes is answered in that order.
static void answer_syncs_before(struct leader *l, int64_t zxid)
{
    while (l->syncs_at < l->syncs_n && l->syncs[l->syncs_at].zxid < zxid) {
        answer_sync(l, &l->syncs[l->syncs_at++]);
    }
}

static void inform(struct leader *l, struct peer *p, const struct zab_entry *e)
{
    enum qpacket_type type = is_activation(l, e->zxid) ? QPACKET_INFORMANDACTIVATE : QPACKET_INFORM;
    acts_send_txn(&l->acts, p->sid, type, e);
    l->acts.v[l->acts.n - 1].packet.designated = l->designated;
    p->catchup.sent = p->commit_sent = e->zxid;
}

static void tell_commit(struct leader *l, const struct zab_entry *e)
{
    for (size_t i = 0; i < l->peers_n; i++) {
        struct peer *p = &l->peers[i];
        if (p->observer && p->phase >= PEER_OFFERED) {
            inform(l, p, e);
        } else if (p->phase == PEER_LIVE) {
            send_commit(l, p, e->zxid);
        }
    }
}

// Those that nobody waits for any more go: whose COMMITs are held back is between OFFERED and LIVE.
static void note_activation(struct leader *l, int64_t zxid)
{
    int64_t needed = zxid;
    for (size_t i = 0; i < l->peers_n; i++) {
        const struct peer *p = &l->peers[i];
        if (p->phase >= PEER_OFFERED && !p->observer && p->commit_sent < needed) {
            needed = p->commit_sent;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < l->activated_n; i++) {
        if (l->activated[i] > needed) {
            l->activated[kept++] = l->activated[i];
        }
    }
    mem_grow((void **)&l->activated, &l->activated_cap, kept + 1, sizeof(*l->activated));
    l->activated[kept] = zxid;
    l->activated_n = kept + 1;
}

// Java: Leader.commitAndActivate, informAndActivate.
static void activate(struct leader *l, const struct proposal *done)
{
    leader_members_commit(l, done);
    note_activation(l, done->zxid);
    acts_add(&l->acts,
             (struct role_action){.type = ROLE_ACTIVATE, .zxid = done->zxid, .sid = l->designated});
}

// Java Leader.tryToCommit. What commits is in the history before a learner can ask for it. Another
// one's being designated is the end of that, in the middle of a window.
static void commit_ready(struct leader *l)
{
    struct proposal done;
    while (l->designated == l->s.sid && proposals_commit(&l->proposals, &done)) {
        struct zab_entry e = {done.zxid, done.txn};
        acts_hold(&l->acts, done.txn);
        answer_syncs_before(l, e.zxid);
        if (l->history) {
            history_append(l->history, e.zxid, e.txn);
        }
        acts_add(&l->acts, (struct role_action){.type = ROLE_COMMIT, .zxid = e.zxid, .txn = e.txn});
        if (e.zxid == l->reconfig) {
            activate(l, &done);
        }
        tell_commit(l, &e);
        answer_syncs(l);
    }
}

// The own log refused everything above zxid. Alone, no other log can hold it: the proposals are
// void and their zxids free again.
static void on_log_full(struct leader *l, int64_t zxid)
{
    if (!l->s.alone) {
        leader_step_down(l, "the log takes no more");
        return;
    }
    proposals_ack_up_to(&l->proposals, l->s.sid, zxid);
    commit_ready(l);
    struct proposal p;
    while (proposals_abort_oldest(&l->proposals, &p)) {
        acts_hold(&l->acts, p.txn);
        acts_add(&l->acts, (struct role_action){.type = ROLE_ABORT, .zxid = p.zxid, .txn = p.txn});
    }
    for (size_t i = l->syncs_at; i < l->syncs_n; i++) {
        l->syncs[i].zxid = l->proposals.committed; // what they waited for will not come
    }
    answer_syncs(l);
}

// Java LearnerHandler takes the first ACK for that of NEWLEADER; here it is the one that says so,
// whenever it comes (ZOOKEEPER-4685).
static void on_ack(struct leader *l, struct peer *p, int64_t zxid)
{
    if (p->phase == PEER_OFFERED && zxid == zxid_of_epoch(l->epoch.epoch)) {
        p->phase = PEER_ACKED;
        if (l->phase == LEADER_SYNC) {
            quorum_ack(&l->quorum, &l->newleader, p->sid);
            serve_if_acked(l);
        }
        make_live(l, p);
    } else if (zxid_counter(zxid) && p->phase >= PEER_OFFERED && l->phase == LEADER_BROADCAST) {
        note_acked(p, zxid);
        p->acked = zxid;
        proposals_ack(&l->proposals, p->sid, zxid);
        commit_ready(l);
    }
}

static void on_sync(struct leader *l, int64_t sid, uint64_t tag)
{
    // Also alone, where nothing that was answered is missing: who has lost the answer to a write
    // with its connection asks for a sync, then looks whether the write is there.
    int64_t after = l->proposals.n ? l->proposals.last_proposed : l->proposals.committed;
    if (l->syncs_n == l->syncs_cap && l->syncs_at > l->syncs_n / 2) {
        l->syncs_n -= l->syncs_at;
        memmove(l->syncs, l->syncs + l->syncs_at, l->syncs_n * sizeof(*l->syncs));
        l->syncs_at = 0;
    }
    mem_grow((void **)&l->syncs, &l->syncs_cap, l->syncs_n + 1, sizeof(*l->syncs));
    l->syncs[l->syncs_n++] = (struct pending_sync){sid, after, leader_confirm_for(l, sid), tag};
    answer_syncs(l);
}

static void on_packet(struct leader *l, struct peer *p, const struct role_event *ev)
{
    const struct zab_packet *k = ev->packet;
    if (p->phase >= PEER_ACKED) {
        p->deadline = leader_limit(l, l->s.sync_limit);
    }
    switch ((int)k->type) {
    case QPACKET_FOLLOWERINFO:
    case QPACKET_OBSERVERINFO:
        on_learner_info(l, p, k);
        return;
    case QPACKET_ACKEPOCH:
        on_ack_epoch(l, p, k);
        return;
    default:
        break;
    }
    if (p->phase < PEER_OFFERED) {
        leader_drop(l, p, "spoke before it was synchronised");
    } else if (k->type == QPACKET_ACK) {
        on_ack(l, p, k->zxid);
    } else if (k->type == QPACKET_PING) {
        leader_confirm_pong(l, p);
        answer_syncs(l);
        acts_add(&l->acts,
                 (struct role_action){.type = ROLE_TOUCHED, .sid = p->sid, .data = k->data});
    } else if (k->type == QPACKET_REQUEST || k->type == QPACKET_REVALIDATE) {
        acts_add(&l->acts, (struct role_action){.type = ROLE_REQUEST, .sid = p->sid, .packet = *k});
    }
}

// ---- time ---------------------------------------------------------------------------------------

static bool is_due(const struct leader *l, struct mono at)
{
    return at.ns <= l->now.ns;
}

static void look_after(struct leader *l, struct peer *p)
{
    if (is_due(l, p->deadline)) {
        leader_drop(l, p, "said nothing for too long");
    } else if (p->unacked[0] &&
               is_due(l, mono_add_ms(p->since[0], l->s.sync_limit * l->s.tick_ms))) {
        leader_drop(l, p, "a proposal has no ACK for too long");
    }
}

static void ping(struct leader *l, struct peer *p)
{
    if (p->phase >= PEER_OFFERED) {
        leader_ping(l, p);
    }
}

static bool has_quorum_at(const struct leader *l, enum peer_phase phase)
{
    struct quorum_acks there = {0};
    quorum_ack(&l->quorum, &there, l->s.sid);
    for (size_t i = 0; i < l->peers_n; i++) {
        if (l->peers[i].phase >= phase) {
            quorum_ack(&l->quorum, &there, l->peers[i].sid);
        }
    }
    return quorum_reached(&l->quorum, &there);
}

// Java: Leader.lead's loop, the check of the quorum once per tick.
static void look_for_quorum(struct leader *l)
{
    if (!has_quorum_at(l, PEER_ACKED)) {
        leader_step_down(l, "no quorum of learners");
    }
}

// Who had joined and is gone looks for a leader, and finds none as long as this one only waits: it
// needs a quorum that follows. Java waits for the rest of initLimit.
static void end_if_left(struct leader *l)
{
    bool waits = l->phase > LEADER_DISCOVERY && l->phase < LEADER_BROADCAST;
    if (waits && !has_quorum_at(l, PEER_CONNECTED)) {
        leader_step_down(l, "too few are left of those that had joined");
    }
}

static void on_tick(struct leader *l)
{
    for_peers(l, look_after);
    if (l->phase != LEADER_BROADCAST) {
        if (is_due(l, l->deadline)) {
            leader_step_down(l, "no quorum came in initLimit");
            return;
        }
    } else if (is_due(l, l->next_look)) {
        l->next_look = leader_limit(l, 1);
        look_for_quorum(l);
    }
    if (l->phase != LEADER_OVER && is_due(l, l->next_ping)) {
        l->next_ping = mono_add_ms(l->now, l->s.tick_ms / 2);
        for_peers(l, ping);
    }
}

// ---- the step -----------------------------------------------------------------------------------

static void on_start(struct leader *l)
{
    if (l->s.alone) {
        l->phase = LEADER_BROADCAST;
        l->epoch.epoch = zxid_epoch(l->s.last_zxid);
        acts_add(&l->acts, (struct role_action){.type = ROLE_SERVE, .epoch = l->epoch.epoch});
        return;
    }
    l->deadline = leader_limit(l, l->s.init_limit);
    l->next_ping = mono_add_ms(l->now, l->s.tick_ms / 2);
    if (l->s.accepted_epoch >= EPOCH_LAST) {
        leader_step_down(l, "there is no epoch left");
        return;
    }
    join(l, l->s.sid, l->s.accepted_epoch);
}

static void on_peer_up(struct leader *l, int64_t sid)
{
    struct peer *old = find(l, sid);
    if (old) {
        forget(l, old); // its new connection replaces it
    }
    mem_grow((void **)&l->peers, &l->peers_cap, l->peers_n + 1, sizeof(*l->peers));
    l->peers[l->peers_n++] = (struct peer){
        .sid = sid, .deadline = leader_limit(l, 2 * l->s.init_limit + l->s.sync_limit)};
}

// A voter that has accepted a later epoch (it took part in a discovery that came to nothing) cannot
// follow this leader, ever: with it the ensemble has one failure less to give. Java leaves it so
// until the next election. Here that comes when it has been turned away a few times, and the epoch
// it has accepted is accepted here, too, so that the next one is later.
static void on_gone(struct leader *l, struct peer *p)
{
    int64_t accepted = p->accepted;
    bool refuses =
        p->phase == PEER_TOLD && accepted > l->epoch.epoch && quorum_has_voter(&l->quorum, p->sid);
    forget(l, p);
    if (refuses && l->phase == LEADER_BROADCAST && accepted < EPOCH_FAR &&
        ++l->refusals >= REFUSALS_MAX) {
        acts_add(&l->acts, (struct role_action){.type = ROLE_SAVE_ACCEPTED, .epoch = accepted});
        leader_step_down(l, "a voter has accepted a later epoch and cannot follow");
    }
}

static void on_peer_event(struct leader *l, const struct role_event *ev)
{
    struct peer *p = find(l, ev->sid);
    if (!p) {
        return; // dropped meanwhile
    }
    switch ((int)ev->type) {
    case ROLE_IN_PEER_DOWN:
        on_gone(l, p);
        end_if_left(l);
        break;
    case ROLE_IN_PACKET:
        on_packet(l, p, ev);
        break;
    case ROLE_IN_DISK:
        leader_sync_on_disk(l, p, ev);
        break;
    case ROLE_IN_HISTORY:
        leader_sync_on_history(l, p, ev);
        break;
    case ROLE_IN_FED:
        p->deadline = leader_limit(l, l->s.init_limit + l->s.sync_limit);
        break;
    }
}

static void on_event(struct leader *l, const struct role_event *ev)
{
    switch (ev->type) {
    case ROLE_IN_START:
        on_start(l);
        break;
    case ROLE_IN_TICK:
        if (!l->s.alone) {
            on_tick(l);
        }
        break;
    case ROLE_IN_PEER_UP:
        must(!l->s.alone);
        on_peer_up(l, ev->sid);
        break;
    case ROLE_IN_EPOCH_SAVED:
        on_epoch_saved(l, ev);
        break;
    case ROLE_IN_LOGGED:
        proposals_ack_up_to(&l->proposals, l->s.sid, ev->zxid);
        commit_ready(l);
        break;
    case ROLE_IN_LOG_FAILED:
        leader_step_down(l, "the log takes no more");
        break;
    case ROLE_IN_LOG_FULL:
        on_log_full(l, ev->zxid);
        break;
    case ROLE_IN_PROPOSE:
        on_propose(l, ev);
        break;
    case ROLE_IN_SYNC:
        on_sync(l, ev->sid, ev->tag);
        break;
    case ROLE_IN_PEER_DOWN:
    case ROLE_IN_PACKET:
    case ROLE_IN_DISK:
    case ROLE_IN_HISTORY:
    case ROLE_IN_FED:
        on_peer_event(l, ev);
        break;
    case ROLE_IN_TRUNCATED:
    case ROLE_IN_SNAPSHOT_LOADED:
    case ROLE_IN_SYNC_FAILED:
    case ROLE_IN_COMMITTED:
        must(false); // answers to what only a learner asks
    }
}

// What is committed while the log is read for a learner stays in memory until it has that, too:
// else it would never catch up with a busy ensemble.
static void pin_history(struct leader *l)
{
    if (!l->pin_stale || !l->history) {
        return;
    }
    l->pin_stale = false;
    int64_t pin = INT64_MAX;
    for (size_t i = 0; i < l->peers_n && l->phase != LEADER_OVER; i++) {
        const struct peer *p = &l->peers[i];
        if (p->phase == PEER_SYNCING && p->catchup.read_to < pin) {
            pin = p->catchup.read_to;
        }
    }
    history_pin(l->history, pin);
}

void leader_step(struct leader *l, const struct role_event *ev, struct role_out *out)
{
    acts_clear(&l->acts);
    l->now = ev->now;
    if (l->phase != LEADER_OVER) {
        on_event(l, ev);
        pin_history(l);
    }
    *out = (struct role_out){l->acts.v, l->acts.n};
}

bool leader_is_serving(const struct leader *l)
{
    return l->phase == LEADER_BROADCAST;
}

bool leader_is_over(const struct leader *l)
{
    return l->phase == LEADER_OVER;
}

int64_t leader_epoch(const struct leader *l)
{
    return l->epoch.phase == EPOCH_OPEN && !l->s.alone ? -1 : l->epoch.epoch;
}

int64_t leader_next_zxid(const struct leader *l)
{
    return l->proposals.last_proposed + 1;
}

int64_t leader_committed(const struct leader *l)
{
    return l->proposals.committed;
}

size_t leader_in_flight(const struct leader *l)
{
    return l->proposals.n;
}

struct leader_figures leader_figures(const struct leader *l)
{
    struct leader_figures f = {.pending_syncs = l->syncs_n - l->syncs_at};
    for (size_t i = 0; i < l->peers_n; i++) {
        const struct peer *p = &l->peers[i];
        bool synced = p->phase >= PEER_ACKED;
        f.followers += !p->observer;
        f.synced_followers += !p->observer && synced;
        f.observers += p->observer;
        f.synced_observers += p->observer && synced;
    }
    return f;
}

size_t leader_peers(const struct leader *l)
{
    return l->peers_n;
}

struct leader_peer leader_peer_at(const struct leader *l, size_t i)
{
    must(i < l->peers_n);
    const struct peer *p = &l->peers[i];
    enum learner_figure is = p->phase >= PEER_ACKED     ? LEARNER_IS_LIVE
                             : p->phase >= PEER_SYNCING ? LEARNER_SYNCS
                                                        : LEARNER_JOINS;
    return (struct leader_peer){p->sid, is, p->observer, p->acked};
}
