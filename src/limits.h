// SPDX-License-Identifier: Apache-2.0
//
// Every bound that is not a setting, each with its reason. Settings (jute.maxbuffer,
// maxClientCnxns, globalOutstandingLimit ...) live in node/config.def.
#pragma once

enum {
    // A getData of 1 MB plus headers fits; a batch of 64 pipelined 1 KB requests is one read.
    LIMIT_READ_CHUNK = 64 * 1024,
    // A connection whose peer does not read is not read from either once this much waits for it.
    LIMIT_CONN_UNSENT_PAUSE = 1024 * 1024,
    // Notifications cannot be held back by not reading. A peer that leaves this much unread is cut
    // off; its session lives on and its client re-registers what it watches.
    LIMIT_CONN_UNSENT_CLOSE = 64 * 1024 * 1024,
    // What a closed connection still has to send goes out within this, and its peer acknowledges
    // it; then it is cut off.
    LIMIT_CLOSE_MS = 5000,
    // Without descriptors for a new connection, accepting waits this long.
    LIMIT_ACCEPT_PAUSE_MS = 100,
    // Descriptors kept from connections: the log's next file, snapshots, purging, /proc.
    LIMIT_FDS_RESERVED = 32,
    // Without a leader, a client that asks for a session waits this long, in the first moments (see
    // serve_set_mode()); so many may, which is more than one server has clients as a rule.
    LIMIT_HELD_CONNECT_MS = 1000,
    LIMIT_HOLD_WINDOW_MS = 3000,
    LIMIT_HELD_CONNECTS = 16 * 1024,
    // Local sessions, which live on for their timeout when their connection has gone.
    LIMIT_LOCAL_SESSIONS = 1024 * 1024,
    // Sessions heard since a learner last told its leader. Beyond it all connected ones are told.
    LIMIT_TOUCHED = 256 * 1024,
    // Addresses tried by one dial at the same time, each with a descriptor: names of servers have
    // one or two.
    LIMIT_DIAL_ATTEMPTS = 64,
    // Names being looked up at the same time, each with a thread: every server of a large ensemble
    // with two names.
    LIMIT_LOOKUPS = 64,
    // Storage of output buffers kept for reuse: one burst over all connections.
    LIMIT_BUF_POOL_BYTES = 4 * 1024 * 1024,
    // Nesting and counts inside one request are bounded by its length: a vector element takes at
    // least this many bytes, so a count beyond length / this is refused before anything is
    // allocated.
    LIMIT_VECTOR_ELEMENT_MIN = 4,
    // Longest log record, however large jute.maxbuffer is: half of what a start accepts as one
    // string, list or record of a file (a longer length is taken for damage there).
    LIMIT_ENTRY = 64 * 1024 * 1024,
    // Entries of one ACL list: every access to its node walks it. Real lists have a handful.
    LIMIT_ACL_ENTRIES = 4096,
    // Longest configuration line and file; a real one has a hundred lines.
    LIMIT_CONFIG_LINE = 4096,
    LIMIT_CONFIG_FILE = 1024 * 1024,
    // One log write gathers at most this much, so that the first answers of a burst do not wait for
    // its last byte.
    LIMIT_LOG_BATCH = 4 * 1024 * 1024,
    // Proposals not yet durable, in bytes: beyond it no write is taken from any client. Only a
    // stuck disk gets here.
    LIMIT_LOG_BACKLOG = 64 * 1024 * 1024,
    // Requests in process, in bytes: beyond it a connection that has one waits with its next, as
    // with globalOutstandingLimit, but whatever its xids are.
    LIMIT_IN_PROCESS_BYTES = 64 * 1024 * 1024,
    // Identities of one connection: every access to a node with an ACL walks them. Real ones have
    // a handful.
    LIMIT_AUTH_BYTES = 32 * 1024,
    // The results of one multiRead: thousands of operations fit into a request, and each could
    // bring a megabyte. Those beyond are answered with an error.
    LIMIT_MULTI_READ_BYTES = 64 * 1024 * 1024,
    // Bytes of a snapshot that wait for the background writer: two pieces, so that their buffers
    // are
    // used again and again and never grow, which costs page faults. The walk stops at it (forced
    // write-outs of changing nodes may pass it, bounded by the write rate).
    LIMIT_SNAP_BACKLOG = 2 * 1024 * 1024,
    // Time one slice of a snapshot walk may take, in nodes: about a quarter of a millisecond.
    LIMIT_SNAP_SLICE_NODES = 512,
    // Packets that wait for one learner: when so much has gathered it will not take it in time. It
    // is cut off and comes back with less to catch up.
    LIMIT_PEER_BACKLOG = 256 * 1024 * 1024,
    // What of a history or snapshot is on its way to a learner before the next part is read.
    LIMIT_FEED_UNSENT = 4 * 1024 * 1024,
    // What of a leader's snapshot waits for the disk before the leader is held back.
    LIMIT_TAKE_BACKLOG = 8 * 1024 * 1024,
};
