// SPDX-License-Identifier: Apache-2.0
//
// A snapshot as text or JSON: its nodes, its sessions, what it says of itself.
#pragma once

#include "cli/snap_file.h"

// "/a bytes=3 children=0 version=0 ...": one line for one node, and its data in base64.
void snap_text_node(struct buf *b, const struct snap_walk *w, bool data);
// "session 0x1 timeout 30000 ms, 2 ephemerals" for each, by id.
void snap_text_sessions(struct buf *b, const struct snap_file *f);
// "snapshot.100: 12 nodes, 2 sessions, zxid 0x100, gzip": one line.
void snap_text_head(struct buf *b, const struct snap_file *f, const char *path);
// The node as an object; without a newline.
void snap_text_node_json(struct buf *b, const struct snap_walk *w);
void snap_text_sessions_json(struct buf *b, const struct snap_file *f); // [{...}, ...]

// By id.
struct snap_session {
    int64_t id;
    int32_t timeout_ms;
    uint64_t ephemerals;
};
struct snap_session *snap_sessions(const struct snap_file *f, size_t *n); // for mem_free
