// SPDX-License-Identifier: Apache-2.0
//
// The bytes of a snapshot file, uncompressed: pure, no file calls. disk-format.md 6.
//
//   FileHeader, sessions, ACL map, nodes, seal 1 [, digest, seal 2] [, last zxid, seal 3]
//
// A seal is the Adler-32 of everything before it. Apache's readers find the sections behind seal 1
// by their own settings; this one finds them by their sizes, which the seals confirm.
//
// Reading: feed a window, take items until MORE, feed the unused bytes again with more behind them,
// and at the end of the file finish. Nothing of a snapshot counts before finish has said ERR_OK.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "wire/jute.h"

enum { SNAPFILE_HEADER_LEN = 16, SNAPFILE_SEAL_LEN = 13 };

enum snapfile_item {
    SNAPFILE_MORE,    // give more bytes, or finish if there are none
    SNAPFILE_SESSION, // id, timeout_ms
    SNAPFILE_ACL,     // id, acl: valid until the next call
    SNAPFILE_NODE,    // path, node: point into the window
    SNAPFILE_BAD      // broken; parser.why says how
};

struct snapfile_value {
    int64_t id;
    int32_t timeout_ms;
    struct acl_vec acl;
    struct slice path;
    struct data_node node;
};

struct snapfile_info {
    bool has_digest, has_last_zxid;
    int64_t digest_zxid, last_zxid;
    uint64_t digest; // only if it is of a version we know; has_digest is false otherwise
};

enum snapfile_state {
    SNAPFILE_AT_HEADER,
    SNAPFILE_AT_SESSION_COUNT,
    SNAPFILE_AT_SESSIONS,
    SNAPFILE_AT_ACL_COUNT,
    SNAPFILE_AT_ACLS,
    SNAPFILE_AT_NODES,
    SNAPFILE_AT_SEAL,
    SNAPFILE_AT_TAIL
};

// Longer than any tail: with a text digest of an early version.
enum { SNAPFILE_TAIL_MAX = 256 };

struct snapfile_parser {
    enum snapfile_state state;
    int32_t left;                              // sessions or ACL lists still to come
    size_t bytes_max;                          // longest path or data
    uint32_t adler;                            // of everything before `summed`
    uint64_t off;                              // file offset of `cur`
    const uint8_t *begin, *summed, *cur, *end; // the window
    const char *why;
    struct arena arena; // the ACL list in hand
    uint8_t tail[SNAPFILE_TAIL_MAX];
    size_t tail_n;
};

void snapfile_init(struct snapfile_parser *p, size_t bytes_max);
void snapfile_fini(struct snapfile_parser *p);
// `window` starts with the bytes not used so far.
void snapfile_feed(struct snapfile_parser *p, struct slice window);
enum snapfile_item snapfile_next(struct snapfile_parser *p, struct snapfile_value *v);
// After MORE: how many bytes of the window are used.
size_t snapfile_used(const struct snapfile_parser *p);
// After the last byte. ERR_CUT: ends too early. ERR_CORRUPT: a seal is wrong.
must_check enum err snapfile_finish(struct snapfile_parser *p, struct snapfile_info *info);

// Writing. The caller keeps the running Adler-32 and gives it to each seal.
void snapfile_put_header(struct buf *b);
void snapfile_put_seal(struct buf *b, uint32_t adler);
void snapfile_put_digest(struct buf *b, int64_t zxid, uint64_t digest);
void snapfile_put_last_zxid(struct buf *b, int64_t zxid);

// Apache's quick test (6.6) of an uncompressed file: its last five bytes.
bool snapfile_ends_well(struct slice last5);
