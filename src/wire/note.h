// SPDX-License-Identifier: Apache-2.0
//
// The bytes of the election port: the initial message a dialer sends once, the frames behind it,
// and the notification, which is the only message in them.
//
// Written is always the newest form of a notification (version 2) and what 3.5 understands of the
// initial message (V1) unless the caller wants V2. Read are all forms Apache's servers ever sent.
// What a peer sent wrong is an error to act on (drop the message, or the connection), never more.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

enum {
    NOTE_FRAME_MAX = 512 * 1024,     // longer: the connection is dropped
    NOTE_HELLO_ADDRESSES_MAX = 2048, // text of an initial message
    NOTE_HELLO_MAX = 20 + NOTE_HELLO_ADDRESSES_MAX,
    NOTE_ADDRS_MAX = 16, // addresses used of an initial message
    NOTE_VERSION = 2
};

// A dialer without an id of its own; the acceptor gives it one.
#define NOTE_ANONYMOUS INT64_MAX

// ---- initial message ----------------------------------------------------------------------------

struct note_addr {
    struct slice host; // without brackets
    uint16_t port;
};

struct note_hello {
    int64_t sid;
    struct note_addr addrs[NOTE_ADDRS_MAX]; // wildcards are left out; may be empty
    size_t addrs_n;
    size_t bytes; // length of the message
};

// ERR_CUT: more bytes are needed; any other error: drop the connection. Slices point into s.
must_check enum err note_hello_decode(struct slice s, struct note_hello *h);
// addresses: "host:port", of V2 several joined by '|', IPv6 hosts in brackets; 1 to
// NOTE_HELLO_ADDRESSES_MAX bytes. The message must leave in one piece: Java reads it in one.
void note_hello_encode(struct buf *b, int64_t sid, bool v2, struct slice addresses);

// ---- frames -------------------------------------------------------------------------------------

// The frame at the start of s: its length with the four bytes before it in *bytes, what is inside
// in *body. ERR_CUT: more is needed; ERR_LIMIT: drop the connection.
must_check enum err note_frame(struct slice s, struct slice *body, size_t *bytes);

// ---- notification -------------------------------------------------------------------------------

enum note_state {
    NOTE_LOOKING = 0,
    NOTE_FOLLOWING = 1,
    NOTE_LEADING = 2,
    NOTE_OBSERVING = 3,
    NOTE_STATE_UNKNOWN // any other number
};

struct note {
    enum note_state state; // of the sender
    int64_t leader;        // the vote: sid, its last zxid, the round, its epoch
    int64_t zxid;
    int64_t election_epoch;
    int64_t peer_epoch;
    int32_t version;
    struct slice config; // the sender's committed membership as text; null before version 2
};

// Any error: drop the message, keep the connection. An unknown state is not one (note.state). The
// config points into s and is not looked at.
must_check enum err note_decode(struct slice s, struct note *n);
// As version 2, whatever n->version says, without the frame's length. config: not null.
void note_encode(struct buf *b, const struct note *n);
// One line for logs and traces.
void note_fmt(struct buf *b, const struct note *n);
const char *note_state_name(enum note_state s); // as Apache prints it
