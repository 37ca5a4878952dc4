// SPDX-License-Identifier: Apache-2.0
//
// What participants and observers of an election share: the names of the nodes, by layout.
#pragma once

#include "reeve/election.h"

extern const char *const election_markers[3];
