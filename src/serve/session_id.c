// SPDX-License-Identifier: Apache-2.0
#include "serve/session_id.h"

// ephemeralOwner of a container node; no session may have it.
#define CONTAINER_OWNER INT64_MIN

void session_ids_init(struct session_ids *s, int32_t server_id, struct wall now)
{
    uint64_t high = (uint64_t)(server_id ? server_id : 1) << 56;
    s->next = (int64_t)((((uint64_t)now.ms << 24) >> 8) | high);
}

int64_t session_ids_next(struct session_ids *s)
{
    if (s->next == CONTAINER_OWNER) {
        s->next++;
    }
    int64_t id = s->next;
    s->next = (int64_t)((uint64_t)id + 1);
    return id;
}

void session_password(int64_t session, uint8_t out[SESSION_PASSWORD_LEN])
{
    const uint64_t mask = (1ull << 48) - 1;
    uint64_t seed = ((uint64_t)session ^ 0xB3415C00u ^ 0x5DEECE66Du) & mask;
    for (int i = 0; i < 4; i++) {
        seed = (seed * 0x5DEECE66Du + 0xB) & mask;
        uint32_t w = (uint32_t)(seed >> 16);
        memcpy(out + (size_t)i * 4, &w, 4); // little endian, as the protocol wants it
    }
}

bool session_password_is(int64_t session, struct slice passwd)
{
    uint8_t want[SESSION_PASSWORD_LEN];
    session_password(session, want);
    return session != 0 && passwd.n == sizeof(want) && memcmp(want, passwd.p, sizeof(want)) == 0;
}
