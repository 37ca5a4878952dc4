// SPDX-License-Identifier: Apache-2.0
#include "sim/view.h"

#include "node/node_internal.h"
#include "sim/host.h"

struct view view_of(const struct host *h)
{
    const struct node *n = h->node;
    struct disk_epochs e = {0};
    if (n->ens) {
        disk_get_epochs(n->disk, &e);
    }
    return (struct view){n->serving, n->serving && n->run == RUN_LEADING, e.current};
}
