// SPDX-License-Identifier: Apache-2.0
//
// The two ends of a connection as bytes: struct port_in, what has come, cut into frames; struct
// port_out, what is to go.
//
// port_in: a buffer of fixed size for all but large frames, which get memory of their own for as
// long as they live; so the buffer is small again after a large one, and giving memory back cannot
// fail. What is too large, or finds no memory, is skipped: its bytes pass through without being
// kept. One frame at a time is held: it stays where it is until it is released, with one writable
// byte behind it.
//
// port_out: a buffer of fixed size; a frame larger than it is sent from where it lies (direct), and
// nothing is put behind it until it is gone. Nothing is allocated while sending.
#pragma once

#include "base/slice.h"
#include "client/alloc.h"

enum {
    PORT_IN_BYTES = 64 * 1024,
    PORT_OUT_BYTES = 64 * 1024,
    PORT_LENGTH_BYTES = 4 // before each frame
};

struct port_in {
    struct reeve_allocator allocator;
    uint8_t *p; // PORT_IN_BYTES and one byte
    size_t start, end;
    uint8_t *large; // one frame with its length, and one byte; NULL: none
    size_t large_n, large_end;
    size_t skip; // bytes still to come that nobody wants
    size_t held; // bytes of the frame at the start that are lent, with its length
    uint8_t behind;
};

bool port_in_init(struct port_in *in, const struct reeve_allocator *a); // false: no memory
void port_in_fini(struct port_in *in);
void port_in_reset(struct port_in *in);
// Where the next bytes go. n 0: it is full of frames that nobody has taken yet.
uint8_t *port_in_space(struct port_in *in, size_t *n);
void port_in_received(struct port_in *in, size_t n);
// What has come and is not taken yet: the frame at the start, perhaps a part of it, perhaps more.
struct slice port_in_bytes(const struct port_in *in);
// The frame at the start will have n bytes with its length. False: there is no memory for it.
bool port_in_expect(struct port_in *in, size_t n);
// The frame at the start, n bytes with its length, passes by unkept.
void port_in_skip(struct port_in *in, size_t n);
// The whole frame at the start, n bytes with its length; valid and writable until the release.
uint8_t *port_in_hold(struct port_in *in, size_t n);
void port_in_release(struct port_in *in); // nothing held: nothing happens

struct port_out {
    struct reeve_allocator allocator;
    uint8_t *p;
    size_t start, end;
    struct slice direct; // goes behind the buffer
    uint64_t put, gone;  // bytes of this connection, all in all
};

bool port_out_init(struct port_out *out, const struct reeve_allocator *a);
void port_out_fini(struct port_out *out);
void port_out_reset(struct port_out *out);
// Puts a frame in: copied, or, if it is larger than the whole buffer, kept as direct until it has
// gone. False: not now, and port_out_fits() would have said so.
bool port_out_fits(struct port_out *out, size_t n);
bool port_out_put(struct port_out *out, struct slice frame);
struct slice port_out_bytes(const struct port_out *out);
void port_out_sent(struct port_out *out, size_t n);
static inline bool port_out_is_empty(const struct port_out *out)
{
    return out->put == out->gone;
}
