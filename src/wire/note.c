// SPDX-License-Identifier: Apache-2.0
#include "wire/note.h"

#include <inttypes.h>

#include "base/must.h"
#include "wire/members.h"

enum {
    HELLO_HEAD = 20,     // protocol, sid, length
    NOTE_LENGTH_28 = 28, // no peer epoch: before 3.4
    NOTE_LENGTH_40 = 40, // version not looked at: 3.4
    NOTE_HEAD = 44
};

static const int64_t hello_v1 = -65536, hello_v2 = -65535;

// ---- initial message ----------------------------------------------------------------------------

// Bound to every interface: no address to dial. Any way to write zero.
static bool is_wildcard(struct slice host)
{
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] != '0' && host.p[i] != '.' && host.p[i] != ':') {
            return false;
        }
    }
    return true;
}

// Java's InitialMessage.parse.
static bool parse_addresses(struct slice text, struct note_hello *h)
{
    while (text.n) {
        const uint8_t *bar = memchr(text.p, '|', text.n);
        struct slice one = slice_head(text, bar ? (size_t)(bar - text.p) : text.n);
        text = slice_skip(text, one.n + (bar ? 1 : 0));
        struct slice parts[2];
        int64_t port;
        if (members_split_address(one, parts, 2) != 2 ||
            !members_parse_number(parts[1], UINT16_MAX, &port)) {
            return false;
        }
        if (!is_wildcard(parts[0]) && h->addrs_n < NOTE_ADDRS_MAX) {
            h->addrs[h->addrs_n++] = (struct note_addr){parts[0], (uint16_t)port};
        }
    }
    return true;
}

enum err note_hello_decode(struct slice s, struct note_hello *h)
{
    *h = (struct note_hello){0};
    if (s.n < 8) {
        return ERR_CUT;
    }
    int64_t first = (int64_t)be64_get(s.p);
    if (first >= 0) {
        h->sid = first; // before 3.5 the sid was all of it
        h->bytes = 8;
        return ERR_OK;
    }
    if (first != hello_v1 && first != hello_v2) {
        return ERR_UNSUPPORTED;
    }
    if (s.n < HELLO_HEAD) {
        return ERR_CUT;
    }
    h->sid = (int64_t)be64_get(s.p + 8);
    int32_t n = (int32_t)be32_get(s.p + 16);
    if (n < 1 || n > NOTE_HELLO_ADDRESSES_MAX) {
        return ERR_LIMIT;
    }
    if (s.n - HELLO_HEAD < (size_t)n) {
        return ERR_CUT;
    }
    h->bytes = HELLO_HEAD + (size_t)n;
    return parse_addresses(slice_of(s.p + HELLO_HEAD, (size_t)n), h) ? ERR_OK : ERR_MALFORMED;
}

void note_hello_encode(struct buf *b, int64_t sid, bool v2, struct slice addresses)
{
    must(addresses.n >= 1);
    must(addresses.n <= NOTE_HELLO_ADDRESSES_MAX);
    buf_put_i64(b, v2 ? hello_v2 : hello_v1);
    buf_put_i64(b, sid);
    buf_put_i32(b, (int32_t)addresses.n);
    buf_put_slice(b, addresses);
}

// ---- frames -------------------------------------------------------------------------------------

enum err note_frame(struct slice s, struct slice *body, size_t *bytes)
{
    *body = SLICE_NULL;
    *bytes = 4;
    if (s.n < 4) {
        return ERR_CUT;
    }
    int32_t n = (int32_t)be32_get(s.p);
    if (n < 1 || n > NOTE_FRAME_MAX) {
        return ERR_LIMIT;
    }
    *bytes = 4 + (size_t)n;
    if (s.n < *bytes) {
        return ERR_CUT;
    }
    *body = slice_of(s.p + 4, (size_t)n);
    return ERR_OK;
}

// ---- notification -------------------------------------------------------------------------------

// Java's FastLeaderElection.Messenger.WorkerReceiver.
enum err note_decode(struct slice s, struct note *n)
{
    *n = (struct note){0};
    if (s.n < NOTE_LENGTH_28 || (s.n > NOTE_LENGTH_28 && s.n < NOTE_LENGTH_40)) {
        return ERR_CUT;
    }
    uint32_t state = be32_get(s.p);
    n->state = state < NOTE_STATE_UNKNOWN ? (enum note_state)state : NOTE_STATE_UNKNOWN;
    n->leader = (int64_t)be64_get(s.p + 4);
    n->zxid = (int64_t)be64_get(s.p + 12);
    n->election_epoch = (int64_t)be64_get(s.p + 20);
    if (s.n == NOTE_LENGTH_28) {
        n->peer_epoch = n->zxid >> 32;
        return ERR_OK;
    }
    n->peer_epoch = (int64_t)be64_get(s.p + 28);
    if (s.n == NOTE_LENGTH_40) {
        return ERR_OK;
    }
    n->version = (int32_t)be32_get(s.p + 36);
    if (n->version < NOTE_VERSION) {
        return ERR_OK;
    }
    if (s.n < NOTE_HEAD) {
        return ERR_CUT;
    }
    int32_t length = (int32_t)be32_get(s.p + 40);
    if (length < 0) {
        return ERR_MALFORMED;
    }
    if ((size_t)length > s.n - NOTE_HEAD) {
        return ERR_CUT;
    }
    n->config = slice_of(s.p + NOTE_HEAD, (size_t)length);
    return ERR_OK;
}

void note_encode(struct buf *b, const struct note *n)
{
    must(n->state < NOTE_STATE_UNKNOWN);
    must(n->config.p != NULL);
    must(n->config.n <= NOTE_FRAME_MAX - NOTE_HEAD);
    buf_put_i32(b, (int32_t)n->state);
    buf_put_i64(b, n->leader);
    buf_put_i64(b, n->zxid);
    buf_put_i64(b, n->election_epoch);
    buf_put_i64(b, n->peer_epoch);
    buf_put_i32(b, NOTE_VERSION);
    buf_put_i32(b, (int32_t)n->config.n);
    buf_put_slice(b, n->config);
}

const char *note_state_name(enum note_state s)
{
    static const char *const names[] = {"LOOKING", "FOLLOWING", "LEADING", "OBSERVING", "UNKNOWN"};
    must(s <= NOTE_STATE_UNKNOWN);
    return names[s];
}

void note_fmt(struct buf *b, const struct note *n)
{
    buf_fmt(b, "%s leader=%" PRId64 " zxid=0x%" PRIx64 " round=%" PRId64 " epoch=%" PRId64 " v%d",
            note_state_name(n->state), n->leader, (uint64_t)n->zxid, n->election_epoch,
            n->peer_epoch, n->version);
}
