// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the records of a log file. What reads as a record is framed again to the same bytes.
#include "disk/logfile.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice at = slice_of(data, size), entry;
    enum err e = logfile_check_header(at);
    must(size >= LOGFILE_HEADER_LEN || e == ERR_CUT);
    if (!e) {
        at = slice_skip(at, LOGFILE_HEADER_LEN);
    }
    size_t used, found;
    while (logfile_next(at, 4096, &entry, &used) == LOGFILE_RECORD) {
        must(used <= at.n);
        must(entry.n + LOGFILE_RECORD_OVERHEAD == used);
        struct buf b = {0};
        logfile_put_record(&b, entry);
        logfile_seal(b.p, b.n);
        must(slice_eq(buf_slice(&b), slice_head(at, used)));
        buf_fini(&b);
        at = slice_skip(at, used);
    }
    if (logfile_find_record(at, &found)) {
        must(found < at.n);
        at = slice_skip(at, found);
        must(logfile_next(at, INT32_MAX, &entry, &used) == LOGFILE_RECORD);
    }
    (void)logfile_has_lost_sector(at, size);
    return 0;
}
