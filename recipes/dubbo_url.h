// SPDX-License-Identifier: Apache-2.0
//
// Dubbo's URLs beyond the public header: encoding, and the choice among providers.
#pragma once

#include "reeve/dubbo.h"

#include "recipes/discovery_text.h"

enum { DUBBO_URL_MAX = 1 << 20 }; // bytes of a URL

// As Java's URLEncoder with UTF-8.
void url_encode(struct text *t, const char *s);
// As URLDecoder: + is a space. In place. False: a % without two digits, or a NUL.
bool url_decode(char *s);
// Dubbo's RandomLoadBalance: the index of the one that `draw`, evenly from all of 64 bits, chooses.
// n > 0.
size_t dubbo_choose(const struct reeve_dubbo_url *const *urls, size_t n, const char *method,
                    int64_t now_ms, uint64_t draw);
