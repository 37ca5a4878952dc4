// SPDX-License-Identifier: Apache-2.0
//
// IP addresses as ACLs write them: "a.b.c.d", eight groups or one "::" for IPv6, each optionally
// with
// "/bits". Apache's IPAuthenticationProvider of 3.9.4.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

struct ip_net {
    uint8_t ip[16];
    int len;  // 4 or 16
    int bits; // of the mask
};

bool ip_parse(struct slice text, struct ip_net *out);     // without "/bits"
bool ip_parse_net(struct slice text, struct ip_net *out); // with or without
bool ip_net_holds(const struct ip_net *net, const struct ip_net *ip);
