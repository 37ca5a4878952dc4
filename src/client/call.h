// SPDX-License-Identifier: Apache-2.0
//
// struct call: one request on its way: encoded when it is submitted, in one piece of memory with
// all that its answer will need, so that nothing can fail later for want of memory.
//
// Life: call_new() by the submitting thread -> engine_submit() -> queued -> sent (perhaps several
// times: a read after a lost connection) -> ENGINE_DONE -> call_free() after the callback. Whoever
// holds it owns it; the engine's lists go through `next`.
#pragma once

#include "base/mtime.h"
#include "base/slice.h"
#include "client/alloc.h"
#include "client/watchers.h"

struct call_part { // of a multi
    enum reeve_op op;
    const char *path;
};

struct call {
    struct call *next;
    enum reeve_op op;
    int32_t opcode;
    bool write;   // fails when a connection is lost; reads are asked again
    bool silent;  // the engine's own, nobody is told
    uint8_t sent; // how often
    int32_t xid;  // of the present connection
    int32_t timeout_ms;
    struct mono submitted;
    // The engine's own notes, zero from call_new().
    struct mono sent_at;     // when its bytes went into the send buffer
    uint64_t sent_end;       // where its frame ends in the connection's stream
    enum reeve_error failed; // without an answer: what it will be told
    bool maybe_done;
    const char *path;         // as given; "" if none; GET_CONFIG: that node's
    struct slice server_path; // the same with the chroot, a NUL behind it; null if none
    const struct call_part *parts;
    size_t parts_n;
    struct watch *watch; // to be registered if result.watching says so; NULL: none
    enum reeve_watch_kind kind;
    reeve_done_fn *done;
    void *ctx;
    struct reeve_allocator allocator;
    uint8_t *frame; // length prefix, xid (call_set_xid), opcode, record
    size_t frame_n;
};

// Checks and encodes. chroot: "" or "/app". OK, BAD_ARGUMENTS, TOO_BIG (the frame behind its length
// is over request_max), NO_MEMORY; *c is NULL unless OK. The caller adds done, ctx and submitted.
enum reeve_error call_new(const struct reeve_allocator *a, const char *chroot, uint32_t request_max,
                          const struct reeve_request *q, struct call **c);
// What call_new() holds against request_max, of a request that it has found TOO_BIG.
size_t call_size(const char *chroot, const struct reeve_request *q);
void call_free(struct call **c);
void call_set_xid(struct call *c, int32_t xid);
