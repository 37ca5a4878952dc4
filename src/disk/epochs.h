// SPDX-License-Identifier: Apache-2.0
//
// The epoch files of a server of an ensemble: <dataDir>/version-2/acceptedEpoch and currentEpoch,
// decimal text as Apache's servers write it. disk-format.md 9.
//
// What they are worth. acceptedEpoch is a promise: no leader of an earlier epoch is followed, and
// none is promised this one again. Forgetting it can make two leaders of one epoch; a number that
// is too high costs nothing but that number. currentEpoch says which history is newer: too high, it
// wins an election it should lose, and committed transactions of others are cut; too low, it can
// only lose one.
//
// So, with E the epoch of the last zxid (after recovery), each start makes it E <= current <=
// accepted:
//
//   current   missing, unreadable -> E: never more than the log proves
//             below E             -> E: a leader of E made what is in the log (a crash between the
//                                    synced history and the file leaves it so)
//   accepted  missing, and current too: this was no server of an ensemble, nothing was promised
//                                 -> E
//             missing beside current, or unreadable: a promise is lost, and it may have been of an
//             epoch that never began -> current + 1
//             below current       -> current
//
// A file is replaced by rename, so a crash leaves the old or the new number; all of the above but
// "below E" and a first start is the work of hands or of a failing disk. Temporary names begin with
// "tmp.": Apache's servers believe what stands in currentEpoch.tmp, half written or not.
#pragma once

#include "disk/sync.h"

// Reads both, mends them, writes what was mended. Errors have been logged; no space is none: the
// same is found again by the next start. Before the loop.
must_check enum err epochs_recover(struct env *env, const char *dir, int64_t last_zxid,
                                   struct disk_epochs *e);

// Job of the log lane. err ERR_NOSPACE: the old file stands; others: what is there is unknown.
struct epoch_save {
    struct env_job job;
    const char *dir;
    enum disk_epoch which;
    int64_t epoch;
    enum err err;
};
void epoch_save_run(struct env_job *job);
