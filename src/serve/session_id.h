// SPDX-License-Identifier: Apache-2.0
//
// Session ids and their passwords. client-protocol.md 5.1, 1.8; Java: SessionTrackerImpl
// .initializeNextSessionId, ZooKeeperServer.generatePasswd.
#pragma once

#include "base/mtime.h"
#include "base/slice.h"

enum { SESSION_PASSWORD_LEN = 16 };

struct session_ids {
    int64_t next;
};

// The first id of a run follows from the wall clock and the server's id, so that runs do not share
// ids.
void session_ids_init(struct session_ids *s, int32_t server_id, struct wall now);
int64_t session_ids_next(struct session_ids *s);

// The password of an id: no secret, but the same on every server of an ensemble, which must accept
// each other's.
void session_password(int64_t session, uint8_t out[SESSION_PASSWORD_LEN]);
bool session_password_is(int64_t session, struct slice passwd);
