// SPDX-License-Identifier: Apache-2.0
//
// Compression of snapshot files, disk-format.md 6.1: one gzip stream, or snappy blocks in xerial's
// framing. Streams: bytes in, bytes out, no file calls. Used on a lane or before the loop.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "disk/disk.h"

struct pack; // compresses

struct pack *pack_new(enum disk_compression kind);
void pack_free(struct pack **p);
// Appends compressed bytes to `out`; last: also whatever ends the stream.
must_check enum err pack_put(struct pack *p, struct slice in, bool last, struct buf *out);

struct unpack; // the other way

struct unpack *unpack_new(enum disk_compression kind);
void unpack_free(struct unpack **u);
// Uses up to all of `in` and appends plain bytes to `out`, at most about a megabyte per call (call
// again with the rest). Nothing used and nothing appended: give more. ERR_CORRUPT: no such stream.
must_check enum err unpack_put(struct unpack *u, struct slice in, size_t *used, struct buf *out);
// May the stream end here?
bool unpack_complete(const struct unpack *u);
