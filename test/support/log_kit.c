// SPDX-License-Identifier: Apache-2.0
#include "test/support/log_kit.h"

#include "disk/logfile.h"
#include "test/support/disk_kit.h"

void log_kit_header(struct buf *b)
{
    logfile_put_header(b);
}

void log_kit_records(struct buf *b, int64_t first, int64_t last)
{
    size_t at = b->n;
    for (int64_t z = first; z <= last; z++) {
        struct buf entry = {0};
        dkit_entry(&entry, z);
        logfile_put_record(b, buf_slice(&entry));
        buf_fini(&entry);
    }
    logfile_seal(b->p + at, b->n - at);
}

void log_kit_plant(struct fake_env *f, const char *path, const int64_t *ranges)
{
    struct buf b = {0};
    log_kit_header(&b);
    for (; ranges[0] >= 0; ranges += 2) {
        log_kit_records(&b, ranges[0], ranges[1]);
    }
    fake_env_plant(f, path, buf_slice(&b));
    buf_fini(&b);
}
