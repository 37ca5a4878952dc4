// SPDX-License-Identifier: Apache-2.0
//
// Where the driver of an engine moves bytes and says what became of links. Nothing is decided here:
// what comes is noted, and engine_next() looks at it. See engine.h.
#include <stdio.h>

#include "base/must.h"
#include "client/engine_parts.h"

static struct link *link_of(struct engine *e, uint32_t link)
{
    must(link < ENGINE_LINKS_MAX);
    e->dirty = true;
    return &e->links[link];
}

void engine_on_dialed(struct engine *e, uint32_t link)
{
    struct link *l = link_of(e, link);
    l->connected = l->use == LINK_DIAL || l->use == LINK_PROBE_DIAL;
}

void engine_on_gone(struct engine *e, uint32_t link, const char *why)
{
    struct link *l = link_of(e, link);
    if (l->use == LINK_CUT) {
        l->use = LINK_FREE; // it need not be told any more
    } else if (l->use != LINK_FREE) {
        l->gone = true;
        l->connected = false;
        snprintf(l->why, sizeof(l->why), "%s", why);
    }
}

uint8_t *engine_recv_space(struct engine *e, uint32_t link, size_t *n)
{
    must(link < ENGINE_LINKS_MAX);
    if ((int)link == e->main) {
        port_in_release(&e->in);
        return port_in_space(&e->in, n);
    }
    // Of the others only a probe has something to say, and only its first bytes count.
    bool probe = (int)link == e->probe && e->probe_got < ENGINE_PROBE_BYTES - 1;
    *n = probe ? ENGINE_PROBE_BYTES - e->probe_got : 1;
    return (uint8_t *)e->probe_text + (probe ? e->probe_got : ENGINE_PROBE_BYTES - 1);
}

void engine_received(struct engine *e, uint32_t link, size_t n)
{
    (void)link_of(e, link);
    if ((int)link == e->main) {
        port_in_received(&e->in, n);
        e->beat.heard = e->now;
    } else if ((int)link == e->probe && e->probe_got < ENGINE_PROBE_BYTES - 1) {
        e->probe_got += (unsigned)n;
    }
}

struct slice engine_output(struct engine *e, uint32_t link)
{
    static const char word[] = "isro";
    must(link < ENGINE_LINKS_MAX);
    if ((int)link == e->main) {
        if (e->links[link].use == LINK_SESSION) {
            calls_fill(e);
        }
        return port_out_bytes(&e->out);
    }
    if ((int)link == e->probe && e->links[link].use == LINK_PROBE) {
        return slice_of(word + e->probe_sent, sizeof(word) - 1 - e->probe_sent);
    }
    return SLICE_NULL;
}

void engine_sent(struct engine *e, uint32_t link, size_t n)
{
    if ((int)link == e->main) {
        port_out_sent(&e->out, n);
        e->dirty = e->dirty || e->leaving || e->closing; // they wait for the last byte to go
    } else if ((int)link == e->probe) {
        e->probe_sent += (unsigned)n;
    }
}
