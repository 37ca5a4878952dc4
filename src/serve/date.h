// SPDX-License-Identifier: Apache-2.0
//
// Wall time as text, in UTC: the cores have no time zone.
#pragma once

#include "base/buf.h"
#include "base/mtime.h"

// As java.util.Date prints it: "Fri Nov 20 22:13:04 UTC 2026".
void date_fmt(struct wall t, struct buf *b);
