// SPDX-License-Identifier: Apache-2.0
//
// What a subscription needs of a registry.
#pragma once

#include "reeve/dubbo.h"

struct reeve *dubbo_zk(const struct reeve_dubbo *d);
// <root>/<service, encoded>/<category>, or NULL: no memory.
char *dubbo_category_path(const struct reeve_dubbo *d, const char *service, const char *category);
