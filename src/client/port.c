// SPDX-License-Identifier: Apache-2.0
//
// Receive and send buffer of a connection. See port.h.
#include "client/port.h"

#include "base/must.h"

bool port_in_init(struct port_in *in, const struct reeve_allocator *a)
{
    *in = (struct port_in){.allocator = *a, .p = alloc_get(a, NULL, PORT_IN_BYTES + 1)};
    return in->p != NULL;
}

void port_in_fini(struct port_in *in)
{
    port_in_reset(in);
    alloc_put(&in->allocator, in->p);
    in->p = NULL;
}

static void drop_large(struct port_in *in)
{
    alloc_put(&in->allocator, in->large);
    in->large = NULL;
    in->large_n = in->large_end = 0;
}

void port_in_reset(struct port_in *in)
{
    drop_large(in);
    in->start = in->end = in->skip = in->held = 0;
}

uint8_t *port_in_space(struct port_in *in, size_t *n)
{
    must(!in->held);
    if (in->large) {
        *n = in->large_n - in->large_end;
        return in->large + in->large_end;
    }
    if (in->start == in->end) {
        in->start = in->end = 0;
    } else if (in->start && PORT_IN_BYTES - in->end < PORT_IN_BYTES / 2) {
        memmove(in->p, in->p + in->start, in->end - in->start);
        in->end -= in->start;
        in->start = 0;
    }
    *n = PORT_IN_BYTES - in->end;
    return in->p + in->end;
}

void port_in_received(struct port_in *in, size_t n)
{
    if (in->large) {
        must(n <= in->large_n - in->large_end);
        in->large_end += n;
        return;
    }
    must(n <= PORT_IN_BYTES - in->end);
    in->end += n;
    size_t drop = in->skip < n ? in->skip : n;
    if (in->skip) {
        must(in->start + n == in->end); // while bytes are skipped there is nothing else
        in->start += drop;
        in->skip -= drop;
    }
}

struct slice port_in_bytes(const struct port_in *in)
{
    if (in->large) {
        return slice_of(in->large, in->large_end);
    }
    return slice_of(in->p + in->start, in->end - in->start);
}

bool port_in_expect(struct port_in *in, size_t n)
{
    must(!in->held);
    if (in->large || n <= PORT_IN_BYTES) {
        return true;
    }
    struct slice have = port_in_bytes(in);
    must(have.n < n);
    uint8_t *p = alloc_get(&in->allocator, NULL, n + 1);
    if (!p) {
        return false;
    }
    memcpy(p, have.p, have.n);
    in->large = p;
    in->large_n = n;
    in->large_end = have.n;
    in->start = in->end = 0;
    return true;
}

void port_in_skip(struct port_in *in, size_t n)
{
    must(!in->held);
    must(!in->large);
    size_t have = in->end - in->start;
    size_t drop = have < n ? have : n;
    in->start += drop;
    in->skip = n - drop;
}

uint8_t *port_in_hold(struct port_in *in, size_t n)
{
    must(!in->held);
    must(n <= port_in_bytes(in).n);
    uint8_t *p = in->large ? in->large : in->p + in->start;
    in->held = n;
    in->behind = p[n];
    return p;
}

void port_in_release(struct port_in *in)
{
    if (!in->held) {
        return;
    }
    if (in->large) {
        drop_large(in);
    } else {
        in->start += in->held;
        in->p[in->start] = in->behind;
    }
    in->held = 0;
}

bool port_out_init(struct port_out *out, const struct reeve_allocator *a)
{
    *out = (struct port_out){.allocator = *a, .p = alloc_get(a, NULL, PORT_OUT_BYTES)};
    return out->p != NULL;
}

void port_out_fini(struct port_out *out)
{
    alloc_put(&out->allocator, out->p);
    out->p = NULL;
}

void port_out_reset(struct port_out *out)
{
    out->start = out->end = 0;
    out->direct = SLICE_NULL;
    out->put = out->gone = 0;
}

bool port_out_fits(struct port_out *out, size_t n)
{
    if (n <= PORT_OUT_BYTES && PORT_OUT_BYTES - out->end < n && out->start >= PORT_OUT_BYTES / 2) {
        memmove(out->p, out->p + out->start, out->end - out->start);
        out->end -= out->start;
        out->start = 0;
    }
    return !out->direct.n && (n > PORT_OUT_BYTES || n <= PORT_OUT_BYTES - out->end);
}

bool port_out_put(struct port_out *out, struct slice frame)
{
    if (!port_out_fits(out, frame.n)) {
        return false;
    }
    if (frame.n > PORT_OUT_BYTES) {
        out->direct = frame;
    } else {
        memcpy(out->p + out->end, frame.p, frame.n);
        out->end += frame.n;
    }
    out->put += frame.n;
    return true;
}

struct slice port_out_bytes(const struct port_out *out)
{
    if (out->start < out->end) {
        return slice_of(out->p + out->start, out->end - out->start);
    }
    return out->direct;
}

void port_out_sent(struct port_out *out, size_t n)
{
    must(n <= port_out_bytes(out).n);
    out->gone += n;
    if (out->start < out->end) {
        out->start += n;
        if (out->start == out->end) {
            out->start = out->end = 0;
        }
    } else {
        out->direct = out->direct.n == n ? SLICE_NULL : slice_skip(out->direct, n);
    }
}
