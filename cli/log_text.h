// SPDX-License-Identifier: Apache-2.0
//
// One record of a transaction log as a line of text or one JSON object.
#pragma once

#include "cli/log_scan.h"

// "2026-11-21T07:28:27.123Z session 0x1 cxid 3 zxid 0x100000002 create /a 12 bytes"
// data: also what was written, and its digest. Parts of a multi stand on lines of their own below.
// With a newline at the end.
void log_text_line(struct buf *b, const struct log_item *item, bool data);
// {"zxid":"0x100000002","time":...,"op":"create","path":"/a",...} and a newline.
void log_text_json(struct buf *b, const struct log_item *item, bool data);
// "setData", "setACL", or "type 77".
void log_text_op(struct buf *b, int32_t type);
