// SPDX-License-Identifier: Apache-2.0
//
// A client that does everything wrong: lengths that lie, frames cut short, opcodes that do not
// exist, bodies of noise, words instead of frames, and then silence or the end. Nobody else may
// notice. What it sends as a write never decodes, so the log may hold nothing of it but errors.
#include "sim/client.h"
#include "sim/world.h"

enum { NOISE_MAX = 300 };

static void put_noise(struct world *w, struct buf *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        buf_put_u8(b, (uint8_t)world_below(w, 256));
    }
}

static void put_frame(struct buf *b, int32_t xid, int32_t type, struct slice body)
{
    buf_put_i32(b, (int32_t)(8 + body.n));
    buf_put_i32(b, xid);
    buf_put_i32(b, type);
    buf_put_slice(b, body);
}

// A write whose path says it is longer than the frame.
static void cut_write(struct world *w, struct buf *b)
{
    static const int32_t types[] = {OP_CREATE,   OP_CREATE2, OP_CREATE_TTL, OP_DELETE,
                                    OP_SET_DATA, OP_SET_ACL, OP_MULTI};
    uint8_t body[8] = {0, 0, 0, 77, '/', 'x', 0, 0};
    size_t n = (size_t)world_below(w, sizeof(body) + 1);
    put_frame(b, (int32_t)world_below(w, 5) - 1, types[world_below(w, 7)], slice_of(body, n));
}

static void noisy_read(struct world *w, struct buf *b)
{
    static const int32_t types[] = {OP_EXISTS,
                                    OP_GET_DATA,
                                    OP_GET_CHILDREN,
                                    OP_GET_ACL,
                                    OP_SET_WATCHES,
                                    OP_SET_WATCHES2,
                                    OP_ADD_WATCH,
                                    OP_MULTI_READ,
                                    OP_SYNC,
                                    OP_CHECK_WATCHES,
                                    OP_WHO_AM_I,
                                    OP_AUTH,
                                    OP_GET_EPHEMERALS,
                                    0,
                                    77,
                                    OP_CHECK,
                                    OP_DELETE_CONTAINER,
                                    OP_SASL};
    struct buf body = {0};
    put_noise(w, &body, (size_t)world_below(w, NOISE_MAX));
    if (world_chance(w, 1, 2) && body.n > 4) {
        be32_put(body.p, (uint32_t)world_below(w, body.n + 10)); // a length that nearly fits
    }
    put_frame(b, (int32_t)world_below(w, 10),
              types[world_below(w, sizeof(types) / sizeof(types[0]))], buf_slice(&body));
    buf_fini(&body);
}

bool chaos_greet(struct client *c)
{
    static const char *const words[] = {"mntr", "stat", "srvr", "cons", "dump", "wchs",
                                        "wchc", "wchp", "conf", "envi", "ruok", "isro",
                                        "dirs", "hash", "crst", "srst", "gtmk", "nono"};
    if (world_chance(c->w, 1, 2)) {
        return false;
    }
    const char *word = words[world_below(c->w, sizeof(words) / sizeof(words[0]))];
    report_line(&c->w->report, "client %u says %s", c->index, word);
    net_client_send(c->w, c->link, slice_str(word));
    return true;
}

void chaos_say(struct client *c)
{
    struct world *w = c->w;
    struct buf b = {0};
    switch (world_below(w, 9)) {
    case 0:
        buf_put_i32(&b, (int32_t)world_below(w, INT32_MAX)); // a length, and nothing behind it
        break;
    case 1:
        buf_put_i32(&b, -1 - (int32_t)world_below(w, 100));
        break;
    case 2:
        buf_put_i32(&b, (int32_t)world_below(w, 9));
        put_noise(w, &b, 12);
        break;
    case 3:
        buf_put_slice(&b, SLICE_LIT("ruok"));
        break;
    case 4:
    case 5:
        cut_write(w, &b);
        break;
    default:
        noisy_read(w, &b);
        break;
    }
    report_line(&w->report, "client %u says %zu bytes of nonsense", c->index, b.n);
    net_client_send(w, c->link, buf_slice(&b));
    buf_fini(&b);
    if (world_chance(w, 1, 10)) {
        client_hang_up(c);
    }
}
