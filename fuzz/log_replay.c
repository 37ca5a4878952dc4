// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the log of a data directory that a server starts on. The first byte says (bit 0)
// whether they are a file as it is, or entries (two bytes of length before each) to be framed with
// right checksums. A start may refuse; if it does not, the next start finds the same tree, and the
// tree holds its invariants.
#include "base/must.h"
#include "disk/logfile.h"
#include "test/support/disk_kit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame(struct slice s, struct buf *file)
{
    logfile_put_header(file);
    while (s.n > 2) {
        size_t n = (size_t)s.p[0] << 8 | s.p[1];
        n = n < s.n - 2 ? n : s.n - 2;
        if (n > 0) {
            logfile_put_record(file, slice_of(s.p + 2, n));
        }
        s = slice_skip(s, 2 + n);
    }
    logfile_seal(file->p + LOGFILE_HEADER_LEN, file->n - LOGFILE_HEADER_LEN);
}

static enum err start(struct dkit *k, struct buf *dump)
{
    enum err e = dkit_open(k);
    if (!e) {
        tree_check(k->tree);
        dkit_dump(k->tree, dump);
        dkit_close(k);
    }
    fake_env_reboot(k->f, true);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct dkit k;
    struct buf file = {0}, none = {0}, one = {0}, two = {0};
    dkit_init(&k, 1);
    must(start(&k, &none) == ERR_OK); // snapshot.0
    struct slice s = slice_of(data + 1, size - 1);
    if (data[0] & 1) {
        frame(s, &file);
        s = buf_slice(&file);
    }
    fake_env_plant(k.f, DKIT_V2 "/log.1", s);
    if (start(&k, &one) == ERR_OK) {
        must(start(&k, &two) == ERR_OK);
        must(slice_eq(buf_slice(&one), buf_slice(&two)));
    }
    dkit_fini(&k);
    buf_fini(&file);
    buf_fini(&none);
    buf_fini(&one);
    buf_fini(&two);
    return 0;
}
