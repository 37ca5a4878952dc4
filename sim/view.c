// SPDX-License-Identifier: Apache-2.0
#include "sim/view.h"

#include "sim/host.h"

struct view view_of(const struct host *h)
{
    return (struct view){h->node != NULL, h->node != NULL, 0};
}
