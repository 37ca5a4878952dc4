// SPDX-License-Identifier: Apache-2.0
//
// The parents of a node as persistent nodes, as Dubbo and Kafka make them; kit_ensure() makes
// containers, which the server takes away again and those programs do not expect to lose.
#pragma once

#include "recipes/kit.h"

// Makes what is missing above path. Lost connections are gone through. OK: done comes once, never
// from inside.
enum reeve_error parents_make(struct kit_object *o, const char *path, kit_done_fn *done, void *arg);
