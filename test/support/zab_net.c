// SPDX-License-Identifier: Apache-2.0
//
// The servers of the little world: their disks, connections, elections and roles, and Zab's
// properties, which are looked at as they happen.
#include "test/support/zab_net.h"

#include <string.h>

void net_fault(struct world *w, const char *what)
{
    if (!w->fault) {
        w->fault = what;
    }
}

static bool same(const struct record *a, const struct record *b)
{
    return a->zxid == b->zxid && a->value == b->value;
}

int64_t last_zxid(const struct server *v)
{
    return v->n ? v->log[v->n - 1].zxid : 0;
}

struct blob *net_blob(const struct record *r)
{
    return blob_new(slice_of(&r->value, sizeof(r->value)));
}

struct record net_record(int64_t zxid, const struct blob *txn)
{
    struct record r = {.zxid = zxid};
    memcpy(&r.value, txn->bytes, sizeof(r.value));
    return r;
}

// ---- the properties -----------------------------------------------------------------------------

static void deliver_to_truth(struct world *w, const struct record *r)
{
    bool known = false;
    for (size_t i = 0; i < w->proposed_n; i++) {
        known |= same(&w->proposed[i], r);
    }
    if (!known) {
        net_fault(w, "Integrity");
    }
    if (w->truth_n && !zxid_follows(w->truth[w->truth_n - 1].zxid, r->zxid)) {
        net_fault(w, "LocalPrimaryOrder or GlobalPrimaryOrder");
    }
    if (w->truth_n == LOG) {
        net_fault(w, "the test's log is full");
        return;
    }
    w->truth[w->truth_n++] = *r;
}

// Everything the server has applied is delivered. Only a leader may know more than all before.
static void check_delivered(struct world *w, const struct server *v, bool leads)
{
    for (size_t i = 0; i < v->applied && i < w->truth_n; i++) {
        if (!same(&v->log[i], &w->truth[i])) {
            net_fault(w, "Agreement, TotalOrder, PrefixConsistency");
            return;
        }
    }
    if (v->applied > w->truth_n && !leads) {
        net_fault(w, "PrefixConsistency: a learner is ahead of all leaders");
    }
    for (size_t i = w->truth_n; i < v->applied && !w->fault; i++) {
        deliver_to_truth(w, &v->log[i]);
    }
}

static void on_serve(struct world *w, struct server *v, int64_t epoch)
{
    w->serves++;
    if (v->leader && v->n < w->truth_n) {
        net_fault(w, "PrimaryIntegrity: committed entries are lost");
    }
    if (v->current != epoch || v->accepted < epoch) {
        net_fault(w, "serves in an epoch that is not on disk");
    }
    check_delivered(w, v, v->leader != NULL);
}

// ---- disk ---------------------------------------------------------------------------------------

static void ask_disk(struct world *w, struct server *v, struct op op)
{
    if (v->disk_free.ns < w->now.ns) {
        v->disk_free = w->now;
    }
    v->disk_free = mono_add_ms(v->disk_free, (int64_t)rng_below(&w->rng, (uint64_t)w->disk_max_ms));
    op.at = v->disk_free;
    if (v->ops_n == OPS) {
        net_fault(w, "the test's disk queue is full");
        return;
    }
    v->ops[v->ops_n++] = op;
}

static void cut_log(struct server *v, int64_t zxid)
{
    while (v->n && v->log[v->n - 1].zxid > zxid) {
        v->n--;
    }
    v->applied = v->applied < v->n ? v->applied : v->n;
    v->synced = v->synced < v->n ? v->synced : v->n;
}

static void install(struct server *v)
{
    memcpy(v->log, v->snap->log, v->snap->n * sizeof(v->log[0]));
    v->n = v->synced = v->applied = v->snap->n;
    mem_free(v->snap);
    v->snap = NULL;
}

static void rebuild_history(struct world *w, struct server *v)
{
    history_fini(&v->history);
    history_init(&v->history, w->keep, 1 << 20);
    size_t from = v->n > w->keep ? v->n - w->keep : 0;
    history_reset(&v->history, from ? v->log[from - 1].zxid : 0);
    for (size_t i = from; i < v->n; i++) {
        struct blob *txn = net_blob(&v->log[i]);
        if (w->plant != PLANT_DIFF_OVER_A_GAP || i != from + 2 || i + 1 == v->n) {
            history_append(&v->history, v->log[i].zxid, txn);
        }
        blob_unref(&txn);
    }
}

// ---- connections --------------------------------------------------------------------------------

static struct flight *fly(struct world *w, int from, int to)
{
    struct mono at =
        mono_add_ms(w->now, 1 + (int64_t)rng_below(&w->rng, (uint64_t)w->delay_max_ms));
    if (at.ns < w->not_before[from][to].ns) {
        at = w->not_before[from][to];
    }
    w->not_before[from][to] = at;
    must(w->flights_n < FLIGHTS);
    struct flight *f = &w->flights[w->flights_n++];
    *f = (struct flight){.used = true, .from = from, .to = to, .at = at};
    return f;
}

void net_land(struct flight *f)
{
    f->used = false;
    if (f->packet.txn) {
        blob_unref(&f->packet.txn);
    }
    mem_free(f->snap);
    f->snap = NULL;
}

// Both ends learn of it, in no certain order.
void net_disconnect(struct world *w, int learner)
{
    struct server *v = &w->servers[learner];
    int conn = v->conn;
    int leader = (int)v->follows;
    if (!conn) {
        return;
    }
    v->conn = 0;
    v->leaderless = false;
    for (size_t i = 0; i < w->flights_n; i++) {
        if (w->flights[i].used && w->flights[i].conn == conn) {
            net_land(&w->flights[i]);
        }
    }
    if (v->learner) {
        net_step(w, learner, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = leader});
    }
    if (w->servers[leader].leader) {
        net_step(w, leader, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = learner});
    }
}

static void send_packet(struct world *w, int from, int to, const struct zab_packet *p,
                        struct state *snap)
{
    struct server *learner = &w->servers[w->servers[from].leader ? to : from];
    if (!learner->conn || (learner->leaderless && learner == &w->servers[from])) {
        mem_free(snap);
        return;
    }
    struct flight *f = fly(w, from, to);
    f->conn = learner->conn;
    f->packet = *p;
    if (p->type == QPACKET_NEWLEADER) {
        f->config = net_config_of_version(w, leader_members(w->servers[from].leader)->version);
    }
    f->packet.data = SLICE_NULL;
    f->snap = snap;
    if (p->txn) {
        blob_ref(p->txn);
    }
    w->diffs += p->type == QPACKET_DIFF;
    w->truncs += p->type == QPACKET_TRUNC;
}

static void send_snapshot(struct world *w, int from, const struct role_action *a)
{
    struct server *v = &w->servers[from];
    struct state *snap = mem_zalloc(sizeof(*snap));
    // Of a file; without one, the tree as it is now stands for a file written just before.
    int64_t end = a->file >= 0 ? a->file : INT64_MAX;
    for (size_t i = 0; i < v->applied && v->log[i].zxid <= end; i++) {
        snap->log[snap->n++] = v->log[i];
    }
    struct zab_packet p = {.type = QPACKET_SNAP, .zxid = a->zxid};
    w->snaps++;
    send_packet(w, from, (int)a->sid, &p, snap);
}

// ---- elections ----------------------------------------------------------------------------------

void net_elect(struct world *w, int s, struct fle_event ev)
{
    struct server *v = &w->servers[s];
    struct fle_out out;
    int heard = 0;
    ev.now = w->now;
    fle_step(v->fle, &ev, &out);
    fle_check(v->fle);
    for (size_t i = 0; i < out.n; i++) {
        const struct fle_action *a = &out.actions[i];
        if (a->type == FLE_SEND && !w->cut[s][a->sid] && w->servers[a->sid].fle) {
            struct flight *f = fly(w, s, (int)a->sid);
            f->is_note = true;
            f->note = *a->note;
            f->note.config = net_committed_text(w, v);
        } else if (a->type == FLE_ELECTED) {
            v->elected = true;
            v->role = a->state;
            v->follows = a->vote.leader;
        } else if (a->type == FLE_NEW_MEMBERS) {
            heard = net_config_of_version(w, a->members->version);
        }
    }
    if (heard) {
        net_adopt(w, s, heard);
    }
}

void net_look(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    net_elect(
        w, s,
        (struct fle_event){.type = FLE_START,
                           .start = {.last_zxid = last_zxid(v), .current_epoch = v->current}});
}

// A role is over: what it asked the disk for is done or not, and the log is all there is.
static void settle(struct world *w, struct server *v)
{
    leader_free(&v->leader);
    learner_free(&v->learner);
    v->elected = false;
    for (size_t i = 0; i < v->ops_n; i++) {
        struct op *op = &v->ops[i];
        if (op->type == OP_TRUNC && w->plant != PLANT_FORGOTTEN_TRUNC) {
            cut_log(v, op->zxid);
        } else if (op->type == OP_SNAP && v->snap && rng_chance(&w->rng, 1, 2)) {
            install(v);
        } else if (op->type == OP_ACCEPTED && w->plant != PLANT_ACCEPTED_EPOCH_NOT_SAVED) {
            v->accepted = op->zxid;
        }
    }
    v->ops_n = 0;
    mem_free(v->snap);
    v->snap = NULL;
    v->synced = v->snap_volatile ? 0 : v->n;
    v->applied = v->n;
    int64_t epoch = zxid_epoch(last_zxid(v));
    v->current = v->current > epoch ? v->current : epoch;
    v->accepted = v->accepted > v->current ? v->accepted : v->current;
    rebuild_history(w, v);
}

// What it sent is still on its way when a leader leaves.
static void part(struct world *w, int leader, int learner)
{
    struct flight *f = fly(w, leader, learner);
    f->conn = w->servers[learner].conn;
    f->is_end = true;
    w->servers[learner].leaderless = true;
}

static void end_role(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    bool led = v->leader != NULL;
    settle(w, v);
    net_disconnect(w, s);
    for (int i = 1; i <= w->n && led; i++) {
        if (w->servers[i].conn && w->servers[i].follows == s && !w->servers[i].leaderless) {
            part(w, s, i);
        }
    }
    net_next_role(w, s);
}

// ---- roles --------------------------------------------------------------------------------------

static void on_append(struct world *w, struct server *v, const struct role_action *a)
{
    if (v->n == LOG || (v->n && v->log[v->n - 1].zxid >= a->zxid)) {
        net_fault(w, "the log would go back, or is full");
        return;
    }
    v->log[v->n++] = net_record(a->zxid, a->txn);
    if (v->log[v->n - 1].value < 0) {
        net_seen(w, (int)(v - w->servers), (int)-v->log[v->n - 1].value);
    }
    if (v->ops_n > 1 && v->ops[v->ops_n - 1].type == OP_SYNC) {
        v->ops[v->ops_n - 1].zxid = a->zxid; // the next flush takes it along
    } else {
        ask_disk(w, v, (struct op){.type = OP_SYNC, .zxid = a->zxid});
    }
}

static void on_commit(struct world *w, struct server *v, const struct role_action *a)
{
    struct record r = net_record(a->zxid, a->txn);
    if (v->applied >= v->n || !same(&v->log[v->applied], &r)) {
        net_fault(w, "a commit that is not the next entry of the log");
        return;
    }
    if (v->leader) {
        net_check_commit(w, v, &r);
    }
    v->applied++;
    if (v->leader ? leader_is_serving(v->leader) : learner_is_live(v->learner)) {
        check_delivered(w, v, v->leader != NULL);
    }
}

static void obey(struct world *w, int s, const struct role_action *a, bool *over)
{
    struct server *v = &w->servers[s];
    switch (a->type) {
    case ROLE_SEND:
        if (!(w->plant == PLANT_COMMITS_WITHOUT_ENTRIES && a->packet.type == QPACKET_PROPOSAL &&
              rng_chance(&w->rng, 1, 20))) {
            send_packet(w, s, (int)a->sid, &a->packet, NULL);
        }
        break;
    case ROLE_DROP:
        w->servers[a->sid].dropped = w->servers[a->sid].follows == s; // cut in the loop
        break;
    case ROLE_SAVE_ACCEPTED:
        ask_disk(w, v, (struct op){.type = OP_ACCEPTED, .zxid = a->epoch});
        break;
    case ROLE_SAVE_CURRENT:
        ask_disk(w, v, (struct op){.type = OP_CURRENT, .zxid = a->epoch});
        break;
    case ROLE_APPEND:
        on_append(w, v, a);
        break;
    case ROLE_COMMIT:
        on_commit(w, v, a);
        break;
    case ROLE_SERVE:
        on_serve(w, v, a->epoch);
        net_elect(w, s, (struct fle_event){.type = FLE_ESTABLISHED, .epoch = a->epoch});
        *over |= net_activate(w, s, v->leader ? v->seen : v->newleader,
                              v->leader ? leader_designated(v->leader) : NET_NOBODY);
        break;
    case ROLE_ACTIVATE:
        *over |= net_activate(w, s, (int)-v->log[v->applied - 1].value, a->sid);
        break;
    case ROLE_LAST_SEEN:
        net_seen(w, s, v->newleader);
        break;
    case ROLE_STEP_DOWN:
        *over = true;
        break;
    case ROLE_TRUNCATE:
        ask_disk(w, v, (struct op){.type = OP_TRUNC, .zxid = a->zxid});
        break;
    case ROLE_LOAD_SNAPSHOT:
        ask_disk(w, v, (struct op){.type = OP_SNAP, .zxid = a->zxid});
        break;
    case ROLE_PING: {
        struct zab_packet p = {.type = QPACKET_PING, .zxid = a->zxid};
        send_packet(w, s, (int)v->follows, &p, NULL);
        break;
    }
    case ROLE_ASK_DISK:
        ask_disk(w, v, (struct op){.type = OP_DISK, .sid = a->sid, .zxid = a->zxid, .tag = a->tag});
        break;
    case ROLE_READ_HISTORY:
        ask_disk(w, v, (struct op){.type = OP_READ, .sid = a->sid, .zxid = a->zxid, .tag = a->tag});
        break;
    case ROLE_SEND_SNAPSHOT:
        send_snapshot(w, s, a);
        break;
    case ROLE_ABORT:
    case ROLE_SYNCED:
    case ROLE_REQUEST:
    case ROLE_TOUCHED:
        break;
    }
}

void net_step(struct world *w, int s, struct role_event ev)
{
    struct server *v = &w->servers[s];
    struct role_out out;
    bool over = false;
    if (w->fault || (!v->leader && !v->learner)) {
        return;
    }
    ev.now = w->now;
    if (v->leader) {
        leader_step(v->leader, &ev, &out);
        leader_check(v->leader);
    } else {
        learner_step(v->learner, &ev, &out);
        learner_check(v->learner);
    }
    for (size_t i = 0; i < out.n; i++) {
        obey(w, s, &out.actions[i], &over);
    }
    if (over) {
        end_role(w, s);
    }
}

static void begin_role(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    v->elected = false;
    v->handed_over = false;
    v->tries = 0;
    const struct members *committed = w->configs[v->committed].m;
    struct role_settings settings = {.sid = s,
                                     .tick_ms = TICK_MS,
                                     .init_limit = 10,
                                     .sync_limit = 5,
                                     .observer = members_is_observer(committed, s),
                                     .committed = committed,
                                     .last_seen = w->configs[v->seen].m,
                                     .accepted_epoch = v->accepted,
                                     .current_epoch = v->current,
                                     .last_zxid = last_zxid(v),
                                     .leader = v->follows};
    if (v->role == NOTE_LEADING) {
        v->leader = leader_new(&settings, &v->history);
    } else {
        v->learner = learner_new(&settings, &v->history);
    }
    net_step(w, s, (struct role_event){.type = ROLE_IN_START});
}

static void connect_learner(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    int leader = (int)v->follows;
    if (!v->learner || v->conn || w->cut[s][leader]) {
        return;
    }
    if (!w->servers[leader].leader) { // nobody listens there: it tries for a while, as node
        v->tries++;
        if (v->tries > TRIES) {
            net_step(w, s, (struct role_event){.type = ROLE_IN_PEER_DOWN, .sid = leader});
        }
        return;
    }
    v->conn = ++w->conns;
    net_step(w, leader, (struct role_event){.type = ROLE_IN_PEER_UP, .sid = s});
    net_step(w, s, (struct role_event){.type = ROLE_IN_PEER_UP, .sid = leader});
}

// ---- the disk answers ---------------------------------------------------------------------------

static void answer_disk(struct world *w, int s, const struct op *op)
{
    struct server *v = &w->servers[s];
    struct sync_run runs[LOG];
    size_t n = 0;
    for (size_t i = 0; i < v->applied; i++) {
        if (!n || !sync_run_extend(&runs[n - 1], v->log[i].zxid)) {
            runs[n] =
                (struct sync_run){.first = v->log[i].zxid, .last = v->log[i].zxid, .joined = n > 0};
            n++;
        }
    }
    struct role_event ev = {.type = ROLE_IN_DISK, .sid = op->sid, .tag = op->tag};
    ev.disk = (struct sync_ask){.snapshot_zxid = -1, .size_factor = -1};
    if (rng_chance(&w->rng, 1, 2)) {
        ev.disk.disk = runs;
        ev.disk.disk_n = n;
        ev.disk.size_factor = 0;
    }
    if (v->applied && rng_chance(&w->rng, 1, 2)) {
        ev.disk.snapshot_zxid = v->log[rng_below(&w->rng, v->applied)].zxid;
    }
    net_step(w, s, ev);
}

static void answer_read(struct world *w, int s, const struct op *op)
{
    struct server *v = &w->servers[s];
    struct zab_entry part[READ_PART];
    size_t n = 0;
    int64_t next = op->zxid;
    for (size_t i = 0; i < v->applied && n < READ_PART; i++) {
        if (v->log[i].zxid > op->zxid) {
            part[n++] = (struct zab_entry){v->log[i].zxid, net_blob(&v->log[i])};
            next = v->log[i].zxid;
        }
    }
    if (n) {
        ask_disk(w, v, (struct op){.type = OP_READ, .sid = op->sid, .zxid = next, .tag = op->tag});
    }
    struct role_event ev = {.type = ROLE_IN_HISTORY, .sid = op->sid, .tag = op->tag};
    ev.history.entries = part;
    ev.history.n = n;
    net_step(w, s, ev);
    for (size_t i = 0; i < n; i++) {
        blob_unref(&part[i].txn);
    }
}

static void sync_log(struct server *v, int64_t zxid)
{
    while (!v->snap_volatile && v->synced < v->n && v->log[v->synced].zxid <= zxid) {
        v->synced++;
    }
}

// Planted: the log says it is durable, and is so some other time.
static bool is_late(struct world *w, const struct server *v)
{
    if (w->plant == PLANT_EPOCH_BEFORE_HISTORY) {
        return v->learner && !learner_is_live(v->learner);
    }
    return w->plant == PLANT_ACK_BEFORE_LOGGED && !rng_chance(&w->rng, 1, 8);
}

static void finish(struct world *w, int s, const struct op *op)
{
    struct server *v = &w->servers[s];
    struct role_event ev = {.zxid = op->zxid, .epoch = op->zxid};
    switch (op->type) {
    case OP_ACCEPTED:
        if (w->plant != PLANT_ACCEPTED_EPOCH_NOT_SAVED) {
            v->accepted = op->zxid;
        }
        ev.type = ROLE_IN_EPOCH_SAVED;
        ev.members = v->leader ? net_first_version(w, s, op->zxid) : NULL;
        break;
    case OP_CURRENT:
        v->current = op->zxid;
        ev.type = ROLE_IN_EPOCH_SAVED;
        break;
    case OP_SYNC:
        if (!is_late(w, v)) {
            sync_log(v, op->zxid);
        }
        ev.type = ROLE_IN_LOGGED;
        break;
    case OP_TRUNC:
        if (w->plant != PLANT_FORGOTTEN_TRUNC) {
            cut_log(v, op->zxid);
        }
        ev.type = ROLE_IN_TRUNCATED;
        break;
    case OP_SNAP:
        install(v);
        if (w->plant == PLANT_SNAPSHOT_NOT_DURABLE) {
            v->synced = 0;
            v->snap_volatile = true;
        }
        ev.type = ROLE_IN_SNAPSHOT_LOADED;
        break;
    case OP_DISK:
        answer_disk(w, s, op);
        return;
    case OP_READ:
        answer_read(w, s, op);
        return;
    }
    net_step(w, s, ev);
}

static void run_disk(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    while (v->ops_n && v->ops[0].at.ns <= w->now.ns && !w->fault) {
        struct op op = v->ops[0];
        v->ops_n--;
        memmove(v->ops, v->ops + 1, v->ops_n * sizeof(op));
        finish(w, s, &op);
    }
}

// ---- packets ------------------------------------------------------------------------------------

static void receive_packet(struct world *w, struct flight *f)
{
    struct server *to = &w->servers[f->to];
    const struct zab_packet *p = &f->packet;
    if (to->learner && p->type == QPACKET_SNAP) {
        mem_free(to->snap);
        to->snap = f->snap;
        f->snap = NULL;
    }
    if (w->plant == PLANT_EPOCH_BEFORE_HISTORY && p->type == QPACKET_NEWLEADER) {
        to->current = zxid_epoch(p->zxid);
    }
    if (p->type == QPACKET_NEWLEADER) {
        to->newleader = f->config;
    }
    net_step(w, f->to, (struct role_event){.type = ROLE_IN_PACKET, .sid = f->from, .packet = p});
}

static void receive(struct world *w, struct flight *in)
{
    struct flight f = *in;
    *in = (struct flight){.used = false};
    struct server *to = &w->servers[f.to];
    if (f.is_note) {
        if (to->fle && !w->cut[f.from][f.to]) {
            net_elect(
                w, f.to,
                (struct fle_event){.type = FLE_NOTE, .note = {.sid = f.from, .note = &f.note}});
        }
        return;
    }
    const struct server *learner = &w->servers[to->learner ? f.to : f.from];
    bool stands = learner->conn == f.conn && learner->follows == (to->learner ? f.from : f.to);
    if (f.is_end && w->servers[f.to].conn == f.conn) {
        net_disconnect(w, f.to);
    } else if (!f.is_end && stands && (to->leader || to->learner)) {
        receive_packet(w, &f);
    }
    net_land(&f);
}

static void run_network(struct world *w)
{
    for (size_t i = 0; i < w->flights_n && !w->fault; i++) {
        if (w->flights[i].used && w->flights[i].at.ns <= w->now.ns) {
            receive(w, &w->flights[i]);
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < w->flights_n; i++) {
        if (w->flights[i].used) {
            w->flights[kept++] = w->flights[i];
        }
    }
    w->flights_n = kept;
}

// ---- servers ------------------------------------------------------------------------------------

static void start_server(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    struct fle_settings settings = {s, 200, 1000, 200, true};
    v->fle = fle_new(&settings);
    v->up_at = (struct mono){0};
    settle(w, v);
    net_tell_members(w, s, false);
    net_look(w, s);
}

// What the disk has not finished is lost, but for some of what was on its way.
void net_crash(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    bool led = v->leader != NULL;
    leader_free(&v->leader);
    learner_free(&v->learner);
    fle_free(&v->fle);
    v->elected = false;
    v->named = NET_NOBODY;
    v->ops_n = 0;
    mem_free(v->snap);
    v->snap = NULL;
    v->n = v->synced + rng_below(&w->rng, v->n - v->synced + 1);
    v->snap_volatile = false;
    v->synced = v->n;
    v->applied = v->n;
    v->up_at = mono_add_ms(w->now, (int64_t)rng_below(&w->rng, 2000));
    net_disconnect(w, s);
    for (int i = 1; i <= w->n && led; i++) {
        if (w->servers[i].follows == s) {
            net_disconnect(w, i);
        }
    }
}

bool net_can_propose(const struct world *w, int s)
{
    const struct server *v = &w->servers[s];
    return v->leader && leader_is_serving(v->leader) && leader_in_flight(v->leader) <= 20 &&
           v->n <= LOG - 100 && w->proposed_n < LOG * 2;
}

void net_propose_record(struct world *w, int s, int64_t value, const struct members *next)
{
    struct server *v = &w->servers[s];
    struct record r = {leader_next_zxid(v->leader), value};
    w->proposed[w->proposed_n++] = r;
    struct blob *txn = net_blob(&r);
    net_step(
        w, s,
        (struct role_event){.type = ROLE_IN_PROPOSE, .zxid = r.zxid, .txn = txn, .members = next});
    blob_unref(&txn);
}

void net_propose(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    if (!net_can_propose(w, s)) {
        return;
    }
    struct record r = {leader_next_zxid(v->leader), ++w->values};
    net_propose_record(w, s, r.value, NULL);
    for (int i = 1; i <= w->n && w->plant == PLANT_COMMIT_WITHOUT_QUORUM && v->leader; i++) {
        struct zab_packet ack = {.type = QPACKET_ACK, .zxid = r.zxid};
        if (i != s && w->servers[i].conn) {
            net_step(w, s, (struct role_event){.type = ROLE_IN_PACKET, .sid = i, .packet = &ack});
        }
    }
}

static void run_server(struct world *w, int s)
{
    struct server *v = &w->servers[s];
    struct mono at;
    if (!v->fle) {
        if (v->up_at.ns <= w->now.ns) {
            start_server(w, s);
        }
        return;
    }
    run_disk(w, s);
    if (v->dropped) {
        v->dropped = false;
        net_disconnect(w, s);
    }
    if (fle_next(v->fle, &at) && at.ns <= w->now.ns) {
        net_elect(w, s, (struct fle_event){.type = FLE_TIMER});
    }
    if (v->elected && !v->leader && !v->learner) {
        begin_role(w, s);
    }
    if (w->now.ns % 50000000 == 0 && (v->leader || v->learner)) {
        net_step(w, s, (struct role_event){.type = ROLE_IN_TICK});
        connect_learner(w, s);
    }
    if (v->leader && rng_chance(&w->rng, 1, w->propose_every)) {
        net_propose(w, s);
    }
    if (v->leader && w->reconfig_every && rng_chance(&w->rng, 1, w->reconfig_every)) {
        net_reconfigure(w, s);
    }
}

void net_run(struct world *w, int64_t ms)
{
    struct mono end = mono_add_ms(w->now, ms);
    for (; w->now.ns < end.ns && !w->fault; w->now = mono_add_ms(w->now, 10)) {
        run_network(w);
        for (int s = 1; s <= w->n && !w->fault; s++) {
            run_server(w, s);
        }
    }
}
