// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as any record (the first byte picks which), and as a path.
#include "base/must.h"
#include "wire/jute.h"
#include "wire/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct record_type *const all_records[] = {
#define RECORD(name, ...) &record_##name,
#include "wire/records.def"
#undef RECORD
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const struct record_type *type =
        all_records[data[0] % (sizeof(all_records) / sizeof(all_records[0]))];
    struct arena a = {0};
    struct jute_in in = jute_in(slice_of(data + 1, size - 1), 4096);
    void *rec = arena_zalloc(&a, type->size);
    jute_get_record(&in, type, rec, &a);
    if (!in.err) {
        struct buf once = {0}, text = {0};
        jute_put_record(&once, type, rec);
        jute_fmt_record(&text, type, rec);
        struct jute_in again = jute_in(buf_slice(&once), 4096);
        jute_get_record(&again, type, rec, &a);
        must(!again.err);
        must(jute_left(&again) == 0);
        buf_fini(&once);
        buf_fini(&text);
    }
    struct slice path = slice_of(data + 1, size - 1);
    if (path_is_valid(path)) {
        must(path.p[0] == '/');
        must(!path_has_nul(path));
    }
    arena_fini(&a);
    return 0;
}
