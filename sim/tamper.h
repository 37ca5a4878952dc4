// SPDX-License-Identifier: Apache-2.0
//
// Where planted bugs act: on the bytes between server and client, and on the disk before a start.
// Without a plant these pass everything on.
#pragma once

#include "base/buf.h"
#include "sim/host.h"

// What the server sends; returns the bytes beyond the socket's buffer.
size_t tamper_send(struct world *w, uint32_t link, enum side s, struct buf *b);
// tamper_peer.c: the same between servers.
size_t tamper_peer_send(struct world *w, uint32_t link, enum side s, struct slice bytes);
void tamper_boot(struct host *h);
