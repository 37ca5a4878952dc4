// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the stream of a quorum port. It is read in two ways, whole and in pieces whose sizes
// follow from the first byte; both must find the same packets and stop at the same place for the
// same reason. A packet that was read is written again to the bytes it came from, and its data goes
// through every reader of payloads.
#include "wire/qpacket.h"

#include "base/must.h"
#include "wire/txn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 4096 };

static void read_payload(const struct qpacket *p)
{
    struct buf text = {0};
    struct learner_info info;
    struct slice rest;
    size_t n;
    qpacket_fmt(&text, p);
    buf_fini(&text);
    if (qpacket_get_learner_info(p->data, &info) == ERR_OK && p->data.n >= 20) {
        struct buf b = {0};
        jute_put_record(&b, &record_learner_info, &info);
        must(memcmp(b.p, p->data.p, 20) == 0);
        buf_fini(&b);
    }
    if (qpacket_get_touches(p->data, &n) == ERR_OK && n) {
        struct buf b = {0};
        for (size_t i = 0; i < n; i++) {
            struct session_touch t = qpacket_touch(p->data, i);
            qpacket_put_touch(&b, t.session_id, t.timeout_ms);
        }
        must(slice_eq(buf_slice(&b), p->data));
        buf_fini(&b);
    }
    struct learner_request req;
    if (qpacket_get(p->data, &record_learner_request, &req, &rest) == ERR_OK) {
        must(rest.n == p->data.n - 16);
    }
    if (qpacket_get_signature(p->data) == ERR_OK) {
        must(p->data.n >= QPACKET_SIGNATURE_LEN);
    }
}

static void write_again(const struct qpacket *p, struct slice from)
{
    struct buf b = {0};
    if (p->authinfo.n >= 0) {
        jute_put_record(&b, &record_qpacket, p);
    } else {
        qpacket_put(&b, (enum qpacket_type)p->type, p->zxid, p->data);
    }
    // A negative count is read as none, and written as none.
    bool none = p->authinfo.n == 0;
    must(b.n == from.n);
    must(memcmp(b.p, from.p, from.n - (none ? QPACKET_TAIL_LEN : 0)) == 0);
    buf_fini(&b);
}

// Returns where it stopped and why; `step` bytes more at a time.
static enum err read_stream(struct slice s, size_t step, bool look, size_t *stopped,
                            size_t *packets)
{
    struct qpacket_reader r;
    struct arena a = {0};
    enum err e = ERR_CUT;
    size_t have = 0;
    *stopped = *packets = 0;
    qpacket_reader_init(&r, BYTES_MAX);
    while (e == ERR_CUT && have < s.n) {
        have = s.n - have < step ? s.n : have + step;
        do {
            struct qpacket p;
            size_t used;
            struct slice window = slice_of(s.p + *stopped, have - *stopped);
            e = qpacket_next(&r, window, &a, &p, &used);
            must(e != ERR_CUT || r.need > window.n);
            must(e != ERR_OK || used >= QPACKET_LEN_MIN);
            must(e == ERR_OK || used == 0);
            if (e == ERR_OK && look) {
                read_payload(&p);
                write_again(&p, slice_head(window, used));
            }
            *packets += e == ERR_OK;
            *stopped += used;
            arena_reset(&a);
        } while (e == ERR_OK);
    }
    must(e == ERR_CUT || e == ERR_LIMIT);
    must(e != ERR_LIMIT || r.why);
    arena_fini(&a);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    struct slice s = slice_of(data + 1, size - 1);
    size_t whole, pieces, n_whole, n_pieces;
    enum err e = read_stream(s, s.n, true, &whole, &n_whole);
    enum err again = read_stream(s, 1 + (size_t)data[0] % 64, false, &pieces, &n_pieces);
    must(e == again);
    must(whole == pieces);
    must(n_whole == n_pieces);
    return 0;
}
