// SPDX-License-Identifier: Apache-2.0
//
// The bytes of the quorum port: QuorumPackets, one record after the other without a frame around
// them, in both directions between the leader and a learner.
//
//   type int, zxid long, data buffer, authinfo vector of (scheme, id)
//
// Reading: a reader measures the packet at the front of the stream as its bytes come in, looks at
// every length once, and refuses an impossible one before the bytes behind it are waited for.
// Writing: straight into a struct buf; a packet without authinfo, and only a REQUEST has it, costs
// one reservation and a copy of its data. What is inside `data` is a row of records.def (the
// table below says which), read with qpacket_get() and written with qpacket_put_record().
//
//   | type                       | data                                             |
//   | -------------------------- | ------------------------------------------------ |
//   | REQUEST                    | learner_request, then the client's record        |
//   | PROPOSAL, INFORM           | a transaction (wire/txn.h)                       |
//   | PING                       | null; the answer: session_touch ..., may be none |
//   | REVALIDATE                 | session_touch; the answer: revalidate_answer     |
//   | COMMITANDACTIVATE          | activation                                       |
//   | INFORMANDACTIVATE          | activation, then a transaction                   |
//   | NEWLEADER                  | text of a membership (wire/members.h), or null   |
//   | FOLLOWERINFO, OBSERVERINFO | learner_info, also its shorter older forms       |
//   | LEADERINFO, ACKEPOCH       | leader_info, ack_epoch                           |
//   | all others                 | null                                             |
//
// What a peer sent wrong is an error to drop its connection for. An unknown type is none: Apache
// ignores such a packet.
#pragma once

#include "wire/jute.h"

enum qpacket_type {
#define QPACKET(name, code, body) QPACKET_##name = (code),
#include "wire/qpacket.def"
#undef QPACKET
};

enum {
    QPACKET_HEAD_LEN = 16, // type, zxid, length of data
    QPACKET_TAIL_LEN = 4,  // no authinfo
    QPACKET_LEN_MIN = QPACKET_HEAD_LEN + QPACKET_TAIL_LEN,
    QPACKET_TOUCH_LEN = 12,       // one session_touch
    QPACKET_VALID_LEN = 9,        // one revalidate_answer
    QPACKET_REQUEST_LEN_MIN = 16, // learner_request
    QPACKET_PROTOCOL = 0x10000,   // Zab 1.0, in learner_info and leader_info
    QPACKET_PROTOCOL_OLD = 1,     // of a learner that says none: before 3.4
    QPACKET_SID_NONE = -1         // of a learner that says none
};

// ---- reading ------------------------------------------------------------------------------------

struct qpacket_reader {
    size_t bytes_max;  // longest data, and all of authinfo (jute.maxbuffer + extra)
    size_t at;         // bytes of the packet in hand that are measured
    size_t need;       // with fewer bytes than this there is no packet
    size_t ids_at;     // where the elements of authinfo begin; 0: not there yet
    uint32_t ids_left; // strings of them not yet measured
    const char *why;   // after an error
};

void qpacket_reader_init(struct qpacket_reader *r, size_t bytes_max);
// The packet at the front of `window`, which begins with the bytes no packet has used so far. On
// ERR_OK it is *used bytes long; its slices point into the window, its ids lie in `a`. ERR_CUT:
// come back with the same bytes and more behind them, at least reader->need in all. ERR_LIMIT: a
// length nobody may send.
must_check enum err qpacket_next(struct qpacket_reader *r, struct slice window, struct arena *a,
                                 struct qpacket *p, size_t *used);

// A record of fixed size at the front of data; what is behind it goes to *rest, which may be NULL.
// ERR_CUT: null or too short.
must_check enum err qpacket_get(struct slice data, const struct record_type *type, void *rec,
                                struct slice *rest);
// All forms learners ever sent: null, 8, 12, 20 bytes. What is not said is QPACKET_SID_NONE,
// QPACKET_PROTOCOL_OLD, configuration 0. Java's LearnerHandler.run.
must_check enum err qpacket_get_learner_info(struct slice data, struct learner_info *info);
// How many sessions an answered PING touches. ERR_MALFORMED: null, or half a session.
must_check enum err qpacket_get_touches(struct slice data, size_t *n);
struct session_touch qpacket_touch(struct slice data, size_t i); // i below that number

// ---- writing ------------------------------------------------------------------------------------

// Whole packets. data.n is within the peers' limit: a longer one would cut off every one of them.
void qpacket_put(struct buf *b, enum qpacket_type type, int64_t zxid, struct slice data);
// data is `rec`, then `rest` (SLICE_NULL: nothing).
void qpacket_put_record(struct buf *b, enum qpacket_type type, int64_t zxid,
                        const struct record_type *record, const void *rec, struct slice rest);
void qpacket_put_request(struct buf *b, const struct learner_request *req, struct slice body,
                         const struct id_vec *authinfo);

// The same in pieces, for a sender that does not copy data_n bytes of a blob: head, data, tail.
void qpacket_put_head(struct buf *b, enum qpacket_type type, int64_t zxid, size_t data_n);
void qpacket_put_tail(struct buf *b);

// One more session for the answer to a PING. The data of that answer is never null.
void qpacket_put_touch(struct buf *data, int64_t session_id, int32_t timeout_ms);

// ---- the end of a snapshot on the stream --------------------------------------------------------

// Behind SNAP comes the body of a snapshot, not a packet, and this jute string behind it.
#define QPACKET_SIGNATURE "BenWasHere"
enum { QPACKET_SIGNATURE_LEN = 4 + sizeof(QPACKET_SIGNATURE) - 1 };
void qpacket_put_signature(struct buf *b);
// At the front of s. ERR_CUT: more bytes are needed. ERR_MALFORMED: it is something else.
must_check enum err qpacket_get_signature(struct slice s);

// ---- text ---------------------------------------------------------------------------------------

const char *qpacket_name(int32_t type); // "PROPOSAL"; "UNKNOWN"
// One line for logs and traces. Of authinfo only the number: the ids may be worth something.
void qpacket_fmt(struct buf *b, const struct qpacket *p);
