// SPDX-License-Identifier: Apache-2.0
//
// Planted bugs between servers: packets of the quorum port that are lost, changed, doubled, moved
// or made up. A server hands over whole packets, except for the body of a snapshot, which is let
// pass.
#include "sim/tamper.h"

#include "sim/host.h"
#include "sim/plant.h"
#include "sim/world.h"
#include "wire/qpacket.h"
#include "zab/zab_role.h"

enum { ONE_IN = 40, DATA_MAX = 64 << 20, WINDOW_S = 4, HOLD_MS = 400 };

struct passing {
    struct world *w;
    uint32_t link;
    enum side side;
    struct end *end;
    struct buf out;
    struct buf held; // goes behind the next packet of its kind
};

static void put(struct passing *p, struct slice bytes)
{
    buf_put_slice(&p->out, bytes);
}

// The peer's answer, which the peer knows nothing of.
static void forge(struct passing *p, enum qpacket_type type, int64_t zxid)
{
    struct buf b = {0};
    qpacket_put(&b, type, zxid, SLICE_NULL);
    net_send(p->w, p->link, p->side == DIALER ? ACCEPTOR : DIALER, buf_slice(&b));
    buf_fini(&b);
}

// For a while followers get nothing of what is new, and seem to have acknowledged all of it.
static void no_quorum(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    bool now = p->w->now_ns / SIM_S % WINDOW_S == 0 && p->end->live;
    if (now && k->type == QPACKET_PROPOSAL) {
        forge(p, QPACKET_ACK, k->zxid);
    } else if (!now || k->type != QPACKET_COMMIT) {
        put(p, bytes);
    }
}

static void change_byte(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    put(p, bytes);
    if (k->type == QPACKET_PROPOSAL && world_chance(p->w, 1, ONE_IN)) {
        size_t end = (size_t)(k->data.p + k->data.n - bytes.p);
        p->out.p[p->out.n - bytes.n + end - 1] ^= 1;
    }
}

static void no_trunc(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    if (k->type == QPACKET_TRUNC) {
        qpacket_put(&p->out, QPACKET_DIFF, k->zxid, SLICE_NULL);
    } else {
        put(p, bytes);
    }
}

static void gap_diff(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    struct end *e = p->end;
    bool entry = k->type == QPACKET_PROPOSAL || k->type == QPACKET_COMMIT;
    if (k->type == QPACKET_DIFF && zxid_counter(k->zxid) > 1 && world_chance(p->w, 1, 2)) {
        e->left_out = k->zxid;
        qpacket_put(&p->out, QPACKET_DIFF, k->zxid - 1, SLICE_NULL);
    } else if (e->live || !entry || k->zxid != e->left_out) {
        put(p, bytes);
    }
}

// For half of the time COMMITs stay behind, and what comes after them goes first.
static void early_sync(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    struct buf *held = &p->end->held;
    bool now = p->w->now_ns / (HOLD_MS * SIM_MS) % 2 && p->end->live;
    if (now && k->type == QPACKET_COMMIT) {
        buf_put_slice(held, bytes);
        return;
    }
    if (!now) {
        put(p, buf_slice(held));
        buf_clear(held);
    }
    put(p, bytes);
}

static void asked(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    enum plant plant = p->w->opt.plant;
    if (k->type != QPACKET_REQUEST || !world_chance(p->w, 1, ONE_IN)) {
        put(p, bytes);
        if (k->type == QPACKET_REQUEST) {
            put(p, buf_slice(&p->held));
            buf_clear(&p->held);
        }
    } else if (plant == PLANT_TWICE_ASKED) {
        put(p, bytes);
        put(p, bytes);
    } else if (plant == PLANT_SWAP_ASKED) {
        buf_put_slice(&p->held, bytes);
    }
}

static void no_touch(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    if (k->type == QPACKET_PING && k->data.n) {
        qpacket_put(&p->out, QPACKET_PING, k->zxid, SLICE_LIT(""));
    } else {
        put(p, bytes);
    }
}

static void pass(struct passing *p, const struct qpacket *k, struct slice bytes)
{
    p->end->live |= k->type == QPACKET_UPTODATE;
    p->end->streams |= k->type == QPACKET_SNAP;
    switch (p->w->opt.plant) {
    case PLANT_NO_QUORUM:
        no_quorum(p, k, bytes);
        break;
    case PLANT_OTHER_TXN:
        change_byte(p, k, bytes);
        break;
    case PLANT_NO_TRUNC:
        no_trunc(p, k, bytes);
        break;
    case PLANT_GAP_DIFF:
        gap_diff(p, k, bytes);
        break;
    case PLANT_EARLY_SYNC:
        early_sync(p, k, bytes);
        break;
    case PLANT_TWICE_ASKED:
    case PLANT_SWAP_ASKED:
    case PLANT_LOST_ASKED:
        asked(p, k, bytes);
        break;
    case PLANT_NO_TOUCH:
        no_touch(p, k, bytes);
        break;
    default:
        put(p, bytes);
        break;
    }
}

// Whether a snapshot's stream ends in these bytes, and where.
static bool ends_stream(struct slice s, size_t *end)
{
    size_t n = sizeof(QPACKET_SIGNATURE) - 1;
    for (size_t i = 0; i + n <= s.n; i++) {
        if (memcmp(s.p + i, QPACKET_SIGNATURE, n) == 0) {
            *end = i + n;
            return true;
        }
    }
    *end = s.n;
    return false;
}

size_t tamper_peer_send(struct world *w, uint32_t link, enum side s, struct slice bytes)
{
    struct link *l = &w->net.links[link];
    if (l->port != PORT_QUORUM || plant_servers(w->opt.plant) < 2) {
        return net_send(w, link, s, bytes);
    }
    struct passing p = {.w = w, .link = link, .side = s, .end = &l->end[s]};
    struct arena a = {0};
    while (bytes.n) {
        struct qpacket_reader r;
        struct qpacket k;
        size_t used = bytes.n;
        qpacket_reader_init(&r, DATA_MAX);
        if (p.end->streams) {
            p.end->streams = !ends_stream(bytes, &used);
            put(&p, slice_head(bytes, used));
        } else if (qpacket_next(&r, bytes, &a, &k, &used) == ERR_OK) {
            pass(&p, &k, slice_head(bytes, used));
        } else {
            used = bytes.n;
            put(&p, bytes);
        }
        bytes = slice_skip(bytes, used);
    }
    put(&p, buf_slice(&p.held));
    size_t unsent = net_send(w, link, s, buf_slice(&p.out));
    arena_fini(&a);
    buf_fini(&p.out);
    buf_fini(&p.held);
    return unsent;
}
