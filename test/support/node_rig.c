// SPDX-License-Identifier: Apache-2.0
#include "test/support/node_rig.h"

#include <stdio.h>
#include <string.h>

#include "base/endian.h"
#include "base/mem.h"
#include "test/support/serve_rig.h"

enum { STEPS_MAX = 100000 };

// ---- time and events ----------------------------------------------------------------------------

static void step(struct nrig *r, struct env_event ev)
{
    ev.now = r->f->env.now;
    ev.wall = r->f->env.wall;
    node_step(r->n, &ev);
    node_turn(r->n);
    node_check(r->n);
}

static bool stopped(const struct nrig *r)
{
    bool failed;
    return node_stopped(r->n, &failed);
}

static bool close_one(struct nrig *r)
{
    for (uint32_t i = 0; i < FAKE_CONNS; i++) {
        if (r->f->net.conns[i].used && r->f->net.conns[i].closing) {
            fake_net_gone(&r->f->net, i);
            step(r, (struct env_event){.type = ENV_CLOSED, .conn = i});
            return true;
        }
    }
    return false;
}

static bool run_one_job(struct nrig *r)
{
    for (int lane = 0; !r->hold_jobs && lane < ENV_LANES; lane++) {
        struct env_job *job = fake_env_run(r->f, (enum env_lane)lane);
        if (job) {
            step(r, (struct env_event){.type = ENV_JOB_DONE, .job = job});
            return true;
        }
    }
    return false;
}

static bool fire_timer(struct nrig *r)
{
    if (r->f->net.timer_at.ns > r->f->env.now.ns || stopped(r)) {
        return false;
    }
    r->f->net.timer_at = (struct mono){INT64_MAX};
    step(r, (struct env_event){.type = ENV_TIMER});
    return true;
}

void nrig_go(struct nrig *r)
{
    for (int i = 0; close_one(r) || run_one_job(r) || fire_timer(r); i++) {
        must(i < STEPS_MAX);
    }
}

void nrig_pass(struct nrig *r, int64_t ms)
{
    struct mono end = mono_add_ms(r->f->env.now, ms);
    while (r->f->net.timer_at.ns <= end.ns && !stopped(r)) {
        int64_t wait_ms = (r->f->net.timer_at.ns - r->f->env.now.ns + 999999) / 1000000;
        fake_env_pass_ms(r->f, wait_ms > 0 ? wait_ms : 0);
        nrig_go(r);
    }
    if (end.ns > r->f->env.now.ns) {
        fake_env_pass_ms(r->f, mono_diff_ms(end, r->f->env.now));
    }
    nrig_go(r);
}

// ---- life ---------------------------------------------------------------------------------------

static void configure(struct nrig *r, const char *text)
{
    struct buf why = {0}, warnings = {0};
    config_init(&r->cfg);
    enum err e = config_parse(&r->cfg, "zoo.cfg", slice_str(text), &warnings, &why);
    e = e ? e : config_finish(&r->cfg, &warnings, &why);
    if (e) {
        fprintf(stderr, "%.*s\n", SLICE_ARG(buf_slice(&why)));
    }
    must(e == ERR_OK);
    r->cfg.config_path = mem_strdup("/conf/zoo.cfg");
    buf_fini(&why);
    buf_fini(&warnings);
}

struct nrig *nrig_new(int64_t sid, int voters, int observers, const char *lines)
{
    struct nrig *r = mem_zalloc(sizeof(*r));
    struct buf text = {0};
    char myid[32];
    r->f = fake_env_new(7);
    r->round = 1;
    buf_fmt(&text,
            "dataDir=/data\ntickTime=%d\ninitLimit=10\nsyncLimit=5\npreAllocSize=4\n"
            "clientPort=%d\nclientPortAddress=127.0.0.1\n4lw.commands.whitelist=*\n%s",
            NRIG_TICK_MS, NRIG_CLIENTS, lines ? lines : "");
    for (int i = 1; i <= voters + observers; i++) {
        buf_fmt(&text, "server.%d=h%d:%d:%d:%s\n", i, i, NRIG_QUORUM + i, NRIG_ELECTION + i,
                i <= voters ? "participant" : "observer");
    }
    snprintf(myid, sizeof(myid), "%d\n", (int)sid);
    fake_env_plant(r->f, "/data/myid", slice_str(myid));
    fake_env_plant(r->f, "/conf/zoo.cfg", buf_slice(&text));
    buf_put_u8(&text, 0);
    configure(r, (const char *)text.p);
    buf_fini(&text);
    must(node_new(&r->f->env, &r->cfg, &r->n) == ERR_OK);
    node_turn(r->n);
    nrig_go(r);
    return r;
}

void nrig_free(struct nrig **rp)
{
    struct nrig *r = *rp;
    *rp = NULL;
    r->hold_jobs = false;
    for (uint32_t i = 0; i < FAKE_CONNS; i++) {
        nrig_slow(r, i, false);
    }
    step(r, (struct env_event){.type = ENV_STOP});
    nrig_pass(r, 30000);
    must(stopped(r));
    nrig_go(r);
    node_free(&r->n);
    config_fini(&r->cfg);
    arena_fini(&r->arena);
    fake_env_free(&r->f);
    mem_free(r);
}

// ---- connections --------------------------------------------------------------------------------

uint32_t nrig_accept(struct nrig *r, uint16_t port)
{
    uint32_t listener;
    must(fake_net_listener(&r->f->net, port, &listener));
    uint32_t conn = fake_net_conn(&r->f->net);
    struct net_addr peer = {4, {10, 0, 0, 1}, (uint16_t)(50000 + conn)};
    step(r, (struct env_event){
                .type = ENV_ACCEPT, .conn = conn, .accept = {.listener = listener, .peer = peer}});
    nrig_go(r);
    return conn;
}

static uint64_t answered(struct nrig *r, uint16_t port)
{
    struct fake_dial *d = fake_net_dial(&r->f->net, port);
    must(d != NULL);
    d->open = false;
    return d->dial;
}

uint32_t nrig_dialed(struct nrig *r, uint16_t port)
{
    uint64_t dial = answered(r, port);
    uint32_t conn = fake_net_conn(&r->f->net);
    step(r, (struct env_event){.type = ENV_DIALED, .conn = conn, .dialed = {.dial = dial}});
    nrig_go(r);
    return conn;
}

void nrig_refuse(struct nrig *r, uint16_t port)
{
    uint64_t dial = answered(r, port);
    step(r, (struct env_event){.type = ENV_DIAL_FAILED, .dialed = {dial, ERR_REFUSED}});
    nrig_go(r);
}

void nrig_put(struct nrig *r, uint32_t conn, struct slice bytes)
{
    must(nrig_open(r, conn));
    step(r, (struct env_event){.type = ENV_DATA, .conn = conn, .data = bytes});
    nrig_go(r);
}

void nrig_hang_up(struct nrig *r, uint32_t conn)
{
    must(nrig_open(r, conn));
    fake_net_gone(&r->f->net, conn);
    step(r, (struct env_event){.type = ENV_CLOSED, .conn = conn});
    nrig_go(r);
}

bool nrig_open(const struct nrig *r, uint32_t conn)
{
    return r->f->net.conns[conn].used;
}

void nrig_slow(struct nrig *r, uint32_t conn, bool slow)
{
    struct fake_conn *c = &r->f->net.conns[conn];
    c->slow = slow;
    if (!slow && c->used && c->unsent) {
        c->unsent = 0;
        step(r, (struct env_event){.type = ENV_DRAINED, .conn = conn});
        nrig_go(r);
    }
}

struct slice nrig_sent(struct nrig *r, uint32_t conn)
{
    struct fake_conn *c = &r->f->net.conns[conn];
    return slice_skip(buf_slice(&c->sent), c->read);
}

// ---- elections ----------------------------------------------------------------------------------

void nrig_vote_conn(struct nrig *r, int64_t sid)
{
    if (r->votes[sid] && nrig_open(r, r->votes[sid])) {
        return;
    }
    struct buf b = {0};
    char at[32];
    snprintf(at, sizeof(at), "h%d:%d", (int)sid, NRIG_ELECTION + (int)sid);
    note_hello_encode(&b, sid, false, slice_str(at));
    r->votes[sid] = nrig_accept(r, (uint16_t)(NRIG_ELECTION + r->n->ens->sid));
    nrig_put(r, r->votes[sid], buf_slice(&b));
    buf_fini(&b);
}

void nrig_note(struct nrig *r, int64_t sid, struct note n)
{
    struct buf b = {0}, text = {0}, frame = {0};
    if (!n.config.p) {
        members_fmt(&text, r->n->ens->committed, MEMBERS_WIRE);
        n.config = buf_slice(&text);
    }
    n.election_epoch = n.election_epoch ? n.election_epoch : fle_round(elect_fle(r->n->ens->elect));
    nrig_vote_conn(r, sid);
    note_encode(&b, &n);
    buf_put_i32(&frame, (int32_t)b.n);
    buf_put_slice(&frame, buf_slice(&b));
    nrig_put(r, r->votes[sid], buf_slice(&frame));
    buf_fini(&b);
    buf_fini(&text);
    buf_fini(&frame);
}

bool nrig_next_note(struct nrig *r, int64_t sid, struct note *n)
{
    struct slice body;
    size_t bytes;
    if (note_frame(nrig_sent(r, r->votes[sid]), &body, &bytes)) {
        return false;
    }
    r->f->net.conns[r->votes[sid]].read += bytes;
    must(note_decode(body, n) == ERR_OK);
    return true;
}

void nrig_elect(struct nrig *r, int64_t leader)
{
    const struct members *m = r->n->ens->committed;
    int64_t zxid = tree_zxid(r->n->tree);
    struct disk_epochs epochs;
    disk_get_epochs(r->n->disk, &epochs);
    for (size_t i = 0; i < m->voters_n; i++) {
        if (m->voters[i] > r->n->ens->sid) {
            nrig_note(r, m->voters[i],
                      (struct note){.leader = leader, .zxid = zxid, .peer_epoch = epochs.current});
        }
    }
    nrig_pass(r, 250);
}

// ---- packets ------------------------------------------------------------------------------------

bool nrig_next(struct nrig *r, uint32_t conn, struct qpacket *k)
{
    struct qpacket_reader reader;
    size_t used;
    qpacket_reader_init(&reader, 1 << 20);
    if (qpacket_next(&reader, nrig_sent(r, conn), &r->arena, k, &used)) {
        return false;
    }
    r->f->net.conns[conn].read += used;
    return true;
}

void nrig_expect(struct nrig *r, uint32_t conn, enum qpacket_type type, struct qpacket *k)
{
    struct qpacket own;
    k = k ? k : &own;
    bool more = nrig_next(r, conn, k);
    while (more && k->type == QPACKET_PING && type != QPACKET_PING) {
        more = nrig_next(r, conn, k);
    }
    if (!more || k->type != (int32_t)type) {
        fprintf(stderr, "expected %s, got %s\n", qpacket_name((int32_t)type),
                more ? qpacket_name(k->type) : "nothing");
    }
    must(more);
    must(k->type == (int32_t)type);
}

void nrig_send(struct nrig *r, uint32_t conn, enum qpacket_type type, int64_t zxid,
               struct slice data)
{
    struct buf b = {0};
    qpacket_put(&b, type, zxid, data);
    nrig_put(r, conn, buf_slice(&b));
    buf_fini(&b);
}

void nrig_send_record(struct nrig *r, uint32_t conn, enum qpacket_type type, int64_t zxid,
                      const struct record_type *record, const void *rec, struct slice rest)
{
    struct buf b = {0};
    qpacket_put_record(&b, type, zxid, record, rec, rest);
    nrig_put(r, conn, buf_slice(&b));
    buf_fini(&b);
}

void nrig_info(struct nrig *r, uint32_t conn, enum qpacket_type type, int64_t sid)
{
    struct learner_info info = {sid, QPACKET_PROTOCOL, 0};
    nrig_send_record(r, conn, type, 0, &record_learner_info, &info, SLICE_NULL);
}

// ---- whole ways ---------------------------------------------------------------------------------

// What the leader gives before NEWLEADER; a snapshot's body is skipped.
static void skip_sync(struct nrig *r, uint32_t conn, struct qpacket *k)
{
    while (nrig_next(r, conn, k) && k->type != QPACKET_NEWLEADER) {
        if (k->type == QPACKET_SNAP) {
            size_t skipped = 0;
            while (qpacket_get_signature(slice_skip(nrig_sent(r, conn), skipped))) {
                skipped++;
                must(skipped < nrig_sent(r, conn).n);
            }
            r->f->net.conns[conn].read += skipped + QPACKET_SIGNATURE_LEN;
        }
    }
    must(k->type == QPACKET_NEWLEADER);
}

uint32_t nrig_learner(struct nrig *r, int64_t sid, bool observer, int64_t zxid)
{
    struct qpacket k;
    uint32_t conn = nrig_accept(r, (uint16_t)(NRIG_QUORUM + r->n->ens->sid));
    nrig_info(r, conn, observer ? QPACKET_OBSERVERINFO : QPACKET_FOLLOWERINFO, sid);
    nrig_expect(r, conn, QPACKET_LEADERINFO, &k);
    struct ack_epoch ack = {(int32_t)zxid_epoch(zxid)};
    nrig_send_record(r, conn, QPACKET_ACKEPOCH, zxid, &record_ack_epoch, &ack, SLICE_NULL);
    skip_sync(r, conn, &k);
    nrig_send(r, conn, QPACKET_ACK, k.zxid, SLICE_NULL);
    if (r->n->serving) {
        nrig_expect(r, conn, QPACKET_UPTODATE, NULL);
    }
    return conn;
}

uint32_t nrig_lead(struct nrig *r, int64_t sid)
{
    nrig_elect(r, r->n->ens->sid);
    must(r->n->run == RUN_LEADING);
    uint32_t conn = nrig_learner(r, sid, false, tree_zxid(r->n->tree));
    must(r->n->serving);
    return conn;
}

uint32_t nrig_follow(struct nrig *r, int64_t leader)
{
    struct buf text = {0};
    nrig_elect(r, leader);
    must(r->n->learner != NULL);
    uint32_t conn = nrig_dialed(r, (uint16_t)(NRIG_QUORUM + leader));
    struct disk_epochs epochs;
    disk_get_epochs(r->n->disk, &epochs);
    int64_t zxid = zxid_of_epoch(epochs.accepted + 1), last = tree_zxid(r->n->tree);
    nrig_expect(r, conn, r->n->run == RUN_OBSERVING ? QPACKET_OBSERVERINFO : QPACKET_FOLLOWERINFO,
                NULL);
    struct leader_info info = {QPACKET_PROTOCOL};
    nrig_send_record(r, conn, QPACKET_LEADERINFO, zxid, &record_leader_info, &info, SLICE_NULL);
    nrig_expect(r, conn, QPACKET_ACKEPOCH, NULL);
    nrig_send(r, conn, QPACKET_DIFF, last, SLICE_NULL);
    members_fmt(&text, r->n->ens->committed, MEMBERS_WIRE);
    nrig_send(r, conn, QPACKET_NEWLEADER, zxid, buf_slice(&text));
    nrig_expect(r, conn, QPACKET_ACK, NULL);
    nrig_send(r, conn, QPACKET_UPTODATE, 0, SLICE_NULL);
    must(r->n->serving);
    buf_fini(&text);
    return conn;
}

uint32_t nrig_client(struct nrig *r, int32_t timeout_ms)
{
    struct buf b = {0};
    uint32_t conn = nrig_accept(r, NRIG_CLIENTS);
    rig_put_connect(&b, timeout_ms, 0, SLICE_NULL, true);
    nrig_put(r, conn, buf_slice(&b));
    buf_fini(&b);
    return conn;
}
