// SPDX-License-Identifier: Apache-2.0
#include "wire/multi.h"

#include "wire/ops.h"

bool multi_next(struct jute_in *in, struct arena *a, int32_t *op)
{
    struct multi_header h = {0};
    jute_get_record(in, &record_multi_header, &h, NULL);
    if (in->err || h.done) {
        return false;
    }
    const struct op_info *info = op_find(h.type);
    if (!info || info->request->fields_n == 0) {
        jute_fail(in, ERR_UNSUPPORTED);
        return false;
    }
    void *skipped = arena_alloc(a, info->request->size);
    jute_get_record(in, info->request, skipped, a);
    *op = h.type;
    return !in->err;
}
