// SPDX-License-Identifier: Apache-2.0
//
// An answer's bytes as a reeve_result. Nothing is copied: strings and data point into the frame,
// which is changed for that (a NUL behind each string), and needs one writable byte behind its end.
// Arrays are in a struct answer_room, which grows and is used again.
#pragma once

#include "client/call.h"

struct answer_room {
    struct reeve_allocator allocator;
    void *p;
    size_t cap;
};

void answer_room_fini(struct answer_room *room);

// A server's path as the client sees it, within it or "/". Outside the chroot it stays as it is.
const char *answer_below_chroot(const char *chroot, const char *path);

// The body behind the reply header with error `err` (0 or not; a multi has a body with some
// errors). Fills r from call and body, paths without the chroot; r->why stays "". Returns r->error:
// the server's, MALFORMED, or NO_MEMORY (the frame was fine). r->watching says whether c->watch is
// to be registered, whose list fits then (exists: where the server keeps it depends on the answer).
enum reeve_error answer_read(struct answer_room *room, const struct call *c, const char *chroot,
                             int32_t err, uint8_t *body, size_t n, struct reeve_result *r);
