// SPDX-License-Identifier: Apache-2.0
//
// The actions a role's step gathers, and the references they point to until the next step.
#pragma once

#include "zab/zab_role.h"

struct acts {
    struct role_action *v;
    size_t n, cap;
    struct blob **held;
    size_t held_n, held_cap;
};

void acts_fini(struct acts *a);
void acts_clear(struct acts *a);                  // a step begins
void acts_hold(struct acts *a, struct blob *txn); // takes over one reference
void acts_add(struct acts *a, struct role_action action);
void acts_send(struct acts *a, int64_t sid, enum qpacket_type type, int64_t zxid);
void acts_send_txn(struct acts *a, int64_t sid, enum qpacket_type type, const struct zab_entry *e);
