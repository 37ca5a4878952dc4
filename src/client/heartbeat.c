// SPDX-License-Identifier: Apache-2.0
//
// The moments a session's life hangs on. See heartbeat.h.
#include "client/heartbeat.h"

#include "base/must.h"

void heartbeat_begin(struct heartbeat *b, int32_t timeout_ms, struct mono asked, struct mono now)
{
    must(timeout_ms > 0);
    *b = (struct heartbeat){.timeout_ms = timeout_ms, .proven = asked, .sent = now, .heard = now};
}

bool heartbeat_ping(struct heartbeat *b, struct mono now)
{
    if (b->pings_n == HEARTBEAT_PINGS_MAX) {
        return false;
    }
    b->pings[(b->pings_first + b->pings_n++) % HEARTBEAT_PINGS_MAX] = now;
    return true;
}

bool heartbeat_pong(struct heartbeat *b)
{
    if (!b->pings_n) {
        return false;
    }
    heartbeat_prove(b, b->pings[b->pings_first]);
    b->pings_first = (b->pings_first + 1) % HEARTBEAT_PINGS_MAX;
    b->pings_n--;
    return true;
}
