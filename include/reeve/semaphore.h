// SPDX-License-Identifier: Apache-2.0
//
// A semaphore: at most `limit` leases are held at a time, in the order in which they were asked
// for.
//
//     struct reeve_lock *lease;
//     reeve_semaphore_new(&lease, zk, "/app/slots", 3, NULL);
//     if (!reeve_lock_acquire(lease, 30000, NULL)) { ... }
//
// A lease is a struct reeve_lock, and everything in reeve/lock.h holds for it: what a pause does,
// on_lost, payload, threads, errors; reeve_lock_holders() lists the leases. One handle is one lease
// at a time; who wants several has several handles (and may wait for itself, as with any
// semaphore). Tokens tell leases apart and grow with time, but there are several holders, so they
// do not fence.
//
// All clients must say the same limit: each counts against its own. With REEVE_LAYOUT_KAZOO the
// limit is also written to the path, and acquire fails with BAD_ARGUMENTS where another one stands.
//
// On the server: whoever wants a lease first takes a lock, and keeps it until it has the lease; so
// one client at a time waits for leases to come back, and one is woken by each.
// REEVE_LAYOUT_CURATOR, as InterProcessSemaphoreV2: the lock at path/locks, leases
// path/leases/_c_<guid>-lease-<number>. REEVE_LAYOUT_KAZOO, as Semaphore: the lock at
// <path>-__lock__, leases path/<guid>.
#pragma once

#include "reeve/lock.h"

#ifdef __cplusplus
extern "C" {
#endif

// As reeve_lock_new(). BAD_ARGUMENTS: also a limit below 1.
REEVE_API enum reeve_error reeve_semaphore_new(struct reeve_lock **lease, struct reeve *zk,
                                               const char *path, int32_t limit,
                                               const struct reeve_lock_options *o);

#ifdef __cplusplus
}
#endif
