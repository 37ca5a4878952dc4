// SPDX-License-Identifier: Apache-2.0
//
// What checkers see of a server's role.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct host;

struct view {
    bool serving; // what its tree shows is committed
    bool leading;
    int64_t epoch;
};

struct view view_of(const struct host *h);
