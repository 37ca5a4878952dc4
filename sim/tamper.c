// SPDX-License-Identifier: Apache-2.0
#include "sim/tamper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "disk/logfile.h"
#include "sim/ask.h"
#include "sim/guest.h"
#include "sim/plant.h"
#include "sim/world.h"

enum { ONE_IN = 60, HEAD = 20, PATH_LEN = 128 };

static const struct {
    int servers;
    const char *name, *what;
} plants[] = {
#define PLANT(id, servers, name, what) {servers, name, what},
    PLANTS
#undef PLANT
};

const char *plant_name(enum plant p)
{
    return plants[p].name;
}

const char *plant_what(enum plant p)
{
    return plants[p].what;
}

// What guests have to do for it; NULL: it needs none.
static const char *parts_for(enum plant p)
{
    return p == PLANT_SLOW_GUEST || p == PLANT_NO_LOST ? "calls,locks"
           : p == PLANT_KEEP_ITEM                      ? "calls,queue"
                                                       : NULL;
}

int plant_guests(enum plant p)
{
    return parts_for(p) ? GUESTS_MAX : 0;
}

unsigned plant_parts(enum plant p)
{
    unsigned parts = 0;
    const char *list = parts_for(p);
    must(!list || guest_parts_parse(list, &parts));
    return parts;
}

int plant_servers(enum plant p)
{
    return plants[p].servers;
}

// ---- frames ----------------------------------------------------------------------------------

static int32_t xid_of(struct slice f)
{
    return (int32_t)be32_get(f.p + 4);
}

static int32_t err_of(struct slice f)
{
    return (int32_t)be32_get(f.p + 16);
}

static void put_changed(struct buf *out, struct slice f, size_t at, uint64_t v, size_t n)
{
    buf_put_slice(out, f);
    uint8_t *p = out->p + out->n - f.n + at;
    if (n == 8) {
        be64_put(p, v);
    } else if (n == 4) {
        be32_put(p, (uint32_t)v);
    } else {
        *p ^= (uint8_t)v;
    }
}

static void put_head(struct buf *out, struct slice f, int32_t err)
{
    size_t start = out->n;
    buf_put(out, f.p, HEAD);
    be32_put(out->p + start, HEAD - 4);
    be32_put(out->p + start + 16, (uint32_t)err);
}

// One frame, changed as the plant says. `held` waits for the frame behind it.
static void spoil(enum plant plant, struct slice f, struct buf *held, struct buf *out)
{
    uint64_t zxid = be64_get(f.p + 8);
    bool event = xid_of(f) == XID_EVENT;
    if (plant == PLANT_DROP_EVENT && event) {
        return;
    }
    if (plant == PLANT_TWICE_EVENT && event) {
        buf_put_slice(out, f);
    }
    if ((plant == PLANT_LATE_EVENT && event) || (plant == PLANT_SWAP_REPLIES && xid_of(f) > 0)) {
        buf_put_slice(held, f);
        return;
    }
    if (event || xid_of(f) <= 0) {
        buf_put_slice(out, f);
        return;
    }
    switch (plant) {
    case PLANT_DROP_REPLY:
        return;
    case PLANT_OLD_ZXID:
        put_changed(out, f, 8, zxid ? zxid - 1 : 0, 8);
        return;
    case PLANT_FUTURE_ZXID:
        put_changed(out, f, 8, zxid + 1000, 8);
        return;
    case PLANT_WRONG_STAT:
        put_changed(out, f, f.n - 1, f.n > HEAD, 1);
        return;
    case PLANT_WRONG_ERROR:
        put_changed(out, f, 16, 0, 4);
        return;
    case PLANT_FALSE_REFUSAL:
        put_head(out, f, err_of(f) ? err_of(f) : ZK_SYSTEMERROR);
        return;
    default:
        buf_put_slice(out, f);
        return;
    }
}

size_t tamper_send(struct world *w, uint32_t link, enum side s, struct buf *b)
{
    enum plant plant = w->opt.plant;
    if (w->net.links[link].end[DIALER].is_host) {
        return tamper_peer_send(w, link, s, buf_slice(b));
    }
    struct buf out = {0}, held = {0};
    struct slice left = buf_slice(b);
    while (left.n >= HEAD && plant != PLANT_NONE) {
        size_t n = (size_t)be32_get(left.p) + 4;
        if (n > left.n || n < HEAD) {
            break;
        }
        struct slice f = slice_head(left, n);
        size_t was = out.n;
        if (world_chance(w, 1, ONE_IN) && n != 40 && n != 41) { // not the handshake's
            spoil(plant, f, &held, &out);
        } else {
            buf_put_slice(&out, f);
        }
        if (held.n && out.n > was) {
            buf_put_slice(&out, buf_slice(&held));
            buf_clear(&held);
        }
        left = slice_skip(left, n);
    }
    buf_put_slice(&out, buf_slice(&held)); // nothing came behind it: no harm done
    buf_put_slice(&out, left);
    size_t unsent = net_send(w, link, s, buf_slice(&out));
    buf_fini(&held);
    buf_fini(&out);
    return unsent;
}

// ---- disk ------------------------------------------------------------------------------------

static void newest(void *ctx, const char *name, uint64_t size)
{
    uint64_t *best = ctx;
    (void)size;
    if (strncmp(name, "log.", 4) == 0) {
        uint64_t z = strtoull(name + 4, NULL, 16);
        *best = z > *best ? z : *best;
    }
}

static void lose_tail(struct host *h)
{
    char path[PATH_LEN];
    uint64_t best = 0;
    snprintf(path, sizeof(path), "%s/version-2", h->cfg.data_log_dir);
    crashdisk_each(h->disk, path, newest, &best);
    snprintf(path, sizeof(path), "%s/version-2/log.%" PRIx64, h->cfg.data_log_dir, best);
    struct slice bytes = best ? crashdisk_peek(h->disk, path) : SLICE_NULL;
    size_t at = LOGFILE_HEADER_LEN, last = 0, used = 0, last_used = 0;
    struct slice entry;
    while (at < bytes.n &&
           logfile_next(slice_skip(bytes, at), SIZE_MAX / 2, &entry, &used) == LOGFILE_RECORD) {
        last = at;
        last_used = used;
        at += used;
    }
    if (last) {
        crashdisk_poke(h->disk, path, last, 0, last_used);
    }
}

static void lose_epochs(struct host *h)
{
    crashdisk_lose(h->disk, "/data/version-2/acceptedEpoch");
    crashdisk_lose(h->disk, "/data/version-2/currentEpoch");
}

static void lose_disk(struct host *h)
{
    if (h->boots > 1 && world_chance(h->w, 1, 2)) {
        crashdisk_lose(h->disk, "/data/version-2/");
        crashdisk_lose(h->disk, "/log/version-2/");
    }
}

void tamper_boot(struct host *h)
{
    switch (h->w->opt.plant) {
    case PLANT_LOST_TAIL:
        lose_tail(h);
        break;
    case PLANT_LOST_EPOCHS:
        lose_epochs(h);
        break;
    case PLANT_LOST_DISK:
        lose_disk(h);
        break;
    default:
        break;
    }
}
