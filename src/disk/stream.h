// SPDX-License-Identifier: Apache-2.0
//
// struct stream: the body of a snapshot file, part by part, as it goes on the wire: without file
// header, seals and the sections behind them. disk/sync.h, disk_stream_begin; disk-format.md 6.
//
// Where the body ends is found by reading it item by item. That costs less than the network does,
// is right for every writer's tail, and brings the checksums: the last part is handed out only when
// the seals were right, so what is damaged never looks complete to the learner. The file stays open
// between parts: a purge does no harm.
//
// On a lane, except for init and fini.
#pragma once

#include "disk/plain.h"
#include "disk/snapfile.h"

struct stream {
    struct env *env;
    const char *dir;
    int64_t zxid;
    struct plain in;
    struct snapfile_parser parser;
    bool open;
    size_t used;     // of the plain bytes in front, by the part that is out
    struct buf last; // the last part
    struct slice bytes;
    bool end, failed;
};

void stream_init(struct stream *s, struct env *env, const char *dir, int64_t zxid);
// Makes the next part: bytes, end, failed. Good until the next call.
void stream_read(struct stream *s);
void stream_close(struct stream *s);
void stream_fini(struct stream *s); // closed
