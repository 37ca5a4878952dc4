// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a transaction: decoding never reads beyond them, and what decodes encodes to bytes
// that decode to the same text again.
#include "wire/txn.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = {0};
    struct txn t;
    if (txn_decode(slice_of(data, size), 1 << 20, &a, &t) == ERR_OK) {
        struct buf once = {0}, twice = {0}, text = {0}, text_again = {0};
        struct txn again;
        txn_encode(&once, &t);
        txn_fmt(&text, &t);
        // A digest behind a body that is absent may be read as that body: Apache's ambiguity.
        bool ambiguous = t.hdr.type == OP_CLOSE_SESSION && t.body.close_session.paths.n < 0;
        if (!ambiguous) {
            must(txn_decode(buf_slice(&once), 1 << 20, &a, &again) == ERR_OK);
            txn_encode(&twice, &again);
            txn_fmt(&text_again, &again);
            must(slice_eq(buf_slice(&once), buf_slice(&twice)));
            must(slice_eq(buf_slice(&text), buf_slice(&text_again)));
        }
        buf_fini(&once);
        buf_fini(&twice);
        buf_fini(&text);
        buf_fini(&text_again);
    }
    arena_fini(&a);
    return 0;
}
