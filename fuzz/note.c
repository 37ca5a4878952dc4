// SPDX-License-Identifier: Apache-2.0
//
// Any bytes from the election port: as an initial message, as frames of notifications, and what is
// in them as the text of a membership. The first byte picks where to begin. What reads well must
// come back the same when it is written and read again.
#include "wire/note.h"
#include "base/must.h"
#include "wire/members.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_members(struct slice text)
{
    struct members *m, *again;
    if (members_parse(text, &m)) {
        return;
    }
    struct buf once = {0}, twice = {0};
    members_fmt(&once, m, MEMBERS_WIRE);
    must(members_parse(buf_slice(&once), &again) == ERR_OK);
    members_fmt(&twice, again, MEMBERS_WIRE);
    must(slice_eq(buf_slice(&once), buf_slice(&twice)));
    must(members_is_quorum(m, UINT64_MAX >> (64 - m->voters_n)) || m->hierarchical);
    must(!members_is_quorum(m, 0));
    members_free(&m);
    members_free(&again);
    buf_fini(&once);
    buf_fini(&twice);
}

static void read_note(struct slice body)
{
    struct note n, back;
    if (note_decode(body, &n)) {
        return;
    }
    struct buf b = {0};
    note_fmt(&b, &n);
    buf_clear(&b);
    if (n.config.p) {
        read_members(n.config);
    }
    if (n.config.p && n.state != NOTE_STATE_UNKNOWN) {
        note_encode(&b, &n);
        must(note_decode(buf_slice(&b), &back) == ERR_OK);
        must(back.state == n.state && back.leader == n.leader && back.zxid == n.zxid);
        must(back.election_epoch == n.election_epoch && back.peer_epoch == n.peer_epoch);
        must(slice_eq(back.config, n.config));
    }
    buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct slice s = slice_of(data + 1, size - 1);
    if (data[0] % 3 == 0) {
        struct note_hello h;
        if (note_hello_decode(s, &h)) {
            return 0;
        }
        must(h.bytes <= s.n);
        must(h.addrs_n <= NOTE_ADDRS_MAX);
        s = slice_skip(s, h.bytes);
    } else if (data[0] % 3 == 1) {
        read_members(s);
        return 0;
    }
    struct slice body;
    size_t bytes;
    while (note_frame(s, &body, &bytes) == ERR_OK) {
        must(bytes <= s.n);
        read_note(body);
        s = slice_skip(s, bytes);
    }
    return 0;
}
