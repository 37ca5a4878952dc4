// SPDX-License-Identifier: Apache-2.0
//
// How the offline commands write things, as text and as JSON, into a struct buf: numbers, times,
// bytes that may be anything, ACL lists.
#pragma once

#include "base/buf.h"
#include "wire/records.h"

// "2026-11-21T07:28:27.123Z"
void offline_time(struct buf *b, int64_t wall_ms);
// "12", "3.4K", "1.2M"
void offline_size(struct buf *b, uint64_t bytes);

// Bytes as they are where they can be seen; others as \n, \t, \\ or \xNN.
void offline_escaped(struct buf *b, struct slice s);
void offline_base64(struct buf *b, struct slice s);
// "world:anyone:cdrwa,..."
void offline_acl(struct buf *b, const struct acl_vec *v);

// A JSON string with its quotes. What is no UTF-8 is escaped as by offline_escaped().
void offline_json(struct buf *b, struct slice s);
// "data":"...","encoding":"utf-8" (or base64, or null)
void offline_json_data(struct buf *b, struct slice s);
// [{"scheme":"world","id":"anyone","perms":"cdrwa"}, ...]
void offline_json_acl(struct buf *b, const struct acl_vec *v);
